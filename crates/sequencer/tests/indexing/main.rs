//! The search index of a log in memory: what builders make of it, whatever happens to them, and what a search finds there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

mod builders;
mod emission;
mod older;
mod recovery;
mod world;
