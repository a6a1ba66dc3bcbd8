//! The HTTP API of a log, as one router: tiles-format.md, section 12.
//!
//! | file | what |
//! |---|---|
//! | `log` | what the router serves: a sequencer, its store, and what the operator wants |
//! | `router` | which request goes where; request ids, limits of time |
//! | `write` | uploads, one by one and in batches |
//! | `v1` | the same in Rekor v1's shapes, for every kind of entry |
//! | `body` | how much of request bodies is held, and how slow they may be |
//! | `answers`, `patience` | how much is held for clients that read, and how slow those may be |
//! | `search` | what a reader would find in the index, for who cannot read it |
//! | `read` | static objects, with caching, ranges and CORS |
//! | `answer` | Rekor's JSON |
//! | `error` | every error is JSON |
//! | `index` | what entries are found by, for whoever writes the index |
//! | `tokens`, `issuers`, `allowed`, `clients` | who may write, whose signatures, and how much |
//! | `metrics` | what Prometheus is told |
//! | `listen` | sockets, limits of connections, graceful end |
//!
//! The router needs no socket: it is a `tower::Service` like any other.

mod allowed;
mod answer;
mod answers;
mod body;
mod clients;
mod error;
mod index;
mod issuers;
mod listen;
mod log;
mod metrics;
mod patience;
mod read;
mod router;
#[cfg(feature = "search")]
mod search;
mod tokens;
mod v1;
mod write;

pub use allowed::{AllowedKeys, KeyHash};
pub use clients::Peer;
pub use error::error_response;
pub use index::index_keys;
pub use issuers::{Issuers, IssuersError};
pub use listen::{Limits, listen};
pub use log::{Duplicates, Log, Options, describe};
pub use metrics::metrics_router;
pub use router::router;
pub use tokens::{Token, TokenError, add_token, list_tokens, revoke_token};
