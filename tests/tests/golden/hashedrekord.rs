//! Uploads of signatures that OpenSSL and the RFC's own program made, by keys that are gone; and each answer.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tegula_sequencer::{Sequencer, init};
use tegula_server::{Log, Options, router};
use tegula_storage::{Memory, Store};
use tower::ServiceExt;

use crate::files::{Files, assert_golden, golden, is_writing};
use crate::made::{Fixed, config, description, verifiers};

/// In the order of their upload. The last one is the first one again.
const UPLOADS: [(&str, &str); 5] = [
    ("1-ecdsa-p256", "1-ecdsa-p256"),
    ("2-ed25519ph", "2-ed25519ph"),
    ("3-rsa-2048", "3-rsa-2048"),
    ("4-certificate-p384", "4-certificate-p384"),
    ("1-ecdsa-p256", "5-ecdsa-p256-again"),
];

#[tokio::test]
async fn each_upload_is_answered_the_same_and_the_log_is_the_same_to_the_byte() {
    let memory = Memory::new();
    let store: Arc<dyn Store> = Arc::new(memory.clone());
    let description = description("hashedrekord/0.0.2", "rekor/v2");
    init(store.as_ref(), &config().signers, &description)
        .await
        .unwrap();
    let env = Arc::new(Fixed::default());
    let sequencer = Sequencer::open(Arc::clone(&store), Arc::<Fixed>::clone(&env), config())
        .await
        .unwrap();
    let key = &verifiers()[0];
    let log = Log::new(sequencer, store, key, &description, Options::default(), 1);
    let router = router(log);
    for (request, answer) in UPLOADS {
        env.second_passes();
        let request = golden("hashedrekord/requests").join(format!("{request}.json"));
        let request = Request::post("/api/v2/log/entries").body(fs::read(request).unwrap().into());
        let response = router
            .clone()
            .oneshot(request.unwrap() as Request<Body>)
            .await;
        let (parts, body) = response.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(parts.status, StatusCode::CREATED, "{body:?}");
        let again = parts.headers.get("x-log-index");
        assert_eq!(again.is_some(), answer.ends_with("again"), "{answer}");
        let body = serde_json::from_slice(&body).unwrap();
        assert_is_found(&body);
        assert_answer(answer, &body);
    }
    let listing = memory.listing().into_iter();
    let found: Files = listing
        .map(|(name, bytes)| (name, bytes.to_vec()))
        .collect();
    assert_golden("hashedrekord", &found);
}

/// Readers look for an entry by the keys that writers put into the index.
fn assert_is_found(answer: &Value) {
    let body = answer["canonicalizedBody"].as_str().unwrap();
    let body = STANDARD.decode(body).unwrap();
    let keys = tegula_server::index_keys(&body);
    assert!(keys.len() > 2, "leaf hash, digest and key at least");
    assert_eq!(keys, tegula_client::index_keys(&body));
}

fn assert_answer(name: &str, found: &Value) {
    let file = golden("hashedrekord/answers").join(format!("{name}.json"));
    if is_writing() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{found:#}\n")).unwrap();
        return;
    }
    let committed: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let (committed, found) = (by_key(&committed), by_key(found));
    let keys = |of: &BTreeMap<String, Value>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&found), keys(&committed), "the keys of {name}");
    for (key, value) in found {
        assert_eq!(value, committed[&key], "{key} of {name}");
    }
}

/// Each value that holds no others, by its JSON pointer.
fn by_key(value: &Value) -> BTreeMap<String, Value> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(items) if !items.is_empty() => {
            let items = items.iter().enumerate();
            items.map(|(n, v)| (n.to_string(), v)).collect()
        }
        _ => return BTreeMap::from([(String::new(), value.clone())]),
    };
    let inner = inner.into_iter().flat_map(|(key, value)| {
        let below = by_key(value).into_iter();
        below.map(move |(path, value)| (format!("/{key}{path}"), value))
    });
    inner.collect()
}
