//! The faults of the directory log's simulation, on buckets: writers of all manners, which are dropped in the midst, over a store that refuses,
//! loses, delays and repeats. Each seed is another mixture; the order in which tasks run is the machine's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tegula_s3_stand_in::{StandIn, oracle};
use tegula_sequencer::{Config, Env, Error, Keep, Others, Pending, Tidy, TidyOptions, Writer};
use tegula_storage::{Controller, Faulty, Rates, Seeded, Store};

use crate::{RealEnv, begun, signer, store};

/// Does not wait long: there is nobody to spare.
#[derive(Debug)]
struct Hasty;

impl Env for Hasty {
    fn now_ms(&self) -> u64 {
        RealEnv.now_ms()
    }

    fn random(&self) -> [u8; 16] {
        RealEnv.random()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        tokio::time::sleep(duration / 20).boxed()
    }
}

/// What one seed's writers have in common.
struct World {
    stand_in: StandIn,
    weather: Arc<Seeded>,
    acknowledged: Mutex<HashMap<String, u64>>,
    dropped: AtomicU64,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mixture_of_faults_loses_nothing_and_logs_nothing_twice() {
    let (mut logged, mut dropped) = (0, 0);
    for seed in 0..SEEDS {
        let world = Arc::new(World {
            stand_in: StandIn::start().await,
            weather: Arc::new(Seeded::new(seed, Rates::NONE)),
            acknowledged: Mutex::default(),
            dropped: AtomicU64::new(0),
        });
        begun(&world.stand_in, Others::Compete).await;
        world.stand_in.keep_versions("log-public", "checkpoint");
        world.weather.change(Rates::each(RATE));
        let writers = [
            Others::HandOver,
            Others::HandOver,
            Others::TakeAlong,
            Others::HandOver,
            Others::Compete,
        ];
        let tasks = (0_u64..)
            .zip(writers)
            .map(|(n, others)| tokio::spawn(write(Arc::clone(&world), seed * 100 + n, others)));
        let tasks: Vec<_> = tasks.collect();
        let tidying = tokio::spawn(tidy(Arc::clone(&world)));
        for outcome in join_all(tasks).await {
            outcome.unwrap();
        }
        tidying.abort();
        // What was delayed arrives now, when nobody expects it any more.
        world.weather.change(Rates::NONE);
        world.weather.held().run().await;
        let mut last = writer(&world, Others::TakeAlong);
        last.settle().await.unwrap();
        let acknowledged = world.acknowledged.lock().unwrap();
        assert_eq!(acknowledged.len(), 5 * BATCHES);
        let size = oracle::check(&world.stand_in, &signer().verifier(), &acknowledged);
        logged += size;
        dropped += world.dropped.load(Ordering::Relaxed);
    }
    println!("{SEEDS} seeds, {logged} entries, {dropped} writers dropped");
    assert!(dropped > 0);
}

fn writer(world: &World, others: Others) -> Writer {
    let config = Config {
        others,
        dedup_window: 1 << 12,
        ..Config::new(vec![signer()])
    };
    let controller: Arc<dyn Controller> = Arc::clone(&world.weather) as _;
    let faulty = Faulty::new(Arc::new(store(&world.stand_in)), controller);
    let store: Arc<dyn Store> = Arc::new(faulty);
    Writer::new(store, Arc::new(Hasty), config).unwrap()
}

/// One batch after the other, each until it is acknowledged, by a writer that is dropped now and then.
async fn write(world: Arc<World>, seed: u64, others: Others) {
    let mut random = seed;
    let mut below = move |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % bound
    };
    let mut current = writer(&world, others);
    for n in 0..BATCHES {
        let entry = format!("{seed} {n}");
        let batch = [Pending::new(entry.clone().into())];
        for round in 0.. {
            assert!(round < 500, "{entry} is not answered");
            let patience = match below(4) {
                0 => Duration::from_millis(5 + below(80)),
                _ => Duration::from_secs(60),
            };
            match tokio::time::timeout(patience, current.commit(&batch)).await {
                Ok(Ok(done)) => {
                    let index = done.receipt(0).unwrap().index.get();
                    world.acknowledged.lock().unwrap().insert(entry, index);
                    break;
                }
                Ok(Err(Error::Unavailable(_) | Error::Overloaded { .. })) => {}
                // It read wrongly three times, and would not go on; or its process was ended.
                Ok(Err(Error::Corrupt(_) | Error::Fatal(_))) | Err(_) => {
                    world.dropped.fetch_add(1, Ordering::Relaxed);
                    current = writer(&world, others);
                }
                Ok(Err(error)) => panic!("{entry}: {error}"),
            }
        }
    }
}

async fn tidy(world: Arc<World>) {
    let controller: Arc<dyn Controller> = Arc::clone(&world.weather) as _;
    let store: Arc<dyn Store> = Arc::new(Faulty::new(Arc::new(store(&world.stand_in)), controller));
    let mut tidy = Tidy::new(store, Arc::new(Hasty), vec![signer().verifier()]);
    loop {
        let options = TidyOptions {
            keep: Keep::Leaves(10),
            partial_age: Duration::ZERO,
            check_bundles: 1,
            ..TidyOptions::default()
        };
        // What it may do it does, whatever fails.
        drop(tidy.round(options).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const SEEDS: u64 = 20;
const BATCHES: usize = 6;
/// Of a thousand operations, with each fate.
const RATE: u16 = 20;
