//! Many writers of one log, each of one request at a time, as functions are: over a store whose every request takes 30 ms.
//!
//! `cargo bench -p tegula-sequencer --bench contention -- [writers [seconds [entry bytes]]]`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a benchmark stops where it fails, and prints"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tegula_sequencer::{Config, Env, Others, Pending, Writer, init};
use tegula_storage::{
    Condition, Created, Memory, Object, ObjectPath, Replaced, Root, SlotCreated, Store, StoreError,
    Version,
};
use tegula_tlog::{Limits, LogDescription, SigningKey};

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let seconds = numbers.get(1).copied().unwrap_or(10);
    let bytes = numbers.get(2).copied().unwrap_or(300);
    let writers = match numbers.first() {
        Some(writers) => vec![*writers],
        None => vec![1, 2, 10, 50, 400],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    println!(
        "{:>7} {:>10} {:>7} {:>7} {:>7} {:>7} | per entry {:>6} {:>6} {:>6} {:>7} | per slot {:>6} | $ a million",
        "writers",
        "entries/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "max ms",
        "PUT",
        "GET",
        "LIST",
        "DELETE",
        "batches"
    );
    for writers in writers {
        runtime.block_on(run(writers, Duration::from_secs(seconds), bytes));
    }
}

async fn run(writers: u64, duration: Duration, bytes: u64) {
    let signer = SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap();
    let memory = Memory::new();
    let signers = vec![signer.clone()].into();
    init(&memory, &signers, &description(&signer))
        .await
        .unwrap();
    let counted = Arc::new(Counts::default());
    let end = Instant::now() + duration + WARM_UP;
    let begin = Instant::now() + WARM_UP;
    let tasks = (0..writers).map(|n| {
        let store = Arc::new(Slow {
            inner: memory.clone(),
            counts: Arc::clone(&counted),
        });
        let config = Config {
            others: Others::HandOver,
            dedup_window: 1 << 16,
            ..Config::new(vec![signer.clone()])
        };
        tokio::spawn(async move {
            let mut writer = Writer::new(store, Arc::new(RealEnv(n)), config).unwrap();
            writer.start().await.unwrap();
            let mut times = Vec::new();
            for m in 0_u64.. {
                let begun = Instant::now();
                if begun >= end {
                    break;
                }
                let mut entry = format!("{n} {m} ").into_bytes();
                entry.resize(usize::try_from(bytes).unwrap(), b'.');
                let round = writer.commit(&[Pending::new(entry.into())]).await;
                match round.and_then(|round| round.receipt(0)) {
                    Ok(receipt) => assert!(!receipt.duplicate),
                    Err(error) => println!("{error}"),
                }
                if begun >= begin {
                    times.push(begun.elapsed());
                }
            }
            (times, writer.counters())
        })
    });
    let tasks: Vec<_> = tasks.collect();
    tokio::time::sleep(WARM_UP).await;
    let before = counted.read();
    tokio::time::sleep(duration).await;
    let after = counted.read();
    let mut times = Vec::new();
    let mut slots = 0;
    for outcome in join_all(tasks).await {
        let (some, counters) = outcome.unwrap();
        times.extend(some);
        slots += counters.slots;
    }
    let all_slots = memory.listing().into_keys();
    let all_slots = all_slots.filter(|name| name.contains("wal/")).count() as u64;
    assert_eq!(slots, all_slots, "each slot is somebody's");
    times.sort_unstable();
    let entries = times.len() as f64;
    let at = |part: f64| times[((entries - 1.0) * part) as usize].as_secs_f64() * 1e3;
    let per_entry = |n: usize| (after[n] - before[n]) as f64 / entries;
    let [puts, gets, lists, deletes] = [0, 1, 2, 3].map(per_entry);
    let slots_made = (after[4] - before[4]) as f64;
    println!(
        "{writers:>7} {:>10.0} {:>7.0} {:>7.0} {:>7.0} {:>7.0} |           {puts:>6.2} {gets:>6.2} {lists:>6.3} {deletes:>7.2} |          {:>6.1} | {:.2}",
        entries / duration.as_secs_f64(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        entries / slots_made,
        5.0 * (puts + lists) + 0.4 * gets,
    );
}

/// PUT, GET, LIST, DELETE, and slots that were created.
#[derive(Debug, Default)]
struct Counts([AtomicU64; 5]);

impl Counts {
    fn add(&self, kind: usize) {
        self.0[kind].fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> [u64; 5] {
        std::array::from_fn(|n| self.0[n].load(Ordering::Relaxed))
    }
}

/// Each request takes 30 ms, of which it is half under way to the store.
#[derive(Debug)]
struct Slow {
    inner: Memory,
    counts: Arc<Counts>,
}

impl Slow {
    async fn ask<T>(&self, kind: usize, request: impl Future<Output = T>) -> T {
        self.counts.add(kind);
        tokio::time::sleep(HALF).await;
        let answer = request.await;
        tokio::time::sleep(HALF).await;
        answer
    }
}

#[async_trait]
impl Store for Slow {
    async fn read(&self, path: &ObjectPath) -> Result<Option<Object>, StoreError> {
        self.ask(1, self.inner.read(path)).await
    }

    async fn read_many(&self, paths: &[ObjectPath]) -> Vec<Result<Option<Object>, StoreError>> {
        let mut answers = Vec::with_capacity(paths.len());
        for some in paths.chunks(CONNECTIONS) {
            answers.extend(join_all(some.iter().map(|path| self.read(path))).await);
        }
        answers
    }

    async fn create(&self, path: &ObjectPath, bytes: Bytes) -> Result<Created, StoreError> {
        self.ask(0, self.inner.create(path, bytes)).await
    }

    async fn create_many(
        &self,
        objects: Vec<(ObjectPath, Bytes)>,
    ) -> Vec<Result<Created, StoreError>> {
        let one =
            |(path, bytes): (ObjectPath, Bytes)| async move { self.create(&path, bytes).await };
        join_all(objects.into_iter().map(one)).await
    }

    async fn replace(
        &self,
        path: &ObjectPath,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Replaced, StoreError> {
        self.ask(0, self.inner.replace(path, expected, bytes)).await
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.ask(3, self.inner.remove(path)).await
    }

    async fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.ask(2, self.inner.list(root, prefix, after, limit))
            .await
    }

    async fn create_slot(&self, start: u64, bytes: Bytes) -> Result<SlotCreated, StoreError> {
        let made = self.ask(0, self.inner.create_slot(start, bytes)).await;
        if let Ok(SlotCreated::Created) = made {
            self.counts.add(4);
        }
        made
    }

    async fn read_slot(&self, start: u64) -> Result<Option<Bytes>, StoreError> {
        self.ask(1, self.inner.read_slot(start)).await
    }

    async fn read_slot_head(
        &self,
        start: u64,
        max_len: usize,
    ) -> Result<Option<Bytes>, StoreError> {
        self.ask(1, self.inner.read_slot_head(start, max_len)).await
    }

    async fn slots(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        self.ask(2, self.inner.slots(from, limit)).await
    }

    async fn floor(&self) -> Result<u64, StoreError> {
        // An object store has none: nothing is asked.
        self.inner.floor().await
    }

    async fn raise_floor(&self, floor: u64) -> Result<(), StoreError> {
        self.inner.raise_floor(floor).await
    }

    async fn remove_slot(&self, start: u64) -> Result<(), StoreError> {
        self.inner.remove_slot(start).await
    }

    async fn sync(&self, _: &[ObjectPath]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn rebuild(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError> {
        self.inner.rebuild(path, bytes).await
    }

    fn condition(&self) -> Condition {
        self.inner.condition()
    }

    async fn recovered(&self) -> Result<(), StoreError> {
        self.inner.recovered().await
    }
}

#[derive(Debug)]
struct RealEnv(u64);

impl Env for RealEnv {
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::try_from(since.unwrap().as_millis()).unwrap()
    }

    fn random(&self) -> [u8; 16] {
        use std::hash::{BuildHasher, RandomState};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let state = RandomState::new();
        let one = state.hash_one((self.0, NEXT.fetch_add(1, Ordering::Relaxed)));
        (u128::from(one) << 64 | u128::from(state.hash_one(one))).to_be_bytes()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

fn description(signer: &SigningKey) -> LogDescription {
    LogDescription {
        format: LogDescription::FORMAT,
        origin: "log.example".to_owned(),
        keys: vec![signer.verifier().to_string()],
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

const HALF: Duration = Duration::from_millis(15);
const WARM_UP: Duration = Duration::from_secs(3);
/// Requests that one process has under way at one time.
const CONNECTIONS: usize = 256;
