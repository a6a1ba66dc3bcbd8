//! Housekeeping beside the writer: what may go, goes; what is there is checked.
//!
//! Every step is safe at any time and in any number of processes: it reads what is published,
//! and removes only what the protocol lets go.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tegula_storage::{ObjectPath, Replaced, Root, Store};
use tegula_tlog::{
    Checkpoint, Hash, TilePath, TreeSize, VerifiedTiles, VerifierKey, leaf_hash, parse_bundle,
    tiles_between,
};

use crate::error::Error;
use crate::history::History;
use crate::publish::checkpoint_path;
use crate::read;
use crate::rebuild::{base_path, read_base};
use crate::slot::{MAX_HEADER_LEN, Slot};
use crate::{Env, Published};

/// How many leaves' slots are kept below what is synced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keep {
    /// All slots: the log's backup.
    All,
    /// The slots of at least this many of the last leaves.
    Leaves(u64),
}

/// What a round of housekeeping may do.
#[derive(Clone, Copy, Debug)]
pub struct TidyOptions {
    /// Slots that stay.
    pub keep: Keep,
    /// How long a checkpoint has to be published before partial tiles that it supersedes go.
    pub partial_age: Duration,
    /// Bundles that the rolling self-check reads.
    pub check_bundles: u64,
}

impl Default for TidyOptions {
    /// Keeps the slots of 1,048,576 leaves, partial tiles for a day, and checks 16 bundles.
    fn default() -> Self {
        Self {
            keep: Keep::Leaves(1 << 20),
            partial_age: Duration::from_hours(24),
            check_bundles: 16,
        }
    }
}

/// What a round did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TidyReport {
    /// The size up to which every object is synced.
    pub base: u64,
    /// The floor: slots below it were removed.
    pub floor: u64,
    /// Slots that were removed.
    pub slots_removed: u64,
    /// Partial tiles and bundles that were removed.
    pub partials_removed: u64,
    /// Bundles that were checked against their tiles, and these against the published root.
    pub bundles_checked: u64,
    /// What is wrong: the paths, and why.
    pub damaged: Vec<String>,
}

/// The state between rounds. Losing it costs work and nothing else.
#[derive(Debug)]
pub(crate) struct Tidy {
    store: Arc<dyn Store>,
    env: Arc<dyn Env>,
    keys: Vec<VerifierKey>,
    /// The bundle that the self-check reads next.
    cursor: u64,
}

impl Tidy {
    pub(crate) fn new(store: Arc<dyn Store>, env: Arc<dyn Env>, keys: Vec<VerifierKey>) -> Self {
        Self {
            store,
            env,
            keys,
            cursor: 0,
        }
    }

    pub(crate) async fn round(&mut self, options: TidyOptions) -> Result<TidyReport, Error> {
        let published = self.published().await?;
        let mut report = TidyReport {
            base: self.advance_base(&published).await?,
            ..TidyReport::default()
        };
        self.expire(options.keep, &published, &mut report).await?;
        self.remove_partials(options.partial_age, &published, &mut report)
            .await?;
        self.self_check(options.check_bundles, &published, &mut report)
            .await?;
        Ok(report)
    }

    async fn published(&self) -> Result<Published, Error> {
        let object = self.store.read(&checkpoint_path()?).await?;
        let object = object.ok_or_else(|| Error::Corrupt("there is no checkpoint".to_owned()))?;
        let (checkpoint, _) = Checkpoint::open(&object.bytes, &self.keys)
            .map_err(|error| Error::Corrupt(format!("the published checkpoint: {error}")))?;
        Ok(Published {
            checkpoint: object.bytes,
            size: checkpoint.size,
            root: checkpoint.root,
        })
    }

    /// Syncs what was published since the last time, then says so: a rebuild begins here.
    async fn advance_base(&self, published: &Published) -> Result<u64, Error> {
        let store = self.store.as_ref();
        let base = read_base(store).await?;
        let mut at = base;
        let mut paths = Vec::new();
        while at < published.size.get() && paths.len() < MAX_SYNCED {
            let Some(bytes) = store.read_slot_head(at, MAX_HEADER_LEN).await? else {
                break;
            };
            let header = Slot::parse_head(at, &bytes)?;
            let end = header.new_size;
            if end > published.size {
                break;
            }
            for path in tiles_between(header.prev_size, end) {
                paths.push(read::tile(&path)?);
            }
            at = end.get();
        }
        if at == base {
            return Ok(base);
        }
        for chunk in paths.chunks(SYNC_CHUNK) {
            // A size between two published ones has no partial objects.
            let found = store.read_many(chunk).await;
            let mut there = Vec::with_capacity(chunk.len());
            for (path, object) in chunk.iter().zip(found) {
                if object?.is_some() {
                    there.push(path.clone());
                }
            }
            store.sync(&there).await?;
        }
        // The checkpoint too: after a power cut it must not be older than the base.
        store.sync(&[checkpoint_path()?]).await?;
        // Another process may have come further meanwhile: read again, and never lower it.
        if at > read_base(store).await? {
            self.remember(&base_path()?, format!("{at}\n")).await?;
        }
        Ok(at)
    }

    /// Removes slots that everything else is known to hold: synced, and read back.
    async fn expire(
        &self,
        keep: Keep,
        published: &Published,
        report: &mut TidyReport,
    ) -> Result<(), Error> {
        let store = self.store.as_ref();
        let floor = store.floor().await?;
        report.floor = floor;
        // Slots that an earlier round did not get to after it raised the floor.
        self.remove_slots_below(floor, report).await?;
        let Keep::Leaves(leaves) = keep else {
            return Ok(());
        };
        let limit = report.base.saturating_sub(leaves);
        if limit <= floor {
            return Ok(());
        }
        // The new floor is the start of a slot that stays.
        let mut new_floor = floor;
        let mut verified = VerifiedTiles::new(published.size, published.root);
        for start in store.slots(floor, MAX_EXPIRED).await? {
            if start > limit {
                break;
            }
            if start > new_floor && !self.holds_slot(new_floor, &mut verified, published).await? {
                report
                    .damaged
                    .push(format!("the objects that slot {new_floor} covers"));
                break;
            }
            new_floor = start;
        }
        if new_floor > floor {
            store.raise_floor(new_floor).await?;
            report.floor = new_floor;
            self.remove_slots_below(new_floor, report).await?;
        }
        Ok(())
    }

    /// Whether bundles and tiles, which lead to the published root, hold what a slot holds.
    async fn holds_slot(
        &self,
        start: u64,
        verified: &mut VerifiedTiles,
        published: &Published,
    ) -> Result<bool, Error> {
        let Some(bytes) = self.store.read_slot(start).await? else {
            return Ok(true);
        };
        let slot = Slot::parse(start, &bytes)?;
        let Some(entries) = slot.entries() else {
            return Ok(true);
        };
        let mut bundle: Option<(u64, Vec<Hash>)> = None;
        for (index, entry) in (start..).zip(entries?) {
            let n = index / 256;
            if bundle.as_ref().is_none_or(|(at, _)| *at != n) {
                match self.bundle_leaves(n, verified, published).await? {
                    Ok(leaves) => bundle = Some((n, leaves)),
                    Err(_damage) => return Ok(false),
                }
            }
            let at = usize::try_from(index % 256).unwrap_or(usize::MAX);
            let held = bundle.as_ref().and_then(|(_, leaves)| leaves.get(at));
            if held != Some(&leaf_hash(entry)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The leaf hashes of bundle `n`, if they are those of its tile, and this leads to the published root; else what is wrong.
    async fn bundle_leaves(
        &self,
        n: u64,
        verified: &mut VerifiedTiles,
        published: &Published,
    ) -> Result<Result<Vec<Hash>, String>, Error> {
        let store = self.store.as_ref();
        let tile = TilePath::hashes_at(0, n, published.size);
        let Some((tile, bundle)) = tile.zip(TilePath::entries_at(n, published.size)) else {
            return Ok(Err(format!("there is no bundle {n}")));
        };
        match read::verify_tiles(store, verified, &[tile]).await {
            Ok(()) => {}
            Err(error @ (Error::Corrupt(_) | Error::Unavailable(_))) => {
                return Ok(Err(format!("{tile}: {error}")));
            }
            Err(error) => return Err(error),
        }
        let hashes: Vec<_> = verified.hashes(&tile).into_iter().flatten().collect();
        let bytes = match read::bundle(store, &bundle).await {
            Ok(bytes) => bytes,
            Err(Error::Unavailable(reason)) => return Ok(Err(reason)),
            Err(error) => return Err(error),
        };
        let entries = parse_bundle(&bytes, hashes.len()).or_else(|_| parse_bundle(&bytes, 256));
        let entries = entries.unwrap_or_default();
        let leaves = entries.into_iter().take(hashes.len()).map(leaf_hash);
        if leaves.eq(hashes.iter().copied()) {
            Ok(Ok(hashes))
        } else {
            Ok(Err(format!("{bundle} does not hold the leaves of {tile}")))
        }
    }

    async fn remove_slots_below(&self, floor: u64, report: &mut TidyReport) -> Result<(), Error> {
        for start in self.store.slots(0, MAX_EXPIRED).await? {
            if start >= floor {
                break;
            }
            self.store.remove_slot(start).await?;
            report.slots_removed += 1;
        }
        Ok(())
    }

    /// Removes partial tiles whose full tile exists and was covered by a checkpoint that was
    /// published long enough ago.
    async fn remove_partials(
        &self,
        age: Duration,
        published: &Published,
        report: &mut TidyReport,
    ) -> Result<(), Error> {
        let store = self.store.as_ref();
        let now = self.env.now_ms();
        let history_path = private("history")?;
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let mut history = History::parse(&self.recall(&history_path).await?);
        history.add(now, published.size.get(), age_ms);
        let covered = history.covered_at(now.saturating_sub(age_ms));
        let from = history.trimmed;
        // Above the base the full tile may be torn by a power cut, and then the partial one is needed.
        let to = covered.min(report.base);
        let to = to.min(from.saturating_add(256 * MAX_TRIMMED_TILES));
        for level in 0..8_u8 {
            let span = 256_u64.pow(u32::from(level));
            // The tile n of a level covers the leaves up to (n + 1) · 256 · span.
            let Some(tile_span) = span.checked_mul(256) else {
                break;
            };
            for n in from / tile_span..to / tile_span {
                let mut full = vec![TilePath::hashes(level, n, 256)];
                if level == 0 {
                    full.push(TilePath::entries(n, 256));
                }
                for path in full.into_iter().flatten() {
                    report.partials_removed += self.remove_partials_of(store, &path).await?;
                }
            }
        }
        history.trimmed = history.trimmed.max(to / 256 * 256);
        self.remember(&history_path, history.to_string()).await
    }

    async fn remove_partials_of(&self, store: &dyn Store, full: &TilePath) -> Result<u64, Error> {
        let prefix = format!("{full}.p/");
        let partials = store.list(Root::Public, &prefix, None, 256).await?;
        if partials.is_empty() || store.read(&read::tile(full)?).await?.is_none() {
            return Ok(0);
        }
        let mut removed = 0;
        for partial in partials {
            let path = ObjectPath::public(partial).map_err(|e| Error::Corrupt(e.to_string()))?;
            store.remove(&path).await?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Checks some bundles against their tiles, and these against the published root.
    async fn self_check(
        &mut self,
        bundles: u64,
        published: &Published,
        report: &mut TidyReport,
    ) -> Result<(), Error> {
        let count = published.size.get().div_ceil(256);
        if count == 0 {
            return Ok(());
        }
        let mut verified = VerifiedTiles::new(published.size, published.root);
        for _ in 0..bundles.min(count) {
            let n = self.cursor % count;
            self.cursor = n + 1;
            report.bundles_checked += 1;
            if let Err(damage) = self.bundle_leaves(n, &mut verified, published).await? {
                report.damaged.push(damage);
            }
        }
        Ok(())
    }

    async fn recall(&self, path: &ObjectPath) -> Result<String, Error> {
        let object = self.store.read(path).await?;
        Ok(object.map_or_else(String::new, |object| {
            String::from_utf8_lossy(&object.bytes).into_owned()
        }))
    }

    /// Replaces a private note, durably. Where another process does so at the same time one of the
    /// two is kept, and both are right.
    async fn remember(&self, path: &ObjectPath, text: String) -> Result<(), Error> {
        let found = self.store.read(path).await?;
        let version = found.as_ref().map(|object| &object.version);
        match self.store.replace(path, version, Bytes::from(text)).await? {
            Replaced::Replaced => Ok(self.store.sync(std::slice::from_ref(path)).await?),
            Replaced::Changed => Ok(()),
        }
    }
}

fn private(path: &str) -> Result<ObjectPath, Error> {
    ObjectPath::private(path).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Objects synced in one round, about: at 0.2 ms each, a few seconds.
const MAX_SYNCED: usize = 16_384;
const SYNC_CHUNK: usize = 256;
/// Slots that go in one round.
const MAX_EXPIRED: usize = 256;
/// Level 0 tiles whose partial ones go in one round.
const MAX_TRIMMED_TILES: u64 = 4_096;
