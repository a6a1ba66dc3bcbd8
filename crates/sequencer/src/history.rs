//! What was published when: `private/history` (tiles-format.md section 11).

use std::fmt;

/// Samples of published sizes, oldest first, and how far partial tiles were removed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct History {
    /// Partial tiles of all tiles that end at or below this size are gone.
    pub(crate) trimmed: u64,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Sample {
    time_ms: u64,
    size: u64,
}

impl History {
    /// Reads the file. What cannot be read is left out: then partial tiles stay longer.
    pub(crate) fn parse(text: &str) -> Self {
        let mut history = Self::default();
        for line in text.lines().take(MAX_LINES) {
            let Some((first, second)) = line.split_once(' ') else {
                continue;
            };
            match (first, first.parse(), second.parse()) {
                ("trimmed", _, Ok(size)) => history.trimmed = size,
                (_, Ok(time_ms), Ok(size)) => history.samples.push(Sample { time_ms, size }),
                _ => {}
            }
        }
        history
    }

    /// Takes a sample, at most a hundred in the given age, and forgets those which no answer needs.
    pub(crate) fn add(&mut self, now_ms: u64, size: u64, age_ms: u64) {
        let last = self.samples.last();
        if last.is_none_or(|last| last.time_ms.saturating_add(age_ms / 100) <= now_ms) {
            self.samples.push(Sample {
                time_ms: now_ms,
                size,
            });
        }
        let past = now_ms.saturating_sub(age_ms);
        let old = self.samples.iter().filter(|s| s.time_ms <= past).count();
        // Of those that are old enough the newest says all.
        self.samples.drain(..old.saturating_sub(1));
    }

    /// The size that was published at the given time, as far as is known; 0 if nothing is.
    pub(crate) fn covered_at(&self, time_ms: u64) -> u64 {
        let old = self.samples.iter().filter(|s| s.time_ms <= time_ms);
        old.map(|sample| sample.size).max().unwrap_or(0)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "trimmed {}", self.trimmed)?;
        for sample in &self.samples {
            writeln!(f, "{} {}", sample.time_ms, sample.size)?;
        }
        Ok(())
    }
}

const MAX_LINES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn a_size_counts_a_day_after_it_was_published() {
        let mut history = History::default();
        history.add(1000, 300, DAY);
        assert_eq!(history.covered_at(999), 0);
        assert_eq!(history.covered_at(1000), 300);
        history.add(1000 + DAY, 900, DAY);
        assert_eq!(history.covered_at(1000), 300);
        assert_eq!(history.covered_at(999 + DAY), 300);
    }

    #[test]
    fn samples_are_few_and_the_file_comes_back() {
        let mut history = History {
            trimmed: 256,
            samples: Vec::new(),
        };
        for minute in 0..10_000 {
            history.add(minute * 60_000, minute, DAY);
        }
        assert!(history.samples.len() <= 102, "{}", history.samples.len());
        assert_eq!(History::parse(&history.to_string()), history);
        let noise = format!("x\n{history}5\n7 y\n");
        assert_eq!(History::parse(&noise), history);
    }
}
