use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;

use super::{Controller, Fate, Operation, OperationKind};
use crate::random::Random;

/// A controller that gives given operations given fates, and lets all others pass.
///
/// ```
/// use tegula_storage::{Fate, OperationKind, Script};
///
/// // The answer to the second slot is lost.
/// let script = Script::new();
/// script.add(OperationKind::CreateSlot, 1, Fate::RefuseButApply);
/// ```
#[derive(Debug, Default)]
pub struct Script {
    rules: Mutex<Vec<Rule>>,
    held: Arc<Held>,
}

impl Script {
    /// A script in which everything passes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `fate` to one operation of `kind`, after `skip` others of that kind passed by.
    pub fn add(&self, kind: OperationKind, skip: u64, fate: Fate) {
        self.add_at(kind, "", skip, fate);
    }

    /// Likewise, of the operations on a path that contains `part`.
    pub fn add_at(&self, kind: OperationKind, part: &str, skip: u64, fate: Fate) {
        lock(&self.rules).push(Rule {
            kind,
            part: part.to_owned(),
            skip,
            fate,
        });
    }

    /// How many rules have not been met yet.
    pub fn left(&self) -> usize {
        lock(&self.rules).len()
    }

    /// The operations that were delayed.
    pub fn held(&self) -> &Arc<Held> {
        &self.held
    }
}

#[derive(Debug)]
struct Rule {
    kind: OperationKind,
    part: String,
    skip: u64,
    fate: Fate,
}

impl Controller for Script {
    fn decide(&self, operation: &Operation) -> Fate {
        let mut rules = lock(&self.rules);
        let mut due = None;
        for (at, rule) in rules.iter_mut().enumerate() {
            if rule.kind != operation.kind || !operation.path.contains(&rule.part) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if due.is_none() {
                due = Some(at);
            }
        }
        due.map_or(Fate::Pass, |at| rules.remove(at).fate)
    }

    fn later(&self, operation: &Operation, rest: BoxFuture<'static, ()>) {
        self.held.push(operation, rest);
    }
}

/// A controller that draws the fate of each operation: the same seed, rates and operations give
/// the same fates.
#[derive(Debug)]
pub struct Seeded {
    rates: Mutex<Rates>,
    drawn: Mutex<Drawn>,
    held: Arc<Held>,
}

impl Seeded {
    /// Faults at these rates.
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self {
            rates: Mutex::new(rates),
            drawn: Mutex::new(Drawn {
                random: Random::new(seed),
                burst: 0,
            }),
            held: Arc::default(),
        }
    }

    /// Other rates from now on; [`Rates::NONE`] for calm.
    pub fn change(&self, rates: Rates) {
        *lock(&self.rates) = rates;
    }

    /// The operations that were delayed.
    pub fn held(&self) -> &Arc<Held> {
        &self.held
    }
}

#[derive(Debug)]
struct Drawn {
    random: Random,
    /// How many more operations are refused in a row.
    burst: usize,
}

impl Controller for Seeded {
    fn decide(&self, operation: &Operation) -> Fate {
        let rates = *lock(&self.rates);
        let mut drawn = lock(&self.drawn);
        let Drawn { random, burst } = &mut *drawn;
        if rates.burst > 0 && *burst > 0 {
            *burst -= 1;
            return Fate::Lose;
        }
        let mut draw = random.below(1000);
        let mut hit = |rate: u16| {
            let hit = draw < usize::from(rate);
            draw = draw.wrapping_sub(rate.into());
            hit
        };
        if hit(rates.burst) {
            *burst = random.below(BURST);
            Fate::Lose
        } else if hit(rates.slow) {
            let turns = random.below(SLOW_TURNS);
            Fate::Slow(Box::pin(async move {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }))
        } else if !operation.kind.is_write() {
            if hit(rates.refuse) {
                Fate::Refuse
            } else if hit(rates.lose) {
                Fate::Lose
            } else if hit(rates.short_read) {
                Fate::ShortRead
            } else if hit(rates.flip_bit) {
                Fate::FlipBit(random.below(usize::MAX))
            } else {
                Fate::Pass
            }
        } else if hit(rates.refuse) {
            Fate::Refuse
        } else if hit(rates.lose) {
            Fate::Lose
        } else if hit(rates.conflict) {
            Fate::Conflict
        } else if hit(rates.disk_full) {
            Fate::DiskFull
        } else if hit(rates.refuse_but_apply) {
            Fate::RefuseButApply
        } else if hit(rates.delay) {
            Fate::Delay
        } else if hit(rates.twice) {
            Fate::Twice
        } else if hit(rates.resend) {
            Fate::Resend
        } else {
            Fate::Pass
        }
    }

    fn later(&self, operation: &Operation, rest: BoxFuture<'static, ()>) {
        self.held.push(operation, rest);
    }
}

/// How many of 1,000 operations have each fate. Together they are at most 1,000 for reads, and for
/// writes; what is beyond never comes.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Rates {
    /// [`Fate::Refuse`].
    pub refuse: u16,
    /// [`Fate::Lose`].
    pub lose: u16,
    /// [`Fate::Conflict`], of writes.
    pub conflict: u16,
    /// [`Fate::DiskFull`], of writes.
    pub disk_full: u16,
    /// [`Fate::RefuseButApply`], of writes.
    pub refuse_but_apply: u16,
    /// [`Fate::Delay`], of writes.
    pub delay: u16,
    /// [`Fate::Twice`], of writes.
    pub twice: u16,
    /// [`Fate::Resend`], of writes.
    pub resend: u16,
    /// [`Fate::Slow`], by up to 16 turns of the other tasks.
    pub slow: u16,
    /// A run of up to 8 operations that are all lost.
    pub burst: u16,
    /// [`Fate::ShortRead`], of reads.
    pub short_read: u16,
    /// [`Fate::FlipBit`], of reads.
    pub flip_bit: u16,
}

impl Rates {
    /// No faults at all.
    pub const NONE: Self = Self::each(0);

    /// The same rate for each fault.
    pub const fn each(rate: u16) -> Self {
        Self {
            refuse: rate,
            lose: rate,
            conflict: rate,
            disk_full: rate,
            refuse_but_apply: rate,
            delay: rate,
            twice: rate,
            resend: rate,
            slow: rate,
            burst: rate,
            short_read: rate,
            flip_bit: rate,
        }
    }
}

/// Operations that were begun and have not reached the store yet.
#[derive(Default)]
pub struct Held {
    waiting: Mutex<Vec<(Operation, BoxFuture<'static, ()>)>>,
}

impl Held {
    /// How many wait.
    pub fn len(&self) -> usize {
        lock(&self.waiting).len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What waits, in the order in which it was begun, but for what [`take`](Self::take) took.
    pub fn operations(&self) -> Vec<Operation> {
        let waiting = lock(&self.waiting);
        waiting
            .iter()
            .map(|(operation, _)| operation.clone())
            .collect()
    }

    /// Takes out the one at `at`, to be awaited or dropped.
    pub fn take(&self, at: usize) -> Option<(Operation, BoxFuture<'static, ()>)> {
        let mut waiting = lock(&self.waiting);
        (at < waiting.len()).then(|| waiting.remove(at))
    }

    /// Lets all that wait reach the store, in order; says how many they were.
    pub async fn run(&self) -> usize {
        let mut count = 0;
        while let Some((_, rest)) = self.take(0) {
            rest.await;
            count += 1;
        }
        count
    }

    fn push(&self, operation: &Operation, rest: BoxFuture<'static, ()>) {
        lock(&self.waiting).push((operation.clone(), rest));
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.operations()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most operations in one burst of refusals, plus one.
const BURST: usize = 8;

/// The most turns that a slow operation waits, plus one.
const SLOW_TURNS: usize = 17;
