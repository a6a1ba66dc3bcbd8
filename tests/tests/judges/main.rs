//! What we write is read by programs that others wrote, and the other way round: `tlog_tiles` and `signed_note`,
//! Cloudflare's crates, which come from Go's `sumdb`.
//!
//! | file | what |
//! |---|---|
//! | `trees` | tiles, roots, inclusion and consistency, at many sizes, valid ones and changed ones |
//! | `paths` | which texts are the path of a tile |
//! | `notes` | keys, notes and checkpoints, valid ones and changed ones |
//!
//! Where the two do not agree the case is listed, with its reason.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod notes;
mod paths;
mod random;
mod trees;
