//! Rekor v1's API: what its clients rely on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use p256::ecdsa::signature::Signer;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use tegula_server::{AllowedKeys, Duplicates, Options};
use tegula_tlog::{Checkpoint, Hash, LeafIndex, leaf_hash, verify_inclusion};

use crate::served::{BATCH, Served};

const V1: &str = "/api/v1/log/entries";

/// Bytes that a P-256 key has signed.
fn signed(bytes: &[u8]) -> (String, String) {
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let pem = key
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let signature: p256::ecdsa::Signature = key.sign(bytes);
    (STANDARD.encode(signature.to_der()), STANDARD.encode(pem))
}

fn rekord(content: &str) -> Value {
    let (signature, key) = signed(content.as_bytes());
    json!({"apiVersion": "0.0.1", "kind": "rekord", "spec": {
        "signature": {"format": "x509", "content": signature, "publicKey": {"content": key}},
        "data": {"content": STANDARD.encode(content)},
    }})
}

/// An envelope with a Statement about nothing.
fn intoto() -> (Value, &'static str) {
    let payload = r#"{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"x","predicate":{}}"#;
    let kind = "application/vnd.in-toto+json";
    let encoding = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let (signature, key) = signed(encoding.as_bytes());
    let envelope = json!({
        "payload": STANDARD.encode(payload), "payloadType": kind, "signatures": [{"keyid": "", "sig": signature}],
    });
    let content = json!({"envelope": envelope.to_string()});
    let spec = json!({"content": content, "publicKey": key});
    (
        json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": spec}),
        payload,
    )
}

/// A log that takes all kinds.
async fn all(options: Options) -> Served {
    Served::new(&tegula_entries::KINDS, options).await
}

/// The one entry of an answer, proven.
fn entry(log: &Served, body: &[u8]) -> (String, Value) {
    let answer: Value = serde_json::from_slice(body).unwrap();
    let answer = answer.as_object().unwrap();
    assert_eq!(answer.len(), 1);
    let (id, entry) = answer.iter().next().unwrap();
    let leaf = leaf_hash(&STANDARD.decode(entry["body"].as_str().unwrap()).unwrap());
    assert_eq!(id.len(), 80);
    let tree = u64::from_str_radix(&id[..16], 16).unwrap();
    assert!(tree > 0 && tree <= u64::MAX >> 1);
    assert_eq!(id[16..], leaf.to_string());
    let proof = &entry["verification"]["inclusionProof"];
    let note = proof["checkpoint"].as_str().unwrap();
    let (checkpoint, _) =
        Checkpoint::open(note.as_bytes(), std::slice::from_ref(&log.key)).unwrap();
    assert_eq!(proof["treeSize"], checkpoint.size.get());
    assert_eq!(proof["rootHash"], checkpoint.root.to_string());
    assert_eq!(proof["logIndex"], entry["logIndex"]);
    let hashes = proof["hashes"].as_array().unwrap().iter();
    let hashes: Vec<Hash> = hashes
        .map(|hash| hash.as_str().unwrap().parse().unwrap())
        .collect();
    let index = LeafIndex::new(entry["logIndex"].as_u64().unwrap()).unwrap();
    verify_inclusion(index, checkpoint.size, &leaf, &hashes, &checkpoint.root).unwrap();
    assert_eq!(entry["logID"], Hash(log.key.full_key_id()).to_string());
    assert_eq!(entry["integratedTime"], 0);
    (id.clone(), entry.clone())
}

#[tokio::test]
async fn an_entry_is_uploaded_and_found_again() {
    let log = all(Options::default()).await;
    for n in 0..300_u64 {
        let (status, headers, body) = log
            .post(V1, rekord(&format!("content {n}")).to_string())
            .await;
        assert_eq!(
            status,
            StatusCode::CREATED,
            "{}",
            String::from_utf8_lossy(&body)
        );
        let (id, created) = entry(&log, &body);
        assert_eq!(created["logIndex"], n);
        assert_eq!(headers["location"], format!("{V1}/{id}"));
        assert_eq!(headers["etag"], id);
    }
    for n in [0_u64, 255, 256, 299] {
        let (status, _, body) = log
            .ask(Method::GET, &format!("{V1}?logIndex={n}"), &[])
            .await;
        assert_eq!(status, StatusCode::OK);
        let (id, found) = entry(&log, &body);
        assert_eq!(found["logIndex"], n);
        for id in [&id, &id[16..], &id.to_uppercase()] {
            let (status, headers, body) = log.ask(Method::GET, &format!("{V1}/{id}"), &[]).await;
            assert_eq!(status, StatusCode::OK, "{id}");
            assert_eq!(entry(&log, &body).1["logIndex"], n);
            assert_eq!(headers["cache-control"], "no-store");
        }
        let other = format!("{V1}/00000000000004d2{}", &id[16..]);
        assert_eq!(
            log.ask(Method::GET, &other, &[]).await.0,
            StatusCode::NOT_FOUND
        );
    }
    // Again: the entry that is there.
    let (status, headers, body) = log.post(V1, rekord("content 7").to_string()).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        (
            entry(&log, &body).1["logIndex"].as_u64(),
            &headers["x-log-index"]
        ),
        (Some(7), &"7".parse().unwrap())
    );
    // Of what is not there Rekor says nothing.
    for absent in [
        format!("{V1}?logIndex=300"),
        format!("{V1}/{}", "ab".repeat(32)),
    ] {
        let (status, _, body) = log.ask(Method::GET, &absent, &[]).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_FOUND, 0), "{absent}");
    }
}

#[tokio::test]
async fn a_duplicate_is_a_conflict_where_the_operator_says_so() {
    let options = Options {
        duplicates: Duplicates::Conflict,
        ..Options::default()
    };
    let log = all(options).await;
    let (_, headers, _) = log.post(V1, rekord("one").to_string()).await;
    let (status, again, body) = log.post(V1, rekord("one").to_string()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(again["location"], headers["location"]);
    let id = headers["etag"].to_str().unwrap();
    let expected =
        format!("an equivalent entry already exists in the transparency log with UUID {id}");
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(error, json!({"code": 409, "message": expected}));
}

#[tokio::test]
async fn what_is_wrong_is_said_as_rekor_does() {
    let log = all(Options::default()).await;
    let mut forged = rekord("one");
    forged["spec"]["data"]["content"] = STANDARD.encode("two").into();
    let kind = |kind: &str, version: &str| json!({"apiVersion": version, "kind": kind, "spec": {}});
    for (body, expected) in [
        (
            "{".to_owned(),
            "error processing entry: request is not valid",
        ),
        (
            forged.to_string(),
            "error processing entry: the signature does not verify",
        ),
        (
            kind("recipe", "0.0.1").to_string(),
            "error processing entry: entry of kind recipe version 0.0.1 is not accepted",
        ),
        (
            kind("rekord", "0.0.9").to_string(),
            "error processing entry: entry of kind rekord version 0.0.9 is not accepted",
        ),
    ] {
        let (status, _, answer) = log.post(V1, body.clone()).await;
        let error: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (status, error["code"].as_u64()),
            (StatusCode::BAD_REQUEST, Some(400)),
            "{error}"
        );
        assert!(
            error["message"].as_str().unwrap().starts_with(expected),
            "{body}: {error}"
        );
    }
    for (path, status, expected) in [
        (V1.to_owned(), 422, "logIndex in query is required"),
        (
            format!("{V1}?logIndex=-1"),
            422,
            "logIndex in query must be of type integer",
        ),
        (
            format!("{V1}?logIndex=99999999999999999999"),
            422,
            "logIndex in query must be of type integer",
        ),
        (format!("{V1}/ab"), 422, "entryUUID in path should match"),
        (
            format!("{V1}/{}", "g".repeat(64)),
            422,
            "entryUUID in path should match",
        ),
        (
            format!("{V1}/{}", "0".repeat(80)),
            400,
            "validation error: 0000",
        ),
        (
            format!("{V1}/ffffffffffffffff{}", "0".repeat(64)),
            400,
            "validation error: ffff",
        ),
    ] {
        let (got, _, answer) = log.ask(Method::GET, &path, &[]).await;
        let error: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (got.as_u16(), error["code"].as_u64()),
            (status, Some(status.into())),
            "{path}"
        );
        assert!(
            error["message"].as_str().unwrap().starts_with(expected),
            "{path}: {error}"
        );
    }
    let (status, headers, _) = log.ask(Method::DELETE, V1, &[]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers["allow"], "GET, HEAD, POST, OPTIONS");
}

#[tokio::test]
async fn a_log_takes_the_kinds_that_it_names() {
    let log = Served::new(&["hashedrekord/0.0.2", "intoto/0.0.2"], Options::default()).await;
    for (body, expected) in [
        (
            rekord("one"),
            "entry kind 'rekord' is not enabled for submission on this server",
        ),
        (
            intoto().0,
            "entry kind 'intoto' does not support inserting entries of version '0.0.1'",
        ),
    ] {
        let (status, _, answer) = log.post(V1, body.to_string()).await;
        let error: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (status, &error["message"]),
            (StatusCode::BAD_REQUEST, &expected.into())
        );
    }
    let raw = Served::raw().await;
    for (method, path) in [
        (Method::POST, V1.to_owned()),
        (Method::GET, format!("{V1}?logIndex=0")),
    ] {
        assert_eq!(raw.ask(method, &path, &[]).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn keys_are_allowed_for_every_kind() {
    let options = Options {
        allowed_keys: AllowedKeys::only(["ab".repeat(32).parse().unwrap()]),
        ..Options::default()
    };
    let log = all(options).await;
    let (status, _, _) = log.post(V1, rekord("one").to_string()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_batch_takes_both_kinds_of_requests() {
    let log = all(Options::default()).await;
    let (intoto, _) = intoto();
    let batch = json!({"requests": [rekord("one"), {"hashedRekordRequestV002": {}}, intoto, {"kind": "x", "apiVersion": 1}]});
    let (status, _, body) = log.post(BATCH, batch.to_string()).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    let entries = &answer["entries"];
    assert_eq!(
        (&entries[0]["logIndex"], &entries[2]["logIndex"]),
        (&"0".into(), &"1".into()),
        "{answer}"
    );
    let error = |n: usize| entries[n]["error"].as_str().unwrap();
    assert!(
        error(1).starts_with("invalid hashedrekord request: "),
        "{answer}"
    );
    assert!(error(3).starts_with("error processing entry: "), "{answer}");
}

#[tokio::test]
async fn attestations_are_kept_where_the_log_says_so() {
    let (intoto, payload) = intoto();
    let cases = [(None, false), (Some(10), false), (Some(100_000), true)];
    for ((limit, kept), batch) in cases
        .into_iter()
        .flat_map(|case| [(case, false), (case, true)])
    {
        let log = Served::with_attestations(limit).await;
        let (path, request, expected) = match batch {
            false => (V1, intoto.clone(), StatusCode::CREATED),
            true => (BATCH, json!({"requests": [intoto]}), StatusCode::OK),
        };
        let (status, _, body) = log.post(path, request.to_string()).await;
        assert_eq!(status, expected, "{}", String::from_utf8_lossy(&body));
        let (_, _, body) = log.ask(Method::GET, &format!("{V1}?logIndex=0"), &[]).await;
        let (id, _) = entry(&log, &body);
        let (_, _, body) = log.ask(Method::GET, &format!("{V1}/{id}"), &[]).await;
        let found = entry(&log, &body).1;
        let expected = if kept {
            json!({"data": STANDARD.encode(payload)})
        } else {
            Value::Null
        };
        assert_eq!(found["attestation"], expected);
        if kept {
            let hash = Hash(<sha2::Sha256 as sha2::Digest>::digest(payload).into());
            let path = format!("/attestations/sha256/{hash}");
            let (status, _, body) = log.ask(Method::GET, &path, &[]).await;
            assert_eq!(
                (status, body),
                (StatusCode::OK, payload.as_bytes().to_vec())
            );
        }
    }
}
