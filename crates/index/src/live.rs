//! Runs, and which of them an index consists of.

use std::fmt;

use tegula_tlog::TreeSize;

/// The leaves of a base run: one bundle.
pub const BASE_LEAVES: u64 = 256;

/// One piece of the index: the postings of the leaves from `n·256·4^level` up to `(n+1)·256·4^level`.
///
/// Shown as `2/16`: level 2, the leaves from 65,536 up to 69,632.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Run {
    level: u8,
    n: u64,
}

impl Run {
    /// The run of this level, 0 to 27, and number. `None` where no log can have such leaves.
    pub fn new(level: u8, n: u64) -> Option<Self> {
        if level > MAX_LEVEL {
            return None;
        }
        let end = n.checked_add(1)?.checked_mul(BASE_LEAVES << (2 * level))?;
        TreeSize::new(end)?;
        Some(Self { level, n })
    }

    /// Its level: how often runs were merged to make it.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Which one of its level it is, from 0.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Its first leaf.
    pub fn start(&self) -> u64 {
        self.n * self.leaves()
    }

    /// How many leaves it covers.
    pub fn leaves(&self) -> u64 {
        BASE_LEAVES << (2 * self.level)
    }

    /// The four runs that it is merged from. `None` for a base run.
    pub fn children(&self) -> Option<[Self; 4]> {
        let level = self.level.checked_sub(1)?;
        Some([0, 1, 2, 3].map(|child| Self {
            level,
            n: 4 * self.n + child,
        }))
    }

    /// The least number of base runs at which it is live, and has to be there. It stays live until the run that it is merged into is.
    pub fn live_from(&self) -> u64 {
        let end = (self.n + 1) << (2 * self.level);
        end.saturating_add(delay(self.level))
    }

    /// How many bytes the first index of a key takes.
    pub(crate) fn index_width(&self) -> usize {
        (8 + 2 * usize::from(self.level)).div_ceil(8)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, self.n)
    }
}

/// The size of the log that an index log of this size covers. `None` above what a log can have.
pub fn covered(index_size: TreeSize) -> Option<TreeSize> {
    TreeSize::new(index_size.get().checked_mul(BASE_LEAVES)?)
}

/// The runs of which an index consists whose index log has this size, from the left: together they cover [`covered`], each leaf once.
///
/// Three or four of each level at most, and a few more of those whose parent is still being made. `None` where [`covered`] is.
pub fn live_runs(index_size: TreeSize) -> Option<Vec<Run>> {
    covered(index_size)?;
    let base_runs = index_size.get();
    let (mut runs, mut at) = (Vec::new(), 0);
    // Where a run did not fit, no run as long fits further right.
    for level in (0..=MAX_LEVEL).rev() {
        while let Some(run) = Run::new(level, at >> (2 * level)) {
            if run.live_from() > base_runs {
                break;
            }
            runs.push(run);
            at += 1 << (2 * level);
        }
    }
    Some(runs)
}

/// How many base runs a run waits for before it is live: a sixteenth of its own length, to be made in.
fn delay(level: u8) -> u64 {
    if level > 3 { 1 << (2 * (level - 2)) } else { 0 }
}

/// 4^27 base runs are 2^62 leaves.
const MAX_LEVEL: u8 = 27;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn live(base_runs: u64) -> Vec<Run> {
        live_runs(TreeSize::new(base_runs).unwrap()).unwrap()
    }

    /// The rule as it is written down.
    fn by_the_letter(base_runs: u64) -> Vec<Run> {
        let (mut runs, mut at) = (Vec::new(), 0);
        while at < base_runs {
            let fits = |level: &u8| {
                let len = 4_u64.pow((*level).into());
                let wait = if *level > 3 { len / 16 } else { 0 };
                at % len == 0 && at + len + wait <= base_runs
            };
            let level = (0..15).rev().find(fits).unwrap();
            let len = 4_u64.pow(level.into());
            runs.push(Run::new(level, at / len).unwrap());
            at += len;
        }
        runs
    }

    fn check(base_runs: u64) {
        let runs = live(base_runs);
        assert_eq!(runs, by_the_letter(base_runs), "at {base_runs}");
        let mut at = 0;
        for run in &runs {
            assert_eq!(run.start(), at, "at {base_runs}");
            at += run.leaves();
        }
        assert_eq!(at, base_runs * BASE_LEAVES, "at {base_runs}");
    }

    #[test]
    fn the_rule_for_every_small_index() {
        (0..5_000).for_each(check);
    }

    #[test]
    fn the_rule_around_powers_and_delays() {
        for level in 4..13 {
            let len = 4_u64.pow(level);
            for around in [len, len + len / 16, 2 * len, 3 * len + len / 16, 4 * len] {
                (around - 3..around + 3).for_each(check);
            }
        }
    }

    proptest! {
        #[test]
        fn the_rule_anywhere(base_runs in 0_u64..1 << 24) {
            check(base_runs);
        }

        #[test]
        fn a_run_that_is_live_was_made_of_runs_that_were(base_runs in 1_u64..1 << 22) {
            let before = live(base_runs - 1);
            for run in live(base_runs) {
                let made = run.children().is_none_or(|children| children.iter().all(|child| child.live_from() <= base_runs));
                prop_assert!(made);
                let known = before.contains(&run) || run.live_from() == base_runs;
                prop_assert!(known, "{} at {}", run, base_runs);
            }
        }
    }

    #[test]
    fn how_many_runs() {
        // 10^7 and 10^9 leaves.
        let most = |leaves: u64| {
            let last = leaves / BASE_LEAVES;
            (0..2_000_u64)
                .map(|step| live(last - last / 2_000 * step).len())
                .max()
        };
        assert!(most(10_000_000).unwrap() <= 22);
        assert!(most(1_000_000_000).unwrap() <= 32);
    }

    #[test]
    fn the_largest() {
        assert!(Run::new(27, 0).is_some());
        assert!(Run::new(27, 1).is_none());
        assert!(Run::new(28, 0).is_none());
        assert!(Run::new(0, (1 << 55) - 2).is_some());
        assert!(Run::new(0, (1 << 55) - 1).is_none());
        let largest = TreeSize::new((1 << 55) - 1).unwrap();
        let runs = live_runs(largest).unwrap();
        let leaves: u64 = runs.iter().map(Run::leaves).sum();
        assert_eq!(leaves, covered(largest).unwrap().get());
        assert!(live_runs(TreeSize::new(1 << 55).unwrap()).is_none());
    }
}
