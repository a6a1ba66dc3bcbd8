//! The router without a socket, over a log in memory: statuses, headers and messages.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tegula_sequencer::{Config, Env, Sequencer, init};
use tegula_server::{Duplicates, Log, Options, add_token, revoke_token, router};
use tegula_storage::{Memory, Store};
use tegula_tlog::{Limits, LogDescription, SigningKey};
use tower::ServiceExt;

#[derive(Debug, Default)]
struct TestEnv(AtomicU64);

impl Env for TestEnv {
    fn now_ms(&self) -> u64 {
        1_767_225_600_000
    }

    fn random(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

struct Served {
    router: Router,
    store: Memory,
}

impl Served {
    async fn new(kinds: &[&str], options: Options) -> Self {
        let signer = SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap();
        let key = signer.verifier();
        let description = LogDescription {
            format: 1,
            origin: "log.example".to_owned(),
            keys: vec![key.to_string()],
            slot_format: 1,
            entries: kinds.iter().map(ToString::to_string).collect(),
            apis: Vec::new(),
            limits: Limits {
                entry_bytes: 65_535,
                batch_entries: 1_000,
                batch_bytes: 4 << 20,
            },
        };
        let store = Memory::new();
        init(&store, std::slice::from_ref(&signer), &description)
            .await
            .unwrap();
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let env = Arc::new(TestEnv::default());
        let sequencer = Sequencer::open(Arc::clone(&shared), env, Config::new(vec![signer]))
            .await
            .unwrap();
        let log = Log::new(sequencer, shared, &key, &description, options, 1);
        Self {
            router: router(log),
            store,
        }
    }

    async fn raw() -> Self {
        Self::new(&["raw"], Options::default()).await
    }

    async fn rekor() -> Self {
        Self::new(&["hashedrekord/0.0.2"], Options::default()).await
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        (parts.status, parts.headers, bytes)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
        self.send(Request::post(path).body(body.into()).unwrap())
            .await
    }

    /// The message of an error, which has to be JSON of the documented shape.
    async fn refused(&self, path: &str, body: impl Into<Body>, status: u16, code: u64) -> String {
        let (found, _, bytes) = self.post(path, body).await;
        let error: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(found.as_u16(), status, "{error}");
        assert_eq!(error["code"], code);
        assert_eq!(error["details"], serde_json::json!([]));
        error["message"].as_str().unwrap().to_owned()
    }
}

const ENTRIES: &str = "/api/v2/log/entries";
const BATCH: &str = "/api/v2/log/entries/batch";

#[tokio::test]
async fn raw_entries_are_added_once() {
    let log = Served::raw().await;
    let (status, headers, index) = log.post("/add", "alpha").await;
    assert_eq!(
        (status, index.as_slice()),
        (StatusCode::OK, b"0".as_slice())
    );
    assert!(!headers.contains_key("x-log-index"));
    assert_eq!(log.post("/add", "beta").await.2, b"1");
    let (status, headers, index) = log.post("/add", "alpha").await;
    assert_eq!(
        (status, index.as_slice()),
        (StatusCode::OK, b"0".as_slice())
    );
    assert_eq!(headers["x-log-index"], "0");
    let long = log.refused("/add", vec![0; 65_536], 400, 3).await;
    assert_eq!(long, "the request body is larger than 65535 bytes");
    let rekor = log.refused(ENTRIES, "{}", 404, 5).await;
    assert_eq!(rekor, "this log takes raw entries alone, by POST /add");
}

#[tokio::test]
async fn static_objects_are_served_as_a_web_server_would() {
    let log = Served::raw().await;
    for n in 0..3 {
        log.post("/add", format!("entry {n}")).await;
    }
    for prefix in ["/", "/api/v2/", "//api/v2/"] {
        let (status, headers, note) = log
            .ask(Method::GET, &format!("{prefix}checkpoint"), &[])
            .await;
        assert_eq!(status, StatusCode::OK);
        assert!(note.starts_with(b"log.example\n3\n"));
        assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(headers["cache-control"], "public, max-age=1");
        assert_eq!(headers["access-control-allow-origin"], "*");
    }
    let (status, headers, tile) = log.ask(Method::GET, "/tile/0/000.p/3", &[]).await;
    assert_eq!((status, tile.len()), (StatusCode::OK, 96));
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert_eq!(
        headers["cache-control"],
        "public, max-age=31536000, immutable"
    );
    let etag = headers["etag"].to_str().unwrap().to_owned();

    let (status, headers, body) = log.ask(Method::HEAD, "/tile/0/000.p/3", &[]).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert_eq!(headers["content-length"], "96");
    let (status, _, body) = log
        .ask(Method::GET, "/tile/0/000.p/3", &[("if-none-match", &etag)])
        .await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    for (range, part, content_range) in [
        ("bytes=0-31", &tile[..32], "bytes 0-31/96"),
        ("bytes=64-", &tile[64..], "bytes 64-95/96"),
        ("bytes=-1", &tile[95..], "bytes 95-95/96"),
        ("bytes=90-1000", &tile[90..], "bytes 90-95/96"),
    ] {
        let (status, headers, body) = log
            .ask(Method::GET, "/tile/0/000.p/3", &[("range", range)])
            .await;
        assert_eq!(
            (status, body.as_slice()),
            (StatusCode::PARTIAL_CONTENT, part),
            "{range}"
        );
        assert_eq!(headers["content-range"], content_range);
    }
    let beyond = log
        .ask(Method::GET, "/tile/0/000.p/3", &[("range", "bytes=96-")])
        .await;
    assert_eq!(
        (beyond.0, &beyond.1["content-range"]),
        (
            StatusCode::RANGE_NOT_SATISFIABLE,
            &"bytes */96".parse().unwrap()
        )
    );
    let range = [("range", "bytes=0-31")];
    let head = log.ask(Method::HEAD, "/tile/0/000.p/3", &range).await;
    assert_eq!(
        (head.0, &head.1["content-length"]),
        (StatusCode::OK, &"96".parse().unwrap())
    );
}

#[tokio::test]
async fn a_range_that_is_none_is_passed_over() {
    let log = Served::raw().await;
    log.post("/add", "alpha").await;
    for range in [
        "lines=1-2",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=--1",
        "bytes=+0-1",
        "bytes=0-+1",
        "bytes=-+1",
        "bytes= 0-1",
        "bytes=0 -1",
        "bytes=0-1 ",
        "bytes=0x0-1",
        "bytes=2-1",
        "bytes=0-0,1-1",
        "bytes=0-18446744073709551616",
        "bytes=18446744073709551616-",
        "Bytes=0-1",
        "\t",
    ] {
        let (status, headers, body) = log
            .ask(Method::GET, "/tile/entries/000.p/1", &[("range", range)])
            .await;
        assert_eq!(
            (status, body.as_slice()),
            (StatusCode::OK, &b"\0\x05alpha"[..]),
            "{range}"
        );
        assert!(!headers.contains_key("content-range"), "{range}");
    }
    for range in [
        "bytes=7-",
        "bytes=7-7",
        "bytes=-0",
        "bytes=18446744073709551615-",
        "bytes=18446744073709551615-18446744073709551615",
    ] {
        let (status, headers, _) = log
            .ask(Method::GET, "/tile/entries/000.p/1", &[("range", range)])
            .await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(headers["content-range"], "bytes */7", "{range}");
    }
}

#[tokio::test]
async fn nothing_else_can_be_named() {
    let log = Served::raw().await;
    log.post("/add", "alpha").await;
    for path in [
        "/",
        "/private/wal/00000000000000000000",
        "/wal/00000000000000000000",
        "/../private/base",
        "/tile/../checkpoint",
        "/tile/0/0",
        "/tile/0/001",
        "/keys/ed25519.pem",
        "/%2e%2e/private",
        "/api/v2/api/v2/checkpoint",
        "/checkpoint/",
        "/tokens.json",
    ] {
        let (status, _, body) = log.ask(Method::GET, path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(error["code"], 5, "{path}");
    }
    for (method, path) in [
        (Method::POST, "/checkpoint"),
        (Method::DELETE, "/tile/0/000.p/1"),
        (Method::GET, ENTRIES),
        (Method::PUT, "/add"),
    ] {
        let (status, headers, _) = log.ask(method.clone(), path, &[]).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(headers.contains_key("allow"));
    }
    let (status, headers, _) = log.ask(Method::OPTIONS, "/checkpoint", &[]).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(headers.contains_key("access-control-allow-methods"));
    let (status, _, body) = log.ask(Method::GET, "/healthz", &[]).await;
    assert_eq!(
        (status, body.as_slice()),
        (StatusCode::OK, br#"{"status":"SERVING"}"#.as_slice())
    );
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let log = Served::rekor().await;
    for body in ["", "{}", "null", "{\"hashedRekordRequestV002\":null}"] {
        let message = log.refused(ENTRIES, body, 400, 3).await;
        assert!(
            message.contains("invalid type, must be hashedrekord")
                || message.starts_with("request is not valid: "),
            "{body:?}: {message}"
        );
    }
    let message = log
        .refused(
            ENTRIES,
            "{\"hashedRekordRequestV002\":{\"digest\":\"AQ==\"}}",
            400,
            3,
        )
        .await;
    assert_eq!(
        message,
        "invalid hashedrekord request: signature is missing or empty"
    );
    let message = log.refused(ENTRIES, "{\"other\":1}", 400, 3).await;
    assert!(message.starts_with("request is not valid: "), "{message}");
    let message = log
        .refused(ENTRIES, vec![b' '; (4 << 20) + 1], 400, 3)
        .await;
    assert_eq!(message, "the request body is larger than 4194304 bytes");
    let message = log.refused("/add", "x", 404, 5).await;
    assert!(
        message.starts_with("this log takes no raw entries"),
        "{message}"
    );

    let message = log.refused(BATCH, "{\"requests\":[]}", 400, 3).await;
    assert_eq!(message, "a batch of 0 requests, expected 1 to 1000");
    let many = format!("{{\"requests\":[{}]}}", vec!["{}"; 1001].join(","));
    let message = log.refused(BATCH, many, 400, 3).await;
    assert_eq!(message, "a batch of 1001 requests, expected 1 to 1000");
    let (status, _, body) = log.post(BATCH, "{\"requests\":[{},7]}").await;
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["entries"].as_array().unwrap().len(), 2);
    assert!(answer["entries"][0]["error"].is_string());
    assert_eq!(answer["treeSize"], "0");
}

#[tokio::test]
async fn writes_need_a_token_where_the_operator_says_so() {
    let options = Options {
        require_token: true,
        ..Options::default()
    };
    let log = Served::new(&["raw"], options).await;
    let (status, headers, _) = log.post("/add", "alpha").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(headers["www-authenticate"], "Bearer");
    let secret = add_token(&log.store, "ci", [1; 32], 0).await.unwrap();
    assert!(add_token(&log.store, "ci", [2; 32], 0).await.is_err());
    let with = |secret: &str| {
        let request = Request::post("/add").header("authorization", format!("Bearer {secret}"));
        request.body(Body::from("alpha")).unwrap()
    };
    assert_eq!(log.send(with(&secret)).await.0, StatusCode::OK);
    assert_eq!(log.send(with("wrong")).await.0, StatusCode::UNAUTHORIZED);
    revoke_token(&log.store, "ci").await.unwrap();
    assert_eq!(log.send(with(&secret)).await.0, StatusCode::UNAUTHORIZED);
    // Reading is for everybody.
    assert_eq!(
        log.ask(Method::GET, "/checkpoint", &[]).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn requests_have_ids() {
    let log = Served::raw().await;
    let (_, headers, _) = log
        .ask(Method::GET, "/checkpoint", &[("x-request-id", "mine-1")])
        .await;
    assert_eq!(headers["x-request-id"], "mine-1");
    for bad in ["with space", "", &"x".repeat(65)] {
        let (_, headers, _) = log
            .ask(Method::GET, "/checkpoint", &[("x-request-id", bad)])
            .await;
        assert_ne!(headers["x-request-id"], bad);
    }
    let options = Options::default();
    assert_eq!(options.duplicates, Duplicates::Existing);
}
