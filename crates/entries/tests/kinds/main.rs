//! Every kind of entry and format of keys, with inputs that real tools made (`tests/data/*/make`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test stops where it fails"
)]

mod alpine;
mod cose;
mod dsse;
mod helm;
mod intoto;
mod jar;
mod minisign;
mod rekord;
mod rfc3161;
mod rpm;
mod ssh;
mod support;
mod tuf;
mod x509;
