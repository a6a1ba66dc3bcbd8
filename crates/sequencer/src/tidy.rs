//! Housekeeping beside the writer: what may go, goes; what is there is checked.
//!
//! Every step is safe at any time and in any number of processes: it reads what is published,
//! and removes only what the protocol lets go.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tegula_storage::{ObjectPath, Replaced, Root, Store, StoreError};
use tegula_tlog::{
    Checkpoint, Hash, TilePath, TreeSize, VerifiedTiles, VerifierKey, leaf_hash, tiles_between,
};

use crate::error::Error;
use crate::history::History;
use crate::inbox::{self, ItemName};
use crate::publish::checkpoint_path;
use crate::read;
use crate::rebuild::{base_path, cut_path, read_base, read_cut};
use crate::slot::{MAX_HEADER_LEN, Slot};
use crate::writer::cold;
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
    /// Bundles that the rolling self-check reads, at least; 0 for no check.
    pub check_bundles: u64,
    /// In so many rounds it reads all bundles, however many there are.
    pub check_rounds: u64,
}

impl Default for TidyOptions {
    /// Keeps the slots of 1,048,576 leaves, partial tiles for a day, and checks 16 bundles, and so many that a round a minute checks all in
    /// thirty days.
    fn default() -> Self {
        Self {
            keep: Keep::Leaves(1 << 20),
            partial_age: Duration::from_hours(24),
            check_bundles: 16,
            check_rounds: 30 * 24 * 60,
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
    /// Slots that were cut to their headers, where slots stay.
    pub slots_cut: u64,
    /// Items that were left in the inbox and removed.
    pub items_removed: u64,
    /// Partial tiles and bundles that were removed.
    pub partials_removed: u64,
    /// Bundles that were checked against their tiles, and these against the published root.
    pub bundles_checked: u64,
    /// What is wrong: the paths, and why.
    pub damaged: Vec<String>,
    /// Steps that could not be done this time, and why.
    pub failed: Vec<String>,
}

/// Housekeeping, and its state between rounds. Losing it costs work and nothing else.
#[derive(Debug)]
pub struct Tidy {
    store: Arc<dyn Store>,
    env: Arc<dyn Env>,
    keys: Vec<VerifierKey>,
    /// The size up to which this process has synced every object.
    synced: u64,
}

impl Tidy {
    /// Housekeeping of the log with these keys.
    pub fn new(store: Arc<dyn Store>, env: Arc<dyn Env>, keys: Vec<VerifierKey>) -> Self {
        Self {
            store,
            env,
            keys,
            synced: 0,
        }
    }

    /// One round: syncs, expires slots, removes partial tiles, checks a sample. What stops one of these does not stop the others.
    pub async fn round(&mut self, options: TidyOptions) -> Result<TidyReport, Error> {
        let published = self.published().await?;
        let mut report = TidyReport::default();
        if self.store.keeps_slots() {
            // What is written there is durable.
            report.base = published.size.get();
            let cut = self.cut(options.keep, &published, &mut report).await;
            report.note(cut)?;
        } else {
            let base = self.advance_base(&published, &mut report).await;
            // Where it is not known nothing that rests on it goes.
            report.base = report.note(base)?.unwrap_or(0);
            let expired = self.expire(options.keep, &published, &mut report).await;
            report.note(expired)?;
        }
        let removed = self
            .remove_partials(options.partial_age, &published, &mut report)
            .await;
        report.note(removed)?;
        let checked = self.self_check(options, &published, &mut report).await;
        report.note(checked)?;
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

    /// Syncs what was published since the last time, then says so: a rebuild begins here. Only a published size has
    /// the partial tiles that a rebuild begins with.
    async fn advance_base(
        &mut self,
        published: &Published,
        report: &mut TidyReport,
    ) -> Result<u64, Error> {
        let base = read_base(self.store.as_ref()).await?;
        // `fsck --repair` takes the base away; the floor was never above it, and below the floor no slot says what to sync.
        let floor = self.store.floor().await?;
        self.synced = self.synced.max(base).max(floor);
        let mut objects = 0;
        while self.synced < published.size.get() {
            if objects > MAX_SYNCED_SINGLY {
                self.store.sync_all().await?;
                self.synced = published.size.get();
                break;
            }
            let Some((start, end)) = self.slot_at(self.synced, published, report).await? else {
                break;
            };
            let chunk = tiles_between(start, end).map(|path| read::tile(&path));
            let chunk = chunk.collect::<Result<Vec<_>, _>>()?;
            self.sync_those_there(&chunk).await?;
            objects += chunk.len();
            self.synced = end.get();
        }
        if self.synced == published.size.get() && self.synced > base {
            // The checkpoint too: after a power cut it must not be older than the base.
            self.store.sync(&[checkpoint_path()?]).await?;
            // Another process may have come further meanwhile: read again, and never lower it.
            if self.synced > read_base(self.store.as_ref()).await? {
                self.remember(&base_path()?, format!("{}\n", self.synced))
                    .await?;
            }
        }
        let base = read_base(self.store.as_ref()).await?;
        if base > 0 {
            // Whoever wrote it may not have synced it: slots go, durably, because of it.
            self.store.sync(&[base_path()?]).await?;
        }
        Ok(base)
    }

    /// Where the slot at `start` begins and ends, if it is there and published. Of one whose header is damaged the next
    /// one tells, or, if it is the last one, the published size.
    async fn slot_at(
        &self,
        start: u64,
        published: &Published,
        report: &mut TidyReport,
    ) -> Result<Option<(TreeSize, TreeSize)>, Error> {
        let Some(bytes) = self.store.read_slot_head(start, MAX_HEADER_LEN).await? else {
            return Ok(None);
        };
        let (start, end) = match Slot::parse_head(start, &bytes).map_err(Error::from) {
            Ok(header) => (header.prev_size, header.new_size),
            Err(Error::Corrupt(reason)) => {
                report.damaged.push(reason);
                let next = self.store.slots(start + 1, 1).await?;
                let next = next.first().copied().and_then(TreeSize::new);
                let next = next.filter(|next| *next <= published.size);
                let start = TreeSize::new(start).ok_or_else(cold)?;
                (start, next.unwrap_or(published.size))
            }
            Err(error) => return Err(error),
        };
        Ok((end <= published.size).then_some((start, end)))
    }

    /// A size between two published ones has no partial objects, and another process may remove some at any time.
    async fn sync_those_there(&self, paths: &[ObjectPath]) -> Result<(), Error> {
        let mut last = None;
        for _ in 0..read::MAX_READS {
            let found = self.store.read_many(paths).await;
            let mut there = Vec::with_capacity(paths.len());
            for (path, object) in paths.iter().zip(found) {
                if object?.is_some() {
                    there.push(path.clone());
                }
            }
            match self.store.sync(&there).await {
                Err(StoreError::Invalid(gone)) => last = Some(gone.to_string()),
                synced => return Ok(synced?),
            }
        }
        Err(Error::Unavailable(last.unwrap_or_default()))
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
        // Another process may have come further than the checkpoint that this round began with.
        let limit = report.base.min(published.size.get()).saturating_sub(leaves);
        if limit <= floor {
            return Ok(());
        }
        let starts = store.slots(floor, MAX_EXPIRED).await?;
        let mut held = Held {
            store,
            size: published.size,
            verified: VerifiedTiles::new(published.size, published.root),
            bundle: None,
            read: 0,
        };
        // The new floor is the start of a slot that stays.
        let mut new_floor = floor;
        for (n, start) in (1_usize..).zip(starts) {
            if start > limit {
                break;
            }
            if start > new_floor
                && let Err(damage) = held.holds(new_floor, start, report).await?
            {
                report.damaged.push(damage);
                break;
            }
            new_floor = start;
            if n.is_multiple_of(RAISED_TOGETHER) {
                self.raise_floor(new_floor, report).await?;
            }
        }
        self.raise_floor(new_floor, report).await
    }

    /// Where slots stay: cuts old ones to their headers, after it has read from the tiles what they hold.
    async fn cut(
        &self,
        keep: Keep,
        published: &Published,
        report: &mut TidyReport,
    ) -> Result<(), Error> {
        let Keep::Leaves(leaves) = keep else {
            return Ok(());
        };
        let store = self.store.as_ref();
        let limit = published.size.get().saturating_sub(leaves);
        let from = read_cut(store).await?;
        let mut held = Held {
            store,
            size: published.size,
            verified: VerifiedTiles::new(published.size, published.root),
            bundle: None,
            read: 0,
        };
        let mut to = from;
        for start in store.slots(from, MAX_CUT).await? {
            let head = store.read_slot_head(start, MAX_HEADER_LEN).await?;
            let head = head.ok_or_else(|| Error::Corrupt(format!("slot {start} is gone")))?;
            let header = Slot::parse_head(start, &head)?;
            let end = header.new_size.get();
            if end > limit {
                break;
            }
            let damaged = report.damaged.len();
            if let Err(damage) = held.holds(start, end, report).await? {
                report.damaged.push(damage);
            }
            // What differs from what is published is worth more than its space.
            if report.damaged.len() > damaged {
                break;
            }
            store.cut_slot(start, header.encode(&[]).len()).await?;
            report.slots_cut += 1;
            to = end;
        }
        if to > from {
            self.remember(&cut_path()?, format!("{to}\n")).await?;
        }
        Ok(())
    }

    /// Removes what was left in the inbox by authors that are gone: an item that was handed over at a size which the log had passed
    /// an hour ago. Its batch may be in a slot or not; nobody was told that it is.
    async fn remove_left_items(
        &self,
        history: &History,
        report: &mut TidyReport,
    ) -> Result<(), Error> {
        let passed = history.covered_at(self.env.now_ms().saturating_sub(MAX_ITEM_AGE_MS));
        let listed = self
            .store
            .list(Root::Private, inbox::PREFIX, None, MAX_ITEMS)
            .await?;
        let names = listed.iter().filter_map(|path| ItemName::parse(path));
        let left = names.filter(|name| name.seen < passed);
        let left = left.map(|name| private(&name.to_string()));
        let left = left.collect::<Result<Vec<_>, _>>()?;
        for removed in join_all(left.iter().map(|path| self.store.remove(path))).await {
            removed?;
            report.items_removed += 1;
        }
        Ok(())
    }

    async fn raise_floor(&self, floor: u64, report: &mut TidyReport) -> Result<(), Error> {
        if floor > report.floor {
            self.store.raise_floor(floor).await?;
            report.floor = floor;
            self.remove_slots_below(floor, report).await?;
        }
        Ok(())
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
        let left = self.remove_left_items(&history, report).await;
        report.note(left)?;
        let covered = history.covered_at(now.saturating_sub(age_ms));
        let from = history.trimmed;
        // Above the base the full tile may be torn by a power cut, and then the partial one is needed.
        let to = covered.min(report.base);
        let to = to.min(from.saturating_add(256 * MAX_TRIMMED_TILES));
        let mut fulls = Vec::new();
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
                fulls.extend(full.into_iter().flatten());
            }
        }
        // Each is a list, which takes tens of milliseconds in a bucket.
        for some in fulls.chunks(TRIMMED_TOGETHER) {
            let removed = some.iter().map(|full| self.remove_partials_of(store, full));
            for removed in join_all(removed).await {
                report.partials_removed += removed?;
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
        let paths = partials.into_iter().map(ObjectPath::public);
        let paths = paths.collect::<Result<Vec<_>, _>>();
        let paths = paths.map_err(|error| Error::Corrupt(error.to_string()))?;
        for removed in join_all(paths.iter().map(|path| store.remove(path))).await {
            removed?;
        }
        Ok(paths.len() as u64)
    }

    /// Checks some bundles against their tiles, and these against the published root.
    async fn self_check(
        &self,
        options: TidyOptions,
        published: &Published,
        report: &mut TidyReport,
    ) -> Result<(), Error> {
        let store = self.store.as_ref();
        let size = published.size;
        let count = size.get().div_ceil(256);
        if count == 0 || options.check_bundles == 0 {
            return Ok(());
        }
        // Where it goes on, whichever process did the last round.
        let path = private("checked")?;
        let next: u64 = self.recall(&path).await?.trim().parse().unwrap_or(0);
        let bundles = count.div_ceil(options.check_rounds.max(1));
        let bundles = bundles.max(options.check_bundles).min(MAX_CHECKED);
        let bundles: Vec<_> = (0..bundles.min(count))
            .map(|n| next.saturating_add(n) % count)
            .collect();
        for some in bundles.chunks(CHECKED_TOGETHER) {
            let mut verified = VerifiedTiles::new(size, published.root);
            let tiles = some.iter().filter_map(|n| TilePath::hashes_at(0, *n, size));
            // Which of them is damaged, if one is, is found out one by one.
            drop(read::verify_tiles(store, &mut verified, &tiles.collect::<Vec<_>>()).await);
            for n in some {
                report.bundles_checked += 1;
                if let Err(damage) = read::checked_bundle(store, *n, size, &mut verified).await? {
                    report.damaged.push(damage);
                }
            }
        }
        let next = bundles.last().map_or(0, |last| last + 1);
        self.remember(&path, format!("{next}\n")).await
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
        if found.as_ref().is_some_and(|object| object.bytes == text) {
            return Ok(());
        }
        let version = found.as_ref().map(|object| &object.version);
        match self.store.replace(path, version, Bytes::from(text)).await? {
            Replaced::Replaced(_) => Ok(self.store.sync(std::slice::from_ref(path)).await?),
            Replaced::Changed => Ok(()),
        }
    }
}

impl TidyReport {
    /// What a step came to; if it failed, the other steps go on, unless the process has to end.
    fn note<T>(&mut self, step: Result<T, Error>) -> Result<Option<T>, Error> {
        match step {
            Ok(value) => return Ok(Some(value)),
            Err(fatal @ Error::Fatal(_)) => return Err(fatal),
            Err(Error::Corrupt(reason)) => self.damaged.push(reason),
            Err(error) => self.failed.push(error.to_string()),
        }
        Ok(None)
    }
}

/// Whether bundles and tiles, which lead to the published root, hold what slots hold.
struct Held<'a> {
    store: &'a dyn Store,
    size: TreeSize,
    verified: VerifiedTiles,
    /// The bundle that was read last, which is often the next slot's too.
    bundle: Option<(u64, Vec<Hash>)>,
    /// Bundles read since tiles were forgotten.
    read: u64,
}

impl Held<'_> {
    /// The slot from `start` to `end`; else what is wrong. A slot that is damaged says nothing about its entries any more:
    /// then it is enough that they are sound, and it may go.
    async fn holds(
        &mut self,
        start: u64,
        end: u64,
        report: &mut TidyReport,
    ) -> Result<Result<(), String>, Error> {
        let Some(bytes) = self.store.read_slot(start).await? else {
            return Ok(Ok(()));
        };
        let slot = match Slot::parse(start, &bytes).map_err(Error::from) {
            Ok(slot) => Some(slot),
            Err(Error::Corrupt(reason)) => {
                report.damaged.push(reason);
                None
            }
            Err(error) => return Err(error),
        };
        let mut entries = match slot.as_ref().and_then(Slot::entries) {
            Some(entries) => Some(entries?.into_iter()),
            None => None,
        };
        for index in start..end {
            let leaf = match self.leaf(index).await? {
                Ok(leaf) => leaf,
                Err(damage) => return Ok(Err(damage)),
            };
            if let Some(held) = &mut entries
                && held.next().map(leaf_hash) != Some(leaf)
            {
                let damage = format!("slot {start} does not hold entry {index} as it is published");
                report.damaged.push(damage);
                entries = None;
            }
        }
        Ok(Ok(()))
    }

    async fn leaf(&mut self, index: u64) -> Result<Result<Hash, String>, Error> {
        let n = index / 256;
        if self.bundle.as_ref().is_none_or(|(at, _)| *at != n) {
            self.read += 1;
            if self.read.is_multiple_of(MAX_TILES_HELD) {
                self.verified.forget_level(0);
            }
            match read::checked_bundle(self.store, n, self.size, &mut self.verified).await? {
                Ok(bundle) => self.bundle = Some((n, bundle.leaves)),
                Err(damage) => return Ok(Err(damage)),
            }
        }
        let at = usize::try_from(index % 256).unwrap_or(usize::MAX);
        let leaf = self.bundle.as_ref().and_then(|(_, leaves)| leaves.get(at));
        let leaf = leaf.copied();
        Ok(leaf.ok_or_else(|| format!("entry {index} is not in a tree of size {}", self.size)))
    }
}

fn private(path: &str) -> Result<ObjectPath, Error> {
    ObjectPath::private(path).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Objects that are synced one by one, about: at 0.2 ms each, a few seconds. Of more the whole file system is synced.
const MAX_SYNCED_SINGLY: usize = 16_384;
/// Slots that go in one round: at a round a minute more than a thousand a second.
const MAX_EXPIRED: usize = 1 << 16;
/// Slots that are cut in one round.
const MAX_CUT: usize = 256;
/// Items of the inbox that are looked at in one round, the oldest first.
const MAX_ITEMS: usize = 1_000;
/// An author waits for seconds.
const MAX_ITEM_AGE_MS: u64 = 3_600_000;
/// Slots above which the floor is raised at once: between two raises lie a sync and a listing.
const RAISED_TOGETHER: usize = 4_096;
/// Level 0 tiles that are held while slots are read back: 4 MiB.
const MAX_TILES_HELD: u64 = 512;
/// Bundles that are checked in one round.
const MAX_CHECKED: u64 = 4_096;
/// Bundles whose tiles are read in one call.
const CHECKED_TOGETHER: usize = 64;
/// Tiles whose partial ones are looked for at one time.
const TRIMMED_TOGETHER: usize = 16;
/// Level 0 tiles whose partial ones go in one round.
const MAX_TRIMMED_TILES: u64 = 4_096;
