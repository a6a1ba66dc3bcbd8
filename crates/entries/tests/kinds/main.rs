//! Every kind of entry and format of keys, with inputs that real tools made (`tests/data/*/make`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod cose;
mod jar;
mod rfc3161;
mod support;
mod x509;
