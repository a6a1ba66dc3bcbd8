//! Hash tiles as bytes, and what can be computed from them. Nothing here says that they are right.

use std::collections::BTreeMap;

use crate::hash::{Hash, node_hash};
use crate::node_tile::NodeTile;
use crate::number::{LeafIndex, TreeSize};
use crate::path::TilePath;
use crate::proof::{Nodes, ProofError, prove_inclusion_from};

/// Hash tiles by level and index. Of one place it holds one tile: a wider one serves for a narrower.
#[derive(Clone, Debug, Default)]
pub struct TileSet {
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
}

/// What is not a hash tile.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TileError {
    /// An entry bundle has entries, not hashes.
    #[error("{0} is an entry bundle, expected a hash tile")]
    Bundle(TilePath),
    /// The bytes are too few or too many.
    #[error("{path} is {len} bytes, expected {}", 32 * usize::from(path.width()))]
    Length {
        /// The tile.
        path: TilePath,
        /// How many bytes were given.
        len: usize,
    },
}

impl TileSet {
    /// A set without tiles.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts in a tile. A wider one in its place stays.
    ///
    /// # Errors
    ///
    /// [`TileError`] if it is a bundle, or has not as many bytes as its path says.
    pub fn insert(&mut self, path: TilePath, bytes: Vec<u8>) -> Result<(), TileError> {
        let level = path.level().ok_or(TileError::Bundle(path))?;
        if bytes.len() != 32 * usize::from(path.width()) {
            let len = bytes.len();
            return Err(TileError::Length { path, len });
        }
        let held = self.tiles.entry((level, path.index())).or_default();
        if held.len() < bytes.len() {
            *held = bytes;
        }
        Ok(())
    }

    /// The hashes of a tile, if they are here: as many as the path says.
    pub fn hashes(&self, path: &TilePath) -> Option<impl Iterator<Item = Hash> + '_> {
        let bytes = self.bytes(path)?;
        Some(bytes.as_chunks::<32>().0.iter().copied().map(Hash))
    }

    /// The bytes of a tile, if they are here.
    pub(crate) fn bytes(&self, path: &TilePath) -> Option<&[u8]> {
        let bytes = self.tiles.get(&(path.level()?, path.index()))?;
        bytes.get(..32 * usize::from(path.width()))
    }

    /// Level and index of each tile.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        self.tiles.keys().copied()
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.tiles.extend(other.tiles);
    }

    pub(crate) fn remove_full(&mut self, level: u8) {
        self.tiles
            .retain(|(at, _), bytes| *at != level || bytes.len() < FULL_LEN);
    }
}

impl Nodes for TileSet {
    fn node(&self, level: u8, tile: u64, row: usize, place: usize) -> Option<Hash> {
        let bytes = self.tiles.get(&(level, tile))?;
        let (start, end) = (place << row, (place + 1) << row);
        let hashes = bytes.as_chunks::<32>().0.get(start..end)?;
        let mut nodes = [Hash([0; 32]); 256];
        for (node, hash) in nodes.iter_mut().zip(hashes) {
            *node = Hash(*hash);
        }
        for row in (0..row).rev() {
            for at in 0..1 << row {
                if let (Some(left), Some(right)) = (nodes.get(2 * at), nodes.get(2 * at + 1)) {
                    let node = node_hash(left, right);
                    if let Some(slot) = nodes.get_mut(at) {
                        *slot = node;
                    }
                }
            }
        }
        nodes.first().copied()
    }
}

/// Hash tiles with all their inner nodes: for many proofs from the same tiles. 16 KiB a tile.
#[derive(Clone, Debug, Default)]
pub struct NodeTiles {
    tiles: BTreeMap<(u8, u64), NodeTile>,
}

impl NodeTiles {
    /// Hashes the inner nodes of tiles.
    pub fn from_tiles(tiles: &TileSet) -> Self {
        let with_nodes = tiles.tiles.iter().filter_map(|(place, bytes)| {
            let hashes = bytes.as_chunks::<32>().0.iter().copied().map(Hash);
            Some((*place, NodeTile::from_hashes(hashes)?))
        });
        Self {
            tiles: with_nodes.collect(),
        }
    }

    /// As [`prove_inclusion`](crate::prove_inclusion).
    ///
    /// # Errors
    ///
    /// [`ProofError::Index`] or [`ProofError::Missing`].
    pub fn prove_inclusion(
        &self,
        index: LeafIndex,
        size: TreeSize,
    ) -> Result<Vec<Hash>, ProofError> {
        prove_inclusion_from(index, size, self)
    }
}

impl Nodes for NodeTiles {
    fn node(&self, level: u8, tile: u64, row: usize, place: usize) -> Option<Hash> {
        self.tiles.get(&(level, tile))?.node(row, place)
    }
}

const FULL_LEN: usize = 32 * 256;
