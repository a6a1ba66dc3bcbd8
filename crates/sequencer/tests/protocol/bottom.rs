//! The store that the simulation runs on: here what a directory is, in memory. `tests/s3` has buckets in its place, and the rest is the same.

use std::sync::Arc;

use bytes::Bytes;
use tegula_storage::{Memory, ObjectPath, Store};

use crate::world::now_or_never;

pub(crate) type Bottom = Memory;

/// Whether what was not synced can be lost.
pub(crate) const POWER_IS_CUT: bool = true;

/// Whether slots are cut to their headers instead of removed.
pub(crate) const SLOTS_STAY: bool = false;

/// Of so many seeds one is run.
pub(crate) const EACH_OF: u64 = 1;

/// What an object is, whatever processes see.
pub(crate) fn peek(memory: &Bottom, path: &ObjectPath) -> Option<Bytes> {
    Some(now_or_never(memory.read(path)).unwrap()?.bytes)
}

/// The store, as processes have it.
pub(crate) fn store(memory: &Bottom) -> Arc<dyn Store> {
    Arc::new(memory.clone())
}

/// Nothing.
pub(crate) struct Reach;

/// What has to be at hand while a future is polled.
pub(crate) const fn reach() -> Reach {
    Reach
}
