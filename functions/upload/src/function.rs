//! A request and its answer. When it is answered nothing is under way any more: the process may be frozen, for minutes.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;
use tegula_function_setup::{Metrics, Parts, Settings, Writers};
use tegula_sequencer::{Counters, Sequencer};
use tegula_server::{Log, Options, error_response, router};
use tegula_storage::{ObjectPath, S3, S3Requests, Store};
use tegula_tlog::LogDescription;
use tokio::sync::Mutex;
use tower::ServiceExt;
use tracing::{error, warn};

use crate::event::{self, Answer, Signed};

/// The function. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    settings: Arc<Settings>,
    now_ms: fn() -> u64,
    /// Opened by the first request, and kept as long as its writer goes on.
    open: Arc<Mutex<Option<Arc<Open>>>>,
}

/// The log, once it is known.
#[derive(Debug)]
struct Open {
    router: Router,
    sequencer: Sequencer,
    s3: S3,
    /// What the metrics were told so far.
    told: std::sync::Mutex<(Counters, S3Requests)>,
}

impl Function {
    pub(crate) fn new(settings: Settings, now_ms: fn() -> u64) -> Self {
        Self {
            settings: Arc::new(settings),
            now_ms,
            open: Arc::default(),
        }
    }

    /// Answers an event of the API, in its form.
    pub(crate) async fn act(self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        let LambdaEvent { payload, context } = event;
        let answer = match event::request(payload) {
            Ok(request) => self.answer(request, context.deadline).await,
            Err(reason) => error_response(StatusCode::BAD_REQUEST, &reason),
        };
        Ok(serde_json::to_value(Answer::of(answer).await)?)
    }

    async fn answer(self, request: Request<Body>, deadline: u64) -> Response<Body> {
        let begun = (self.now_ms)();
        let upload = request.method() == Method::POST;
        if let Err(message) = self.may_ask(&request) {
            return error_response(StatusCode::FORBIDDEN, message);
        }
        let open = match self.opened().await {
            Ok(open) => open,
            Err(reason) => {
                // For the operator alone: it names accounts, roles and keys.
                error!(reason, "the log cannot be opened");
                let mut metrics = Metrics::new(&self.settings.origin, "upload");
                metrics.count("Failures", 1).tell((self.now_ms)());
                let message = "the log cannot be opened at the moment";
                return error_response(StatusCode::SERVICE_UNAVAILABLE, message);
            }
        };
        // The router answers with errors, and never fails.
        let answer = open.router.clone().oneshot(request).await;
        let answer = answer.unwrap_or_else(|never| match never {});
        // A request may have been given up while its entry was committed.
        let left = deadline
            .saturating_sub((self.now_ms)())
            .saturating_sub(LAST_MS);
        let rest = tokio::time::timeout(Duration::from_millis(left), open.sequencer.rest());
        if rest.await.is_err() {
            warn!("the time of the function ends before what it began has ended");
            // Whatever it waits for may never come: the next request begins with another one.
            self.leave(&open).await;
        }
        if upload {
            self.tell(&open, begun);
        }
        answer
    }

    /// Whether who asks may, where the API has to say it: it checks AWS's signatures, and tells of whom they are.
    fn may_ask(&self, request: &Request<Body>) -> Result<(), &'static str> {
        if request.method() != Method::POST || !matches!(self.settings.writers, Writers::Iam) {
            return Ok(());
        }
        let signed = request.extensions().get::<Signed>();
        signed
            .map(|_signed| ())
            .ok_or("this log needs AWS signatures (SigV4) to write, and the API passed none on")
    }

    /// The log. A writer that has stopped, for what it read, is not believed for ever: another one begins cold, and reads again.
    async fn opened(&self) -> Result<Arc<Open>, String> {
        let mut open = self.open.lock().await;
        if let Some(open) = &*open
            && open.sequencer.status().stopped.is_none()
        {
            return Ok(Arc::clone(open));
        }
        // One that has stopped has a task that waits, and all that it knows.
        if let Some(stopped) = open.take() {
            stopped.sequencer.close().await;
        }
        Ok(Arc::clone(open.insert(Arc::new(self.open().await?))))
    }

    /// Forgets a log that is held up, unless that was done already.
    async fn leave(&self, held_up: &Arc<Open>) {
        let mut open = self.open.lock().await;
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, held_up)) {
            *open = None;
        }
    }

    async fn open(&self) -> Result<Open, String> {
        let parts = Parts::get(&self.settings, self.now_ms).await?;
        let store = parts.store();
        let description = description(store.as_ref(), &self.settings.origin).await?;
        let key = parts.config.signers.first();
        let key = key.map_err(|error| error.to_string())?.clone();
        let seed = parts.env.random().first_chunk().copied();
        let sequencer = Sequencer::open(Arc::clone(&store), parts.env, parts.config)
            .await
            .map_err(|error| error.to_string())?;
        let options = Options {
            duplicates: self.settings.duplicates,
            require_token: matches!(self.settings.writers, Writers::Token),
            issuers: match &self.settings.writers {
                Writers::Oidc(issuers) => Some(issuers.clone()),
                Writers::Open | Writers::Token | Writers::Iam => None,
            },
            allowed_keys: self.settings.allowed_keys.clone(),
            timeout_s: TIMEOUT_S,
            ..Options::default()
        };
        let log = Log::new(
            sequencer.clone(),
            store,
            &key,
            &description,
            options,
            seed.map_or(0, u64::from_be_bytes),
        );
        Ok(Open {
            router: router(log),
            sequencer,
            s3: parts.s3,
            told: std::sync::Mutex::default(),
        })
    }

    /// What was done since the last time.
    fn tell(&self, open: &Open, begun: u64) {
        let (now, asked) = (open.sequencer.status().counters, open.s3.requests());
        let (was, had) = {
            let mut told = open.told.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *told, (now, asked))
        };
        let entries = now.entries.saturating_sub(was.entries);
        let paid = |asked: &S3Requests| asked.reads + asked.writes + asked.lists;
        let requests = paid(&asked).saturating_sub(paid(&had));
        let mut metrics = Metrics::new(&self.settings.origin, "upload");
        metrics
            .count("Entries", entries)
            .count("Duplicates", now.duplicates.saturating_sub(was.duplicates))
            .count("Slots", now.slots.saturating_sub(was.slots))
            .count("SlotsLost", now.lost.saturating_sub(was.lost))
            .count("SlotsFolded", now.folded.saturating_sub(was.folded))
            .count(
                "HandedOver",
                now.handed_over.saturating_sub(was.handed_over),
            )
            .count(
                "TakenAlong",
                now.taken_along.saturating_sub(was.taken_along),
            )
            .count("BadItems", now.bad_items.saturating_sub(was.bad_items))
            .count("InboxDepth", now.inbox)
            .count(
                "ColdStarts",
                now.cold_starts.saturating_sub(was.cold_starts),
            )
            .count("Failures", now.failures.saturating_sub(was.failures))
            .count("Requests", requests)
            .milliseconds(
                "OrderingMs",
                now.ordering_ms.saturating_sub(was.ordering_ms),
            )
            .milliseconds(
                "PublishingMs",
                now.publishing_ms.saturating_sub(was.publishing_ms),
            )
            .milliseconds("TotalMs", (self.now_ms)().saturating_sub(begun));
        if let Some(entries) = u32::try_from(entries).ok().filter(|entries| *entries > 0) {
            let requests = u32::try_from(requests).unwrap_or(u32::MAX);
            metrics.ratio("RequestsPerEntry", f64::from(requests) / f64::from(entries));
        }
        metrics.tell((self.now_ms)());
    }
}

/// What the log takes.
async fn description(store: &dyn Store, origin: &str) -> Result<LogDescription, String> {
    let path = ObjectPath::public("log.json").map_err(|error| error.to_string())?;
    let object = store.read(&path).await.map_err(|error| error.to_string())?;
    let object = object.ok_or("there is no log.json: has the log been made?")?;
    let description =
        LogDescription::parse(&object.bytes).map_err(|error| format!("log.json: {error}"))?;
    if description.origin != origin {
        return Err(format!(
            "TEGULA_ORIGIN is {origin}, the log is {}",
            description.origin
        ));
    }
    Ok(description)
}

/// API Gateway gives up after 30 s.
const TIMEOUT_S: u64 = 25;
/// Left at the end, to answer.
const LAST_MS: u64 = 500;
