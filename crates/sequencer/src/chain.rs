//! What a warm writer knows: the tip of the chain, and what came since the published checkpoint.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tegula_storage::Version;
use tegula_tlog::{Edge, Growth, Hash, LeafIndex, TilePath, TreeSize, append_entry, leaf_hash};

use crate::dedup::Recent;
use crate::error::Error;
use crate::ids::Ids;
use crate::slot::{Batch, Slot, SlotHeader};
use crate::tip::{FoldError, Step, Tip};
use crate::writer::Pending;
use crate::{Config, MAX_SLOT_BYTES, Published};

/// The chain of slots up to its tip, as far as a writer has to know it. Only a slot that is durable
/// and was checked gets in.
#[derive(Debug)]
pub(crate) struct Chain {
    tip: Tip,
    recent: Recent,
    ids: Ids,
    published: Published,
    /// The version of the object `checkpoint` that holds `published`.
    version: Version,
    /// Where slots ended since `published`, itself included: the only sizes that may be signed over.
    boundaries: VecDeque<(TreeSize, Hash)>,
    /// Objects that slots completed and that are not known to be in the store.
    owed: Vec<Owed>,
    /// The last size of which all objects are known to be in the store.
    integrated: Option<TreeSize>,
    /// Whether slots of others were folded since `published` was read.
    follows_others: bool,
    backlog: Backlog,
}

/// Full tiles and full bundles of one slot.
#[derive(Debug)]
struct Owed {
    end: TreeSize,
    /// Whether the slot is another writer's, which may have written them by now.
    others: bool,
    objects: Vec<(TilePath, Bytes)>,
}

/// Leaves that were looked up in the index, and where each is first, if it is there.
pub(crate) type Earlier = HashMap<Hash, Option<u64>>;

/// What is ordered but not published.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backlog {
    /// Slots.
    pub(crate) slots: u64,
    /// Bytes of their entries.
    pub(crate) bytes: u64,
}

/// Where an entry of a batch is, and whether it was there before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) index: LeafIndex,
    pub(crate) duplicate: bool,
}

/// What to do with a batch.
pub(crate) enum Plan {
    /// All of it is in the log: no slot.
    Nothing(Vec<Vec<Place>>),
    /// This slot.
    Slot(Box<Planned>),
}

/// Entries that were handed in together, under one id.
#[derive(Clone, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) id: [u8; 16],
    pub(crate) pending: Cow<'a, [Pending]>,
}

/// A slot that has not been written.
pub(crate) struct Planned {
    /// For each group, where its entries are.
    pub(crate) places: Vec<Vec<Place>>,
    ids: Vec<[u8; 16]>,
    pub(crate) bytes: Bytes,
    step: Step,
    entries_len: u64,
}

impl Planned {
    /// The size after it.
    pub(crate) fn end(&self) -> TreeSize {
        self.step.tip.size()
    }

    /// The root after it.
    pub(crate) fn root(&self) -> Hash {
        self.step.tip.root()
    }

    /// How many of its entries are new.
    pub(crate) fn new_entries(&self) -> u64 {
        let places = self.places.iter().flatten();
        places.filter(|place| !place.duplicate).count() as u64
    }
}

impl Chain {
    /// A chain whose tip is a published checkpoint.
    pub(crate) fn new(tip: Tip, recent: Recent, published: Published, version: Version) -> Self {
        Self {
            ids: Ids::from(tip.size().get()),
            tip,
            recent,
            boundaries: VecDeque::from([(published.size, published.root)]),
            published,
            version,
            owed: Vec::new(),
            integrated: None,
            follows_others: false,
            backlog: Backlog::default(),
        }
    }

    /// The size at the tip: the start of the next slot.
    pub(crate) fn size(&self) -> TreeSize {
        self.tip.size()
    }

    /// The root at the tip.
    pub(crate) fn root(&self) -> Hash {
        self.tip.root()
    }

    /// The newest published checkpoint that was seen; always one of the chain's boundaries.
    pub(crate) fn published(&self) -> &Published {
        &self.published
    }

    /// The version of the object that holds `published`.
    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    /// What is ordered but not published.
    pub(crate) fn backlog(&self) -> Backlog {
        self.backlog
    }

    /// Whether a slot of this chain ended at this size with this root, at or after the
    /// published checkpoint.
    pub(crate) fn has_boundary(&self, size: TreeSize, root: &Hash) -> bool {
        self.boundaries.contains(&(size, *root))
    }

    /// Takes note of a published checkpoint, which has to be a boundary: all objects that it needs
    /// can be read, so they are no longer owed.
    pub(crate) fn set_published(&mut self, published: Published, version: Version) {
        let size = published.size;
        self.boundaries.retain(|(at, _)| *at >= size);
        self.owed.retain(|owed| owed.end > size);
        if size == self.size() {
            self.backlog = Backlog::default();
        }
        self.published = published;
        self.version = version;
        self.follows_others = false;
    }

    /// Whether it is likely that others published since the published checkpoint was read.
    pub(crate) fn follows_others(&self) -> bool {
        self.follows_others
    }

    /// Whether everything that the tip's checkpoint needs is in the store.
    pub(crate) fn is_integrated(&self) -> bool {
        self.integrated == Some(self.size())
    }

    /// Everything that a checkpoint of this size needs is in the store.
    pub(crate) fn settle(&mut self, size: TreeSize) {
        self.owed.retain(|owed| owed.end > size);
        self.integrated = Some(size);
    }

    /// Everything that the tip's checkpoint needs and that is not known to be in the store: what nobody else has written yet, most
    /// likely, and what others may have.
    pub(crate) fn objects_owed(&self) -> [Vec<(TilePath, Bytes)>; 2] {
        let of = |others| {
            let owed = self.owed.iter().filter(move |owed| owed.others == others);
            owed.flat_map(|owed| owed.objects.iter().cloned())
        };
        [
            of(false).chain(self.partial_objects_owed()).collect(),
            of(true).collect(),
        ]
    }

    /// Partial objects of the tip that are not there yet: above the lowest level most are as they were.
    fn partial_objects_owed(&self) -> impl Iterator<Item = (TilePath, Bytes)> {
        let sizes = [Some(self.published.size), self.integrated];
        let is_there = move |path: &TilePath| {
            sizes.into_iter().flatten().any(|size| {
                let then = match path.level() {
                    Some(level) => TilePath::hashes_at(level, path.index(), size),
                    None => TilePath::entries_at(path.index(), size),
                };
                then == Some(*path)
            })
        };
        let objects = self.tip.partial_objects().into_iter();
        objects.filter(move |(path, _)| !is_there(path))
    }

    /// Only the full ones, which never change any more.
    pub(crate) fn full_objects_owed(&self) -> Vec<(TilePath, Bytes)> {
        let owed = self.owed.iter();
        owed.flat_map(|owed| owed.objects.iter().cloned()).collect()
    }

    /// Forgets the full ones: they are in the store.
    pub(crate) fn settle_full_objects(&mut self) {
        self.owed.clear();
    }

    /// Bytes of the full objects that are owed.
    pub(crate) fn owed_bytes(&self) -> usize {
        let objects = self.owed.iter().flat_map(|owed| &owed.objects);
        objects.map(|(_, bytes)| bytes.len()).sum()
    }

    /// The ids of batches in slots that were read.
    pub(crate) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Takes note of the ids in the slots below those that are known, which were read for them.
    pub(crate) fn add_earlier_ids(&mut self, from: u64, ids: impl IntoIterator<Item = [u8; 16]>) {
        self.ids.add_earlier(from, ids);
    }

    /// The right edge at the tip.
    pub(crate) fn edge(&self) -> &Edge {
        &self.tip.edge
    }

    /// Finds a place for each entry and makes the slot, checked as any reader of it would.
    /// When the newest slot was ordered.
    pub(crate) fn time_ms(&self) -> u64 {
        self.tip.time_ms
    }

    pub(crate) fn plan(
        &self,
        groups: &[Group<'_>],
        config: &Config,
        log_id: &[u8; 32],
        attempt: [u8; 16],
        now_ms: u64,
        earlier: &Earlier,
    ) -> Result<Plan, Error> {
        let (places, new) = self.place(groups, config.dedup_window > 0, earlier)?;
        if new.is_empty() {
            return Ok(Plan::Nothing(places));
        }
        let mut encoded = Vec::with_capacity(new.iter().map(|p| p.entry.len() + 2).sum());
        for pending in &new {
            append_entry(&mut encoded, &pending.entry)
                .map_err(|error| Error::Rejected(error.to_string()))?;
        }
        if encoded.len() > MAX_SLOT_BYTES {
            return Err(Error::Rejected(format!(
                "a batch of {} bytes, expected at most {MAX_SLOT_BYTES}",
                encoded.len()
            )));
        }
        let leaves: Vec<_> = new.iter().map(|pending| pending.leaf).collect();
        let mut edge = self.tip.edge.clone();
        let growth = edge
            .grow(&leaves)
            .map_err(|error| Error::Rejected(error.to_string()))?;
        let header = SlotHeader {
            log_id: *log_id,
            attempt,
            prev_size: self.size(),
            prev_root: self.root(),
            new_size: edge.size(),
            new_root: edge.root(),
            time_ms: self.tip.time_ms.max(now_ms),
            entries_len: encoded.len() as u64,
            batches: groups
                .iter()
                .zip(&places)
                .filter_map(|(group, places)| {
                    Batch::new(group.id, places.iter().map(|place| place.index.get()))
                })
                .collect(),
        };
        let bytes = header.encode(&encoded);
        drop(encoded);

        // These bytes are what everybody else will fold: what they decode to has
        // to be the very leaves that the new root was computed from.
        let slot = Slot::parse(self.size().get(), &bytes)?;
        let entries = slot.entries().unwrap_or_else(|| Ok(Vec::new()));
        let entries = entries?;
        let decoded = entries.iter().map(|entry| leaf_hash(entry));
        if slot.header != header || !decoded.eq(leaves.iter().copied()) {
            return Err(Error::Corrupt(format!(
                "slot {} does not decode to what it was made of",
                self.size()
            )));
        }
        let step = self
            .tip
            .step(edge, growth, leaves, &entries, header.time_ms)?;
        Ok(Plan::Slot(Box::new(Planned {
            places,
            ids: groups.iter().map(|group| group.id).collect(),
            bytes,
            step,
            entries_len: header.entries_len,
        })))
    }

    /// Goes on to the state after one's own slot. It has to be durable.
    pub(crate) fn advance(&mut self, planned: Planned) -> (Vec<Vec<Place>>, Arc<Growth>) {
        self.ids.push(self.tip.size().get(), planned.ids);
        let (growth, _) = self.apply(planned.step, planned.entries_len, false);
        (planned.places, Arc::new(growth))
    }

    /// Checks a slot and goes on to the state after it. It has to be durable. The leaves that it adds.
    pub(crate) fn fold(&mut self, slot: &Slot, log_id: &[u8; 32]) -> Result<Vec<Hash>, FoldError> {
        let step = self.tip.fold(slot, log_id)?;
        self.follows_others = true;
        let ids = slot.header.batches.iter().map(|batch| batch.id);
        self.ids.push(self.tip.size().get(), ids.collect());
        let (_, leaves) = self.apply(step, slot.header.entries_len, true);
        Ok(leaves)
    }

    /// Where the entries of a group are, if all of them are in the log.
    pub(crate) fn known(
        &self,
        group: &Group<'_>,
        config: &Config,
        earlier: &Earlier,
    ) -> Option<Vec<Place>> {
        if config.dedup_window == 0 {
            return None;
        }
        let place = |pending: &Pending| {
            let index = LeafIndex::new(self.find(&pending.leaf, earlier)?)?;
            Some(Place {
                index,
                duplicate: true,
            })
        };
        group.pending.iter().map(place).collect()
    }

    /// Where a leaf is: among the last ones, or among those that were looked up.
    fn find(&self, leaf: &Hash, earlier: &Earlier) -> Option<u64> {
        let earlier = earlier.get(leaf).copied().flatten();
        earlier.or_else(|| self.recent.find(leaf))
    }

    /// The first leaf that is searched without the index: those from here on are held.
    pub(crate) fn held_from(&self) -> u64 {
        self.recent.first()
    }

    /// Those of the leaves that are not among the last ones.
    pub(crate) fn not_held(&self, groups: &[Group<'_>]) -> Vec<Hash> {
        let pending = groups.iter().flat_map(|group| group.pending.iter());
        let leaves = pending.map(|pending| pending.leaf);
        let leaves: HashSet<_> = leaves
            .filter(|leaf| self.recent.find(leaf).is_none())
            .collect();
        leaves.into_iter().collect()
    }

    /// A place for each entry, and the entries that are new.
    fn place<'a>(
        &self,
        groups: &'a [Group<'_>],
        dedup: bool,
        earlier: &Earlier,
    ) -> Result<(Vec<Vec<Place>>, Vec<&'a Pending>), Error> {
        let start = self.size().get();
        let mut places = Vec::with_capacity(groups.len());
        let mut new = Vec::new();
        let mut in_slot: HashMap<Hash, u64> = HashMap::new();
        for group in groups {
            let mut of_group = Vec::with_capacity(group.pending.len());
            for pending in group.pending.iter() {
                let next = start + new.len() as u64;
                let known = if dedup {
                    let earlier = self.find(&pending.leaf, earlier);
                    earlier.or_else(|| in_slot.get(&pending.leaf).copied())
                } else {
                    None
                };
                if known.is_none() {
                    new.push(pending);
                    if dedup {
                        in_slot.insert(pending.leaf, next);
                    }
                }
                let index = LeafIndex::new(known.unwrap_or(next))
                    .ok_or_else(|| Error::Rejected("the tree is full".to_owned()))?;
                of_group.push(Place {
                    index,
                    duplicate: known.is_some(),
                });
            }
            places.push(of_group);
        }
        Ok((places, new))
    }

    fn apply(&mut self, step: Step, entries_len: u64, others: bool) -> (Growth, Vec<Hash>) {
        self.tip = step.tip;
        for leaf in &step.leaves {
            self.recent.push(*leaf);
        }
        self.boundaries.push_back((self.size(), self.root()));
        self.owed.push(Owed {
            end: self.size(),
            others,
            objects: step.objects,
        });
        self.backlog.slots += 1;
        self.backlog.bytes += entries_len;
        (step.growth, step.leaves)
    }
}
