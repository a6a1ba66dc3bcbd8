//! The router without a socket, over a log in memory: statuses, headers and messages.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod issuers;
mod reads;
mod search;
mod served;
mod slow;
mod uploads;
mod v1;
