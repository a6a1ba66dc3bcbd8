//! What each kind and format allocates at its most: at most [`RATIO`] times what was sent, and [`ALWAYS`].
//!
//! One test, in a process of its own, because it counts all that is allocated.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod inputs;

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

#[test]
fn an_entry_takes_memory_in_proportion_to_what_was_sent() {
    let mut over = Vec::new();
    inputs::each(&mut |what, sent, run| {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let outcome = run();
        let had = ALLOCATED.peak_usage() - before;
        let outcome = outcome.map_or_else(|error| error.to_string(), |()| "taken".to_owned());
        let line = format!("{what}: {sent} bytes sent, {had} allocated: {outcome}");
        println!("{line}");
        if had > RATIO * sent + ALWAYS {
            over.push(line);
        }
    });
    assert!(over.is_empty(), "{over:#?}");
}

/// Times what was sent: base64 in JSON, what it decodes to, and what that is taken apart into.
const RATIO: usize = 16;

/// Whatever was sent: of a body of 64 KiB, which is read into a tree, a list of numbers takes 16 times as much, and half as much again while
/// it grows; and a package that unpacks to a `.PKGINFO` of 64 KiB has it in several copies, beside inflaters (44 KiB) and their buffer (64 KiB).
const ALWAYS: usize = 768 << 10;
