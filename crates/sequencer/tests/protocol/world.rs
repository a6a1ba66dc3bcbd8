//! Writers as tasks in one thread: which one runs next, what time it is and which request
//! fails follows from a seed.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tegula_sequencer::{
    Config, Env, Error, Others, Pending, Tidy, TidyOptions, Writer, init, rebuild,
};
use tegula_storage::{Condition, Controller, Fate, Faulty, Operation, OperationKind, Store};
use tegula_tlog::{Limits, LogDescription, SigningKey};

use crate::bottom::{self, Bottom};
use crate::oracle::Oracle;
use crate::spy::{Broken, Place, Spy};

/// Everything in one simulation.
pub(crate) struct World {
    pub(crate) memory: Bottom,
    pub(crate) oracle: Arc<Mutex<Oracle>>,
    pub(crate) shared: Arc<Mutex<Shared>>,
    pub(crate) config: Config,
    broken: Option<Broken>,
}

/// What all tasks share.
pub(crate) struct Shared {
    pub(crate) random: Random,
    pub(crate) now_ms: u64,
    /// Faults of 1,000 operations; 0 for calm.
    pub(crate) fault_rate: usize,
    /// Whether reads may be short or flipped.
    pub(crate) damage: bool,
    /// Batches that nobody works on.
    pub(crate) batches: VecDeque<Vec<Bytes>>,
    pub(crate) unanswered: usize,
    /// Requests that were answered, or given up, before they reached the store.
    pub(crate) delayed: Vec<BoxFuture<'static, ()>>,
    /// Writers that stopped, and why.
    pub(crate) stopped: Vec<String>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// The key of every log here.
pub(crate) fn signer() -> SigningKey {
    SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap()
}

impl World {
    /// A new log.
    pub(crate) fn new(seed: u64, broken: Option<Broken>) -> Self {
        let signer = signer();
        let description = LogDescription {
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
        };
        let world = Self {
            memory: Bottom::new(),
            oracle: Arc::new(Mutex::new(Oracle::new(vec![signer.verifier()]))),
            shared: Arc::new(Mutex::new(Shared {
                random: Random(seed),
                now_ms: 1_767_225_600_000,
                fault_rate: 0,
                damage: false,
                batches: VecDeque::new(),
                unanswered: 0,
                delayed: Vec::new(),
                stopped: Vec::new(),
            })),
            config: Config {
                dedup_window: 1 << 16,
                ..Config::new(vec![signer])
            },
            broken,
        };
        let store = bottom::store(&world.memory);
        let made = init(store.as_ref(), &world.config.signers, &description);
        now_or_never(made).unwrap();
        world
    }

    /// The store as a process sees it.
    pub(crate) fn store(&self, controller: Arc<dyn Controller>) -> Arc<dyn Store> {
        let spy = |inner: Arc<dyn Store>, place| Spy {
            inner,
            place,
            memory: self.memory.clone(),
            oracle: Arc::clone(&self.oracle),
            broken: self.broken,
        };
        let effect = spy(bottom::store(&self.memory), Place::Effect);
        let faulty = Faulty::new(Arc::new(effect), controller);
        Arc::new(spy(Arc::new(faulty), Place::Intent))
    }

    pub(crate) fn weather(&self) -> Arc<dyn Controller> {
        Arc::new(Weather(Arc::clone(&self.shared)))
    }

    pub(crate) fn env(&self, skew_ms: i64) -> Arc<dyn Env> {
        let shared = Arc::clone(&self.shared);
        Arc::new(Clock { shared, skew_ms })
    }

    /// A process that commits batches until there are none, and ends where its writer stops.
    pub(crate) fn process(&self, skew_ms: i64, others: Others) -> BoxFuture<'static, ()> {
        let store = self.store(self.weather());
        let config = Config {
            others,
            ..self.config.clone()
        };
        let writer = Writer::new(store, self.env(skew_ms), config).unwrap();
        serve(writer, Arc::clone(&self.shared), Arc::clone(&self.oracle)).boxed()
    }

    /// A process that does one round of housekeeping.
    pub(crate) fn tidy(&self, options: TidyOptions) -> BoxFuture<'static, ()> {
        let keys = self.config.signers.verifiers().to_vec();
        let mut tidy = Tidy::new(self.store(self.weather()), self.env(0), keys);
        let shared = Arc::clone(&self.shared);
        let calm = shared.lock().unwrap().fault_rate == 0;
        async move {
            let report = tidy.round(options).await;
            let problem = match report {
                Ok(report) if report.damaged.is_empty() && report.failed.is_empty() => return,
                Ok(report) => [report.damaged, report.failed].concat().join("; "),
                Err(error) => error.to_string(),
            };
            // Begun in calm, what it finds damaged is damaged.
            if calm {
                let why = format!("housekeeping: {problem}");
                shared.lock().unwrap().stopped.push(why);
            }
        }
        .boxed()
    }

    /// What the one process does that enters a store after a power cut.
    pub(crate) fn recovery(&self) -> BoxFuture<'static, ()> {
        let store = self.store(Arc::new(Calm));
        let config = self.config.clone();
        let shared = Arc::clone(&self.shared);
        async move {
            let log_id = config.signers.first().unwrap().full_key_id();
            let rebuilt = rebuild(store.as_ref(), &config, log_id).await;
            match rebuilt {
                Ok(_) => store.recovered().await.unwrap(),
                Err(error) => shared.lock().unwrap().stopped.push(error.to_string()),
            }
        }
        .boxed()
    }

    pub(crate) fn is_clean(&self) -> bool {
        bottom::store(&self.memory).condition() == Condition::Clean
    }
}

async fn serve(mut writer: Writer, shared: Arc<Mutex<Shared>>, oracle: Arc<Mutex<Oracle>>) {
    loop {
        let Some(job) = Job::take(&shared) else {
            Turns(3).await;
            continue;
        };
        let pending: Vec<_> = job.batch.iter().cloned().map(Pending::new).collect();
        match writer.commit(&pending).await {
            Ok(round) => {
                let mut oracle = oracle.lock().unwrap();
                for (n, entry) in job.batch.iter().enumerate() {
                    match round.receipt(n) {
                        Ok(receipt) => oracle.acknowledged(entry, &receipt),
                        Err(error) => oracle.violations.push(format!("I2: {error}")),
                    }
                }
                job.done();
            }
            Err(Error::Unavailable(_) | Error::Overloaded { .. }) => {
                drop(job);
                Turns(5).await;
            }
            Err(error) => {
                shared.lock().unwrap().stopped.push(error.to_string());
                return;
            }
        }
    }
}

/// A batch in work. Dropped, as in a crash, it is submitted again: the client got no answer.
struct Job {
    batch: Vec<Bytes>,
    shared: Arc<Mutex<Shared>>,
}

impl Job {
    fn take(shared: &Arc<Mutex<Shared>>) -> Option<Self> {
        let batch = shared.lock().unwrap().batches.pop_front()?;
        let shared = Arc::clone(shared);
        Some(Self { batch, shared })
    }

    fn done(mut self) {
        self.batch.clear();
        self.shared.lock().unwrap().unanswered -= 1;
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.batch.is_empty() {
            let batch = std::mem::take(&mut self.batch);
            self.shared.lock().unwrap().batches.push_back(batch);
        }
    }
}

/// A clock that goes by turns, and no true randomness.
#[derive(Debug)]
struct Clock {
    shared: Arc<Mutex<Shared>>,
    skew_ms: i64,
}

impl Env for Clock {
    fn now_ms(&self) -> u64 {
        let now = self.shared.lock().unwrap().now_ms;
        now.saturating_add_signed(self.skew_ms)
    }

    fn random(&self) -> [u8; 16] {
        let random = &mut self.shared.lock().unwrap().random;
        let (high, low) = (random.next(), random.next());
        (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        let most = usize::try_from(duration.as_millis() / 10).unwrap().max(1);
        let turns = self.shared.lock().unwrap().random.below(most);
        Turns(turns).boxed()
    }
}

/// Faults drawn from the world's seed.
#[derive(Debug)]
struct Weather(Arc<Mutex<Shared>>);

impl Controller for Weather {
    fn decide(&self, operation: &Operation) -> Fate {
        let mut shared = self.0.lock().unwrap();
        let (rate, damage) = (shared.fault_rate, shared.damage);
        let random = &mut shared.random;
        if random.below(1000) >= rate {
            return Fate::Slow(Turns(random.below(4)).boxed());
        }
        let kind = random.below(12);
        let bit = random.below(1 << 20);
        match (operation.kind.is_write(), kind) {
            (_, 0) => Fate::Refuse,
            (_, 1 | 2) => Fate::Lose,
            // A sleeper.
            (_, 3) => Fate::Slow(Turns(20 + random.below(400)).boxed()),
            (true, 4) => Fate::Conflict,
            (true, 5) => Fate::DiskFull,
            (true, 6 | 7) => Fate::RefuseButApply,
            (true, 8) => Fate::Delay,
            (true, 9) => Fate::Twice,
            (true, 10) => Fate::Resend,
            // An fsync that fails ends the process.
            (true, _) if operation.kind == OperationKind::CreateSlot => Fate::Fail,
            (false, 4) if damage => Fate::ShortRead,
            (false, 5) if damage => Fate::FlipBit(bit),
            _ => Fate::Pass,
        }
    }

    fn later(&self, _: &Operation, rest: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().delayed.push(rest);
    }
}

/// No faults and no waiting.
#[derive(Debug)]
pub(crate) struct Calm;

impl Controller for Calm {
    fn decide(&self, _: &Operation) -> Fate {
        Fate::Pass
    }

    fn later(&self, _: &Operation, _: BoxFuture<'static, ()>) {}
}

/// Waits for so many polls.
pub(crate) struct Turns(pub(crate) usize);

impl Future for Turns {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        // Whoever waits for several looks only at those that called.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls once; whether it is done.
pub(crate) fn poll(task: &mut BoxFuture<'static, ()>) -> bool {
    let _reach = bottom::reach();
    let mut context = Context::from_waker(Waker::noop());
    task.as_mut().poll(&mut context).is_ready()
}

/// The value of a future that, without faults, never waits for anybody else.
pub(crate) fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let _reach = bottom::reach();
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("a future waits for something that does not come");
}

/// `SplitMix64`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
