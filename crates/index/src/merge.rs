//! A run from four, in units that can be done again.
//!
//! A partition carries its path, so every hash is made before the first object is written: that is
//! two passes, and both read the children. At one time there are in memory one partition or page of
//! each child, one page of the parent, and one page each of the lists that are joined.

use tegula_tlog::{Hash, LeafIndex, ProofError, TreeFull, TreeSize, verify_inclusion};

use crate::build::BuildError;
use crate::error::IndexError;
use crate::filter::{Filter, FilterError};
use crate::key::{Key, LEAF_DOMAIN};
use crate::leaf::Record;
use crate::list::{List, ListPages};
use crate::live::Run;
use crate::partition::{Contents, Draft, Keys, Partition, PartitionFull, Writer};
use crate::path::IndexPath;
use crate::postings::{Entries, MAX_INLINE, Postings};
use crate::tree::{RunTree, UnitHashes, grow, units};

/// The work of making a run from the four that it covers.
///
/// For every unit [`hash_unit`](Self::hash_unit), then [`tree`](Self::tree) from the roots of all, then for every unit
/// [`write_unit`](Self::write_unit). Units may be done in any order, at the same time, and again: the bytes are the same.
/// Only when all are written may the run be in a leaf of the index log.
#[derive(Clone, Debug)]
pub struct Merge {
    run: Run,
    children: [(Run, Record); 4],
    weight: u64,
}

/// Why a unit was not done. Nothing of it is wrong that was written.
#[derive(Debug, thiserror::Error)]
pub enum MergeError<E> {
    /// What the caller said when it was asked to read or write.
    #[error(transparent)]
    Caller(E),
    /// An object of a child is not what its record commits to.
    #[error("a run that is merged: {0}")]
    Child(IndexError),
    /// The run has no such unit.
    #[error("the run {run} has no unit {unit}, expected one below {units}")]
    Unit {
        /// The run.
        run: Run,
        /// The unit.
        unit: u64,
        /// How many it has.
        units: u64,
    },
    /// What the first pass left is not what the second one makes.
    #[error("{path} hashes to {computed} in the second pass, expected {expected} of the first")]
    Differs {
        /// The partition.
        path: IndexPath,
        /// The hash of the second pass.
        computed: Hash,
        /// The hash of the first.
        expected: Hash,
    },
    /// What the first pass left is too much or too little.
    #[error("{found} hashes were given for the unit {unit} of the run {run}, expected {expected}")]
    Hashes {
        /// The run.
        run: Run,
        /// The unit.
        unit: u64,
        /// How many.
        found: usize,
        /// How many there should be.
        expected: u64,
    },
    /// The unit is not the one that the tree over all units has.
    #[error("the unit {unit} of the run {run} is not the one that its tree has")]
    Foreign {
        /// The run.
        run: Run,
        /// The unit.
        unit: u64,
        /// What its hashes lead to.
        source: ProofError,
    },
    /// More hashes than a tree can have.
    #[error(transparent)]
    Tree(TreeFull),
    /// All of the unit is written, and there is no filter of it.
    #[error("the unit {unit} of the run {run}: {source}")]
    Filter {
        /// The run.
        run: Run,
        /// The unit.
        unit: u64,
        /// Why not.
        source: FilterError,
    },
    /// More keys of one partition than it can have.
    #[error(transparent)]
    Partition(PartitionFull),
}

impl Merge {
    /// The run and the records of its children, from the left. `None` for a base run, and for weights whose sum is above 2^64-1.
    pub fn new(run: Run, children: [Record; 4]) -> Option<Self> {
        let runs = run.children()?;
        let mut weight = 0_u64;
        for child in &children {
            weight = weight.checked_add(child.weight)?;
        }
        let [a, b, c, d] = runs;
        let [e, f, g, h] = children;
        let children = [(a, e), (b, f), (c, g), (d, h)];
        Some(Self {
            run,
            children,
            weight,
        })
    }

    /// The weight of the run.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// How many units the work has.
    pub fn units(&self) -> u64 {
        units(self.bits()).0
    }

    /// The partitions of the children that a pass over a unit reads, each once: to be fetched together. Of pages and lists is known
    /// only when these are read. None for a unit that there is not.
    pub fn partitions_read(&self, unit: u64) -> Vec<IndexPath> {
        let (units, partitions) = units(self.bits());
        let children = self.children.iter().filter(|_| unit < units);
        let paths = children.flat_map(|(run, record)| {
            let read = self.read_of(record, unit * partitions, partitions);
            read.map(|q| IndexPath::Partition { run: *run, q })
        });
        paths.collect()
    }

    /// Which partitions of a child hold the keys of so many partitions of the parent, from the first of these on.
    fn read_of(&self, child: &Record, first: u64, partitions: u64) -> std::ops::Range<u64> {
        // A child has no more partitions than its parent.
        let coarser = self.bits().saturating_sub(child.bits());
        let last = first + partitions - 1;
        first >> coarser..(last >> coarser) + 1
    }

    /// The first pass over a unit. `read` gives the objects of the children.
    ///
    /// # Errors
    ///
    /// [`MergeError`].
    pub fn hash_unit<E>(
        &self,
        unit: u64,
        mut read: impl FnMut(IndexPath) -> Result<Vec<u8>, E>,
    ) -> Result<UnitHashes, MergeError<E>> {
        let mut hashes = Vec::new();
        self.each(unit, &mut read, &mut Out::nowhere(), &mut |_, draft, _| {
            hashes.push(draft.hash());
            Ok(())
        })?;
        Ok(UnitHashes(hashes))
    }

    /// The tree over the roots of all units, in their order: with it the run's record is known.
    ///
    /// # Errors
    ///
    /// [`BuildError::Units`] if they are not as many as there are units.
    pub fn tree(&self, roots: &[Hash]) -> Result<RunTree, BuildError> {
        if roots.len() as u64 != self.units() {
            return Err(BuildError::Units {
                run: self.run,
                found: roots.len(),
                expected: self.units(),
            });
        }
        Ok(RunTree::new(self.weight, roots)?)
    }

    /// The second pass over a unit: `write` takes the objects of the run. A partition comes after its pages and lists, so that where it is they are.
    /// What it returns is the filter of the unit's leaf keys, so that nobody has to read the partitions again for it.
    ///
    /// # Errors
    ///
    /// [`MergeError`]. No partition is written that does not lead to the root of `tree`, or is another than these children make.
    pub fn write_unit<E>(
        &self,
        unit: u64,
        hashes: &UnitHashes,
        tree: &RunTree,
        mut read: impl FnMut(IndexPath) -> Result<Vec<u8>, E>,
        mut write: impl FnMut(IndexPath, Vec<u8>) -> Result<(), E>,
    ) -> Result<Filter, MergeError<E>> {
        let (_, partitions) = units(self.bits());
        if hashes.0.len() as u64 != partitions {
            return Err(MergeError::Hashes {
                run: self.run,
                unit,
                found: hashes.0.len(),
                expected: partitions,
            });
        }
        let within = grow(&hashes.0).map_err(MergeError::Tree)?;
        let above = tree.above(unit).ok_or_else(|| self.no_unit(unit))?;
        let run = self.run;
        let (index, size) = (LeafIndex::new(unit), TreeSize::new(self.units()));
        let (index, size) = (index.unwrap_or_default(), size.unwrap_or_default());
        // What is written stays for ever: a tree of other hashes would lead it elsewhere.
        let root = tree.record().root;
        verify_inclusion(index, size, &within.root(), &above, &root)
            .map_err(|source| MergeError::Foreign { run, unit, source })?;
        let mut each = |place: u64, draft: Draft, out: &mut Out<'_, E>| {
            let q = unit * partitions + place;
            let path = IndexPath::Partition { run, q };
            let at = usize::try_from(place).unwrap_or(usize::MAX);
            let expected = hashes.0.get(at).copied().unwrap_or(Hash([0; 32]));
            let computed = draft.hash();
            if computed != expected {
                return Err(MergeError::Differs {
                    path,
                    computed,
                    expected,
                });
            }
            let siblings = LeafIndex::new(place).and_then(|place| within.prove(place));
            let siblings = [siblings.unwrap_or_default(), above.clone()].concat();
            out.put(path, draft.bytes(&siblings))
        };
        let mut out = Out::to(&mut write);
        self.each(unit, &mut read, &mut out, &mut each)?;
        Filter::new(&out.leaves).map_err(|source| MergeError::Filter { run, unit, source })
    }

    /// Makes the partitions of a unit, one after the other.
    fn each<E>(
        &self,
        unit: u64,
        read: Read<'_, E>,
        out: &mut Out<'_, E>,
        each: Each<'_, E>,
    ) -> Result<(), MergeError<E>> {
        let bits = self.bits();
        let (units, partitions) = units(bits);
        if unit >= units {
            return Err(self.no_unit(unit));
        }
        let first = unit * partitions;
        let (mut streams, mut spare) = (Vec::new(), Vec::new());
        for (run, record) in self.children {
            let read_of = self.read_of(&record, first, partitions);
            let mut stream = Stream::new(run, record, read_of);
            stream.advance(read, &mut spare)?;
            while stream.key().is_some_and(|key| key.prefix(bits) < first) {
                stream.advance(read, &mut spare)?;
            }
            streams.push(stream);
        }
        let mut parts = Vec::new();
        for place in 0..partitions {
            let q = first + place;
            let mut writer = Writer::new(self.run, bits, q);
            while let Some(key) = streams.iter().filter_map(Stream::key).min()
                && key.prefix(bits) == q
            {
                for stream in &mut streams {
                    if let Some((_, postings)) = stream.head.take_if(|(at, _)| *at == key) {
                        parts.push((stream.run, postings));
                        stream.advance(read, &mut spare)?;
                    }
                }
                out.saw(key);
                let postings = self.join(key, &mut parts, read, out)?;
                let page = writer.push(&key, &postings);
                if let Some((path, page)) = page.map_err(MergeError::Partition)? {
                    out.put(path, page)?;
                }
                if let Postings::Inline(mut indexes) = postings {
                    // Most keys have one posting: its vector serves the next one.
                    indexes.clear();
                    spare.push(indexes);
                }
            }
            let (draft, page) = writer.finish();
            if let Some((path, page)) = page {
                out.put(path, page)?;
            }
            each(place, draft, out)?;
        }
        Ok(())
    }

    /// The postings of a key in several children, as the parent has them. No part is left.
    fn join<E>(
        &self,
        key: Key,
        parts: &mut Vec<(Run, Postings)>,
        read: Read<'_, E>,
        out: &mut Out<'_, E>,
    ) -> Result<Postings, MergeError<E>> {
        let run = self.run;
        let count = parts.iter().map(|(_, postings)| postings.count()).sum();
        if count <= MAX_INLINE {
            // None of them is a list: that alone would be more.
            let mut joined = Vec::new();
            for (child, postings) in parts.drain(..) {
                let Postings::Inline(mut indexes) = postings else {
                    continue;
                };
                let offset = child.start() - run.start();
                indexes.iter_mut().for_each(|index| *index += offset);
                if joined.is_empty() {
                    joined = indexes;
                } else {
                    joined.append(&mut indexes);
                }
            }
            return Ok(Postings::Inline(joined));
        }
        let mut feed = Feed::new(run, key, parts);
        let mut pages = ListPages::new(run, key, count, || feed.next(read));
        let mut hashes = Vec::new();
        while let Some((_, draft)) = pages.next_page()? {
            hashes.push(draft.hash());
        }
        let tree = grow(&hashes).map_err(MergeError::Tree)?;
        if out.is_wanted() {
            let mut feed = Feed::new(run, key, parts);
            let mut pages = ListPages::new(run, key, count, || feed.next(read));
            while let Some((page, draft)) = pages.next_page()? {
                let proof = LeafIndex::new(page).and_then(|page| tree.prove(page));
                let bytes = draft.bytes(&proof.unwrap_or_default());
                out.put(IndexPath::List { run, key, page }, bytes)?;
            }
        }
        parts.clear();
        let root = tree.root();
        Ok(Postings::List { count, root })
    }

    fn bits(&self) -> u8 {
        let (weight, root) = (self.weight, Hash([0; 32]));
        Record { weight, root }.bits()
    }

    fn no_unit<E>(&self, unit: u64) -> MergeError<E> {
        let (run, units) = (self.run, self.units());
        MergeError::Unit { run, unit, units }
    }
}

type Read<'f, E> = &'f mut dyn FnMut(IndexPath) -> Result<Vec<u8>, E>;
type Each<'f, E> = &'f mut dyn FnMut(u64, Draft, &mut Out<'_, E>) -> Result<(), MergeError<E>>;
type Put<'f, E> = &'f mut dyn FnMut(IndexPath, Vec<u8>) -> Result<(), E>;

/// Where objects go, nowhere in the first pass; and the leaf keys of the second.
struct Out<'f, E> {
    write: Option<Put<'f, E>>,
    leaves: Vec<Key>,
}

impl<'f, E> Out<'f, E> {
    fn nowhere() -> Self {
        Self {
            write: None,
            leaves: Vec::new(),
        }
    }

    fn to(write: Put<'f, E>) -> Self {
        Self {
            write: Some(write),
            leaves: Vec::new(),
        }
    }

    fn is_wanted(&self) -> bool {
        self.write.is_some()
    }

    fn saw(&mut self, key: Key) {
        if self.is_wanted() && key.domain() == LEAF_DOMAIN {
            self.leaves.push(key);
        }
    }

    fn put(&mut self, path: IndexPath, bytes: Vec<u8>) -> Result<(), MergeError<E>> {
        let Some(write) = &mut self.write else {
            return Ok(());
        };
        write(path, bytes).map_err(MergeError::Caller)
    }
}

/// The keys of a child from one partition on, one partition or page at a time.
struct Stream {
    run: Run,
    record: Record,
    to_read: std::ops::Range<u64>,
    partition: Option<Partition>,
    page: u64,
    keys: Option<Keys>,
    entries: Entries,
    head: Option<(Key, Postings)>,
}

impl Stream {
    fn new(run: Run, record: Record, to_read: std::ops::Range<u64>) -> Self {
        Self {
            run,
            record,
            to_read,
            partition: None,
            page: 0,
            keys: None,
            entries: Entries::new(0),
            head: None,
        }
    }

    fn key(&self) -> Option<Key> {
        self.head.as_ref().map(|(key, _)| *key)
    }

    /// Goes on to the next key. Its indexes are in one of the spare vectors, if there is any.
    fn advance<E>(
        &mut self,
        read: Read<'_, E>,
        spare: &mut Vec<Vec<u64>>,
    ) -> Result<(), MergeError<E>> {
        loop {
            if let Some(keys) = &self.keys {
                let mut indexes = spare.pop().unwrap_or_default();
                let (body, scope) = (&keys.body, &keys.scope);
                let next = self.entries.next(body, scope, &mut indexes, |_| true);
                if let Some((key, list)) = next.map_err(MergeError::Child)? {
                    self.head = Some((key, list.unwrap_or(Postings::Inline(indexes))));
                    return Ok(());
                }
                self.keys = None;
            }
            if let Some(partition) = &self.partition
                && self.page < partition.pages()
            {
                let path = partition.page_path(self.page);
                let bytes = read(path).map_err(MergeError::Caller)?;
                let keys = partition.open_page(self.page, &bytes);
                let keys = keys.map_err(MergeError::Child)?;
                self.page += 1;
                self.entries = Entries::new(keys.count);
                self.keys = Some(keys);
                continue;
            }
            let Some(q) = self.to_read.next() else {
                self.head = None;
                return Ok(());
            };
            let path = IndexPath::Partition { run: self.run, q };
            let bytes = read(path).map_err(MergeError::Caller)?;
            let partition = Partition::open(self.run, &self.record, q, &bytes);
            let partition = partition.map_err(MergeError::Child)?;
            self.page = 0;
            self.partition = match partition.contents {
                Contents::Keys(keys) => {
                    self.entries = Entries::new(keys.count);
                    self.keys = Some(keys);
                    None
                }
                Contents::Directory(_) => Some(partition),
            };
        }
    }
}

/// The postings of a key from several children, as indexes in the parent, one page of a list at a time.
struct Feed<'p> {
    parent: Run,
    key: Key,
    parts: std::slice::Iter<'p, (Run, Postings)>,
    list: Option<(List, u64)>,
    offset: u64,
    before: Option<u64>,
    current: std::vec::IntoIter<u64>,
}

impl<'p> Feed<'p> {
    fn new(parent: Run, key: Key, parts: &'p [(Run, Postings)]) -> Self {
        Self {
            parent,
            key,
            parts: parts.iter(),
            list: None,
            offset: 0,
            before: None,
            current: Vec::new().into_iter(),
        }
    }

    fn next<E>(&mut self, read: Read<'_, E>) -> Result<Option<u64>, MergeError<E>> {
        loop {
            if let Some(index) = self.current.next() {
                self.before = Some(index);
                return Ok(Some(self.offset + index));
            }
            if let Some((list, page)) = &mut self.list
                && *page < list.pages()
            {
                let path = list.path(*page);
                let bytes = read(path).map_err(MergeError::Caller)?;
                let indexes = list.relative(*page, &bytes).map_err(MergeError::Child)?;
                *page += 1;
                let least = self.before.map_or(0, |before| before + 1);
                if let Some(first) = indexes.first().filter(|first| **first < least) {
                    return Err(MergeError::Child(IndexError::Range {
                        path,
                        field: "posting",
                        found: *first,
                        least,
                        most: list.run.leaves() - 1,
                    }));
                }
                self.current = indexes.into_iter();
                continue;
            }
            let Some((run, postings)) = self.parts.next() else {
                return Ok(None);
            };
            self.offset = run.start() - self.parent.start();
            self.before = None;
            match postings {
                Postings::Inline(indexes) => {
                    self.list = None;
                    self.current = indexes.clone().into_iter();
                }
                Postings::List { count, root } => {
                    let list = List {
                        run: *run,
                        key: self.key,
                        count: *count,
                        root: *root,
                    };
                    self.list = Some((list, 0));
                }
            }
        }
    }
}
