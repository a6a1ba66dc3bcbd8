//! The search index beside the log: base runs, merges, and the index log that says what they are.
//!
//! It is a pure function of what is published, so anybody may make it, at the same time as others and again: all of its objects are made
//! where nothing is, and compared where something is. No upload waits for what is built, and nothing of it can stop a writer.
//! The bytes are those of `tiles-format.md`, section 13.
//!
//! What is trusted: the log's checkpoint and the index's, both of which this log signed. Bundles and runs are checked against them.
//! Only the progress of a merge is believed as it is found among the private objects; `tegula index audit` does not believe it.

mod emit;
mod merges;
mod older;
mod pass;
mod publish;
mod recover;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tegula_index::{
    BASE_LEAVES, Built, IndexLeaf, IndexPath, Key, Record, Run, covered, live_runs,
};
use tegula_storage::{ObjectPath, Store};
use tegula_tlog::{
    Edge, Hash, TilePath, TreeSize, VerifiedTiles, VerifierKey, leaf_hash, root_of, root_tiles,
};

pub(crate) use emit::emit;
pub(crate) use older::Older;
pub(crate) use recover::forget_unpublished;

use crate::error::Error;
use crate::integrate::write_objects;
use crate::publish::read_checkpoint;
use crate::signers::Signers;
use crate::tip::BundleTail;
use crate::writer::cold;
use crate::{Env, Published, read};

/// What an entry can be found by: a pure function of its bytes, which never changes while the index has this version.
pub type Extract = Arc<dyn Fn(&[u8]) -> Vec<Key> + Send + Sync>;

/// A builder of the search index. Any number of them may work on one log.
///
/// Merging computes on the thread that polls it, for some milliseconds at a time: give it a thread of its own.
pub struct Indexer {
    store: Arc<dyn Store>,
    env: Arc<dyn Env>,
    log_keys: Vec<VerifierKey>,
    signers: Signers,
    extract: Extract,
    known: Option<Known>,
    /// Objects that were made and are not known to be durable.
    unsynced: Unsynced,
    /// Whether the last round came to its end.
    is_whole: bool,
    /// The index size up to which notes of merges were removed.
    cleaned: u64,
}

/// What the index says so far: as it was published, and a few leaves more.
struct Known {
    /// As published; `None` before the first time.
    published: Option<publish::PublishedIndex>,
    /// The index log: its size is the number of base runs.
    edge: Edge,
    tail: BundleTail,
    /// Full tiles and bundles of the index log that are not in the store.
    owed: Vec<(TilePath, Bytes)>,
    /// The live runs.
    records: BTreeMap<Run, Record>,
    /// The log where the index ends.
    log: Edge,
    /// The last leaf, and its proof.
    last: Option<(IndexLeaf, Vec<Hash>)>,
    /// Objects of runs that were made just now, for those that are merged from them.
    fresh: HashMap<IndexPath, Bytes>,
    fresh_bytes: usize,
}

enum Unsynced {
    These(Vec<ObjectPath>),
    /// Others made some of them.
    All,
}

/// How far a round goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexOptions {
    /// Base runs that are made at most; `None` for all that there are.
    pub max_base_runs: Option<u64>,
    /// The time, in milliseconds since 1970, after which nothing new is begun.
    pub until_ms: Option<u64>,
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct IndexReport {
    /// Leaves of the log that the published index covers.
    pub covered: u64,
    /// Leaves of the log that it can cover: its last full bundle ends there.
    pub coverable: u64,
    /// Base runs that were made.
    pub base_runs: u64,
    /// Runs that were merged and are live.
    pub merged: u64,
    /// Units of merges that were done ahead of time, or again.
    pub units: u64,
    /// Merges that will be needed and are not finished.
    pub unfinished: u64,
}

impl Indexer {
    /// A builder of the index of the log with these keys.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] if there is no key, or none of such a name.
    pub fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        signers: &Signers,
        extract: Extract,
    ) -> Result<Self, Error> {
        Ok(Self {
            store,
            env,
            log_keys: signers.verifiers().to_vec(),
            signers: signers.of_index()?,
            extract,
            known: None,
            unsynced: Unsynced::These(Vec::new()),
            is_whole: true,
            cleaned: 0,
        })
    }

    /// Brings the index as far as the published log goes, or as the options let it, publishes that, and works ahead on merges.
    ///
    /// # Errors
    ///
    /// After any failure nothing is believed that was known: the next round reads it again.
    pub async fn round(&mut self, options: IndexOptions) -> Result<IndexReport, Error> {
        // A round that was dropped may have left half of a step behind.
        if !std::mem::replace(&mut self.is_whole, false) {
            self.known = None;
            // What was not synced is made again, or compared, before anything refers to it.
            self.unsynced = Unsynced::All;
        }
        let report = self.try_round(options).await?;
        self.is_whole = true;
        Ok(report)
    }

    async fn try_round(&mut self, options: IndexOptions) -> Result<IndexReport, Error> {
        let log = read_checkpoint(self.store.as_ref(), &self.log_keys)
            .await?
            .0;
        let mut report = IndexReport {
            coverable: log.size.get() / BASE_LEAVES * BASE_LEAVES,
            ..IndexReport::default()
        };
        let mut verified = VerifiedTiles::new(log.size, log.root);
        self.know(&log, &mut verified).await?;
        let target = log.size.get() / BASE_LEAVES;
        while self.known()?.size() < target
            && options
                .max_base_runs
                .is_none_or(|most| report.base_runs < most)
            && !self.is_late(&options)
        {
            if report.base_runs > 0 && report.base_runs.is_multiple_of(PUBLISHED_TOGETHER) {
                self.publish(&mut verified).await?;
            }
            if !self
                .extend(&log, &mut verified, &options, &mut report)
                .await?
            {
                break;
            }
            report.base_runs += 1;
        }
        self.publish(&mut verified).await?;
        self.work_ahead(&options, &mut report).await?;
        let published = self.known()?.published.as_ref();
        report.covered = published
            .and_then(|p| covered(p.size))
            .unwrap_or_default()
            .get();
        Ok(report)
    }

    fn known(&self) -> Result<&Known, Error> {
        self.known.as_ref().ok_or_else(cold)
    }

    fn known_mut(&mut self) -> Result<&mut Known, Error> {
        self.known.as_mut().ok_or_else(cold)
    }

    fn is_late(&self, options: &IndexOptions) -> bool {
        options
            .until_ms
            .is_some_and(|until| self.env.now_ms() >= until)
    }

    /// Adds the next base run, all runs that are live with it, and the leaf that says so. `false` if there was no time to merge what
    /// has to be.
    async fn extend(
        &mut self,
        log: &Published,
        verified: &mut VerifiedTiles,
        options: &IndexOptions,
        report: &mut IndexReport,
    ) -> Result<bool, Error> {
        let at = self.known()?.size();
        let size = TreeSize::new(at + 1).ok_or_else(full)?;
        // Large merges first: where there is no time for them, there is nothing to take back.
        let mut merged = BTreeMap::new();
        for run in large_runs_from(at + 1) {
            match self.merge_large(run, options, report).await? {
                Some(record) => merged.insert(run, record),
                None => return Ok(false),
            };
        }
        let base = Run::new(0, at).ok_or_else(full)?;
        let (leaves, built) = self.base_run(base, log, verified).await?;
        if at.is_multiple_of(FORGOTTEN_TOGETHER) {
            verified.forget_level(0);
            let known = self.known_mut()?;
            known.fresh.clear();
            known.fresh_bytes = 0;
        }
        self.keep(built.objects).await?;
        let known = self.known_mut()?;
        known.log.grow(&leaves).map_err(|_full| full())?;
        known.records.insert(base, built.record);
        known.records.extend(merged);
        // A run whose last leaf this is, and the larger one whose last one it is.
        for level in 1..=MAX_SMALL_LEVEL {
            let Some(run) = Run::new(level, at >> (2 * level)) else {
                break;
            };
            if run.live_from() != at + 1 {
                break;
            }
            let record = self.merge_now(run).await?;
            self.known_mut()?.records.insert(run, record);
            report.merged += 1;
        }
        self.known_mut()?.append(size)?;
        Ok(true)
    }

    /// The leaves of a base run, as the published tree has them, and the run.
    async fn base_run(
        &self,
        run: Run,
        log: &Published,
        verified: &mut VerifiedTiles,
    ) -> Result<(Vec<Hash>, Built), Error> {
        let store = self.store.as_ref();
        let bundle = read::checked_bundle(store, run.n(), log.size, verified).await?;
        // Whether that is damage, housekeeping finds out.
        let bundle = bundle.map_err(unavailable)?;
        let built = emit::base_run(&self.extract, run, &bundle.bytes, bundle.leaves.len())?;
        Ok((bundle.leaves, built))
    }

    /// Makes objects where nothing is, and compares where something is.
    async fn keep(&mut self, objects: Vec<(IndexPath, Vec<u8>)>) -> Result<(), Error> {
        let mut named = Vec::with_capacity(objects.len());
        for (path, bytes) in objects {
            let bytes = Bytes::from(bytes);
            if let Some(known) = &mut self.known
                && path_run(&path).is_some_and(|run| run.level() < MAX_SMALL_LEVEL)
            {
                // It saves requests, and no more.
                if known.fresh_bytes > MAX_FRESH_BYTES {
                    known.fresh.clear();
                    known.fresh_bytes = 0;
                }
                known.fresh_bytes += bytes.len();
                known.fresh.insert(path, bytes.clone());
            }
            named.push((object(&path)?, bytes));
        }
        self.write(named).await
    }

    async fn write(&mut self, objects: Vec<(ObjectPath, Bytes)>) -> Result<(), Error> {
        if let Unsynced::These(paths) = &mut self.unsynced {
            paths.extend(objects.iter().map(|(path, _)| path.clone()));
        }
        write_objects(self.store.as_ref(), self.env.as_ref(), objects).await
    }
}

impl Known {
    /// The size of the index log: the number of base runs.
    fn size(&self) -> u64 {
        self.edge.size().get()
    }

    /// Appends the leaf that says what the live runs are at this size, which is one more than before.
    fn append(&mut self, size: TreeSize) -> Result<(), Error> {
        let live = live_runs(size).ok_or_else(full)?;
        let mut records = BTreeMap::new();
        for run in live {
            let record = self.records.get(&run);
            let record = record.ok_or_else(|| unavailable(format!("the run {run} is not made")))?;
            records.insert(run, *record);
        }
        let leaf = IndexLeaf::new(self.log.size(), self.log.root(), &in_order(&records));
        let bytes = leaf.to_bytes();
        let grown = self
            .edge
            .grow(&[leaf_hash(&bytes)])
            .map_err(|_full| full())?;
        let tiles = grown.full_tiles().iter();
        self.owed
            .extend(tiles.map(|(path, bytes)| (*path, Bytes::copy_from_slice(bytes))));
        let before = grown.start();
        self.owed.extend(self.tail.extend(before, &[&bytes])?);
        let index = tegula_tlog::LeafIndex::new(before.get()).ok_or_else(full)?;
        let proof = grown.prove(index).ok_or_else(cold)?;
        self.last = Some((leaf, proof));
        self.records = records;
        Ok(())
    }
}

impl fmt::Debug for Indexer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.known.as_ref().map(Known::size);
        f.debug_struct("Indexer")
            .field("size", &size)
            .finish_non_exhaustive()
    }
}

/// The records from the left.
fn in_order(records: &BTreeMap<Run, Record>) -> Vec<Record> {
    let mut runs: Vec<_> = records.iter().collect();
    runs.sort_unstable_by_key(|(run, _)| run.start());
    runs.into_iter().map(|(_, record)| *record).collect()
}

/// Runs of the levels that wait, which are live from this number of base runs on.
fn large_runs_from(base_runs: u64) -> impl Iterator<Item = Run> {
    let from = move |level: u8| {
        let wait = Run::new(level, 0)?.live_from() - (1 << (2 * level));
        let n = (base_runs.checked_sub(wait)? >> (2 * level)).checked_sub(1)?;
        Run::new(level, n).filter(|run| run.live_from() == base_runs)
    };
    (MAX_SMALL_LEVEL + 1..=27).filter_map(from)
}

/// The log's tree at this size, from tiles that lead to its checkpoint.
async fn log_edge(
    store: &dyn Store,
    size: TreeSize,
    verified: &mut VerifiedTiles,
) -> Result<Edge, Error> {
    if size == TreeSize::ZERO {
        return Ok(Edge::empty());
    }
    read::verify_tiles(store, verified, &root_tiles(size)).await?;
    let root =
        root_of(size, verified.tiles()).map_err(|error| Error::Corrupt(error.to_string()))?;
    Edge::from_tiles(size, &root, verified.tiles())
        .map_err(|error| Error::Corrupt(error.to_string()))
}

/// Where an object of the index is kept.
fn object(path: &IndexPath) -> Result<ObjectPath, Error> {
    ObjectPath::public(path.to_string()).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Where a tile or bundle of the index log is kept.
fn index_tile(path: &TilePath) -> Result<ObjectPath, Error> {
    let path = format!("index/v1/{path}");
    ObjectPath::public(path).map_err(|error| Error::Corrupt(error.to_string()))
}

fn path_run(path: &IndexPath) -> Option<Run> {
    match path {
        IndexPath::Partition { run, .. }
        | IndexPath::Page { run, .. }
        | IndexPath::List { run, .. } => Some(*run),
        IndexPath::State(_) => None,
    }
}

fn made<T, E: fmt::Display>(made: Result<T, E>) -> Result<T, Error> {
    made.map_err(|error| Error::Corrupt(format!("the index: {error}")))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers pass what they have just put together"
)]
fn unavailable(reason: String) -> Error {
    Error::Unavailable(format!("the index: {reason}"))
}

fn full() -> Error {
    unavailable("the log is longer than any index can be".to_owned())
}

/// Runs up to this level are live at once, and are merged at once.
const MAX_SMALL_LEVEL: u8 = 3;
/// Base runs after which the index is published though there are more: so much is done again at most after a crash.
const PUBLISHED_TOGETHER: u64 = 1_024;
/// Bytes of objects that are kept for the merges that come next.
const MAX_FRESH_BYTES: usize = 16 << 20;
/// Base runs after which verified tiles are forgotten, and objects that were kept for merges: a run of level 3 begins.
const FORGOTTEN_TOGETHER: u64 = 64;
