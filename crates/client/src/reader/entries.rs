//! Entries, one and many.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tegula_tlog::{Hash, LeafIndex, TilePath, VerifiedTiles};

use super::{Reader, VerifiedCheckpoint};
use crate::ReadError;
use crate::source::AT_ONCE;

impl Reader {
    /// The entry at `index`, verified.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotFound`] if there is none, else [`ReadError::Io`] or [`ReadError::Verification`].
    pub async fn entry(
        &self,
        checkpoint: &VerifiedCheckpoint,
        index: LeafIndex,
    ) -> Result<Bytes, ReadError> {
        checkpoint.check_index(index)?;
        let entries = self.bundle(checkpoint, index.get() / 256).await?;
        let within = usize::try_from(index.get() % 256).unwrap_or(usize::MAX);
        entries
            .into_iter()
            .nth(within)
            .ok_or_else(|| ReadError::NotFound(format!("there is no entry {index}")))
    }

    /// The entries of a range, in order and verified. Several bundles are on their way at one time; a range that goes beyond the
    /// log ends with it.
    pub fn entries<'a>(
        &'a self,
        checkpoint: &'a VerifiedCheckpoint,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<(LeafIndex, Bytes), ReadError>> + Send + 'a {
        let end = range.end.min(checkpoint.size().get());
        let (first, last) = (range.start / 256, end.div_ceil(256));
        stream::iter(first..last)
            .map(move |n| async move {
                let entries = self.bundle(checkpoint, n).await?;
                let numbered = (n * 256..).zip(entries);
                let wanted = move |(index, _): &(u64, Bytes)| range.start <= *index && *index < end;
                let indexed = numbered.filter(wanted).filter_map(|(index, entry)| {
                    LeafIndex::new(index).map(|index| Ok((index, entry)))
                });
                Ok::<_, ReadError>(stream::iter(indexed.collect::<Vec<_>>()))
            })
            .buffered(AT_ONCE)
            .try_flatten()
    }

    /// The entries of bundle `n` with their leaf hashes, verified.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotFound`] if there is none, else [`ReadError::Io`] or [`ReadError::Verification`].
    pub async fn bundle_entries(
        &self,
        checkpoint: &VerifiedCheckpoint,
        n: u64,
    ) -> Result<Vec<(Bytes, Hash)>, ReadError> {
        if n >= checkpoint.size().get().div_ceil(256) {
            return Err(ReadError::NotFound(format!("there is no bundle {n}")));
        }
        let (entries, leaves) = self.bundle_and_leaves(checkpoint, n).await?;
        Ok(entries.into_iter().zip(leaves).collect())
    }

    /// The hash of all leaves of the full level 0 tile `n`, from the tile above it; `None` if that tile is not full.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`] or [`ReadError::Verification`].
    pub async fn tile_hash(
        &self,
        checkpoint: &VerifiedCheckpoint,
        n: u64,
    ) -> Result<Option<Hash>, ReadError> {
        let Some(above) = TilePath::hashes_at(1, n / 256, checkpoint.size()) else {
            return Ok(None);
        };
        let place = usize::try_from(n % 256).unwrap_or(usize::MAX);
        let ask = |tiles: &VerifiedTiles| tiles.hashes(&above)?.nth(place);
        Ok(self.with_tiles(checkpoint, &[above], ask).await?)
    }

    /// Where a leaf hash is first, if it is in the log.
    ///
    /// # Errors
    ///
    /// As [`Reader::find_leaf_hashes`].
    pub async fn find_leaf_hash(
        &self,
        checkpoint: &VerifiedCheckpoint,
        leaf: Hash,
    ) -> Result<Option<LeafIndex>, ReadError> {
        let found = self
            .find_leaf_hashes(checkpoint, HashSet::from([leaf]))
            .await?;
        Ok(found.get(&leaf).copied())
    }

    /// Where each of these leaf hashes is first, as far as they are in the log. The level 0 tiles are scanned, 32 bytes an entry,
    /// until all are found.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`] or [`ReadError::Verification`]: an answer that something is absent is given only for the whole log.
    pub async fn find_leaf_hashes(
        &self,
        checkpoint: &VerifiedCheckpoint,
        mut leaves: HashSet<Hash>,
    ) -> Result<HashMap<Hash, LeafIndex>, ReadError> {
        let mut found = HashMap::new();
        let mut tiles = stream::iter(0..checkpoint.size().get().div_ceil(256))
            .map(|n| async move {
                self.leaf_hashes(checkpoint, n)
                    .await
                    .map(|hashes| (n, hashes))
            })
            .buffered(AT_ONCE);
        while !leaves.is_empty()
            && let Some((n, hashes)) = tiles.try_next().await?
        {
            for (index, hash) in (n * 256..).zip(hashes) {
                if leaves.remove(&hash)
                    && let Some(index) = LeafIndex::new(index)
                {
                    found.insert(hash, index);
                }
            }
        }
        Ok(found)
    }
}
