//! The simulation of the directory log (`crates/sequencer/tests/protocol`), whole, on buckets: every writer, every request and every interleaving
//! is in one thread and follows from a seed. What is not in it: power cuts, which buckets do not have, and the store's clock, which says nothing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod bottom;
#[expect(dead_code, reason = "what other tests ask it is not asked here")]
#[path = "../../../../crates/sequencer/tests/protocol/oracle.rs"]
mod oracle;
#[path = "../../../../crates/sequencer/tests/protocol/simulation.rs"]
mod simulation;
#[expect(
    dead_code,
    reason = "stores that break a rule are tried where there is one of them"
)]
#[path = "../../../../crates/sequencer/tests/protocol/spy.rs"]
mod spy;
#[path = "../../../../crates/sequencer/tests/protocol/world.rs"]
mod world;
