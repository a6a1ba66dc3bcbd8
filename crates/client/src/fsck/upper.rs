//! The levels above the leaves.

use std::collections::BTreeMap;

use bytes::Bytes;
use tegula_tlog::{Hash, TilePath, TileSet, TreeSize, root_of, root_tiles};

use super::piece::{Piece, root_of_full, split_tile};
use super::{FsckReport, Object};
use crate::{ReadError, Reader};

/// What the tiles below hash to, until the tile above is complete: at most 256 hashes a level.
pub(super) struct Upper {
    size: TreeSize,
    /// By level, from 1: which tile is next, and the hashes so far. `None` is a tile below that was not there.
    levels: Vec<(u64, Vec<Option<Hash>>)>,
    /// The partial tiles, which together make the root.
    edge: BTreeMap<TilePath, Vec<Hash>>,
}

impl Upper {
    pub(super) fn new(size: TreeSize) -> Self {
        Self {
            size,
            levels: Vec::new(),
            edge: BTreeMap::new(),
        }
    }

    pub(super) async fn push(
        &mut self,
        reader: &Reader,
        report: &mut FsckReport,
        piece: Piece,
    ) -> Result<(), ReadError> {
        if !piece.path.is_full() {
            if let Some(hashes) = piece.hashes {
                self.edge.insert(piece.path, hashes);
            }
            return Ok(());
        }
        debug_assert_eq!(piece.n, piece.path.index(), "a piece is of its tile");
        let mut below = piece.root;
        let mut level = 0;
        loop {
            if self.levels.len() == level {
                self.levels.push((0, Vec::new()));
            }
            let Some((n, hashes)) = self.levels.get_mut(level) else {
                return Ok(());
            };
            hashes.push(below);
            if hashes.len() < 256 {
                return Ok(());
            }
            let (at, complete) = (*n, std::mem::take(hashes));
            *n += 1;
            level += 1;
            let stored = self.check(reader, report, level, at, &complete).await?;
            below = stored.as_deref().map(root_of_full);
        }
    }

    /// Checks the tiles that are not full, and the root.
    pub(super) async fn finish(
        mut self,
        reader: &Reader,
        report: &mut FsckReport,
    ) -> Result<(), ReadError> {
        for (level, (at, hashes)) in std::mem::take(&mut self.levels).into_iter().enumerate() {
            if hashes.is_empty() {
                continue;
            }
            let level = level + 1;
            let stored = self.check(reader, report, level, at, &hashes).await?;
            if let (Some(stored), Some(path)) = (stored, self.path(level, at)) {
                self.edge.insert(path, stored);
            }
        }
        if self.size == TreeSize::ZERO {
            return Ok(());
        }
        let mut tiles = TileSet::new();
        for path in root_tiles(self.size) {
            let Some(hashes) = self.edge.get(&path) else {
                report.problem(format!("the root cannot be computed without {path}"));
                return Ok(());
            };
            let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
            if let Err(error) = tiles.insert(path, bytes) {
                report.problem(format!("{path}: {error}"));
                return Ok(());
            }
        }
        match root_of(self.size, &tiles) {
            Ok(root) if root == report.root => {}
            Ok(root) => report.problem(format!(
                "the tiles hash to the root {root}, the checkpoint says {}",
                report.root
            )),
            Err(error) => report.problem(format!("the root cannot be computed: {error}")),
        }
        Ok(())
    }

    /// Compares a tile with what the tiles below it hash to. What is stored goes on upwards, so that a wrong tile is reported where it
    /// is wrong, and not at every level above.
    async fn check(
        &self,
        reader: &Reader,
        report: &mut FsckReport,
        level: usize,
        at: u64,
        hashes: &[Option<Hash>],
    ) -> Result<Option<Vec<Hash>>, ReadError> {
        let computed = || hashes.iter().copied().collect::<Option<Vec<_>>>();
        let Some(path) = self.path(level, at) else {
            return Ok(computed());
        };
        let object: Option<Object> = reader.read_all(vec![path]).await?.pop();
        let split = |bytes: Bytes| {
            report.tiles += 1;
            report.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            split_tile(&bytes, hashes.len())
        };
        let stored = match object.map(|object| object.and_then(split)) {
            Some(Ok(stored)) => stored,
            Some(Err(problem)) => {
                report.problem(format!("{path} {problem}"));
                return Ok(computed());
            }
            None => return Ok(computed()),
        };
        let differs =
            |(stored, below): &(&Hash, &Option<Hash>)| below.is_some_and(|below| below != **stored);
        for (k, (_, _)) in stored
            .iter()
            .zip(hashes)
            .enumerate()
            .filter(|(_, pair)| differs(pair))
        {
            let child = at * 256 + u64::try_from(k).unwrap_or(u64::MAX);
            report.problem(format!(
                "tile {child} of level {} does not hash to what {path} says",
                level - 1
            ));
        }
        Ok(Some(stored))
    }

    fn path(&self, level: usize, at: u64) -> Option<TilePath> {
        TilePath::hashes_at(u8::try_from(level).ok()?, at, self.size)
    }
}
