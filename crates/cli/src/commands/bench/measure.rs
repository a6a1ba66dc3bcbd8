//! How long things took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::context::Context;
use crate::exit::CliError;

/// Times of what succeeded, and what failed by reason.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    times: Vec<Duration>,
    entries: u64,
    failures: BTreeMap<String, u64>,
}

impl Measured {
    pub(crate) fn succeeded(&mut self, took: Duration, entries: u64) {
        self.times.push(took);
        self.entries += entries;
    }

    pub(crate) fn failed(&mut self, error: &CliError) {
        let reason: String = error.to_string().chars().take(120).collect();
        // A log that answers each time with another text must not fill the memory.
        if self.failures.len() < 20 || self.failures.contains_key(&reason) {
            *self.failures.entry(reason).or_default() += 1;
        } else {
            *self.failures.entry("others".to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn tell(&mut self, what: &str, elapsed: Duration, cx: &Context) {
        self.times.sort_unstable();
        let failed: u64 = self.failures.values().sum();
        let millis = |per_mille: usize| {
            let at = self.times.len().saturating_sub(1) * per_mille / 1000;
            self.times
                .get(at)
                .map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        let rate = rate(self.entries, elapsed);
        let [p50, p90, p99, p999, max] = [500, 900, 990, 999, 1000].map(millis);
        if cx.output.is_json() {
            cx.output.json(&json!({
                "what": what,
                "entries": self.entries.to_string(),
                "failures": self.failures,
                "seconds": elapsed.as_secs_f64(),
                "perSecond": rate,
                "milliseconds": {"p50": p50, "p90": p90, "p99": p99, "p99.9": p999, "max": max},
            }));
            return;
        }
        cx.output.line(format!(
            "{what}: {} in {:.1} s, {rate:.0} a second, {failed} failures",
            self.entries,
            elapsed.as_secs_f64()
        ));
        cx.output.line(format!(
            "  p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms"
        ));
        for (reason, count) in &self.failures {
            cx.output.line(format!("  {count} times: {reason}"));
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is shown, not counted with"
)]
pub(crate) fn rate(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9)
}
