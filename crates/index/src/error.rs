//! Why bytes are not what the index has there.

use tegula_tlog::{Hash, ProofError, TreeSize};

use crate::key::Key;
use crate::path::IndexPath;

/// Why an object was not taken. Whoever gave it is wrong, or the index is.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IndexError {
    /// The bytes end within something.
    #[error("{path} ends within {within}")]
    Short {
        /// The object.
        path: IndexPath,
        /// In what it ends.
        within: &'static str,
    },
    /// There are bytes after all that belongs in it.
    #[error("{path} has {extra} bytes left over")]
    Long {
        /// The object.
        path: IndexPath,
        /// How many bytes too many.
        extra: usize,
    },
    /// A number is not the one that follows from what is known.
    #[error("{path} has {found} as its {field}, expected {expected}")]
    Field {
        /// The object.
        path: IndexPath,
        /// The field.
        field: &'static str,
        /// What is there.
        found: u64,
        /// What should be there.
        expected: u64,
    },
    /// A number is too large or too small.
    #[error("{path} has {found} as its {field}, expected {least} to {most}")]
    Range {
        /// The object.
        path: IndexPath,
        /// The field.
        field: &'static str,
        /// What is there.
        found: u64,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// A varint is longer than it needs to be, or too large for 64 bits.
    #[error(
        "{path} has a varint with {left} bytes to go that is not the shortest of a number below 2^64"
    )]
    Varint {
        /// The object.
        path: IndexPath,
        /// How many bytes there are from where it begins.
        left: usize,
    },
    /// A key is not above the one before it.
    #[error("{path} has the key {key} after {before}, expected a larger one")]
    Order {
        /// The object.
        path: IndexPath,
        /// The key.
        key: Key,
        /// The key before it.
        before: Key,
    },
    /// A key belongs into another partition, or page.
    #[error("{path} has the key {key}, which is not of that partition or page")]
    Place {
        /// The object.
        path: IndexPath,
        /// The key.
        key: Key,
    },
    /// The hashes do not lead where they should.
    #[error("{path} is not the one that was committed to")]
    Proof {
        /// The object.
        path: IndexPath,
        /// What they lead to.
        source: Box<ProofError>,
    },
    /// The bytes have another hash.
    #[error("{path} hashes to {computed}, expected {expected}")]
    Hash {
        /// The object.
        path: IndexPath,
        /// What it hashes to.
        computed: Hash,
        /// What it should hash to.
        expected: Hash,
    },
    /// The state is not that of an index of this version.
    #[error("{path} begins with the bytes {found:02x?}, expected `tegulax` and the version 1")]
    Version {
        /// The object.
        path: IndexPath,
        /// How it begins.
        found: [u8; 8],
    },
    /// The index log has no leaf, or more than there can be.
    #[error("there is no state of an index log of size {size}, expected 1 to 36028797018963967")]
    NoState {
        /// Its size.
        size: TreeSize,
    },
    /// The index is of another log.
    #[error("the index is of a log with the root {found} at size {size}, expected {expected}")]
    OtherLog {
        /// The log's size that the index covers.
        size: TreeSize,
        /// The root that the index has.
        found: Hash,
        /// The root that the log has.
        expected: Hash,
    },
    /// An object that nobody asked for.
    #[error("{path} is not what the lookup needs")]
    Unasked {
        /// The object.
        path: IndexPath,
    },
    /// The answer is not known before this object is.
    #[error("{path} is needed and was not given")]
    Missing {
        /// The object.
        path: IndexPath,
    },
}
