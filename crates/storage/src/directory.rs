use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Condition, Created, Object, ObjectPath, Replaced, Root, SlotCreated, Store, StoreError, Version,
};

mod entry;
mod files;
mod inner;
mod list;
mod lock;
mod make;
mod objects;
mod probe;
mod slots;

use inner::Inner;
pub use make::OpenError;

/// A store in a directory of a local file system, shared by any number of processes.
///
/// ```text
/// <root>/public/checkpoint            what everyone may read, under its own path
/// <root>/public/tile/0/000
/// <root>/private/                     mode 0700, its files 0600
/// <root>/private/wal/<20 digits>      slots
/// <root>/private/floor                20 digits; absent is 0
/// <root>/private/format               the version of this layout
/// <root>/private/lock                 permanent; held to take a slot's name, raise the floor,
///                                     replace an object, or enter and leave the store
/// <root>/private/running              permanent; locked by every process that is in the store
/// <root>/private/dirty                there from the first entry to the last clean stop
/// <root>/private/tmp/                 files that have no name yet
/// ```
///
/// Locks are `flock`s, so that a process which dies holds none; one which is stopped while it holds
/// a lock makes the others wait, for [`DirectoryOptions::lock_wait`], and then be `Refused`.
///
/// Every object is written under a temporary name first and then linked, or renamed where it
/// replaces another, so that its name never shows half of it. A crash leaves temporary files, which
/// the next process that is alone in the store removes. `replace` is durable when it returns, which
/// is more than the contract asks: the published checkpoint that files are served from should not
/// go back over a power cut.
///
/// No symbolic link below the root is followed: an object or a directory that is one is `Invalid`.
/// Whoever may write in the directory is trusted not to put one there at the wrong moment.
///
/// The first failed sync is the end: every later call is `Fatal`, and the next start finds the
/// store unclean. Calls run on the blocking threads of a Tokio runtime. Dropping a `Directory`
/// without [`close`](Self::close) is an unclean stop.
#[derive(Clone, Debug)]
pub struct Directory {
    inner: Arc<Inner>,
}

impl Directory {
    /// Makes a store in a directory that is absent or empty (but for a `lost+found`).
    ///
    /// A crash in the midst leaves a directory that is neither a store nor empty: remove it.
    pub fn make(root: &Path) -> Result<(), OpenError> {
        make::make(root)
    }

    /// Enters the store at `root`, after [`probe`](Self::probe).
    ///
    /// If the last stop was not clean and no process is in the store, its condition is
    /// [`Condition::Unclean`], and no other process can enter until [`Store::recovered`]: it waits
    /// as for a lock, and then is [`OpenError::Busy`].
    pub fn open(root: impl Into<PathBuf>, options: DirectoryOptions) -> Result<Self, OpenError> {
        let inner = Arc::new(Inner::open(root.into(), options)?);
        Ok(Self { inner })
    }

    /// Tries what the store rests on in this very directory: links, locks, that a link never
    /// overwrites and a rename always does, and syncing a directory.
    pub fn probe(&self) -> Result<(), OpenError> {
        self.inner.probe()
    }

    /// Stops cleanly: waits for the calls that have begun, and refuses later ones.
    ///
    /// The last process to leave syncs the file system and takes the mark of an unclean stop away.
    pub async fn close(&self) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.inner);
        joined(tokio::task::spawn_blocking(move || inner.close()).await)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        joined(tokio::task::spawn_blocking(move || inner.run(work)).await)
    }
}

/// How a [`Directory`] is used.
#[derive(Copy, Clone, Debug)]
#[non_exhaustive]
pub struct DirectoryOptions {
    /// How long to wait for a lock that another process holds; 10 s unless it is said.
    pub lock_wait: Duration,
}

impl DirectoryOptions {
    /// With another wait for locks.
    #[must_use]
    pub fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }
}

impl Default for DirectoryOptions {
    fn default() -> Self {
        Self {
            lock_wait: Duration::from_secs(10),
        }
    }
}

#[async_trait]
impl Store for Directory {
    async fn read(&self, path: &ObjectPath) -> Result<Option<Object>, StoreError> {
        let path = path.clone();
        self.run(move |inner| inner.read(&path)).await
    }

    async fn read_many(&self, paths: &[ObjectPath]) -> Vec<Result<Option<Object>, StoreError>> {
        let (count, paths) = (paths.len(), paths.to_vec());
        let work = move |inner: &Inner| Ok(paths.iter().map(|path| inner.read(path)).collect());
        match self.run(work).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); count],
        }
    }

    async fn create(&self, path: &ObjectPath, bytes: Bytes) -> Result<Created, StoreError> {
        let path = path.clone();
        self.run(move |inner| inner.create(&path, &bytes)).await
    }

    async fn create_many(
        &self,
        mut objects: Vec<(ObjectPath, Bytes)>,
    ) -> Vec<Result<Created, StoreError>> {
        let half = match objects.len() {
            0..SPLIT => objects.len(),
            count => count / 2,
        };
        let rest = objects.split_off(half);
        let create_all = async |objects: Vec<(ObjectPath, Bytes)>| {
            let count = objects.len();
            let work = move |inner: &Inner| {
                let answers = objects
                    .iter()
                    .map(|(path, bytes)| inner.create(path, bytes));
                Ok(answers.collect())
            };
            match count {
                0 => Vec::new(),
                _ => match self.run(work).await {
                    Ok(answers) => answers,
                    Err(error) => vec![Err(error); count],
                },
            }
        };
        let (mut answers, others) = futures::join!(create_all(objects), create_all(rest));
        answers.extend(others);
        answers
    }

    async fn replace(
        &self,
        path: &ObjectPath,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Replaced, StoreError> {
        let (path, expected) = (path.clone(), expected.cloned());
        self.run(move |inner| inner.replace(&path, expected.as_ref(), &bytes))
            .await
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        let path = path.clone();
        self.run(move |inner| inner.remove(&path)).await
    }

    async fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.run(move |inner| inner.list(root, &prefix, after.as_deref(), limit))
            .await
    }

    async fn create_slot(&self, start: u64, bytes: Bytes) -> Result<SlotCreated, StoreError> {
        self.run(move |inner| inner.create_slot(start, &bytes))
            .await
    }

    async fn read_slot(&self, start: u64) -> Result<Option<Bytes>, StoreError> {
        self.run(move |inner| inner.read_slot(start, None)).await
    }

    async fn read_slot_head(
        &self,
        start: u64,
        max_len: usize,
    ) -> Result<Option<Bytes>, StoreError> {
        self.run(move |inner| inner.read_slot(start, Some(max_len)))
            .await
    }

    async fn slots(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        self.run(move |inner| inner.slots(from, limit)).await
    }

    async fn floor(&self) -> Result<u64, StoreError> {
        self.run(Inner::floor).await
    }

    async fn raise_floor(&self, floor: u64) -> Result<(), StoreError> {
        self.run(move |inner| inner.raise_floor(floor)).await
    }

    async fn remove_slot(&self, start: u64) -> Result<(), StoreError> {
        self.run(move |inner| inner.remove_slot(start)).await
    }

    async fn sync(&self, paths: &[ObjectPath]) -> Result<(), StoreError> {
        let paths = paths.to_vec();
        self.run(move |inner| inner.sync(&paths)).await
    }

    async fn sync_all(&self) -> Result<(), StoreError> {
        self.run(Inner::sync_all).await
    }

    async fn rebuild(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError> {
        let path = path.clone();
        self.run(move |inner| inner.rebuild(&path, &bytes)).await
    }

    fn condition(&self) -> Condition {
        self.inner.condition()
    }

    async fn recovered(&self) -> Result<(), StoreError> {
        self.run(Inner::recovered).await
    }
}

/// A thread that stopped in the midst may have done its work.
fn joined<T>(
    result: Result<Result<T, StoreError>, tokio::task::JoinError>,
) -> Result<T, StoreError> {
    result.unwrap_or_else(|error| {
        Err(StoreError::unknown(format!(
            "the call did not run to its end: {error}"
        )))
    })
}

/// From how many objects on a second thread is worth its start.
const SPLIT: usize = 16;

#[cfg(test)]
mod tests;
