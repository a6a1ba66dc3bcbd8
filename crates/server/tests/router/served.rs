//! A log in memory behind its router.

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
use tegula_server::{Log, Options, router};
use tegula_storage::{Memory, Store};
use tegula_tlog::{Limits, LogDescription, SigningKey, VerifierKey};
use tower::ServiceExt;

#[derive(Debug, Default)]
pub(crate) struct TestEnv(AtomicU64);

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

pub(crate) struct Served {
    pub(crate) router: Router,
    pub(crate) store: Memory,
    pub(crate) log: Log,
    pub(crate) key: VerifierKey,
}

impl Served {
    pub(crate) async fn new(kinds: &[&str], options: Options) -> Self {
        Self::with(kinds, options, |_| ()).await
    }

    /// A log of all kinds, which keeps attestations of up to so many bytes.
    pub(crate) async fn with_attestations(limit: Option<u64>) -> Self {
        Self::made(&tegula_entries::KINDS, Options::default(), |_| (), limit).await
    }

    pub(crate) async fn with(
        kinds: &[&str],
        options: Options,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        Self::made(kinds, options, configure, None).await
    }

    async fn made(
        kinds: &[&str],
        options: Options,
        configure: impl FnOnce(&mut Config),
        attestation_bytes: Option<u64>,
    ) -> Self {
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
                attestation_bytes,
            },
        };
        let store = Memory::new();
        let mut config = Config::new(vec![signer]);
        init(&store, &config.signers, &description).await.unwrap();
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let env = Arc::new(TestEnv::default());
        configure(&mut config);
        let sequencer = Sequencer::open(Arc::clone(&shared), env, config)
            .await
            .unwrap();
        let log = Log::new(sequencer, shared, &key, &description, options, 1);
        Self {
            router: router(log.clone()),
            store,
            log,
            key,
        }
    }

    pub(crate) async fn raw() -> Self {
        Self::new(&["raw"], Options::default()).await
    }

    pub(crate) async fn rekor() -> Self {
        Self::new(&["hashedrekord/0.0.2"], Options::default()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        (parts.status, parts.headers, bytes)
    }

    pub(crate) async fn ask(
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

    pub(crate) async fn post(
        &self,
        path: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        self.send(Request::post(path).body(body.into()).unwrap())
            .await
    }

    /// The message of an error, which has to be JSON of the documented shape.
    pub(crate) async fn refused(
        &self,
        path: &str,
        body: impl Into<Body>,
        status: u16,
        code: u64,
    ) -> String {
        let (found, _, bytes) = self.post(path, body).await;
        let error: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(found.as_u16(), status, "{error}");
        assert_eq!(error["code"], code);
        assert_eq!(error["details"], serde_json::json!([]));
        error["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) const ENTRIES: &str = "/api/v2/log/entries";
pub(crate) const BATCH: &str = "/api/v2/log/entries/batch";
