//! A log in buckets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod faults;
mod import;
mod upkeep;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tegula_s3_stand_in::StandIn;
use tegula_sequencer::{Config, Env, Others, Writer, init};
use tegula_storage::{S3, S3Keys, S3Options, Store};
use tegula_tlog::{Limits, LogDescription, SigningKey};

async fn begun(stand_in: &StandIn, others: Others) -> Writer {
    stand_in.say_date(TODAY);
    let store = store(stand_in);
    store.probe("probe").await.unwrap();
    let signers = vec![signer()].into();
    init(&store, &signers, &description()).await.unwrap();
    let mut writer = writer(stand_in, others);
    writer.start().await.unwrap();
    writer
}

fn description() -> LogDescription {
    LogDescription {
        format: LogDescription::FORMAT,
        origin: "log.example".to_owned(),
        keys: vec![signer().verifier().to_string()],
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

fn writer(stand_in: &StandIn, others: Others) -> Writer {
    let config = Config {
        others,
        dedup_window: 1 << 12,
        ..Config::new(vec![signer()])
    };
    let store: Arc<dyn Store> = Arc::new(store(stand_in));
    Writer::new(store, Arc::new(RealEnv), config).unwrap()
}

fn store(stand_in: &StandIn) -> S3 {
    let endpoint = stand_in.endpoint();
    let address = format!("s3://log-public?private=s3://log-private&endpoint={endpoint}");
    let keys = S3Keys {
        id: "id".to_owned(),
        secret: "secret".to_owned(),
        session: None,
    };
    S3::new(address.parse().unwrap(), keys, S3Options::default())
}

fn signer() -> SigningKey {
    SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap()
}

#[derive(Debug)]
struct RealEnv;

impl Env for RealEnv {
    fn now_ms(&self) -> u64 {
        1_767_225_600_000
    }

    fn random(&self) -> [u8; 16] {
        use std::hash::{BuildHasher, RandomState};
        let state = RandomState::new();
        let [a, b] = [state.hash_one(1), state.hash_one(2)];
        (u128::from(a) << 64 | u128::from(b)).to_be_bytes()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

/// The store's clock and ours agree.
const TODAY: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
