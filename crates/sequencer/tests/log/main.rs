//! Logs in memory, by the crate's own interface.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod import;
mod lookup;
mod pool;
mod signers;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tegula_sequencer::{Env, Signers};
use tegula_tlog::{Limits, LogDescription, SigningKey};

fn key() -> SigningKey {
    SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap()
}

fn signers() -> Signers {
    vec![key()].into()
}

fn description() -> LogDescription {
    LogDescription {
        format: LogDescription::FORMAT,
        origin: "log.example".to_owned(),
        keys: signers()
            .verifiers()
            .iter()
            .map(ToString::to_string)
            .collect(),
        slot_format: 1,
        entries: vec!["raw".to_owned()],
        apis: vec!["add".to_owned()],
        limits: Limits {
            entry_bytes: 65_535,
            batch_entries: 1000,
            batch_bytes: 4 << 20,
            attestation_bytes: None,
        },
    }
}

#[derive(Debug, Default)]
struct Calm(AtomicU8);

impl Env for Calm {
    fn now_ms(&self) -> u64 {
        1_767_225_600_000
    }

    fn random(&self) -> [u8; 16] {
        [self.0.fetch_add(1, Ordering::Relaxed); 16]
    }

    fn sleep(&self, _duration: Duration) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}
