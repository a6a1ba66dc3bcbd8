//! A server, a log and its index for tests.

mod index;
mod log;
mod server;

pub(crate) use index::{Index, index_signer};
pub(crate) use log::{Log, entries, signer};
pub(crate) use server::Server;
