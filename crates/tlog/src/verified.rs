//! Tiles that were checked against a root.

use std::collections::BTreeSet;

use crate::hash::Hash;
use crate::number::TreeSize;
use crate::path::{TilePath, partial_hash_tiles};
use crate::proof::{Nodes, ProofError, root_of};
use crate::tile_set::TileSet;

/// Hash tiles of one tree, none of which is in before it is known to be right.
///
/// The tiles at the right edge are right if they lead to the root; a full tile is right if its hash
/// is in the tile above.
#[derive(Clone, Debug)]
pub struct VerifiedTiles {
    size: TreeSize,
    root: Hash,
    tiles: TileSet,
    edge_is_in: bool,
}

/// Why tiles were not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unverified {
    /// The tiles at the right edge do not lead to the root, or are not all there.
    #[error("the right edge: {0}")]
    Edge(#[from] ProofError),
    /// A tile does not hash to what the tile above it says.
    #[error("{0} is not the tile that the tree has")]
    Wrong(TilePath),
    /// The tile above is neither here nor given.
    #[error("{0} cannot be checked without the tile above it")]
    Unchecked(TilePath),
    /// The tree has no such tile.
    #[error("a tree of size {size} has no tile {index} at level {level}")]
    Foreign {
        /// The tree's size.
        size: TreeSize,
        /// The tile's level.
        level: u8,
        /// The tile's index.
        index: u64,
    },
}

impl VerifiedTiles {
    /// No tiles yet of the tree with this size and root.
    pub fn new(size: TreeSize, root: Hash) -> Self {
        Self {
            size,
            root,
            tiles: TileSet::new(),
            edge_is_in: false,
        }
    }

    /// The tiles, for proofs in this tree and in smaller ones.
    pub fn tiles(&self) -> &TileSet {
        &self.tiles
    }

    /// The hashes of a tile, if it is in: as many as the path says.
    pub fn hashes(&self, path: &TilePath) -> Option<impl Iterator<Item = Hash> + '_> {
        self.tiles.hashes(path)
    }

    /// The tiles that have to be inserted, all together, to have this one: none if it is in. They are as wide as they are in this
    /// tree. For a bundle, those for its leaf hashes.
    pub fn needed_for(&self, path: &TilePath) -> Vec<TilePath> {
        let mut needed = BTreeSet::new();
        let (mut level, mut index) = (path.level().unwrap_or(0), path.index());
        while let Some(tile) = TilePath::hashes_at(level, index, self.size) {
            if self.has(&tile) {
                break;
            }
            needed.insert(tile);
            if !tile.is_full() {
                break;
            }
            level += 1;
            index /= 256;
        }
        if !needed.is_empty() && !self.edge_is_in {
            needed.extend(partial_hash_tiles(self.size));
        }
        needed.into_iter().collect()
    }

    /// Checks tiles and puts them in. They may be wider than they are in this tree; what is beyond is left out.
    ///
    /// # Errors
    ///
    /// [`Unverified`] if one of them is not right, or cannot be checked; then none of them is in.
    pub fn insert_all(&mut self, tiles: &TileSet) -> Result<(), Unverified> {
        let mut cut = Vec::new();
        for (level, index) in tiles.places() {
            let path = TilePath::hashes_at(level, index, self.size).ok_or(Unverified::Foreign {
                size: self.size,
                level,
                index,
            })?;
            let bytes = tiles.bytes(&path).ok_or(Unverified::Wrong(path))?;
            cut.push((path, bytes));
        }
        let mut grown = TileSet::new();
        let mut edge_is_in = self.edge_is_in;
        if !edge_is_in && self.size != TreeSize::ZERO {
            for (path, bytes) in cut.iter().filter(|(path, _)| !path.is_full()) {
                grown
                    .insert(*path, bytes.to_vec())
                    .map_err(|_length| Unverified::Wrong(*path))?;
            }
            let computed = root_of(self.size, &grown)?;
            if computed != self.root {
                return Err(Unverified::Edge(ProofError::Root {
                    size: self.size,
                    expected: self.root,
                    computed,
                }));
            }
            edge_is_in = true;
        }
        // From the top, so that the tile above is in before the one below is looked at.
        cut.sort_unstable_by_key(|(path, _)| std::cmp::Reverse(path.level()));
        for (path, bytes) in cut {
            if path.is_full() {
                self.check_full(&grown, &path, tiles)?;
            } else if grown.bytes(&path).or_else(|| self.tiles.bytes(&path)) != Some(bytes) {
                return Err(Unverified::Wrong(path));
            }
            grown
                .insert(path, bytes.to_vec())
                .map_err(|_length| Unverified::Wrong(path))?;
        }
        self.edge_is_in = edge_is_in;
        self.tiles.extend(grown);
        Ok(())
    }

    /// Lets go of the full tiles of a level.
    pub fn forget_level(&mut self, level: u8) {
        self.tiles.remove_full(level);
    }

    fn has(&self, path: &TilePath) -> bool {
        self.tiles.bytes(path).is_some()
    }

    fn check_full(
        &self,
        grown: &TileSet,
        path: &TilePath,
        tiles: &TileSet,
    ) -> Result<(), Unverified> {
        let unchecked = || Unverified::Unchecked(*path);
        let level = path.level().ok_or_else(unchecked)?;
        let place = usize::try_from(path.index() % 256).map_err(|_large| unchecked())?;
        let (level_above, index_above) = (level + 1, path.index() / 256);
        let above = |tiles: &TileSet| tiles.node(level_above, index_above, 0, place);
        let expected = above(grown)
            .or_else(|| above(&self.tiles))
            .ok_or_else(unchecked)?;
        if tiles.node(level, path.index(), 8, 0) == Some(expected) {
            Ok(())
        } else {
            Err(Unverified::Wrong(*path))
        }
    }
}
