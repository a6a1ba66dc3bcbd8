//! The reader of a log: fetch, cache, verify and prove; and what uploads.
//!
//! A [`Source`] gives bytes, from a URL, a directory or (with the feature `s3`) a bucket, and is never trusted. A [`Reader`] asks it for the checkpoint, checks that
//! against a policy and against what was seen before, and answers questions about the log from tiles and bundles that hash to the
//! checkpoint's root. Proofs are made here, at the reader.
//!
//! | what goes wrong | [`ReadError`] |
//! |---|---|
//! | the network, a file, an object that is not there | `Io` |
//! | there is no such entry | `NotFound` |
//! | a signature, a hash or a length | `Verification` |
//! | the log contradicts what it signed before | `Misbehaviour`, with both checkpoints |
//! | too few cosignatures | `Policy` |

#[cfg(feature = "http")]
mod api;
#[cfg(feature = "s3")]
mod bucket;
mod cache;
mod directory;
mod error;
mod files;
mod fsck;
#[cfg(feature = "http")]
mod http;
mod memory;
mod reader;
mod search;
mod source;

#[cfg(test)]
mod fake;

#[cfg(feature = "http")]
pub use api::{Added, Api, ApiError, BatchEntry, BatchUploaded, Uploaded, verify_proof};
#[cfg(feature = "s3")]
pub use bucket::BucketSource;
pub use cache::Cache;
pub use directory::DirectorySource;
pub use error::{Evidence, FetchError, ReadError};
pub use fsck::{FsckOptions, FsckReport};
#[cfg(feature = "http")]
pub use http::{HttpOptions, HttpSource, without_userinfo};
pub use memory::CheckpointMemory;
pub use reader::{ConsistencyProof, MAX_CHECKPOINT_LEN, Reader, VerifiedCheckpoint};
pub use search::{
    Audit, Difference, IndexReport, LogIndex, Operator, SearchOptions, Searched, Selected,
    index_keys,
};
pub use source::Source;
