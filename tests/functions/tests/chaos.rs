//! Many processes at one time, which are killed and stopped at will, over a store that fails as stores do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tegula_client::{CheckpointMemory, DirectorySource, FsckOptions, Reader};
use tegula_function_tests::{Function, Invoked, answer, key, request};
use tegula_s3_stand_in::{Asked, Fault, StandIn, oracle};
use tegula_tlog::Policy;
use tokio::time::{Instant, sleep, timeout};

/// Who uploads; the next one sweeps.
const PROCESSES: usize = 64;
/// Some sleep for minutes, and wake with what they knew then.
const LONG_SLEEP: Duration = Duration::from_secs(125);
const RUN: Duration = Duration::from_secs(140);
const ENOUGH: u64 = 3_000;

/// What happened, for all tasks.
#[derive(Debug, Default)]
struct World {
    /// Of each process, as long as it is meant to run.
    pids: Vec<AtomicU32>,
    acknowledged: Mutex<HashMap<String, u64>>,
    count: AtomicU64,
    over: AtomicBool,
}

/// Numbers that look random, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn sixty_four_processes_lose_nothing_and_log_nothing_twice() {
    let stand_in = Arc::new(StandIn::start().await);
    let mut maintain = Function::start("maintain", &stand_in, &[]).await;
    let made = maintain
        .invoke(json!({"action": "init", "raw": true}))
        .await;
    assert!(matches!(made, Invoked::Answered(_)), "{made:?}");
    stand_in.keep_versions("log-public", "checkpoint");
    let n = AtomicU64::new(0);
    stand_in.decide(move |asked| weather(n.fetch_add(1, Ordering::Relaxed), asked));
    let world = Arc::new(World {
        pids: (0..=PROCESSES).map(|_| AtomicU32::new(0)).collect(),
        ..World::default()
    });
    let uploads: Vec<_> = (0..PROCESSES)
        .map(|n| tokio::spawn(upload(n, Arc::clone(&world), Arc::clone(&stand_in))))
        .collect();
    let sweeping = tokio::spawn(sweep(Arc::clone(&world), Arc::clone(&stand_in)));
    let troubles = trouble(&world).await;
    world.over.store(true, Ordering::Relaxed);
    let sleepers: Vec<Function> = join_all(uploads)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    let rounds = sweeping.await.unwrap();
    // Whoever slept goes on: what it had begun, and then something new.
    let woken = sleepers.len();
    join_all(
        sleepers
            .into_iter()
            .enumerate()
            .map(|(n, sleeper)| wake(n, sleeper, &world)),
    )
    .await;
    stand_in.decide(|_| None);
    check(&world, &stand_in).await;
    let acknowledged = world.acknowledged.lock().unwrap().len();
    println!(
        "{acknowledged} uploads by {PROCESSES} processes, {troubles:?} killed and stopped, {woken} woken, {rounds} sweeps"
    );
    assert!(woken > 0, "nobody slept for long");
}

/// Of every hundred requests some fail; and now and then all of them do, for a while.
fn weather(n: u64, asked: &Asked) -> Option<Fault> {
    if n % 2_000 < 60 {
        return Some(Fault::Refuse(503, "SlowDown"));
    }
    match (n % 97, asked.what) {
        (5, "PUT") => Some(Fault::Lose),
        (17, "PUT") => Some(Fault::RefuseButDo(503, "SlowDown")),
        (29, "PUT") => Some(Fault::Refuse(409, "ConditionalRequestConflict")),
        (41, "PUT") => Some(Fault::Drop),
        (53, _) => Some(Fault::Refuse(500, "InternalError")),
        (67, _) => Some(Fault::Slow(Duration::from_millis(150))),
        (79, "PUT") => Some(Fault::Slow(Duration::from_secs(12))),
        _ => None,
    }
}

/// A client that uploads one entry after the other, each until it has an answer; where the process it asks ends, or is silent for as long as
/// the API waits, it asks another one.
async fn upload(n: usize, world: Arc<World>, stand_in: Arc<StandIn>) -> Vec<Function> {
    let mut sleepers = Vec::new();
    let mut function = start("upload", n, &world, &stand_in).await;
    let mut m = 0;
    while !world.over.load(Ordering::Relaxed) {
        let entry = format!("{n} {m}");
        m += 1;
        loop {
            let asked = function.invoke(request("POST", "/add", entry.as_bytes()));
            match timeout(Duration::from_secs(30), asked).await {
                Ok(Invoked::Lost) => function = start("upload", n, &world, &stand_in).await,
                Err(_silent) => {
                    let another = start("upload", n, &world, &stand_in).await;
                    sleepers.push(std::mem::replace(&mut function, another));
                }
                Ok(answered) => {
                    let (status, body) =
                        answer(&answered).unwrap_or_else(|| panic!("{answered:?}"));
                    if status == 200 {
                        acknowledge(&world, &entry, &body);
                        break;
                    }
                    assert!(
                        status == 503 || status == 429,
                        "{status} {}",
                        String::from_utf8_lossy(&body)
                    );
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    world.pids[n].store(0, Ordering::Relaxed);
    sleepers
}

fn acknowledge(world: &World, entry: &str, index: &[u8]) {
    let index = std::str::from_utf8(index).unwrap().parse().unwrap();
    let before = world
        .acknowledged
        .lock()
        .unwrap()
        .insert(entry.to_owned(), index);
    assert!(
        before.is_none_or(|before| before == index),
        "{entry}: {before:?} and {index}"
    );
    world.count.fetch_add(1, Ordering::Relaxed);
}

async fn start(name: &str, n: usize, world: &World, stand_in: &StandIn) -> Function {
    let function = Function::start(name, stand_in, &[]).await;
    world.pids[n].store(function.pid(), Ordering::Relaxed);
    function
}

/// The schedule, faster than any.
async fn sweep(world: Arc<World>, stand_in: Arc<StandIn>) -> u64 {
    let mut function = start("maintain", PROCESSES, &world, &stand_in).await;
    let mut rounds = 0;
    while !world.over.load(Ordering::Relaxed) {
        match function.invoke(json!({"action": "tidy"})).await {
            Invoked::Lost => function = start("maintain", PROCESSES, &world, &stand_in).await,
            // What failed is tried again by the next one; but nothing is damaged.
            Invoked::Failed(error) => {
                assert!(!error.to_string().contains("damaged"), "{error}");
            }
            Invoked::Answered(_) => rounds += 1,
        }
        sleep(Duration::from_millis(500)).await;
    }
    world.pids[PROCESSES].store(0, Ordering::Relaxed);
    rounds
}

/// Kills and stops processes; how many of each.
async fn trouble(world: &World) -> (u64, u64) {
    let mut random = Random(1);
    let begun = Instant::now();
    let mut asleep: Vec<(u32, Instant)> = Vec::new();
    let (mut killed, mut stopped, mut long) = (0, 0, 0);
    while begun.elapsed() < RUN || world.count.load(Ordering::Relaxed) < ENOUGH {
        sleep(Duration::from_millis(100 + random.below(200))).await;
        let now = Instant::now();
        let (due, rest) = asleep.into_iter().partition(|(_, until)| *until <= now);
        asleep = rest;
        let due: Vec<(u32, Instant)> = due;
        due.iter().for_each(|(pid, _)| signal(*pid, Signal::CONT));
        let n = usize::try_from(random.below(PROCESSES as u64 + 1)).unwrap();
        let pid = world.pids[n].load(Ordering::Relaxed);
        if pid == 0 || asleep.iter().any(|(asleep, _)| *asleep == pid) {
            continue;
        }
        match random.below(8) {
            0 if long < 6 && n < PROCESSES && begun.elapsed() < RUN - LONG_SLEEP => {
                long += 1;
                signal(pid, Signal::STOP);
                asleep.push((pid, now + LONG_SLEEP));
            }
            0..3 => {
                stopped += 1;
                signal(pid, Signal::STOP);
                asleep.push((pid, now + Duration::from_millis(100 + random.below(4_000))));
            }
            _ => {
                killed += 1;
                signal(pid, Signal::KILL);
            }
        }
    }
    for (pid, until) in asleep {
        tokio::time::sleep_until(until).await;
        signal(pid, Signal::CONT);
    }
    (killed, stopped + long)
}

/// A process that has ended meanwhile has had its signal; its id is not given out again so soon.
fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap_or_default();
}

async fn wake(n: usize, mut sleeper: Function, world: &World) {
    let entry = format!("woken {n}");
    let asked = sleeper.invoke(request("POST", "/add", entry.as_bytes()));
    // It may have been killed, too.
    if let Ok(answered) = timeout(Duration::from_secs(60), asked).await
        && let Some((200, body)) = answer(&answered)
    {
        acknowledge(world, &entry, &body);
    }
}

/// The log has every acknowledged entry, once and where it was said; every checkpoint ever published is one of its beginnings; and all
/// of it can be read.
async fn check(world: &World, stand_in: &StandIn) {
    let mut last = Function::start("maintain", stand_in, &[]).await;
    let settled = last.invoke(json!({"action": "tidy"})).await;
    assert!(matches!(settled, Invoked::Answered(_)), "{settled:?}");
    oracle::check(
        stand_in,
        &key().verifier(),
        &world.acknowledged.lock().unwrap(),
    );
    assert!(stand_in.versions("log-public", "checkpoint").len() > 100);
    let copy = tempfile::tempdir().unwrap();
    for name in stand_in.keys() {
        if let Some(path) = name.strip_prefix("log-public/") {
            let file = copy.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, stand_in.get("log-public", path).unwrap()).unwrap();
        }
    }
    fsck(copy.path()).await;
}

async fn fsck(copy: &Path) {
    let source = Arc::new(DirectorySource::new(copy).unwrap());
    let policy = Policy::from_log_keys(vec![key().verifier()]);
    let reader = Reader::new(source, policy, None, CheckpointMemory::in_process());
    let checkpoint = reader.checkpoint().await.unwrap();
    let options = FsckOptions {
        threads: 2,
        elapsed: Arc::new(|| Duration::ZERO),
    };
    let report = reader.fsck(&checkpoint, options, |_| ()).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.entries, checkpoint.size().get());
}
