//! What every store must do: one suite, run by the tests of each.
//!
//! ```no_run
//! # async fn example() {
//! use std::sync::Arc;
//! use tegula_storage::{Memory, Store, conformance};
//!
//! conformance::run(async || {
//!     let memory = Memory::new();
//!     vec![Arc::new(memory.clone()) as Arc<dyn Store>, Arc::new(memory)]
//! })
//! .await;
//! # }
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a suite of tests: it fails by panicking, and takes what it checks"
)]

use std::cmp::Ordering;
use std::sync::Arc;

use crate::Store;

mod objects;
mod races;
mod slots;

/// One store that is new and empty, seen by as many processes as there are handles.
pub type Handles = Vec<Arc<dyn Store>>;

/// In which order a store lists: see [`Store::list`].
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// By the bytes of whole paths.
    Bytes,
    /// Directory by directory.
    Segments,
}

/// What the contract leaves open, or a store need not bear.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Manner {
    /// In which order it lists.
    pub order: Order,
    /// How many write at one name at one time, at most. Every store has to bear eight.
    pub contenders: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            order: Order::Bytes,
            contenders: 32,
        }
    }
}

impl Order {
    fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Bytes => a.cmp(b),
            Self::Segments => a.split('/').cmp(b.split('/')),
        }
    }
}

/// Runs the whole suite; `make` gives a new, empty store each time it is called.
///
/// # Panics
///
/// Panics where the store does not keep the contract.
#[expect(
    clippy::future_not_send,
    reason = "it is awaited by a test, on the test's own thread"
)]
pub async fn run(make: impl AsyncFn() -> Handles) {
    run_without_floor(&make, Manner::default()).await;
    objects::never_through_an_object(make().await).await;
    objects::removed_above(make().await).await;
    objects::synced(make().await).await;
    slots::floor(make().await).await;
    slots::removed_names_stay_taken(make().await).await;
    races::directories_come_and_go(make().await).await;
    races::floor_and_creators(make().await).await;
}

/// Runs what every store must do, also one without a floor, in which names are no paths and nothing need be synced.
///
/// # Panics
///
/// Panics where the store does not keep the contract.
#[expect(
    clippy::future_not_send,
    reason = "it is awaited by a test, on the test's own thread"
)]
pub async fn run_without_floor(make: &impl AsyncFn() -> Handles, manner: Manner) {
    let Manner { order, contenders } = manner;
    let make = async || {
        let handles = make().await;
        assert!(!handles.is_empty(), "a store has at least one handle");
        handles
    };
    objects::whole_and_immutable(make().await).await;
    objects::many(make().await).await;
    objects::replaced(make().await).await;
    objects::removed(make().await).await;
    objects::listed(make().await, order).await;
    objects::limits(make().await).await;
    objects::clean(make().await).await;
    slots::taken_once(make().await).await;
    slots::heads_and_starts(make().await).await;
    races::creators(make().await, contenders).await;
    races::slot_creators(make().await, contenders).await;
    races::replacers(make().await, contenders / 2).await;
    races::increments(make().await, contenders / 4).await;
}

fn first(handles: &Handles) -> &dyn Store {
    &*handles[0]
}

fn last(handles: &Handles) -> &dyn Store {
    &*handles[handles.len() - 1]
}
