//! What a search fetches, and how often it waits.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{FetchError, Source};

/// A log of which every object takes a second to come, and what was asked for in which second.
#[derive(Clone, Debug)]
struct Slow {
    log: Log,
    start: Instant,
    rounds: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Slow {
    fn new(log: &Log) -> Self {
        Self {
            log: log.clone(),
            start: Instant::now(),
            rounds: Arc::default(),
        }
    }

    /// What was asked for at one time, one time after the other.
    fn rounds(&self) -> Vec<Vec<String>> {
        let mut rounds = self.rounds.lock().unwrap().clone();
        rounds.iter_mut().for_each(|round| round.sort());
        rounds
    }
}

#[async_trait]
impl Source for Slow {
    async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError> {
        let round = usize::try_from(self.start.elapsed().as_secs()).unwrap();
        {
            let mut rounds = self.rounds.lock().unwrap();
            let len = rounds.len().max(round + 1);
            rounds.resize_with(len, Vec::new);
            rounds[round].push(path.to_owned());
        }
        sleep(Duration::from_secs(1)).await;
        self.log.fetch(path, max_len).await
    }

    fn name(&self) -> String {
        self.log.name()
    }
}

async fn rounds(world: &World, keys: &[Key]) -> Vec<Vec<String>> {
    let slow = Slow::new(&world.log);
    let reader = reader(slow.clone(), &CheckpointMemory::in_process());
    reader.search(keys, EVERYTHING).await.unwrap();
    slow.rounds()
}

/// The example of a search from nothing, in full.
#[tokio::test(start_paused = true)]
async fn a_cold_search_waits_three_times() {
    let world = World::indexed(5 * 256 + 100, 5, |_| "all".to_owned());
    let expected: [&[&str]; 3] = [
        &["checkpoint", "index/v1/checkpoint"],
        &["index/v1/state/005", "tile/0/005.p/100", "tile/1/000.p/5"],
        &[
            "index/v1/run/0/004/000",
            "index/v1/run/1/000/000",
            "tile/entries/005.p/100",
        ],
    ];
    assert_eq!(rounds(&world, &words_of(&["all"])).await, expected);
}

#[tokio::test(start_paused = true)]
async fn one_object_for_each_live_run() {
    for (count, bundles) in [
        (257, 1),
        (1023, 3),
        (1025, 4),
        (15 * 256 + 255, 15),
        (4097, 16),
        (21 * 256 + 1, 21),
    ] {
        let world = World::indexed(count, bundles, |_| "all".to_owned());
        let rounds = rounds(&world, &words_of(&["all"])).await;
        let live = live_runs(size(bundles)).unwrap();
        assert_eq!(rounds.len(), 3, "at {count}: {rounds:?}");
        assert_eq!(rounds[0].len(), 2);
        // The state, and the tiles on the way to the two roots.
        let edge = 1 + usize::from(count > 256);
        assert_eq!(rounds[1].len(), 1 + edge, "at {count}: {rounds:?}");
        assert_eq!(rounds[2].len(), live.len() + 1, "at {count}: {rounds:?}");
        for run in live {
            let partition = format!("{}", IndexPath::Partition { run, q: 0 });
            let directory = partition.trim_end_matches("000");
            let of_run = rounds[2].iter().filter(|path| path.starts_with(directory));
            assert_eq!(of_run.count(), 1, "{run} at {count}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_up_to_date_needs_no_tiles() {
    let world = World::indexed(1024, 4, |_| "all".to_owned());
    let expected: [&[&str]; 3] = [
        &["checkpoint", "index/v1/checkpoint"],
        &["index/v1/state/004"],
        &["index/v1/run/1/000/000"],
    ];
    assert_eq!(rounds(&world, &words_of(&["all"])).await, expected);
}

/// Of more bundles than the last one the leaf hashes are not at hand yet.
#[tokio::test(start_paused = true)]
async fn an_index_that_is_behind_costs_one_more_wait() {
    let world = World::indexed(7 * 256 + 5, 4, |_| "all".to_owned());
    let rounds = rounds(&world, &words_of(&["all"])).await;
    assert_eq!(rounds.len(), 4, "{rounds:?}");
    let all: usize = rounds.iter().map(Vec::len).sum();
    // Checkpoints, state and edge, one partition, three more tiles, four bundles.
    assert_eq!(all, 2 + 3 + 1 + 3 + 4, "{rounds:?}");
}

#[tokio::test(start_paused = true)]
async fn keys_share_what_they_need() {
    let world = World::indexed(4096 + 5, 16, |index| format!("word{}", index % 50));
    let words: Vec<_> = (0..50).map(|n| word(&format!("word{n}"))).collect();
    let rounds = rounds(&world, &words).await;
    assert_eq!(rounds.len(), 3);
    // Of one run, which has four partitions.
    assert_eq!(rounds[2].len(), 4 + 1, "{rounds:?}");
}

#[tokio::test]
async fn a_second_search_reads_the_checkpoints_alone() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::indexed(4096 + 700, 17, |_| "all".to_owned());
    let keys = words_of(&["all", "nowhere"]);
    let memory = CheckpointMemory::in_process();
    for n in 0..3 {
        // A process of its own, but for what it remembers.
        let reader = cached_reader(world.log.clone(), &memory, Some(dir.path()));
        let searched = reader.search(&keys, EVERYTHING).await.unwrap();
        world.check(&reader, &keys, &searched).await;
        let mut fetched = world.log.take_fetched();
        if n > 0 {
            fetched.sort();
            assert_eq!(fetched, ["checkpoint", "index/v1/checkpoint"]);
        }
    }
}

/// What did not change as the index grew is not fetched again.
#[tokio::test]
async fn a_search_in_a_larger_index_reads_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::indexed(8 * 256 + 1, 5, |_| "all".to_owned());
    let keys = words_of(&["all"]);
    let memory = CheckpointMemory::in_process();
    let reader = cached_reader(world.log.clone(), &memory, Some(dir.path()));
    reader.search(&keys, EVERYTHING).await.unwrap();
    world.index.publish(&world.log, &index_signer(1), 6);
    world.log.take_fetched();
    reader.search(&keys, EVERYTHING).await.unwrap();
    let mut fetched = world.log.take_fetched();
    fetched.sort();
    let expected = [
        "checkpoint",
        "index/v1/checkpoint",
        "index/v1/run/0/005/000",
        "index/v1/state/006",
        // That it is the same index log as before.
        "index/v1/tile/0/000.p/6",
    ];
    assert_eq!(fetched, expected);
}

#[tokio::test]
async fn a_checkpoint_that_is_at_hand_is_not_fetched() {
    let world = World::indexed(600, 2, |_| "all".to_owned());
    let reader = fresh(&world.log);
    let checkpoint = reader.checkpoint().await.unwrap();
    world.log.take_fetched();
    let keys = words_of(&["all"]);
    let searched = reader.search_at(&checkpoint, &keys, EVERYTHING).await;
    world.check(&reader, &keys, &searched.unwrap()).await;
    let fetched = world.log.take_fetched();
    assert!(!fetched.contains(&"checkpoint".to_owned()), "{fetched:?}");
}

/// The log grew between the two requests for its checkpoint and that of its index.
#[tokio::test]
async fn an_index_that_is_ahead_has_the_log_looked_at_again() {
    let world = World::indexed(512, 2, |_| "all".to_owned());
    let old = Log::new(&world.entries, &[300]);
    let grows = Grows {
        log: world.log.clone(),
        first: Arc::new(Mutex::new(Some(old.object("checkpoint")))),
    };
    let reader = reader(grows, &CheckpointMemory::in_process());
    let keys = words_of(&["all"]);
    let searched = reader.search(&keys, EVERYTHING).await.unwrap();
    assert_eq!(searched.proven, size(512));
    world.check(&reader, &keys, &searched).await;
}

/// A log that shows an older checkpoint once.
#[derive(Clone, Debug)]
struct Grows {
    log: Log,
    first: Arc<Mutex<Option<Bytes>>>,
}

#[async_trait]
impl Source for Grows {
    async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError> {
        if path == "checkpoint"
            && let Some(old) = self.first.lock().unwrap().take()
        {
            return Ok(Some(old));
        }
        self.log.fetch(path, max_len).await
    }

    fn name(&self) -> String {
        self.log.name()
    }
}
