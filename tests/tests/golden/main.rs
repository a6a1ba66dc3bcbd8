//! Two small logs, byte for byte as they are in `tests/golden/`: no change of the format goes unseen.
//!
//! `TEGULA_GOLDEN=write` writes the files anew, and fails. Look at the difference before it is committed: a log that
//! is in use has the old bytes, for ever.
//!
//! | file | what |
//! |---|---|
//! | `files` | what is compared, and how it is written |
//! | `made` | the keys, the clock and randomness of both logs |
//! | `raw` | all that a directory holds after five batches, and what today's code makes of it |
//! | `hashedrekord` | four uploads by keys of four kinds, and their answers, key by key |

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod files;
mod hashedrekord;
mod made;
mod raw;
