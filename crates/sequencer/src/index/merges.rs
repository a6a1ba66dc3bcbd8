//! Runs from four: small ones at once, large ones in units that are done ahead of time, by whoever has time for it.
//!
//! A large run may be made for as long as it is not live. Of that there are notes among the private objects, below `index-work/v1/`:
//!
//! | note | what |
//! |---|---|
//! | `<level>/<n>/h/<unit>` | the hashes of a unit, after the first pass |
//! | `<level>/<n>/done/<root>/<unit>` | all objects of the unit are there, under this root of the run; the filter of its leaf hashes |
//! | `<level>/<n>/made` | all units are; the run's record |
//! | `filter/<level>/<n>/<shard>` | the filters of all units, for writers that look for duplicates |
//!
//! They may be removed at any time: then the work is done again, and comes to the same. But filters are not: a run without them is looked up
//! until it is merged.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tegula_index::{
    BuildError, Filter, MAX_SHARD, Merge, MergeError, Record, Run, RunTree, Shard, UNIT, UnitHashes,
};
use tegula_storage::{Created, ObjectPath, Root};
use tegula_tlog::{Hash, TreeSize};
use tracing::warn;

use super::pass::Stopped;
use super::{IndexOptions, IndexReport, Indexer, MAX_SMALL_LEVEL, Unsynced, made, unavailable};
use crate::error::Error;
use crate::read::MAX_READS;

impl Indexer {
    /// Makes a run at once; its children are live, or were made just now.
    pub(super) async fn merge_now(&mut self, run: Run) -> Result<Record, Error> {
        let merge = self.merge_of(run)?;
        let mut hashes = Vec::new();
        for unit in 0..merge.units() {
            hashes.push(self.hash_unit(&merge, unit).await?);
        }
        let roots: Vec<_> = hashes
            .iter()
            .map(UnitHashes::root)
            .collect::<Result<_, _>>()
            .map_err(|error| unavailable(error.to_string()))?;
        let tree = Arc::new(made(merge.tree(&roots))?);
        let mut filters = Vec::new();
        for (unit, hashes) in (0..).zip(hashes) {
            filters.push(self.write_unit(&merge, unit, hashes, &tree).await?);
        }
        if run.level() >= FILTERED_LEVEL {
            let shard = made(Shard::new(0, tree.record().bits(), filters))?;
            self.store
                .create(&filter_path(run, 0)?, shard.to_bytes().into())
                .await?;
        }
        Ok(tree.record())
    }

    /// Makes a large run, or finds that it was made. `None` if there is not the time.
    pub(super) async fn merge_large(
        &mut self,
        run: Run,
        options: &IndexOptions,
        report: &mut IndexReport,
    ) -> Result<Option<Record>, Error> {
        let record = self.work_on(run, options, report).await?;
        report.merged += u64::from(record.is_some());
        Ok(record)
    }

    /// Works on the runs that are not live yet and can be made.
    pub(super) async fn work_ahead(
        &mut self,
        options: &IndexOptions,
        report: &mut IndexReport,
    ) -> Result<(), Error> {
        for run in self.coming()? {
            if self.is_late(options) || self.work_on(run, options, report).await?.is_none() {
                report.unfinished += 1;
            }
        }
        Ok(())
    }

    /// Runs whose children are all live, in the order in which they will be needed.
    fn coming(&self) -> Result<Vec<Run>, Error> {
        let records = &self.known()?.records;
        let mut coming: Vec<Run> = Vec::new();
        for run in records
            .keys()
            .filter(|run| run.level() >= MAX_SMALL_LEVEL && run.n() % 4 == 3)
        {
            let Some(parent) = Run::new(run.level() + 1, run.n() / 4) else {
                continue;
            };
            let children = parent.children().into_iter().flatten();
            let mut children = children.map(|child| records.contains_key(&child));
            if children.all(|is_live| is_live) {
                coming.push(parent);
            }
        }
        coming.sort_unstable_by_key(Run::live_from);
        Ok(coming)
    }

    /// Both passes over all units that nobody has done.
    async fn work_on(
        &mut self,
        run: Run,
        options: &IndexOptions,
        report: &mut IndexReport,
    ) -> Result<Option<Record>, Error> {
        let merge = self.merge_of(run)?;
        let work = Work { run };
        if let Some(bytes) = self.recall(&work.made()?).await? {
            // Whoever made it may not have synced it.
            self.unsynced = Unsynced::All;
            match Record::from_bytes(&bytes) {
                Some(record) if record.weight == merge.weight() => return Ok(Some(record)),
                // Of another version of the software, perhaps.
                _ => self.store.remove(&work.made()?).await?,
            }
        }
        let begun = self.done(&work, HASHED).await?;
        for unit in self.in_some_order(merge.units()) {
            if begun.binary_search(&unit).is_ok() {
                continue;
            }
            if self.is_late(options) {
                return Ok(None);
            }
            let hashes = self.hash_unit(&merge, unit).await?;
            self.note(&work.unit(HASHED, unit)?, hashes.to_bytes())
                .await?;
            report.units += 1;
        }
        let mut roots = Vec::new();
        for unit in 0..merge.units() {
            let root = self.hashes(&work, unit).await?.root();
            roots.push(root.map_err(|error| unavailable(error.to_string()))?);
        }
        let tree = Arc::new(tree(&merge, &roots)?);
        // Under the root that they were written for: under another one they are not done.
        let under = format!("{DONE}/{}", tree.record().root);
        let done = self.done(&work, &under).await?;
        if !done.is_empty() {
            self.unsynced = Unsynced::All;
        }
        for unit in self.in_some_order(merge.units()) {
            if done.binary_search(&unit).is_ok() {
                continue;
            }
            if self.is_late(options) {
                return Ok(None);
            }
            let hashes = self.hashes(&work, unit).await?;
            let filter = match self.write_unit(&merge, unit, hashes, &tree).await {
                Ok(filter) => filter,
                Err(error) => {
                    // The hashes of the first pass may be what is wrong: the next one makes them again.
                    self.store.remove(&work.unit(HASHED, unit)?).await?;
                    return Err(error);
                }
            };
            self.note(&work.unit(&under, unit)?, filter.to_bytes())
                .await?;
            report.units += 1;
        }
        self.keep_filters(&work, &merge, &under).await?;
        let record = tree.record();
        self.note(&work.made()?, record.to_bytes().to_vec()).await?;
        Ok(Some(record))
    }

    fn merge_of(&self, run: Run) -> Result<Merge, Error> {
        let records = &self.known()?.records;
        let missing = || {
            unavailable(format!(
                "the run {run} cannot be made: a run that it is made of is not live"
            ))
        };
        let [a, b, c, d] = run.children().ok_or_else(missing)?;
        let record = |run| records.get(&run).copied().ok_or_else(missing);
        let children = [record(a)?, record(b)?, record(c)?, record(d)?];
        Merge::new(run, children).ok_or_else(missing)
    }

    async fn hash_unit(&mut self, merge: &Merge, unit: u64) -> Result<UnitHashes, Error> {
        let first = merge.partitions_read(unit);
        let merge = merge.clone();
        let pass =
            move |hands: &mut super::pass::Hands| merge.hash_unit(unit, |path| hands.read(path));
        self.pass(first, pass).await?.map_err(not_done)
    }

    async fn write_unit(
        &mut self,
        merge: &Merge,
        unit: u64,
        hashes: UnitHashes,
        tree: &Arc<RunTree>,
    ) -> Result<Filter, Error> {
        let first = merge.partitions_read(unit);
        let (merge, tree) = (merge.clone(), Arc::clone(tree));
        let pass = move |hands: &mut super::pass::Hands| {
            let hands = std::cell::RefCell::new(hands);
            let read = |path| hands.borrow_mut().read(path);
            let write = |path, bytes| hands.borrow().write(path, bytes);
            merge.write_unit(unit, &hashes, &tree, read, write)
        };
        self.pass(first, pass).await?.map_err(not_done)
    }

    /// Puts the filters of all units together.
    async fn keep_filters(&self, work: &Work, merge: &Merge, under: &str) -> Result<(), Error> {
        let shards = merge.units().div_ceil(UNITS_PER_SHARD);
        for shard in 0..shards {
            let units = shard * UNITS_PER_SHARD..merge.units().min((shard + 1) * UNITS_PER_SHARD);
            let mut filters = Vec::new();
            for unit in units {
                let path = work.unit(under, unit)?;
                let bytes = self.recall(&path).await?;
                match Filter::from_bytes(&bytes.unwrap_or_default()) {
                    Ok(filter) => filters.push(filter),
                    Err(error) => {
                        self.store.remove(&path).await?;
                        return Err(unavailable(format!(
                            "{}: {error}, it is made again",
                            path.as_str()
                        )));
                    }
                }
            }
            let first = shard * UNITS_PER_SHARD * UNIT;
            let bits = Record {
                weight: merge.weight(),
                root: Hash([0; 32]),
            }
            .bits();
            let shard_path = filter_path(work.run, shard)?;
            let shard = made(Shard::new(first, bits, filters))?;
            // It has a checksum of its own.
            self.store
                .create(&shard_path, shard.to_bytes().into())
                .await?;
        }
        Ok(())
    }

    /// The units that somebody has noted as done, ascending.
    async fn done(&self, work: &Work, what: &str) -> Result<Vec<u64>, Error> {
        let prefix = work.prefix(what);
        let mut units = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self
                .store
                .list(Root::Private, &prefix, after.as_deref(), PAGE)
                .await?;
            let Some(last) = page.last().cloned() else {
                break;
            };
            let names = page.iter().filter_map(|path| path.strip_prefix(&prefix));
            units.extend(names.filter_map(|name| name.parse::<u64>().ok()));
            after = Some(last);
        }
        units.sort_unstable();
        Ok(units)
    }

    async fn hashes(&self, work: &Work, unit: u64) -> Result<UnitHashes, Error> {
        let path = work.unit(HASHED, unit)?;
        let bytes = self.recall(&path).await?;
        let hashes = bytes.and_then(|bytes| UnitHashes::from_bytes(&bytes));
        // The next round makes it again.
        hashes.ok_or_else(|| unavailable(format!("{} is gone", path.as_str())))
    }

    /// What was noted, if it is sound; a note that is damaged goes. One bad read is not damage.
    async fn recall(&self, path: &ObjectPath) -> Result<Option<Bytes>, Error> {
        for _ in 0..MAX_READS {
            let Some(object) = self.store.read(path).await? else {
                return Ok(None);
            };
            let body = object.bytes.len().saturating_sub(CHECKSUM);
            let (body, sum) = (object.bytes.slice(..body), object.bytes.slice(body..));
            if checksum(path, &body) == *sum {
                return Ok(Some(body));
            }
        }
        warn!(
            path = path.as_str(),
            "a note of a merge is damaged, what it says is done again"
        );
        self.store.remove(path).await?;
        Ok(None)
    }

    /// Keeps a note of what was done; another's is as good. What is signed rests on it, so it has a checksum.
    async fn note(&self, path: &ObjectPath, mut bytes: Vec<u8>) -> Result<(), Error> {
        let sum = checksum(path, &bytes);
        bytes.extend_from_slice(&sum);
        match self.store.create(path, bytes.into()).await? {
            Created::Created | Created::Exists => Ok(()),
        }
    }

    /// All units, each builder beginning elsewhere: so they share the work.
    fn in_some_order(&self, units: u64) -> impl Iterator<Item = u64> + use<> {
        let random = self.env.random().first_chunk().copied();
        let begin = random.map_or(0, u64::from_be_bytes) % units.max(1);
        (begin..units).chain(0..begin)
    }

    /// Removes the notes of merges whose runs are live in the published index, and the filters of runs that are no longer.
    pub(super) async fn clean_up(&mut self, size: TreeSize) -> Result<(), Error> {
        let is_new = |run: &&Run| run.level() > MAX_SMALL_LEVEL && run.live_from() > self.cleaned;
        let runs: Vec<_> = self
            .known()?
            .records
            .keys()
            .filter(is_new)
            .copied()
            .collect();
        for run in runs {
            let children = run.children().into_iter().flatten().map(filters);
            let prefixes = children.chain([Work { run }.prefix("")]);
            for prefix in prefixes {
                loop {
                    let listed = self.store.list(Root::Private, &prefix, None, PAGE).await?;
                    for path in &listed {
                        self.store.remove(&private(path.clone())?).await?;
                    }
                    if listed.len() < PAGE {
                        break;
                    }
                }
            }
        }
        self.cleaned = size.get();
        Ok(())
    }
}

/// The private objects of the merge of one run.
struct Work {
    run: Run,
}

impl Work {
    fn prefix(&self, what: &str) -> String {
        let (level, n) = (self.run.level(), self.run.n());
        let slash = if what.is_empty() { "" } else { "/" };
        format!("{WORK}{level}/{n}/{what}{slash}")
    }

    fn unit(&self, what: &str, unit: u64) -> Result<ObjectPath, Error> {
        private(format!("{}{unit}", self.prefix(what)))
    }

    fn made(&self) -> Result<ObjectPath, Error> {
        private(format!("{}made", self.prefix("")))
    }
}

/// Where the filters of a run are: private, and of use for as long as it is live.
pub(super) fn filter_path(run: Run, shard: u64) -> Result<ObjectPath, Error> {
    private(format!("{}{shard}", filters(run)))
}

/// How many shards the filters of a run are in.
pub(super) fn shards_of(record: &Record) -> u64 {
    (1_u64 << record.bits())
        .div_ceil(UNIT)
        .div_ceil(UNITS_PER_SHARD)
}

fn filters(run: Run) -> String {
    format!("{FILTERS}{}/{}/", run.level(), run.n())
}

fn private(path: String) -> Result<ObjectPath, Error> {
    ObjectPath::private(path).map_err(|error| unavailable(error.to_string()))
}

/// Of a note and of its place.
fn checksum(path: &ObjectPath, body: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = Sha256::new();
    hasher.update(path.as_str());
    hasher.update([0]);
    hasher.update(body);
    let hash: [u8; 32] = hasher.finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

fn tree(merge: &Merge, roots: &[Hash]) -> Result<RunTree, Error> {
    merge
        .tree(roots)
        .map_err(|error: BuildError| unavailable(error.to_string()))
}

fn not_done(error: MergeError<Stopped>) -> Error {
    match error {
        MergeError::Child(error) => made::<(), _>(Err(error))
            .err()
            .unwrap_or_else(crate::writer::cold),
        error => unavailable(error.to_string()),
    }
}

/// Where the notes are, among the private objects.
pub(super) const WORK: &str = "index-work/v1/";
pub(super) const FILTERS: &str = "index-work/v1/filter/";
/// Runs from this level on have filters: what is newer than all of them are less than 16,384 leaves, and those that the index lags behind.
pub(super) const FILTERED_LEVEL: u8 = 3;
const HASHED: &str = "h";
const DONE: &str = "done";
/// Bytes at the end of a note.
const CHECKSUM: usize = 8;
/// The units whose filters are one object: of leaf hashes some four million.
const UNITS_PER_SHARD: u64 = MAX_SHARD as u64;
/// Names that are listed together.
const PAGE: usize = 1_000;
