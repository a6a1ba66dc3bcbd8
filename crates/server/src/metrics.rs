//! What Prometheus is told.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

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
    /// Taken from the sequencer when somebody asks.
    size: Gauge<i64, std::sync::atomic::AtomicI64>,
    pending: Gauge,
    unpublished: Gauge,
    slots: Gauge,
    folded: Gauge,
    cold_starts: Gauge,
    failures: Gauge,
    stopped: Gauge,
}

#[derive(Clone, Debug, Eq, PartialEq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
    status: u16,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tegula");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let size = gauge(
            "published_size",
            "Entries that the published checkpoint covers",
        );
        let pending = gauge("pending_entries", "Entries that wait for a batch");
        let unpublished = gauge(
            "unpublished_slots",
            "Slots that are ordered and not published",
        );
        let slots = gauge("slots", "Slots that this process wrote");
        let folded = gauge(
            "slots_folded",
            "Slots of other processes that this one folded",
        );
        let cold_starts = gauge(
            "cold_starts",
            "Times that the log was read from the store anew",
        );
        let failures = gauge("batch_failures", "Batches that failed");
        let stopped = gauge("stopped", "1 if the writer has stopped for good");
        let damaged = gauge("damaged_objects", "Damage that the last self-check found");
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let upload_seconds = Histogram::new(BUCKETS);
        registry.register_with_unit(
            "upload",
            "Time from an upload to its answer",
            Unit::Seconds,
            upload_seconds.clone(),
        );
        let entries = Counter::default();
        registry.register("entries", "Entries acknowledged", entries.clone());
        let duplicates = Counter::default();
        registry.register(
            "duplicates",
            "Entries that were in the log already",
            duplicates.clone(),
        );
        Self {
            registry: Arc::new(registry),
            requests,
            upload_seconds,
            entries,
            duplicates,
            damaged,
            size,
            pending,
            unpublished,
            slots,
            folded,
            cold_starts,
            failures,
            stopped,
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

    fn text(&self, log: &Log) -> String {
        let status = log.sequencer().status();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.size.set(number(status.published.size.get()));
        self.pending.set(number(status.pending_entries as u64));
        self.unpublished.set(number(status.unpublished_slots));
        self.slots.set(number(status.counters.slots));
        self.folded.set(number(status.counters.folded));
        self.cold_starts.set(number(status.counters.cold_starts));
        self.failures.set(number(status.counters.failures));
        self.stopped.set(i64::from(status.stopped.is_some()));
        let mut text = String::new();
        // Writing to a string does not fail.
        encode(&mut text, &self.registry).unwrap_or_default();
        text
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
    (
        [(header::CONTENT_TYPE, openmetrics)],
        log.metrics().text(&log),
    )
}

const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];
