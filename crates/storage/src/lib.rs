//! Paths and bytes: one store contract, kept by memory, by a directory, and by buckets.
//!
//! [`Store`] is the contract: what is atomic, what is durable and when, and what each error means.
//! A store knows no trees: it keeps whole objects under names, and slots, whose names are taken
//! once, ever.
//!
//! | store | for |
//! |---|---|
//! | [`Memory`] | tests: a volatile and a durable half, and a power cut between them |
//! | [`Directory`] | a local file system, shared by any number of processes |
//! | `S3`, with the feature `s3` | buckets of S3 and of what speaks its language, shared by any number of processes |
//! | [`Faulty`] | tests: any store, with the faults that a network or a disk can show |

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod directory;
mod error;
mod faulty;
mod memory;
mod path;
mod random;
#[cfg(feature = "s3")]
mod s3;
mod store;

pub use directory::{Directory, DirectoryOptions, OpenError};
pub use error::{Cause, StoreError};
pub use faulty::{Controller, Fate, Faulty, Held, Operation, OperationKind, Rates, Script, Seeded};
pub use memory::Memory;
pub use path::{ObjectPath, PathError, Root};
#[cfg(feature = "s3")]
pub use s3::{AddressError, S3, S3Address, S3Keys, S3Options, S3Requests};
pub use store::{
    Condition, Created, MAX_OBJECT_BYTES, Object, Replaced, SlotCreated, Store, Version,
};
