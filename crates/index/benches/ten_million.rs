//! The index of a log of ten million entries, all of its life, and searches in it:
//! `cargo bench -p tegula-index --bench ten_million -- DIR [ENTRIES]`.
//!
//! The objects become files below DIR, about 4 GB in 180,000 files for ten million entries; runs that are no longer live stay, so that what is counted was there.
//! `DIR 10000` is done in ten seconds and shows that it works.
//!
//! An entry has a key for its leaf; one for its artifact, which one in ten has from an earlier entry; and one for its identity, of which there are a twentieth
//! as many as entries, the k-th of them about 1/k as common as the first. And each tenth entry has a key in common, and each hundredth. There is no log: its root is a constant,
//! the keys after the last base run are made again instead of read from a bundle, and the index log's tiles and checkpoint are counted and not written.
//!
//! One thread does it all. Times are CPU time of the process unless it says wall, so another process on the same core does not count.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark stops where it fails, and prints"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tegula_index::{
    Answer, BASE_LEAVES, IndexLeaf, IndexPath, Key, LEAF_DOMAIN, Lookup, MAX_SHARD, Merge, Record,
    Run, Shard, State, UNIT, build, covered, live_runs,
};
use tegula_tlog::{Edge, Hash, LeafIndex, TreeSize};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let entries = match arguments.get(1).map(|entries| entries.parse()) {
        None => Some(10_000_000),
        Some(Ok(entries)) if entries >= BASE_LEAVES => Some(entries),
        Some(_) => None,
    };
    let (Some(dir), Some(entries), None) = (arguments.first(), entries, arguments.get(2)) else {
        eprintln!(
            "expected a directory to write to, and how many entries: at least 256, or ten million if it is not said"
        );
        return ExitCode::from(2);
    };
    let log = Log { entries };
    let mut index = Index::new(log, Path::new(dir));
    let begun = Instant::now();
    for n in 0..entries / BASE_LEAVES {
        index.append(n);
    }
    index.show(begun.elapsed());
    index.search();
    index.recognise();
    ExitCode::SUCCESS
}

/// A log that is made up: what its entries can be searched by follows from their numbers.
#[derive(Copy, Clone)]
struct Log {
    entries: u64,
}

impl Log {
    fn keys(self, entry: u64) -> Vec<Key> {
        let mut keys = vec![Self::leaf(entry), self.identity(self.who(entry))];
        keys.push(Key::new(DIGEST, &Self::artifact(entry).to_be_bytes()));
        for every in [10, 100] {
            if entry.is_multiple_of(every) {
                keys.push(Self::common(every));
            }
        }
        keys
    }

    fn leaf(entry: u64) -> Key {
        let hash = [0, 1, 2, 3].map(|part| random(entry, part).to_be_bytes());
        Key::new(LEAF, hash.as_flattened())
    }

    fn artifact(mut entry: u64) -> u64 {
        while entry > 0 && random(entry, 4).is_multiple_of(10) {
            entry = random(entry, 5) % entry;
        }
        entry
    }

    /// Who signed the entry: from 1, and the logarithm is uniform.
    fn who(self, entry: u64) -> u64 {
        let people = (self.entries / 20).max(1) as f64;
        let uniform = (random(entry, 6) >> 11) as f64 / (1_u64 << 53) as f64;
        (uniform * people.ln()).exp() as u64
    }

    fn identity(self, who: u64) -> Key {
        Key::new(IDENTITY, format!("{who}@example.com").as_bytes())
    }

    fn common(every: u64) -> Key {
        Key::new(ISSUER, format!("https://{every}.example.com").as_bytes())
    }
}

/// splitmix64, of which each number is asked for by itself.
fn random(entry: u64, part: u64) -> u64 {
    let mut z = (entry * 8 + part + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The index as it grows, and what that took.
struct Index {
    log: Log,
    files: Files,
    /// The live runs, and those that were made for a run that is not live yet.
    runs: BTreeMap<Run, Made>,
    /// What a writer that looks for duplicates holds of the large ones: of their leaf keys.
    filters: BTreeMap<Run, Vec<Shard>>,
    edge: Edge,
    /// The index where it has the most runs, and as it is in the end.
    worst: Option<Snapshot>,
    last: Option<Snapshot>,
    /// Of the sizes so far: the runs live at all of them together, and at most.
    live: (u64, u64),
    levels: Vec<Level>,
    keys: Duration,
    states: Duration,
    /// What is published with the index: objects and bytes at each base run, and at each 16th.
    each: Publications,
    sixteenth: Publications,
    peak: u64,
}

#[derive(Copy, Clone)]
struct Made {
    record: Record,
    postings: u64,
    objects: u64,
    bytes: u64,
}

/// The runs of a level.
#[derive(Copy, Clone, Default)]
struct Level {
    runs: u64,
    postings: u64,
    objects: u64,
    bytes: u64,
    read: u64,
    /// All of it, and what of it the files took.
    first: Duration,
    second: Duration,
    files: Duration,
    /// In kilobytes, where it was looked at.
    peak: u64,
}

/// What was not counted but follows from what was.
#[derive(Copy, Clone, Default)]
struct Amount {
    bytes: f64,
    objects: f64,
    reads: f64,
}

impl Amount {
    fn add(&mut self, each: Self, times: u64) {
        self.bytes += each.bytes * times as f64;
        self.objects += each.objects * times as f64;
        self.reads += each.reads * times as f64;
    }
}

#[derive(Copy, Clone, Default)]
struct Publications {
    objects: u64,
    bytes: u64,
}

/// What a reader begins with.
struct Snapshot {
    size: TreeSize,
    root: Hash,
}

impl Index {
    fn new(log: Log, dir: &Path) -> Self {
        Self {
            log,
            files: Files::new(dir),
            runs: BTreeMap::new(),
            filters: BTreeMap::new(),
            edge: Edge::empty(),
            worst: None,
            last: None,
            live: (0, 0),
            levels: Vec::new(),
            keys: Duration::ZERO,
            states: Duration::ZERO,
            each: Publications::default(),
            sixteenth: Publications::default(),
            peak: 0,
        }
    }

    /// A bundle is full: its base run, the runs that are live from now on, and the leaf of the index log.
    fn append(&mut self, n: u64) {
        let begun = cpu();
        let entries = n * BASE_LEAVES..(n + 1) * BASE_LEAVES;
        let keys: Vec<_> = entries.map(|entry| self.log.keys(entry)).collect();
        self.keys += cpu() - begun;

        self.base(Run::new(0, n).unwrap(), &keys);
        let size = TreeSize::new(n + 1).unwrap();
        let live = live_runs(size).unwrap();
        for run in &live {
            self.make(*run);
        }

        let begun = cpu();
        let records: Vec<_> = live.iter().map(|run| self.runs[run].record).collect();
        let leaf = IndexLeaf::new(covered(size).unwrap(), LOG_ROOT, &records);
        let growth = self.edge.grow(&[leaf.hash()]).unwrap();
        let proof = growth.prove(LeafIndex::new(n).unwrap()).unwrap();
        let state = State::encode(&leaf, &records, &proof);
        self.states += cpu() - begun;

        self.each.add(n + 1, state.len());
        if (n + 1).is_multiple_of(16) {
            self.sixteenth.add(n + 1, state.len());
        }
        let snapshot = || {
            let root = growth.root();
            Some(Snapshot { size, root })
        };
        let runs = live.len() as u64;
        self.live = (self.live.0 + runs, self.live.1.max(runs));
        let last = n + 1 == self.log.entries / BASE_LEAVES;
        if last {
            self.last = snapshot();
        }
        if runs == self.live.1 {
            self.worst = snapshot();
        }
        if last || runs == self.live.1 {
            self.files.write(IndexPath::State(size), &state);
        }
    }

    /// What it costs a writer to know that a leaf is new: how often it has to read a partition, and what it holds.
    fn recognise(&self) {
        let (mut bytes, mut stored, mut leaves) = (0, 0, 0);
        for (run, shards) in &self.filters {
            bytes += shards.iter().map(Shard::heap_bytes).sum::<usize>();
            stored += shards
                .iter()
                .map(|shard| shard.to_bytes().len())
                .sum::<usize>();
            leaves += run.leaves();
        }
        let small = self.log.entries - leaves;
        let begun = cpu();
        let mut requests = 0;
        for new in 0..NEW_LEAVES {
            let key = Key::new(LEAF_DOMAIN, format!("new {new}").as_bytes());
            let asked = self.filters.values();
            let holds = |shards: &&Vec<Shard>| shards.iter().any(|shard| shard.may_hold(&key));
            requests += asked.filter(holds).count();
        }
        let took = cpu() - begun;
        let shards: usize = self.filters.values().map(Vec::len).sum();
        println!();
        println!(
            "a warm writer's filters: {} runs in {shards} objects, {} bytes, in memory {bytes}",
            self.filters.len(),
            stored
        );
        println!("leaves in smaller runs and after them, to be held otherwise: {small}");
        println!(
            "of {NEW_LEAVES} new leaves: {requests} partitions to be read, {:.4} a leaf (wanted: at most 0.1); {:.2} us of CPU a leaf",
            f64::from(u32::try_from(requests).unwrap()) / f64::from(NEW_LEAVES),
            took.as_secs_f64() * 1e6 / f64::from(NEW_LEAVES),
        );
    }

    fn base(&mut self, run: Run, keys: &[Vec<Key>]) {
        self.files.reset();
        let begun = cpu();
        let built = build(run, keys).unwrap();
        for (path, bytes) in &built.objects {
            self.files.write(*path, bytes);
        }
        let took = cpu() - begun;
        let postings = keys.iter().map(|keys| keys.len() as u64).sum();
        self.made(run, built.record, postings, [Duration::ZERO, took]);
    }

    /// Makes a run that is not there yet, and those of its children that never were live.
    fn make(&mut self, run: Run) {
        if self.runs.contains_key(&run) {
            return;
        }
        let children = run.children().unwrap();
        for child in children {
            self.make(child);
        }
        // They are not live any more, and nothing else is made of them.
        let children = children.map(|child| self.runs.remove(&child).unwrap());
        let postings = children.iter().map(|child| child.postings).sum();
        self.files.reset();
        let large = run.level() > 3;
        if large {
            self.peak = self.peak.max(take_peak());
        }

        let begun = cpu();
        let merge = Merge::new(run, children.map(|child| child.record)).unwrap();
        let files = RefCell::new(&mut self.files);
        let read = |path| files.borrow_mut().read(path);
        let mut units = Vec::new();
        for unit in 0..merge.units() {
            units.push(merge.hash_unit(unit, read).unwrap());
        }
        let roots: Vec<_> = units.iter().map(|unit| unit.root().unwrap()).collect();
        let tree = merge.tree(&roots).unwrap();
        let between = cpu();
        let mut filters = Vec::new();
        for (unit, hashes) in (0..).zip(&units) {
            let write = |path, bytes: Vec<u8>| {
                files.borrow_mut().write(path, &bytes);
                Ok(())
            };
            let filter = merge.write_unit(unit, hashes, &tree, read, write);
            filters.push(filter.unwrap());
        }
        let took = [between - begun, cpu() - between];
        self.made(run, tree.record(), postings, took);
        if large {
            let peak = take_peak();
            self.peak = self.peak.max(peak);
            let level = &mut self.levels[usize::from(run.level())];
            level.peak = level.peak.max(peak);
        }
        if run.level() >= FILTERED_LEVEL {
            for child in run.children().unwrap() {
                self.filters.remove(&child);
            }
            let bits = tree.record().bits();
            let shards = (0..).step_by(MAX_SHARD).zip(filters.chunks(MAX_SHARD));
            let shards = shards
                .map(|(first, filters)| Shard::new(first * UNIT, bits, filters.to_vec()).unwrap());
            self.filters.insert(run, shards.collect());
        }
    }

    fn made(&mut self, run: Run, record: Record, postings: u64, took: [Duration; 2]) {
        let at = usize::from(run.level());
        self.levels
            .resize(self.levels.len().max(at + 1), Level::default());
        let level = &mut self.levels[at];
        let files = &self.files;
        level.runs += 1;
        level.postings += postings;
        level.objects += files.written;
        level.bytes += files.bytes;
        level.read += files.read;
        level.first += took[0];
        level.second += took[1];
        level.files += files.took;
        let made = Made {
            record,
            postings,
            objects: files.written,
            bytes: files.bytes,
        };
        self.runs.insert(run, made);
    }

    fn show(&mut self, wall: Duration) {
        self.peak = self.peak.max(take_peak());
        let entries = (self.log.entries / BASE_LEAVES * BASE_LEAVES) as f64;
        let postings = self.levels[0].postings as f64;
        println!(
            "{} entries, {} of them in the index, {:.2} postings each; made in {:.0} s wall",
            self.log.entries,
            entries,
            postings / entries,
            wall.as_secs_f64()
        );
        println!(
            "\nlevel    runs  ns a posting: pass 1  pass 2  (files)  bytes a posting  objects written     read  peak, MB"
        );
        let mut all = Level::default();
        for (at, level) in self.levels.iter().enumerate() {
            let each = |took: Duration| took.as_secs_f64() * 1e9 / level.postings as f64;
            println!(
                "{at:5} {:7} {:21.0} {:7.0} {:8.0} {:16.1} {:16} {:8}  {:8}",
                level.runs,
                each(level.first),
                each(level.second),
                each(level.files),
                level.bytes as f64 / level.postings as f64,
                level.objects,
                level.read,
                megabytes(level.peak),
            );
            all.objects += level.objects;
            all.bytes += level.bytes;
            all.first += level.first + level.second;
            all.files += level.files;
        }
        let live = self.live_runs();
        let live: Vec<_> = live.iter().map(|run| self.runs[run]).collect();
        let [objects, bytes] = [
            live.iter().map(|made| made.objects).sum::<u64>(),
            live.iter().map(|made| made.bytes).sum(),
        ];
        println!(
            "\nlive: {} runs, {objects} objects, {:.1} MB, {:.1} bytes an entry; the largest object of all is {}, {} bytes",
            live.len(),
            bytes as f64 / 1e6,
            bytes as f64 / entries,
            self.files.largest.1,
            self.files.largest.0,
        );
        println!(
            "live at the {} sizes up to here: {:.1} runs on average, {} at most",
            self.log.entries / BASE_LEAVES,
            self.live.0 as f64 / (self.log.entries / BASE_LEAVES) as f64,
            self.live.1
        );
        println!(
            "keys: {:.2} us a posting; leaves and states: {:.1} us a base run",
            self.keys.as_secs_f64() * 1e6 / postings,
            self.states.as_secs_f64() * 1e6 / (entries / 256.0),
        );

        println!("\n{:52} {:>12}  wanted at most", "making", "measured");
        let row = |what: &str, measured: String, wanted: &str| {
            println!("{what:52} {measured:>12}  {wanted}");
        };
        let each = |took: Duration| format!("{:.2} us", took.as_secs_f64() * 1e6 / postings);
        row("CPU a posting, all its life", each(all.first), "2.5 us");
        row("  of it reading and writing files", each(all.files), "");
        row(
            "bytes written an entry",
            format!("{:.0}", all.bytes as f64 / entries),
            "450",
        );
        row(
            "PUTs an entry, runs",
            format!("{:.4}", all.objects as f64 / entries),
            "0.02",
        );
        for (what, published) in [("each base run", self.each), ("each 16th", self.sixteenth)] {
            row(
                &format!("PUTs an entry, the index log published at {what}"),
                format!("{:.4}", published.objects as f64 / entries),
                "",
            );
            row(
                "  bytes written an entry",
                format!("{:.1}", published.bytes as f64 / entries),
                "",
            );
        }
        let largest = self.levels.iter().map(|level| level.peak).max();
        let largest = largest.unwrap_or_default();
        row(
            "memory of the process, the largest merge",
            megabytes(largest) + " MB",
            "64 MB",
        );
        row(
            "memory of the process, at any time",
            megabytes(self.peak) + " MB",
            "",
        );

        self.on_paper();
    }

    /// What the rule says of logs of other sizes, and what these objects would make of it.
    fn on_paper(&self) {
        println!(
            "\non paper, each level at what it was here, those that are not here as the last one; published at each 16th base run:"
        );
        println!(
            "     entries  live runs avg  max  requests avg  max  GB written  M PUTs  M GETs  GB live  objects     $  $ a month live  all"
        );
        for entries in [self.log.entries, 100_000_000, 1_000_000_000] {
            let sizes = entries / BASE_LEAVES;
            let (mut sum, mut most) = (0, 0);
            let mut written = Amount::default();
            for size in 1..=sizes {
                let runs = live_runs(TreeSize::new(size).unwrap()).unwrap().len();
                sum += runs;
                most = most.max(runs);
            }
            for at in 0..28 {
                let Some(first) = Run::new(at, 0) else {
                    break;
                };
                let delay = first.live_from() - (first.leaves() / BASE_LEAVES);
                let made = sizes.saturating_sub(delay) / (first.leaves() / BASE_LEAVES);
                written.add(self.each_run(at), made);
            }
            let mut live = Amount::default();
            for run in live_runs(TreeSize::new(sizes).unwrap()).unwrap() {
                live.add(self.each_run(run.level()), 1);
            }
            let average = sum as f64 / sizes as f64;
            let more = beside(entries);
            let mut published = Publications::default();
            for size in (16..=sizes).step_by(16) {
                published.add(size, 0);
            }
            let puts = written.objects + published.objects as f64;
            println!(
                "{entries:12} {average:14.1} {most:4} {:13.1} {:4} {:11.1} {:7.2} {:7.2} {:8.2} {:8.0} {:5.0} {:15.2} {:4.2}",
                average + more as f64,
                most as u64 + more,
                written.bytes / 1e9,
                puts / 1e6,
                written.reads / 1e6,
                live.bytes / 1e9,
                live.objects,
                puts * 5e-6 + written.reads * 0.4e-6,
                live.bytes * 0.023e-9,
                written.bytes * 0.023e-9,
            );
        }
    }

    /// A run of this level, as those were that were made, or as many times the last one as it is longer.
    fn each_run(&self, level: u8) -> Amount {
        let at = usize::from(level).min(self.levels.len() - 1);
        let of = &self.levels[at];
        let each = (1_u64 << (2 * (usize::from(level) - at))) as f64 / of.runs as f64;
        Amount {
            bytes: of.bytes as f64 * each,
            objects: of.objects as f64 * each,
            reads: of.read as f64 * each,
        }
    }

    fn live_runs(&self) -> Vec<Run> {
        live_runs(self.last.as_ref().unwrap().size).unwrap()
    }

    fn search(&mut self) {
        let last = self.last.take().unwrap();
        let worst = self.worst.take().unwrap();
        for (what, snapshot) in [("in the end", last), ("where it has the most runs", worst)] {
            let covered = covered(snapshot.size).unwrap().get();
            // As many entries more as there are, or the most that there could be.
            let size = (covered + BASE_LEAVES - 1).min(self.log.entries);
            let tail: Vec<_> = (covered..size).map(|entry| self.log.keys(entry)).collect();
            let mut reader = Reader {
                files: &mut self.files,
                snapshot: &snapshot,
                tail: &tail,
            };
            let runs = live_runs(snapshot.size).unwrap().len() as u64;
            let more = beside(size);
            println!(
                "\nsearches {what}, at index size {}: 1 state and {runs} partitions; with 2 checkpoints, the bundle after it and {} tiles at the edge {} requests",
                snapshot.size.get(),
                more - 4,
                runs + more,
            );
            println!(
                "{:34} requests  bytes avg      max   CPU, ms  wall, ms, at 0 / 30 ms a request",
                "median of 200"
            );
            let log = self.log;
            let leaf = |number| Log::leaf(random(number, 7) % covered);
            let rare = reader.measure("a leaf", leaf, |number, answer| {
                let entry = random(number, 7) % covered;
                let found: Vec<_> = answer.found.iter().map(|index| index.get()).collect();
                assert!(
                    found == [entry] && answer.lists.is_empty(),
                    "{entry}: {answer:?}"
                );
            });
            let absent = reader.measure(
                "no entry's",
                |number| Key::new(LEAF, &number.to_be_bytes()),
                |_, answer| assert!(answer.is_absence(), "{answer:?}"),
            );
            reader.measure(
                "the 1000th most common identity",
                |_| log.identity(1_000),
                |_, _| (),
            );
            reader.measure(
                "each tenth entry's",
                |_| Log::common(10),
                |_, answer| assert_eq!(answer.count(), size.div_ceil(10)),
            );
            let answer = reader.look(Log::common(10), Duration::ZERO).answer;
            reader.newest(&answer);
            println!(
                "  {} have it, of these {} in {} lists",
                answer.count(),
                answer.count() - answer.found.len() as u64,
                answer.lists.len(),
            );
            println!(
                "\n{:52} {:>12}  wanted at most",
                "a cold search for a rare or an absent key", "measured"
            );
            let requests = rare.requests.max(absent.requests) + more - 1;
            println!("{:52} {requests:12}  30 (at 10^9: 40)", "requests, all");
            println!(
                "{:52} {:12}  600000",
                "bytes of the index",
                rare.bytes.max(absent.bytes)
            );
            println!(
                "{:52} {:9.2} ms  3 ms",
                "the reader's CPU",
                milliseconds(rare.cpu.max(absent.cpu))
            );
        }
        let sizes = self.log.entries / BASE_LEAVES;
        let average = self.live.0 as f64 / sizes as f64 + beside(self.log.entries) as f64;
        println!(
            "{:52} {average:12.1}  20",
            "requests, all, average of all sizes up to here"
        );
    }
}

/// Searches in the files.
struct Reader<'i> {
    files: &'i mut Files,
    snapshot: &'i Snapshot,
    tail: &'i [Vec<Key>],
}

struct Seen {
    answer: Answer,
    /// The state's too.
    requests: u64,
    bytes: u64,
    cpu: Duration,
    wall: Duration,
}

/// The largest of many searches, but the median of their times.
struct Measured {
    requests: u64,
    bytes: u64,
    cpu: Duration,
}

impl Reader<'_> {
    fn look(&mut self, key: Key, request: Duration) -> Seen {
        let begun = Instant::now();
        let Snapshot { size, root } = self.snapshot;
        // The checkpoints.
        std::thread::sleep(request);
        // The state, and beside it the last bundle and the tiles.
        std::thread::sleep(request);
        let state = self.files.read(IndexPath::State(*size)).unwrap();
        let (mut requests, mut bytes) = (1, state.len() as u64);
        let start = cpu();
        let state = State::open(&state, *size, root, &LOG_ROOT).unwrap();
        let mut lookup = Lookup::new(&state, key);
        let mut took = cpu() - start;
        loop {
            let needs = lookup.needs();
            if needs.is_empty() {
                break;
            }
            std::thread::sleep(request);
            let objects: Vec<_> = needs
                .iter()
                .map(|path| self.files.read(*path).unwrap())
                .collect();
            requests += objects.len() as u64;
            bytes += objects
                .iter()
                .map(|object| object.len() as u64)
                .sum::<u64>();
            let start = cpu();
            for (path, object) in needs.iter().zip(&objects) {
                lookup.take(*path, object).unwrap();
            }
            took += cpu() - start;
        }
        let start = cpu();
        let answer = lookup.answer(self.tail).unwrap();
        took += cpu() - start;
        Seen {
            answer,
            requests,
            bytes,
            cpu: took,
            wall: begun.elapsed(),
        }
    }

    fn measure(
        &mut self,
        what: &str,
        key: impl Fn(u64) -> Key,
        check: impl Fn(u64, &Answer),
    ) -> Measured {
        let (mut cpus, mut walls) = (Vec::new(), Vec::new());
        let (mut most, mut sum, mut requests) = (0, 0, 0);
        for number in 0..SEARCHES {
            let seen = self.look(key(number), Duration::ZERO);
            check(number, &seen.answer);
            cpus.push(seen.cpu);
            walls.push(seen.wall);
            most = most.max(seen.bytes);
            sum += seen.bytes;
            requests = requests.max(seen.requests);
        }
        let slow = (0..9).map(|number| self.look(key(number), Duration::from_millis(30)).wall);
        let slow = median(slow.collect());
        let cpu = median(cpus);
        println!(
            "{what:34} {requests:8} {:10} {most:8} {:9.2} {:9.2} / {:.1}",
            sum / SEARCHES,
            milliseconds(cpu),
            milliseconds(median(walls)),
            milliseconds(slow),
        );
        Measured {
            requests,
            bytes: most,
            cpu,
        }
    }

    /// One request more: the newest entries of a list.
    fn newest(&mut self, answer: &Answer) {
        let Some(list) = answer.lists.last() else {
            return;
        };
        let page = list.pages() - 1;
        let (mut cpus, mut walls) = (Vec::new(), Vec::new());
        let mut len = 0;
        for _ in 0..SEARCHES {
            let begun = Instant::now();
            let bytes = self.files.read(list.path(page)).unwrap();
            let start = cpu();
            let found = list.open(page, &bytes).unwrap();
            cpus.push(cpu() - start);
            walls.push(begun.elapsed());
            assert!(found.iter().all(|index| index.get().is_multiple_of(10)));
            len = bytes.len();
        }
        println!(
            "{:34} {:>8} {len:10} {len:8} {:9.2} {:9.2}",
            "  the newest page of its lists",
            "1",
            milliseconds(median(cpus)),
            milliseconds(median(walls)),
        );
    }
}

/// Objects as files, and what of them was written and read.
struct Files {
    dir: PathBuf,
    written: u64,
    bytes: u64,
    read: u64,
    took: Duration,
    largest: (u64, IndexPath),
}

impl Files {
    fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            written: 0,
            bytes: 0,
            read: 0,
            took: Duration::ZERO,
            largest: (0, IndexPath::State(TreeSize::ZERO)),
        }
    }

    fn reset(&mut self) {
        (self.written, self.bytes, self.read) = (0, 0, 0);
        self.took = Duration::ZERO;
    }

    fn write(&mut self, path: IndexPath, bytes: &[u8]) {
        let begun = cpu();
        let file = self.dir.join(path.to_string());
        if let Err(error) = fs::write(&file, bytes) {
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{file:?}: {error}");
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, bytes).unwrap();
        }
        let len = bytes.len() as u64;
        self.written += 1;
        self.bytes += len;
        if len > self.largest.0 {
            self.largest = (len, path);
        }
        self.took += cpu() - begun;
    }

    fn read(&mut self, path: IndexPath) -> io::Result<Vec<u8>> {
        let begun = cpu();
        let bytes = fs::read(self.dir.join(path.to_string()));
        self.read += 1;
        self.took += cpu() - begun;
        bytes
    }
}

impl Publications {
    /// The state, the checkpoint, and the bundle and the tiles at the index log's right edge that are new.
    fn add(&mut self, size: u64, state: usize) {
        let width = |level: u32| (((size >> (8 * level)) - 1) % 256) + 1;
        let level_0 = 32 * width(0);
        let bundle = (2 + 80) * width(0);
        self.objects += 4;
        self.bytes += state as u64 + CHECKPOINT + level_0 + bundle;
        // One tile more for each level that the size completes one of.
        for level in 1..8 {
            if size.is_multiple_of(1 << (8 * level)) {
                self.objects += 1;
                self.bytes += 32 * width(level);
            }
        }
    }
}

/// What a search asks for beside partitions: two checkpoints, the state, the bundle after it, the tiles at the log's right edge.
/// Where a bundle ends at the size there is a tile less, but not at the next size.
fn beside(log_size: u64) -> u64 {
    let size = TreeSize::new(log_size | (BASE_LEAVES - 1)).unwrap();
    4 + Edge::tiles_needed(size).len() as u64
}

/// The CPU time of the process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The most memory in kilobytes that the process had since this was asked before.
fn take_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    // Where that is refused, the peak is that of the whole life.
    drop(fs::write("/proc/self/clear_refs", "5"));
    peak.unwrap_or(0)
}

fn megabytes(kilobytes: u64) -> String {
    if kilobytes == 0 {
        return String::new();
    }
    format!("{:.1}", kilobytes as f64 * 1024.0 / 1e6)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

const LEAF: u8 = LEAF_DOMAIN;
/// Runs from this level on have filters.
const FILTERED_LEVEL: u8 = 3;
/// Leaves that are not in the log, for what a writer asks.
const NEW_LEAVES: u32 = 1_000_000;
const DIGEST: u8 = 2;
const IDENTITY: u8 = 5;
const ISSUER: u8 = 7;

const LOG_ROOT: Hash = Hash([7; 32]);

/// A checkpoint with one signature and a short origin.
const CHECKPOINT: u64 = 250;

const SEARCHES: u64 = 200;
