//! Objects of an index, by the first byte: paths, filters, shards, states, partitions, pages, lists. The hashes that lead to them are
//! made right: otherwise the fuzzer would have to find one.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use tegula_fuzz::CHECKPOINT;
use tegula_index::{
    Answer, Filter, IndexLeaf, IndexPath, Key, List, Lookup, Merge, Record, Run, Shard, State,
    UnitHashes, covered, live_runs,
};
use tegula_tlog::{Edge, Hash, LeafIndex, TreeSize, leaf_hash, node_hash};

fuzz_target!(|input: &[u8]| {
    let Some((what, bytes)) = input.split_first() else {
        return;
    };
    match what % 7 {
        0 => path(bytes),
        1 => filter(bytes),
        2 => shard(bytes),
        3 => state(bytes),
        4 => partition(bytes),
        5 => page(bytes),
        _ => list(bytes),
    }
});

fn path(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(path) = text.parse::<IndexPath>() {
        assert_eq!(path.to_string(), text);
        assert!((80..64 << 20).contains(&path.max_len()));
    }
}

fn filter(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), with_checksum(bytes)] {
        if let Ok(filter) = Filter::from_bytes(&bytes) {
            assert_eq!(filter.to_bytes(), bytes);
            assert!(filter.len() <= filter.heap_bytes() as u64);
            assert!(filter.heap_bytes() < bytes.len());
            for number in 0..16_u8 {
                let held = filter.may_hold(&Key::new(1, &[number]));
                assert!(!held || !filter.is_empty());
            }
        }
    }
    // Whatever the keys are, they are in it.
    let (keys, _) = bytes.as_chunks::<16>();
    let keys: Vec<Key> = keys.iter().copied().map(Key).collect();
    let filter = Filter::new(&keys).unwrap();
    assert!(keys.iter().all(|key| filter.may_hold(key)));
    assert!(filter.len() <= keys.len() as u64);
}

fn shard(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), with_checksum(bytes)] {
        if let Ok(shard) = Shard::from_bytes(&bytes) {
            assert_eq!(shard.to_bytes(), bytes);
            assert!(!shard.partitions().is_empty());
            for number in 0..16_u8 {
                let held = shard.may_hold(&Key::new(1, &[number]));
                assert!(!held || !shard.is_empty());
            }
        }
    }
}

/// The size of the index log, less 1, and a state.
fn state(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else {
        return;
    };
    let size = TreeSize::new(u64::from(*size) + 1).unwrap();
    let path = IndexPath::State(size);
    let zero = Hash([0; 32]);
    assert!(State::open(bytes, size, &zero, &zero).is_err());
    let runs = live_runs(size).unwrap();
    // As somebody would write it who has the index log.
    let Some((leaf, rest)) = bytes.split_first_chunk::<80>() else {
        return;
    };
    let (records, _) = rest.as_chunks::<40>();
    let log_root = Hash(leaf[16..48].try_into().unwrap());
    let Some(records) = records.get(..runs.len()) else {
        return;
    };
    let records: Vec<Record> = records.iter().map(record).collect();
    let leaf = IndexLeaf::new(covered(size).unwrap(), log_root, &records);
    let (root, proof) = committed(size.get() - 1, size.get(), leaf.hash());
    let right = State::encode(&leaf, &records, &proof);
    assert_eq!(right.len(), path.max_len());
    let opened = State::open(&right, size, &root, &log_root).unwrap();
    assert!(opened.runs().iter().map(|(_, record)| record).eq(&records));
    // There is no other.
    if bytes != right {
        assert!(State::open(bytes, size, &root, &log_root).is_err());
    }
    assert!(State::open(&right, size, &root, &leaf.hash()).is_err());
}

fn record(bytes: &[u8; 40]) -> Record {
    let (weight, root) = bytes.split_first_chunk().unwrap();
    Record {
        weight: u64::from_be_bytes(*weight),
        root: Hash(root.try_into().unwrap()),
    }
}

/// Which run, and a partition of it.
fn partition(bytes: &[u8]) {
    let Some((what, bytes)) = bytes.split_first() else {
        return;
    };
    let Some((head, rest)) = bytes.split_first_chunk::<24>() else {
        return;
    };
    let bits = usize::from(what >> 2) % 4;
    let Some((siblings, body)) = rest.split_at_checked(32 * bits) else {
        return;
    };
    let q = u64::from_be_bytes(head[16..].try_into().unwrap());
    let (siblings, _) = siblings.as_chunks::<32>();
    let mut root = leaf_hash(&[head, body].concat());
    for (level, sibling) in siblings.iter().enumerate() {
        root = match q >> level & 1 {
            0 => node_hash(&root, &Hash(*sibling)),
            _ => node_hash(&Hash(*sibling), &root),
        };
    }
    let record = Record {
        weight: 2_048 << bits,
        root,
    };
    // A key that is in it, if it has any, and one that may be.
    let mut keys = Vec::new();
    if let Some((first, _)) = body.split_first_chunk() {
        keys.push(Key(*first));
    }
    keys.push(Key(((u128::from(q) << 1 | 1) << (127 - bits)).to_be_bytes()));
    for key in keys
        .into_iter()
        .filter(|key| key.prefix(record.bits()) == q)
    {
        let Some((run, mut lookup)) = lookup(*what, record, key) else {
            return;
        };
        let path = lookup.needs()[0];
        if lookup.take(path, bytes).is_err() {
            assert_eq!(lookup.needs()[0], path);
            assert!(lookup.answer(&[]).is_err());
            continue;
        }
        assert!(bytes.len() <= path.max_len());
        if let Some(page) = lookup.needs().iter().find(|path| is_page(path)) {
            assert!(lookup.take(*page, bytes).is_err());
        } else if *what % 4 == 0
            && bits == 0
            && head[0] == 1
            && let Ok(answer) = lookup.answer(&[])
        {
            check(run, &answer);
            merged(run, record, bytes, key, &answer);
        }
    }
}

/// A run of which this is the only partition says the same when it is merged with three that are empty.
fn merged(run: Run, record: Record, bytes: &[u8], key: Key, answer: &Answer) {
    let parent = Run::new(run.level() + 1, run.n() / 4).unwrap();
    let mut objects = BTreeMap::new();
    let children = parent.children().unwrap().map(|child| {
        let path = IndexPath::Partition { run: child, q: 0 };
        if child == run {
            objects.insert(path, bytes.to_vec());
            return record;
        }
        let mut empty = [0; 24];
        empty[0] = 1;
        empty[1] = child.level();
        empty[8..16].copy_from_slice(&child.n().to_be_bytes());
        objects.insert(path, empty.to_vec());
        Record {
            weight: 0,
            root: leaf_hash(&empty),
        }
    });
    let merge = Merge::new(parent, children).unwrap();
    let read = |path: IndexPath| objects.get(&path).cloned().ok_or(());
    let hashes: UnitHashes = merge.hash_unit(0, read).unwrap();
    let tree = merge.tree(&[hashes.root().unwrap()]).unwrap();
    let mut made = Vec::new();
    let write = |path, bytes: Vec<u8>| {
        made.push((path, bytes));
        Ok(())
    };
    let filter = merge.write_unit(0, &hashes, &tree, read, write).unwrap();
    assert!(key.domain() != 1 || answer.is_absence() || filter.may_hold(&key));
    // Of a key in all 256 leaves there is no list yet.
    let [(path, bytes)] = &made[..] else {
        panic!("{} objects", made.len());
    };
    let (_, mut lookup) = lookup(1, tree.record(), key).unwrap();
    lookup.take(*path, bytes).unwrap();
    let again = lookup.answer(&[]).unwrap();
    assert_eq!(again.found, answer.found);
    assert!(again.lists.is_empty());
}

/// Which run, and the last page of its only partition, which is a directory of two pages.
fn page(bytes: &[u8]) {
    let Some((what, bytes)) = bytes.split_first() else {
        return;
    };
    let Some((level, first)) = bytes.get(1).zip(bytes.get(32..48)) else {
        return;
    };
    let mut directory = vec![2, *level, 0, 0];
    directory.extend(4_097_u32.to_be_bytes());
    directory.extend(&bytes[8..24]);
    directory.extend([0; 48]);
    directory.extend(first);
    directory.extend(leaf_hash(bytes).0);
    let record = Record {
        weight: 2_048,
        root: leaf_hash(&directory),
    };
    let key = Key(first.try_into().unwrap());
    let Some((run, mut lookup)) = lookup(*what, record, key) else {
        return;
    };
    if lookup.take(lookup.needs()[0], &directory).is_err() {
        return;
    }
    let path = lookup.needs()[0];
    assert!(is_page(&path));
    if lookup.take(path, bytes).is_ok() {
        assert!(bytes.len() <= path.max_len());
        if let Ok(answer) = lookup.answer(&[]) {
            check(run, &answer);
            assert!(!answer.is_absence());
        }
    }
}

/// A page of a list in a run of 65,536 leaves.
fn list(bytes: &[u8]) {
    let Some(head) = bytes.get(..48) else {
        return;
    };
    let [page, count] = [16..24, 24..32].map(|at| {
        let number = &head[at];
        u64::from_be_bytes(number.try_into().unwrap())
    });
    let key = Key(head[32..].try_into().unwrap());
    let pages = count.div_ceil(16_384);
    if !(1_025..=65_536).contains(&count) || page >= pages {
        return;
    }
    // Where the proof would be.
    let proof_len = committed(page, pages, Hash([0; 32])).1.len();
    let Some(postings) = bytes.get(48 + 32 * proof_len..) else {
        return;
    };
    let (root, proof) = committed(page, pages, leaf_hash(&[head, postings].concat()));
    let mut right = head.to_vec();
    right.extend(proof.iter().flat_map(|hash| hash.0));
    right.extend(postings);
    let mut body = vec![1, 4, 0, 0, 0, 0, 0, 1];
    body.extend([0; 16]);
    body.extend(key.0);
    let low = [(count & 0x7f) as u8, (count >> 7 & 0x7f) as u8];
    body.extend(low.map(|low| low | 0x80));
    match (count >> 14) as u8 {
        0 => *body.last_mut().unwrap() &= 0x7f,
        high => body.push(high),
    }
    body.extend(root.0);
    let record = Record {
        weight: 1,
        root: leaf_hash(&body),
    };
    let (run, mut lookup) = lookup(3, record, key).unwrap();
    lookup.take(lookup.needs()[0], &body).unwrap();
    let other = lookup.needs()[0];
    lookup.take(other, &empty_run()).unwrap();
    let answer = lookup.answer(&[]).unwrap();
    assert_eq!((answer.count(), answer.found.len()), (count, 0));
    let list: List = answer.lists[0];
    assert_eq!(
        (list.run(), list.count(), list.pages()),
        (run, count, pages)
    );
    let Ok(indexes) = list.open(page, &right) else {
        return;
    };
    assert!(right.len() <= list.path(page).max_len());
    assert_eq!(indexes.len() as u64, (count - page * 16_384).min(16_384));
    assert!(indexes.is_sorted_by(|a, b| a < b));
    assert!(indexes.iter().all(|index| index.get() < 65_536));
    assert!(list.open(page ^ 1, &right).is_err());
    assert_eq!(list.open(page, bytes).is_ok(), bytes == right);
}

/// A lookup in an index where this is the record of the first run, of level 0, 1, 3 or 4; beside that of level 4 is the run (2, 16), which is empty.
fn lookup(which: u8, record: Record, key: Key) -> Option<(Run, Lookup)> {
    let size = TreeSize::new([1, 4, 64, 272][usize::from(which % 4)])?;
    let run = live_runs(size)?[0];
    let mut records = vec![record];
    if which % 4 == 3 {
        records.push(Record {
            weight: 0,
            root: leaf_hash(&empty_run()),
        });
    }
    let log_root = leaf_hash(&CHECKPOINT);
    let leaf = IndexLeaf::new(covered(size)?, log_root, &records);
    let (root, proof) = committed(size.get() - 1, size.get(), leaf.hash());
    let state = State::encode(&leaf, &records, &proof);
    let state = State::open(&state, size, &root, &log_root).unwrap();
    Some((run, Lookup::new(&state, key)))
}

fn empty_run() -> [u8; 24] {
    let mut empty = [0; 24];
    (empty[0], empty[1], empty[15]) = (1, 2, 16);
    empty
}

fn is_page(path: &IndexPath) -> bool {
    matches!(path, IndexPath::Page { .. })
}

fn check(run: Run, answer: &Answer) {
    assert!(answer.found.is_sorted_by(|a, b| a < b));
    let end = run.start() + run.leaves();
    let mut found = answer.found.iter();
    assert!(found.all(|index| (run.start()..end).contains(&index.get())));
}

/// The root of a tree in which the leaf has this hash and all others are zero, and the leaf's proof.
fn committed(index: u64, size: u64, leaf: Hash) -> (Hash, Vec<Hash>) {
    let mut hashes = vec![Hash([0; 32]); usize::try_from(size).unwrap()];
    hashes[usize::try_from(index).unwrap()] = leaf;
    let growth = Edge::empty().grow(&hashes).unwrap();
    let proof = growth.prove(LeafIndex::new(index).unwrap()).unwrap();
    (growth.root(), proof)
}

fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let body = bytes
        .split_last_chunk::<8>()
        .map_or(bytes, |(body, _)| body);
    let hash = Sha256::digest(body);
    [body, &hash[..8]].concat()
}
