//! What the upload function answers, to good requests and to bad ones.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

use p256::ecdsa::signature::Signer;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use tegula_entries::{Verifier, artifact_digests, hashedrekord_request};
use tegula_function_tests::{Function, Invoked, answer, key, request};
use tegula_issuer_stand_in::Issuer;
use tegula_s3_stand_in::{Asked, Fault, StandIn};

/// A log that takes hashedrekords, or raw entries.
async fn made(raw: bool) -> StandIn {
    let stand_in = StandIn::start().await;
    let mut maintain = Function::start("maintain", &stand_in, &[]).await;
    let made = maintain.invoke(json!({"action": "init", "raw": raw})).await;
    let Invoked::Answered(made) = made else {
        panic!("{made:?}");
    };
    assert_eq!(made["keys"][0], key().verifier().to_string());
    // Made once: a second time it is there.
    let again = maintain.invoke(json!({"action": "init", "raw": raw})).await;
    assert_eq!(again, Invoked::Answered(made));
    stand_in
}

fn signed(artifact: &str) -> Vec<u8> {
    let signing = p256::ecdsa::SigningKey::from_slice(&[5; 32]).unwrap();
    let pem = signing
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let verifier = Verifier::from_pem(&pem).unwrap();
    let algorithm = verifier.key_details().digest_algorithm();
    let digest = artifact_digests(artifact.as_bytes(), &[algorithm])
        .unwrap()
        .remove(0);
    let signature: p256::ecdsa::DerSignature = signing.sign(artifact.as_bytes());
    hashedrekord_request(&digest, signature.as_bytes(), &verifier)
        .unwrap()
        .into_bytes()
}

async fn ask(upload: &mut Function, method: &str, path: &str, body: &[u8]) -> (u64, Vec<u8>) {
    let invoked = upload.invoke(request(method, path, body)).await;
    answer(&invoked).unwrap_or_else(|| panic!("{invoked:?}"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn an_upload_has_its_proof() {
    let stand_in = made(false).await;
    let mut upload = Function::start("upload", &stand_in, &[]).await;
    for n in 0..3 {
        let body = signed(&format!("artifact {n}"));
        let (status, entry) = ask(&mut upload, "POST", "/api/v2/log/entries", &body).await;
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&entry));
        let entry: Value = serde_json::from_slice(&entry).unwrap();
        assert_eq!(entry["logIndex"], n.to_string());
        let note = entry["inclusionProof"]["checkpoint"]["envelope"]
            .as_str()
            .unwrap();
        assert!(note.starts_with("log.example\n"));
    }
    // A warm process, and one that knows nothing, say the same of what is there.
    let mut cold = Function::start("upload", &stand_in, &[]).await;
    for upload in [&mut upload, &mut cold] {
        let (status, entry) =
            ask(upload, "POST", "/api/v2/log/entries", &signed("artifact 1")).await;
        let entry: Value = serde_json::from_slice(&entry).unwrap();
        assert_eq!((status, entry["logIndex"].as_str()), (201, Some("1")));
    }
    // It reads, too: with a function URL alone there is a whole log.
    let (status, checkpoint) = ask(&mut upload, "GET", "/checkpoint", b"").await;
    assert_eq!(
        (status, checkpoint.starts_with(b"log.example\n3\n")),
        (200, true)
    );
    let (status, bundle) = ask(&mut upload, "GET", "/tile/entries/000.p/3", b"").await;
    let stored = stand_in.get("log-public", "tile/entries/000.p/3").unwrap();
    assert_eq!(
        (status, bundle),
        (200, stored.to_vec()),
        "bytes come through as they are"
    );
}

/// What no client of the API sends.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn strange_events_are_answered() {
    let stand_in = made(true).await;
    let mut upload = Function::start("upload", &stand_in, &[]).await;
    let strange: [(&str, &str, u64); 4] = [
        ("/rawQueryString", "x=<\"> y", 400),
        ("/rawPath", "add", 400),
        ("/headers/host", "a b", 200),
        ("/headers/x-forwarded-proto", "<", 200),
    ];
    for (at, what, expected) in strange {
        let mut asked = request("POST", "/add", b"entry");
        let (parent, name) = at.rsplit_once('/').unwrap();
        asked.pointer_mut(parent).unwrap()[name] = what.into();
        let answered = upload.invoke(asked).await;
        assert_eq!(answer(&answered).unwrap().0, expected, "{at}: {answered:?}");
    }
    assert_eq!(ask(&mut upload, "POST", "/add", b"entry").await.0, 200);
}

/// Of the keys that are named alone.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn whose_signatures_are_logged_is_asked() {
    let stand_in = made(false).await;
    let signing = p256::ecdsa::SigningKey::from_slice(&[5; 32]).unwrap();
    let spki = signing.verifying_key().to_public_key_der().unwrap();
    let own = tegula_tlog::Hash(<sha2::Sha256 as sha2::Digest>::digest(spki.as_bytes()).into());
    for (allowed, expected) in [(own.to_string(), 201), ("ab".repeat(32), 403)] {
        let allowed = [("TEGULA_ALLOWED_KEYS", &*allowed)];
        let mut upload = Function::start("upload", &stand_in, &allowed).await;
        let body = signed("artifact");
        let (status, answer) = ask(&mut upload, "POST", "/api/v2/log/entries", &body).await;
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(status, expected, "{answer}");
        assert_eq!(
            answer.contains(&own.to_string()),
            expected == 403,
            "{answer}"
        );
    }
}

/// The documented answers; and a request that is good is answered between any two that are not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn bad_requests_harm_no_good_ones() {
    let stand_in = made(false).await;
    let mut upload = Function::start("upload", &stand_in, &[]).await;
    let entries = "/api/v2/log/entries";
    let long = vec![b' '; (4 << 20) + 1];
    let bad: [(&str, &str, &[u8], u64, &str); 9] = [
        ("POST", entries, b"", 400, "must be hashedrekord"),
        ("POST", entries, b"{", 400, "request is not valid"),
        ("POST", entries, b"\xff\xfe", 400, "request is not valid"),
        ("POST", entries, &long, 400, "larger than 4194304 bytes"),
        ("PUT", entries, b"", 405, "PUT is not possible here"),
        (
            "DELETE",
            "/checkpoint",
            b"",
            405,
            "DELETE is not possible here",
        ),
        (
            "GET",
            "/api/v3/log/entries",
            b"",
            404,
            "there is nothing at",
        ),
        ("GET", "/tile/0/../../x", b"", 404, "there is nothing at"),
        ("POST", "/add", b"entry", 404, "takes no raw entries"),
    ];
    let (mut good, mut refused) = (0, 0);
    for round in 0..1_260 {
        for (method, path, body, status, says) in &bad {
            // The longest of them are many megabytes: some are enough.
            if body.len() > 1_000_000 && round % 100 > 0 {
                continue;
            }
            let (answered, body) = ask(&mut upload, method, path, body).await;
            let body = String::from_utf8(body).unwrap();
            assert_eq!(answered, *status, "{method} {path}: {body}");
            refused += 1;
            let error: Value = serde_json::from_str(&body).unwrap();
            assert!(
                error["message"].as_str().unwrap().contains(says),
                "{method} {path}: {body}"
            );
        }
        if round % 10 == 0 {
            let body = signed(&format!("good {round}"));
            let (status, _) = ask(&mut upload, "POST", entries, &body).await;
            assert_eq!(status, 201);
            good += 1;
        }
    }
    assert!(good > 100 && refused > 10_000, "{good} {refused}");
}

/// What is not even a request of the API fails that invocation, and not the next one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn what_is_no_request_fails_alone() {
    let stand_in = made(true).await;
    let mut upload = Function::start("upload", &stand_in, &[]).await;
    let mut wrong_base64 = request("POST", "/add", b"entry");
    wrong_base64["body"] = json!("%%%");
    let mut wrong_method = request("POST", "/add", b"entry");
    wrong_method["requestContext"]["http"]["method"] = json!("NO SUCH\u{0}METHOD");
    for (n, event) in [
        wrong_base64,
        wrong_method,
        json!({}),
        json!([]),
        json!("text"),
        Value::Null,
    ]
    .into_iter()
    .enumerate()
    {
        let failed = upload.invoke(event.clone()).await;
        assert!(
            matches!(&failed, Invoked::Failed(_))
                || answer(&failed).is_some_and(|(status, _)| status >= 400),
            "{event}: {failed:?}"
        );
        let (status, index) =
            ask(&mut upload, "POST", "/add", format!("entry {n}").as_bytes()).await;
        assert_eq!((status, index), (200, n.to_string().into_bytes()));
    }
}

/// Before anything is taken.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn a_function_that_is_told_wrongly_does_not_start() {
    let stand_in = made(true).await;
    for (variable, value) in [
        ("TEGULA_STORE", "log"),
        ("TEGULA_KEYS", "log.pem"),
        ("TEGULA_WRITERS", "some"),
        ("TEGULA_LOG_LEVEL", "=,="),
        ("TEGULA_UNKNOWN", "1"),
    ] {
        let mut upload = Function::start("upload", &stand_in, &[(variable, value)]).await;
        let invoked = upload.invoke(request("POST", "/add", b"entry")).await;
        assert_eq!(invoked, Invoked::Lost, "{variable}={value}");
    }
    // What its environment cannot tell is told to the operator, and tried again; to who asks no more than that.
    for (variable, value, says) in [
        (
            "TEGULA_ORIGIN",
            "other.example",
            "TEGULA_ORIGIN is other.example, the log is log.example",
        ),
        (
            "TEGULA_KEYS",
            "env:TEGULA_KEY env:TEGULA_ABSENT",
            "env:TEGULA_ABSENT",
        ),
    ] {
        let mut upload = Function::start("upload", &stand_in, &[(variable, value)]).await;
        let (status, body) = ask(&mut upload, "POST", "/add", b"entry").await;
        let body = String::from_utf8(body).unwrap();
        assert!(
            status == 503 && body.contains("cannot be opened") && !body.contains(says),
            "{variable}: {status} {body}"
        );
        assert_eq!(upload.told("Failures"), [1.0], "{variable}");
    }
}

/// Also where it is not the first round that fails.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn a_round_that_failed_tells_what_is_unpublished() {
    let stand_in = made(true).await;
    let refuse = |asked: &Asked| {
        (asked.what == "PUT" && asked.key == "checkpoint")
            .then_some(Fault::Refuse(403, "AccessDenied"))
    };
    stand_in.decide(refuse);
    let mut upload = Function::start("upload", &stand_in, &[]).await;
    assert_eq!(ask(&mut upload, "POST", "/add", b"one").await.0, 503);
    let mut maintain = Function::start("maintain", &stand_in, &[]).await;
    for _ in 0..3 {
        let failed = maintain.invoke(json!({"action": "tidy"})).await;
        assert!(matches!(failed, Invoked::Failed(_)), "{failed:?}");
    }
    // Nor where the store does not answer at all.
    stand_in.decide(|_| Some(Fault::Refuse(403, "AccessDenied")));
    let failed = maintain.invoke(json!({"action": "tidy"})).await;
    assert!(matches!(failed, Invoked::Failed(_)), "{failed:?}");
    assert_eq!(maintain.told("UnpublishedSlots"), [1.0; 4]);
    stand_in.decide(|_| None);
    let settled = maintain.invoke(json!({"action": "tidy"})).await;
    assert!(matches!(settled, Invoked::Answered(_)), "{settled:?}");
    assert_eq!(maintain.told("UnpublishedSlots")[4..], [0.0]);
}

/// Base runs by the writer; the rest by rounds, and where the bucket tells of a base run. What fails of it fails nothing else.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn a_log_has_its_index() {
    let stand_in = made(true).await;
    let mut upload = Function::start("upload", &stand_in, &[]).await;
    let mut maintain = Function::start("maintain", &stand_in, &[]).await;
    let tidy = json!({"action": "tidy"});
    let told_by = |function: &str| {
        let by = format!("AWS:AROAEXAMPLE:{function}");
        json!({"Records": [{"eventSource": "aws:s3", "userIdentity": {"principalId": by}}]})
    };
    add(&mut upload, 0..600).await;
    let base_run = |n: usize| stand_in.get("log-public", &format!("index/v1/run/0/00{n}/000"));
    assert!(base_run(0).is_some() && base_run(1).is_some() && base_run(2).is_none());
    assert_eq!(indexed(&mut maintain, &tidy).await, "512");
    assert_eq!(index_size(&stand_in), 2);
    add(&mut upload, 600..800).await;
    assert_eq!(
        indexed(&mut maintain, &told_by("maintain")).await,
        Value::Null
    );
    assert_eq!(indexed(&mut maintain, &told_by("upload")).await, "768");
    assert_eq!(index_size(&stand_in), 3);

    stand_in.decide(|asked| {
        (asked.what == "PUT" && asked.key.starts_with("index/"))
            .then_some(Fault::Refuse(403, "AccessDenied"))
    });
    add(&mut upload, 800..1_030).await;
    assert_eq!(indexed(&mut maintain, &tidy).await, Value::Null);
    assert_eq!(index_size(&stand_in), 3);
    stand_in.decide(|_| None);
    let alone = json!({"action": "index"});
    assert_eq!(indexed(&mut maintain, &alone).await, "1024");
    assert_eq!(index_size(&stand_in), 4);
    assert_eq!(maintain.told("IndexLag"), [0.0, 0.0, 256.0, 0.0]);
    assert_eq!(maintain.told("IndexFailures"), [0.0, 0.0, 1.0, 0.0]);

    let off = [("TEGULA_INDEX", "off")];
    let mut maintain = Function::start("maintain", &stand_in, &off).await;
    assert_eq!(indexed(&mut maintain, &tidy).await, Value::Null);
    assert!(maintain.told("IndexFailures").is_empty());
}

async fn add(upload: &mut Function, entries: std::ops::Range<usize>) {
    for n in entries {
        let body = format!("entry {n}");
        let (status, index) = ask(upload, "POST", "/add", body.as_bytes()).await;
        assert_eq!((status, index), (200, n.to_string().into_bytes()));
    }
}

async fn indexed(maintain: &mut Function, event: &Value) -> Value {
    let Invoked::Answered(answer) = maintain.invoke(event.clone()).await else {
        panic!("{event} failed");
    };
    answer["indexed"].clone()
}

/// How many bundles the published index covers.
fn index_size(stand_in: &StandIn) -> usize {
    let note = stand_in.get("log-public", "index/v1/checkpoint").unwrap();
    let note = String::from_utf8(note.to_vec()).unwrap();
    let mut lines = note.lines();
    assert_eq!(lines.next(), Some("log.example/index/v1"));
    lines.next().unwrap().parse().unwrap()
}

/// What a process once read wrong, it reads again; and while it is wrong, it signs nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn a_writer_that_stopped_begins_cold() {
    let stand_in = made(true).await;
    let mut upload = Function::start("upload", &stand_in, &[]).await;
    assert_eq!(ask(&mut upload, "POST", "/add", b"one").await.0, 200);
    // A slot of the right name, in which nothing is right.
    let slot = "wal/00000000000000000001";
    stand_in.tamper("log-private", slot, Some("damaged".into()));
    for _ in 0..2 {
        assert_eq!(ask(&mut upload, "POST", "/add", b"two").await.0, 503);
    }
    let checkpoint = stand_in.get("log-public", "checkpoint").unwrap();
    assert!(checkpoint.starts_with(b"log.example\n1\n"));
    stand_in.tamper("log-private", slot, None);
    let (status, index) = ask(&mut upload, "POST", "/add", b"two").await;
    assert_eq!((status, index), (200, b"1".to_vec()));
}

/// By AWS's signatures, which the API has checked and says so; or by tokens.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/functions/run, with the binaries"]
async fn who_may_write_is_asked() {
    let stand_in = made(true).await;
    let mut upload = Function::start("upload", &stand_in, &[("TEGULA_WRITERS", "iam")]).await;
    let (status, body) = ask(&mut upload, "POST", "/add", b"entry").await;
    assert_eq!(status, 403, "{}", String::from_utf8_lossy(&body));
    let mut signed = request("POST", "/add", b"entry");
    signed["requestContext"]["authorizer"] = json!({"iam": {
        "accessKey": "AKIA", "accountId": "1", "callerId": "c", "cognitoIdentity": null,
        "principalOrgId": "o", "userArn": "arn:aws:iam::1:user/alice", "userId": "u",
    }});
    let answered = upload.invoke(signed).await;
    assert_eq!(answer(&answered).unwrap().0, 200, "{answered:?}");
    let (status, _) = ask(&mut upload, "GET", "/checkpoint", b"").await;
    assert_eq!(status, 200, "everyone reads");

    // By tokens of issuers, whose keys the function asks for itself.
    let (one, other) = (Issuer::start().await, Issuer::start().await);
    let issuers = json!([
        {"issuer": one.url(), "audiences": ["log"], "claims": {"repository": ["org/*"]}},
        {"issuer": other.url(), "audiences": ["log"], "claims": {"sub": ["alice"]}},
    ])
    .to_string();
    let issuers = [("TEGULA_WRITERS", "oidc"), ("TEGULA_ISSUERS", &issuers)];
    let mut upload = Function::start("upload", &stand_in, &issuers).await;
    for (issuer, claims, expected) in [
        (&one, json!({"aud": "log", "repository": "org/tool"}), 200),
        (&one, json!({"aud": "log", "repository": "other/tool"}), 403),
        (&other, json!({"aud": "log", "sub": "alice"}), 200),
        (&other, json!({"aud": "log", "repository": "org/tool"}), 403),
        (&other, json!({"aud": "web", "sub": "alice"}), 401),
    ] {
        let mut asked = request("POST", "/add", b"entry");
        let token = issuer.token(&claims);
        asked["headers"]["authorization"] = format!("Bearer {token}").into();
        let answered = upload.invoke(asked).await;
        assert_eq!(answer(&answered).unwrap().0, expected, "{claims}");
    }
    let (status, _) = ask(&mut upload, "POST", "/add", b"entry").await;
    assert_eq!(status, 401);
    let mut upload = Function::start("upload", &stand_in, &[("TEGULA_WRITERS", "token")]).await;
    let (status, _) = ask(&mut upload, "POST", "/add", b"entry").await;
    assert_eq!(status, 401);
}
