use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;

use crate::{
    Condition, Created, Object, ObjectPath, Replaced, Root, SlotCreated, Store, StoreError, Version,
};

mod control;

pub use control::{Held, Rates, Script, Seeded};

/// A store with the faults of a network and a disk, each where a [`Controller`] says.
///
/// It has no clock, no thread and no randomness of its own: what happens follows from the
/// operations and from the controller. Operations are numbered from 0 in the order in which they
/// are begun; one that is begun decides its fate before it waits for anything.
#[derive(Debug)]
pub struct Faulty<S> {
    store: Arc<S>,
    controller: Arc<dyn Controller>,
    next: AtomicU64,
    failed: AtomicBool,
}

impl<S: Store + 'static> Faulty<S> {
    /// `store`, with the faults that `controller` decides.
    pub fn new(store: Arc<S>, controller: Arc<dyn Controller>) -> Self {
        Self {
            store,
            controller,
            next: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// The store behind the faults.
    pub fn store(&self) -> &Arc<S> {
        &self.store
    }

    fn begin(&self, kind: OperationKind, path: String) -> Result<(Operation, Fate), StoreError> {
        if self.failed.load(Ordering::SeqCst) {
            return Err(StoreError::fatal("the store failed before"));
        }
        let operation = Operation {
            number: self.next.fetch_add(1, Ordering::SeqCst),
            kind,
            path,
        };
        let fate = self.controller.decide(&operation);
        Ok((operation, fate))
    }

    async fn write<T: Send + 'static>(
        &self,
        kind: OperationKind,
        path: String,
        apply: impl Fn(Arc<S>) -> BoxFuture<'static, Result<T, StoreError>> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let (operation, fate) = self.begin(kind, path)?;
        let later = |operation: &Operation| {
            let rest = apply(Arc::clone(&self.store));
            let rest: BoxFuture<'static, ()> = Box::pin(async move { drop(rest.await) });
            self.controller.later(operation, rest);
        };
        let apply = || apply(Arc::clone(&self.store));
        match fate {
            Fate::Pass | Fate::ShortRead | Fate::FlipBit(_) => apply().await,
            Fate::Refuse => Err(StoreError::refused(format!("{operation} by order"))),
            Fate::Conflict => Err(StoreError::refused(format!(
                "{operation} conflicts with another"
            ))),
            Fate::DiskFull => Err(StoreError::refused(format!(
                "{operation}: no space left on device"
            ))),
            Fate::RefuseButApply => {
                drop(apply().await);
                Err(unanswered(&operation))
            }
            Fate::Lose => Err(unanswered(&operation)),
            Fate::Delay => {
                later(&operation);
                Err(unanswered(&operation))
            }
            Fate::Twice => {
                later(&operation);
                apply().await
            }
            Fate::Resend => {
                drop(apply().await);
                apply().await
            }
            Fate::Slow(wait) => {
                wait.await;
                apply().await
            }
            Fate::Fail => {
                self.failed.store(true, Ordering::SeqCst);
                Err(StoreError::fatal(format!("{operation} failed to sync")))
            }
        }
    }

    async fn read_with<T: Send>(
        &self,
        kind: OperationKind,
        path: String,
        read: impl Future<Output = Result<T, StoreError>> + Send,
        damage: impl Fn(&mut T, Damage) + Send,
    ) -> Result<T, StoreError> {
        let (operation, fate) = self.begin(kind, path)?;
        let damaged = match fate {
            Fate::Pass | Fate::Twice | Fate::Resend => return read.await,
            Fate::Refuse | Fate::Conflict | Fate::DiskFull => {
                return Err(StoreError::refused(format!("{operation} by order")));
            }
            Fate::RefuseButApply | Fate::Lose | Fate::Delay => {
                return Err(unanswered(&operation));
            }
            Fate::Slow(wait) => {
                wait.await;
                return read.await;
            }
            Fate::Fail => {
                self.failed.store(true, Ordering::SeqCst);
                return Err(StoreError::fatal(format!("{operation} failed to sync")));
            }
            Fate::ShortRead => Damage::Short,
            Fate::FlipBit(bit) => Damage::Flip(bit),
        };
        let mut answer = read.await?;
        damage(&mut answer, damaged);
        Ok(answer)
    }
}

/// Decides what becomes of each operation of a [`Faulty`] store.
pub trait Controller: Send + Sync + fmt::Debug {
    /// The fate of an operation that is about to begin.
    fn decide(&self, operation: &Operation) -> Fate;

    /// Takes what [`Fate::Delay`] and [`Fate::Twice`] have left to be done: to be run at any later
    /// time, or never.
    fn later(&self, operation: &Operation, rest: BoxFuture<'static, ()>);
}

/// One call of a [`Faulty`] store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    /// The calls that were begun before it.
    pub number: u64,
    /// What is asked.
    pub kind: OperationKind,
    /// Of what: `public/checkpoint`, `private/wal/00000000000000000000`, `private/floor`; of a
    /// list its prefix, of a sync its paths with blanks between them.
    pub path: String,
}

/// `create of public/tile/0/000`
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.kind, self.path)
    }
}

/// What is asked of a store; [`Store`] has a method of each name.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[expect(missing_docs, reason = "each is documented on the method of its name")]
pub enum OperationKind {
    Read,
    Create,
    Replace,
    Remove,
    List,
    CreateSlot,
    ReadSlot,
    ReadSlotHead,
    Slots,
    Floor,
    RaiseFloor,
    RemoveSlot,
    /// `cut_slot`
    CutSlot,
    Sync,
    Rebuild,
    Recovered,
}

impl OperationKind {
    /// Whether it changes the store.
    pub fn is_write(self) -> bool {
        match self {
            Self::Create
            | Self::Replace
            | Self::Remove
            | Self::CreateSlot
            | Self::RaiseFloor
            | Self::RemoveSlot
            | Self::CutSlot
            | Self::Sync
            | Self::Rebuild
            | Self::Recovered => true,
            Self::Read
            | Self::List
            | Self::ReadSlot
            | Self::ReadSlotHead
            | Self::Slots
            | Self::Floor => false,
        }
    }
}

/// What becomes of one operation.
///
/// | | applied | the caller is told |
/// |---|---|---|
/// | `Pass` | now | its answer |
/// | `Refuse`, `Conflict` (a 409), `DiskFull` | never | `Refused` |
/// | `RefuseButApply` (it happened, and the answer is lost) | now | `Unknown` |
/// | `Lose` (a time-out, a 503) | never | `Unknown` |
/// | `Delay` | whenever the controller runs it | `Unknown` |
/// | `Twice` | now, and whenever the controller runs it | its first answer |
/// | `Resend` (the library underneath asked again) | now, twice | its second answer |
/// | `Slow` | after a wait | its answer |
/// | `Fail` (a sync failed) | never, nor anything after it | `Fatal` |
///
/// A read that is to be refused, lost or delayed is so told; one that is to be short or flipped is
/// answered with damaged bytes, where it answers bytes. What has no meaning for an operation is
/// `Pass`.
pub enum Fate {
    /// As if there were no faults.
    Pass,
    /// Not done, and said so.
    Refuse,
    /// Not done, because another was at it.
    Conflict,
    /// Not done for want of space.
    DiskFull,
    /// Done, and not said.
    RefuseButApply,
    /// Not done, and not said.
    Lose,
    /// Not done yet, and not said.
    Delay,
    /// Done, said, and done again later.
    Twice,
    /// Done, and done again at once, with the second answer.
    Resend,
    /// Done after this future.
    Slow(BoxFuture<'static, ()>),
    /// The first half of the bytes.
    ShortRead,
    /// The bytes with this bit flipped, counted modulo their number.
    FlipBit(usize),
    /// The store is at its end.
    Fail,
}

impl fmt::Debug for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "Pass",
            Self::Refuse => "Refuse",
            Self::Conflict => "Conflict",
            Self::DiskFull => "DiskFull",
            Self::RefuseButApply => "RefuseButApply",
            Self::Lose => "Lose",
            Self::Delay => "Delay",
            Self::Twice => "Twice",
            Self::Resend => "Resend",
            Self::Slow(_) => "Slow",
            Self::ShortRead => "ShortRead",
            Self::FlipBit(_) => "FlipBit",
            Self::Fail => "Fail",
        })
    }
}

#[async_trait]
impl<S: Store + 'static> Store for Faulty<S> {
    async fn read(&self, path: &ObjectPath) -> Result<Option<Object>, StoreError> {
        let read = self.store.read(path);
        self.read_with(
            OperationKind::Read,
            path.to_string(),
            read,
            |object, how| {
                if let Some(object) = object {
                    how.apply(&mut object.bytes);
                }
            },
        )
        .await
    }

    async fn create(&self, path: &ObjectPath, bytes: Bytes) -> Result<Created, StoreError> {
        let owned = path.clone();
        self.write(OperationKind::Create, path.to_string(), move |store| {
            let (path, bytes) = (owned.clone(), bytes.clone());
            Box::pin(async move { store.create(&path, bytes).await })
        })
        .await
    }

    async fn replace(
        &self,
        path: &ObjectPath,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Replaced, StoreError> {
        let (owned, expected) = (path.clone(), expected.cloned());
        self.write(OperationKind::Replace, path.to_string(), move |store| {
            let (path, expected, bytes) = (owned.clone(), expected.clone(), bytes.clone());
            Box::pin(async move { store.replace(&path, expected.as_ref(), bytes).await })
        })
        .await
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        let owned = path.clone();
        self.write(OperationKind::Remove, path.to_string(), move |store| {
            let path = owned.clone();
            Box::pin(async move { store.remove(&path).await })
        })
        .await
    }

    async fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let read = self.store.list(root, prefix, after, limit);
        let path = format!("{root}/{prefix}");
        self.read_with(OperationKind::List, path, read, |_, _| ())
            .await
    }

    async fn create_slot(&self, start: u64, bytes: Bytes) -> Result<SlotCreated, StoreError> {
        self.write(OperationKind::CreateSlot, slot(start), move |store| {
            let bytes = bytes.clone();
            Box::pin(async move { store.create_slot(start, bytes).await })
        })
        .await
    }

    async fn read_slot(&self, start: u64) -> Result<Option<Bytes>, StoreError> {
        let read = self.store.read_slot(start);
        self.read_with(OperationKind::ReadSlot, slot(start), read, damage)
            .await
    }

    async fn read_slot_head(
        &self,
        start: u64,
        max_len: usize,
    ) -> Result<Option<Bytes>, StoreError> {
        let read = self.store.read_slot_head(start, max_len);
        self.read_with(OperationKind::ReadSlotHead, slot(start), read, damage)
            .await
    }

    async fn slots(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        let read = self.store.slots(from, limit);
        self.read_with(OperationKind::Slots, slot(from), read, |_, _| ())
            .await
    }

    async fn floor(&self) -> Result<u64, StoreError> {
        let read = self.store.floor();
        self.read_with(OperationKind::Floor, FLOOR.to_owned(), read, |_, _| ())
            .await
    }

    async fn raise_floor(&self, floor: u64) -> Result<(), StoreError> {
        self.write(OperationKind::RaiseFloor, FLOOR.to_owned(), move |store| {
            Box::pin(async move { store.raise_floor(floor).await })
        })
        .await
    }

    async fn remove_slot(&self, start: u64) -> Result<(), StoreError> {
        self.write(OperationKind::RemoveSlot, slot(start), move |store| {
            Box::pin(async move { store.remove_slot(start).await })
        })
        .await
    }

    async fn sync(&self, paths: &[ObjectPath]) -> Result<(), StoreError> {
        let names: Vec<String> = paths.iter().map(ToString::to_string).collect();
        let owned: Arc<[ObjectPath]> = paths.into();
        self.write(OperationKind::Sync, names.join(" "), move |store| {
            let paths = Arc::clone(&owned);
            Box::pin(async move { store.sync(&paths).await })
        })
        .await
    }

    async fn rebuild(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError> {
        let owned = path.clone();
        self.write(OperationKind::Rebuild, path.to_string(), move |store| {
            let (path, bytes) = (owned.clone(), bytes.clone());
            Box::pin(async move { store.rebuild(&path, bytes).await })
        })
        .await
    }

    fn keeps_slots(&self) -> bool {
        self.store.keeps_slots()
    }

    async fn cut_slot(&self, start: u64, len: usize) -> Result<(), StoreError> {
        self.write(OperationKind::CutSlot, slot(start), move |store| {
            Box::pin(async move { store.cut_slot(start, len).await })
        })
        .await
    }

    fn time_ms(&self) -> Option<u64> {
        self.store.time_ms()
    }

    fn condition(&self) -> Condition {
        self.store.condition()
    }

    async fn recovered(&self) -> Result<(), StoreError> {
        self.write(OperationKind::Recovered, String::new(), |store| {
            Box::pin(async move { store.recovered().await })
        })
        .await
    }
}

/// What a read does to the bytes that it answers.
#[derive(Copy, Clone)]
enum Damage {
    Short,
    Flip(usize),
}

impl Damage {
    fn apply(self, bytes: &mut Bytes) {
        match self {
            Self::Short => bytes.truncate(bytes.len() / 2),
            Self::Flip(bit) => {
                let mut flipped = BytesMut::from(&**bytes);
                let bits = flipped.len() * 8;
                let bit = bit.checked_rem(bits).unwrap_or_default();
                if let Some(byte) = flipped.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                *bytes = flipped.freeze();
            }
        }
    }
}

fn damage(bytes: &mut Option<Bytes>, how: Damage) {
    if let Some(bytes) = bytes {
        how.apply(bytes);
    }
}

fn slot(start: u64) -> String {
    format!("private/wal/{start:020}")
}

fn unanswered(operation: &Operation) -> StoreError {
    StoreError::unknown(format!("{operation} was not answered"))
}

const FLOOR: &str = "private/floor";

#[cfg(test)]
mod tests;
