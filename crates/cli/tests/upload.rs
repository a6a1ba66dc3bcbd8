//! Uploading, to a server that may lie.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set up has failed"
)]

mod support;

use std::fs;
use std::sync::Arc;

use support::server::{self, Handler};
use support::{Outcome, World};
use tegula_entries::{StoredEntry, parse_request};
use tegula_tlog::{Hash, LeafIndex, TilePath, TileSet, TreeSize, leaf_hash, prove_inclusion};

/// How the server answers an upload of the log's entry 5.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Manner {
    Honest,
    Duplicate,
    Conflict,
    OtherBody,
    OtherIndex,
    OtherProof,
    OtherCheckpoint,
    Refused,
    Token,
    Busy,
}

fn upload(world: &World, manner: Manner, more: &[&str]) -> Outcome {
    let url = server::start(handler(world, manner));
    let vkey = world.vkey();
    let args = [
        "upload",
        "artifact",
        "--public-key",
        "key.pub",
        "--log",
        &url,
        "--log-key",
        &vkey,
        "--retry",
        "0",
    ];
    world.run(&[&args, more].concat())
}

fn handler(world: &World, manner: Manner) -> Handler {
    let public = world.log().join("public");
    Arc::new(move |method, path, body| {
        if method == "GET" {
            return match fs::read(public.join(path.trim_start_matches('/'))) {
                Ok(bytes) => ("200 OK".to_owned(), String::new(), bytes),
                Err(_) => ("404 Not Found".to_owned(), String::new(), Vec::new()),
            };
        }
        if path == "/add" {
            let headers = match manner {
                Manner::Duplicate => "x-log-index: 9\r\n".to_owned(),
                _ => String::new(),
            };
            return ("200 OK".to_owned(), headers, b"9\n".to_vec());
        }
        let message = br#"{"code":3,"message":"not today","details":[]}"#.to_vec();
        let (status, headers) = match manner {
            Manner::Refused => ("400 Bad Request", ""),
            Manner::Token => ("401 Unauthorized", ""),
            Manner::Busy => ("503 Unavailable", "retry-after: 1\r\n"),
            Manner::Conflict => ("409 Conflict", "x-log-index: 5\r\n"),
            Manner::Duplicate => ("201 Created", "x-log-index: 5\r\n"),
            _ => ("201 Created", ""),
        };
        let answer = if status.starts_with("201") {
            entry(&public, manner, body)
        } else {
            message
        };
        (status.to_owned(), headers.to_owned(), answer)
    })
}

fn entry(public: &std::path::Path, manner: Manner, request: &[u8]) -> Vec<u8> {
    let read = |path: &str| fs::read(public.join(path)).unwrap();
    let mut tiles = TileSet::new();
    for (level, n, width) in [(0, 0, 256), (0, 1, 44), (1, 0, 1)] {
        let path = TilePath::hashes(level, n, width).unwrap();
        tiles.insert(path, read(&path.to_string())).unwrap();
    }
    let size = TreeSize::new(300).unwrap();
    let index = LeafIndex::new(if manner == Manner::OtherIndex { 6 } else { 5 }).unwrap();
    let mut proof = prove_inclusion(index, size, &tiles).unwrap();
    if manner == Manner::OtherProof {
        proof.swap(0, 1);
    }
    let mut body = parse_request(request)
        .unwrap()
        .verify()
        .unwrap()
        .into_body();
    if manner == Manner::OtherBody {
        body = b"entry 4".to_vec();
    }
    let mut checkpoint = String::from_utf8(read("checkpoint")).unwrap();
    let root = checkpoint.lines().nth(2).unwrap().to_owned();
    if manner == Manner::OtherCheckpoint {
        checkpoint = checkpoint.replacen("300", "301", 1);
    }
    let hashes: Vec<_> = proof
        .iter()
        .map(|hash| format!("\"{}\"", hash.to_base64()))
        .collect();
    let body = base64(&body);
    let checkpoint = checkpoint.replace('\n', "\\n");
    format!(
        r#"{{"logIndex":"{index}","logId":{{"keyId":"{root}"}},"kindVersion":{{"kind":"hashedrekord","version":"0.0.2"}},
        "integratedTime":"0","inclusionPromise":null,"inclusionProof":{{"logIndex":"{index}","rootHash":"{root}","treeSize":"300",
        "hashes":[{}],"checkpoint":{{"envelope":"{checkpoint}"}}}},"canonicalizedBody":"{body}"}}"#,
        hashes.join(",")
    )
    .into_bytes()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Of a key that names nobody.
fn signer(world: &World) -> String {
    let stored = StoredEntry::parse(&world.body("artifact")).unwrap();
    let key = Hash(stored.facts().signers[0].fingerprint());
    format!("Signed by: ECDSA P-256 {key}\n")
}

#[test]
fn an_upload_is_verified_and_told() {
    let world = World::new();
    let leaf = leaf_hash(&world.body("artifact"));
    let files = ["--bundle", "bundle.json", "--proof-out", "a.tlog-proof"];
    let text = upload(&world, Manner::Honest, &files).ok();
    let signer = signer(&world);
    assert_eq!(
        text,
        format!("Created entry at index 5: artifact\nUUID: {leaf}\n{signer}")
    );
    let bundle = fs::read_to_string(world.path("bundle.json")).unwrap();
    assert!(bundle.starts_with("{\"logIndex\":\"5\""), "{bundle}");
    let vkey = world.vkey();
    let check = [
        "proof",
        "check",
        "a.tlog-proof",
        "artifact",
        "--public-key",
        "key.pub",
        "--log-key",
        &vkey,
    ];
    world.run(&check).ok();

    let expected = format!("Entry already exists at index 5: artifact\nUUID: {leaf}\n{signer}");
    assert_eq!(upload(&world, Manner::Duplicate, &[]).ok(), expected);
    assert_eq!(upload(&world, Manner::Conflict, &[]).ok(), expected);
    let json = upload(&world, Manner::Honest, &["--json"]).ok();
    for part in [
        "\"alreadyExists\":false",
        "\"logIndex\":\"5\"",
        "\"treeSize\":\"300\"",
        "\"signers\":[{\"fingerprint\":\"",
    ] {
        assert!(json.contains(part), "{json}");
    }
}

#[test]
fn a_log_that_lies_is_not_believed() {
    for manner in [
        Manner::OtherBody,
        Manner::OtherIndex,
        Manner::OtherProof,
        Manner::OtherCheckpoint,
    ] {
        let world = World::new();
        let outcome = upload(&world, manner, &["--proof-out", "p"]);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (4, ""),
            "{manner:?}: {outcome:?}"
        );
        assert!(!world.path("p").exists(), "{manner:?}");
    }
}

#[test]
fn the_words_of_a_refusal_are_told() {
    let world = World::new();
    for (manner, expected) in [
        (
            Manner::Refused,
            "artifact: the log refused the upload with status 400: not today",
        ),
        (
            Manner::Token,
            "artifact: the log did not accept the token: not today",
        ),
        (
            Manner::Busy,
            "artifact: the log is not available, status 503: not today",
        ),
    ] {
        assert_eq!(upload(&world, manner, &[]).error(1), expected);
    }
}

#[test]
fn nothing_wrong_is_sent() {
    let world = World::new();
    fs::write(world.path("artifact"), b"changed").unwrap();
    assert_eq!(
        upload(&world, Manner::Honest, &[]).error(4),
        "artifact: signature does not verify over the digest with the given key"
    );
    let error = upload(&world, Manner::Honest, &["--type", "hashedrekord:0.0.1"]).error(4);
    assert!(error.starts_with("artifact: "), "{error}");
}

#[test]
fn raw_bytes_are_added_and_proven_from_tiles() {
    let world = World::new();
    let url = server::start(handler(&world, Manner::Honest));
    let vkey = world.vkey();
    let args = [
        "upload",
        "--type",
        "raw",
        "--log",
        &url,
        "--log-key",
        &vkey,
        "raw",
    ];
    fs::write(world.path("raw"), b"entry 9").unwrap();
    let text = world.run(&args).ok();
    assert!(
        text.starts_with("Created entry at index 9: raw\n"),
        "{text}"
    );
    let url = server::start(handler(&world, Manner::Duplicate));
    let mut again = args;
    again[4] = &url;
    let text = world.run(&again).ok();
    assert!(
        text.starts_with("Entry already exists at index 9: raw\n"),
        "{text}"
    );
    fs::write(world.path("raw"), b"entry 8").unwrap();
    let error = world.run(&args).error(4);
    assert!(
        error.starts_with("raw: entry 9 of the log is not the one with leaf hash"),
        "{error}"
    );
}

#[test]
fn many_uploads_are_answered_in_order() {
    let world = World::new();
    let url = server::start(handler(&world, Manner::Honest));
    let vkey = world.vkey();
    let mut args = vec![
        "upload",
        "--log",
        &url,
        "--log-key",
        &vkey,
        "--public-key",
        "key.pub",
        "--json",
    ];
    args.extend(["artifact"; 20]);
    args.extend(["absent"]);
    let outcome = world.run(&args);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let told = outcome
        .stdout
        .lines()
        .filter(|line| line.contains("\"logIndex\":\"5\""));
    assert_eq!(told.count(), 20);
    assert!(outcome.stderr.contains("1 of 21 failed"), "{outcome:?}");
}

#[test]
fn no_proof_is_written_over_another() {
    let world = World::new();
    for directory in ["one", "two", "proofs"] {
        fs::create_dir(world.path(directory)).unwrap();
    }
    for file in ["one/artifact", "two/artifact"] {
        fs::copy(world.path("artifact"), world.path(file)).unwrap();
    }
    let args = [
        "upload",
        "one/artifact",
        "two/artifact",
        "--log",
        "http://127.0.0.1:1",
    ];
    let more = ["--public-key", "key.pub", "--proof-out", "proofs"];
    assert_eq!(
        world.run(&[&args[..], &more].concat()).error(2),
        "the proofs of two entries would be named artifact.tlog-proof: upload them one by one"
    );
}
