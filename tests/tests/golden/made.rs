//! What makes a log the same each time: keys, a clock and randomness that are no such things.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tegula_sequencer::{Config, Env};
use tegula_tlog::{Limits, LogDescription, SigningKey, VerifierKey};

pub(crate) const ORIGIN: &str = "golden.example";

/// The log's keys: Ed25519, and P-256, whose signatures are those of RFC 6979.
pub(crate) fn signers() -> Vec<SigningKey> {
    vec![
        SigningKey::ed25519_from_seed(ORIGIN, &[1; 32]).unwrap(),
        SigningKey::ecdsa_from_scalar(ORIGIN, &[2; 32]).unwrap(),
    ]
}

pub(crate) fn verifiers() -> Vec<VerifierKey> {
    signers().iter().map(SigningKey::verifier).collect()
}

pub(crate) fn config() -> Config {
    Config::new(signers())
}

pub(crate) fn description(kind: &str, api: &str) -> LogDescription {
    LogDescription {
        format: LogDescription::FORMAT,
        origin: ORIGIN.to_owned(),
        keys: verifiers().iter().map(ToString::to_string).collect(),
        slot_format: 1,
        entries: vec![kind.to_owned()],
        apis: vec![api.to_owned()],
        limits: Limits {
            entry_bytes: 65_535,
            batch_entries: 1_000,
            batch_bytes: 4 << 20,
            attestation_bytes: None,
        },
    }
}

/// Counts instead of drawing, and its clock goes on by a second a batch.
#[derive(Debug, Default)]
pub(crate) struct Fixed {
    seconds: AtomicU64,
    drawn: AtomicU64,
}

impl Fixed {
    pub(crate) fn second_passes(&self) {
        self.seconds.fetch_add(1, Ordering::SeqCst);
    }
}

impl Env for Fixed {
    fn now_ms(&self) -> u64 {
        1_767_225_600_000 + 1_000 * self.seconds.load(Ordering::SeqCst)
    }

    fn random(&self) -> [u8; 16] {
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
        (0xa0a1_a2a3_a4a5_a6a7_u128 << 64 | u128::from(drawn)).to_be_bytes()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        panic!("nothing fails here, so nobody waits to try again");
    }
}
