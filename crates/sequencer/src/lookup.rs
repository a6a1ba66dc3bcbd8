//! What is logged, by index or by leaf hash: from the store, verified against the published checkpoint.

use bytes::Bytes;
use tegula_tlog::{Hash, LeafIndex, TilePath, VerifiedTiles, parse_bundle};
use tracing::warn;

use crate::answer::{Receipt, prove_from_tiles};
use crate::error::Error;
use crate::index::Older;
use crate::publish::read_checkpoint;
use crate::{Published, Sequencer, read};

/// An entry that is logged, and the proof of it, which was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Logged {
    /// The entry's bytes.
    pub entry: Bytes,
    /// Where it is.
    pub receipt: Receipt,
}

impl Sequencer {
    /// The entry at an index; `None` where no published checkpoint covers it.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] or [`Error::Corrupt`] where the store does not give what the checkpoint covers.
    pub async fn entry(&self, index: LeafIndex) -> Result<Option<Logged>, Error> {
        let published = self.covering(index).await?;
        if index.get() >= published.size.get() {
            return Ok(None);
        }
        let store = self.store().as_ref();
        let (size, root) = (published.size, published.root);
        let mut verified = VerifiedTiles::new(size, root);
        let bundle = read::checked_bundle(store, index.get() / 256, size, &mut verified).await?;
        let bundle = bundle.map_err(Error::Corrupt)?;
        // As many as the tile has, or all 256.
        let entries = parse_bundle(&bundle.bytes, bundle.leaves.len())
            .or_else(|_| parse_bundle(&bundle.bytes, 256));
        let at = usize::try_from(index.get() % 256).unwrap_or(usize::MAX);
        let entries = entries.unwrap_or_default();
        let (entry, leaf) = entries.get(at).zip(bundle.leaves.get(at)).ok_or_else(|| {
            Error::Corrupt(format!("bundle {} has no entry {at}", index.get() / 256))
        })?;
        let proofs = prove_from_tiles(store, &published, &[(index, *leaf)]).await?;
        let proof = proofs.into_values().next().unwrap_or_default();
        Ok(Some(Logged {
            entry: bundle.bytes.slice_ref(entry),
            receipt: Receipt {
                index,
                duplicate: true,
                proof,
                published,
            },
        }))
    }

    /// A place of a leaf: in the search index, or among the leaves that are newer than it. Where the log has no index, those are searched
    /// that are held for duplicates. One search is made at a time: each reads a tile for 256 leaves.
    ///
    /// # Errors
    ///
    /// As [`Sequencer::entry`]. [`Error::Unavailable`] too where the index cannot be read, or lags far behind, and the leaf is not
    /// among the last ones.
    pub async fn find(&self, leaf: &Hash) -> Result<Option<LeafIndex>, Error> {
        let _one = self.search().lock().await;
        let store = self.store().as_ref();
        let published = read_checkpoint(store, self.keys()).await?.0;
        let (covered, found, unread) = match self.find_in_index(leaf, &published).await {
            Ok((covered, found)) => (covered, found, None),
            Err(fatal @ Error::Fatal(_)) => return Err(fatal),
            Err(reason) => {
                warn!(%reason, "a leaf is looked for without the search index");
                (0, None, Some(reason))
            }
        };
        if let Some(index) = found {
            return Ok(LeafIndex::new(index));
        }
        let size = published.size;
        let mut verified = VerifiedTiles::new(size, published.root);
        let most = match covered {
            0 => self.dedup_window(),
            _ => self.dedup_window().max(MAX_TAIL),
        };
        let first = size.get().saturating_sub(most).max(covered) / 256;
        let mut end = size.get().div_ceil(256);
        while end > first {
            let begin = end.saturating_sub(TILES_AT_ONCE).max(first);
            let tiles: Vec<_> = (begin..end)
                .filter_map(|n| TilePath::hashes_at(0, n, size))
                .collect();
            read::verify_tiles(store, &mut verified, &tiles).await?;
            for tile in tiles.iter().rev() {
                let hashes: Vec<Hash> = verified.hashes(tile).into_iter().flatten().collect();
                if let Some(at) = hashes.iter().rposition(|hash| hash == leaf) {
                    return Ok(LeafIndex::new(tile.index() * 256 + at as u64));
                }
            }
            end = begin;
        }
        // That it is not there is said only of what was searched.
        match unread {
            Some(reason) if first > 0 => Err(reason),
            None if covered > 0 && first > covered.div_ceil(256) => Err(Error::Unavailable(
                format!("the search index covers {covered} of {size} leaves"),
            )),
            _ => Ok(None),
        }
    }

    /// How many leaves the index covers, and where the leaf is among them.
    async fn find_in_index(
        &self,
        leaf: &Hash,
        published: &Published,
    ) -> Result<(u64, Option<u64>), Error> {
        let store = self.store().as_ref();
        let index = self.signers().of_index()?;
        let older = Older::read(store, index.verifiers(), published, None).await?;
        let Some(mut older) = older else {
            return Ok((0, None));
        };
        let covered = older.covered();
        let found = older.find(store, published, &[*leaf], covered).await?;
        Ok((covered, found.get(leaf).copied()))
    }

    /// A checkpoint with the entry in it, where there is one: others may have published since this process read it.
    async fn covering(&self, index: LeafIndex) -> Result<Published, Error> {
        let known = self.published();
        if index.get() < known.size.get() {
            return Ok(known);
        }
        let (published, _) = read_checkpoint(self.store().as_ref(), self.keys()).await?;
        Ok(published)
    }
}

/// Leaves after the index that are searched.
const MAX_TAIL: u64 = 1 << 16;
/// Tiles that are read together in a search: half a megabyte.
const TILES_AT_ONCE: u64 = 64;
