//! The clock, randomness and waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};

/// The clock, randomness and waiting: what a simulation replaces.
pub trait Env: Send + Sync + std::fmt::Debug {
    /// Milliseconds since 1970-01-01 UTC.
    fn now_ms(&self) -> u64;
    /// 128 bits that no other writer draws.
    fn random(&self) -> [u8; 16];
    /// Waits between attempts.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// The real ones, of a process that says what its clock is and has drawn a seed.
#[derive(Debug)]
pub struct RealEnv {
    now_ms: fn() -> u64,
    seed: [u8; 32],
    drawn: AtomicU64,
}

impl RealEnv {
    /// The clock is `now_ms`; the seed is from the system's generator, for this alone.
    pub fn new(now_ms: fn() -> u64, seed: [u8; 32]) -> Self {
        Self {
            now_ms,
            seed,
            drawn: AtomicU64::new(0),
        }
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
