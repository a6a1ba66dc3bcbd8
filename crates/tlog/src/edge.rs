//! The right edge of a tree, and how the tree grows there.

use std::collections::HashMap;

use crate::hash::{Hash, empty_root};
use crate::node_tile::NodeTile;
use crate::number::{LeafIndex, TreeSize};
use crate::path::{TilePath, partial_hash_tiles};
use crate::proof::{Nodes, ProofError, Subtree, prove};
use crate::tile_set::TileSet;

/// The tiles of a tree that are not full: all that is needed to append to it. A few kilobytes a level.
#[derive(Clone, Debug)]
pub struct Edge {
    size: TreeSize,
    /// The incomplete tile of each level; it may be empty.
    levels: Vec<NodeTile>,
}

/// What appended leaves added to a tree.
#[derive(Clone, Debug)]
pub struct Growth {
    start: TreeSize,
    end: TreeSize,
    root: Hash,
    full_tiles: Vec<(TilePath, Vec<u8>)>,
    /// Every tile with a new hash, and those at the edge, by level and index.
    tiles: HashMap<(u8, u64), NodeTile>,
}

/// A tree cannot have 2^63 leaves.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a tree of {size} leaves cannot grow by {added}")]
pub struct TreeFull {
    /// The size.
    pub size: TreeSize,
    /// The leaves that were to be added.
    pub added: usize,
}

impl Edge {
    /// The edge of the tree without leaves.
    pub fn empty() -> Self {
        Self {
            size: TreeSize::ZERO,
            levels: Vec::new(),
        }
    }

    /// The tree's size.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The tree's root hash.
    pub fn root(&self) -> Hash {
        let levels = self.levels.iter();
        let root = levels.fold(None, |right, tile| tile.fold(right));
        root.unwrap_or_else(empty_root)
    }

    /// The leaf hashes of the incomplete tile at level 0, 0 to 255 of them.
    pub fn last_leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], NodeTile::hashes)
    }

    /// The hash tiles that are not full, with their bytes, from level 0 up.
    pub fn partial_tiles(&self) -> Vec<(TilePath, Vec<u8>)> {
        let paths = partial_hash_tiles(self.size).into_iter();
        paths
            .filter_map(|path| {
                let tile = self.levels.get(usize::from(path.level()?))?;
                Some((path, tile.to_bytes()))
            })
            .collect()
    }

    /// Appends leaves.
    ///
    /// # Errors
    ///
    /// [`TreeFull`] if there would be more than 2^63-1; then nothing changed.
    pub fn grow(&mut self, leaves: &[Hash]) -> Result<Growth, TreeFull> {
        let start = self.size;
        let end = u64::try_from(leaves.len()).ok();
        let end = end.and_then(|added| TreeSize::new(start.get().checked_add(added)?));
        let end = end.ok_or(TreeFull {
            size: start,
            added: leaves.len(),
        })?;
        let mut full = Vec::new();
        for (index, leaf) in (start.get()..).zip(leaves) {
            self.push(index, *leaf, &mut full);
        }
        self.size = end;

        let mut full_tiles = Vec::with_capacity(full.len());
        let mut tiles = HashMap::with_capacity(full.len() + self.levels.len());
        for (level, index, tile) in full {
            full_tiles.extend(TilePath::hashes(level, index, 256).map(|p| (p, tile.to_bytes())));
            tiles.insert((level, index), tile);
        }
        for (level, tile) in (0..).zip(&self.levels) {
            let index = end.get() >> (8 * u32::from(level)) >> 8;
            tiles.insert((level, index), tile.clone());
        }
        Ok(Growth {
            start,
            end,
            root: self.root(),
            full_tiles,
            tiles,
        })
    }

    /// Adds the leaf with this index, and the hash of every tile that this fills to the tile above.
    fn push(&mut self, index: u64, leaf: Hash, full: &mut Vec<(u8, u64, NodeTile)>) {
        let (mut index, mut hash) = (index, leaf);
        for level in 0.. {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(NodeTile::new());
            }
            let Some(tile) = self.levels.get_mut(at) else {
                return;
            };
            tile.push(hash);
            index /= 256;
            let Some(root) = tile.node(8, 0) else {
                return;
            };
            full.push((level, index, std::mem::replace(tile, NodeTile::new())));
            hash = root;
        }
    }

    /// The tiles that [`Edge::from_tiles`] takes.
    pub fn tiles_needed(size: TreeSize) -> Vec<TilePath> {
        partial_hash_tiles(size)
    }

    /// The edge of the tree with this size and root, from tiles that need not be right.
    ///
    /// # Errors
    ///
    /// [`ProofError`] if a tile is missing, or if they do not lead to the root.
    pub fn from_tiles(size: TreeSize, root: &Hash, tiles: &TileSet) -> Result<Self, ProofError> {
        let mut levels: Vec<NodeTile> = Vec::new();
        for path in partial_hash_tiles(size) {
            let level = path.level().unwrap_or_default();
            let hashes = tiles.hashes(&path).ok_or(ProofError::Missing(path))?;
            let tile = NodeTile::from_hashes(hashes).ok_or(ProofError::Missing(path))?;
            levels.resize(usize::from(level), NodeTile::new());
            levels.push(tile);
        }
        let edge = Self { size, levels };
        let computed = edge.root();
        if computed == *root {
            Ok(edge)
        } else {
            Err(ProofError::Root {
                size,
                expected: *root,
                computed,
            })
        }
    }
}

impl Growth {
    /// The size before.
    pub fn start(&self) -> TreeSize {
        self.start
    }

    /// The size after.
    pub fn end(&self) -> TreeSize {
        self.end
    }

    /// The root after.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The hash tiles that were completed, of all levels, with their bytes.
    pub fn full_tiles(&self) -> &[(TilePath, Vec<u8>)] {
        &self.full_tiles
    }

    /// The inclusion proof of a leaf that was added, in the tree after. `None` for another leaf.
    pub fn prove(&self, index: LeafIndex) -> Option<Vec<Hash>> {
        if index.get() < self.start.get() {
            return None;
        }
        prove(&Subtree::siblings(index, self.end)?, self).ok()
    }
}

impl Nodes for Growth {
    fn node(&self, level: u8, tile: u64, row: usize, place: usize) -> Option<Hash> {
        self.tiles.get(&(level, tile))?.node(row, place)
    }
}
