//! Duplicates of leaves that a writer does not hold any more.

use std::sync::Arc;

use bytes::Bytes;
use tegula_sequencer::{Config, IndexOptions, Pending, Sequencer, Writer};
use tegula_storage::{ObjectPath, Root, Store};
use tegula_tlog::{Hash, leaf_hash};

use crate::world::{World, env, signers};

/// With the leaf run (4, 0) and its filter, and smaller ones.
async fn large() -> World {
    let mut world = World::new().await;
    world
        .grow(69_632 + 3_000, |index| format!("word{index}"))
        .await;
    let mut builder = world.builder(Arc::new(world.memory.clone()), 3);
    builder.round(IndexOptions::default()).await.unwrap();
    world
}

fn writer(world: &World, window: u64) -> Writer {
    let mut config = Config::new(signers());
    config.dedup_window = window;
    Writer::new(Arc::new(world.memory.clone()), env(5), config).unwrap()
}

/// Commits one entry; its index, and whether it was there.
async fn commit(writer: &mut Writer, entry: &str) -> (u64, bool) {
    let pending = [Pending::new(Bytes::from(entry.to_owned()))];
    let round = writer.commit(&pending).await.unwrap();
    let receipt = round.receipt(0).unwrap();
    (receipt.index.get(), receipt.duplicate)
}

#[tokio::test]
async fn whatever_is_in_the_log_is_recognised() {
    let world = large().await;
    let size = world.entries.len();
    let mut writer = writer(&world, 1_000);
    for at in [
        0,
        1,
        255,
        256,
        4_711,
        65_535,
        65_536,
        69_631,
        69_632,
        70_000,
        size - 1_001,
        size - 1_000,
        size - 1,
    ] {
        let (index, duplicate) = commit(&mut writer, &world.entries[at]).await;
        assert_eq!((index, duplicate), (at as u64, true));
    }
    let all = writer.counters();
    assert_eq!(
        (all.duplicates, all.entries, all.dedup_failures),
        (13, 0, 0)
    );
    // A batch of old ones and new ones.
    let batch = [&world.entries[77], "new", &world.entries[66_000], "new"]
        .map(|entry| Pending::new(Bytes::from(entry.to_owned())));
    let round = writer.commit(&batch).await.unwrap();
    let places: Vec<_> = (0..4)
        .map(|n| round.receipt(n).unwrap())
        .map(|receipt| (receipt.index.get(), receipt.duplicate))
        .collect();
    assert_eq!(
        places,
        [
            (77, true),
            (size as u64, false),
            (66_000, true),
            (size as u64, true)
        ]
    );
}

/// A batch that was logged long ago is answered with few requests: of what it rests on each is read once.
#[tokio::test]
async fn a_batch_of_old_entries_is_looked_up_together() {
    let world = large().await;
    let mut writer = writer(&world, 1_000);
    let old: Vec<_> = (20_000..21_000)
        .map(|at| Pending::new(Bytes::from(world.entries[at].clone())))
        .collect();
    let round = writer.commit(&old).await.unwrap();
    for n in [0, 500, 999] {
        let receipt = round.receipt(n).unwrap();
        assert_eq!(
            (receipt.index.get(), receipt.duplicate),
            (20_000 + n as u64, true)
        );
    }
    // The partitions of the large run, and of the small ones.
    let requests = writer.counters().dedup_requests;
    assert!(requests < 250, "{requests}");
}

/// Of new entries few are looked up: the window holds all that is in small runs, and filters rule out the rest.
#[tokio::test]
async fn a_warm_writer_asks_for_little() {
    let world = large().await;
    let mut writer = writer(&world, 8_000);
    for n in 0..8 {
        assert!(!commit(&mut writer, &format!("first {n}")).await.1);
    }
    let before = writer.counters().dedup_requests;
    // The first few were looked up in one run of 64 partitions, one object each.
    assert!((5..30).contains(&before), "{before}");
    for n in 0..400 {
        assert!(!commit(&mut writer, &format!("later {n}")).await.1);
    }
    let each = writer.counters().dedup_requests - before;
    assert!(each < 400 / 10, "{each} requests for 400 entries");
    assert!(
        writer.counters().dedup_bytes < 100_000,
        "{}",
        writer.counters().dedup_bytes
    );
}

#[tokio::test]
async fn a_broken_index_stops_no_upload() {
    let world = large().await;
    let old = world.entries[4_711].clone();
    // A filter that is damaged, or gone, lets everything through.
    let filter = ObjectPath::private("index-work/v1/filter/4/0/0").unwrap();
    let sound = world.memory.read(&filter).await.unwrap().unwrap().bytes;
    for damaged in [
        None,
        Some(sound.slice(..sound.len() - 1)),
        Some(Bytes::from_static(b"x")),
    ] {
        world.memory.tamper(&filter, damaged);
        let mut writer = writer(&world, 8_000);
        for n in 0..6 {
            commit(&mut writer, &format!("{n} by another writer")).await;
        }
        assert_eq!(commit(&mut writer, &old).await, (4_711, true));
        assert_eq!(writer.counters().dedup_failures, 0);
    }
    world.memory.tamper(&filter, Some(sound));
    // A partition that is damaged or gone: the entry is logged again, and that is counted.
    let partitions = world
        .memory
        .list(Root::Public, "index/v1/run/4/", None, 1_000)
        .await
        .unwrap();
    let mut sound = Vec::new();
    for path in partitions {
        let place = ObjectPath::public(path).unwrap();
        sound.push(world.memory.read(&place).await.unwrap().unwrap().bytes);
        let broken = Bytes::from_static(b"not a partition");
        world.memory.tamper(&place, Some(broken));
    }
    let mut writer = writer(&world, 8_000);
    let (index, duplicate) = commit(&mut writer, &old).await;
    assert!(index > 72_000 && !duplicate);
    assert_eq!(writer.counters().dedup_failures, 1);
    // Whole again, it is asked again.
    let partitions = world
        .memory
        .list(Root::Public, "index/v1/run/4/", None, 1_000)
        .await
        .unwrap();
    for (path, sound) in partitions.into_iter().zip(sound) {
        let place = ObjectPath::public(path).unwrap();
        world.memory.tamper(&place, Some(sound));
    }
    assert_eq!(
        commit(&mut writer, &world.entries[4_712]).await,
        (4_712, true)
    );
    assert_eq!(writer.counters().dedup_failures, 1);
    // Held now.
    assert_eq!(commit(&mut writer, &old).await, (index, true));
}

#[tokio::test]
async fn a_leaf_that_the_index_names_is_one_only_if_the_log_has_it() {
    let mut world = World::new().await;
    world
        .grow(600, |index| {
            format!("claims:{}", if index == 7 { "another" } else { "none" })
        })
        .await;
    world.index().await;
    let mut writer = writer(&world, 10);
    assert_eq!(commit(&mut writer, "another").await, (600, false));
    assert_eq!(commit(&mut writer, &world.entries[7]).await, (7, true));
}

/// Where the index names a place, the log's own tiles decide.
#[tokio::test]
async fn a_leaf_is_found_wherever_it_is() {
    let world = large().await;
    let mut config = Config::new(signers());
    config.dedup_window = 10;
    let log = Sequencer::open(Arc::new(world.memory.clone()), env(5), config)
        .await
        .unwrap();
    for at in [0, 4_711, 69_631, 69_632, 72_630] {
        let leaf = leaf_hash(world.entries[at].as_bytes());
        let found = log.find(&leaf).await.unwrap().unwrap();
        assert_eq!(found.get(), at as u64);
    }
    assert_eq!(log.find(&Hash([7; 32])).await.unwrap(), None);
    log.close().await;
}
