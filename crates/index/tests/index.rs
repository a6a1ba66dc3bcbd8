//! Indexes of whole logs, against a search that looks at every entry; and everything that is not the index is refused.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test stops where it fails"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;
use tegula_index::{
    Answer, BASE_LEAVES, Built, Filter, IndexError, IndexLeaf, IndexPath, Key, List, Lookup, Merge,
    MergeError, Record, Run, Shard, State, UnitHashes, build, covered, live_runs,
};
use tegula_tlog::{Edge, Hash, LeafIndex, TreeSize, leaf_hash};

type Objects = BTreeMap<IndexPath, Vec<u8>>;

/// A log, as far as the index goes: what each entry can be searched by. And its index at every size.
struct World {
    keys: Vec<Vec<Key>>,
    objects: Objects,
    /// Of the index log at each size from 1 up, and of the log where that covers it.
    roots: Vec<(Hash, Hash)>,
}

impl World {
    fn new(name: &str, keys: Vec<Vec<Key>>) -> Self {
        let (mut log, mut index) = (Edge::empty(), Edge::empty());
        let mut objects = Objects::new();
        let mut records: BTreeMap<Run, Record> = BTreeMap::new();
        let mut roots = Vec::new();
        for (n, bundle) in (0..).zip(keys.chunks_exact(BASE_LEAVES as usize)) {
            let leaves = 0..bundle.len();
            let leaves = leaves.map(|leaf| leaf_hash(format!("{name} {n} {leaf}").as_bytes()));
            log.grow(&leaves.collect::<Vec<_>>()).unwrap();
            let base = Run::new(0, n).unwrap();
            let built = build(base, bundle).unwrap();
            objects.extend(built.objects);
            records.insert(base, built.record);
            let live = live_runs(size(n + 1)).unwrap();
            for run in &live {
                make(*run, &mut records, &mut objects);
            }
            let live: Vec<_> = live.iter().map(|run| records[run]).collect();
            let leaf = IndexLeaf::new(log.size(), log.root(), &live);
            let growth = index.grow(&[leaf.hash()]).unwrap();
            let proof = growth.prove(LeafIndex::new(n).unwrap()).unwrap();
            let state = State::encode(&leaf, &live, &proof);
            objects.insert(IndexPath::State(index.size()), state);
            roots.push((index.root(), log.root()));
        }
        Self {
            keys,
            objects,
            roots,
        }
    }

    fn state(&self, index_size: u64) -> State {
        let (root, log_root) = &self.roots[index_size as usize - 1];
        let size = size(index_size);
        let bytes = &self.objects[&IndexPath::State(size)];
        State::open(bytes, size, root, log_root).unwrap()
    }

    /// The entries that have the key, and how many objects it took.
    fn search(&self, index_size: u64, log_size: u64, key: Key) -> (Vec<u64>, usize) {
        let state = self.state(index_size);
        let mut lookup = Lookup::new(&state, key);
        let mut reads = 0;
        while let needs = lookup.needs()
            && !needs.is_empty()
        {
            reads += needs.len();
            for path in needs {
                lookup.take(path, &self.objects[&path]).unwrap();
            }
        }
        let tail = &self.keys[state.covered().get() as usize..log_size as usize];
        let answer = lookup.answer(tail).unwrap();
        assert_eq!(answer.size.get(), log_size);
        let found = all(&answer, &self.objects);
        assert_eq!(answer.count(), found.len() as u64);
        assert_eq!(answer.is_absence(), found.is_empty());
        (found, reads)
    }

    fn naive(&self, log_size: u64, key: Key) -> Vec<u64> {
        let entries = (0..log_size).zip(&self.keys);
        let entries = entries.filter(|(_, keys)| keys.contains(&key));
        entries.map(|(index, _)| index).collect()
    }

    fn check(&self, index_size: u64, keys: impl IntoIterator<Item = Key>) {
        let covered = covered(size(index_size)).unwrap().get();
        let log_size = (covered + 255).min(self.keys.len() as u64);
        for key in keys {
            let found = self.search(index_size, log_size, key).0;
            assert_eq!(found, self.naive(log_size, key), "{key} at {index_size}");
        }
    }
}

fn all(answer: &Answer, objects: &Objects) -> Vec<u64> {
    let mut found = answer.found.clone();
    for list in &answer.lists {
        for page in 0..list.pages() {
            found.extend(list.open(page, &objects[&list.path(page)]).unwrap());
        }
    }
    found.sort_unstable();
    found.iter().map(|index| index.get()).collect()
}

fn size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap()
}

fn merge(run: Run, records: &BTreeMap<Run, Record>, objects: &mut Objects) -> Record {
    let children = run.children().unwrap().map(|child| records[&child]);
    let merge = Merge::new(run, children).unwrap();
    let read = |path: IndexPath| Ok::<_, Infallible>(objects[&path].clone());
    let units: Vec<_> = (0..merge.units())
        .map(|unit| merge.hash_unit(unit, read).unwrap())
        .collect();
    let roots: Vec<_> = units.iter().map(|unit| unit.root().unwrap()).collect();
    let tree = merge.tree(&roots).unwrap();
    let mut made = Objects::new();
    // From the last to the first, and the last one twice.
    let again = units.len() - 1;
    for unit in (0..units.len()).rev().chain([again]) {
        let kept = UnitHashes::from_bytes(&units[unit].to_bytes()).unwrap();
        let write = |path, bytes: Vec<u8>| {
            let before = made.insert(path, bytes.clone());
            assert!(before.is_none_or(|before| before == bytes), "{path}");
            Ok(())
        };
        merge
            .write_unit(unit as u64, &kept, &tree, read, write)
            .unwrap();
    }
    objects.extend(made);
    tree.record()
}

/// Merges up to the run, from base runs made of the keys; what it has and what made straight from the keys has.
fn both_ways(run: Run, keys: &[Vec<Key>]) -> (Built, Built) {
    fn up(run: Run, keys: &[Vec<Key>], records: &mut BTreeMap<Run, Record>, objects: &mut Objects) {
        let record = match run.children() {
            None => {
                let start = run.start() as usize;
                let built = build(run, &keys[start..start + 256]).unwrap();
                objects.extend(built.objects);
                built.record
            }
            Some(children) => {
                for child in children {
                    up(child, keys, records, objects);
                }
                merge(run, records, objects)
            }
        };
        records.insert(run, record);
    }
    let (mut records, mut objects) = (BTreeMap::new(), Objects::new());
    up(run, keys, &mut records, &mut objects);
    let of_run = objects.into_iter().filter(|(path, _)| run_of(path) == run);
    let merged = Built {
        record: records[&run],
        objects: of_run.collect(),
    };
    let mut direct = build(run, &keys[run.start() as usize..][..run.leaves() as usize]).unwrap();
    direct.objects.sort();
    (merged, direct)
}

/// Merges a run that is not there yet, and those of its children that were never live: the last of four is not, up to level 3.
fn make(run: Run, records: &mut BTreeMap<Run, Record>, objects: &mut Objects) {
    if records.contains_key(&run) {
        return;
    }
    for child in run.children().unwrap() {
        make(child, records, objects);
    }
    let record = merge(run, records, objects);
    records.insert(run, record);
}

fn run_of(path: &IndexPath) -> Run {
    match path {
        IndexPath::Partition { run, .. }
        | IndexPath::Page { run, .. }
        | IndexPath::List { run, .. } => *run,
        IndexPath::State(_) => panic!("no run"),
    }
}

fn assert_same(run: Run, keys: &[Vec<Key>]) -> Objects {
    let (merged, direct) = both_ways(run, keys);
    assert_eq!(merged.record, direct.record);
    let names = |built: &Built| -> Vec<String> {
        let paths = built.objects.iter().map(|(path, _)| path);
        paths.map(ToString::to_string).collect()
    };
    assert_eq!(names(&merged), names(&direct));
    assert!(merged.objects == direct.objects, "other bytes of {run}");
    merged.objects.into_iter().collect()
}

fn key(number: u64) -> Key {
    Key::new(5, &number.to_be_bytes())
}

/// Keys that were looked for until they had no bit set at the front.
fn ground(number: u64) -> Key {
    let mut key = [0; 16];
    key[8..].copy_from_slice(&number.to_be_bytes());
    Key(key)
}

/// A log where a few of the keys are very common, some seldom, and the last ones are nowhere.
fn some_log(len: usize, rank: &[u16]) -> Vec<Vec<Key>> {
    let of_leaf = |leaf: usize| {
        let mut keys = vec![key(1_000_000 + leaf as u64)];
        for (n, rank) in rank.iter().enumerate() {
            if leaf.is_multiple_of(usize::from(*rank)) {
                keys.push(key(n as u64));
            }
        }
        keys
    };
    (0..len).map(of_leaf).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_a_search_finds_is_what_is_there(
        base in prop::sample::select(vec![256_usize, 512, 1024, 1280, 4096, 4352]),
        off in 0_usize..5,
        rank in prop::collection::vec(1_u16..3_000, 1..8),
    ) {
        let keys = some_log(base + 253 + off - 255, &rank);
        let world = World::new("a", keys);
        for index_size in 1..=world.roots.len() as u64 {
            let ranked = (0..rank.len() as u64 + 2).map(key);
            let own = [0, 255, 256, 1023].map(|leaf| key(1_000_000 + leaf));
            world.check(index_size, ranked.chain(own));
        }
    }

    #[test]
    fn random_keys(
        picks in prop::collection::vec(prop::collection::vec(0_u64..400, 0..5), 1030..1100),
    ) {
        let keys = picks.iter().map(|picks| picks.iter().map(|pick| key(pick * pick / 400)).collect());
        let world = World::new("b", keys.collect());
        world.check(4, (0..401).map(key));
    }

    #[test]
    fn merged_is_as_made_at_once(
        rank in prop::collection::vec(1_u16..3_000, 0..8),
        picks in prop::collection::vec(prop::collection::vec(0_u64..3_000, 0..9), 4096),
    ) {
        let mut keys = some_log(4096, &rank);
        for (keys, picks) in keys.iter_mut().zip(&picks) {
            keys.extend(picks.iter().map(|pick| key(*pick)));
        }
        assert_same(Run::new(2, 0).unwrap(), &keys);
        assert_same(Run::new(1, 3).unwrap(), &keys);
    }
}

#[test]
fn around_the_first_delay() {
    // Key 0 is in every entry, so that its list has four pages and more; key 5 in none.
    let keys = some_log(274 * 256 + 100, &[1, 3, 64, 65_000, 40_000]);
    let world = World::new("large", keys);
    for index_size in [255, 256, 257, 271, 272, 273, 274] {
        let own = [0, 65_535, 65_536, 69_631].map(|leaf| key(1_000_000 + leaf));
        world.check(index_size, (0..6).map(key).chain(own));
        let runs = live_runs(size(index_size)).unwrap().len();
        let log_size = index_size * 256;
        assert_eq!(world.search(index_size, log_size, key(2)).1, runs);
    }
    let state = world.state(272);
    assert_eq!(state.runs().len(), 2);
    assert_eq!(state.runs()[0].0, Run::new(4, 0).unwrap());
}

#[test]
fn many_units_are_as_one_piece() {
    let leaf = |leaf: u64| (0..200).map(|n| key(leaf * 200 + n)).collect();
    let keys: Vec<Vec<Key>> = (0..1024).map(leaf).collect();
    let run = Run::new(1, 0).unwrap();
    let objects = assert_same(run, &keys);
    assert_eq!(objects.len(), 128);
    let longest = objects.values().map(Vec::len).max().unwrap();
    assert!(longest < 40_000, "{longest}");
}

#[test]
fn a_partition_of_a_light_child_is_of_several_units() {
    let of_leaf = |leaf: u64| if leaf < 256 { 1 } else { 200 };
    let leaf = |leaf| (0..of_leaf(leaf)).map(|n| key(leaf * 200 + n)).collect();
    let keys: Vec<Vec<Key>> = (0..1024).map(leaf).collect();
    let light = build(Run::new(0, 0).unwrap(), &keys[..256]).unwrap();
    assert_eq!(light.record.bits(), 0);
    let objects = assert_same(Run::new(1, 0).unwrap(), &keys);
    assert_eq!(objects.len(), 128);
}

#[test]
fn keys_ground_into_one_partition() {
    // 20,000 keys that begin with zeros, in the first bundle, and two in the last.
    let mut keys = vec![Vec::new(); 1024];
    for number in 0..20_000 {
        keys[number as usize % 256].push(ground(2 * number));
    }
    keys[1000].extend([ground(10_000), ground(10_001)]);
    keys[1001].extend((0..500).map(key));
    let objects = assert_same(Run::new(1, 0).unwrap(), &keys);
    let longest = objects.values().map(Vec::len).max().unwrap();
    assert!(longest < 100_000, "{longest}");
    let world = World::new("ground", keys);
    for index_size in 1..=4 {
        let looked_for = (0..400)
            .step_by(3)
            .chain(8_180..8_200)
            .chain(39_990..40_010);
        world.check(index_size, looked_for.map(ground));
        world.check(index_size, (0..10).map(key));
        world.check(index_size, [ground(10_000), ground(10_001), ground(10_002)]);
    }
    // The partition, and the page.
    assert_eq!(world.search(4, 1024, ground(8_192)).1, 2);
}

#[test]
fn more_postings_than_a_page_from_lists_and_others() {
    // In one child a list, in one a few, in one none, in one a list of several pages.
    let has = |leaf: usize| match leaf / 16_384 {
        0 => leaf < 1_100,
        1 => leaf.is_multiple_of(1000),
        2 => false,
        _ => leaf > 3 * 16_384 + 5,
    };
    let leaf = |leaf| {
        if has(leaf) {
            vec![key(1)]
        } else {
            vec![key(2)]
        }
    };
    let keys: Vec<_> = (0..65_536).map(leaf).collect();
    let objects = assert_same(Run::new(4, 0).unwrap(), &keys);
    assert_eq!(objects.len(), 1 + 2 + 3);
}

/// Bytes with one byte changed, cut short, and with one more.
/// In all of a million leaves, in each third, in one, and in none: at the size at which the run over all of them is live, and at the one before.
#[test]
fn a_key_with_a_million_postings() {
    let base_runs = 4_096 + 256;
    let keys = (0..base_runs * BASE_LEAVES).map(|leaf| {
        let mut keys = vec![key(1)];
        keys.extend((leaf % 3 == 0).then(|| key(2)));
        keys.extend((leaf == 777_777).then(|| key(3)));
        keys
    });
    let world = World::new("million", keys.collect());
    for index_size in [base_runs - 1, base_runs] {
        let live = live_runs(size(index_size)).unwrap();
        let longest = live.iter().map(Run::leaves).max().unwrap();
        assert_eq!(longest == 1 << 20, index_size == base_runs);
        world.check(index_size, [1, 2, 3, 4].map(key));
    }
}

fn changes(bytes: &[u8], step: usize) -> impl Iterator<Item = Vec<u8>> {
    let places = (0..bytes.len()).filter(move |at| *at < 200 || at % step == 0);
    let changed = places.flat_map(move |at| {
        [1, 0x10, 0x80, 0xff].map(|mask| {
            let mut changed = bytes.to_vec();
            changed[at] ^= mask;
            changed
        })
    });
    let cut = (0..bytes.len())
        .step_by(step)
        .map(|len| bytes[..len].to_vec());
    let last = bytes.iter().copied().chain([0]).collect();
    changed.chain(cut).chain([last])
}

fn refuses(lookup: &Lookup, path: IndexPath, bytes: &[u8], step: usize) {
    for changed in changes(bytes, step) {
        let mut lookup = lookup.clone();
        lookup.take(path, &changed).unwrap_err();
        assert!(lookup.needs().contains(&path));
    }
    lookup.clone().take(path, bytes).unwrap();
}

#[test]
fn every_change_of_a_partition_is_refused() {
    let leaf = |leaf: u64| vec![key(leaf % 40), key(leaf / 100), key(1000 + leaf / 3)];
    let world = World::new("c", (0..256).map(leaf).collect());
    let lookup = Lookup::new(&world.state(1), key(7));
    let path = lookup.needs()[0];
    refuses(&lookup, path, &world.objects[&path], 1);
    // With siblings.
    let leaf = |leaf: u64| (0..20).map(|n| key(20 * leaf + n)).collect();
    let world = World::new("c", (0..256).map(leaf).collect());
    let lookup = Lookup::new(&world.state(1), key(7));
    let path = lookup.needs()[0];
    assert!(matches!(path, IndexPath::Partition { .. }));
    refuses(&lookup, path, &world.objects[&path], 13);
}

#[test]
fn every_change_of_a_directory_and_its_pages_is_refused() {
    let leaf = |leaf: u64| (0..40).map(|n| ground(40 * leaf + n)).collect();
    let world = World::new("c", (0..256).map(leaf).collect());
    let mut lookup = Lookup::new(&world.state(1), ground(9_000));
    let path = lookup.needs()[0];
    refuses(&lookup, path, &world.objects[&path], 1);
    lookup.take(path, &world.objects[&path]).unwrap();
    let path = lookup.needs()[0];
    assert!(matches!(path, IndexPath::Page { page: 2, .. }));
    refuses(&lookup, path, &world.objects[&path], 97);
    // Another page of the same directory.
    let IndexPath::Page { run, q, .. } = path else {
        panic!("{path}");
    };
    let other = &world.objects[&IndexPath::Page { run, q, page: 1 }];
    let refused = lookup.take(path, other).unwrap_err();
    assert!(matches!(refused, IndexError::Hash { .. }), "{refused}");
}

fn list_of(world: &World, index_size: u64, key: Key) -> List {
    let mut lookup = Lookup::new(&world.state(index_size), key);
    for path in lookup.needs() {
        lookup.take(path, &world.objects[&path]).unwrap();
    }
    lookup.answer(&[]).unwrap().lists[0]
}

#[test]
fn every_change_of_a_list_page_is_refused() {
    let world = World::new("c", some_log(272 * 256, &[1, 3]));
    let list = list_of(&world, 272, key(1));
    assert_eq!((list.pages(), list.count()), (2, 21_846));
    for page in 0..2 {
        let bytes = &world.objects[&list.path(page)];
        for changed in changes(bytes, 31) {
            list.open(page, &changed).unwrap_err();
        }
        list.open(page, bytes).unwrap();
        list.open(1 - page, bytes).unwrap_err();
    }
    list.open(2, &world.objects[&list.path(1)]).unwrap_err();
}

#[test]
fn every_change_of_a_state_is_refused() {
    let world = World::new("c", some_log(7 * 256, &[2]));
    for index_size in 1..=7 {
        let (root, log_root) = &world.roots[index_size as usize - 1];
        let size = size(index_size);
        let bytes = &world.objects[&IndexPath::State(size)];
        for changed in changes(bytes, 1) {
            State::open(&changed, size, root, log_root).unwrap_err();
        }
    }
}

#[test]
fn a_sound_index_of_another_log_is_refused() {
    let (world, other) = (
        World::new("c", some_log(512, &[2])),
        World::new("d", some_log(512, &[3])),
    );
    let (root, _) = &other.roots[1];
    let (_, log_root) = &world.roots[1];
    let bytes = &other.objects[&IndexPath::State(size(2))];
    let refused = State::open(bytes, size(2), root, log_root).unwrap_err();
    assert!(matches!(refused, IndexError::OtherLog { .. }), "{refused}");
    // And so is a run of it.
    let mut lookup = Lookup::new(&world.state(2), key(0));
    let path = lookup.needs()[0];
    let refused = lookup.take(path, &other.objects[&path]).unwrap_err();
    assert!(matches!(refused, IndexError::Proof { .. }), "{refused}");
    // And the sound run in the wrong place.
    let foreign = lookup.needs()[1];
    let refused = lookup.take(path, &world.objects[&foreign]).unwrap_err();
    assert!(
        matches!(refused, IndexError::Field { field: "run", .. }),
        "{refused}"
    );
    // And no object at all.
    let missing = lookup.answer(&[]).unwrap_err();
    assert_eq!(missing, IndexError::Missing { path });
    let unasked = IndexPath::State(size(1));
    let refused = lookup.take(unasked, &[]).unwrap_err();
    assert_eq!(refused, IndexError::Unasked { path: unasked });
}

#[test]
fn a_posting_left_out_added_or_moved_is_another_run() {
    let keys = some_log(256, &[5, 40]);
    let world = World::new("c", keys.clone());
    let path = Lookup::new(&world.state(1), key(0)).needs()[0];
    let run = Run::new(0, 0).unwrap();
    let (mut out, mut added, mut moved) = (keys.clone(), keys.clone(), keys);
    out[5].retain(|own| *own != key(0));
    added[6].push(key(0));
    moved[5].retain(|own| *own != key(0));
    moved[6].push(key(0));
    for other in [out, added, moved] {
        let built = build(run, &other).unwrap();
        let mut lookup = Lookup::new(&world.state(1), key(0));
        let refused = lookup.take(path, &built.objects[0].1).unwrap_err();
        assert!(matches!(refused, IndexError::Proof { .. }), "{refused}");
    }
}

/// A lookup in an index of one base run of one partition, whose signer committed to exactly these bytes.
fn committed(bytes: &[u8], key: Key) -> Result<Answer, IndexError> {
    let record = Record {
        weight: 1,
        root: leaf_hash(bytes),
    };
    let leaf = IndexLeaf::new(size(256), Hash([7; 32]), &[record]);
    let state = State::encode(&leaf, &[record], &[]);
    let state = State::open(&state, size(1), &leaf.hash(), &Hash([7; 32]))?;
    let mut lookup = Lookup::new(&state, key);
    let path = lookup.needs()[0];
    lookup.take(path, bytes)?;
    lookup.answer(&[])
}

fn partition(count: u32, body: &[u8]) -> Vec<u8> {
    object(1, 0, count, body)
}

#[test]
fn what_no_honest_index_commits_to_is_refused() {
    let (a, b) = (ground(1).0, ground(2).0);
    let entry = |key: [u8; 16], postings: &[u8]| [&key[..], postings].concat();
    let said = |count, body: &[u8]| match committed(&partition(count, body), ground(1)) {
        Ok(answer) => format!("{:?}", all(&answer, &Objects::new())),
        Err(refused) => refused.to_string(),
    };
    let place = "index/v1/run/0/000/000";
    assert_eq!(said(1, &entry(a, &[2, 3, 0xfa, 1])), "[3, 254]");
    assert_eq!(said(1, &entry(a, &[2, 3, 0xfb, 1])), "[3, 255]");
    assert_eq!(
        said(1, &entry(a, &[2, 3, 0xfc, 1])),
        format!("{place} has 256 as its posting, expected 0 to 255")
    );
    assert_eq!(
        said(1, &entry(a, &[0])),
        format!("{place} has 0 as its number of postings, expected 1 to 256")
    );
    assert_eq!(
        said(1, &entry(a, &[0x81, 0x80, 0, 3])),
        format!(
            "{place} has a varint with 4 bytes to go that is not the shortest of a number below 2^64"
        )
    );
    assert_eq!(
        said(1, &entry(a, &[0x81, 2, 3])),
        format!("{place} has 257 as its number of postings, expected 1 to 256")
    );
    assert_eq!(
        said(1, &entry(a, &[1, 3, 9])),
        format!("{place} has 1 bytes left over")
    );
    assert_eq!(
        said(2, &entry(a, &[1, 3])),
        format!("{place} ends within a key")
    );
    let twice = [entry(a, &[1, 3]), entry(a, &[1, 4])].concat();
    assert!(said(2, &twice).contains("expected a larger one"));
    let down = [entry(b, &[1, 3]), entry(a, &[1, 4])].concat();
    assert!(said(2, &down).contains("expected a larger one"));
    assert_eq!(
        said(2, &[entry(a, &[1, 3]), entry(b, &[1, 4])].concat()),
        "[3]"
    );
    assert_eq!(
        said(4_097, &entry(a, &[1, 3])),
        format!("{place} has 4097 as its number of keys, expected 0 to 4096")
    );
    let mut other_kind = partition(1, &entry(a, &[1, 3]));
    other_kind[0] = 3;
    let refused = committed(&other_kind, ground(1)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("{place} has 3 as its kind, expected 1 to 2")
    );
}

fn object(kind: u8, level: u8, count: u32, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, level, 0, 0];
    bytes.extend(count.to_be_bytes());
    bytes.extend([0; 16]);
    bytes.extend(rest);
    bytes
}

/// A page of keys, each with the posting 3.
fn page(j: u64, keys: impl Iterator<Item = u64>) -> Vec<u8> {
    let keys: Vec<_> = keys.collect();
    let mut rest = j.to_be_bytes().to_vec();
    for number in &keys {
        rest.extend(ground(*number).0);
        rest.extend([1, 3]);
    }
    object(3, 0, keys.len() as u32, &rest)
}

/// What is said of a key whose page is the first of these, in a directory that begins the pages with these keys.
fn said_of_page(count: u32, firsts: [u64; 2], pages: &[Vec<u8>; 2]) -> String {
    let mut body = Vec::new();
    for (first, page) in firsts.iter().zip(pages) {
        body.extend(ground(*first).0);
        body.extend(leaf_hash(page).0);
    }
    let directory = object(2, 0, count, &body);
    let record = Record {
        weight: 1,
        root: leaf_hash(&directory),
    };
    let leaf = IndexLeaf::new(size(256), Hash([7; 32]), &[record]);
    let state = State::encode(&leaf, &[record], &[]);
    let state = State::open(&state, size(1), &leaf.hash(), &Hash([7; 32])).unwrap();
    let mut lookup = Lookup::new(&state, ground(10));
    let directory = lookup.take(lookup.needs()[0], &directory);
    let page = directory.and_then(|()| lookup.take(lookup.needs()[0], &pages[0]));
    match page.and_then(|()| lookup.answer(&[])) {
        Ok(answer) => format!("{:?}", all(&answer, &Objects::new())),
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn a_directory_that_no_honest_index_commits_to_is_refused() {
    let sound = [page(0, 1..4_097), page(1, 5_000..5_001)];
    assert_eq!(said_of_page(4_097, [1, 5_000], &sound), "[3]");
    let place = "index/v1/run/0/000/000";
    let foreign = |key: u64| {
        let key = ground(key);
        format!("{place}.d/000 has the key {key}, which is not of that partition or page")
    };
    // The first page ends above where the second begins, or begins elsewhere.
    assert_eq!(said_of_page(4_097, [1, 4_000], &sound), foreign(4_000));
    assert_eq!(said_of_page(4_097, [0, 5_000], &sound), foreign(1));
    // Pages in another order, of other lengths, of other numbers.
    let refused = said_of_page(4_097, [1, 1], &sound);
    assert!(refused.contains("expected a larger one"), "{refused}");
    let short = [page(0, 1..4_096), page(1, 5_000..5_001)];
    let refused = said_of_page(4_097, [1, 5_000], &short);
    assert!(
        refused.contains("has 4095 as its number of keys, expected 4096"),
        "{refused}"
    );
    let other = [page(1, 1..4_097), page(1, 5_000..5_001)];
    let refused = said_of_page(4_097, [1, 5_000], &other);
    assert!(
        refused.contains("has 1 as its page, expected 0"),
        "{refused}"
    );
    // Too few keys for a directory, more than it has pages for, fewer.
    let refused = said_of_page(4_096, [1, 5_000], &sound);
    assert!(refused.contains("expected 4097 to 4294967295"), "{refused}");
    let refused = said_of_page(8_193, [1, 5_000], &sound);
    assert_eq!(refused, format!("{place} ends within its directory"));
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[test]
fn a_list_whose_pages_overlap_or_are_cut_elsewhere_is_not_merged() {
    // The second page begins within the first, or what belongs into the first.
    let page = |j: u64, count: u64, first: u64| {
        let mut head = vec![4, 4, 0, 0];
        head.extend((count as u32).to_be_bytes());
        for number in [0, j, 16_385] {
            head.extend(u64::to_be_bytes(number));
        }
        head.extend(key(1).0);
        let first = varint(first);
        let postings = [first, vec![0; count as usize - 1]].concat();
        (head, postings)
    };
    let merged = |in_first: u64, second: u64| {
        let pages = [page(0, in_first, 0), page(1, 16_385 - in_first, second)];
        let hashes = pages
            .clone()
            .map(|(head, postings)| leaf_hash(&[head, postings].concat()));
        let root = tegula_tlog::node_hash(&hashes[0], &hashes[1]);
        let mut entry = key(1).0.to_vec();
        entry.extend(varint(16_385));
        entry.extend(root.0);
        let body = object(1, 4, 1, &entry);
        let record = |root| Record { weight: 1, root };
        let run = Run::new(5, 0).unwrap();
        let empty = |n: u64| {
            let mut bytes = object(1, 4, 0, &[]);
            bytes[8..16].copy_from_slice(&n.to_be_bytes());
            bytes
        };
        let others = [1, 2, 3].map(|n| leaf_hash(&empty(n)));
        let children = [leaf_hash(&body), others[0], others[1], others[2]].map(record);
        let merge = Merge::new(run, children).unwrap();
        let read = |path: IndexPath| {
            Ok::<_, Infallible>(match path {
                IndexPath::Partition { run, .. } if run.n() == 0 => body.clone(),
                IndexPath::Partition { run, .. } => empty(run.n()),
                IndexPath::List { page, .. } => {
                    let (head, postings) = &pages[page as usize];
                    [&head[..], &hashes[1 - page as usize].0, postings].concat()
                }
                IndexPath::Page { .. } | IndexPath::State(_) => panic!("{path}"),
            })
        };
        merge.hash_unit(0, read).map(|unit| unit.to_bytes().len())
    };
    assert_eq!(merged(16_384, 16_384).unwrap(), 32);
    assert_eq!(
        merged(16_384, 16_383).unwrap_err().to_string(),
        format!(
            "a run that is merged: index/v1/list/4/000/{}/001 has 16383 as its posting, expected 16384 to 65535",
            key(1)
        )
    );
    assert_eq!(
        merged(16_383, 16_383).unwrap_err().to_string(),
        format!(
            "a run that is merged: index/v1/list/4/000/{}/000 has 16383 as its number of postings, expected 16384",
            key(1)
        )
    );
}

#[test]
fn a_merge_leaves_the_filters_of_its_leaf_keys() {
    // A leaf key in each entry, and so many others that there are two units.
    let own = |leaf: u64| Key::leaf(&leaf_hash(&leaf.to_be_bytes()));
    let leaf = |leaf: u64| {
        let others = (0..200).map(|n| key(leaf * 200 + n));
        others.chain([own(leaf)]).collect()
    };
    let keys: Vec<Vec<Key>> = (0..1024).map(leaf).collect();
    let run = Run::new(1, 0).unwrap();
    let mut objects = Objects::new();
    let children = run.children().unwrap().map(|child| {
        let start = child.start() as usize;
        let built = build(child, &keys[start..start + 256]).unwrap();
        objects.extend(built.objects);
        built.record
    });
    let merge = Merge::new(run, children).unwrap();
    let read = |path: IndexPath| Ok::<_, Infallible>(objects[&path].clone());
    let units = [0, 1].map(|unit| merge.hash_unit(unit, read).unwrap());
    let roots = [0, 1].map(|unit: usize| units[unit].root().unwrap());
    let tree = merge.tree(&roots).unwrap();
    let filters = [0, 1].map(|unit| {
        let write = |_, _| Ok(());
        let hashes = &units[unit as usize];
        merge.write_unit(unit, hashes, &tree, read, write).unwrap()
    });
    assert_eq!(filters[0].len() + filters[1].len(), 1024);
    // Kept one by one, and then together.
    let kept = filters.map(|filter| Filter::from_bytes(&filter.to_bytes()).unwrap());
    let bits = tree.record().bits();
    let shard = Shard::new(0, bits, kept.to_vec()).unwrap();
    assert_eq!((bits, shard.partitions()), (7, 0..128));
    assert!((0..1024).all(|leaf| shard.may_hold(&own(leaf))));
    let strangers = (1024..11_024).filter(|leaf| shard.may_hold(&own(*leaf)));
    assert!(strangers.count() < 100);
    // Of the others none are in it but by chance.
    let others = (0..10_000).filter(|number| shard.may_hold(&key(*number)));
    assert!(others.count() < 100);
}

#[test]
fn a_weight_is_the_sum_of_distinct_keys_of_bundles() {
    // Key 0 in all, key 1 in two entries of one bundle.
    let mut keys = vec![vec![key(0), key(0)]; 1024];
    keys[300].push(key(1));
    keys[400].push(key(1));
    let built = build(Run::new(1, 0).unwrap(), &keys).unwrap();
    assert_eq!(built.record.weight, 5);
    let refused = build(Run::new(0, 0).unwrap(), &keys).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the keys of 1024 leaves for the run 0/0, expected those of 256"
    );
}

#[test]
fn a_key_of_another_partition_is_refused() {
    // Two partitions, of which the first has a key of the second.
    let run = Run::new(0, 0).unwrap();
    let leaf = |leaf: u64| (0..10).map(|n| key(10 * leaf + n)).collect();
    let built = build(run, &(0..256).map(leaf).collect::<Vec<_>>()).unwrap();
    assert_eq!(built.record.bits(), 1);
    let mut first = built.objects[0].1.clone();
    let last = first.len() - 18;
    first[last] |= 0x80;
    let (head, body) = (&first[..24], &first[56..]);
    let leaf = leaf_hash(&[head, body].concat());
    let sibling = Hash(first[24..56].try_into().unwrap());
    let record = Record {
        weight: built.record.weight,
        root: tegula_tlog::node_hash(&leaf, &sibling),
    };
    let leaf = IndexLeaf::new(size(256), Hash([7; 32]), &[record]);
    let state = State::encode(&leaf, &[record], &[]);
    let state = State::open(&state, size(1), &leaf.hash(), &Hash([7; 32])).unwrap();
    let mut lookup = Lookup::new(&state, ground(1));
    let refused = lookup.take(lookup.needs()[0], &first).unwrap_err();
    assert!(matches!(refused, IndexError::Place { .. }), "{refused}");
}

#[test]
fn a_damaged_child_is_not_merged() {
    let keys = some_log(1024, &[2, 7]);
    let run = Run::new(1, 0).unwrap();
    let children = run.children().unwrap().map(|child| {
        let start = child.start() as usize;
        build(child, &keys[start..start + 256]).unwrap()
    });
    let merge = Merge::new(run, children.clone().map(|child| child.record)).unwrap();
    let objects: Objects = children
        .into_iter()
        .flat_map(|child| child.objects)
        .collect();
    let damaged = |path: IndexPath| {
        let mut bytes = objects[&path].clone();
        if run_of(&path).n() == 2 {
            *bytes.last_mut().unwrap() ^= 1;
        }
        Ok::<_, Infallible>(bytes)
    };
    let refused = merge.hash_unit(0, damaged).unwrap_err();
    assert!(matches!(refused, MergeError::Child(_)), "{refused}");
    let unit = merge.hash_unit(1, damaged).unwrap_err();
    assert_eq!(
        unit.to_string(),
        "the run 1/0 has no unit 1, expected one below 1"
    );
    // What was kept between the passes is not believed.
    let sound = |path: IndexPath| Ok::<_, Infallible>(objects[&path].clone());
    let wrong = UnitHashes::from_bytes(&[9; 32]).unwrap();
    let tree = merge.tree(&[wrong.root().unwrap()]).unwrap();
    let refused = merge
        .write_unit(0, &wrong, &tree, sound, |path, _| panic!("{path}"))
        .unwrap_err();
    assert!(matches!(refused, MergeError::Differs { .. }), "{refused}");
    // Nor is a tree of other units.
    let right = merge.hash_unit(0, sound).unwrap();
    let refused = merge
        .write_unit(0, &right, &tree, sound, |path, _| panic!("{path}"))
        .unwrap_err();
    assert!(matches!(refused, MergeError::Foreign { .. }), "{refused}");
}

#[test]
fn a_child_that_no_honest_index_commits_to_is_not_merged() {
    let run = Run::new(1, 0).unwrap();
    let [first, ..] = run.children().unwrap();
    let empty = run.children().unwrap().map(|child| {
        let built = build(child, &vec![Vec::new(); 256]).unwrap();
        (built.record, built.objects[0].1.clone())
    });
    let said = |count, body: &[u8]| {
        let bytes = partition(count, body);
        let mut children = empty.clone();
        let root = leaf_hash(&bytes);
        children[0] = (Record { weight: 2, root }, bytes);
        let merge = Merge::new(run, children.clone().map(|(record, _)| record)).unwrap();
        let read = |path: IndexPath| {
            let n = run_of(&path).n() as usize;
            Ok::<_, Infallible>(children[n].1.clone())
        };
        match merge.hash_unit(0, read) {
            Ok(_) => String::new(),
            Err(refused) => refused.to_string(),
        }
    };
    let entry = |number, posting: &[u8]| [&ground(number).0[..], posting].concat();
    let both = [entry(1, &[1, 3]), entry(2, &[2, 3, 5])].concat();
    let place = format!(
        "a run that is merged: index/v1/run/{}/000/000",
        first.level()
    );
    assert_eq!(said(2, &both), "");
    assert_eq!(said(1, &both), format!("{place} has 19 bytes left over"));
    assert_eq!(said(3, &both), format!("{place} ends within a key"));
    let down = [entry(2, &[1, 3]), entry(1, &[1, 3])].concat();
    assert!(said(2, &down).ends_with("expected a larger one"));
    let far = [entry(1, &[1, 3]), entry(2, &[2, 3, 0xfc, 1])].concat();
    assert_eq!(
        said(2, &far),
        format!("{place} has 256 as its posting, expected 0 to 255")
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, body: Vec<u8>, count in 0_u32..10_000, index_size: u64) {
        let root = Hash([0; 32]);
        if let Some(size) = TreeSize::new(index_size) {
            let _refused = State::open(&bytes, size, &root, &root).unwrap_err();
        }
        let _refused = State::open(&bytes, size(3), &root, &root).unwrap_err();
        for kind in [1, 2] {
            let mut bytes = partition(count, &body);
            bytes[0] = kind;
            let _any = committed(&bytes, ground(0));
        }
        let _any = committed(&bytes, ground(0));
    }

    #[test]
    fn one_spelling_of_what_is_taken(at in 24_usize..100, byte: u8) {
        let keys = some_log(256, &[9, 100]);
        let built = build(Run::new(0, 0).unwrap(), &keys).unwrap();
        let mut bytes = built.objects[0].1.clone();
        bytes[at] = byte;
        // Whoever commits to other bytes says something else, or is refused.
        if let Ok(answer) = committed(&bytes, key(1)) {
            prop_assert!(answer.found.len() <= 256);
        }
    }
}
