//! What is logged, looked up again: in a store that may be wrong, and beside writers of which this one does not know.

use std::sync::Arc;

use bytes::Bytes;
use tegula_sequencer::{Config, Error, Logged, Sequencer, init};
use tegula_storage::{Memory, ObjectPath, Store};
use tegula_tlog::{Hash, LeafIndex, leaf_hash, verify_inclusion};

use crate::{Calm, description, signers};

fn entry(n: u64) -> Bytes {
    format!("entry {n}").into()
}

async fn open(memory: &Memory, dedup_window: u64) -> Sequencer {
    let mut config = Config::new(signers());
    config.dedup_window = dedup_window;
    Sequencer::open(Arc::new(memory.clone()), Arc::new(Calm::default()), config)
        .await
        .unwrap()
}

async fn log_of(entries: u64) -> (Memory, Sequencer) {
    let memory = Memory::new();
    init(&memory, &signers(), &description()).await.unwrap();
    let log = open(&memory, 1 << 20).await;
    add(&log, 0..entries).await;
    (memory, log)
}

async fn add(log: &Sequencer, entries: std::ops::Range<u64>) {
    for begin in entries.clone().step_by(1000) {
        let batch = (begin..entries.end.min(begin + 1000)).map(entry).collect();
        log.submit_batch(batch).await.unwrap();
    }
}

async fn at(log: &Sequencer, index: u64) -> Result<Option<Logged>, Error> {
    log.entry(LeafIndex::new(index).unwrap()).await
}

fn check(found: &Logged, index: u64) {
    let receipt = &found.receipt;
    assert_eq!((&found.entry, receipt.index.get()), (&entry(index), index));
    let published = &receipt.published;
    verify_inclusion(
        receipt.index,
        published.size,
        &leaf_hash(&found.entry),
        &receipt.proof,
        &published.root,
    )
    .unwrap();
}

/// In bundles that are full, and in the one that is not.
#[tokio::test]
async fn every_entry_is_found_by_its_index_and_by_its_hash() {
    let (_, log) = log_of(600).await;
    for index in [0, 1, 255, 256, 511, 512, 599] {
        check(&at(&log, index).await.unwrap().unwrap(), index);
        let found = log.find(&leaf_hash(&entry(index))).await.unwrap();
        assert_eq!(found, LeafIndex::new(index));
    }
    assert_eq!(at(&log, 600).await.unwrap(), None);
    assert_eq!(log.find(&leaf_hash(b"none")).await.unwrap(), None);
}

#[tokio::test]
async fn what_another_has_published_since_is_found_too() {
    let (memory, log) = log_of(3).await;
    let other = open(&memory, 1 << 20).await;
    add(&other, 3..5).await;
    assert_eq!(log.published().size.get(), 3);
    check(&at(&log, 4).await.unwrap().unwrap(), 4);
    let found = log.find(&leaf_hash(&entry(4))).await.unwrap();
    assert_eq!(found, LeafIndex::new(4));
}

/// By its hash; by its index it is found wherever it is.
#[tokio::test]
async fn what_is_not_searched_for_duplicates_is_not_found() {
    let (memory, _) = log_of(600).await;
    let log = open(&memory, 10).await;
    for (index, expected) in [(0, None), (511, None), (599, LeafIndex::new(599))] {
        let found = log.find(&leaf_hash(&entry(index))).await.unwrap();
        assert_eq!(found, expected, "{index}");
        check(&at(&log, index).await.unwrap().unwrap(), index);
    }
}

/// Nothing is answered that the checkpoint does not cover.
#[tokio::test]
async fn what_was_changed_in_the_store_is_not_given_out() {
    for (path, index) in [("tile/entries/000", 7), ("tile/0/000", 7)] {
        let (memory, log) = log_of(300).await;
        flip(&memory, path).await;
        let refused = at(&log, index).await;
        assert!(
            matches!(refused, Err(Error::Corrupt(_))),
            "{path}: {refused:?}"
        );
    }
    let (memory, log) = log_of(300).await;
    flip(&memory, "tile/0/000").await;
    let refused = log.find(&leaf_hash(&entry(7))).await;
    assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
    // Another's hash in its place finds nothing either.
    let refused = log.find(&Hash([0; 32])).await;
    assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
}

/// In the middle of an object.
async fn flip(memory: &Memory, path: &str) {
    let path = ObjectPath::public(path).unwrap();
    let object = memory.read(&path).await.unwrap().unwrap();
    let mut bytes = object.bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    memory.tamper(&path, Some(bytes.into()));
}
