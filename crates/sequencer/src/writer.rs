//! A batch takes the next slot.

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use tegula_storage::{SlotCreated, Store, StoreError};
use tegula_tlog::{Growth, Hash, TreeSize, VerifierKey, leaf_hash};
use tracing::{info, warn};

use crate::answer::Round;
use crate::chain::{Backlog, Chain, Earlier, Group, Place, Plan, Planned};
use crate::error::Error;
use crate::hand_over::{LastSlot, Room, Watch};
use crate::inbox::Item;
use crate::index::Older;
use crate::publish::checkpoint_path;
use crate::read::{self, MAX_READS};
use crate::slot::Slot;
use crate::tip::FoldError;
use crate::{Config, Env, Others, Published};

/// Slots beyond the published checkpoint, at most, before nothing more is taken.
pub(crate) const MAX_BACKLOG: Backlog = Backlog {
    slots: 64,
    bytes: 64 << 20,
};

/// An entry that waits for its place.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The entry.
    pub entry: Bytes,
    /// Its leaf hash.
    pub leaf: Hash,
}

impl Pending {
    /// Hashes the entry.
    pub fn new(entry: Bytes) -> Self {
        let leaf = leaf_hash(&entry);
        Self { entry, leaf }
    }
}

/// One writer of a log: it commits one batch at a time, and any number of writers may work on one store.
#[derive(Debug)]
pub struct Writer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) config: Config,
    pub(crate) keys: Vec<VerifierKey>,
    pub(crate) log_id: [u8; 32],
    /// What is known of the log; `None` before a cold start.
    pub(crate) chain: Option<Chain>,
    /// A slot that was sent and whose fate is not known. Its bytes, and no others, are sent again
    /// until its name is seen held: a second attempt next to it could log the batch twice.
    unresolved: Option<Attempt>,
    /// A batch that was handed over, and what slots say of it.
    pub(crate) watch: Option<Watch>,
    /// What the last slot says of who goes on.
    pub(crate) last: LastSlot,
    /// About how many want the next slot.
    pub(crate) crowd: u64,
    /// How many batches more are handed over at once, since slots were lost to others or shared with them of late.
    pub(crate) contention: u32,
    /// Own slots since the inbox was listed.
    pub(crate) slots_since_listed: u32,
    /// How often the published checkpoint was not a boundary of the chain, since it last was.
    pub(crate) strays: u32,
    /// What the search index says of leaves that are older than those that are held.
    older: Option<Older>,
    /// Where the held leaves began when the index was looked for last.
    older_asked: Option<u64>,
    /// Leaves of the batch that is being committed, as far as they were looked up there.
    pub(crate) earlier: Earlier,
    /// Slots that were ordered and not published when the chain was dropped.
    left_unpublished: u64,
    /// Why this writer stopped for good.
    stopped: Option<Error>,
    pub(crate) counters: Counters,
}

/// What a writer did, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Slots of one's own that stand.
    pub slots: u64,
    /// Slots of other writers that were folded.
    pub folded: u64,
    /// Entries that were new.
    pub entries: u64,
    /// Entries that were in the log already.
    pub duplicates: u64,
    /// Checkpoints published.
    pub published: u64,
    /// Cold starts.
    pub cold_starts: u64,
    /// Batches that failed.
    pub failures: u64,
    /// Slots that were tried and were another's.
    pub lost: u64,
    /// Batches that were handed over to whoever orders the next slot.
    pub handed_over: u64,
    /// Batches of others that were taken along.
    pub taken_along: u64,
    /// Items in the inbox that were passed over: not to be parsed, or of another log or version.
    pub bad_items: u64,
    /// Batches of others that were in the inbox when it was listed last.
    pub inbox: u64,
    /// Objects of the search index that were read to recognise duplicates older than the window.
    pub dedup_requests: u64,
    /// Batches for which the index could not be read: older duplicates of these are logged again.
    pub dedup_failures: u64,
    /// Bytes of filters of the index that are held.
    pub dedup_bytes: u64,
    /// Milliseconds in which slots were taken.
    pub ordering_ms: u64,
    /// Milliseconds in which checkpoints were published, tiles and all.
    pub publishing_ms: u64,
}

/// A slot that is being written.
#[derive(Clone, Debug)]
struct Attempt {
    start: u64,
    id: [u8; 16],
    bytes: Bytes,
}

/// What a writer is asked to do.
enum Task<'a> {
    Start,
    Settle,
    Commit(&'a [Pending]),
}

/// What became of groups that tried to take the next slot.
pub(crate) enum Tried {
    /// All of their entries are in the log: no slot was needed.
    Nothing(Vec<Vec<Place>>),
    /// The slot stands; for each group, where its entries are.
    Ours {
        places: Vec<Vec<Place>>,
        growth: Option<Arc<Growth>>,
    },
    /// The slot is another's, which was folded, or is covered.
    Theirs,
}

/// What became of an attempt.
enum Taken {
    /// It stands.
    Ours,
    /// Another writer's slot has the name.
    Theirs(Slot),
    /// The name was taken, and what took it is covered by a checkpoint and gone.
    Covered,
}

impl Writer {
    /// A writer that knows nothing yet.
    pub fn new(store: Arc<dyn Store>, env: Arc<dyn Env>, config: Config) -> Result<Self, Error> {
        Ok(Self {
            log_id: config.signers.first()?.full_key_id(),
            keys: config.signers.verifiers().to_vec(),
            store,
            env,
            config,
            chain: None,
            unresolved: None,
            watch: None,
            last: LastSlot::default(),
            crowd: 1,
            contention: 0,
            slots_since_listed: 0,
            strays: 0,
            older: None,
            older_asked: None,
            earlier: Earlier::new(),
            left_unpublished: 0,
            stopped: None,
            counters: Counters::default(),
        })
    }

    /// Gets to know the log, and publishes what earlier writers left unpublished.
    pub async fn start(&mut self) -> Result<(), Error> {
        self.guard(Task::Start).await.map(|_| ())
    }

    /// Publishes what is ordered and not published, whoever ordered it: this writer whose publishing failed, or one that is gone.
    pub async fn settle(&mut self) -> Result<(), Error> {
        self.guard(Task::Settle).await.map(|_| ())
    }

    /// Commits one batch: orders it, integrates it, publishes it. What is returned was published.
    ///
    /// After an error but [`Error::Rejected`] the batch may be logged or not; submitting it again
    /// is safe where duplicates are recognised.
    pub async fn commit(&mut self, batch: &[Pending]) -> Result<Round, Error> {
        let round = self.guard(Task::Commit(batch)).await?;
        round.ok_or_else(|| Error::Rejected("an empty batch".to_owned()))
    }

    /// The newest published checkpoint that this writer knows.
    pub fn published(&self) -> Option<&Published> {
        self.chain.as_ref().map(Chain::published)
    }

    /// When the newest slot that it knows was ordered, in milliseconds since 1970; 0 if there is none.
    pub fn last_slot_ms(&self) -> u64 {
        self.chain.as_ref().map_or(0, Chain::time_ms)
    }

    /// What it did so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Slots that are ordered and not published.
    pub fn unpublished_slots(&self) -> u64 {
        let chain = self.chain.as_ref();
        chain.map_or(self.left_unpublished, |chain| chain.backlog().slots)
    }

    /// After any failure nothing that was known is believed: the next batch starts cold.
    async fn guard(&mut self, task: Task<'_>) -> Result<Option<Round>, Error> {
        if let Some(reason) = &self.stopped {
            return Err(reason.clone());
        }
        let result = match task {
            Task::Start => self.warm().await.map(|()| None),
            Task::Settle => self.try_settle().await.map(|()| None),
            Task::Commit(batch) => self.try_commit(batch).await,
        };
        if let Err(error) = &result {
            self.counters.failures += 1;
            self.left_unpublished = self.unpublished_slots();
            match error {
                Error::Rejected(_) | Error::Overloaded { .. } => {}
                Error::Unavailable(_) => self.chain = None,
                Error::Corrupt(_) | Error::Fatal(_) => {
                    self.chain = None;
                    self.stopped = Some(error.clone());
                }
            }
        }
        result
    }

    async fn try_settle(&mut self) -> Result<(), Error> {
        self.earlier.clear();
        self.warm().await?;
        self.catch_up().await?;
        // Where the chain is gone it was covered, and so published.
        if self.chain.is_some() && self.config.others != Others::Compete {
            self.lead(None).await?;
        }
        let Some(chain) = &self.chain else {
            return Ok(());
        };
        if chain.size() > chain.published().size {
            self.publish().await?;
        }
        Ok(())
    }

    async fn try_commit(&mut self, batch: &[Pending]) -> Result<Option<Round>, Error> {
        if batch.is_empty() {
            return Ok(None);
        }
        self.earlier.clear();
        // Of what is too long for the inbox there are few, and each is worth a slot.
        let hands_over = self.config.others == Others::HandOver && Item::holds(batch);
        for race in 0..self.races(hands_over) {
            self.warm().await?;
            self.reduce_backlog().await?;
            let [attempt, id] = [self.env.random(), self.env.random()];
            let own = Group {
                id,
                pending: Cow::Borrowed(batch),
            };
            let mut groups = vec![own];
            if self.takes_along(race) {
                let room = Room::beside(batch, &self.config);
                groups.extend(self.gather(room).await?);
            }
            match self.try_slot(attempt, &groups).await? {
                Tried::Nothing(places) => {
                    let places = places.into_iter().next().unwrap_or_default();
                    self.publish_over(&places).await?;
                    self.counters.duplicates += places.len() as u64;
                    return self.answer(batch, places, None).await.map(Some);
                }
                Tried::Ours { places, growth } => {
                    if places.len() > 1 {
                        self.contention = CONTENTION;
                    }
                    let places = places.into_iter().next().unwrap_or_default();
                    self.publish_over(&places).await?;
                    return self.answer(batch, places, growth).await.map(Some);
                }
                // Lost again: perhaps not to a race, but by being far behind.
                Tried::Theirs if race > 0 => self.catch_up().await?,
                Tried::Theirs => {}
            }
        }
        if hands_over {
            return self.hand_over(batch).await.map(Some);
        }
        Err(Error::Unavailable(format!(
            "{MAX_RACES} slots in a row went to other writers"
        )))
    }

    /// How often a batch tries slots by itself.
    fn races(&self, hands_over: bool) -> u32 {
        match (hands_over, self.contention > 0) {
            (false, _) => MAX_RACES,
            (true, true) => 0,
            // With two writers each gets the next slot; of many each may as well hand over at once.
            (true, false) => 1 + u32::from(self.env.random()[0] & 1),
        }
    }

    /// Tries to take the next slot for these groups, in this order, under a new attempt id.
    pub(crate) async fn try_slot(
        &mut self,
        attempt: [u8; 16],
        groups: &[Group<'_>],
    ) -> Result<Tried, Error> {
        self.look_up_older(groups).await?;
        let now = checked_time(self.store.as_ref(), self.env.as_ref()).await?;
        let chain = self.chain.as_ref().ok_or_else(cold)?;
        let (config, log_id) = (&self.config, &self.log_id);
        let planned = match chain.plan(groups, config, log_id, attempt, now, &self.earlier)? {
            Plan::Nothing(places) => return Ok(Tried::Nothing(places)),
            Plan::Slot(planned) => planned,
        };
        let attempt = Attempt {
            start: chain.size().get(),
            id: attempt,
            bytes: planned.bytes.clone(),
        };
        let taken = self.take(attempt).await;
        self.counters.ordering_ms += self.env.now_ms().saturating_sub(now);
        let taken = taken?;
        if !matches!(taken, Taken::Theirs(_)) {
            self.slots_since_listed = self.slots_since_listed.saturating_add(1);
        }
        match taken {
            Taken::Ours => {
                self.count(&planned);
                let chain = self.chain.as_mut().ok_or_else(cold)?;
                let (places, growth) = chain.advance(*planned);
                Ok(Tried::Ours {
                    places,
                    growth: Some(growth),
                })
            }
            Taken::Theirs(slot) => {
                self.counters.lost += 1;
                self.contention = CONTENTION;
                self.follow(&slot).await?;
                Ok(Tried::Theirs)
            }
            Taken::Covered => {
                self.chain = None;
                self.was_ours(*planned).await
            }
        }
    }

    /// Looks up in the index which leaves of these groups are in the log before those that are held. Where the index cannot be read they are
    /// taken for new: that costs a duplicate, and no upload waits for the index.
    pub(crate) async fn look_up_older(&mut self, groups: &[Group<'_>]) -> Result<(), Error> {
        let chain = self.chain.as_ref().ok_or_else(cold)?;
        let held_from = chain.held_from();
        if self.config.dedup_window == 0 || held_from == 0 {
            return Ok(());
        }
        let mut leaves = chain.not_held(groups);
        leaves.retain(|leaf| !self.earlier.contains_key(leaf));
        if leaves.is_empty() {
            return Ok(());
        }
        let log = chain.published().clone();
        let begun = self.older.as_ref().map_or(0, |older| older.requests);
        let env = Arc::clone(&self.env);
        let looked_up = {
            let looking = pin!(self.try_older(&log, &leaves, held_from));
            match select(looking, env.sleep(MAX_OLDER)).await {
                Either::Left((looked_up, _)) => looked_up,
                Either::Right(_) => Err(Error::Unavailable("the search index is slow".to_owned())),
            }
        };
        let requests = self.older.as_ref().map_or(0, |older| older.requests);
        self.counters.dedup_requests += requests.saturating_sub(begun);
        self.counters.dedup_bytes = self.older.as_ref().map_or(0, Older::heap_bytes) as u64;
        let found = match looked_up {
            Ok(Some(found)) => found,
            // There is no index, or it does not reach to the leaves that are held.
            Ok(None) => HashMap::new(),
            Err(fatal @ Error::Fatal(_)) => return Err(fatal),
            Err(reason) => {
                warn!(%reason, leaves = leaves.len(), "duplicates older than the window are not recognised");
                (self.older, self.older_asked) = (None, None);
                self.counters.dedup_failures += 1;
                HashMap::new()
            }
        };
        let searched = leaves
            .into_iter()
            .map(|leaf| (leaf, found.get(&leaf).copied()));
        self.earlier.extend(searched);
        Ok(())
    }

    async fn try_older(
        &mut self,
        log: &Published,
        leaves: &[Hash],
        held_from: u64,
    ) -> Result<Option<HashMap<Hash, u64>>, Error> {
        let store = self.store.as_ref();
        let reaches = |older: &Older| older.covered() >= held_from;
        // An index that does not reach so far is looked for again when a bundle more has left the window.
        let asked = self
            .older_asked
            .is_some_and(|asked| held_from < asked + 256);
        if !self.older.as_ref().is_some_and(reaches) && !asked {
            self.older_asked = Some(held_from);
            let index = self.config.signers.of_index()?;
            let before = self.older.take();
            self.older = Older::read(store, index.verifiers(), log, before).await?;
        }
        match &mut self.older {
            Some(older) => older.find(store, log, leaves, held_from).await.map(Some),
            None => Ok(None),
        }
    }

    /// An own slot stands.
    fn count(&mut self, planned: &Planned) {
        let entries: usize = planned.places.iter().map(Vec::len).sum();
        self.counters.slots += 1;
        self.counters.entries += planned.new_entries();
        self.counters.duplicates += entries as u64 - planned.new_entries();
    }

    /// Makes sure that the chain is known, nothing sent is unresolved, and what is ordered is
    /// published.
    pub(crate) async fn warm(&mut self) -> Result<(), Error> {
        for _ in 0..MAX_COLD_STARTS {
            if self.chain.is_some() {
                return Ok(());
            }
            self.cold_start().await?;
            let tip = self.chain.as_ref().ok_or_else(cold)?.size().get();
            if let Some(attempt) = self.unresolved.clone() {
                if attempt.start > tip {
                    // Slots may have expired after the checkpoint was read and before they were.
                    if self.store.floor().await? > tip {
                        self.chain = None;
                        continue;
                    }
                    return Err(Error::Corrupt(format!(
                        "the store held slots up to size {} and now ends at {tip}",
                        attempt.start
                    )));
                }
                if attempt.start == tip {
                    info!(start = attempt.start, "resolving an unanswered slot");
                    match self.take(attempt.clone()).await? {
                        Taken::Ours => {
                            let slot = Slot::parse(attempt.start, &attempt.bytes);
                            self.follow(&slot?).await?;
                        }
                        Taken::Theirs(slot) => self.follow(&slot).await?,
                        Taken::Covered => self.chain = None,
                    }
                } else {
                    // A slot reaches past its start, so its name is held: by it or by another.
                    self.unresolved = None;
                }
            }
            if self.chain.is_some() {
                self.publish().await?;
            }
        }
        Err(Error::Unavailable(
            "slots were covered while the log was being read".to_owned(),
        ))
    }

    /// Sends a slot until its name is seen held.
    async fn take(&mut self, attempt: Attempt) -> Result<Taken, Error> {
        let start = attempt.start;
        let mut ambiguous = self.unresolved.is_some();
        self.unresolved = Some(attempt.clone());
        let mut last = None;
        for round in 0..MAX_SENDS {
            if round > 0 {
                self.env.sleep(backoff(round)).await;
            }
            let seen = match self.store.create_slot(start, attempt.bytes.clone()).await {
                Ok(SlotCreated::Created) => {
                    self.unresolved = None;
                    return Ok(Taken::Ours);
                }
                Ok(SlotCreated::BelowFloor) => {
                    self.unresolved = None;
                    return Ok(Taken::Covered);
                }
                // The refusal may be one's own earlier write arriving twice: only the slot tells.
                Ok(SlotCreated::Exists) => true,
                Err(StoreError::Refused(reason)) => {
                    last = Some(reason.to_string());
                    continue;
                }
                Err(StoreError::Unknown(reason)) => {
                    last = Some(reason.to_string());
                    ambiguous = true;
                    false
                }
                Err(error @ (StoreError::Invalid(_) | StoreError::Fatal(_))) => {
                    return Err(error.into());
                }
            };
            match self.read_slot(start).await {
                Ok(Some(slot)) => {
                    self.unresolved = None;
                    return Ok(match slot {
                        slot if slot.header.attempt == attempt.id => Taken::Ours,
                        slot if slot.entries.is_none() => Taken::Covered,
                        slot => Taken::Theirs(slot),
                    });
                }
                Ok(None) if seen => {
                    self.unresolved = None;
                    return Ok(Taken::Covered);
                }
                Ok(None) => {}
                Err(error @ (Error::Corrupt(_) | Error::Fatal(_))) => return Err(error),
                Err(error) => {
                    ambiguous = true;
                    last = Some(error.to_string());
                }
            }
        }
        if !ambiguous {
            self.unresolved = None;
        }
        Err(Error::Unavailable(format!(
            "slot {start} could not be written: {}",
            last.unwrap_or_default()
        )))
    }

    /// Folds a slot that another writer took.
    async fn follow(&mut self, slot: &Slot) -> Result<(), Error> {
        let start = slot.header.prev_size.get();
        match self.fold(slot)? {
            Ok(()) => {
                // Expiry raises the floor before it removes: below the floor a slot that was
                // still there to be read is covered, and the edge that was built on may be old.
                if self.store.floor().await? > start {
                    self.chain = None;
                }
                Ok(())
            }
            Err(FoldError::HeaderOnly) => {
                self.chain = None;
                Ok(())
            }
            Err(FoldError::Mismatch(reason)) => {
                warn!(reason, "a slot does not follow the chain, reading it again");
                match self.fold_next().await? {
                    true => Ok(()),
                    false => Err(Error::Corrupt(reason)),
                }
            }
        }
    }

    /// Folds what others ordered meanwhile, to its end.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let Some(start) = self.chain.as_ref().map(|chain| chain.size().get()) else {
            return Ok(());
        };
        self.fold_up_to(None).await?;
        // As in `follow`: of the slots that were folded some may have been covered.
        if self.store.floor().await? > start {
            self.chain = None;
        }
        Ok(())
    }

    /// After the name of an attempt was taken by a slot that is gone: whether that was the attempt itself, which stood, was
    /// published by another writer and expired while this one slept. The published tree tells.
    async fn was_ours(&mut self, planned: Planned) -> Result<Tried, Error> {
        self.warm().await?;
        let published = self.chain.as_ref().ok_or_else(cold)?.published();
        if published.size < planned.end() {
            return Ok(Tried::Theirs);
        }
        let root = read::root_at(self.store.as_ref(), planned.end(), published).await?;
        if root != planned.root() {
            return Ok(Tried::Theirs);
        }
        self.count(&planned);
        Ok(Tried::Ours {
            places: planned.places,
            growth: None,
        })
    }

    /// Folds slots as far as they go, or up to this size. The objects that they complete are written when they are many, and
    /// not held: slots are durable, and memory is bounded however much there is to fold.
    pub(crate) async fn fold_up_to(&mut self, size: Option<TreeSize>) -> Result<(), Error> {
        loop {
            let chain = self.chain.as_ref().ok_or_else(cold)?;
            if size.is_some_and(|size| chain.size() >= size) || !self.fold_next().await? {
                return Ok(());
            }
            let owed = self.chain.as_ref().map_or(0, Chain::owed_bytes);
            if owed > MAX_OWED_BYTES {
                self.integrate_full().await?;
            }
        }
    }

    /// Folds the slot at the tip, if there is one that still has its entries.
    pub(crate) async fn fold_next(&mut self) -> Result<bool, Error> {
        let start = self.chain.as_ref().ok_or_else(cold)?.size().get();
        let mut reason = String::new();
        for _ in 0..MAX_READS {
            let Some(slot) = self.read_slot(start).await? else {
                return Ok(false);
            };
            match self.fold(&slot)? {
                Ok(()) => return Ok(true),
                Err(FoldError::HeaderOnly) => return Ok(false),
                Err(FoldError::Mismatch(why)) => reason = why,
            }
        }
        Err(Error::Corrupt(reason))
    }

    /// Folds a slot, and takes note of what it says of a batch that was handed over.
    fn fold(&mut self, slot: &Slot) -> Result<Result<(), FoldError>, Error> {
        let chain = self.chain.as_mut().ok_or_else(cold)?;
        let before = self.watch.is_some().then(|| chain.edge().clone());
        let leaves = match chain.fold(slot, &self.log_id) {
            Ok(leaves) => leaves,
            Err(error) => return Ok(Err(error)),
        };
        self.counters.folded += 1;
        self.last = LastSlot::of(&slot.header);
        self.crowd = self.last.batches().max(self.crowd - self.crowd / 8);
        if let Some((watch, before)) = self.watch.as_mut().zip(before) {
            watch.folded(&slot.header, before, &leaves);
        }
        Ok(Ok(()))
    }

    /// Reads a slot, again where its bytes do not parse: a read may go wrong, and a slot may not.
    pub(crate) async fn read_slot(&self, start: u64) -> Result<Option<Slot>, Error> {
        let mut problem = None;
        for _ in 0..MAX_READS {
            let Some(bytes) = self.store.read_slot(start).await? else {
                return Ok(None);
            };
            match Slot::parse(start, &bytes) {
                Ok(slot) => return Ok(Some(slot)),
                Err(error) => problem = Some(error),
            }
        }
        Err(problem.map_or_else(cold, Error::from))
    }

    /// Publishes first where too much is unpublished; refuses the batch where that is no use.
    pub(crate) async fn reduce_backlog(&mut self) -> Result<(), Error> {
        let over = |backlog: Backlog| {
            backlog.slots >= MAX_BACKLOG.slots || backlog.bytes >= MAX_BACKLOG.bytes
        };
        if !self.chain.as_ref().is_some_and(|c| over(c.backlog())) {
            return Ok(());
        }
        if self.publish().await.is_ok() && !self.chain.as_ref().is_some_and(|c| over(c.backlog())) {
            return Ok(());
        }
        Err(Error::Overloaded {
            retry_after: Duration::from_secs(5),
        })
    }
}

/// The time, which a slot will say for ever, if the store's own clock agrees.
pub(crate) async fn checked_time(store: &dyn Store, env: &dyn Env) -> Result<u64, Error> {
    let off = |now: u64| store.time_ms().map_or(0, |time| time.abs_diff(now));
    let now = env.now_ms();
    if off(now) <= MAX_CLOCK_OFF_MS {
        return Ok(now);
    }
    // The process may have stood still since the store told the time: it is asked again.
    store.read(&checkpoint_path()?).await?;
    let now = env.now_ms();
    match off(now) {
        ..=MAX_CLOCK_OFF_MS => Ok(now),
        off => Err(Error::Unavailable(format!(
            "the clock is {} s away from the store's, expected at most {} s",
            off / 1000,
            MAX_CLOCK_OFF_MS / 1000
        ))),
    }
}

/// Full objects that are held before they are written.
const MAX_OWED_BYTES: usize = 32 << 20;
/// How far the clock may be from the store's.
const MAX_CLOCK_OFF_MS: u64 = 60_000;
/// What is looked up in the index for longer is taken for new.
const MAX_OLDER: Duration = Duration::from_secs(5);
/// Slots that may go to others before a batch gives up.
const MAX_RACES: u32 = 64;
/// Batches for which a writer keeps in mind that it was in others' way.
pub(crate) const CONTENTION: u32 = 3;
/// Times that one slot is sent before its batch is answered with an error.
const MAX_SENDS: u32 = 6;
const MAX_COLD_STARTS: u32 = 8;

/// 20 ms, doubled each time: 620 ms over six sends.
pub(crate) fn backoff(round: u32) -> Duration {
    Duration::from_millis(10 << round.min(10))
}

pub(crate) fn cold() -> Error {
    Error::Unavailable("the state of the log is not known".to_owned())
}
