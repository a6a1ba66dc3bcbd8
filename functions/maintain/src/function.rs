//! One invocation: a round of housekeeping, the search index, or the making of the log.

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use serde_json::{Value, json};
use tegula_function_setup::{Metrics, Parts, Settings};
use tegula_sequencer::{
    Config, Counters, Error as Failure, IndexOptions, IndexReport, Indexer, Others, Tidy,
    TidyOptions, TidyReport, Writer, init,
};
use tegula_server::describe;
use tegula_storage::{ObjectPath, S3Requests, Store};
use tegula_tlog::{Hash, LogDescription};
use tokio::sync::Mutex;
use tracing::{error, info, warn};

/// The function.
#[derive(Debug)]
pub(crate) struct Function {
    settings: Settings,
    now_ms: fn() -> u64,
    /// Opened once, and kept from round to round, also after one that failed: else there would be nobody to tell what is unpublished.
    warm: Mutex<Option<Warm>>,
}

/// What a process knows of the log.
#[derive(Debug)]
struct Warm {
    parts: Parts,
    writer: Writer,
    tidy: Tidy,
    /// Where there is an index.
    indexer: Option<Indexer>,
    /// How many of the log's entries the index was seen to cover.
    covered: u64,
    /// What the metrics were told so far.
    told: (Counters, S3Requests),
}

/// What it is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    action: Action,
    raw: bool,
    /// Of a notification.
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

impl Event {
    /// Whether the bucket tells of a base run.
    fn is_of_bucket(&self) -> bool {
        self.records.iter().any(|r| r.event_source == "aws:s3")
    }

    /// Whether it tells of what this function itself has made: of an old log very many, and none of it is news.
    fn is_of_function(&self, name: &str) -> bool {
        let own = format!(":{name}");
        let mut records = self.records.iter();
        records.all(|r| r.user_identity.principal_id.ends_with(&own))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Record {
    event_source: String,
    user_identity: Identity,
}

/// Who it was: of a function its role's id, a colon, and its name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Identity {
    principal_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Tidy,
    Index,
    Init,
}

impl Function {
    pub(crate) fn new(settings: Settings, now_ms: fn() -> u64) -> Self {
        Self {
            settings,
            now_ms,
            warm: Mutex::default(),
        }
    }

    pub(crate) async fn act(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        let LambdaEvent { payload, context } = event;
        let begun = (self.now_ms)();
        let last = context.deadline.saturating_sub(LAST_MS);
        // A schedule sends an object of its own making.
        let event: Event = match payload {
            Value::Null => Event::default(),
            event => serde_json::from_value(event).map_err(|error| {
                format!("the event: {error}, expected the action tidy, index or init")
            })?,
        };
        let is_told = event.is_of_bucket();
        if is_told && event.is_of_function(&context.env_config.function_name) {
            return Ok(json!({"indexed": null}));
        }
        let mut kept = self.warm.lock().await;
        let warm = match &mut *kept {
            Some(warm) => warm,
            none => none.insert(self.open().await?),
        };
        match event.action {
            _ if is_told => self.index_alone(warm, last.min(begun + TOLD_MS)).await,
            Action::Init => self.init(&warm.parts, event.raw).await,
            Action::Index => self.index_alone(warm, last).await,
            Action::Tidy => self.tidy(warm, last.min(begun + ROUND_MS)).await,
        }
    }

    async fn open(&self) -> Result<Warm, Error> {
        let parts = Parts::get(&self.settings, self.now_ms).await?;
        let (env, keys) = (Arc::clone(&parts.env), parts.keys().to_vec());
        let indexer = parts.config.index.as_ref().map(|extract| {
            let (env, signers) = (Arc::clone(&env), &parts.config.signers);
            Indexer::new(parts.store(), env, signers, Arc::clone(extract))
        });
        Ok(Warm {
            writer: writer(&parts)?,
            indexer: indexer.transpose()?,
            covered: 0,
            tidy: Tidy::new(parts.store(), env, keys),
            told: Default::default(),
            parts,
        })
    }

    /// Makes the log. One that is there stays as it is, if it has these keys.
    async fn init(&self, parts: &Parts, raw: bool) -> Result<Value, Error> {
        let store = parts.store();
        let expected = describe(&self.settings.origin, parts.keys(), raw);
        let path = ObjectPath::public("checkpoint")?;
        if store.read(&path).await?.is_none() {
            let [high, low] = [parts.env.random(), parts.env.random()];
            let mut unique = [0; 32];
            unique
                .iter_mut()
                .zip(high.into_iter().chain(low))
                .for_each(|(to, from)| *to = from);
            parts.s3.probe(&Hash(unique).to_string()).await?;
            init(store.as_ref(), &parts.config.signers, &expected).await?;
            info!(origin = expected.origin, "made a log");
        }
        let found = description(store.as_ref()).await?;
        if (&found.origin, &found.keys) != (&expected.origin, &expected.keys) {
            return Err(format!(
                "the log there is {} with the keys {}, expected {} with {}",
                found.origin,
                found.keys.join(" "),
                expected.origin,
                expected.keys.join(" ")
            )
            .into());
        }
        Ok(json!({"origin": found.origin, "keys": found.keys, "entries": found.entries}))
    }

    /// A round, and the index until then. What fails of it is told and tried again by the next one; only a log that is damaged, or that
    /// cannot be published, fails the invocation.
    async fn tidy(&self, warm: &mut Warm, until_ms: u64) -> Result<Value, Error> {
        let begun = (self.now_ms)();
        let settled = warm.writer.settle().await;
        if let Err(reason) = &settled {
            error!(%reason, "what is ordered could not be published");
        }
        let options = TidyOptions {
            keep: self.settings.keep,
            partial_age: Duration::from_secs(self.settings.keep_partials_h.saturating_mul(3600)),
            check_rounds: self.settings.check_rounds,
            ..TidyOptions::default()
        };
        let report = warm.tidy.round(options).await;
        let tidied = report.as_ref().ok().cloned().unwrap_or_default();
        for damaged in &tidied.damaged {
            error!(
                damaged,
                "the self-check found damage: see docs/operating.md"
            );
        }
        for failed in &tidied.failed {
            warn!(failed, "a step failed, the next round tries it again");
        }
        self.tell(warm, settled.is_err() || report.is_err(), &tidied, begun);
        if let Err(Failure::Corrupt(_) | Failure::Fatal(_)) = &settled {
            // It has stopped for good, for what it read: the next round reads again.
            warm.writer = writer(&warm.parts)?;
            warm.told.0 = Counters::default();
        }
        settled?;
        // Of what is published, and told: whatever becomes of it.
        let indexed = self.index(warm, until_ms).await;
        report?;
        if let Some(damaged) = tidied.damaged.first() {
            return Err(format!("the log is damaged: {damaged}").into());
        }
        let published = warm
            .writer
            .published()
            .map_or(0, |published| published.size.get());
        Ok(json!({
            "treeSize": published.to_string(),
            "bundlesChecked": tidied.bundles_checked,
            "partialsRemoved": tidied.partials_removed,
            "slotsCut": tidied.slots_cut,
            "itemsRemoved": tidied.items_removed,
            "failed": tidied.failed,
            "indexed": indexed.map(|covered| covered.to_string()),
        }))
    }

    async fn index_alone(&self, warm: &mut Warm, until_ms: u64) -> Result<Value, Error> {
        let indexed = self.index(warm, until_ms).await;
        Ok(json!({"indexed": indexed.map(|covered| covered.to_string())}))
    }

    /// Brings the search index as far as the published log goes, and merges, until there is nothing left or no time; how many entries it
    /// covers, if there is an index and it could be brought there. Several may be at it: they make the same.
    async fn index(&self, warm: &mut Warm, until_ms: u64) -> Option<u64> {
        let indexer = warm.indexer.as_mut()?;
        let done = self.rounds(indexer, until_ms).await;
        let published = warm.writer.published();
        let coverable = published.map(|published| published.size.get() / 256 * 256);
        let (covered, coverable) = match &done {
            Ok(report) => (report.covered, Some(report.coverable)),
            Err(_) => (warm.covered, coverable),
        };
        warm.covered = covered;
        if let Err(reason) = &done {
            error!(%reason, "the search index is not brought up, the next round tries it again");
        }
        let now = (self.now_ms)();
        let asked = warm.parts.s3.requests();
        let had = std::mem::replace(&mut warm.told.1, asked);
        let mut metrics = Metrics::new(&self.settings.origin, "maintain");
        metrics
            .count("IndexFailures", u64::from(done.is_err()))
            .count("Requests", paid(&asked).saturating_sub(paid(&had)));
        if let Some(coverable) = coverable {
            metrics
                .count("IndexCovered", covered)
                .count("IndexLag", coverable.saturating_sub(covered));
        }
        metrics.tell(now);
        done.is_ok().then_some(covered)
    }

    async fn rounds(&self, indexer: &mut Indexer, until_ms: u64) -> Result<IndexReport, Failure> {
        let options = IndexOptions {
            until_ms: Some(until_ms),
            ..IndexOptions::default()
        };
        let mut failed = 0;
        loop {
            let done = indexer.round(options).await;
            let is_late = (self.now_ms)() >= until_ms;
            match done {
                // The log may have grown meanwhile.
                Ok(report) if report.base_runs > 0 && !is_late => {}
                // Most likely another one has published it.
                Err(Failure::Unavailable(reason)) if failed < MAX_FAILED && !is_late => {
                    info!(reason, "the search index is tried again");
                    failed += 1;
                }
                done => return done,
            }
        }
    }

    /// What was done since the last time.
    fn tell(&self, warm: &mut Warm, failed: bool, tidied: &TidyReport, begun: u64) {
        let now = (self.now_ms)();
        let (counters, asked) = (warm.writer.counters(), warm.parts.s3.requests());
        let (was, had) = std::mem::replace(&mut warm.told, (counters, asked));
        let writer = &warm.writer;
        let size = writer
            .published()
            .map_or(0, |published| published.size.get());
        let mut metrics = Metrics::new(&self.settings.origin, "maintain");
        metrics
            .count("TreeSize", size)
            .count("UnpublishedSlots", writer.unpublished_slots())
            .count("Failures", u64::from(failed))
            .count("FailedSteps", tidied.failed.len() as u64)
            .count("Damaged", tidied.damaged.len() as u64)
            .count("BundlesChecked", tidied.bundles_checked)
            .count("PartialsRemoved", tidied.partials_removed)
            .count("SlotsCut", tidied.slots_cut)
            .count("ItemsRemoved", tidied.items_removed)
            .count(
                "TakenAlong",
                counters.taken_along.saturating_sub(was.taken_along),
            )
            .count("InboxDepth", counters.inbox)
            .count("Requests", paid(&asked).saturating_sub(paid(&had)))
            .milliseconds("TotalMs", now.saturating_sub(begun));
        if writer.last_slot_ms() > 0 {
            metrics.milliseconds("CheckpointAgeMs", now.saturating_sub(writer.last_slot_ms()));
        }
        metrics.tell(now);
    }
}

fn writer(parts: &Parts) -> Result<Writer, Error> {
    let config = Config {
        others: Others::TakeAlong,
        ..parts.config.clone()
    };
    let env = Arc::clone(&parts.env);
    Ok(Writer::new(parts.store(), env, config)?)
}

async fn description(store: &dyn Store) -> Result<LogDescription, Error> {
    let object = store.read(&ObjectPath::public("log.json")?).await?;
    let object = object.ok_or("there is no log.json")?;
    Ok(LogDescription::parse(&object.bytes)?)
}

fn paid(asked: &S3Requests) -> u64 {
    asked.reads + asked.writes + asked.lists
}

/// Left at the end of an invocation: for what was begun of the index, a unit of a merge at most, and to publish it.
const LAST_MS: u64 = 15_000;
/// A round begins each minute, and finds what this one knows warm, if this one has ended.
const ROUND_MS: u64 = 45_000;
/// For whoever is told of a base run: what is new is indexed by then, and large merges are left to the rounds, which such
/// invocations would take the place of.
const TOLD_MS: u64 = 5_000;
/// Rounds that may fail before an invocation gives the index up.
const MAX_FAILED: u32 = 2;
