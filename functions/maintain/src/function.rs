//! One invocation: a round of housekeeping, or the making of the log.

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::Error;
use serde::Deserialize;
use serde_json::{Value, json};
use tegula_function_setup::{Metrics, Parts, Settings};
use tegula_sequencer::{
    Config, Counters, Error as Failure, Others, Tidy, TidyOptions, TidyReport, Writer, init,
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
    /// What the metrics were told so far.
    told: (Counters, S3Requests),
}

/// What it is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    action: Action,
    raw: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Tidy,
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

    pub(crate) async fn act(&self, event: Value) -> Result<Value, Error> {
        // A schedule sends an object of its own making.
        let event: Event = match event {
            Value::Null => Event::default(),
            event => serde_json::from_value(event)
                .map_err(|error| format!("the event: {error}, expected the action tidy or init"))?,
        };
        let mut kept = self.warm.lock().await;
        let warm = match &mut *kept {
            Some(warm) => warm,
            none => none.insert(self.open().await?),
        };
        match event.action {
            Action::Init => self.init(&warm.parts, event.raw).await,
            Action::Tidy => self.tidy(warm).await,
        }
    }

    async fn open(&self) -> Result<Warm, Error> {
        let parts = Parts::get(&self.settings, self.now_ms).await?;
        let (env, keys) = (Arc::clone(&parts.env), parts.keys().to_vec());
        Ok(Warm {
            writer: writer(&parts)?,
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

    /// A round. What fails of it is told and tried again by the next one; only a log that is damaged, or that cannot be published,
    /// fails the invocation.
    async fn tidy(&self, warm: &mut Warm) -> Result<Value, Error> {
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
        }))
    }

    /// What was done since the last time.
    fn tell(&self, warm: &mut Warm, failed: bool, tidied: &TidyReport, begun: u64) {
        let now = (self.now_ms)();
        let (counters, asked) = (warm.writer.counters(), warm.parts.s3.requests());
        let (was, had) = std::mem::replace(&mut warm.told, (counters, asked));
        let paid = |asked: &S3Requests| asked.reads + asked.writes + asked.lists;
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
