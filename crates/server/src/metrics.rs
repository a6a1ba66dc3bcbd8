//! What Prometheus is told.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use tegula_sequencer::Sequencer;

use crate::log::Log;

/// Counters of one process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Labels, Counter>,
    upload_seconds: Histogram,
    entries: Counter,
    duplicates: Counter,
    damaged: Gauge,
}

#[derive(Clone, Debug, Eq, PartialEq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
    status: u16,
}

impl Metrics {
    pub(crate) fn new(sequencer: Sequencer) -> Self {
        let mut registry = Registry::with_prefix("tegula");
        registry.register_collector(Box::new(Writing(sequencer)));
        let damaged = Gauge::default();
        registry.register(
            "damaged_objects",
            "Damage that the last self-check found",
            damaged.clone(),
        );
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let upload_seconds = Histogram::new(BUCKETS);
        registry.register_with_unit(
            "upload",
            "Time from an upload to its answer",
            Unit::Seconds,
            upload_seconds.clone(),
        );
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let entries = counter("entries", "Entries acknowledged");
        let duplicates = counter("duplicates", "Entries that were in the log already");
        Self {
            registry: Arc::new(registry),
            requests,
            upload_seconds,
            entries,
            duplicates,
            damaged,
        }
    }

    pub(crate) fn timer(&self) -> Instant {
        Instant::now()
    }

    pub(crate) fn answered(&self, upload: bool, status: u16, since: Instant) {
        let kind = if upload { "write" } else { "read" };
        self.requests.get_or_create(&Labels { kind, status }).inc();
        if upload {
            self.upload_seconds.observe(since.elapsed().as_secs_f64());
        }
    }

    pub(crate) fn uploaded(&self, entries: u64, duplicates: u64) {
        self.entries.inc_by(entries);
        self.duplicates.inc_by(duplicates);
    }

    pub(crate) fn damaged(&self, count: usize) {
        self.damaged.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        encode(&mut text, &self.registry).unwrap_or_default();
        text
    }
}

/// What the sequencer counts by itself, taken from it when somebody asks.
#[derive(Debug)]
struct Writing(Sequencer);

impl Collector for Writing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.0.status();
        let counted = status.counters;
        for (name, help, value) in [
            (
                "published_size",
                "Entries that the published checkpoint covers",
                status.published.size.get(),
            ),
            (
                "pending_entries",
                "Entries that wait for a batch",
                status.pending_entries as u64,
            ),
            (
                "unpublished_slots",
                "Slots that are ordered and not published",
                status.unpublished_slots,
            ),
            (
                "stopped",
                "1 if the writer has stopped for good",
                status.stopped.is_some().into(),
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        for (name, help, value) in [
            ("slots", "Slots that this process wrote", counted.slots),
            (
                "slots_folded",
                "Slots of other processes that this one folded",
                counted.folded,
            ),
            (
                "checkpoints",
                "Checkpoints that this process published",
                counted.published,
            ),
            (
                "cold_starts",
                "Times that the log was read from the store anew",
                counted.cold_starts,
            ),
            ("batch_failures", "Batches that failed", counted.failures),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

/// `GET /metrics`, for a listener that the public does not reach.
pub fn metrics_router(log: Log) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(log)
}

async fn metrics(State(log): State<Log>) -> impl IntoResponse {
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, openmetrics)], log.metrics().text())
}

const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];
