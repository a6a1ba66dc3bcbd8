//! Thousands of seeds. Each is a log with three writers that lives through faults, crashes, sleepers, housekeeping and
//! power cuts, and then through a calm, in which every batch has to be answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tegula_sequencer::{Keep, Others, TidyOptions, Writer};

use crate::bottom::{EACH_OF, POWER_IS_CUT};
use crate::spy::Broken;
use crate::world::{Calm, Random, World, now_or_never, poll};

#[test]
fn every_seed_keeps_the_invariants() {
    let seeds = seeds();
    let next = AtomicU64::new(seeds.start);
    let published = AtomicUsize::new(0);
    let taken_along = AtomicUsize::new(0);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failures.lock().unwrap().len() >= ENOUGH {
                        return;
                    }
                    match outcome(seed, None) {
                        Ok((publications, others)) => {
                            published.fetch_add(publications, Ordering::Relaxed);
                            taken_along.fetch_add(others, Ordering::Relaxed);
                        }
                        Err(why) => failures.lock().unwrap().push((seed, why)),
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    for (seed, why) in failures.iter().take(ENOUGH) {
        println!("TEGULA_SEED={seed} fails:\n{why}");
    }
    assert!(failures.is_empty(), "seeds fail, of {seeds:?}");
    let count = seeds.end - seeds.start;
    println!(
        "{count} seeds, {} checkpoints published, {} batches taken along by others",
        published.into_inner(),
        taken_along.load(Ordering::Relaxed)
    );
    assert!(
        count < 100 || taken_along.into_inner() > 0,
        "nothing was ever handed over"
    );
}

/// What one seed comes to: how many checkpoints were published, and batches taken along; or what was violated.
pub(crate) fn outcome(seed: u64, broken: Option<Broken>) -> Result<(usize, usize), String> {
    let run = catch_unwind(AssertUnwindSafe(|| Simulation::new(seed, broken).run()));
    run.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.unwrap_or_else(|| "a task panicked".to_owned()))
    })
}

struct Simulation {
    world: World,
    /// Writers; `None` is one that crashed.
    processes: Vec<Option<BoxFuture<'static, ()>>>,
    /// Requests on their way, housekeeping, recovery.
    others: Vec<BoxFuture<'static, ()>>,
    recovery: Option<BoxFuture<'static, ()>>,
    manners: Option<Others>,
    power_cuts: usize,
    random: Random,
}

impl Simulation {
    fn new(seed: u64, broken: Option<Broken>) -> Self {
        let world = World::new(seed, broken);
        let mut random = Random(seed ^ 0x5eed);
        let mut batches: Vec<Vec<Bytes>> = Vec::new();
        let mut next = 0;
        for at in 0..4 + random.below(8) {
            // The first one brings the log near the end of a tile.
            let len = if at == 0 {
                random.below(300)
            } else {
                random.below(12)
            };
            let batch = (0..=len).map(|_| {
                let again = next > 0 && random.one_in(8);
                let n = if again { random.below(next) } else { next };
                next = next.max(n + 1);
                Bytes::from(format!("entry {n}"))
            });
            batches.push(batch.collect());
        }
        let mut shared = world.shared.lock().unwrap();
        shared.unanswered = batches.len();
        shared.batches = batches.into();
        shared.fault_rate = [0, 20, 60, 150][random.below(4)];
        shared.damage = random.one_in(2);
        drop(shared);
        Self {
            processes: vec![None, None, None],
            others: Vec::new(),
            recovery: None,
            manners: [None, Some(Others::Compete), Some(Others::HandOver)][random.below(3)],
            power_cuts: if random.one_in(3) && POWER_IS_CUT {
                1 + random.below(2)
            } else {
                0
            },
            world,
            random,
        }
    }

    fn run(mut self) -> Result<(usize, usize), String> {
        for step in 0..STEPS {
            if step == CALM_AT {
                self.calm();
            }
            self.step(step < CALM_AT);
            let oracle = self.world.oracle.lock().unwrap();
            if !oracle.violations.is_empty() {
                let few: Vec<_> = oracle.violations.iter().take(5).cloned().collect();
                return Err(format!("step {step}: {}", few.join("\n")));
            }
            drop(oracle);
            self.check_stops()?;
            let answered = self.world.shared.lock().unwrap().unanswered == 0;
            if answered && (step > CALM_AT || self.power_cuts == 0 && self.random.one_in(200)) {
                return self.finish();
            }
        }
        let unanswered = self.world.shared.lock().unwrap().unanswered;
        Err(format!("L: {unanswered} batches are not answered"))
    }

    fn calm(&mut self) {
        self.power_cuts = 0;
        let mut shared = self.world.shared.lock().unwrap();
        shared.fault_rate = 0;
        // What is still on its way may be lost for good.
        let delayed = std::mem::take(&mut shared.delayed);
        self.others
            .extend(delayed.into_iter().filter(|_| self.random.one_in(2)));
    }

    fn step(&mut self, stormy: bool) {
        self.world.shared.lock().unwrap().now_ms += 5;
        if let Some(recovery) = &mut self.recovery {
            if self.power_cuts > 0 && self.random.one_in(60) {
                self.cut_power();
            } else if poll(recovery) {
                self.recovery = None;
            }
            return;
        }
        let stormy = stormy && self.world.shared.lock().unwrap().fault_rate > 0;
        if stormy {
            self.disturb();
            if self.recovery.is_some() {
                return;
            }
        }
        if self.random.one_in(150) {
            let options = TidyOptions {
                keep: Keep::Leaves([0, 16, 1000][self.random.below(3)]),
                partial_age: Duration::from_millis(1 + self.random.next() % 3000),
                check_bundles: 2,
                ..TidyOptions::default()
            };
            let tidy = self.world.tidy(options);
            self.others.push(tidy);
        }
        if self.random.one_in(4) && !self.others.is_empty() {
            let at = self.random.below(self.others.len());
            if poll(&mut self.others[at]) {
                drop(self.others.swap_remove(at));
            }
            return;
        }
        let at = self.random.below(self.processes.len());
        if let Some(process) = &mut self.processes[at] {
            if poll(process) {
                self.processes[at] = None;
            }
        } else if self.random.one_in(10) {
            // Clocks differ by up to a minute.
            let skew = i64::try_from(self.random.below(120_000)).unwrap() - 60_000;
            // In one world all compete, in another they hand over, in a third each does as it likes.
            let others = match self.manners {
                Some(others) => others,
                None => MANNERS[self.random.below(3)],
            };
            self.processes[at] = Some(self.world.process(skew, others));
        }
    }

    fn disturb(&mut self) {
        if self.random.one_in(400) {
            let at = self.random.below(self.processes.len());
            self.processes[at] = None;
        }
        if self.random.one_in(30) {
            let delayed = &mut self.world.shared.lock().unwrap().delayed;
            if !delayed.is_empty() {
                let at = self.random.below(delayed.len());
                self.others.push(delayed.swap_remove(at));
            }
        }
        if self.power_cuts > 0 && self.random.one_in(700) {
            self.cut_power();
        }
    }

    /// Everything in flight is gone, and what was not synced may be.
    fn cut_power(&mut self) {
        self.power_cuts -= 1;
        self.processes.fill_with(|| None);
        self.others.clear();
        self.recovery = None;
        self.world.shared.lock().unwrap().delayed.clear();
        self.world.memory.power_cut(self.random.next());
        let mut oracle = self.world.oracle.lock().unwrap();
        oracle.power_cut(&self.world.memory);
        drop(oracle);
        if !self.world.is_clean() {
            self.recovery = Some(self.world.recovery());
        }
    }

    /// A writer stops only for bytes that were read wrong three times, or for a disk that failed.
    fn check_stops(&self) -> Result<(), String> {
        let mut shared = self.world.shared.lock().unwrap();
        let excused = |why: &String| why.starts_with("storage failed") || shared.damage;
        if let Some(why) = shared.stopped.iter().find(|why| !excused(why)) {
            return Err(format!("L: a writer stopped: {why}"));
        }
        shared.stopped.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(usize, usize), String> {
        self.processes.clear();
        self.others.clear();
        if let Some(recovery) = self.recovery.take() {
            now_or_never(recovery);
        }
        // A power cut takes a checkpoint that was not synced; whoever starts publishes it again.
        let store = self.world.store(Arc::new(Calm));
        let mut writer = Writer::new(store, self.world.env(0), self.world.config.clone()).unwrap();
        now_or_never(writer.start()).map_err(|error| format!("L: at the end: {error}"))?;
        let mut oracle = self.world.oracle.lock().unwrap();
        oracle.finish(&self.world.memory);
        if oracle.violations.is_empty() {
            Ok((oracle.publications, oracle.taken_along))
        } else {
            Err(format!("at the end: {}", oracle.violations.join("\n")))
        }
    }
}

/// `TEGULA_SEED` runs one seed, `TEGULA_SEEDS` so many of them.
#[expect(
    clippy::disallowed_methods,
    reason = "how many seeds to run is said by who runs the test"
)]
fn seeds() -> std::ops::Range<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    if let Some(seed) = number("TEGULA_SEED") {
        return seed..seed + 1;
    }
    0..number("TEGULA_SEEDS").unwrap_or(200).div_ceil(EACH_OF)
}

const MANNERS: [Others; 3] = [Others::Compete, Others::TakeAlong, Others::HandOver];
/// Failures after which no more seeds are begun.
const ENOUGH: usize = 5;
const CALM_AT: usize = 3_000;
const STEPS: usize = 12_000;
