use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::random::Random;
use crate::{
    Condition, Created, MAX_OBJECT_BYTES, Object, ObjectPath, Replaced, Root, SlotCreated, Store,
    StoreError, Version,
};

mod state;

use state::State;

/// A store in memory, with a volatile and a durable half, for tests.
///
/// It keeps the [`Store`] contract and nothing beyond it: what the contract does not promise to
/// survive, [`power_cut`](Self::power_cut) takes away or tears. A clone is another process on the
/// same store.
///
/// It polices what a directory cannot: an immutable object that is replaced, or made again with
/// other bytes after it was removed, is `Invalid`, and is kept in
/// [`violations`](Self::violations).
#[derive(Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: every write that is not durable is lost, torn or kept, as `seed` decides.
    ///
    /// The store is [`Condition::Unclean`] afterwards. A `create_slot` that was under way never
    /// answers `Created`. The same seed and history give the same outcome.
    pub fn power_cut(&self, seed: u64) {
        self.state().power_cut(&mut Random::new(seed));
    }

    /// Lets the disk fail to write what is not durable yet, as a failed sync tells one process, once. Everything can
    /// be read as before, later syncs succeed, and a power cut shows what the disk has.
    ///
    /// The store is [`Condition::Suspect`] afterwards, as for the process that enters it next.
    pub fn fail_syncs(&self) {
        self.state().fail_syncs();
    }

    /// Every object and slot that is there, by its name in a directory: `public/checkpoint`,
    /// `private/wal/00000000000000000000`.
    pub fn listing(&self) -> BTreeMap<String, Bytes> {
        self.state().listing()
    }

    /// What was asked of this store that no caller may ask; empty, unless the caller is wrong.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Puts other bytes in the place of an object, or none, as a broken disk would.
    pub fn tamper(&self, path: &ObjectPath, bytes: Option<Bytes>) {
        self.state().tamper(path, bytes);
    }

    /// Puts other bytes in the place of a slot, or none, as a broken disk would.
    pub fn tamper_slot(&self, start: u64, bytes: Option<Bytes>) {
        self.state().tamper_slot(start, bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Memory")
            .field("objects", &state.objects.len())
            .field("slots", &state.slots.len())
            .field("floor", &state.floor)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Memory {
    async fn read(&self, path: &ObjectPath) -> Result<Option<Object>, StoreError> {
        Ok(self.state().read(path).map(|bytes| Object {
            version: Version::new(bytes.clone()),
            bytes,
        }))
    }

    async fn create(&self, path: &ObjectPath, bytes: Bytes) -> Result<Created, StoreError> {
        check_length(path, &bytes)?;
        self.state().create(path, bytes)
    }

    async fn replace(
        &self,
        path: &ObjectPath,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Replaced, StoreError> {
        check_length(path, &bytes)?;
        self.state()
            .replace(path, expected.map(Version::token), bytes)
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.state().remove(path);
        Ok(())
    }

    async fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        Ok(self.state().list(root, prefix, after, limit))
    }

    async fn create_slot(&self, start: u64, bytes: Bytes) -> Result<SlotCreated, StoreError> {
        check_length(&start, &bytes)?;
        let cuts = {
            let mut state = self.state();
            let linked = state.link_slot(start, bytes);
            if linked != SlotCreated::Created {
                return Ok(linked);
            }
            state.power_cuts
        };
        // Linked and not yet durable: others see the slot here, and a power cut may take it.
        tokio::task::yield_now().await;
        let mut state = self.state();
        if state.power_cuts != cuts {
            return Err(StoreError::fatal(format!(
                "the power was cut while slot {start} was made"
            )));
        }
        state.sync_slot(start);
        Ok(SlotCreated::Created)
    }

    async fn read_slot(&self, start: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.state().read_slot(start))
    }

    async fn read_slot_head(
        &self,
        start: u64,
        max_len: usize,
    ) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.state().read_slot(start);
        Ok(bytes.map(|mut bytes| {
            bytes.truncate(max_len);
            bytes
        }))
    }

    async fn slots(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        let state = self.state();
        Ok(state
            .slots
            .range(from..)
            .map(|(start, _)| *start)
            .take(limit)
            .collect())
    }

    async fn floor(&self) -> Result<u64, StoreError> {
        Ok(self.state().floor)
    }

    async fn raise_floor(&self, floor: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        state.floor = state.floor.max(floor);
        Ok(())
    }

    async fn remove_slot(&self, start: u64) -> Result<(), StoreError> {
        self.state().remove_slot(start)
    }

    async fn sync(&self, paths: &[ObjectPath]) -> Result<(), StoreError> {
        let mut state = self.state();
        for path in paths {
            state.sync(path)?;
        }
        Ok(())
    }

    async fn rebuild(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError> {
        check_length(path, &bytes)?;
        self.state().rebuild(path, bytes)
    }

    fn condition(&self) -> Condition {
        let state = self.state();
        match (state.suspect, state.unclean) {
            (true, _) => Condition::Suspect,
            (false, true) => Condition::Unclean,
            (false, false) => Condition::Clean,
        }
    }

    async fn recovered(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        (state.suspect, state.unclean) = (false, false);
        Ok(())
    }
}

fn check_length(name: &dyn fmt::Display, bytes: &Bytes) -> Result<(), StoreError> {
    if bytes.len() > MAX_OBJECT_BYTES {
        return Err(StoreError::invalid(format!(
            "{name} of {} bytes is longer than {MAX_OBJECT_BYTES}",
            bytes.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
