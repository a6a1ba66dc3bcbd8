//! A request and its answer. When it is answered nothing is under way any more: the process may be frozen, for minutes.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{Adapter, Body, Error, Request, RequestExt, Service, service_fn};
use serde_json::{Value, json};
use tegula_function_setup::{Metrics, Parts, Settings, Writers};
use tegula_sequencer::{Counters, Sequencer};
use tegula_server::{Log, Options, error_response, router};
use tegula_storage::{ObjectPath, S3, S3Requests, Store};
use tegula_tlog::LogDescription;
use tokio::sync::Mutex;
use tower::ServiceExt;
use tracing::{error, warn};

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
        // The library ends the process where a body is not base64.
        let request = match checked(payload) {
            Ok(request) => request,
            Err(reason) => {
                let refused = error_response(StatusCode::BAD_REQUEST, &reason);
                let message = whole(refused).await.into_body();
                let headers = json!({"content-type": "application/json"});
                return Ok(
                    json!({"statusCode": 400, "headers": headers, "body": message, "isBase64Encoded": false}),
                );
            }
        };
        let mut adapter = Adapter::from(service_fn(|request| self.clone().answer(request)));
        let answer = adapter.call(LambdaEvent::new(request, context)).await;
        Ok(serde_json::to_value(
            answer.unwrap_or_else(|never| match never {}),
        )?)
    }

    async fn answer(self, request: Request) -> Result<Response<Body>, Infallible> {
        let begun = (self.now_ms)();
        let upload = request.method() == Method::POST;
        if let Err(message) = self.may_ask(&request) {
            let refused = error_response(StatusCode::FORBIDDEN, message);
            return Ok(whole(refused).await);
        }
        let deadline = request
            .lambda_context_ref()
            .map_or(u64::MAX, |cx| cx.deadline);
        let open = match self.opened().await {
            Ok(open) => open,
            Err(reason) => {
                // For the operator alone: it names accounts, roles and keys.
                error!(reason, "the log cannot be opened");
                let mut metrics = Metrics::new(&self.settings.origin, "upload");
                metrics.count("Failures", 1).tell((self.now_ms)());
                let message = "the log cannot be opened at the moment";
                let refused = error_response(StatusCode::SERVICE_UNAVAILABLE, message);
                return Ok(whole(refused).await);
            }
        };
        let request = request.map(|body| axum::body::Body::from(body.to_vec()));
        // The router answers with errors, and never fails.
        let answer = open.router.clone().oneshot(request).await;
        let answer = whole(answer.unwrap_or_else(|never| match never {})).await;
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
        Ok(answer)
    }

    /// Whether who asks may, where the API has to say it: it checks AWS's signatures, and tells of whom they are.
    fn may_ask(&self, request: &Request) -> Result<(), &'static str> {
        if request.method() != Method::POST || !matches!(self.settings.writers, Writers::Iam) {
            return Ok(());
        }
        let authorizer = match request.request_context() {
            RequestContext::ApiGatewayV2(context) => context.authorizer,
            _ => None,
        };
        let signed = authorizer.is_some_and(|authorizer| authorizer.iam.is_some());
        signed
            .then_some(())
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

/// An event that is a request of the API. What the library would end the process for is refused here, or of no use.
fn checked(mut event: Value) -> Result<LambdaRequest, String> {
    let encoded = event.get("isBase64Encoded").and_then(Value::as_bool);
    let body = event.get("body").and_then(Value::as_str);
    if let Some(body) = body.filter(|_| encoded == Some(true))
        && let Err(error) = STANDARD.decode(body)
    {
        return Err(format!("the body is not base64: {error}"));
    }
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let (path, query) = (text("rawPath"), text("rawQueryString"));
    let asked = format!("{path}?{query}");
    if !path.starts_with('/') || asked.parse::<PathAndQuery>().is_err() {
        let asked: String = asked.chars().take(200).collect();
        return Err(format!("{asked:?} is not a path with a query"));
    }
    // No route asks for whom the client took this to be.
    if let Some(headers) = event.get_mut("headers").and_then(Value::as_object_mut) {
        headers.retain(|name, _| {
            !name.eq_ignore_ascii_case("host") && !name.eq_ignore_ascii_case("x-forwarded-proto")
        });
    }
    if let Some(context) = event
        .get_mut("requestContext")
        .and_then(Value::as_object_mut)
    {
        context.remove("domainName");
    }
    serde_json::from_value(event).map_err(|error| format!("this is no request of the API: {error}"))
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

/// An answer with its body, which the API wants in one piece: as text, where it is that.
async fn whole(answer: Response<axum::body::Body>) -> Response<Body> {
    let (head, body) = answer.into_parts();
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let message = format!("the answer could not be read: {error}");
            let failed = error_response(StatusCode::BAD_GATEWAY, &message);
            let (head, _) = failed.into_parts();
            return Response::from_parts(head, Body::Empty);
        }
    };
    let kind = head.headers.get(header::CONTENT_TYPE);
    let is_text = kind.is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"text/") || kind.starts_with(b"application/json")
    });
    let body = match String::from_utf8(bytes.to_vec()) {
        Ok(text) if is_text => Body::Text(text),
        _ if bytes.is_empty() => Body::Empty,
        _ => Body::Binary(bytes.to_vec()),
    };
    Response::from_parts(head, body)
}

/// API Gateway gives up after 30 s.
const TIMEOUT_S: u64 = 25;
/// Left at the end, to answer.
const LAST_MS: u64 = 500;
