//! What trees and proofs cost, as ratios to the hashing that they cannot do without:
//! `cargo bench -p tegula-tlog`.
//!
//! What is compared is timed in turn, round after round, so that a machine that slows down slows all of it down; medians
//! of the rounds are shown.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tegula_tlog::{
    Edge, Hash, LeafIndex, NodeTiles, TilePath, TileSet, TreeSize, append_entry, inclusion_tiles,
    leaf_hash, node_hash, prove_inclusion, verify_inclusion,
};
use tlog_tiles::{HashReader, Tile};

fn main() {
    let entries: Vec<[u8; ENTRY]> = (0..LEAVES).map(entry).collect();
    trees(&entries);
    proofs(&entries);
}

/// A million leaves to the bytes of all tiles.
fn trees(entries: &[[u8; ENTRY]]) {
    let [floor, ours, with_bundles, theirs] = medians(
        ROUNDS,
        [
            &|| floor(entries),
            &|| drop(black_box(tiles(entries))),
            &|| bundles(entries),
            &|| foreign_tiles(entries),
        ],
    );
    println!("{LEAVES} leaves of {ENTRY} bytes, median of {ROUNDS} rounds:");
    line("one leaf and one node hash each", floor, floor);
    line("tiles, in batches of 4,096", ours, floor);
    line("tiles and bundles", with_bundles, floor);
    line("tiles, by tlog_tiles", theirs, floor);
}

fn floor(entries: &[[u8; ENTRY]]) {
    let mut node = leaf_hash(&[]);
    for entry in entries {
        node = node_hash(&node, &leaf_hash(entry));
    }
    black_box(node);
}

fn tiles(entries: &[[u8; ENTRY]]) -> Vec<(TilePath, Vec<u8>)> {
    let mut edge = Edge::empty();
    let mut tiles = Vec::new();
    for batch in entries.chunks(4_096) {
        let leaves: Vec<_> = batch.iter().map(|entry| leaf_hash(entry)).collect();
        let growth = edge.grow(&leaves).unwrap();
        tiles.extend_from_slice(growth.full_tiles());
    }
    tiles.extend(edge.partial_tiles());
    tiles
}

fn bundles(entries: &[[u8; ENTRY]]) {
    black_box(tiles(entries));
    for entries in entries.chunks(256) {
        let mut bundle = Vec::with_capacity((2 + ENTRY) * 256);
        for entry in entries {
            append_entry(&mut bundle, entry).unwrap();
        }
        black_box(bundle);
    }
}

fn foreign_tiles(entries: &[[u8; ENTRY]]) {
    let mut hashes = Stored(Vec::with_capacity(2 * entries.len()));
    for (n, entry) in (0..).zip(entries) {
        let new = tlog_tiles::stored_hashes(n, entry, &hashes).unwrap();
        hashes.0.extend(new);
    }
    for tile in Tile::new_tiles(8, 0, LEAVES) {
        black_box(tile.read_data(&hashes).unwrap());
    }
}

/// In memory: as fast as a reader of hashes can be.
struct Stored(Vec<tlog_tiles::Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let at = |index: &u64| self.0.get(usize::try_from(*index).unwrap()).copied();
        Ok(indexes.iter().map(|index| at(index).unwrap()).collect())
    }
}

/// Inclusion proofs of leaves all over a tree, from tiles that are in memory.
fn proofs(entries: &[[u8; ENTRY]]) {
    let size = TreeSize::new(LEAVES).unwrap();
    let mut all = TileSet::new();
    for (path, bytes) in tiles(entries) {
        all.insert(path, bytes).unwrap();
    }
    let root = tegula_tlog::root_of(size, &all).unwrap();
    let indexes: Vec<_> = (0..PROOFS)
        .map(|n| LeafIndex::new(n * 7_919 % LEAVES).unwrap())
        .collect();
    let leaves: Vec<Hash> = indexes
        .iter()
        .map(|index| leaf_hash(&entry(index.get())))
        .collect();
    // Of each proof alone the tiles that it takes, as bytes, as a cache on a disk would give them.
    let cached: Vec<Vec<(TilePath, Vec<u8>)>> = indexes
        .iter()
        .map(|index| {
            let paths = inclusion_tiles(*index, size).unwrap();
            let bytes = |path: &TilePath| {
                let hashes = all.hashes(path).unwrap();
                hashes.flat_map(|hash| hash.0).collect()
            };
            paths.iter().map(|path| (*path, bytes(path))).collect()
        })
        .collect();
    let nodes = NodeTiles::from_tiles(&all);
    let made: Vec<_> = indexes
        .iter()
        .map(|index| nodes.prove_inclusion(*index, size).unwrap())
        .collect();

    let from_bytes = || {
        for (index, tiles) in indexes.iter().zip(&cached) {
            let mut set = TileSet::new();
            for (path, bytes) in tiles {
                set.insert(*path, bytes.clone()).unwrap();
            }
            black_box(prove_inclusion(*index, size, &set).unwrap());
        }
    };
    let from_nodes = || {
        for index in &indexes {
            black_box(nodes.prove_inclusion(*index, size).unwrap());
        }
    };
    let verified = || {
        for ((index, leaf), proof) in indexes.iter().zip(&leaves).zip(&made) {
            verify_inclusion(*index, size, leaf, proof, &root).unwrap();
        }
    };
    let [bytes, nodes, verified] = medians(ROUNDS, [&from_bytes, &from_nodes, &verified]);
    println!("an inclusion proof in a tree of {LEAVES}, median of {ROUNDS} rounds of {PROOFS}:");
    each("made from cached tile bytes", bytes);
    each("made from cached inner nodes", nodes);
    each("verified", verified);
}

/// Does each of them in turn, `rounds` times; the median time of each.
fn medians<const N: usize>(rounds: usize, work: [&dyn Fn(); N]) -> [Duration; N] {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..rounds {
        for (work, times) in work.iter().zip(&mut times) {
            let start = Instant::now();
            work();
            times.push(start.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    })
}

fn line(what: &str, time: Duration, floor: Duration) {
    let ratio = time.as_secs_f64() / floor.as_secs_f64();
    println!(
        "  {what:35} {:8.1} ms  {ratio:.2}",
        time.as_secs_f64() * 1e3
    );
}

fn each(what: &str, time: Duration) {
    let each = time / u32::try_from(PROOFS).unwrap();
    println!("  {what:35} {:8.2} us", each.as_secs_f64() * 1e6);
}

fn entry(n: u64) -> [u8; ENTRY] {
    let mut entry = [0xa5; ENTRY];
    for (to, from) in entry.iter_mut().zip(n.to_be_bytes()) {
        *to = from;
    }
    entry
}

const LEAVES: u64 = 1_000_000;

/// The length of an entry in bytes.
const ENTRY: usize = 300;

const PROOFS: u64 = 10_000;

const ROUNDS: usize = 7;
