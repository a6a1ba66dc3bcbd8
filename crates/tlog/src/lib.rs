//! Hashes, tiles, bundles, proofs, notes, checkpoints and policies of a tiled transparency log.
//!
//! Everything is a function of bytes that the caller already has: a function says which tiles it
//! needs, another takes them. Nothing here reads a file, a clock or the network, and no input
//! panics. The formats are those of `tiles-format.md`, sections 2 to 8.
//!
//! | file | what |
//! |---|---|
//! | `hash` | RFC 6962 leaf and node hashes |
//! | `number` | indexes and sizes |
//! | `path` | where tiles and bundles are, and which ones a size needs |
//! | `bundle` | entries in a bundle |
//! | `node_tile` | a hash tile with its inner nodes |
//! | `edge` | the right edge of a tree, and how it grows |
//! | `tile_set` | tiles as bytes, and what can be computed from them |
//! | `proof` | inclusion and consistency |
//! | `verified` | tiles that were checked against a root |
//! | `key`, `note`, `checkpoint` | what a log signs |
//! | `policy` | whom a reader trusts |
//! | `tlog_proof` | proofs as files |
//! | `description` | `log.json` |

mod bundle;
mod checkpoint;
mod description;
mod edge;
mod hash;
mod key;
mod node_tile;
mod note;
mod number;
mod path;
mod policy;
mod proof;
mod tile_set;
mod tlog_proof;
mod verified;

pub use bundle::{BundleError, EntryTooLong, MAX_ENTRY_LEN, append_entry, parse_bundle};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use description::{DescriptionError, Limits, LogDescription};
pub use edge::{Edge, Growth, TreeFull};
pub use hash::{Hash, HashError, empty_root, leaf_hash, node_hash};
pub use key::{KeyError, KeyKind, SigningKey, VerifierKey};
pub use note::{Note, NoteError, NoteSignature};
pub use number::{LeafIndex, NumberError, TreeSize};
pub use path::{
    PathError, TILE_WIDTH, TileKind, TilePath, partial_tiles_of, tiles_between, tiles_of,
};
pub use policy::{Policy, PolicyError};
pub use proof::{
    ProofError, consistency_tiles, inclusion_tiles, prove_consistency, prove_inclusion, root_of,
    root_tiles, verify_consistency, verify_inclusion,
};
pub use tile_set::{NodeTiles, TileError, TileSet};
pub use tlog_proof::{TlogProof, TlogProofError};
pub use verified::{Unverified, VerifiedTiles};
