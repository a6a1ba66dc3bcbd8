//! The write protocol as a model: every interleaving of a few writers, every lost, late or doubled request, every crash.
//!
//! | file | what |
//! |---|---|
//! | `tree` | a tree and the batch ids of a slot, each in one integer |
//! | `state` | the store, the writers and the requests that are still on their way |
//! | `rules` | what a configuration has, and the rules of the protocol, each of which can be left out |
//! | `steps` | what can happen next |
//! | `store` | what the store does with a request |
//! | `writer` | what a writer does by itself, between two accesses to the store |
//! | `properties` | the invariants I1 to I7, and that no writer stops |
//! | `liveness` | L, on the explored graph |
//! | `holds` | configurations that are explored to the end |
//! | `left_out` | what breaks when a rule is left out |

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod holds;
mod left_out;
mod liveness;
mod properties;
mod rules;
mod state;
mod steps;
mod store;
mod tree;
mod writer;
