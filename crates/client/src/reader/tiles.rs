//! Tiles and bundles: fetched, verified, and only then used or kept.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tegula_tlog::{
    Hash, TileKind, TilePath, TileSet, VerifiedTiles, append_entry, leaf_hash, parse_bundle,
};

use super::{Reader, VerifiedCheckpoint, max_len};
use crate::source::AT_ONCE;
use crate::{FetchError, ReadError};

/// Why tiles or bundles that a checkpoint needs are not to be had.
#[derive(Clone, Debug)]
pub(crate) enum Lack {
    /// The log does not have it.
    Missing(TilePath),
    /// What the log has is not what its root says.
    Wrong(String),
    Other(ReadError),
}

impl From<ReadError> for Lack {
    fn from(error: ReadError) -> Self {
        Self::Other(error)
    }
}

impl From<FetchError> for Lack {
    fn from(error: FetchError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Lack> for ReadError {
    fn from(lack: Lack) -> Self {
        match lack {
            Lack::Missing(path) => Self::Io(format!(
                "the log has no {path}, though its checkpoint needs it"
            )),
            Lack::Wrong(problem) => Self::Verification(problem),
            Lack::Other(error) => error,
        }
    }
}

/// The bytes of an object, exactly as wide as its path says.
#[derive(Clone, Debug)]
struct Fetched {
    path: TilePath,
    bytes: Bytes,
    from: CameFrom,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum CameFrom {
    Cache,
    Source,
}

/// Whether what is in the cache may be tried.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Try {
    CacheFirst,
    SourceOnly,
}

impl Reader {
    /// Answers a question from verified tiles. `paths` are those that it takes, in widths of any size up to the checkpoint's.
    pub(super) async fn with_tiles<T: Send>(
        &self,
        checkpoint: &VerifiedCheckpoint,
        paths: &[TilePath],
        ask: impl FnOnce(&VerifiedTiles) -> T + Send,
    ) -> Result<T, Lack> {
        let paths: Vec<_> = paths
            .iter()
            .filter_map(|path| as_at(path, checkpoint))
            .collect();
        for _ in 0..MAX_FORGOTTEN {
            self.ensure(checkpoint, &paths).await?;
            let verified = checkpoint.verified();
            // Between the two lines above another task may have had tiles forgotten.
            if needed(&verified, &paths).is_empty() {
                return Ok(ask(&verified));
            }
        }
        Err(Lack::Other(ReadError::Io(
            "too many questions at one time".to_owned(),
        )))
    }

    /// The leaf hashes of the level 0 tile `n`.
    pub(crate) async fn leaf_hashes(
        &self,
        checkpoint: &VerifiedCheckpoint,
        n: u64,
    ) -> Result<Vec<Hash>, Lack> {
        let path = TilePath::hashes_at(0, n, checkpoint.size()).ok_or_else(|| {
            Lack::Wrong(format!(
                "there is no tile {n} in a log of size {}",
                checkpoint.size()
            ))
        })?;
        let hashes = self
            .with_tiles(checkpoint, &[path], |tiles| {
                tiles.hashes(&path).map(Iterator::collect)
            })
            .await?;
        hashes.ok_or(Lack::Missing(path))
    }

    /// The entries of bundle `n`, each of which has the leaf hash that the tree says.
    pub(super) async fn bundle(
        &self,
        checkpoint: &VerifiedCheckpoint,
        n: u64,
    ) -> Result<Vec<Bytes>, Lack> {
        Ok(self.bundle_and_leaves(checkpoint, n).await?.0)
    }

    /// The same, with these leaf hashes.
    pub(super) async fn bundle_and_leaves(
        &self,
        checkpoint: &VerifiedCheckpoint,
        n: u64,
    ) -> Result<(Vec<Bytes>, Vec<Hash>), Lack> {
        let leaves = self.leaf_hashes(checkpoint, n).await?;
        let width = u16::try_from(leaves.len()).unwrap_or(u16::MAX);
        let path = TilePath::entries(n, width)
            .ok_or_else(|| Lack::Wrong(format!("there is no bundle {n} of width {width}")))?;
        let mut problem = String::new();
        for place in [Try::CacheFirst, Try::SourceOnly] {
            let fetched = self.fetch_object(checkpoint, path, place).await?;
            match checked_entries(&fetched, &leaves) {
                Ok(entries) => {
                    if let Some(cache) = checkpoint
                        .cache
                        .as_ref()
                        .filter(|_| fetched.from == CameFrom::Source)
                    {
                        cache.store(&fetched.path, &fetched.bytes);
                    }
                    return Ok((entries, leaves));
                }
                Err(what) => problem = format!("{path} of the log {what}"),
            }
            if !self.distrust(checkpoint, &[fetched]) {
                break;
            }
        }
        Err(Lack::Wrong(problem))
    }

    /// Fetches what is needed to have these tiles verified.
    async fn ensure(
        &self,
        checkpoint: &VerifiedCheckpoint,
        paths: &[TilePath],
    ) -> Result<(), Lack> {
        let missing = needed(&checkpoint.verified(), paths);
        if missing.iter().all(|path| paths.contains(path)) {
            return self.fill(checkpoint, missing).await;
        }
        // The tiles above these are shared by many: one task fetches them, the others wait.
        let _fetching = checkpoint.tiles.upper.lock().await;
        let missing = needed(&checkpoint.verified(), paths);
        self.fill(checkpoint, missing).await
    }

    async fn fill(
        &self,
        checkpoint: &VerifiedCheckpoint,
        missing: BTreeSet<TilePath>,
    ) -> Result<(), Lack> {
        if missing.is_empty() {
            return Ok(());
        }
        let mut problem = String::new();
        for place in [Try::CacheFirst, Try::SourceOnly] {
            let fetched: Vec<Fetched> = stream::iter(missing.iter().copied())
                .map(|path| self.fetch_object(checkpoint, path, place))
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            match insert(checkpoint, &fetched) {
                Ok(()) => {
                    if let Some(cache) = &checkpoint.cache {
                        for new in fetched
                            .iter()
                            .filter(|fetched| fetched.from == CameFrom::Source)
                        {
                            cache.store(&new.path, &new.bytes);
                        }
                    }
                    return Ok(());
                }
                Err(what) => problem = what,
            }
            if !self.distrust(checkpoint, &fetched) {
                break;
            }
        }
        Err(Lack::Wrong(problem))
    }

    /// Takes what did not verify out of the cache. `false`: none of it came from there, so that the log itself is wrong.
    fn distrust(&self, checkpoint: &VerifiedCheckpoint, fetched: &[Fetched]) -> bool {
        let mut any = false;
        for wrong in fetched
            .iter()
            .filter(|fetched| fetched.from == CameFrom::Cache)
        {
            any = true;
            if let Some(cache) = &checkpoint.cache {
                cache.remove(&wrong.path);
            }
        }
        any
    }

    /// An object by its path at the checkpoint's size, unverified, cut to its width if it comes from a wider one.
    async fn fetch_object(
        &self,
        checkpoint: &VerifiedCheckpoint,
        path: TilePath,
        place: Try,
    ) -> Result<Fetched, Lack> {
        if place == Try::CacheFirst
            && let Some(cache) = &checkpoint.cache
            && let Some((found, bytes)) = cache.load(&path)
        {
            match cut(&path, &found, bytes.into()) {
                Ok(bytes) => {
                    return Ok(Fetched {
                        path,
                        bytes,
                        from: CameFrom::Cache,
                    });
                }
                Err(_damaged) => cache.remove(&found),
            }
        }
        let (found, bytes) = self.fetch_widest(checkpoint, path).await?;
        let bytes = cut(&path, &found, bytes).map_err(Lack::Wrong)?;
        Ok(Fetched {
            path,
            bytes,
            from: CameFrom::Source,
        })
    }

    /// The object, or the full one in its place, or the one that a newer checkpoint has there: partial tiles go when they are no
    /// longer needed.
    async fn fetch_widest(
        &self,
        checkpoint: &VerifiedCheckpoint,
        path: TilePath,
    ) -> Result<(TilePath, Bytes), Lack> {
        if let Some(found) = self.fetch_exact(path).await? {
            return Ok(found);
        }
        if path.is_full() {
            return Err(Lack::Missing(path));
        }
        if let Some(found) = self.fetch_exact(path.full()).await? {
            return Ok(found);
        }
        let note = self.fetch_checkpoint().await?;
        let (newer, _) = self.policy.check(&note).map_err(ReadError::from)?;
        if newer.size > checkpoint.size()
            && let Some(wider) = at_size(&path, newer.size)
            && let Some(found) = self.fetch_exact(wider).await?
        {
            return Ok(found);
        }
        Err(Lack::Missing(path))
    }

    async fn fetch_exact(&self, path: TilePath) -> Result<Option<(TilePath, Bytes)>, Lack> {
        let fetched = self.source.fetch(&path.to_string(), max_len(&path)).await?;
        Ok(fetched.map(|bytes| (path, bytes)))
    }
}

/// What has to be fetched before all of these are verified.
fn needed(verified: &VerifiedTiles, paths: &[TilePath]) -> BTreeSet<TilePath> {
    paths
        .iter()
        .flat_map(|path| verified.needed_for(path))
        .collect()
}

fn insert(checkpoint: &VerifiedCheckpoint, fetched: &[Fetched]) -> Result<(), String> {
    let mut tiles = TileSet::new();
    for fetched in fetched {
        tiles
            .insert(fetched.path, fetched.bytes.to_vec())
            .map_err(|error| format!("{}: {error}", fetched.path))?;
    }
    let mut verified = checkpoint.verified();
    let new = fetched
        .iter()
        .filter(|fetched| fetched.path.level() == Some(0))
        .count();
    let held = &checkpoint.tiles.leaf_tiles;
    // A scan goes through every level 0 tile; the levels above them are a 256th of it.
    if held.load(Ordering::Relaxed) + new > MAX_LEAF_TILES {
        verified.forget_level(0);
        held.store(0, Ordering::Relaxed);
    }
    held.fetch_add(new, Ordering::Relaxed);
    verified
        .insert_all(&tiles)
        .map_err(|error| error.to_string())
}

/// The same place in the tree, as wide as it is at the checkpoint.
fn as_at(path: &TilePath, checkpoint: &VerifiedCheckpoint) -> Option<TilePath> {
    at_size(path, checkpoint.size())
}

fn at_size(path: &TilePath, size: tegula_tlog::TreeSize) -> Option<TilePath> {
    let level = path.level().unwrap_or(0);
    let hashes = TilePath::hashes_at(level, path.index(), size)?;
    match path.kind() {
        TileKind::Hashes { .. } => Some(hashes),
        TileKind::Entries => TilePath::entries(path.index(), hashes.width()),
    }
}

/// The first hashes or entries of `found`, as many as `path` has.
pub(crate) fn cut(path: &TilePath, found: &TilePath, bytes: Bytes) -> Result<Bytes, String> {
    if path == found {
        return Ok(bytes);
    }
    match path.kind() {
        TileKind::Hashes { .. } => {
            let len = 32 * usize::from(path.width());
            if bytes.len() != 32 * usize::from(found.width()) {
                return Err(format!("{found} is {} bytes", bytes.len()));
            }
            Ok(bytes.slice(..len.min(bytes.len())))
        }
        TileKind::Entries => {
            let entries = parse_bundle(&bytes, found.width().into())
                .map_err(|error| format!("{found}: {error}"))?;
            let mut first = Vec::new();
            for entry in entries.into_iter().take(path.width().into()) {
                append_entry(&mut first, entry).map_err(|error| format!("{found}: {error}"))?;
            }
            Ok(first.into())
        }
    }
}

fn checked_entries(fetched: &Fetched, leaves: &[Hash]) -> Result<Vec<Bytes>, String> {
    let entries = split_bundle(&fetched.bytes, leaves.len())?;
    let wrong = entries
        .iter()
        .zip(leaves)
        .position(|(entry, leaf)| leaf_hash(entry) != *leaf);
    match wrong {
        None => Ok(entries),
        Some(n) => Err(format!("holds another entry {n} than the tree has")),
    }
}

/// The entries of a bundle, which share its memory.
fn split_bundle(bytes: &Bytes, count: usize) -> Result<Vec<Bytes>, String> {
    let entries = parse_bundle(bytes, count).map_err(|error| error.to_string())?;
    Ok(entries
        .into_iter()
        .map(|entry| bytes.slice_ref(entry))
        .collect())
}

/// 16 MiB of leaf hashes.
const MAX_LEAF_TILES: usize = 2048;
/// Tiles are forgotten only while the whole log is scanned.
const MAX_FORGOTTEN: usize = 16;
