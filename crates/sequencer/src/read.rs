//! What a writer reads from the store, verified before it is believed.

use std::collections::BTreeSet;

use bytes::Bytes;
use tegula_storage::{ObjectPath, Store};
use tegula_tlog::{
    Edge, Hash, TilePath, TileSet, TreeSize, VerifiedTiles, append_entry, leaf_hash, parse_bundle,
    root_of, root_tiles,
};

use crate::Published;
use crate::error::Error;
use crate::tip::BundleTail;

/// Times that bytes which must be right are read before they are called corrupt.
pub(crate) const MAX_READS: u32 = 3;

/// Where a tile or bundle is kept.
pub(crate) fn tile(path: &TilePath) -> Result<ObjectPath, Error> {
    ObjectPath::public(path.to_string()).map_err(|error| Error::Corrupt(error.to_string()))
}

/// The right edge of the tree with this size and root.
pub(crate) async fn edge(store: &dyn Store, size: TreeSize, root: &Hash) -> Result<Edge, Error> {
    let mut problem = String::new();
    for _ in 0..MAX_READS {
        let tiles = tiles(store, Edge::tiles_needed(size)).await?;
        match Edge::from_tiles(size, root, &tiles) {
            Ok(edge) => return Ok(edge),
            Err(error) => problem = error.to_string(),
        }
    }
    Err(Error::Corrupt(format!(
        "the right edge of the tree of size {size}: {problem}"
    )))
}

/// The entries of the incomplete bundle, which have to be the leaves of the verified edge.
pub(crate) async fn tail(store: &dyn Store, edge: &Edge) -> Result<BundleTail, Error> {
    let size = edge.size().get();
    let width = u16::try_from(size % 256).ok();
    let Some(path) = width.and_then(|width| TilePath::entries(size / 256, width)) else {
        return Ok(BundleTail::default());
    };
    for _ in 0..MAX_READS {
        let bundle = bundle(store, &path).await?;
        if let Some(tail) = checked_tail(&bundle, edge.last_leaves()) {
            return Ok(tail);
        }
    }
    Err(Error::Corrupt(format!(
        "{path} does not hold the entries of the tree of size {size}"
    )))
}

/// A bundle, or the full one in its place; unverified.
pub(crate) async fn bundle(store: &dyn Store, path: &TilePath) -> Result<Bytes, Error> {
    if let Some(object) = store.read(&tile(path)?).await? {
        return Ok(object.bytes);
    }
    let full = store.read(&tile(&path.full())?).await?;
    Ok(full.ok_or_else(|| missing(path))?.bytes)
}

/// Tiles, unverified. Where a partial one is gone the full one serves.
pub(crate) async fn tiles(
    store: &dyn Store,
    paths: impl IntoIterator<Item = TilePath>,
) -> Result<TileSet, Error> {
    let paths: Vec<_> = paths.into_iter().collect();
    let places = paths.iter().map(tile).collect::<Result<Vec<_>, _>>()?;
    let mut tiles = TileSet::new();
    for (path, object) in paths.into_iter().zip(store.read_many(&places).await) {
        let (place, bytes) = match object? {
            Some(object) => (path, object.bytes),
            None => {
                let full = store.read(&tile(&path.full())?).await?;
                (path.full(), full.ok_or_else(|| missing(&path))?.bytes)
            }
        };
        tiles
            .insert(place, bytes.to_vec())
            .map_err(|error| Error::Unavailable(error.to_string()))?;
    }
    Ok(tiles)
}

/// Reads these tiles, and those above them that tie them to the root, into `verified`.
pub(crate) async fn verify_tiles(
    store: &dyn Store,
    verified: &mut VerifiedTiles,
    paths: &[TilePath],
) -> Result<(), Error> {
    let mut problem = String::new();
    for _ in 0..MAX_READS {
        let needed: BTreeSet<_> = paths
            .iter()
            .flat_map(|path| verified.needed_for(path))
            .collect();
        match verified.insert_all(&tiles(store, needed).await?) {
            Ok(()) => return Ok(()),
            Err(error) => problem = error.to_string(),
        }
    }
    Err(Error::Corrupt(problem))
}

/// The root that the published tree had at this size, which it has grown beyond.
pub(crate) async fn root_at(
    store: &dyn Store,
    size: TreeSize,
    published: &Published,
) -> Result<Hash, Error> {
    let mut verified = VerifiedTiles::new(published.size, published.root);
    let paths = root_tiles(size);
    verify_tiles(store, &mut verified, &paths).await?;
    root_of(size, verified.tiles()).map_err(|error| Error::Corrupt(error.to_string()))
}

/// A bundle whose entries are the leaves of its tile, which leads to the verified tree's root.
pub(crate) struct CheckedBundle {
    pub(crate) bytes: Bytes,
    /// As many as the tree has of this bundle, which may be fewer than `bytes` hold.
    pub(crate) leaves: Vec<Hash>,
}

/// Bundle `n` of the tree; or what is wrong with it, or with the tiles that lead to it.
pub(crate) async fn checked_bundle(
    store: &dyn Store,
    n: u64,
    size: TreeSize,
    verified: &mut VerifiedTiles,
) -> Result<Result<CheckedBundle, String>, Error> {
    let tile = TilePath::hashes_at(0, n, size);
    let Some((tile, path)) = tile.zip(TilePath::entries_at(n, size)) else {
        return Ok(Err(format!("there is no bundle {n}")));
    };
    match verify_tiles(store, verified, &[tile]).await {
        Ok(()) => {}
        Err(error @ (Error::Corrupt(_) | Error::Unavailable(_))) => {
            return Ok(Err(format!("{tile}: {error}")));
        }
        Err(error) => return Err(error),
    }
    let leaves: Vec<_> = verified.hashes(&tile).into_iter().flatten().collect();
    let bytes = match bundle(store, &path).await {
        Ok(bytes) => bytes,
        Err(Error::Unavailable(reason)) => return Ok(Err(reason)),
        Err(error) => return Err(error),
    };
    let entries = parse_bundle(&bytes, leaves.len()).or_else(|_| parse_bundle(&bytes, 256));
    let entries = entries.unwrap_or_default();
    let held = entries.into_iter().take(leaves.len()).map(leaf_hash);
    if held.eq(leaves.iter().copied()) {
        Ok(Ok(CheckedBundle { bytes, leaves }))
    } else {
        Ok(Err(format!("{path} does not hold the leaves of {tile}")))
    }
}

pub(crate) fn missing(path: &TilePath) -> Error {
    Error::Unavailable(format!("{path} is missing"))
}

/// The first entries of a bundle, if they are these leaves.
pub(crate) fn checked_tail(bundle: &[u8], leaves: &[Hash]) -> Option<BundleTail> {
    let entries = parse_bundle(bundle, leaves.len())
        .or_else(|_| parse_bundle(bundle, 256))
        .ok()?;
    let mut encoded = Vec::new();
    for (entry, leaf) in entries.iter().zip(leaves) {
        if leaf_hash(entry) != *leaf {
            return None;
        }
        append_entry(&mut encoded, entry).ok()?;
    }
    Some(BundleTail::new(encoded))
}
