//! The search index of a log: runs, partitions, lookups with proofs of presence and absence.
//!
//! Everything is a function of bytes that the caller already has, or asks a function of the caller's
//! for more. Nothing here reads a file, a clock or the network, and no input panics. The format is
//! that of `tiles-format.md`, section 13.
//!
//! | file | what |
//! |---|---|
//! | `key` | what is searched for, as 16 bytes |
//! | `varint` | numbers in as few bytes as they take |
//! | `live` | runs, and which of them an index consists of |
//! | `path` | where the objects are |
//! | `postings` | keys and their postings, as partitions and pages have them |
//! | `partition` | a partition or a page, checked; and how they are written |
//! | `list` | the postings of a key that has very many |
//! | `tree` | the tree over the partitions of a run, in units |
//! | `build` | a run from the keys of its leaves |
//! | `merge` | a run from four |
//! | `check` | a run, object by object |
//! | `leaf`, `state` | what the index log says of an index |
//! | `lookup` | what to read, and what it proves |
//! | `filter` | which leaf keys a part of a run may hold, for whoever writes |

mod build;
mod check;
mod error;
mod filter;
mod key;
mod leaf;
mod list;
mod live;
mod lookup;
mod merge;
mod partition;
mod path;
mod postings;
mod state;
mod tree;
mod varint;

pub use build::{BuildError, Built, build};
pub use check::RunCheck;
pub use error::IndexError;
pub use filter::{Filter, FilterError, MAX_SHARD, Shard};
pub use key::{Key, LEAF_DOMAIN, entry_keys};
pub use leaf::{IndexLeaf, Record};
pub use list::{List, MAX_LIST_PAGE};
pub use live::{BASE_LEAVES, Run, covered, live_runs};
pub use lookup::{Answer, Lookup};
pub use merge::{Merge, MergeError};
pub use partition::{MAX_PAGE_KEYS, PartitionFull};
pub use path::{IndexPath, IndexPathError, origin};
pub use postings::MAX_INLINE;
pub use state::State;
pub use tree::{RunTree, UNIT, UnitHashes};
