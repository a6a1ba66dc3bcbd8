//! Between processes: a batch is left in the inbox for whoever orders the next slot.
//!
//! What makes it once is that an item is folded under its id, by a writer that has read every slot since its author looked. What
//! is here about who folds, and when, is about time and money alone: anybody may fold at any time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use tegula_storage::{Created, ObjectPath, Root, StoreError};
use tegula_tlog::{Edge, Growth, Hash, TreeSize};
use tracing::debug;

use crate::answer::Round;
use crate::chain::{Group, Place};
use crate::error::Error;
use crate::inbox::{Item, ItemName, PREFIX};
use crate::slot::{Batch, MAX_HEADER_LEN, Slot, SlotHeader};
use crate::writer::{CONTENTION, Pending, Tried, Writer, backoff, cold};
use crate::{Config, Others};

/// A batch that was handed over, and what was read of it since.
#[derive(Debug)]
pub(crate) struct Watch {
    name: ItemName,
    ordered: Option<Ordered>,
}

/// The slot that lists a batch.
#[derive(Debug)]
struct Ordered {
    batch: Batch,
    start: u64,
    /// The first index that the batches before it in the slot left to it.
    first_new: u64,
    end: TreeSize,
    /// How many batches the slot lists.
    batches: usize,
    /// The tree before the slot and all leaves since, while nothing of it was dropped: enough to prove the batch by.
    growth: Option<(Edge, Vec<Hash>)>,
}

impl Watch {
    fn new(name: ItemName) -> Self {
        Self {
            name,
            ordered: None,
        }
    }

    /// A slot was folded, before which the tree was this.
    pub(crate) fn folded(&mut self, header: &SlotHeader, before: Edge, leaves: &[Hash]) {
        if let Some(ordered) = &mut self.ordered {
            if let Some((_, since)) = &mut ordered.growth {
                since.extend(leaves);
            }
            return;
        }
        self.read(header);
        if let Some(ordered) = &mut self.ordered {
            ordered.growth = Some((before, leaves.to_vec()));
        }
    }

    /// The header of a slot was read.
    fn read(&mut self, header: &SlotHeader) {
        let at = header
            .batches
            .iter()
            .position(|batch| batch.id == self.name.id);
        if let Some((before, [batch, ..])) = at.and_then(|at| header.batches.split_at_checked(at)) {
            let start = header.prev_size.get();
            let indexes = before.iter().flat_map(|batch| &batch.runs);
            let ends = indexes.map(|run| run.first + u64::from(run.count));
            self.ordered = Some(Ordered {
                batch: batch.clone(),
                start,
                first_new: ends.max().map_or(start, |end| end.max(start)),
                end: header.new_size,
                batches: header.batches.len(),
                growth: None,
            });
        }
    }

    /// The chain was dropped. What a slot says stays true; but leaves since were not seen.
    pub(crate) fn interrupted(&mut self) {
        if let Some(ordered) = &mut self.ordered {
            ordered.growth = None;
        }
    }
}

/// What the last slot that was folded says of how many want the next one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastSlot {
    /// Batches in it.
    batches: u64,
    /// The batch whose author goes on to the next slot: it has just been answered, so it is alive, and all know it.
    successor: [u8; 16],
}

impl LastSlot {
    pub(crate) fn batches(&self) -> u64 {
        self.batches
    }

    pub(crate) fn of(header: &SlotHeader) -> Self {
        let ids = header.batches.iter().map(|batch| batch.id);
        Self {
            batches: header.batches.len() as u64,
            // The first one may be the slot's writer itself, which has to publish.
            successor: ids.skip(1).min().unwrap_or_default(),
        }
    }
}

/// What a slot has room for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    entries: usize,
    bytes: usize,
}

impl Room {
    /// What is left beside a batch.
    pub(crate) fn beside(batch: &[Pending], config: &Config) -> Self {
        let bytes: usize = batch.iter().map(|pending| pending.entry.len()).sum();
        Self {
            entries: config.max_batch_entries.saturating_sub(batch.len()),
            bytes: config.max_batch_bytes.saturating_sub(bytes),
        }
    }

    fn take(&mut self, item: &Item) -> bool {
        let bytes: usize = item.entries.iter().map(|entry| entry.len()).sum();
        let fits = item.entries.len() <= self.entries && bytes <= self.bytes;
        if fits {
            self.entries -= item.entries.len();
            self.bytes -= bytes;
        }
        fits
    }
}

/// What the inbox holds that is in no slot, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    names: Vec<ItemName>,
    /// How many items are before one's own.
    rank: u64,
}

/// What became of leading.
pub(crate) enum Led {
    /// The next slot is one's own; where the own batch is.
    Ours(Vec<Place>, Option<Arc<Growth>>),
    /// All of the own batch is in the log.
    There(Vec<Place>),
    /// There was nothing to order.
    Nothing,
    /// Somebody else was quicker.
    Late,
}

impl Writer {
    /// Hands a batch over, and waits until a slot lists it and a checkpoint covers that; or takes the slot.
    ///
    /// No attempt of the batch may be unresolved. After an error it may be logged all the same.
    pub(crate) async fn hand_over(&mut self, batch: &[Pending]) -> Result<Round, Error> {
        self.warm().await?;
        let name = ItemName {
            seen: self.chain.as_ref().ok_or_else(cold)?.size().get(),
            id: self.env.random(),
        };
        self.counters.handed_over += 1;
        self.watch = Some(Watch::new(name));
        let outcome = self.wait_for_slot(name, batch).await;
        self.watch = None;
        outcome
    }

    async fn wait_for_slot(&mut self, name: ItemName, batch: &[Pending]) -> Result<Round, Error> {
        let own = Group {
            id: name.id,
            pending: Cow::Borrowed(batch),
        };
        let path = private(&name)?;
        // All of it may be there by now.
        self.look_up_older(std::slice::from_ref(&own)).await?;
        if let Some(places) = self.known(&own)? {
            return self.answer_known(batch, places).await;
        }
        self.put_item(name, &path, batch).await?;
        let mut waited = Duration::ZERO;
        let mut all = Duration::ZERO;
        let mut poll = FIRST_POLL;
        let mut patience = self.patience();
        while all < MAX_WAIT {
            self.warm().await?;
            self.read_back(name.seen).await?;
            if self.is_ordered() {
                return self.answer_ordered(&path, batch).await;
            }
            let folded = self.fold_next().await?;
            if self.is_ordered() {
                return self.answer_ordered(&path, batch).await;
            }
            if folded {
                // Whoever comes next begins to count anew, and takes a while.
                (waited, poll, patience) = (Duration::ZERO, NEXT_SLOT, self.patience());
                if let Some(places) = self.known(&own)? {
                    self.remove_item(&path).await;
                    return self.answer_known(batch, places).await;
                }
                continue;
            }
            if waited >= patience {
                match self.lead(Some((name, &own))).await? {
                    Led::Ours(places, growth) => {
                        self.keep_in_mind(self.last.batches);
                        let store = Arc::clone(&self.store);
                        let (published, removed) =
                            futures::join!(self.publish_over(&places), store.remove(&path));
                        published?;
                        // Housekeeping removes what is left.
                        drop(removed);
                        return self.answer(batch, places, growth).await;
                    }
                    Led::There(places) => {
                        self.remove_item(&path).await;
                        return self.answer_known(batch, places).await;
                    }
                    Led::Nothing | Led::Late => {
                        (waited, poll, patience) = (Duration::ZERO, FIRST_POLL, self.patience());
                    }
                }
                continue;
            }
            self.env.sleep(poll).await;
            (waited, all) = (waited + poll, all + poll);
            poll = match poll {
                NEXT_SLOT => FIRST_POLL,
                poll => (poll + poll / 8).min(LAST_POLL),
            };
        }
        Err(Error::Unavailable(format!(
            "the batch was handed over, and in {} s no slot listed it",
            MAX_WAIT.as_secs()
        )))
    }

    /// Puts the item; when it returns, it is there or may be. Either way the batch goes by its id alone from now on.
    async fn put_item(
        &self,
        name: ItemName,
        path: &ObjectPath,
        batch: &[Pending],
    ) -> Result<(), Error> {
        let entries = batch.iter().map(|pending| &pending.entry[..]);
        let bytes = Item::encode(name, &self.log_id, entries)
            .ok_or_else(|| Error::Rejected("an entry is too long".to_owned()))?;
        let mut last = String::new();
        for round in 0..MAX_PUTS {
            if round > 0 {
                self.env.sleep(backoff(round)).await;
            }
            match self.store.create(path, bytes.clone()).await {
                Ok(Created::Created | Created::Exists) => return Ok(()),
                // It may come yet; and if it does not, its author leads.
                Err(StoreError::Unknown(_)) => return Ok(()),
                Err(StoreError::Refused(reason)) => last = reason.to_string(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Unavailable(format!(
            "the batch could not be handed over: {last}"
        )))
    }

    async fn remove_item(&self, path: &ObjectPath) {
        if let Err(error) = self.store.remove(path).await {
            debug!(%error, "an item stays in the inbox");
        }
    }

    /// Takes the next slot for what is in the inbox, and for one's own batch, which may be there.
    pub(crate) async fn lead(&mut self, own: Option<(ItemName, &Group<'_>)>) -> Result<Led, Error> {
        self.reduce_backlog().await?;
        let listed = self.list_inbox(own.map(|(name, _)| name)).await?;
        // Of several who lead at one time the one whose item is the oldest goes first, and the others read nothing in vain.
        if own.is_some() {
            let mut left = RANK * u32::try_from(listed.rank.min(MAX_RANK)).unwrap_or_default();
            while !left.is_zero() {
                let pause = left.min(RANK * 4);
                self.env.sleep(pause).await;
                left -= pause;
                if self.fold_next().await? {
                    return Ok(Led::Late);
                }
            }
        }
        let room = Room::beside(own.map_or(&[], |(_, own)| &own.pending[..]), &self.config);
        let taken_along = self.read_items(listed, room).await?;
        // Whatever was folded on the way here may list the batch, or have been too much to remember.
        let ids = self.chain.as_ref().ok_or_else(cold)?.ids();
        if own.is_some_and(|(name, _)| self.is_ordered() || ids.start() > name.seen) {
            return Ok(Led::Late);
        }
        let mut groups: Vec<Group<'_>> = own.iter().map(|(_, own)| (*own).clone()).collect();
        groups.extend(taken_along);
        if groups.is_empty() {
            return Ok(Led::Nothing);
        }
        let shared = groups.len() as u64;
        match self.try_slot(self.env.random(), &groups).await? {
            Tried::Ours { places, growth } => {
                self.counters.taken_along += shared - u64::from(own.is_some());
                self.last = LastSlot {
                    batches: shared,
                    ..LastSlot::default()
                };
                Ok(Led::Ours(
                    places.into_iter().next().unwrap_or_default(),
                    growth,
                ))
            }
            Tried::Nothing(places) => match own {
                Some(_) => Ok(Led::There(places.into_iter().next().unwrap_or_default())),
                None => Ok(Led::Nothing),
            },
            Tried::Theirs => Ok(Led::Late),
        }
    }

    /// Whether a batch of one's own takes others along: where they are about, and now and then.
    pub(crate) fn takes_along(&self, race: u32) -> bool {
        self.config.others != Others::Compete
            && (race > 0 || self.contention > 0 || self.slots_since_listed >= LIST_EVERY)
    }

    /// What is in the inbox, as much as there is room for.
    pub(crate) async fn gather(&mut self, room: Room) -> Result<Vec<Group<'static>>, Error> {
        let listed = self.list_inbox(None).await?;
        self.read_items(listed, room).await
    }

    /// Lists what is in the inbox and in no slot; removes what is in a slot, and its author has not removed.
    async fn list_inbox(&mut self, own: Option<ItemName>) -> Result<Listed, Error> {
        self.slots_since_listed = 0;
        let chain = self.chain.as_ref().ok_or_else(cold)?;
        // What was handed over before the slots that are known may be in one that is not: it is left alone.
        let after = format!("{PREFIX}{:020}", chain.ids().start());
        let listed = self
            .store
            .list(Root::Private, PREFIX, Some(&after), MAX_ITEMS)
            .await?;
        let (mut found, mut left) = (Listed::default(), Vec::new());
        for name in listed.iter().filter_map(|path| ItemName::parse(path)) {
            let known = chain.ids().contains(&name.id);
            if known && chain.ids().contains_old(&name.id) {
                left.push(name);
            } else if !known && name.seen <= chain.size().get() && Some(name) != own {
                found.names.push(name);
                found.rank += u64::from(own.is_some_and(|own| name < own));
            }
        }
        let left = left.iter().take(MAX_REMOVED).map(private);
        let left = left.collect::<Result<Vec<_>, _>>()?;
        self.counters.inbox = found.names.len() as u64;
        self.crowd = found.names.len() as u64 + u64::from(own.is_some());
        // What cannot be removed now is met again.
        drop(join_all(left.iter().map(|path| self.store.remove(path))).await);
        Ok(found)
    }

    async fn read_items(
        &mut self,
        Listed { names, .. }: Listed,
        mut room: Room,
    ) -> Result<Vec<Group<'static>>, Error> {
        let mut paths = names.iter().map(private).collect::<Result<Vec<_>, _>>()?;
        let mut portions = Vec::new();
        while !paths.is_empty() {
            let rest = paths.split_off(paths.len().min(READ_TOGETHER));
            portions.push(std::mem::replace(&mut paths, rest));
        }
        let store = Arc::clone(&self.store);
        // As many under way as memory has room for, were all of them as long as they may be.
        let mut objects = stream::iter(portions)
            .map(|portion| {
                let store = Arc::clone(&store);
                async move { store.read_many(&portion).await }
            })
            .buffered(READ_AHEAD);
        let mut groups = Vec::with_capacity(names.len());
        let mut names = names.into_iter();
        while let Some(portion) = objects.next().await {
            for (object, name) in portion.into_iter().zip(&mut names) {
                // One that vanished or cannot be read now is for another time.
                let Ok(Some(object)) = object else { continue };
                match Item::parse(name, &self.log_id, &object.bytes) {
                    Ok(item) if room.take(&item) => groups.push(Group {
                        id: name.id,
                        pending: item.entries.into_iter().map(Pending::new).collect(),
                    }),
                    // The slot is full.
                    Ok(_) => return Ok(groups),
                    Err(error) => {
                        self.counters.bad_items += 1;
                        debug!(%error, "an item of the inbox is passed over");
                    }
                }
            }
        }
        Ok(groups)
    }

    /// After a cold start: the slots from `seen` up to those that are known, whether one lists the batch that is watched.
    async fn read_back(&mut self, seen: u64) -> Result<(), Error> {
        let known_from = self.chain.as_ref().ok_or_else(cold)?.ids().start();
        if known_from <= seen || self.is_ordered() {
            return Ok(());
        }
        let mut at = seen;
        let mut ids = Vec::new();
        for start in self.store.slots(seen, MAX_READ_BACK).await? {
            if start >= known_from || start != at {
                break;
            }
            let Some(bytes) = self.store.read_slot_head(start, MAX_HEADER_LEN).await? else {
                break;
            };
            let header = Slot::parse_head(start, &bytes)?;
            at = header.new_size.get();
            ids.extend(header.batches.iter().map(|batch| batch.id));
            if let Some(watch) = &mut self.watch {
                watch.read(&header);
            }
        }
        if at != known_from {
            return Err(Error::Unavailable(format!(
                "slots since size {seen} cannot be read back, of which one may hold the batch"
            )));
        }
        let chain = self.chain.as_mut().ok_or_else(cold)?;
        chain.add_earlier_ids(seen, ids);
        Ok(())
    }

    /// A slot lists the batch: a checkpoint has to cover it.
    async fn answer_ordered(
        &mut self,
        path: &ObjectPath,
        batch: &[Pending],
    ) -> Result<Round, Error> {
        let watch = self.watch.as_ref().ok_or_else(cold)?;
        let ordered = watch.ordered.as_ref().ok_or_else(cold)?;
        let (end, batches) = (ordered.end, ordered.batches);
        let succeeds = batches > 1 && self.last.successor == watch.name.id;
        self.keep_in_mind(batches as u64);
        let store = Arc::clone(&self.store);
        let (covered, removed) = futures::join!(
            async {
                if succeeds {
                    self.succeed().await?;
                }
                self.wait_for_checkpoint(end).await
            },
            store.remove(path)
        );
        covered?;
        // Housekeeping removes what is left.
        drop(removed);
        let ordered = self.watch.take().and_then(|watch| watch.ordered);
        let ordered = ordered.ok_or_else(cold)?;
        let places = ordered.places().ok_or_else(cold)?;
        let published = self.published().ok_or_else(cold)?.size;
        let growth = ordered.growth_to(published);
        let known = places.iter().filter(|place| place.duplicate).count() as u64;
        self.counters.duplicates += known;
        self.counters.entries += places.len() as u64 - known;
        self.answer(batch, places, growth).await
    }

    /// Goes on to the next slot for those who hand over meanwhile. The more there were the longer it waits for some of them
    /// to come back: those who wait count on it.
    async fn succeed(&mut self) -> Result<(), Error> {
        let patience = succession(self.last.batches);
        let mut waited = Duration::ZERO;
        loop {
            match self.lead(None).await? {
                Led::Ours(..) => return self.publish().await,
                Led::Late | Led::There(_) => return Ok(()),
                Led::Nothing if waited >= patience => return Ok(()),
                Led::Nothing => {}
            }
            self.env.sleep(FIRST_POLL).await;
            waited += FIRST_POLL;
        }
    }

    /// Waits for the checkpoint of whoever ordered the slot; after a while, publishes it.
    async fn wait_for_checkpoint(&mut self, end: TreeSize) -> Result<(), Error> {
        let mut waited = Duration::ZERO;
        let patience = PUBLISH_PATIENCE + self.jitter(PUBLISH_PATIENCE);
        loop {
            self.warm().await?;
            if self.published().ok_or_else(cold)?.size >= end {
                return Ok(());
            }
            let (published, version) = self.read_checkpoint().await?;
            if published.size >= end {
                self.judge(published, version).await?;
                continue;
            }
            if waited >= patience {
                self.publish().await?;
                continue;
            }
            self.env.sleep(FIRST_POLL).await;
            waited += FIRST_POLL;
        }
    }

    async fn answer_known(
        &mut self,
        batch: &[Pending],
        places: Vec<Place>,
    ) -> Result<Round, Error> {
        self.publish_over(&places).await?;
        self.counters.duplicates += places.len() as u64;
        self.answer(batch, places, None).await
    }

    /// Where the entries of a group are, if all of them are in the log.
    fn known(&self, group: &Group<'_>) -> Result<Option<Vec<Place>>, Error> {
        let chain = self.chain.as_ref().ok_or_else(cold)?;
        Ok(chain.known(group, &self.config, &self.earlier))
    }

    fn is_ordered(&self) -> bool {
        let watch = self.watch.as_ref();
        watch.is_some_and(|watch| watch.ordered.is_some())
    }

    /// The last batch was in a slot with so many.
    fn keep_in_mind(&mut self, batches: u64) {
        self.contention = match batches {
            0 | 1 => self.contention.saturating_sub(1),
            _ => CONTENTION,
        };
    }

    /// How long to wait for another's slot before one leads: in the mean one of all who wait does each so often. Where one has
    /// gone on to the next slot the others give it time.
    fn patience(&self) -> Duration {
        let crowd = self.crowd.clamp(1, 1_000);
        let spread = TURN * u32::try_from(crowd).unwrap_or(1);
        let first = match self.last.batches {
            0 | 1 => Duration::ZERO,
            batches => ROUND + succession(batches),
        };
        first + self.jitter(spread)
    }

    /// A random part of a duration.
    fn jitter(&self, whole: Duration) -> Duration {
        let [a, b, ..] = self.env.random();
        whole * u32::from(u16::from_be_bytes([a, b])) / (1 << 16)
    }
}

impl Ordered {
    /// The batch's new entries are where the batches before it ended, one after the other; all others were there before.
    fn places(&self) -> Option<Vec<Place>> {
        let mut next = self.first_new;
        let place = |index: u64| {
            let duplicate = index < next;
            next = next.max(index + 1);
            let index = tegula_tlog::LeafIndex::new(index)?;
            Some(Place { index, duplicate })
        };
        self.batch.indexes().map(place).collect()
    }

    /// What the tree grew by from the slot on up to the published size.
    fn growth_to(&self, published: TreeSize) -> Option<Arc<Growth>> {
        let (edge, leaves) = self.growth.as_ref()?;
        let count = published.get().checked_sub(self.start)?;
        let leaves = leaves.get(..usize::try_from(count).ok()?)?;
        edge.clone().grow(leaves).ok().map(Arc::new)
    }
}

/// How long whoever goes on to the next slot waits for others to hand over.
fn succession(batches: u64) -> Duration {
    let each = u32::try_from(batches).unwrap_or(u32::MAX);
    Duration::from_millis(10)
        .saturating_mul(each)
        .min(SUCCESSION)
}

fn private(name: &ItemName) -> Result<ObjectPath, Error> {
    ObjectPath::private(name.to_string()).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Times that an item is put before its batch is answered with an error.
const MAX_PUTS: u32 = 6;
/// Items that are listed together, and at most folded into one slot.
const MAX_ITEMS: usize = 1_000;
/// Items that are asked for in one call, and calls that are made before the first is answered: 256 items, 32 MiB.
const READ_TOGETHER: usize = 16;
const READ_AHEAD: usize = 16;
/// Items of authors that are gone, removed together.
const MAX_REMOVED: usize = 100;
/// Slots that are read back for a batch that was handed over.
const MAX_READ_BACK: usize = 64;
/// Own slots after which a writer looks into the inbox though nobody is in its way.
const LIST_EVERY: u32 = 8;
/// Between two looks for the next slot, at first and later.
const FIRST_POLL: Duration = Duration::from_millis(20);
/// After a slot, until it is worth while to look for the next one.
const NEXT_SLOT: Duration = Duration::from_millis(75);
const LAST_POLL: Duration = Duration::from_millis(200);
/// Between two who lead, in the mean, where nobody has gone on to the next slot.
const TURN: Duration = Duration::from_millis(30);
/// The time in which the inbox is listed and read, and a slot written.
const ROUND: Duration = Duration::from_millis(100);
/// How long whoever goes on to the next slot waits for others, at most.
const SUCCESSION: Duration = Duration::from_millis(200);
/// For each item that is older than one's own, up to so many.
const RANK: Duration = Duration::from_millis(15);
const MAX_RANK: u64 = 40;
/// The time that whoever ordered a slot is given to publish it, at least.
const PUBLISH_PATIENCE: Duration = Duration::from_millis(400);
/// How long a batch waits for a slot.
const MAX_WAIT: Duration = Duration::from_secs(20);
