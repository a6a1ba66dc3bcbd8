//! What a writer is made of.

use std::fmt;
use std::sync::Arc;

use tegula_sequencer::{Config, Env, Extract, Others, RealEnv, Signers};
use tegula_server::index_keys;
use tegula_signers::{LogKey, in_order};
use tegula_storage::{S3, S3Options, Store};
use tegula_tlog::VerifierKey;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Settings;

/// The store, the keys and the configuration of a writer.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The buckets, with what was asked of them.
    pub s3: S3,
    /// The clock and randomness.
    pub env: Arc<dyn Env>,
    /// The configuration, keys included.
    pub config: Config,
}

impl Parts {
    /// Gets the keys; the store is not asked anything yet.
    ///
    /// # Errors
    ///
    /// Why there are no keys, or no randomness.
    pub async fn get(settings: &Settings, now_ms: fn() -> u64) -> Result<Self, String> {
        let mut keys = Vec::new();
        for source in &settings.keys {
            let key = source.open(&settings.origin).await;
            keys.push(key.map_err(|error| error.to_string())?);
        }
        let keys = in_order(keys).map_err(|error| format!("TEGULA_KEYS: {error}"))?;
        let signers = Signers::new(keys.iter().map(LogKey::signer).collect());
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| format!("no random bytes: {error}"))?;
        Ok(Self {
            s3: S3::connect(settings.store.clone(), S3Options::default()).await,
            env: Arc::new(RealEnv::new(now_ms, seed)),
            config: Config {
                dedup_window: settings.dedup_window,
                others: Others::HandOver,
                index: settings.index.then(|| Arc::new(index_keys) as Extract),
                ..Config::new(signers)
            },
        })
    }

    /// The store.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.s3.clone())
    }

    /// The keys that the log is known by.
    pub fn keys(&self) -> &[VerifierKey] {
        self.config.signers.verifiers()
    }
}

/// Tells on standard output what this filter lets through, in JSON: a line each, which is what CloudWatch reads.
///
/// # Errors
///
/// What is wrong with the filter.
pub fn tell(filter: &str) -> Result<(), String> {
    let wrong = |error: &dyn fmt::Display| format!("TEGULA_LOG_LEVEL: {error}");
    let (filter, refused) = match filter.parse::<Targets>() {
        Ok(filter) => (filter, None),
        // That, too, is to be told.
        Err(error) => (
            Targets::new().with_default(tracing::Level::INFO),
            Some(error),
        ),
    };
    // CloudWatch has the time.
    let lines = tracing_subscriber::fmt::layer().json().without_time();
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init()
        .map_err(|error| wrong(&error))?;
    refused.map_or(Ok(()), |error| Err(wrong(&error)))
}
