//! `GET /search`: what it says, and that its proof is enough for who has nothing but the log's key.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tegula_client::{CheckpointMemory, FetchError, Reader, SearchOptions, Source, index_keys};
use tegula_index::Key;
use tegula_sequencer::{IndexOptions, Indexer, Signers};
use tegula_server::Options;
use tegula_storage::{ObjectPath, Store};
use tegula_tlog::{Policy, SigningKey, leaf_hash};

use crate::served::{Served, TestEnv};

/// A log of raw entries, of which the index covers all but the last ones.
async fn indexed(count: usize) -> Served {
    let log = Served::new(&["raw"], Options::default()).await;
    let entries: Vec<_> = (0..count)
        .map(|n| Bytes::from(format!("entry {n}")))
        .collect();
    for batch in entries.chunks(1_000) {
        log.log
            .sequencer()
            .submit_batch(batch.to_vec())
            .await
            .unwrap();
    }
    let key = SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap();
    let signers = Signers::from(vec![key]);
    let (store, env) = (Arc::new(log.store.clone()), Arc::new(TestEnv::default()));
    let mut indexer = Indexer::new(store, env, &signers, Arc::new(index_keys)).unwrap();
    indexer.round(IndexOptions::default()).await.unwrap();
    log
}

async fn ask(log: &Served, query: &str) -> (StatusCode, Value) {
    let (status, _, body) = log.ask(Method::GET, &format!("/search?{query}"), &[]).await;
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn entries_are_found_in_the_index_and_after_it() {
    let log = indexed(700).await;
    for at in [0, 300, 511, 512, 699] {
        let leaf = leaf_hash(format!("entry {at}").as_bytes());
        let (status, answer) = ask(&log, &format!("leaf={leaf}&entries=true")).await;
        assert_eq!(status, StatusCode::OK);
        let body = STANDARD.encode(format!("entry {at}"));
        let expected = json!([{"logIndex": at, "uuid": leaf.to_string(), "body": body}]);
        assert_eq!(answer["entries"], expected);
        assert_eq!(
            (&answer["count"], &answer["complete"]),
            (&json!(1), &json!(true))
        );
        assert_eq!(
            (&answer["treeSize"], &answer["index"]["covered"]),
            (&json!(700), &json!(512))
        );
    }
    let (first, last) = (leaf_hash(b"entry 0"), leaf_hash(b"entry 699"));
    let (_, both) = ask(&log, &format!("leaf={first}&leaf={last}")).await;
    assert_eq!(both["entries"], json!([{"logIndex": 699}, {"logIndex": 0}]));
    let (_, neither) = ask(&log, &format!("leaf={first}&leaf={last}&operator=and")).await;
    assert_eq!(
        (&neither["count"], &neither["complete"]),
        (&json!(0), &json!(true))
    );
}

/// The objects of an answer, and nothing else.
#[derive(Debug)]
struct Answered(BTreeMap<String, Bytes>);

#[async_trait]
impl Source for Answered {
    async fn fetch(&self, path: &str, _max_len: usize) -> Result<Option<Bytes>, FetchError> {
        Ok(self.0.get(path).cloned())
    }

    fn name(&self) -> String {
        "an answer".to_owned()
    }
}

#[tokio::test]
async fn an_answer_carries_its_proof() {
    let log = indexed(1_500).await;
    let (there, not_there) = (leaf_hash(b"entry 1"), leaf_hash(b"nothing"));
    for (leaf, expected) in [(there, 1), (not_there, 0)] {
        let (_, answer) = ask(&log, &format!("leaf={leaf}&proof=true")).await;
        assert_eq!(
            (&answer["count"], &answer["omitted"]),
            (&json!(expected), &json!([]))
        );
        let objects = answer["objects"].as_object().unwrap().iter();
        let objects: BTreeMap<_, _> = objects
            .map(|(path, bytes)| {
                (
                    path.clone(),
                    STANDARD.decode(bytes.as_str().unwrap()).unwrap().into(),
                )
            })
            .collect();
        // Each of them is needed.
        for left_out in std::iter::once(None).chain(objects.keys().map(Some)) {
            let mut some = objects.clone();
            some.retain(|path, _| Some(path) != left_out);
            let policy = Policy::from_log_keys(vec![log.key.clone()]);
            let memory = CheckpointMemory::in_process();
            let reader = Reader::new(Arc::new(Answered(some)), policy, None, memory);
            let searched = reader
                .search(&[Key::leaf(&leaf)], SearchOptions::default())
                .await;
            match left_out.map(String::as_str) {
                None => {
                    let searched = searched.unwrap();
                    assert!(searched.is_complete());
                    assert_eq!(searched.answers[0].count(), expected);
                }
                // Without an index everything is to be read.
                Some("index/v1/checkpoint") => assert!(searched.is_err()),
                Some(path) => assert!(searched.is_err(), "{path}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_said() {
    let log = indexed(10).await;
    for (query, expected) in [
        ("", "0 things to search for, expected 1 to 16"),
        ("sha=abc", "sha=\"abc\": expected a digest"),
        ("leaf=xyz", "leaf=\"xyz\": expected 64 hexadecimal digits"),
        (
            "email=a@b&operator=xor",
            "operator=\"xor\": expected and, or or",
        ),
        (
            "email=a@b&limit=1001",
            "limit=\"1001\": expected a number up to 1000",
        ),
        ("subjectPrefix=https%3A%2F%2Fa", "https://a"),
        ("colour=red", "colour=\"red\": expected one of sha"),
    ] {
        let (status, answer) = ask(&log, query).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
    // Forms encode so.
    let (status, answer) = ask(&log, "email=Alice%40example.com&subject=a+b").await;
    assert_eq!((status, &answer["count"]), (StatusCode::OK, &json!(0)));
    let (status, _, _) = log.ask(Method::POST, "/search?leaf=1", &[]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

/// A damaged index is no absence.
#[tokio::test]
async fn what_is_damaged_is_not_answered() {
    let log = indexed(600).await;
    let path = ObjectPath::public("index/v1/run/0/001/000").unwrap();
    let mut bytes = log.store.read(&path).await.unwrap().unwrap().bytes.to_vec();
    bytes[40] ^= 1;
    log.store.tamper(&path, Some(bytes.into()));
    let leaf = leaf_hash(b"nothing");
    let (status, answer) = ask(&log, &format!("leaf={leaf}")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("index/v1/run/0/001/000"), "{message}");
}
