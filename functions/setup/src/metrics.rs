//! What CloudWatch is told: embedded metrics, each a line of JSON in the function's log.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::{self, Write};

use serde_json::{Map, Value, json};

/// Numbers that are told together, of one log and one function.
#[derive(Clone, Debug)]
pub struct Metrics {
    origin: String,
    function: &'static str,
    numbers: Vec<(&'static str, &'static str, f64)>,
}

impl Metrics {
    /// Of this log and this function.
    pub fn new(origin: &str, function: &'static str) -> Self {
        Self {
            origin: origin.to_owned(),
            function,
            numbers: Vec::new(),
        }
    }

    /// How many.
    #[expect(clippy::cast_precision_loss, reason = "CloudWatch knows doubles alone")]
    pub fn count(&mut self, name: &'static str, count: u64) -> &mut Self {
        self.numbers.push((name, "Count", count as f64));
        self
    }

    /// How long, in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "CloudWatch knows doubles alone")]
    pub fn milliseconds(&mut self, name: &'static str, ms: u64) -> &mut Self {
        self.numbers.push((name, "Milliseconds", ms as f64));
        self
    }

    /// A ratio.
    pub fn ratio(&mut self, name: &'static str, ratio: f64) -> &mut Self {
        self.numbers.push((name, "None", ratio));
        self
    }

    /// Writes the line.
    pub fn tell(&self, now_ms: u64) {
        let mut line = self.line(now_ms);
        line.push('\n');
        // Nobody could be told that nobody can be told.
        io::stdout().write_all(line.as_bytes()).unwrap_or_default();
    }

    fn line(&self, now_ms: u64) -> String {
        let numbers = self.numbers.iter();
        let definitions: Vec<_> = numbers
            .map(|(name, unit, _)| json!({"Name": name, "Unit": unit}))
            .collect();
        let mut line = Map::from_iter([
            ("Origin".to_owned(), json!(self.origin)),
            ("Function".to_owned(), json!(self.function)),
            (
                "_aws".to_owned(),
                json!({
                    "Timestamp": now_ms,
                    "CloudWatchMetrics": [{
                        "Namespace": NAMESPACE,
                        "Dimensions": [["Origin", "Function"]],
                        "Metrics": definitions,
                    }],
                }),
            ),
        ]);
        for (name, _, number) in &self.numbers {
            line.insert((*name).to_owned(), json!(number));
        }
        Value::Object(line).to_string()
    }
}

const NAMESPACE: &str = "Tegula";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_members_that_the_specification_asks_for() {
        let mut metrics = Metrics::new("log.example", "upload");
        metrics.count("Entries", 3).milliseconds("OrderMs", 35);
        metrics.ratio("RequestsPerEntry", 1.5);
        let line: Value = serde_json::from_str(&metrics.line(1_767_225_600_000)).unwrap();
        assert_eq!(line["_aws"]["Timestamp"], 1_767_225_600_000_u64);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Tegula");
        for set in directive["Dimensions"].as_array().unwrap() {
            for dimension in set.as_array().unwrap() {
                assert!(line[dimension.as_str().unwrap()].is_string());
            }
        }
        let defined = directive["Metrics"].as_array().unwrap();
        assert_eq!(defined.len(), 3);
        for metric in defined {
            assert!(line[metric["Name"].as_str().unwrap()].is_number());
        }
        assert_eq!(line["OrderMs"], 35.0);
    }
}
