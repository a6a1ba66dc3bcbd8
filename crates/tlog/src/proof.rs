//! Inclusion and consistency proofs: which tiles they take, how they are made, how they are checked.
//!
//! A proof is a list of hashes of subtrees, each of which covers a range of leaves (RFC 6962,
//! sections 2.1.1 and 2.1.2). The hash of such a range is that of one complete node, or, at the
//! right edge, is computed from a few.

use crate::hash::{Hash, empty_root, node_hash};
use crate::number::{LeafIndex, TreeSize};
use crate::path::{TilePath, partial_hash_tiles};
use crate::tile_set::TileSet;

/// Why a proof is not to be had, or does not prove it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("there is no leaf {index} in a tree of size {size}")]
    Index {
        /// The leaf.
        index: LeafIndex,
        /// The tree.
        size: TreeSize,
    },
    /// The first tree is larger than the second.
    #[error("a tree of size {old} cannot be the beginning of one of size {new}")]
    Sizes {
        /// The first tree.
        old: TreeSize,
        /// The second tree.
        new: TreeSize,
    },
    /// A tile that it takes was not given, or is not wide enough.
    #[error("{0} is needed and was not given")]
    Missing(TilePath),
    /// The number of hashes is wrong.
    #[error("the proof has {found} hashes, expected {expected}")]
    Length {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The hashes lead to another root.
    #[error("the hashes lead to the root {computed} at size {size}, expected {expected}")]
    Root {
        /// The tree.
        size: TreeSize,
        /// The root that it should have.
        expected: Hash,
        /// The root that was computed.
        computed: Hash,
    },
}

/// The hash tiles that [`prove_inclusion`] takes, as wide as they are in the tree of `size`.
///
/// # Errors
///
/// [`ProofError::Index`] if there is no such leaf.
pub fn inclusion_tiles(index: LeafIndex, size: TreeSize) -> Result<Vec<TilePath>, ProofError> {
    let siblings = Subtree::siblings(index, size).ok_or(ProofError::Index { index, size })?;
    Ok(tiles_for(&siblings, size))
}

/// The inclusion proof of a leaf, from the leaf's sibling up.
///
/// # Errors
///
/// [`ProofError::Index`] or [`ProofError::Missing`].
pub fn prove_inclusion(
    index: LeafIndex,
    size: TreeSize,
    tiles: &TileSet,
) -> Result<Vec<Hash>, ProofError> {
    prove_inclusion_from(index, size, tiles)
}

pub(crate) fn prove_inclusion_from(
    index: LeafIndex,
    size: TreeSize,
    nodes: &impl Nodes,
) -> Result<Vec<Hash>, ProofError> {
    let siblings = Subtree::siblings(index, size).ok_or(ProofError::Index { index, size })?;
    prove(&siblings, nodes)
}

/// Checks that a leaf is in the tree with this size and root.
///
/// # Errors
///
/// [`ProofError`] if the proof does not show it.
pub fn verify_inclusion(
    index: LeafIndex,
    size: TreeSize,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    let siblings = Subtree::siblings(index, size).ok_or(ProofError::Index { index, size })?;
    check_length(proof, siblings.len())?;
    let computed = siblings
        .iter()
        .zip(proof)
        .fold(*leaf, |node, (sibling, hash)| {
            if sibling.start > index.get() {
                node_hash(&node, hash)
            } else {
                node_hash(hash, &node)
            }
        });
    check_root(size, root, computed)
}

/// The hash tiles that [`prove_consistency`] takes, as wide as they are in the tree of `new`.
///
/// # Errors
///
/// [`ProofError::Sizes`] if `old` is larger than `new`.
pub fn consistency_tiles(old: TreeSize, new: TreeSize) -> Result<Vec<TilePath>, ProofError> {
    Ok(tiles_for(&Subtree::between(old, new)?, new))
}

/// The consistency proof between two sizes; empty if they are equal or `old` is 0.
///
/// # Errors
///
/// [`ProofError::Sizes`] or [`ProofError::Missing`].
pub fn prove_consistency(
    old: TreeSize,
    new: TreeSize,
    tiles: &TileSet,
) -> Result<Vec<Hash>, ProofError> {
    prove(&Subtree::between(old, new)?, tiles)
}

/// Checks that the tree of `old` and `old_root` is the beginning of that of `new` and `new_root`.
///
/// # Errors
///
/// [`ProofError`] if the proof does not show it.
pub fn verify_consistency(
    old: TreeSize,
    old_root: &Hash,
    new: TreeSize,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let subtrees = Subtree::between(old, new)?;
    check_length(proof, subtrees.len())?;
    if old == TreeSize::ZERO {
        return check_root(old, old_root, empty_root());
    }
    if old == new {
        return check_root(new, new_root, *old_root);
    }
    // A proof without the first subtree is about an old tree that is a complete node itself.
    let mut parts = subtrees.iter().zip(proof.iter().copied());
    let first = if old.get().is_power_of_two() {
        Some(*old_root)
    } else {
        parts.next().map(|(_, hash)| hash)
    };
    let Some(first) = first else {
        return check_length(proof, 1);
    };
    let (mut old_node, mut new_node) = (first, first);
    for (subtree, hash) in parts {
        if subtree.start < old.get() {
            old_node = node_hash(&hash, &old_node);
            new_node = node_hash(&hash, &new_node);
        } else {
            new_node = node_hash(&new_node, &hash);
        }
    }
    check_root(old, old_root, old_node)?;
    check_root(new, new_root, new_node)
}

/// The hash tiles that [`root_of`] takes.
pub fn root_tiles(size: TreeSize) -> Vec<TilePath> {
    partial_hash_tiles(size)
}

/// The root of the tree of this size.
///
/// # Errors
///
/// [`ProofError::Missing`].
pub fn root_of(size: TreeSize, tiles: &TileSet) -> Result<Hash, ProofError> {
    if size == TreeSize::ZERO {
        return Ok(empty_root());
    }
    Subtree::whole(size).hash(tiles)
}

fn check_length(proof: &[Hash], expected: usize) -> Result<(), ProofError> {
    if proof.len() == expected {
        return Ok(());
    }
    Err(ProofError::Length {
        found: proof.len(),
        expected,
    })
}

fn check_root(size: TreeSize, expected: &Hash, computed: Hash) -> Result<(), ProofError> {
    if computed == *expected {
        return Ok(());
    }
    Err(ProofError::Root {
        size,
        expected: *expected,
        computed,
    })
}

fn tiles_for(subtrees: &[Subtree], size: TreeSize) -> Vec<TilePath> {
    let nodes = subtrees.iter().flat_map(Subtree::nodes);
    let tiles = nodes.filter_map(|node| TilePath::hashes_at(node.level(), node.tile(), size));
    let mut tiles: Vec<_> = tiles.collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

/// The hashes of these subtrees.
pub(crate) fn prove(subtrees: &[Subtree], nodes: &impl Nodes) -> Result<Vec<Hash>, ProofError> {
    subtrees.iter().map(|subtree| subtree.hash(nodes)).collect()
}

/// Where the hashes of complete nodes come from.
pub(crate) trait Nodes {
    /// The node at this row (0 to 8) and place of a tile.
    fn node(&self, level: u8, tile: u64, row: usize, place: usize) -> Option<Hash>;
}

/// A complete node: the leaves from `index << height` to `(index + 1) << height`.
#[derive(Copy, Clone)]
struct Node {
    height: u8,
    index: u64,
}

impl Node {
    fn level(self) -> u8 {
        self.height / 8
    }

    fn row(self) -> u8 {
        self.height % 8
    }

    fn tile(self) -> u64 {
        self.index >> (8 - self.row())
    }

    fn hash(self, nodes: &impl Nodes) -> Result<Hash, ProofError> {
        let in_tile = self.index & ((256 >> self.row()) - 1);
        let place = usize::try_from(in_tile).unwrap_or(usize::MAX);
        let hash = nodes.node(self.level(), self.tile(), self.row().into(), place);
        hash.ok_or_else(|| ProofError::Missing(self.path()))
    }

    /// The narrowest tile that has it.
    fn path(self) -> TilePath {
        let in_tile = self.index & ((256 >> self.row()) - 1);
        let width = u16::try_from((in_tile + 1) << self.row()).unwrap_or(u16::MAX);
        let path = TilePath::hashes(self.level(), self.tile(), width);
        path.unwrap_or_else(TilePath::first)
    }
}

/// The leaves of a subtree as RFC 6962 splits a tree: from `start`, `count` of them, where `start` is
/// a multiple of the smallest power of two that is not below `count`.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Subtree {
    start: u64,
    count: u64,
}

impl Subtree {
    fn whole(size: TreeSize) -> Self {
        Self {
            start: 0,
            count: size.get(),
        }
    }

    /// Its two halves; `None` for a leaf.
    fn split(self) -> Option<(Self, Self)> {
        if self.count < 2 {
            return None;
        }
        let left = 1 << (self.count - 1).ilog2();
        let halves = (
            Self {
                start: self.start,
                count: left,
            },
            Self {
                start: self.start + left,
                count: self.count - left,
            },
        );
        Some(halves)
    }

    /// The subtrees whose hashes are the inclusion proof of a leaf, from the leaf up.
    pub(crate) fn siblings(index: LeafIndex, size: TreeSize) -> Option<Vec<Self>> {
        if index.get() >= size.get() {
            return None;
        }
        let mut siblings = Vec::with_capacity(63);
        let mut at = Self::whole(size);
        while let Some((left, right)) = at.split() {
            let (inside, sibling) = if index.get() < right.start {
                (left, right)
            } else {
                (right, left)
            };
            siblings.push(sibling);
            at = inside;
        }
        siblings.reverse();
        Some(siblings)
    }

    /// The subtrees whose hashes are the consistency proof between two sizes, from the edge of the old tree up.
    fn between(old: TreeSize, new: TreeSize) -> Result<Vec<Self>, ProofError> {
        if old > new {
            return Err(ProofError::Sizes { old, new });
        }
        if old == TreeSize::ZERO {
            return Ok(Vec::new());
        }
        let mut subtrees = Vec::with_capacity(64);
        let mut at = Self::whole(new);
        // Down to the subtree that ends where the old tree ends.
        while at.start + at.count > old.get() {
            let Some((left, right)) = at.split() else {
                break;
            };
            let (inside, sibling) = if old.get() <= right.start {
                (left, right)
            } else {
                (right, left)
            };
            subtrees.push(sibling);
            at = inside;
        }
        // Where that is the whole old tree, its root is known to whoever asks.
        if at.start > 0 {
            subtrees.push(at);
        }
        subtrees.reverse();
        Ok(subtrees)
    }

    /// The complete nodes that it is made of, the largest first.
    fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        let (mut start, mut rest) = (self.start, self.count);
        std::iter::from_fn(move || {
            let height = rest.checked_ilog2()?;
            let index = start >> height;
            start += 1 << height;
            rest -= 1 << height;
            let height = u8::try_from(height).ok()?;
            Some(Node { height, index })
        })
    }

    fn hash(&self, nodes: &impl Nodes) -> Result<Hash, ProofError> {
        let mut hashes = [Hash([0; 32]); 64];
        let mut count = 0;
        for (slot, node) in hashes.iter_mut().zip(self.nodes()) {
            *slot = node.hash(nodes)?;
            count += 1;
        }
        let mut hashes = hashes.iter().take(count).rev();
        let last = hashes.next().copied().unwrap_or_else(empty_root);
        Ok(hashes.fold(last, |right, left| node_hash(left, &right)))
    }
}
