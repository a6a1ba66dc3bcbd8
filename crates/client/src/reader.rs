//! Questions about a log, answered from what its checkpoint commits to.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tegula_index::Key;
use tegula_tlog::{
    Checkpoint, Hash, LeafIndex, Policy, TileKind, TilePath, TreeSize, VerifiedTiles, VerifierKey,
};

use crate::cache::{Cache, KeyCache};
use crate::{CheckpointMemory, ReadError, Source};

mod checkpoint;
mod entries;
mod proofs;
mod tiles;

pub use proofs::ConsistencyProof;
pub(crate) use tiles::{Lack, cut};

/// A reader of one log.
///
/// It trusts the policy and its own memory. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) cache: Option<Cache>,
    pub(crate) memory: CheckpointMemory,
    /// By what an entry is found: [`index_keys`](crate::index_keys), but in tests, whose entries are shorter than Rekor's.
    pub(crate) keys_of: fn(&[u8]) -> Vec<Key>,
}

impl Reader {
    /// A reader of the log at `source`, for checkpoints that fulfil `policy`.
    #[must_use]
    pub fn new(
        source: Arc<dyn Source>,
        policy: Policy,
        cache: Option<Cache>,
        memory: CheckpointMemory,
    ) -> Self {
        Self {
            source,
            policy: Arc::new(policy),
            cache,
            memory,
            keys_of: crate::index_keys,
        }
    }

    pub(crate) fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }
}

/// A checkpoint that fulfils the policy and contradicts nothing that was seen before. What is asked of a [`Reader`] is asked
/// against one of these.
#[derive(Clone, Debug)]
pub struct VerifiedCheckpoint {
    checkpoint: Checkpoint,
    note: Bytes,
    key: VerifierKey,
    stale: Option<TreeSize>,
    tiles: Arc<Tiles>,
    cache: Option<KeyCache>,
}

/// Tiles that hash to the checkpoint's root.
#[derive(Debug)]
struct Tiles {
    verified: Mutex<VerifiedTiles>,
    /// Level 0 tiles that were inserted since they were last forgotten; changed only under the lock.
    leaf_tiles: AtomicUsize,
    /// Held while tiles are fetched that others depend on, so that each is fetched once.
    upper: tokio::sync::Mutex<()>,
}

impl VerifiedCheckpoint {
    fn new(checkpoint: Checkpoint, note: Bytes, key: VerifierKey, cache: Option<&Cache>) -> Self {
        let tiles = Tiles {
            verified: Mutex::new(VerifiedTiles::new(checkpoint.size, checkpoint.root)),
            leaf_tiles: AtomicUsize::new(0),
            upper: tokio::sync::Mutex::new(()),
        };
        Self {
            cache: cache.map(|cache| cache.of(&key)),
            checkpoint,
            note,
            key,
            stale: None,
            tiles: Arc::new(tiles),
        }
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// How many entries the log has.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.checkpoint.size
    }

    /// The root hash of its tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.checkpoint.root
    }

    /// The signed note.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// The log key that signed it; of several, the first one of the policy.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The size that the log shows, if that is smaller than this one, which was seen before. The two are consistent: somewhere a
    /// copy is old.
    #[must_use]
    pub fn stale(&self) -> Option<TreeSize> {
        self.stale
    }

    /// That there is an entry with this index.
    fn check_index(&self, index: LeafIndex) -> Result<(), ReadError> {
        if index.get() < self.size().get() {
            return Ok(());
        }
        Err(ReadError::NotFound(format!(
            "there is no entry {index}, the log has {}",
            self.size()
        )))
    }

    /// Where verified objects of this log are kept.
    pub(crate) fn cache(&self) -> Option<&KeyCache> {
        self.cache.as_ref()
    }

    fn verified(&self) -> MutexGuard<'_, VerifiedTiles> {
        // Every change of the tiles is whole, so a panic elsewhere leaves nothing half done.
        let verified = self.tiles.verified.lock();
        verified.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest that a tile or bundle of this width can be, in bytes.
pub(crate) fn max_len(path: &TilePath) -> usize {
    let each = match path.kind() {
        TileKind::Hashes { .. } => 32,
        TileKind::Entries => 2 + 65_535,
    };
    usize::from(path.width()) * each
}

/// A checkpoint with a dozen of cosignatures has 2 KB; with post-quantum ones, 30 KB.
pub const MAX_CHECKPOINT_LEN: usize = 64 * 1024;

#[cfg(test)]
mod tests;
