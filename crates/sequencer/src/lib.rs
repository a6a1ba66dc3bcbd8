//! Pending entries in; slots, tiles and a checkpoint out; recovery.
//!
//! The write protocol, one file a step:
//!
//! | file | step |
//! |---|---|
//! | `pool` | concurrent submissions share a batch |
//! | `recover` | a cold start: the checkpoint, the right edge, what is unpublished |
//! | `writer` | a batch takes the next slot; a loser folds the winner's and tries again |
//! | `tip`, `chain` | what a warm writer knows, and how it grows by a slot |
//! | `inbox`, `hand_over` | between processes: a batch is left for whoever orders the next slot |
//! | `integrate` | tiles and bundles, a pure function of the slots |
//! | `publish`, `signers` | the checkpoint is signed and replaced |
//! | `answer` | proofs, verified before anybody sees them |
//! | `lookup` | what is logged, by index or by leaf hash |
//! | `tidy` | what may go, goes; what is there is checked |
//! | `index` | the search index, made from what is published |
//! | `import` | a new log of entries that have their places already |
//! | `rebuild` | after an unclean stop: objects that a power cut tore, from the slots |
//!
//! Nothing here reads the clock, the environment or a source of randomness: see [`Env`].

mod answer;
mod chain;
mod dedup;
mod env;
mod error;
mod hand_over;
mod history;
mod ids;
mod import;
mod inbox;
mod index;
mod init;
mod integrate;
mod lookup;
mod pool;
mod publish;
mod read;
mod rebuild;
mod recover;
mod signers;
mod slot;
mod tidy;
mod tip;
mod writer;

use std::fmt;

use tegula_tlog::{Hash, TreeSize};

pub use answer::{Receipt, Round};
pub use env::{Env, RealEnv};
pub use error::Error;
pub use import::Import;
pub use inbox::{ITEM_VERSION, Item, ItemError, ItemName, MAX_ITEM_BYTES};
pub use index::{Extract, IndexOptions, IndexReport, Indexer};
pub use init::init;
pub use lookup::Logged;
pub use pool::{Sequencer, Status};
pub use rebuild::{RebuildReport, give_up_slots, rebuild};
pub use signers::{SignError, Signer, Signers};
pub use slot::{
    Batch, MAX_HEADER_LEN, MAX_SLOT_BYTES, MAX_SLOT_ENTRIES, Run, SLOT_VERSION, Slot, SlotError,
    SlotHeader,
};
pub use tidy::{Keep, Tidy, TidyOptions, TidyReport};
pub use writer::{Counters, Pending, Writer};

/// What a writer is told.
#[derive(Clone)]
pub struct Config {
    /// The log's keys, the Ed25519 key first. All are named as the origin.
    pub signers: Signers,
    /// How many of the last leaves are held to recognise duplicates; older ones are looked up in the search index, as far as there is one. 0 logs
    /// every entry anew.
    pub dedup_window: u64,
    /// Entries in one batch, at most; never above 16,384.
    pub max_batch_entries: usize,
    /// Bytes of the entries in one batch, at most; never above 8 MiB with their lengths.
    pub max_batch_bytes: usize,
    /// How it gets along with other writers of the log.
    pub others: Others,
    /// Entries that wait for a batch, at most; beyond that submissions are refused.
    pub max_pending_entries: usize,
    /// Bytes that wait for a batch, at most.
    pub max_pending_bytes: usize,
    /// What entries can be found by, for a writer that makes the base runs of the search index beside the bundles it completes. An
    /// [`Indexer`] makes them otherwise.
    pub index: Option<Extract>,
}

impl Config {
    /// The usual limits, with these keys.
    pub fn new(signers: impl Into<Signers>) -> Self {
        Self {
            signers: signers.into(),
            dedup_window: 1 << 20,
            max_batch_entries: 16_384,
            // 8 MiB less two bytes of length for each of 16,384 entries.
            max_batch_bytes: MAX_SLOT_BYTES - 2 * 16_384,
            others: Others::Compete,
            max_pending_entries: 65_536,
            max_pending_bytes: 64 << 20,
            index: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("signers", &self.signers)
            .field("dedup_window", &self.dedup_window)
            .field("others", &self.others)
            .field("index", &self.index.is_some())
            .finish_non_exhaustive()
    }
}

/// How a writer gets along with other writers of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Others {
    /// Whoever loses a slot tries the next one. For a few processes that each gather many requests, with nobody who hands over.
    Compete,
    /// The same, and what others handed over is taken along. For such a process beside many small ones.
    TakeAlong,
    /// While slots are contended a batch is handed over to whoever orders the next slot, which may be this writer. For many processes
    /// of one request each.
    HandOver,
}

/// A published checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Published {
    /// The signed note, as it stands in the store.
    pub checkpoint: bytes::Bytes,
    /// The tree's size.
    pub size: TreeSize,
    /// The tree's root.
    pub root: Hash,
}
