use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::{Bytes, BytesMut};

use crate::random::Random;
use crate::{Created, ObjectPath, Replaced, Root, SlotCreated, StoreError, Version};

/// Both halves of the store: what a reader sees, and what a power cut leaves.
#[derive(Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<(Root, String), Entry>,
    pub(super) slots: BTreeMap<u64, Slot>,
    pub(super) floor: u64,
    pub(super) unclean: bool,
    pub(super) suspect: bool,
    pub(super) power_cuts: u64,
    pub(super) violations: Vec<String>,
    removed_slots: BTreeMap<u64, Bytes>,
}

/// One path: what is there, and what it may fall back to.
#[derive(Default)]
pub(super) struct Entry {
    now: Option<Bytes>,
    /// Whole states which a power cut may bring back, oldest first; empty once `now` is durable.
    past: Vec<Option<Bytes>>,
    /// What `create` made here, ever; a mutable object has none.
    made: Option<Bytes>,
    /// Whether the bytes of an immutable object are on the disk, so that nothing tears them.
    whole: bool,
    /// Whether a sync of it failed: the system holds its bytes in memory, and will not write them any more.
    lost: bool,
}

/// A slot's bytes were on the disk before it got its name; its name may not be.
pub(super) struct Slot {
    bytes: Bytes,
    durable: bool,
}

impl State {
    pub(super) fn read(&self, path: &ObjectPath) -> Option<Bytes> {
        self.objects.get(&key(path))?.now.clone()
    }

    pub(super) fn create(
        &mut self,
        path: &ObjectPath,
        bytes: Bytes,
    ) -> Result<Created, StoreError> {
        self.check_place(path)?;
        let entry = self.objects.entry(key(path)).or_default();
        if entry.now.is_some() {
            return Ok(Created::Exists);
        }
        // Private objects carry what their writer drew; public ones are a function of the slots.
        let other = entry.made.as_ref().is_some_and(|made| *made != bytes);
        if other && path.root() == Root::Public {
            let what = format!("{path} was immutable, and was made again with other bytes");
            return Err(self.violation(what));
        }
        entry.made = Some(bytes.clone());
        entry.whole = false;
        entry.put(Some(bytes));
        Ok(Created::Created)
    }

    pub(super) fn replace(
        &mut self,
        path: &ObjectPath,
        expected: Option<&Bytes>,
        bytes: Bytes,
    ) -> Result<Replaced, StoreError> {
        self.check_place(path)?;
        let entry = self.objects.entry(key(path)).or_default();
        if entry.made.is_some() {
            let what = format!("{path} is immutable, and was to be replaced");
            return Err(self.violation(what));
        }
        if entry.now.as_ref() != expected {
            return Ok(Replaced::Changed);
        }
        let version = Version::new(bytes.clone());
        entry.put(Some(bytes));
        Ok(Replaced::Replaced(version))
    }

    pub(super) fn remove(&mut self, path: &ObjectPath) {
        if let Some(entry) = self.objects.get_mut(&key(path))
            && entry.now.is_some()
        {
            entry.put(None);
        }
    }

    pub(super) fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<String> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded((root, after.to_owned())),
            Some(_) | None => Bound::Included((root, prefix.to_owned())),
        };
        self.objects
            .range((from, Bound::Unbounded))
            .take_while(|((at, path), _)| *at == root && path.starts_with(prefix))
            .filter(|(_, entry)| entry.now.is_some())
            .map(|((_, path), _)| path.clone())
            .take(limit)
            .collect()
    }

    pub(super) fn sync(&mut self, path: &ObjectPath) -> Result<(), StoreError> {
        match self.objects.get_mut(&key(path)) {
            Some(entry) if entry.now.is_some() => {
                if !entry.lost {
                    entry.past.clear();
                    entry.whole = true;
                }
                Ok(())
            }
            Some(_) | None => Err(StoreError::invalid(format!(
                "{path} is not there to be synced"
            ))),
        }
    }

    pub(super) fn rebuild(&mut self, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError> {
        if !self.unclean && !self.suspect {
            return Err(StoreError::invalid(format!(
                "{path} was to be rebuilt in a store that is clean"
            )));
        }
        self.check_place(path)?;
        let entry = self.objects.entry(key(path)).or_default();
        let other = entry.made.as_ref().is_some_and(|made| *made != bytes);
        if other && path.root() == Root::Public {
            let what = format!("{path} was immutable, and was rebuilt with other bytes");
            return Err(self.violation(what));
        }
        if self.suspect || entry.now.as_ref() != Some(&bytes) {
            entry.made = Some(bytes.clone());
            entry.whole = false;
            entry.put(Some(bytes));
        }
        Ok(())
    }

    /// Takes the name; what was linked is not durable until [`sync_slot`](Self::sync_slot).
    pub(super) fn link_slot(&mut self, start: u64, bytes: Bytes) -> SlotCreated {
        if start < self.floor {
            return SlotCreated::BelowFloor;
        }
        if self.slots.contains_key(&start) {
            return SlotCreated::Exists;
        }
        let durable = false;
        self.slots.insert(start, Slot { bytes, durable });
        SlotCreated::Created
    }

    pub(super) fn sync_slot(&mut self, start: u64) {
        if let Some(slot) = self.slots.get_mut(&start) {
            slot.durable = true;
        }
    }

    pub(super) fn read_slot(&mut self, start: u64) -> Option<Bytes> {
        let slot = self.slots.get_mut(&start)?;
        slot.durable = true;
        Some(slot.bytes.clone())
    }

    pub(super) fn remove_slot(&mut self, start: u64) -> Result<(), StoreError> {
        if start >= self.floor {
            return Err(StoreError::invalid(format!(
                "slot {start} is not below the floor of {}",
                self.floor
            )));
        }
        if let Some(slot) = self.slots.remove(&start) {
            self.removed_slots.insert(start, slot.bytes);
        }
        Ok(())
    }

    pub(super) fn power_cut(&mut self, random: &mut Random) {
        self.power_cuts += 1;
        self.unclean = true;
        for entry in self.objects.values_mut() {
            entry.power_cut(random);
        }
        self.slots
            .retain(|_, slot| slot.durable || random.below(2) == 0);
        for (start, bytes) in std::mem::take(&mut self.removed_slots) {
            if random.below(2) == 0 {
                self.slots.entry(start).or_insert(Slot {
                    bytes,
                    durable: true,
                });
            }
        }
        for slot in self.slots.values_mut() {
            slot.durable = true;
        }
    }

    pub(super) fn fail_syncs(&mut self) {
        self.suspect = true;
        for entry in self.objects.values_mut() {
            entry.lost = !entry.past.is_empty();
        }
    }

    pub(super) fn listing(&self) -> BTreeMap<String, Bytes> {
        let objects = self.objects.iter().filter_map(|((root, path), entry)| {
            Some((format!("{root}/{path}"), entry.now.clone()?))
        });
        let slots = self
            .slots
            .iter()
            .map(|(start, slot)| (format!("private/wal/{start:020}"), slot.bytes.clone()));
        objects.chain(slots).collect()
    }

    pub(super) fn tamper(&mut self, path: &ObjectPath, bytes: Option<Bytes>) {
        let entry = self.objects.entry(key(path)).or_default();
        entry.now = bytes;
        entry.past.clear();
    }

    pub(super) fn tamper_slot(&mut self, start: u64, bytes: Option<Bytes>) {
        let durable = true;
        match bytes {
            Some(bytes) => drop(self.slots.insert(start, Slot { bytes, durable })),
            None => drop(self.slots.remove(&start)),
        }
    }

    /// A directory has no file below a file, and none in the place of a directory.
    fn check_place(&self, path: &ObjectPath) -> Result<(), StoreError> {
        let there = |entry: &Entry| entry.now.is_some();
        let through = |object: &str| {
            StoreError::invalid(format!("{path} goes through another object at {object}"))
        };
        for (at, _) in path.as_str().match_indices('/') {
            let above = path.as_str().get(..at).unwrap_or_default();
            if let Some(entry) = self.objects.get(&(path.root(), above.to_owned()))
                && there(entry)
            {
                return Err(through(above));
            }
        }
        let below = format!("{path}/", path = path.as_str());
        let mut inside = self
            .objects
            .range((path.root(), below.clone())..)
            .take_while(|((root, at), _)| *root == path.root() && at.starts_with(&below));
        match inside.find(|(_, entry)| there(entry)) {
            Some(((_, at), _)) => Err(through(at)),
            None => Ok(()),
        }
    }

    fn violation(&mut self, what: String) -> StoreError {
        self.violations.push(what.clone());
        StoreError::invalid(what)
    }
}

impl Entry {
    fn put(&mut self, next: Option<Bytes>) {
        // The oldest state is the durable one; of the others the last few stand for all.
        if self.past.len() > PAST {
            self.past.remove(1);
        }
        self.past.push(std::mem::replace(&mut self.now, next));
        self.lost = false;
    }

    fn power_cut(&mut self, random: &mut Random) {
        if !self.past.is_empty() {
            let newest = self.past.len();
            let choice = random.below(newest + 1);
            if choice < newest {
                self.now = self.past.swap_remove(choice);
            }
            self.past.clear();
        }
        if self.made.is_some()
            && !self.whole
            && let Some(bytes) = &self.now
        {
            self.now = tear(bytes, random);
        }
        // What the disk holds now, it holds: another power cut does not tear it again.
        self.whole = true;
        self.lost = false;
    }
}

/// What a file that was never synced may be after a power cut.
fn tear(bytes: &Bytes, random: &mut Random) -> Option<Bytes> {
    let cut = random.below(bytes.len() + 1);
    match random.below(5) {
        0 => None,
        1 => Some(Bytes::new()),
        2 => Some(bytes.slice(..cut)),
        3 => {
            let mut zeroed = BytesMut::from(bytes.get(..cut).unwrap_or_default());
            zeroed.resize(bytes.len(), 0);
            Some(zeroed.freeze())
        }
        _ => Some(bytes.clone()),
    }
}

fn key(path: &ObjectPath) -> (Root, String) {
    (path.root(), path.as_str().to_owned())
}

/// How many states of an object since it was last durable a power cut chooses from.
const PAST: usize = 8;
