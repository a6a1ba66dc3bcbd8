//! A store that shows the oracle what is written. It may also break a rule of the contract.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tegula_storage::{
    Condition, Created, Object, ObjectPath, Replaced, Root, SlotCreated, Store, StoreError, Version,
};

use crate::bottom::{Bottom, store};
use crate::oracle::Oracle;

/// A store that is watched.
#[derive(Debug)]
pub(crate) struct Spy {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) place: Place,
    /// The store itself, behind everything.
    pub(crate) memory: Bottom,
    pub(crate) oracle: Arc<Mutex<Oracle>>,
    pub(crate) broken: Option<Broken>,
}

/// Where it is watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Before the faults: what a writer wants.
    Intent,
    /// Behind them: what reaches the store has happened.
    Effect,
}

/// A rule that a store does not keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Broken {
    /// A slot's name is free again at once: the last writer wins.
    SlotsAreOverwritten,
    /// `replace` does not compare.
    ReplaceNeverCompares,
    /// A created object is lost now and then, and nobody is told.
    CreatesAreLost,
}

#[async_trait]
impl Store for Spy {
    async fn read(&self, path: &ObjectPath) -> Result<Option<Object>, StoreError> {
        self.inner.read(path).await
    }

    async fn create(&self, path: &ObjectPath, bytes: Bytes) -> Result<Created, StoreError> {
        if self.broken == Some(Broken::CreatesAreLost) && path.to_string().contains(".p/") {
            return Ok(Created::Created);
        }
        let created = self.inner.create(path, bytes.clone()).await?;
        if self.place == Place::Effect && created == Created::Created && path.root() == Root::Public
        {
            self.oracle.lock().unwrap().created(path.as_str(), &bytes);
        }
        Ok(created)
    }

    async fn replace(
        &self,
        path: &ObjectPath,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Replaced, StoreError> {
        if self.place == Place::Intent {
            if path.as_str() == "checkpoint" {
                self.oracle.lock().unwrap().signed(&bytes);
            }
            return self.inner.replace(path, expected, bytes).await;
        }
        let found = self.inner.read(path).await?;
        let expected = match self.broken {
            Some(Broken::ReplaceNeverCompares) => found.as_ref().map(|object| &object.version),
            _ => expected,
        };
        let replaced = self.inner.replace(path, expected, bytes.clone()).await?;
        let same = found.is_some_and(|found| found.bytes == bytes);
        if matches!(replaced, Replaced::Replaced(_)) && path.as_str() == "checkpoint" && !same {
            self.oracle.lock().unwrap().published(&bytes, &self.memory);
        }
        Ok(replaced)
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.inner.remove(path).await
    }

    async fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.inner.list(root, prefix, after, limit).await
    }

    async fn create_slot(&self, start: u64, bytes: Bytes) -> Result<SlotCreated, StoreError> {
        if self.broken == Some(Broken::SlotsAreOverwritten)
            && store(&self.memory).read_slot(start).await?.is_some()
        {
            self.memory.tamper_slot(start, Some(bytes.clone()));
            self.oracle.lock().unwrap().slot(start, &bytes);
            return Ok(SlotCreated::Created);
        }
        let created = self.inner.create_slot(start, bytes.clone()).await?;
        if created == SlotCreated::Created && self.place == Place::Effect {
            self.oracle.lock().unwrap().slot(start, &bytes);
        }
        Ok(created)
    }

    async fn read_slot(&self, start: u64) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.inner.read_slot(start).await?;
        if let Some(bytes) = bytes.as_ref().filter(|_| self.place == Place::Effect) {
            self.oracle.lock().unwrap().slot(start, bytes);
        }
        Ok(bytes)
    }

    async fn read_slot_head(
        &self,
        start: u64,
        max_len: usize,
    ) -> Result<Option<Bytes>, StoreError> {
        self.inner.read_slot_head(start, max_len).await
    }

    async fn slots(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        self.inner.slots(from, limit).await
    }

    async fn floor(&self) -> Result<u64, StoreError> {
        self.inner.floor().await
    }

    async fn raise_floor(&self, floor: u64) -> Result<(), StoreError> {
        self.inner.raise_floor(floor).await
    }

    fn keeps_slots(&self) -> bool {
        self.inner.keeps_slots()
    }

    async fn cut_slot(&self, start: u64, len: usize) -> Result<(), StoreError> {
        self.inner.cut_slot(start, len).await
    }

    fn time_ms(&self) -> Option<u64> {
        self.inner.time_ms()
    }

    async fn remove_slot(&self, start: u64) -> Result<(), StoreError> {
        self.inner.remove_slot(start).await
    }

    async fn sync(&self, paths: &[ObjectPath]) -> Result<(), StoreError> {
        self.inner.sync(paths).await
    }

    async fn rebuild(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError> {
        self.inner.rebuild(path, bytes).await
    }

    fn condition(&self) -> Condition {
        self.inner.condition()
    }

    async fn recovered(&self) -> Result<(), StoreError> {
        self.inner.recovered().await
    }
}
