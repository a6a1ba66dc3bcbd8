//! A hash tile together with the nodes above its hashes.

use crate::hash::{Hash, node_hash};

/// The first hashes of a tile and every complete node above them, each hashed once.
///
/// Row 0 is the tile's own hashes, row 8 its one root.
#[derive(Clone, Debug)]
pub(crate) struct NodeTile {
    width: usize,
    /// Row `r` begins at `512 - (512 >> r)`; what is beyond the width is not set.
    nodes: Vec<Hash>,
}

impl NodeTile {
    pub(crate) fn new() -> Self {
        Self {
            width: 0,
            nodes: vec![Hash([0; 32]); NODES],
        }
    }

    /// `None` if there are more than 256 hashes.
    pub(crate) fn from_hashes(hashes: impl IntoIterator<Item = Hash>) -> Option<Self> {
        let mut tile = Self::new();
        for hash in hashes {
            if tile.is_full() {
                return None;
            }
            tile.push(hash);
        }
        Some(tile)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.width == WIDTH
    }

    /// The tile's own hashes.
    pub(crate) fn hashes(&self) -> &[Hash] {
        self.nodes.get(..self.width).unwrap_or_default()
    }

    /// The tile as it is stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 * self.width);
        for hash in self.hashes() {
            bytes.extend_from_slice(&hash.0);
        }
        bytes
    }

    /// Adds a hash and the nodes that it completes. A full tile stays as it is.
    pub(crate) fn push(&mut self, hash: Hash) {
        if self.is_full() {
            return;
        }
        let (mut at, mut node) = (self.width, hash);
        self.width += 1;
        for row in 0..ROWS {
            let start = row_start(row);
            if let Some(slot) = self.nodes.get_mut(start + at) {
                *slot = node;
            }
            // An odd place completes the pair below one node of the row above.
            let left = at
                .checked_sub(1)
                .and_then(|left| self.nodes.get(start + left));
            match left {
                Some(left) if at % 2 == 1 => node = node_hash(left, &node),
                _ => return,
            }
            at /= 2;
        }
    }

    /// The node at this row and place, if it is complete.
    pub(crate) fn node(&self, row: usize, place: usize) -> Option<Hash> {
        let complete = row < ROWS && place < self.width >> row;
        let node = complete.then(|| self.nodes.get(row_start(row) + place))?;
        node.copied()
    }

    /// The hash of all leaves below this tile's hashes, and those to their right, whose hash is `right`.
    pub(crate) fn fold(&self, right: Option<Hash>) -> Option<Hash> {
        let complete = (0..ROWS).filter(|row| self.width >> row & 1 == 1);
        let nodes = complete.filter_map(|row| self.node(row, (self.width >> row) - 1));
        nodes.fold(right, |right, left| {
            Some(right.map_or(left, |right| node_hash(&left, &right)))
        })
    }
}

fn row_start(row: usize) -> usize {
    2 * WIDTH - ((2 * WIDTH) >> row)
}

const WIDTH: usize = 256;
const ROWS: usize = 9;
const NODES: usize = 2 * WIDTH - 1;
