//! An imported log: written without slots, and gone on with by slots.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tegula_sequencer::{Config, Env, Error, Import, Pending, Tidy, TidyOptions, Writer};
use tegula_storage::{Memory, ObjectPath, Store};
use tegula_tlog::{Limits, LogDescription, SigningKey};

#[tokio::test]
async fn an_imported_log_goes_on() {
    let (store, import) = begin(300).await;
    let root = import.root();
    import
        .finish(&signers(), &description(), Some(root))
        .await
        .unwrap();
    let receipt = commit(&store, "next").await;
    assert_eq!(receipt, 300);
    assert_eq!(
        commit(&store, "entry 299").await,
        299,
        "a duplicate is found"
    );
    assert_eq!(tidied(&store).await, 301);
}

#[tokio::test]
async fn a_base_that_was_taken_away_comes_back_though_early_slots_are_gone() {
    let (store, import) = begin(300).await;
    import
        .finish(&signers(), &description(), None)
        .await
        .unwrap();
    commit(&store, "next").await;
    // As `fsck --repair` does.
    store
        .remove(&ObjectPath::private("base").unwrap())
        .await
        .unwrap();
    assert_eq!(tidied(&store).await, 301);
}

#[tokio::test]
async fn a_tree_with_another_root_is_not_signed() {
    let (store, import) = begin(300).await;
    let (_, other) = begin(299).await;
    let expected = Some(other.root());
    let error = import
        .finish(&signers(), &description(), expected)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Rejected(_)), "{error}");
    let checkpoint = store.read(&ObjectPath::public("checkpoint").unwrap()).await;
    assert_eq!(checkpoint.unwrap(), None);
    // What is left does not stand in the way of what was meant.
    let import = append(&store, 299).await;
    import
        .finish(&signers(), &description(), expected)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_log_is_not_imported_over() {
    let (store, import) = begin(1).await;
    import
        .finish(&signers(), &description(), None)
        .await
        .unwrap();
    let again = Import::begin(Arc::clone(&store), Arc::new(Calm::default())).await;
    assert!(matches!(again.unwrap_err(), Error::Rejected(_)));
}

#[tokio::test]
async fn what_differs_from_what_was_left_is_not_passed_over() {
    let (store, _) = begin(256).await;
    let mut import = Import::begin(store, Arc::new(Calm::default()))
        .await
        .unwrap();
    let error = import.append(&entries(1..257)).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
}

async fn begin(count: u64) -> (Arc<dyn Store>, Import) {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let import = append(&store, count).await;
    (store, import)
}

async fn append(store: &Arc<dyn Store>, count: u64) -> Import {
    let env = Arc::new(Calm::default());
    let mut import = Import::begin(Arc::clone(store), env).await.unwrap();
    // In pieces that end within bundles.
    let cut = count.min(100);
    import.append(&entries(0..cut)).await.unwrap();
    import.append(&entries(cut..count)).await.unwrap();
    import
}

fn entries(range: std::ops::Range<u64>) -> Vec<Pending> {
    let entry = |n| Pending::new(Bytes::from(format!("entry {n}")));
    range.map(entry).collect()
}

async fn commit(store: &Arc<dyn Store>, entry: &'static str) -> u64 {
    let env = Arc::new(Calm::default());
    let mut writer = Writer::new(Arc::clone(store), env, Config::new(signers())).unwrap();
    let batch = [Pending::new(Bytes::from_static(entry.as_bytes()))];
    let round = writer.commit(&batch).await.unwrap();
    round.receipt(0).unwrap().index.get()
}

async fn tidied(store: &Arc<dyn Store>) -> u64 {
    let keys = signers().iter().map(SigningKey::verifier).collect();
    let mut tidy = Tidy::new(Arc::clone(store), Arc::new(Calm::default()), keys);
    let report = tidy.round(TidyOptions::default()).await.unwrap();
    assert!(report.damaged.is_empty(), "{report:?}");
    report.base
}

fn signers() -> Vec<SigningKey> {
    vec![SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap()]
}

fn description() -> LogDescription {
    LogDescription {
        format: LogDescription::FORMAT,
        origin: "log.example".to_owned(),
        keys: signers()
            .iter()
            .map(|key| key.verifier().to_string())
            .collect(),
        slot_format: 1,
        entries: vec!["raw".to_owned()],
        apis: vec!["add".to_owned()],
        limits: Limits {
            entry_bytes: 65_535,
            batch_entries: 1000,
            batch_bytes: 4 << 20,
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
