//! Power cuts, and bytes in the store that are not what they should be.

use std::sync::Arc;

use bytes::Bytes;
use tegula_sequencer::{Config, IndexOptions, Writer, rebuild};
use tegula_storage::{Condition, ObjectPath, OperationKind, Store};

use crate::builders::words;
use crate::world::{World, env, key, signers};

/// What was published was synced; what was not is made again.
#[tokio::test]
async fn after_a_power_cut_the_index_goes_on() {
    for seed in 0..12 {
        let mut world = World::new().await;
        let mut builder = world.builder(Arc::new(world.memory.clone()), seed);
        world.grow(1_100, words).await;
        builder.round(IndexOptions::default()).await.unwrap();
        let before = world.index_size().await;
        world.grow(2_600, words).await;
        if seed.is_multiple_of(2) {
            builder
                .round(IndexOptions {
                    max_base_runs: Some(3),
                    ..IndexOptions::default()
                })
                .await
                .unwrap();
        }
        // A builder that stops before it has synced what it made, or before it publishes that.
        let (kind, part) = match seed % 3 {
            0 => (OperationKind::Replace, "index/v1/checkpoint"),
            _ => (OperationKind::Sync, "index/v1"),
        };
        let stops: Arc<dyn Store> = Arc::new(world.cut_off_at(kind, part));
        let mut stopped = world.builder(stops, seed);
        assert!(stopped.round(IndexOptions::default()).await.is_err());
        world.memory.power_cut(seed);
        assert_ne!(world.memory.condition(), Condition::Clean);
        let config = Config::new(signers());
        rebuild(&world.memory, &config, key().verifier().full_key_id())
            .await
            .unwrap();
        world.memory.recovered().await.unwrap();
        // The log's own checkpoint may be an older one: whoever opens the log publishes what is ordered.
        let store: Arc<dyn Store> = Arc::new(world.memory.clone());
        let mut writer = Writer::new(store, env(seed), config).unwrap();
        writer.start().await.unwrap();
        assert!(world.index_size().await >= before, "{seed}");
        assert_eq!(world.index().await.covered, 2_560, "{seed}");
        world.check().await;
    }
}

/// What is there and is something else is never built on.
#[tokio::test]
async fn what_is_damaged_is_noticed() {
    let mut world = World::new().await;
    world.grow(1_100, words).await;
    world.index().await;
    world.grow(2_000, words).await;
    for (path, bytes) in world.objects().await {
        let place = ObjectPath::public(path.clone()).unwrap();
        let mut damaged = bytes.to_vec();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        let fork = world.fork().await;
        fork.memory.tamper(&place, Some(Bytes::from(damaged)));
        let mut builder = fork.builder(Arc::new(fork.memory.clone()), 1);
        let round = builder.round(IndexOptions::default()).await;
        let is_needed = path.contains("/state/004")
            || path.ends_with("tile/0/000.p/4")
            || path.ends_with("tile/entries/000.p/4");
        // The run (1, 0) is merged into (2, 0) only later.
        assert_eq!(round.is_err(), is_needed, "{path}: {round:?}");
    }
    // Before it is signed, what it rests on is read.
    let missing = ObjectPath::public("index/v1/run/1/000/000").unwrap();
    world.memory.tamper(&missing, None);
    world.grow(4_096, words).await;
    let mut builder = world.builder(Arc::new(world.memory.clone()), 1);
    let error = builder.round(IndexOptions::default()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("index/v1/run/1/000/000 is missing"),
        "{error}"
    );
}

/// The index of another log, signed by the same key.
#[tokio::test]
async fn an_index_of_another_log_is_refused() {
    let mut other = World::new().await;
    other.grow(600, |index| format!("other{index}")).await;
    other.index().await;
    let mut world = World::new().await;
    world.grow(600, words).await;
    for (path, bytes) in other.memory.listing() {
        if let Some(path) = path
            .strip_prefix("public/")
            .filter(|path| path.starts_with("index/"))
        {
            world
                .memory
                .tamper(&ObjectPath::public(path).unwrap(), Some(bytes));
        }
    }
    let mut builder = world.builder(Arc::new(world.memory.clone()), 1);
    let error = builder.round(IndexOptions::default()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the index is of a log with the root"),
        "{error}"
    );
}
