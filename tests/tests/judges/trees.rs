//! One tree kept twice: as our tiles, and as the hashes that they store.

use std::collections::{BTreeMap, BTreeSet};

use tegula_tlog::{
    Edge, Hash, LeafIndex, NodeTiles, TilePath, TileSet, TreeSize, VerifiedTiles, leaf_hash,
    prove_consistency, root_of, tiles_between, tiles_of, verify_consistency, verify_inclusion,
};
use tlog_tiles::{
    Error, HashReader, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record,
    prove_tree, stored_hashes, tree_hash,
};

use crate::random::Random;

#[test]
fn small_trees_of_every_size() {
    let mut both = Both::new();
    for size in 0..=600 {
        both.grow_to(size);
        both.agree_on_tiles();
        both.agree_on_inclusion(if size <= 130 || size == 257 {
            every
        } else {
            some
        });
        both.agree_on_consistency();
        both.agree_on_new_tiles();
    }
}

#[test]
fn trees_around_the_end_of_a_tile_of_level_1() {
    let mut both = Both::new();
    for size in [
        255, 256, 257, 4_096, 65_279, 65_280, 65_281, 65_535, 65_536, 65_537, 65_792, 66_000,
    ] {
        both.grow_to(size);
        both.agree_on_tiles();
        both.agree_on_inclusion(some);
        both.agree_on_consistency();
        both.agree_on_new_tiles();
    }
}

/// A proof of which something was changed is refused by both, or accepted by both.
#[test]
fn changed_proofs() {
    let mut both = Both::new();
    let mut accepted = 0;
    for size in [1, 2, 3, 7, 8, 9, 255, 256, 257, 300, 511, 513] {
        both.grow_to(size);
        for _ in 0..200 {
            let (index, old) = (both.random.below(size), 1 + both.random.below(size));
            let mut record = prove_record(size, index, &both.stored).unwrap();
            let mut tree = prove_tree(size, old, &both.stored).unwrap();
            both.change(&mut record);
            both.change(&mut tree);
            let (index, old) = (both.nearby(index), both.nearby(old).max(1));
            let leaf = both.leaves[usize::try_from(index.min(size - 1)).unwrap()];
            let theirs = check_record(&record, size, both.their_root(), index, their(&leaf));
            let ours = verify_inclusion(
                at(index),
                tree_size(size),
                &leaf,
                &our(&record),
                &both.root(),
            );
            assert_eq!(ours.is_ok(), theirs.is_ok(), "leaf {index} of {size}");
            let old_root = both.roots[usize::try_from(old.min(size)).unwrap()];
            let theirs = check_tree(&tree, size, both.their_root(), old, their(&old_root));
            let ours = verify_consistency(
                tree_size(old),
                &old_root,
                tree_size(size),
                &both.root(),
                &our(&tree),
            );
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{old} to {size}");
            accepted += usize::from(ours.is_ok());
        }
    }
    // Some changes change nothing, so the question is not always answered with no.
    assert!((100..2_000).contains(&accepted), "{accepted}");
}

/// The tree without leaves is the beginning of every tree. They do not answer that question: RFC 6962 does not ask it.
#[test]
fn from_the_empty_tree() {
    let mut both = Both::new();
    let empty = both.root();
    both.grow_to(5);
    assert!(prove_tree(5, 0, &both.stored).is_err());
    assert!(check_tree(&Vec::new(), 5, both.their_root(), 0, their(&empty)).is_err());
    assert_eq!(
        prove_consistency(TreeSize::ZERO, tree_size(5), &both.set()),
        Ok(Vec::new())
    );
    let new = (tree_size(5), &both.root());
    verify_consistency(TreeSize::ZERO, &empty, new.0, new.1, &[]).unwrap();
}

struct Both {
    edge: Edge,
    /// Our tiles, by their paths; all that were ever needed.
    tiles: BTreeMap<String, Vec<u8>>,
    leaves: Vec<Hash>,
    /// Our root of each size that was visited.
    roots: Vec<Hash>,
    stored: Stored,
    random: Random,
}

/// Their storage: the hashes of all complete nodes, in their order.
struct Stored(Vec<tlog_tiles::Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, Error> {
        let at = |index: &u64| self.0[usize::try_from(*index).unwrap()];
        Ok(indexes.iter().map(at).collect())
    }
}

/// Their reader of tiles, which authenticates them, over ours.
struct OurTiles<'a>(&'a BTreeMap<String, Vec<u8>>);

impl TileReader for OurTiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(tiles
            .iter()
            .map(|tile| self.0[&path(tile)].clone())
            .collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

impl Both {
    fn new() -> Self {
        Self {
            edge: Edge::empty(),
            tiles: BTreeMap::new(),
            leaves: Vec::new(),
            roots: vec![Edge::empty().root()],
            stored: Stored(Vec::new()),
            random: Random(8),
        }
    }

    fn size(&self) -> u64 {
        self.edge.size().get()
    }

    fn root(&self) -> Hash {
        self.edge.root()
    }

    fn their_root(&self) -> tlog_tiles::Hash {
        tree_hash(self.size(), &self.stored).unwrap()
    }

    fn grow_to(&mut self, size: u64) {
        for n in self.size()..size {
            let entry = format!("entry {n}");
            let new = stored_hashes(n, entry.as_bytes(), &self.stored).unwrap();
            self.stored.0.extend(new);
            self.leaves.push(leaf_hash(entry.as_bytes()));
            self.roots
                .push(our_hash(tree_hash(n + 1, &self.stored).unwrap()));
        }
        let new = &self.leaves[usize::try_from(self.size()).unwrap()..];
        let growth = self.edge.grow(new).unwrap();
        let full = growth.full_tiles().iter().cloned();
        for (path, bytes) in full.chain(self.edge.partial_tiles()) {
            self.tiles.insert(path.to_string(), bytes);
        }
    }

    /// Our tiles of this size.
    fn set(&self) -> TileSet {
        let mut set = TileSet::new();
        for path in tiles_of(self.edge.size()).filter(|path| path.level().is_some()) {
            let bytes = self.tiles[&path.to_string()].clone();
            set.insert(path, bytes).unwrap();
        }
        set
    }

    fn agree_on_tiles(&self) {
        let size = self.size();
        assert_eq!(self.root(), our_hash(self.their_root()), "{size}");
        let mut theirs = TileSet::new();
        let mut paths = BTreeSet::new();
        for tile in Tile::new_tiles(8, 0, size) {
            let bytes = tile.read_data(&self.stored).unwrap();
            assert!(
                self.tiles[&path(&tile)] == bytes,
                "{} at {size}",
                path(&tile)
            );
            paths.insert(path(&tile));
            theirs.insert(path(&tile).parse().unwrap(), bytes).unwrap();
            if tile.level() == 0 {
                let mut data = tile;
                data.set_is_data();
                paths.insert(path(&data));
            }
        }
        assert_eq!(paths, ours(tiles_of(self.edge.size())), "{size}");
        // From their tiles we have the same root, the same right edge, and verify them all.
        assert_eq!(root_of(self.edge.size(), &theirs).unwrap(), self.root());
        let edge = Edge::from_tiles(self.edge.size(), &self.root(), &theirs).unwrap();
        assert_eq!(edge.partial_tiles(), self.edge.partial_tiles());
        let mut verified = VerifiedTiles::new(self.edge.size(), self.root());
        verified.insert_all(&theirs).unwrap();
    }

    fn agree_on_inclusion(&mut self, which: fn(&mut Random, u64) -> Vec<u64>) {
        let size = self.size();
        let nodes = NodeTiles::from_tiles(&self.set());
        let (root, their_root) = (self.root(), self.their_root());
        for index in which(&mut self.random, size) {
            let leaf = self.leaves[usize::try_from(index).unwrap()];
            let proof = nodes.prove_inclusion(at(index), tree_size(size)).unwrap();
            let theirs = prove_record(size, index, &self.stored).unwrap();
            assert_eq!(proof, our(&theirs), "{index} of {size}");
            check_record(&theirs, size, their_root, index, their(&leaf)).unwrap();
            verify_inclusion(at(index), tree_size(size), &leaf, &proof, &root).unwrap();
        }
        // And from our tiles, which they check against the root.
        let tiles = OurTiles(&self.tiles);
        let reader = TileHashReader::new(size, their_root, &tiles);
        for index in some(&mut self.random, size).into_iter().take(3) {
            let theirs = prove_record(size, index, &reader).unwrap();
            let ours = nodes.prove_inclusion(at(index), tree_size(size)).unwrap();
            assert_eq!(our(&theirs), ours, "{index} of {size}");
        }
    }

    fn agree_on_consistency(&mut self) {
        let (size, set) = (self.size(), self.set());
        let (root, their_root) = (self.root(), self.their_root());
        for old in some(&mut self.random, size).into_iter().map(|n| n + 1) {
            let old_root = self.roots[usize::try_from(old).unwrap()];
            let proof = prove_consistency(tree_size(old), tree_size(size), &set).unwrap();
            let theirs = prove_tree(size, old, &self.stored).unwrap();
            assert_eq!(proof, our(&theirs), "{old} to {size}");
            check_tree(&theirs, size, their_root, old, their(&old_root)).unwrap();
            verify_consistency(tree_size(old), &old_root, tree_size(size), &root, &proof).unwrap();
        }
    }

    /// Which tiles come with a step to this size.
    fn agree_on_new_tiles(&mut self) {
        let size = self.size();
        for old in some(&mut self.random, size + 1) {
            let theirs = Tile::new_tiles(8, old, size).into_iter();
            let found = ours(
                tiles_between(tree_size(old), tree_size(size))
                    .filter(|path| path.level().is_some()),
            );
            assert_eq!(
                found,
                theirs.map(|tile| path(&tile)).collect(),
                "{old} to {size}"
            );
        }
    }

    /// Changes a proof, or leaves it as it is.
    fn change(&mut self, proof: &mut Vec<tlog_tiles::Hash>) {
        let random = &mut self.random;
        match (random.below(6), proof.len()) {
            (0, len @ 1..) => proof[random.at(len)].0[random.at(32)] ^= 1 << random.below(8),
            (1, 1..) => drop(proof.remove(random.at(proof.len()))),
            (2, len) => proof.insert(random.at(len + 1), their(&self.leaves[0])),
            (3, 2..) => {
                let (one, other) = (random.at(proof.len()), random.at(proof.len()));
                proof.swap(one, other);
            }
            _ => {}
        }
    }

    fn nearby(&mut self, n: u64) -> u64 {
        match self.random.below(8) {
            0 => n + 1,
            1 => n.saturating_sub(1),
            2 => self.random.next() >> (1 + self.random.below(62)),
            _ => n,
        }
    }
}

fn every(_: &mut Random, end: u64) -> Vec<u64> {
    (0..end).collect()
}

/// Both ends, and some between.
fn some(random: &mut Random, end: u64) -> Vec<u64> {
    let Some(last) = end.checked_sub(1) else {
        return Vec::new();
    };
    let between = (0..8).map(|_| random.below(end));
    [0, last].into_iter().chain(between).collect()
}

/// The path of their tile in our format: theirs names its height too.
fn path(tile: &Tile) -> String {
    let path = tile.path().replacen("tile/8/", "tile/", 1);
    path.replacen("tile/data/", "tile/entries/", 1)
}

fn ours(paths: impl Iterator<Item = TilePath>) -> BTreeSet<String> {
    paths.map(|path| path.to_string()).collect()
}

fn at(index: u64) -> LeafIndex {
    LeafIndex::new(index).unwrap()
}

fn tree_size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap()
}

fn their(hash: &Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(hash.0)
}

fn our_hash(hash: tlog_tiles::Hash) -> Hash {
    Hash(hash.0)
}

fn our(proof: &[tlog_tiles::Hash]) -> Vec<Hash> {
    proof.iter().copied().map(our_hash).collect()
}
