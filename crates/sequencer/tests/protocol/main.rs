//! The write protocol under faults: every writer, every store operation and every interleaving is
//! in one thread and follows from a seed.
//!
//! | file | what |
//! |---|---|
//! | `bottom` | the store itself: `tests/s3` runs the same simulation on another one |
//! | `oracle` | what the log is, from its durable slots alone, and the invariants I1 to I7 |
//! | `spy` | a store that shows the oracle what is written |
//! | `world` | writers as tasks that are polled at random, with clocks, faults and delayed requests |
//! | `simulation` | thousands of seeds: faults, crashes, sleepers, housekeeping, power cuts |
//! | `faults` | each write of a round failed in each way, one at a time |
//! | `attempts` | a slot that was sent and not answered |
//! | `corrupt` | what cannot be right stops a writer, which signs nothing |
//! | `housekeeping` | what may go, and what has to stay |
//! | `hand_over` | batches that others take along |
//! | `rebuilding` | after an unclean stop: torn objects, damaged slots, syncs that failed |
//! | `broken` | stores that break a rule: the invariants have to notice |

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod attempts;
mod bottom;
mod broken;
mod corrupt;
mod faults;
mod hand_over;
mod housekeeping;
mod oracle;
mod rebuilding;
mod simulation;
mod spy;
mod world;
