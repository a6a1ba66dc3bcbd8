//! Writing: what is answered to what, by status and in words.

use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use http::{Method, Request, StatusCode};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::EncodePublicKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tegula_server::{AllowedKeys, Duplicates, Options, Peer, add_token, revoke_token};
use tegula_tlog::{Checkpoint, Hash, leaf_hash, verify_inclusion};
use tower::ServiceExt;

use crate::served::{BATCH, ENTRIES, Served};

/// A request for the signature of a P-256 key over a text.
fn request(text: &str) -> Value {
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let spki = key.verifying_key().to_public_key_der().unwrap();
    let digest = Sha256::digest(text);
    let signature: p256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
    json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(digest),
        "signature": {
            "content": STANDARD.encode(signature.to_der()),
            "verifier": {
                "publicKey": {"rawBytes": STANDARD.encode(spki.as_bytes())},
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
        },
    }})
}

fn hashes(list: &Value) -> Vec<Hash> {
    let list = list.as_array().unwrap().iter();
    let bytes = list.map(|hash| STANDARD.decode(hash.as_str().unwrap()).unwrap());
    bytes.map(|hash| Hash(hash.try_into().unwrap())).collect()
}

/// Checks the proof of a leaf against the checkpoint that came with it.
fn verify(log: &Served, note: &Value, index: &Value, leaf: &Hash, proof: &Value) {
    let keys = [log.key.clone()];
    let (checkpoint, _) = Checkpoint::open(note.as_str().unwrap().as_bytes(), &keys).unwrap();
    let index = index.as_str().unwrap().parse().unwrap();
    let proof = hashes(proof);
    verify_inclusion(index, checkpoint.size, leaf, &proof, &checkpoint.root).unwrap();
}

#[tokio::test]
async fn an_entry_is_answered_as_rekor_does() {
    let log = Served::rekor().await;
    for (n, text) in ["one", "two", "three"].into_iter().enumerate() {
        let (status, headers, body) = log.post(ENTRIES, request(text).to_string()).await;
        assert_eq!(status, StatusCode::CREATED);
        assert_eq!(headers["content-type"], "application/json");
        assert!(!headers.contains_key("x-log-index"));
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let names = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        let mut fields = names(&answer);
        fields.sort();
        // All of them, and none besides: Go and Python refuse any other.
        let expected = [
            "canonicalizedBody",
            "inclusionPromise",
            "inclusionProof",
            "integratedTime",
            "kindVersion",
            "logId",
            "logIndex",
        ];
        assert_eq!(fields, expected);
        let mut fields = names(&answer["inclusionProof"]);
        fields.sort();
        let expected = ["checkpoint", "hashes", "logIndex", "rootHash", "treeSize"];
        assert_eq!(fields, expected);
        assert_eq!(answer["logIndex"], n.to_string());
        assert_eq!(
            answer["logId"],
            json!({"keyId": STANDARD.encode(log.key.full_key_id())})
        );
        assert_eq!(
            answer["kindVersion"],
            json!({"kind": "hashedrekord", "version": "0.0.2"})
        );
        assert_eq!(answer["integratedTime"], "0");
        assert_eq!(answer["inclusionPromise"], Value::Null);
        let proof = &answer["inclusionProof"];
        assert_eq!(proof["logIndex"], n.to_string());
        assert_eq!(proof["treeSize"], (n + 1).to_string());
        let body = STANDARD.decode(answer["canonicalizedBody"].as_str().unwrap());
        let leaf = leaf_hash(&body.unwrap());
        let note = &proof["checkpoint"]["envelope"];
        verify(&log, note, &proof["logIndex"], &leaf, &proof["hashes"]);
    }
}

#[tokio::test]
async fn a_duplicate_is_answered_with_the_entry_that_is_there() {
    let log = Served::rekor().await;
    let first = request("same").to_string();
    log.post(ENTRIES, first.clone()).await;
    log.post(ENTRIES, request("other").to_string()).await;
    let (status, headers, body) = log.post(ENTRIES, first).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    assert_eq!(headers["x-log-index"], "0");
    assert_eq!(answer["logIndex"], "0");
    assert_eq!(answer["inclusionProof"]["treeSize"], "2");
}

#[tokio::test]
async fn a_duplicate_is_a_conflict_where_the_operator_says_so() {
    let options = Options {
        duplicates: Duplicates::Conflict,
        ..Options::default()
    };
    let log = Served::new(&["hashedrekord/0.0.2"], options).await;
    let body = request("same").to_string();
    assert_eq!(log.post(ENTRIES, body.clone()).await.0, StatusCode::CREATED);
    let (_, headers, _) = log.post(ENTRIES, body.clone()).await;
    assert_eq!(headers["x-log-index"], "0");
    assert_eq!(
        log.refused(ENTRIES, body, 409, 6).await,
        "an equivalent entry already exists in the transparency log with index 0"
    );
}

/// One by one and in batches; a certificate would count by its key.
#[tokio::test]
async fn signatures_of_other_keys_are_refused_where_keys_are_named() {
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let spki = key.verifying_key().to_public_key_der().unwrap();
    let own = Hash(Sha256::digest(spki.as_bytes()).into()).to_string();
    let other = "ab".repeat(32);
    for (allowed, is) in [
        (vec![&own], true),
        (vec![&other, &own], true),
        (vec![&other], false),
    ] {
        let options = Options {
            allowed_keys: AllowedKeys::only(allowed.iter().map(|key| key.parse().unwrap())),
            ..Options::default()
        };
        let log = Served::new(&["hashedrekord/0.0.2"], options).await;
        let batch = json!({"requests": [request("one"), request("two")]}).to_string();
        let (status, _, body) = log.post(BATCH, batch).await;
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["treeSize"], if is { "2" } else { "0" });
        let body = request("three").to_string();
        if is {
            assert_eq!(log.post(ENTRIES, body).await.0, StatusCode::CREATED);
            continue;
        }
        let refused = format!("this log takes no signatures of the key {own}");
        assert_eq!(answer["entries"][1], json!({"error": refused}));
        assert_eq!(log.refused(ENTRIES, body, 403, 7).await, refused);
    }
}

/// Raw entries have no signatures.
#[tokio::test]
async fn where_keys_are_named_no_raw_entries_are_taken() {
    let options = Options {
        allowed_keys: AllowedKeys::only(["ab".repeat(32).parse().unwrap()]),
        ..Options::default()
    };
    let log = Served::new(&["raw"], options).await;
    let message = log.refused("/add", "x", 403, 7).await;
    assert!(
        message.ends_with("raw ones have no signatures"),
        "{message}"
    );
}

/// Each entry counts, also in a batch.
#[tokio::test]
async fn a_client_may_upload_so_much_a_minute() {
    let options = Options {
        client_rate: 3,
        ..Options::default()
    };
    let log = Served::new(&["hashedrekord/0.0.2"], options).await;
    let ask = async |from: &str, path: &str, body: Value| {
        let mut asked = Request::post(path)
            .body(Body::from(body.to_string()))
            .unwrap();
        asked.extensions_mut().insert(Peer(from.parse().unwrap()));
        let (status, headers, _) = log.send(asked).await;
        (status.as_u16(), headers.contains_key("retry-after"))
    };
    let batch = || json!({"requests": [request("one"), request("two")]});
    assert_eq!(
        ask("192.0.2.1", ENTRIES, request("one")).await,
        (201, false)
    );
    assert_eq!(ask("192.0.2.1", BATCH, batch()).await, (200, false));
    assert_eq!(ask("192.0.2.1", ENTRIES, request("one")).await, (429, true));
    assert_eq!(ask("192.0.2.2", BATCH, batch()).await, (200, false));
    assert_eq!(ask("192.0.2.2", BATCH, batch()).await, (429, true));
    // More than there is in a minute takes all of it.
    let four = ["one", "two", "three", "four"];
    let large = || json!({"requests": four.map(request).to_vec()});
    assert_eq!(ask("192.0.2.3", BATCH, large()).await, (200, false));
    assert_eq!(ask("192.0.2.3", ENTRIES, request("one")).await, (429, true));
    // Without a socket, somebody else limits.
    for _ in 0..5 {
        assert_eq!(log.post(ENTRIES, request("one").to_string()).await.0, 201);
    }
}

#[tokio::test]
async fn what_does_not_verify_is_refused_with_the_reason() {
    let log = Served::rekor().await;
    let pointer = |path: &str| format!("/hashedRekordRequestV002/{path}");
    let wrong = |path: &str, value: Value| {
        let mut request = request("text");
        *request.pointer_mut(&pointer(path)).unwrap() = value;
        request.to_string()
    };
    let other = request("another text");
    let signature = other
        .pointer(&pointer("signature/content"))
        .unwrap()
        .clone();
    for (body, reason) in [
        (
            wrong("signature/content", signature),
            "signature does not verify over the digest with the given key",
        ),
        (
            wrong("digest", json!("AQ==")),
            "digest is 1 bytes, sha256 has 32",
        ),
        (wrong("digest", json!("?")), "digest is not base64: ?"),
        (
            wrong(
                "signature/verifier/keyDetails",
                json!("PKIX_ECDSA_P384_SHA_384"),
            ),
            "digest is 32 bytes, sha384 has 48",
        ),
        (
            wrong(
                "signature/verifier/keyDetails",
                json!("PKIX_RSA_PKCS1V15_2048_SHA256"),
            ),
            "keyDetails PKIX_RSA_PKCS1V15_2048_SHA256 does not fit the key, which is PKIX_ECDSA_P256_SHA_256",
        ),
        (
            wrong("signature/verifier/publicKey/rawBytes", json!("MAA=")),
            "public key is not a SubjectPublicKeyInfo in canonical DER",
        ),
        (
            wrong("signature/content", json!(STANDARD.encode(vec![1; 60_000]))),
            "entry is 80393 bytes, expected at most 65535",
        ),
    ] {
        let message = log.refused(ENTRIES, body, 400, 3).await;
        assert_eq!(message, format!("invalid hashedrekord request: {reason}"));
    }
    // None of it was logged.
    let (_, _, note) = log.ask(Method::GET, "/checkpoint", &[]).await;
    assert!(note.starts_with(b"log.example\n0\n"));
}

#[tokio::test]
async fn a_batch_has_one_checkpoint_and_an_answer_for_each_request() {
    let log = Served::rekor().await;
    log.post(ENTRIES, request("two").to_string()).await;
    let mut bad = request("bad");
    bad["hashedRekordRequestV002"]["digest"] = json!("AQ==");
    let requests = [request("one"), bad, request("two"), request("one")];
    let batch = json!({"requests": requests}).to_string();
    let (status, _, body) = log.post(BATCH, batch).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["treeSize"], "2");
    let entries = answer["entries"].as_array().unwrap();
    let indexes: Vec<_> = entries.iter().map(|entry| &entry["logIndex"]).collect();
    assert_eq!(
        indexes,
        [&json!("1"), &Value::Null, &json!("0"), &json!("1")]
    );
    assert_eq!(
        entries[1],
        json!({"error": "invalid hashedrekord request: digest is 1 bytes, sha256 has 32"})
    );
    for (text, entry) in [("one", &entries[0]), ("two", &entries[2])] {
        let again = log.post(ENTRIES, request(text).to_string()).await.2;
        let again: Value = serde_json::from_slice(&again).unwrap();
        let body = STANDARD.decode(again["canonicalizedBody"].as_str().unwrap());
        let leaf = leaf_hash(&body.unwrap());
        verify(
            &log,
            &answer["checkpoint"],
            &entry["logIndex"],
            &leaf,
            &entry["hashes"],
        );
    }
}

#[tokio::test]
async fn an_overloaded_log_says_when_to_come_back() {
    let full = |config: &mut tegula_sequencer::Config| config.max_pending_entries = 0;
    let log = Served::with(&["raw"], Options::default(), full).await;
    let (status, headers, _) = log.post("/add", "alpha").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers["retry-after"], "2");
    let message = log.refused("/add", "alpha", 503, 14).await;
    assert_eq!(
        message,
        "the log has more to do than it can take, retry in 2 s"
    );
}

#[tokio::test]
async fn a_log_that_ends_takes_no_more() {
    let log = Served::raw().await;
    log.log.sequencer().close().await;
    let message = log.refused("/add", "alpha", 503, 14).await;
    assert_eq!(
        message,
        "the log cannot be written at the moment: it is shutting down"
    );
}

#[tokio::test]
async fn what_takes_too_long_is_given_up() {
    let options = Options {
        timeout_s: 0,
        ..Options::default()
    };
    let log = Served::new(&["raw"], options).await;
    let endless = Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>());
    let message = log.refused("/add", endless, 503, 14).await;
    assert_eq!(message, "not answered within 0 s");
}

#[tokio::test]
async fn bodies_wait_for_room() {
    let options = Options {
        max_body_bytes: 4 << 20,
        ..Options::default()
    };
    let log = Served::new(&["hashedrekord/0.0.2"], options).await;
    // Holds all of the room, and does not end.
    let long = futures::stream::iter([Ok::<_, std::io::Error>(" ".repeat(4 << 20))]);
    let endless = Body::from_stream(long.chain(futures::stream::pending()));
    let router = log.router.clone();
    let greedy = tokio::spawn(async move {
        let request = Request::post(ENTRIES).body(endless).unwrap();
        router.oneshot(request).await.unwrap()
    });
    tokio::time::pause();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let message = log
        .refused(ENTRIES, request("text").to_string(), 503, 14)
        .await;
    assert_eq!(message, "too many uploads are under way");
    greedy.abort();
    greedy.await.unwrap_err();
    let (status, _, _) = log.post(ENTRIES, request("text").to_string()).await;
    assert_eq!(status, StatusCode::CREATED);
}

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
    let answer: Value = serde_json::from_slice(&body).unwrap();
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
    // The name of the scheme is of any case.
    for (scheme, status) in [
        ("bearer", StatusCode::OK),
        ("BEARER", StatusCode::OK),
        ("Basic", StatusCode::UNAUTHORIZED),
    ] {
        let request = Request::post("/add").header("authorization", format!("{scheme} {secret}"));
        let answer = log.send(request.body(Body::from("alpha")).unwrap()).await;
        assert_eq!(answer.0, status, "{scheme}");
    }
    revoke_token(&log.store, "ci").await.unwrap();
    assert_eq!(log.send(with(&secret)).await.0, StatusCode::UNAUTHORIZED);
    // Reading is for everybody.
    assert_eq!(
        log.ask(Method::GET, "/checkpoint", &[]).await.0,
        StatusCode::OK
    );
}
