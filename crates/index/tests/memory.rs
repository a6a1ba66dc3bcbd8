//! What merging and looking up allocate at their most.
//!
//! One test, in a process of its own, because it counts all that is allocated.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;

use peak_alloc::PeakAlloc;
use tegula_index::{
    Built, IndexLeaf, IndexPath, Key, Lookup, Merge, Record, Run, State, UnitHashes, build,
};
use tegula_tlog::{Hash, TreeSize, leaf_hash};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

#[test]
fn memory_does_not_grow_with_the_run() {
    // Two units of 64 partitions, 205,000 keys: 3.7 MB.
    let spread = |leaf: usize| (0..200).map(|n| key(leaf * 200 + n)).collect();
    let (whole, peak) = merged(Run::new(1, 0).unwrap(), spread);
    println!("{whole} bytes of partitions, {peak} allocated");
    assert!(whole > 3_500_000 && peak < 512 << 10, "{whole}, {peak}");

    // The same, and every third is a leaf key: 34,000 in each of the two filters.
    let spread = |leaf: usize| {
        let key = |n: usize| Key::new(if n.is_multiple_of(3) { 1 } else { 5 }, &n.to_be_bytes());
        (0..200).map(|n| key(leaf * 200 + n)).collect()
    };
    let (whole, peak) = merged(Run::new(1, 0).unwrap(), spread);
    println!("{whole} bytes of partitions and two filters, {peak} allocated");
    assert!(whole > 3_500_000 && peak < 3 << 20, "{whole}, {peak}");

    // One key in all of 262,144 leaves: as numbers in memory, 2 MiB.
    let (whole, peak) = merged(Run::new(5, 0).unwrap(), |_| vec![key(0)]);
    println!("{whole} bytes of a list, {peak} allocated");
    assert!(whole > 262_144 && peak < 768 << 10, "{whole}, {peak}");

    // 40,000 keys in one of eight partitions: ten pages.
    let ground = |leaf: usize| {
        let mut keys = Vec::new();
        if leaf < 256 {
            keys.extend((0..160).map(|n| ground(leaf * 160 + n)));
        }
        keys
    };
    let (whole, peak) = merged(Run::new(1, 0).unwrap(), ground);
    println!("{whole} bytes of pages, {peak} allocated");
    assert!(whole > 700_000 && peak < 512 << 10, "{whole}, {peak}");

    // What strangers send: numbers that promise much.
    for kind in [1_u8, 2] {
        let mut bytes = vec![kind, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        bytes.extend([0; 16]);
        assert_small(&bytes);
        let mut bytes = vec![kind, 0, 0, 0, 0, 0, 0x10, if kind == 1 { 0 } else { 1 }];
        bytes.extend([0; 32]);
        // A number of postings, and no postings.
        bytes.extend([0x80, 2, 0]);
        assert_small(&bytes);
    }
}

/// The size of the run's objects, and the most that was allocated beside them in either pass.
fn merged(run: Run, keys: impl Fn(usize) -> Vec<Key>) -> (usize, usize) {
    let mut objects: BTreeMap<IndexPath, Vec<u8>> = BTreeMap::new();
    let children = run.children().unwrap().map(|child| {
        let start = usize::try_from(child.start()).unwrap();
        let leaves = usize::try_from(child.leaves()).unwrap();
        let keys: Vec<_> = (start..start + leaves).map(&keys).collect();
        let Built {
            record,
            objects: made,
        } = build(child, &keys).unwrap();
        objects.extend(made);
        record
    });
    let read = |path: IndexPath| Ok::<_, Infallible>(objects[&path].clone());
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let merge = Merge::new(run, children).unwrap();
    let units = (0..merge.units()).map(|unit| merge.hash_unit(unit, read).unwrap());
    let units: Vec<UnitHashes> = units.collect();
    let roots: Vec<_> = units.iter().map(|unit| unit.root().unwrap()).collect();
    let tree = merge.tree(&roots).unwrap();
    let mut whole = 0;
    for (unit, hashes) in (0..).zip(&units) {
        let write = |_, bytes: Vec<u8>| {
            whole += bytes.len();
            Ok(())
        };
        merge.write_unit(unit, hashes, &tree, read, write).unwrap();
    }
    (whole, ALLOCATED.peak_usage() - before)
}

fn assert_small(bytes: &[u8]) {
    let record = Record {
        weight: 1,
        root: leaf_hash(bytes),
    };
    let size = TreeSize::new(256).unwrap();
    let leaf = IndexLeaf::new(size, Hash([7; 32]), &[record]);
    let state = State::encode(&leaf, &[record], &[]);
    let one = TreeSize::new(1).unwrap();
    let state = State::open(&state, one, &leaf.hash(), &Hash([7; 32])).unwrap();
    let mut lookup = Lookup::new(&state, Key([0; 16]));
    let path = lookup.needs()[0];
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    lookup.take(path, bytes).unwrap_err();
    let had = ALLOCATED.peak_usage() - before;
    assert!(had < 8_192, "{} bytes sent, {had} allocated", bytes.len());
}

fn key(number: usize) -> Key {
    Key::new(5, &number.to_be_bytes())
}

fn ground(number: usize) -> Key {
    let mut key = [0; 16];
    key[8..].copy_from_slice(&number.to_be_bytes());
    Key(key)
}
