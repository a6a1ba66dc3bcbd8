use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{ObjectPath, Root, StoreError};

/// Where a log's objects and slots are kept.
///
/// Any number of tasks, handles and processes use one store at the same time; every method is
/// atomic between them. A future that is dropped cancels nothing: what it asked for may still
/// happen, as after [`StoreError::Unknown`].
///
/// **Objects** are whole or absent: nobody ever reads half of one. An object that
/// [`create`](Self::create) made is immutable: nothing but [`rebuild`](Self::rebuild) changes its
/// bytes, and if it is removed it may come back only as it was. An object that
/// [`replace`](Self::replace) made may be replaced. The two never meet at one path. No path goes
/// through an object: where `a` is an object nobody makes `a/b`, nor the other way round, and a store whose names are paths refuses it as `Invalid`.
///
/// **Slots** are named by a number. A name is taken by the first write that reaches it, and is
/// never free again, whatever becomes of the bytes.
///
/// **Durable** means: still there after a power cut. What is not durable is, after one, absent, as
/// it was, or (only for what `create` made) torn: short, or zeros of any number. Then, and after
/// any other stop that was not clean, the store is [`Condition::Unclean`]; after a sync that failed, [`Condition::Suspect`].
///
/// | | when it is durable |
/// |---|---|
/// | `create`, `rebuild` | when a later [`sync`](Self::sync) of the path returned, or the store was closed |
/// | `replace` | likewise; until then the old bytes or the new ones, whole |
/// | `remove`, `remove_slot` | not promised: what was removed may come back as it was |
/// | `create_slot` | when it returns `Created` |
/// | `raise_floor` | when it returns |
///
/// **Errors** say what may be done next: see [`StoreError`]. Reads change nothing, so a read that
/// fails with `Refused` or `Unknown` may simply be asked again.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// The object's bytes, or `None` if there is none.
    ///
    /// It sees every write that returned before it began. The bytes need not be durable. An object
    /// larger than [`MAX_OBJECT_BYTES`] is `Invalid`.
    async fn read(&self, path: &ObjectPath) -> Result<Option<Object>, StoreError>;

    /// Reads several objects; the answers are in the order of the paths.
    async fn read_many(&self, paths: &[ObjectPath]) -> Vec<Result<Option<Object>, StoreError>> {
        let mut answers = Vec::with_capacity(paths.len());
        for path in paths {
            answers.push(self.read(path).await);
        }
        answers
    }

    /// Makes an immutable object, or says that one is there. It never overwrites.
    ///
    /// `Exists` says nothing of the bytes that are there: read and compare them. Of any number of
    /// creators, one is answered `Created`. Bytes beyond [`MAX_OBJECT_BYTES`] are `Invalid`.
    async fn create(&self, path: &ObjectPath, bytes: Bytes) -> Result<Created, StoreError>;

    /// Makes several immutable objects, each as [`create`](Self::create) does, in no order; the
    /// answers are in the order of the objects. Some may be made where others fail.
    async fn create_many(
        &self,
        objects: Vec<(ObjectPath, Bytes)>,
    ) -> Vec<Result<Created, StoreError>> {
        let mut answers = Vec::with_capacity(objects.len());
        for (path, bytes) in objects {
            answers.push(self.create(&path, bytes).await);
        }
        answers
    }

    /// Puts `bytes` in the place of the version that was read, or, with `None`, where nothing is.
    ///
    /// `Changed`: something else is there (or nothing is), and nothing happened. Versions are of
    /// bytes, so that an object which was replaced and put back is unchanged. Of any number of
    /// replacers of one version by other bytes, one is answered `Replaced`.
    async fn replace(
        &self,
        path: &ObjectPath,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Replaced, StoreError>;

    /// Removes an object; where there is none, it has nothing to do.
    async fn remove(&self, path: &ObjectPath) -> Result<(), StoreError>;

    /// At most `limit` paths in `root` that begin with `prefix`, a text of any form, and come after `after`, in order: ascending by their bytes; or,
    /// in buckets of stores that list directory by directory, by the bytes of their segments, one after the other (`a/b` before `a-b`), where
    /// `after` has to be a path that was listed with this prefix, or one in its own directory.
    ///
    /// Every object that is there throughout the call is seen; one that comes or goes meanwhile
    /// may be.
    async fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;

    /// Takes the slot's name, with these bytes; durable once it returns `Created`.
    ///
    /// Of all who ever ask for one name, one at most is answered `Created`. `Exists`: the name is
    /// taken, perhaps by one's own earlier attempt; whether that is durable is known only after
    /// [`read_slot`](Self::read_slot). `BelowFloor`: no slot can be made there any more. After
    /// `Unknown` the only safe step is to send the same bytes again, or to read the slot as held.
    async fn create_slot(&self, start: u64, bytes: Bytes) -> Result<SlotCreated, StoreError>;

    /// The slot's bytes, which are durable when it returns them, whoever wrote them; `None` if the
    /// name is free or the slot was removed.
    async fn read_slot(&self, start: u64) -> Result<Option<Bytes>, StoreError>;

    /// The slot's first bytes, at most `max_len` of them: durable, as in
    /// [`read_slot`](Self::read_slot).
    async fn read_slot_head(&self, start: u64, max_len: usize)
    -> Result<Option<Bytes>, StoreError>;

    /// The names of at most `limit` slots that are there, from `from` on, ascending.
    ///
    /// A name in the answer need not be durable yet.
    async fn slots(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError>;

    /// The floor: no slot can be made below it. It begins at 0 and never falls. Where slots stay for ever it stays at 0.
    async fn floor(&self) -> Result<u64, StoreError>;

    /// Raises the floor, durably when it returns; where it is as high already, nothing happens.
    ///
    /// Slots below it stay until they are removed. Where slots stay for ever, any floor but 0 is `Invalid`.
    async fn raise_floor(&self, floor: u64) -> Result<(), StoreError>;

    /// Whether slots stay for ever: there is no floor, and what a slot held may at most go by [`cut_slot`](Self::cut_slot).
    fn keeps_slots(&self) -> bool {
        false
    }

    /// Leaves of a slot its first `len` bytes, if it has not changed since it was read for this. Idempotent.
    ///
    /// Only where slots stay; elsewhere it is `Invalid`.
    async fn cut_slot(&self, start: u64, len: usize) -> Result<(), StoreError> {
        Err(StoreError::invalid(format!(
            "slot {start} was to be cut to {len} bytes where slots can be removed"
        )))
    }

    /// The time by the store's own clock, in milliseconds since 1970, as far as it told lately; `None` where it has none.
    fn time_ms(&self) -> Option<u64> {
        None
    }

    /// Removes a slot below the floor; above it, that is `Invalid`. Idempotent.
    async fn remove_slot(&self, start: u64) -> Result<(), StoreError>;

    /// Makes these objects durable: their bytes, and their names.
    ///
    /// A path without an object is `Invalid`, where there is anything to do.
    async fn sync(&self, paths: &[ObjectPath]) -> Result<(), StoreError>;

    /// Makes every public object durable that is there when it is called, whoever made it.
    async fn sync_all(&self) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.list(Root::Public, "", after.as_deref(), PAGE).await?;
            let Some(last) = page.last().cloned() else {
                return Ok(());
            };
            let paths: Result<Vec<_>, _> = page.into_iter().map(ObjectPath::public).collect();
            let paths = paths.map_err(|error| StoreError::invalid(error.to_string()))?;
            self.sync(&paths).await?;
            after = Some(last);
        }
    }

    /// Puts an immutable object right which a power cut may have torn, whatever is there.
    ///
    /// Only while the store is not [`Condition::Clean`], when no other process is in it; else it is
    /// `Invalid`, but for a store whose slots stay, which no power cut tears: there it puts right what was damaged otherwise. While it is [`Condition::Suspect`] the object is written even where it has these bytes.
    async fn rebuild(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError>;

    /// Whether the objects that were not synced can be trusted.
    fn condition(&self) -> Condition;

    /// Says that all which the slots cover was rebuilt: the store is clean, and other processes
    /// may enter it.
    async fn recovered(&self) -> Result<(), StoreError>;
}

/// The most bytes in an object or a slot: 64 MiB, far more than any tile, bundle or slot has, and
/// little enough to hold in memory.
pub const MAX_OBJECT_BYTES: usize = 64 << 20;

/// Paths that are listed together.
const PAGE: usize = 1024;

/// An object as it was read: all of its bytes, and what to replace it by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    /// The whole object.
    pub bytes: Bytes,
    /// Names these bytes at this path, for [`Store::replace`].
    pub version: Version,
}

/// What an object was when it was read; compared, and never looked into.
#[derive(Clone, Eq, PartialEq)]
pub struct Version(Bytes);

impl Version {
    /// A version that a store tells from others by `token`.
    pub fn new(token: impl Into<Bytes>) -> Self {
        Self(token.into())
    }

    /// What the store gave to [`new`](Self::new).
    pub fn token(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({} bytes)", self.0.len())
    }
}

/// The answer to [`Store::create`].
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Created {
    /// The object is there, with these bytes, by this call.
    Created,
    /// An object was there before.
    Exists,
}

/// The answer to [`Store::replace`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Replaced {
    /// The object has these bytes now; this is their version, to replace them by.
    Replaced(Version),
    /// What is there is not what was expected, and stays.
    Changed,
}

/// The answer to [`Store::create_slot`].
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum SlotCreated {
    /// The slot is there, durable, with these bytes, by this call.
    Created,
    /// The name is taken.
    Exists,
    /// The name is below the floor.
    BelowFloor,
}

/// Whether the last stop of the store was clean.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// Every object is as it was written.
    Clean,
    /// Objects that were not synced may be absent or torn: whoever holds the store rebuilds them,
    /// alone in it, and then calls [`Store::recovered`].
    Unclean,
    /// As `Unclean`, and a sync failed: what can be read may be in memory only, and a later sync may say
    /// that it is durable without writing it. So nothing is compared: what is not known to be durable is written again.
    Suspect,
}
