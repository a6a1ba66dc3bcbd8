//! Configurations that are explored to the end: every property holds in every state, and no state is stuck.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::liveness::Graph;
use crate::properties::Protocol;
use crate::rules::{Config, Expiry, Rules};
use crate::steps::Step;

#[test]
fn every_interleaving_keeps_the_invariants_and_leads_to_an_answer() {
    for (name, config) in configurations() {
        let outcome = explore(config, threads());
        println!("{name}: {outcome}");
        assert!(outcome.violations.is_empty());
    }
}

/// What came of a configuration.
pub(crate) struct Outcome {
    pub(crate) states: usize,
    pub(crate) time: Duration,
    /// The properties that break first, each with a shortest way there (if one thread explored).
    pub(crate) violations: Vec<(&'static str, Vec<Step>)>,
}

/// Explores all states, or as many as it takes to find a violation, and then the shortest ones.
pub(crate) fn explore(config: Config, threads: usize) -> Outcome {
    let start = Instant::now();
    let graph = Arc::new(Graph::default());
    let run = |steps: usize| {
        let graph = Arc::clone(&graph);
        let checker = Protocol { config, graph }
            .checker()
            .threads(threads)
            // A state after n steps has the depth n + 1, and this one is not looked at.
            .target_max_depth(steps.saturating_add(2))
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let found = checker.discoveries().into_iter();
        let found = found.map(|(name, path)| (name, path.into_actions()));
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|(name, steps)| (steps.len(), *name));
        (checker.unique_state_count(), found)
    };
    let (states, mut violations) = run(usize::MAX);
    if violations.is_empty() && graph.count_stuck() > 0 {
        violations = run(usize::MAX).1;
    }
    // What stateright reports is not the first that it met.
    while let Some((_, steps)) = violations.first() {
        let longest = steps.len();
        let shorter = run(longest - 1).1;
        if shorter.is_empty() {
            violations = run(longest).1;
            break;
        }
        violations = shorter;
    }
    Outcome {
        states,
        time: start.elapsed(),
        violations,
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let complete = if self.violations.is_empty() {
            "complete"
        } else {
            "stopped at a violation"
        };
        write!(
            f,
            "{} states, {complete}, {:.1} s",
            self.states,
            self.time.as_secs_f32()
        )?;
        for (name, steps) in &self.violations {
            write!(f, "\n  {name} is violated after {} steps", steps.len())?;
            for step in steps {
                let who = step
                    .writer
                    .map_or_else(|| " -".to_owned(), |writer| format!("w{writer}"));
                write!(f, "\n    {who} {:58} {}", step.what, step.to)?;
            }
        }
        Ok(())
    }
}

pub(crate) const NO_FAULTS: Config = Config {
    batches: &[&[1], &[2, 3], &[4]],
    writers: 3,
    dedup: false,
    inbox: true,
    expiry: Expiry::Never,
    faults: 0,
    crashes: 0,
    reduced: true,
    unchecked: &[],
    rules: Rules::ALL,
};

const TWO_WRITERS: Config = Config {
    batches: &[&[1], &[2, 3]],
    writers: 2,
    ..NO_FAULTS
};

const ONE_EACH: Config = Config {
    faults: 1,
    crashes: 1,
    ..TWO_WRITERS
};

/// A second, without optimisation too.
#[rustfmt::skip]
const SMALL: [(&str, Config); 4] = [
    ("2 writers", TWO_WRITERS),
    ("2 writers, 1 fault", Config { faults: 1, ..TWO_WRITERS }),
    ("2 writers, 1 fault, floor", Config { faults: 1, expiry: Expiry::Removed, inbox: false, ..TWO_WRITERS }),
    ("2 writers, 1 fault, header-only slots", Config { faults: 1, expiry: Expiry::HeaderOnly, inbox: false, ..TWO_WRITERS }),
];

/// What is required, optimised: a minute or two on two cores, and 3 GiB.
#[rustfmt::skip]
const REQUIRED: [(&str, Config); 16] = [
    ("3 writers", NO_FAULTS),
    ("3 writers, 1 fault", Config { faults: 1, ..NO_FAULTS }),
    ("3 writers, 1 crash", Config { crashes: 1, ..NO_FAULTS }),
    ("2 writers, 1 fault, 1 crash", ONE_EACH),
    ("2 writers, 1 fault, 1 crash, duplicates", Config { batches: &[&[1], &[1, 2]], dedup: true, ..ONE_EACH }),
    ("2 writers, 1 fault, 1 crash, floor", Config { expiry: Expiry::Removed, ..ONE_EACH }),
    ("2 writers, 1 fault, 1 crash, header-only slots", Config { expiry: Expiry::HeaderOnly, ..ONE_EACH }),
    ("2 writers of 2 batches", FOUR_BATCHES),
    ("2 writers of 2 batches, header-only slots", Config { expiry: Expiry::HeaderOnly, ..FOUR_BATCHES }),
    ("2 writers of 2 batches, floor, no inbox", Config { expiry: Expiry::Removed, inbox: false, ..FOUR_BATCHES }),
    ("3 writers, not reduced", Config { reduced: false, ..NO_FAULTS }),
    ("2 writers, 1 fault, 1 crash, not reduced", Config { reduced: false, ..ONE_EACH }),
    ("2 writers of 2 batches, 1 fault", Config { faults: 1, ..FOUR_BATCHES }),
    ("2 writers, 2 faults, 1 crash", Config { faults: 2, ..ONE_EACH }),
    ("3 writers, duplicates, 1 fault", Config { batches: &[&[1], &[1, 2], &[2]], dedup: true, faults: 1, ..NO_FAULTS }),
    ("3 writers, 1 fault, 1 crash, no inbox", Config { inbox: false, faults: 1, crashes: 1, ..NO_FAULTS }),
];

const FOUR_BATCHES: Config = Config {
    batches: &[&[1], &[2], &[3], &[4]],
    ..TWO_WRITERS
};

/// Four minutes more, and 4 GiB. Three writers with the inbox, a fault and a crash are too many for 20 GiB.
#[rustfmt::skip]
const DEEP: [(&str, Config); 7] = [
    ("3 writers, 1 crash, duplicates", Config { batches: &[&[1], &[1, 2], &[2]], dedup: true, crashes: 1, ..NO_FAULTS }),
    ("3 writers, 2 faults, no inbox", Config { inbox: false, faults: 2, ..NO_FAULTS }),
    ("3 writers, 1 fault, 1 crash, floor, no inbox", Config { inbox: false, faults: 1, crashes: 1, expiry: Expiry::Removed, ..NO_FAULTS }),
    ("3 writers, 1 crash, header-only slots, no inbox", Config { inbox: false, crashes: 1, expiry: Expiry::HeaderOnly, ..NO_FAULTS }),
    ("2 writers of 2 batches, 1 fault, 1 crash", Config { faults: 1, crashes: 1, ..FOUR_BATCHES }),
    ("2 writers of 2 batches, 1 fault, floor", Config { faults: 1, expiry: Expiry::Removed, ..FOUR_BATCHES }),
    ("2 writers, 2 faults, 2 crashes", Config { faults: 2, crashes: 2, ..ONE_EACH }),
];

/// `TEGULA_MODEL=required` for what has to hold before a change lands, `deep` for all.
#[expect(
    clippy::disallowed_methods,
    reason = "how much to explore is said by who runs the test"
)]
pub(crate) fn asked() -> String {
    std::env::var("TEGULA_MODEL").unwrap_or_default()
}

fn configurations() -> Vec<(&'static str, Config)> {
    let mut all = SMALL.to_vec();
    match asked().as_str() {
        "" => {}
        "required" => all.extend(REQUIRED),
        "deep" => all.extend(REQUIRED.iter().chain(&DEEP)),
        other => panic!("TEGULA_MODEL is {other:?}, expected required or deep"),
    }
    all
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
