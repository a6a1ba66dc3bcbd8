//! The functions as Lambda runs them: a process for each, under a stub of its Runtime API on loopback.
//!
//! What is run are the real binaries, which `tests/functions/run` builds; `TEGULA_FUNCTIONS` says where they are.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "it serves tests, which stop where it fails"
)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tegula_s3_stand_in::StandIn;
use tegula_tlog::SigningKey;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// The name of every log here.
pub const ORIGIN: &str = "log.example";

/// The key of every log here.
pub fn key() -> SigningKey {
    SigningKey::ed25519_from_seed(ORIGIN, &[7; 32]).unwrap()
}

/// Where the log of a stand-in is.
pub fn address(stand_in: &StandIn) -> String {
    let endpoint = stand_in.endpoint();
    format!("s3://log-public?private=s3://log-private&endpoint={endpoint}")
}

/// What an invocation came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Invoked {
    /// What the function answered.
    Answered(Value),
    /// What the function failed with.
    Failed(Value),
    /// The process ended, and nobody knows.
    Lost,
}

/// One process of a function. It is killed where this is dropped.
#[derive(Debug)]
pub struct Function {
    api: RuntimeApi,
    child: Child,
    told: NamedTempFile,
}

impl Function {
    /// Starts `upload` or `maintain` on the log of a stand-in, with more environment.
    pub async fn start(name: &str, stand_in: &StandIn, more: &[(&str, &str)]) -> Self {
        let api = RuntimeApi::start().await;
        let pem = key().to_pkcs8_pem().unwrap();
        let told = NamedTempFile::new().unwrap();
        let child = Command::new(binary(name))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/test")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_SESSION_TOKEN", "token")
            .env("TEGULA_STORE", address(stand_in))
            .env("TEGULA_ORIGIN", ORIGIN)
            .env("TEGULA_KEYS", "env:TEGULA_KEY")
            .env("TEGULA_KEY", pem)
            .env("TEGULA_LOG_LEVEL", "error")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(told.reopen().unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { api, child, told }
    }

    /// Sends it an event, and waits for what comes of it; one at a time.
    pub async fn invoke(&mut self, event: Value) -> Invoked {
        let answered = self.api.invoke(event);
        tokio::select! {
            answered = answered => answered.unwrap_or(Invoked::Lost),
            _ = self.child.wait() => Invoked::Lost,
        }
    }

    /// What it told CloudWatch so far, of one metric.
    pub fn told(&self, metric: &str) -> Vec<f64> {
        let told = std::fs::read_to_string(self.told.path()).unwrap();
        let lines = told.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter_map(|line: Value| line.get(metric)?.as_f64())
            .collect()
    }

    /// Waits until it asks for work for the first time.
    pub async fn ready(&self) {
        self.api.shared.asked.notified().await;
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Ends it, without a word.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

/// An event of API Gateway, payload format 2.0.
pub fn request(method: &str, path: &str, body: &[u8]) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": ORIGIN, "content-type": "application/json"},
        "requestContext": {
            "accountId": "1",
            "apiId": "api",
            "domainName": ORIGIN,
            "domainPrefix": "log",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
        },
        "body": STANDARD.encode(body),
        "isBase64Encoded": true,
    })
}

/// Status and body of an answer to API Gateway.
pub fn answer(invoked: &Invoked) -> Option<(u64, Vec<u8>)> {
    let Invoked::Answered(answer) = invoked else {
        return None;
    };
    let body = answer["body"].as_str().unwrap_or_default();
    let body = match answer["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.decode(body).unwrap(),
        _ => body.as_bytes().to_vec(),
    };
    Some((answer["statusCode"].as_u64().unwrap(), body))
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the binaries are is said by who runs the tests"
)]
fn binary(name: &str) -> PathBuf {
    let directory = std::env::var("TEGULA_FUNCTIONS").unwrap_or_else(|_unset| {
        panic!("TEGULA_FUNCTIONS says where the functions are: run tests/functions/run")
    });
    PathBuf::from(directory).join(format!("tegula-{name}"))
}

/// The Runtime API of one process.
#[derive(Debug)]
struct RuntimeApi {
    address: SocketAddr,
    events: mpsc::UnboundedSender<(String, Value)>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<HashMap<String, oneshot::Sender<Invoked>>>,
    next: AtomicU64,
    asked: Notify,
}

type Events = Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<(String, Value)>>>;

impl RuntimeApi {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (events, waiting) = mpsc::unbounded_channel();
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(serve(listener, Arc::clone(&shared), waiting));
        Self {
            address,
            events,
            shared,
            task,
        }
    }

    fn invoke(&self, event: Value) -> oneshot::Receiver<Invoked> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("8476a536-e9f4-11e8-9739-{id:012}");
        let (sender, receiver) = oneshot::channel();
        lock(&self.shared.waiting).insert(id.clone(), sender);
        self.events.send((id, event)).unwrap();
        receiver
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, events: Events) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let (shared, events) = (Arc::clone(&shared), Arc::clone(&events));
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let (shared, events) = (Arc::clone(&shared), Arc::clone(&events));
                async move { Ok::<_, hyper::Error>(respond(&shared, &events, request).await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // It ends where the process does.
            connection.await.unwrap_or_default();
        });
    }
}

async fn respond(
    shared: &Shared,
    events: &Events,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let path = path.strip_prefix("/2018-06-01/runtime/").unwrap();
    if request.method() == Method::GET && path == "invocation/next" {
        shared.asked.notify_one();
        let Some((id, event)) = events.lock().await.recv().await else {
            // The test has ended, and the process is about to: it waits, as for Lambda.
            return std::future::pending().await;
        };
        return Response::builder()
            .header("Lambda-Runtime-Aws-Request-Id", id)
            .header("Lambda-Runtime-Deadline-Ms", deadline_ms())
            .header(
                "Lambda-Runtime-Invoked-Function-Arn",
                "arn:aws:lambda:eu-central-1:1:function:test",
            )
            .header("content-type", "application/json")
            .body(Full::new(event.to_string().into()))
            .unwrap();
    }
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let outcome = path
        .strip_prefix("invocation/")
        .and_then(|rest| rest.split_once('/'));
    if let Some((id, kind)) = outcome
        && let Some(waiting) = lock(&shared.waiting).remove(id)
    {
        let invoked = match kind {
            "response" => Invoked::Answered(value),
            _ => Invoked::Failed(value),
        };
        // Whoever waited may have given up.
        drop(waiting.send(invoked));
    }
    Response::builder()
        .status(202)
        .body(Full::default())
        .unwrap()
}

/// As long as API Gateway waits.
fn deadline_ms() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from((since + Duration::from_secs(30)).as_millis()).unwrap()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
