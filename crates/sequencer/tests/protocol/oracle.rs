//! What the log is, from its durable slots alone; and what must always hold.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use tegula_sequencer::{Receipt, Slot};
use tegula_storage::ObjectPath;
use tegula_tlog::{
    Checkpoint, Hash, LeafIndex, TileKind, TilePath, TreeSize, VerifierKey, append_entry,
    empty_root, leaf_hash, node_hash, tiles_of, verify_inclusion,
};

use crate::bottom::{Bottom, SLOTS_STAY, peek};

/// Folds slots as they become durable, and keeps what was published, signed and acknowledged.
#[derive(Debug)]
pub(crate) struct Oracle {
    keys: Vec<VerifierKey>,
    slots: BTreeMap<u64, Bytes>,
    entries: Vec<Bytes>,
    leaves: Vec<Hash>,
    /// The root at each size where a slot ends.
    boundaries: BTreeMap<u64, Hash>,
    batches: HashSet<[u8; 16]>,
    /// The largest size that a checkpoint was published for, since the power was cut last.
    published: u64,
    acknowledged: HashMap<Hash, u64>,
    pub(crate) publications: usize,
    /// Batches that share a slot with an earlier one.
    pub(crate) taken_along: usize,
    pub(crate) violations: Vec<String>,
}

impl Oracle {
    pub(crate) fn new(keys: Vec<VerifierKey>) -> Self {
        Self {
            keys,
            slots: BTreeMap::new(),
            entries: Vec::new(),
            leaves: Vec::new(),
            boundaries: BTreeMap::from([(0, empty_root())]),
            batches: HashSet::new(),
            published: 0,
            acknowledged: HashMap::new(),
            publications: 0,
            taken_along: 0,
            violations: Vec::new(),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// Where the slot that ends at this size begins.
    pub(crate) fn boundary_before(&self, size: u64) -> u64 {
        *self.boundaries.range(..size).next_back().unwrap().0
    }

    pub(crate) fn expect(&mut self, holds: bool, violation: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(violation());
        }
    }

    /// I1 and I6: a slot is durable.
    pub(crate) fn slot(&mut self, start: u64, bytes: &Bytes) {
        if let Some(known) = self.slots.get(&start) {
            // Where slots stay, what one held may go once a checkpoint covers it.
            let is_cut = || {
                let slot = Slot::parse(start, bytes).ok();
                let slot = slot.filter(|slot| slot.entries().is_none());
                slot.is_some_and(|slot| slot.header.new_size.get() <= self.published)
            };
            let same = known == bytes || SLOTS_STAY && known.starts_with(bytes) && is_cut();
            self.expect(same, || format!("I1: slot {start} was made twice"));
            return;
        }
        self.slots.insert(start, bytes.clone());
        while let Some(bytes) = self.slots.get(&self.size()).cloned() {
            if !self.fold(&bytes) {
                return;
            }
        }
    }

    fn fold(&mut self, bytes: &Bytes) -> bool {
        let start = self.size();
        let slot = match Slot::parse(start, bytes) {
            Ok(slot) => slot,
            Err(error) => {
                self.violations.push(format!("I1: {error}"));
                return false;
            }
        };
        let header = &slot.header;
        let follows = Some(&header.prev_root) == self.boundaries.get(&start);
        self.expect(follows, || format!("I1: slot {start} does not chain"));
        let Some(Ok(entries)) = slot.entries() else {
            self.violations
                .push(format!("I1: slot {start} has no entries"));
            return false;
        };
        self.expect(!entries.is_empty(), || format!("I1: slot {start} is empty"));
        for entry in entries {
            self.entries.push(Bytes::copy_from_slice(entry));
            self.leaves.push(leaf_hash(entry));
        }
        self.taken_along += header.batches.len() - 1;
        for batch in &header.batches {
            let once = self.batches.insert(batch.id);
            self.expect(once, || format!("I6: slot {start} logs a batch again"));
        }
        let root = naive_root(&self.leaves);
        let right = header.new_root == root && header.new_size.get() == self.size();
        self.expect(right, || format!("I1: slot {start} leads to another root"));
        self.boundaries.insert(self.size(), root);
        true
    }

    /// I7: a checkpoint was signed.
    pub(crate) fn signed(&mut self, note: &[u8]) {
        let opened = Checkpoint::open(note, &self.keys);
        let ordered = opened.is_ok_and(|(checkpoint, _)| self.is_boundary(&checkpoint));
        self.expect(ordered, || {
            let text = String::from_utf8_lossy(note);
            format!("I7: signed and not durably ordered: {text}")
        });
    }

    fn is_boundary(&self, checkpoint: &Checkpoint) -> bool {
        self.boundaries.get(&checkpoint.size.get()) == Some(&checkpoint.root)
    }

    /// I4 and I5: a checkpoint is in the store.
    pub(crate) fn published(&mut self, note: &[u8], memory: &Bottom) {
        self.publications += 1;
        let Ok((checkpoint, _)) = Checkpoint::open(note, &self.keys) else {
            self.violations
                .push("I4: what was published is not signed".to_owned());
            return;
        };
        let size = checkpoint.size.get();
        let grows = size > self.published || size == 0;
        let before = self.published;
        self.expect(grows, || {
            format!("I4: size {size} was published after {before}")
        });
        let consistent = self.is_boundary(&checkpoint);
        self.expect(consistent, || format!("I4: size {size} is not of this log"));
        self.published = self.published.max(size);
        self.readable(checkpoint.size, memory);
    }

    /// I5: everything that a size needs is in the store, with the right bytes.
    pub(crate) fn readable(&mut self, size: TreeSize, memory: &Bottom) {
        for path in tiles_of(size) {
            let found = read(memory, &path).or_else(|| {
                let full = read(memory, &path.full())?;
                self.first_of(&path, &full)
            });
            let right = found.is_some() && found == self.expected(&path);
            self.expect(right, || format!("I5: size {size} lacks {path}"));
        }
    }

    fn first_of(&self, path: &TilePath, full: &Bytes) -> Option<Bytes> {
        let expected = self.expected(path)?;
        full.starts_with(&expected).then_some(expected)
    }

    /// I3 and I7: an object was made.
    pub(crate) fn created(&mut self, path: &str, bytes: &Bytes) {
        let Ok(tile) = path.parse::<TilePath>() else {
            self.violations
                .push(format!("I3: {path} is not of the format"));
            return;
        };
        let right = self.expected(&tile).as_ref() == Some(bytes);
        self.expect(right, || {
            format!("I3: {path} is not what durable slots say")
        });
    }

    /// A tile's bytes as the slots determine them; `None` if they do not reach so far.
    fn expected(&self, path: &TilePath) -> Option<Bytes> {
        let level = match path.kind() {
            TileKind::Hashes { level } => u32::from(level),
            TileKind::Entries => {
                let start = usize::try_from(path.index()).ok()? * 256;
                let entries = self.entries.get(start..start + usize::from(path.width()))?;
                let mut bundle = Vec::new();
                for entry in entries {
                    append_entry(&mut bundle, entry).ok()?;
                }
                return Some(bundle.into());
            }
        };
        let span = 256_usize.pow(level);
        let start = usize::try_from(path.index()).ok()? * 256;
        let hashes = (start..start + usize::from(path.width())).map(|node| {
            let leaves = self.leaves.get(node * span..(node + 1) * span)?;
            Some(naive_root(leaves).0)
        });
        let hashes: Option<Vec<_>> = hashes.collect();
        Some(hashes?.concat().into())
    }

    /// I2: an entry was acknowledged.
    pub(crate) fn acknowledged(&mut self, entry: &[u8], receipt: &Receipt) {
        let leaf = leaf_hash(entry);
        let index = receipt.index.get();
        let held = usize::try_from(index)
            .ok()
            .and_then(|at| self.leaves.get(at));
        let is_there = held == Some(&leaf);
        self.expect(is_there, || {
            format!("I2: entry {index} was acknowledged and is another")
        });
        let published = &receipt.published;
        let opened = Checkpoint::open(&published.checkpoint, &self.keys);
        let proven = opened.is_ok_and(|(checkpoint, _)| {
            self.is_boundary(&checkpoint)
                && (checkpoint.size, checkpoint.root) == (published.size, published.root)
                && verify_inclusion(
                    LeafIndex::new(index).unwrap(),
                    published.size,
                    &leaf,
                    &receipt.proof,
                    &published.root,
                )
                .is_ok()
        });
        self.expect(proven, || format!("I2: the proof of entry {index}"));
        let covered = self.published >= published.size.get();
        self.expect(covered, || {
            format!("I2: entry {index} was answered before it was published")
        });
        let before = self.acknowledged.insert(leaf, index);
        let stays = before.is_none_or(|before| before == index);
        self.expect(stays, || {
            format!("I6: entry {index} had another index before")
        });
    }

    /// The power was cut: a checkpoint that was not synced may have gone back.
    pub(crate) fn power_cut(&mut self, memory: &Bottom) {
        self.published = self.checkpoint(memory).size.get();
    }

    fn checkpoint(&self, memory: &Bottom) -> Checkpoint {
        let path = ObjectPath::public("checkpoint").unwrap();
        let checkpoint = peek(memory, &path).unwrap();
        Checkpoint::open(&checkpoint, &self.keys).unwrap().0
    }

    /// Everything at rest.
    pub(crate) fn finish(&mut self, memory: &Bottom) {
        let checkpoint = self.checkpoint(memory);
        let boundary = self.is_boundary(&checkpoint);
        self.expect(boundary, || {
            "I4: the last checkpoint is not of this log".to_owned()
        });
        self.readable(checkpoint.size, memory);
        let acknowledged: Vec<_> = self.acknowledged.iter().map(|(l, i)| (*l, *i)).collect();
        for (leaf, index) in acknowledged {
            let held = self.leaves.get(usize::try_from(index).unwrap()) == Some(&leaf);
            let covered = index < checkpoint.size.get();
            self.expect(held && covered, || format!("I2: entry {index} is lost"));
        }
        let mut seen = HashSet::new();
        let twice: Vec<_> = self
            .leaves
            .iter()
            .filter(|leaf| !seen.insert(**leaf))
            .copied()
            .collect();
        self.expect(twice.is_empty(), || {
            format!("I6: leaves twice in the log: {twice:?}")
        });
        self.violations
            .extend(memory.violations().into_iter().map(|v| format!("I3: {v}")));
    }
}

fn read(memory: &Bottom, path: &TilePath) -> Option<Bytes> {
    let path = ObjectPath::public(path.to_string()).unwrap();
    peek(memory, &path)
}

/// RFC 6962, section 2.1, as it is written there.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}
