//! A server and a log for tests.

mod log;
mod server;

pub(crate) use log::{Log, entries, signer};
pub(crate) use server::Server;
