use std::collections::BTreeSet;

use futures::FutureExt;

use super::*;
use crate::conformance;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    conformance::run(async || {
        let memory = Memory::new();
        vec![
            Arc::new(memory.clone()) as Arc<dyn Store>,
            Arc::new(memory.clone()),
            Arc::new(memory),
        ]
    })
    .await;
}

#[tokio::test]
async fn what_is_durable_survives_every_power_cut() {
    for seed in 0..SEEDS {
        let memory = Memory::new();
        memory.create(&path("tile"), TILE).await.unwrap();
        memory
            .replace(&path("checkpoint"), None, OLD)
            .await
            .unwrap();
        memory
            .sync(&[path("tile"), path("checkpoint")])
            .await
            .unwrap();
        memory.create_slot(3, TILE).await.unwrap();
        memory.raise_floor(2).await.unwrap();
        let before = memory.listing();
        assert_eq!(before.len(), 3);
        memory.power_cut(seed);
        memory.power_cut(seed + 1);
        assert_eq!(memory.listing(), before);
        assert_eq!(memory.floor().await.unwrap(), 2);
        assert_eq!(memory.condition(), Condition::Unclean);
        memory.recovered().await.unwrap();
        assert_eq!(memory.condition(), Condition::Clean);
    }
}

#[tokio::test]
async fn what_was_created_and_not_synced_is_lost_torn_or_kept() {
    let mut absent = 0;
    let mut kinds = BTreeSet::new();
    for seed in 0..SEEDS {
        let memory = Memory::new();
        memory.create(&path("tile"), TILE).await.unwrap();
        memory.power_cut(seed);
        let Some(object) = memory.read(&path("tile")).await.unwrap() else {
            absent += 1;
            continue;
        };
        let bytes = object.bytes;
        let same = bytes.iter().zip(&TILE).take_while(|(a, b)| a == b).count();
        assert!(bytes.len() <= TILE.len());
        assert!(bytes[same..].iter().all(|b| *b == 0), "{bytes:?}");
        kinds.insert((bytes.len() == TILE.len(), same == bytes.len()));
        // What the disk holds, it holds.
        memory.power_cut(seed + 1);
        assert_eq!(
            memory.read(&path("tile")).await.unwrap().unwrap().bytes,
            bytes
        );
    }
    assert!(absent > 0);
    // Short, zeroed at its length, and whole.
    assert_eq!(
        kinds,
        BTreeSet::from([(false, true), (true, false), (true, true)])
    );
}

#[tokio::test]
async fn what_was_replaced_and_not_synced_is_old_or_new() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let memory = Memory::new();
        memory
            .replace(&path("checkpoint"), None, OLD)
            .await
            .unwrap();
        memory.sync(&[path("checkpoint")]).await.unwrap();
        let mut expected = memory.read(&path("checkpoint")).await.unwrap();
        for next in 0..20 {
            let version = expected.unwrap().version;
            let next = Bytes::from(format!("checkpoint {next}"));
            let checkpoint = path("checkpoint");
            let put = memory.replace(&checkpoint, Some(&version), next);
            assert!(matches!(put.await.unwrap(), Replaced::Replaced(_)));
            expected = memory.read(&path("checkpoint")).await.unwrap();
        }
        memory.power_cut(seed);
        let found = memory.read(&path("checkpoint")).await.unwrap().unwrap();
        seen.insert(found.bytes);
    }
    assert!(seen.contains(&OLD));
    assert!(seen.contains(&Bytes::from_static(b"checkpoint 19")));
    assert!(seen.len() > 2, "{seen:?}");
}

#[tokio::test]
async fn what_was_removed_may_come_back() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let memory = Memory::new();
        memory.create(&path("tile"), TILE).await.unwrap();
        memory.sync(&[path("tile")]).await.unwrap();
        memory.create_slot(0, TILE).await.unwrap();
        memory.raise_floor(1).await.unwrap();
        memory.remove(&path("tile")).await.unwrap();
        memory.remove_slot(0).await.unwrap();
        memory.power_cut(seed);
        let listing = memory.listing();
        assert!(listing.values().all(|bytes| *bytes == TILE));
        seen.insert(listing.into_keys().collect::<Vec<_>>());
        let made = memory.create_slot(0, OLD).await.unwrap();
        assert_eq!(made, SlotCreated::BelowFloor);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

/// Hole 7 of the protocol's history: a power cut between link and sync.
#[tokio::test]
async fn a_slot_between_link_and_sync_is_seen_and_may_be_lost() {
    let mut kept = BTreeSet::new();
    for seed in 0..SEEDS {
        let memory = Memory::new();
        let mut creating = memory.create_slot(0, TILE);
        assert!((&mut creating).now_or_never().is_none());
        let again = memory.create_slot(0, OLD).await.unwrap();
        assert_eq!(again, SlotCreated::Exists);
        assert_eq!(memory.slots(0, 9).await.unwrap(), [0]);
        memory.power_cut(seed);
        assert!(matches!(creating.await, Err(StoreError::Fatal(_))));
        let slot = memory.read_slot(0).await.unwrap();
        assert!(slot.as_ref().is_none_or(|slot| *slot == TILE));
        kept.insert(slot.is_some());
    }
    assert_eq!(kept.len(), 2);
}

#[tokio::test]
async fn a_slot_that_was_read_is_durable() {
    for head in [false, true] {
        for seed in 0..SEEDS {
            let memory = Memory::new();
            let mut creating = memory.create_slot(0, TILE);
            assert!((&mut creating).now_or_never().is_none());
            let read = match head {
                true => memory.read_slot_head(0, 1).await,
                false => memory.read_slot(0).await,
            };
            assert!(read.unwrap().is_some());
            memory.power_cut(seed);
            assert_eq!(memory.read_slot(0).await.unwrap(), Some(TILE));
        }
    }
}

#[tokio::test]
async fn a_seed_decides_everything() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..SEEDS {
        let outcome = async || {
            let memory = Memory::new();
            for n in 0..10 {
                memory
                    .create(&path(&format!("tile/{n}")), TILE)
                    .await
                    .unwrap();
            }
            memory.power_cut(seed);
            memory.listing()
        };
        let first = outcome().await;
        assert_eq!(outcome().await, first);
        outcomes.insert(first);
    }
    assert!(outcomes.len() > 10);
}

#[tokio::test]
async fn rebuilds_only_when_unclean_and_only_the_same_bytes() {
    let memory = Memory::new();
    memory.create(&path("tile"), TILE).await.unwrap();
    assert!(memory.rebuild(&path("tile"), TILE).await.is_err());
    for seed in 0..SEEDS {
        memory.power_cut(seed);
        memory.rebuild(&path("tile"), TILE).await.unwrap();
        let found = memory.read(&path("tile")).await.unwrap().unwrap();
        assert_eq!(found.bytes, TILE);
    }
    assert!(memory.violations().is_empty());
    assert!(memory.rebuild(&path("tile"), OLD).await.is_err());
    assert_eq!(memory.violations().len(), 1);
}

#[tokio::test]
async fn polices_what_is_immutable() {
    let memory = Memory::new();
    memory.create(&path("tile"), TILE).await.unwrap();
    let version = memory.read(&path("tile")).await.unwrap().unwrap().version;
    let put = memory.replace(&path("tile"), Some(&version), OLD).await;
    assert_eq!(
        put.unwrap_err().to_string(),
        "invalid: public/tile is immutable, and was to be replaced"
    );
    memory.remove(&path("tile")).await.unwrap();
    let made = memory.create(&path("tile"), OLD).await;
    assert_eq!(
        made.unwrap_err().to_string(),
        "invalid: public/tile was immutable, and was made again with other bytes"
    );
    assert_eq!(memory.violations().len(), 2);
    assert_eq!(
        memory.create(&path("tile"), TILE).await.unwrap(),
        Created::Created
    );
    // Private objects have names that their writers draw.
    let item = ObjectPath::private("inbox/0-a").unwrap();
    for bytes in [TILE, OLD] {
        memory.create(&item, bytes).await.unwrap();
        memory.remove(&item).await.unwrap();
    }
    assert_eq!(memory.violations().len(), 2);
}

#[tokio::test]
async fn lists_and_tampers() {
    let memory = Memory::new();
    memory.create(&path("tile/0/000"), TILE).await.unwrap();
    memory
        .create(&ObjectPath::private("state").unwrap(), OLD)
        .await
        .unwrap();
    memory.create_slot(12, OLD).await.unwrap();
    let names: Vec<_> = memory.listing().into_keys().collect();
    assert_eq!(
        names,
        [
            "private/state",
            "private/wal/00000000000000000012",
            "public/tile/0/000"
        ]
    );
    memory.tamper(&path("tile/0/000"), Some(OLD));
    memory.tamper_slot(12, None);
    let found = memory.read(&path("tile/0/000")).await.unwrap().unwrap();
    assert_eq!(found.bytes, OLD);
    assert_eq!(memory.read_slot(12).await.unwrap(), None);
    memory.tamper(&path("tile/0/000"), None);
    assert_eq!(memory.read(&path("tile/0/000")).await.unwrap(), None);
}

fn path(path: &str) -> ObjectPath {
    ObjectPath::public(path).unwrap()
}

const SEEDS: u64 = 200;

const TILE: Bytes = Bytes::from_static(b"sixteen bytes ..");

const OLD: Bytes = Bytes::from_static(b"old");
