//! What a warm writer knows: the tip of the chain, and what came since the published checkpoint.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tegula_storage::Version;
use tegula_tlog::{Growth, Hash, LeafIndex, TilePath, TreeSize, append_entry, leaf_hash};

use crate::dedup::Recent;
use crate::error::Error;
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
    published: Published,
    /// The version of the object `checkpoint` that holds `published`.
    version: Version,
    /// Where slots ended since `published`, itself included: the only sizes that may be signed over.
    boundaries: VecDeque<(TreeSize, Hash)>,
    /// Objects that slots completed and that are not known to be in the store.
    owed: Vec<Owed>,
    backlog: Backlog,
}

/// Full tiles and full bundles of one slot.
#[derive(Debug)]
struct Owed {
    end: TreeSize,
    objects: Vec<(TilePath, Bytes)>,
}

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
    Nothing(Vec<Place>),
    /// This slot.
    Slot(Box<Planned>),
}

/// A slot that has not been written.
pub(crate) struct Planned {
    pub(crate) places: Vec<Place>,
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
        let new = self.places.iter().filter(|place| !place.duplicate);
        new.count() as u64
    }
}

impl Chain {
    /// A chain whose tip is a published checkpoint.
    pub(crate) fn new(tip: Tip, recent: Recent, published: Published, version: Version) -> Self {
        Self {
            tip,
            recent,
            boundaries: VecDeque::from([(published.size, published.root)]),
            published,
            version,
            owed: Vec::new(),
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
    }

    /// Everything that the tip's checkpoint needs and that is not known to be in the store.
    pub(crate) fn objects_owed(&self) -> Vec<(TilePath, Bytes)> {
        let mut objects = self.full_objects_owed();
        objects.extend(self.tip.partial_objects());
        objects
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

    /// Finds a place for each entry and makes the slot, checked as any reader of it would.
    pub(crate) fn plan(
        &self,
        batch: &[Pending],
        config: &Config,
        log_id: &[u8; 32],
        ids: [[u8; 16]; 2],
        now_ms: u64,
    ) -> Result<Plan, Error> {
        let [attempt, batch_id] = ids;
        let (places, new) = self.place(batch, config.dedup_window > 0)?;
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
            batches: Batch::new(batch_id, places.iter().map(|place| place.index.get()))
                .into_iter()
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
            bytes,
            step,
            entries_len: header.entries_len,
        })))
    }

    /// Goes on to the state after one's own slot. It has to be durable.
    pub(crate) fn advance(&mut self, planned: Planned) -> (Vec<Place>, Arc<Growth>) {
        let growth = self.apply(planned.step, planned.entries_len);
        (planned.places, Arc::new(growth))
    }

    /// Checks a slot and goes on to the state after it. It has to be durable.
    pub(crate) fn fold(&mut self, slot: &Slot, log_id: &[u8; 32]) -> Result<(), FoldError> {
        let step = self.tip.fold(slot, log_id)?;
        self.apply(step, slot.header.entries_len);
        Ok(())
    }

    /// A place for each entry, and the entries that are new.
    fn place<'a>(
        &self,
        batch: &'a [Pending],
        dedup: bool,
    ) -> Result<(Vec<Place>, Vec<&'a Pending>), Error> {
        let start = self.size().get();
        let mut places = Vec::with_capacity(batch.len());
        let mut new = Vec::with_capacity(batch.len());
        let mut in_batch: HashMap<Hash, u64> = HashMap::new();
        for pending in batch {
            let next = start + new.len() as u64;
            let known = if dedup {
                let earlier = self.recent.find(&pending.leaf);
                earlier.or_else(|| in_batch.get(&pending.leaf).copied())
            } else {
                None
            };
            if known.is_none() {
                new.push(pending);
                if dedup {
                    in_batch.insert(pending.leaf, next);
                }
            }
            let index = LeafIndex::new(known.unwrap_or(next))
                .ok_or_else(|| Error::Rejected("the tree is full".to_owned()))?;
            places.push(Place {
                index,
                duplicate: known.is_some(),
            });
        }
        Ok((places, new))
    }

    fn apply(&mut self, step: Step, entries_len: u64) -> Growth {
        self.tip = step.tip;
        for leaf in step.leaves {
            self.recent.push(leaf);
        }
        self.boundaries.push_back((self.size(), self.root()));
        self.owed.push(Owed {
            end: self.size(),
            objects: step.objects,
        });
        self.backlog.slots += 1;
        self.backlog.bytes += entries_len;
        step.growth
    }
}
