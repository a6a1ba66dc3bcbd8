//! The clock, randomness and waiting of a writer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use tegula_sequencer::Env;

use crate::exit::CliError;

/// The real ones.
#[derive(Debug)]
pub(crate) struct RealEnv {
    now_ms: fn() -> u64,
    seed: [u8; 32],
    drawn: AtomicU64,
}

impl RealEnv {
    pub(crate) fn new(now_ms: fn() -> u64) -> Result<Self, CliError> {
        Ok(Self {
            now_ms,
            seed: random()?,
            drawn: AtomicU64::new(0),
        })
    }
}

impl Env for RealEnv {
    fn now_ms(&self) -> u64 {
        (self.now_ms)()
    }

    /// Unlike those of all processes by the seed, and unlike each other by the count.
    fn random(&self) -> [u8; 16] {
        let count = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut hasher = Sha256::new();
        hasher.update(self.seed);
        hasher.update(count.to_be_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        hash.first_chunk().copied().unwrap_or_default()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

/// Bytes from the system's generator.
pub(crate) fn random() -> Result<[u8; 32], CliError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| CliError::io(format!("no random bytes from the system: {error}")))?;
    Ok(bytes)
}
