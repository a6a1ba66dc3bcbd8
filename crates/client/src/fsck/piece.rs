//! A level 0 tile and its bundle.

use tegula_tlog::{Hash, TilePath, TreeSize, leaf_hash, node_hash, parse_bundle};

use super::Object;

/// Where they are.
#[derive(Copy, Clone)]
pub(super) struct Place {
    pub(super) n: u64,
    pub(super) tile: TilePath,
    pub(super) bundle: TilePath,
}

impl Place {
    pub(super) fn new(n: u64, size: TreeSize) -> Option<Self> {
        let tile = TilePath::hashes_at(0, n, size)?;
        let bundle = TilePath::entries(n, tile.width())?;
        Some(Self { n, tile, bundle })
    }
}

/// What was found there.
pub(super) struct Piece {
    pub(super) n: u64,
    pub(super) path: TilePath,
    pub(super) has_tile: bool,
    pub(super) has_bundle: bool,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) problems: Vec<String>,
    /// The leaf hashes: the tile's, or without it, the bundle's.
    pub(super) hashes: Option<Vec<Hash>>,
    /// The hash of all of them, where the tile is full.
    pub(super) root: Option<Hash>,
}

impl Piece {
    pub(super) fn check(place: Place, tile: Object, bundle: Object) -> Self {
        let width = usize::from(place.tile.width());
        let mut piece = Self {
            n: place.n,
            path: place.tile,
            has_tile: tile.is_ok(),
            has_bundle: bundle.is_ok(),
            entries: 0,
            bytes: 0,
            problems: Vec::new(),
            hashes: None,
            root: None,
        };
        for bytes in [&tile, &bundle].into_iter().flatten() {
            piece.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
        let stored = tile
            .and_then(|bytes| split_tile(&bytes, width))
            .map_err(|problem| piece.problems.push(format!("{} {problem}", place.tile)))
            .ok();
        let hashed = bundle
            .and_then(|bytes| {
                let entries =
                    parse_bundle(&bytes, width).map_err(|error| format!("is damaged: {error}"))?;
                Ok(entries.into_iter().map(leaf_hash).collect::<Vec<_>>())
            })
            .map_err(|problem| piece.problems.push(format!("{} {problem}", place.bundle)))
            .ok();
        if let Some(hashed) = &hashed {
            piece.entries = u64::try_from(hashed.len()).unwrap_or(u64::MAX);
        }
        if let (Some(stored), Some(hashed)) = (&stored, &hashed) {
            let differing = stored.iter().zip(hashed).filter(|(a, b)| a != b).count();
            if let Some(first) = stored.iter().zip(hashed).position(|(a, b)| a != b) {
                piece.problems.push(format!(
                    "{}: {differing} entries do not hash to their leaves in {}, the first is entry {}",
                    place.bundle,
                    place.tile,
                    place.n * 256 + first as u64
                ));
            }
        }
        piece.hashes = stored.or(hashed);
        piece.root = piece
            .hashes
            .as_deref()
            .filter(|_| place.tile.is_full())
            .map(root_of_full);
        piece
    }
}

/// The hashes of a tile.
pub(super) fn split_tile(bytes: &[u8], width: usize) -> Result<Vec<Hash>, String> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() != width || !rest.is_empty() {
        return Err(format!("is {} bytes, expected {}", bytes.len(), 32 * width));
    }
    Ok(hashes.iter().copied().map(Hash).collect())
}

/// The hash of a full tile: 255 nodes above its 256 hashes.
pub(super) fn root_of_full(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node_hash(left, right),
                _ => pair.first().copied().unwrap_or(Hash([0; 32])),
            })
            .collect();
    }
    row.first().copied().unwrap_or(Hash([0; 32]))
}
