//! Keys and signatures of minisign and signify, as a `rekord` logs them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{accepted, b64, body, data, refused, search_keys, sha256};

fn spec(key: impl AsRef<[u8]>, signature: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Value {
    json!({
        "data": {"content": b64(content)},
        "signature": {
            "content": b64(signature),
            "format": "minisign",
            "publicKey": {"content": b64(key)},
        },
    })
}

fn of(key: &str, signature: &str) -> Value {
    spec(file(key), file(signature), file("content"))
}

fn file(name: &str) -> Vec<u8> {
    data(&format!("minisign/{name}"))
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap()
}

fn line(name: &str, at: usize) -> String {
    text(name).lines().nth(at).unwrap().to_owned()
}

fn why(spec: &Value) -> String {
    refused("rekord", "0.0.1", spec)
}

#[test]
fn signatures_of_minisign_and_signify_are_logged() {
    for (key, signature) in [
        ("minisign.pub", "legacy.minisig"),
        ("minisign.pub", "prehashed.minisig"),
        ("signify.pub", "signify.sig"),
    ] {
        let (entry, stored) = accepted("rekord", "0.0.1", &of(key, signature));
        assert_eq!(
            body(&entry),
            json!({
                "apiVersion": "0.0.1",
                "kind": "rekord",
                "spec": {
                    "data": {"hash": {
                        "algorithm": "sha256",
                        "value": "9d9116edf6bc903031f363e444e1c34b1494e778772dd23b85c7206ff1e19a69",
                    }},
                    "signature": {
                        "content": b64(format!("untrusted comment:\n{}", line(signature, 1))),
                        "format": "minisign",
                        "publicKey": {"content": b64(line(key, 1))},
                    },
                },
            })
        );
        let blob = STANDARD.decode(line(key, 1)).unwrap();
        let spki = [
            b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
            &blob[10..],
        ]
        .concat();
        assert_eq!(
            search_keys(&stored),
            [
                format!("Key {}", sha256(&spki)),
                "Digest sha256:9d9116edf6bc903031f363e444e1c34b1494e778772dd23b85c7206ff1e19a69"
                    .to_owned(),
            ]
        );
        let id = u64::from_le_bytes(blob[2..10].try_into().unwrap());
        assert_eq!(
            entry.signers()[0].description,
            format!("minisign Ed25519 {id:016X}")
        );
        assert_eq!(entry.signers(), stored.facts().signers);
    }
}

#[test]
fn a_key_has_one_spelling() {
    let whole = accepted("rekord", "0.0.1", &of("minisign.pub", "legacy.minisig")).0;
    let line = line("minisign.pub", 1);
    for key in [
        line.clone(),
        format!("{line}\n"),
        format!("untrusted comment: x\r\n{line}\r\n"),
        format!("\n{line}"),
    ] {
        let spec = spec(key, file("legacy.minisig"), file("content"));
        assert_eq!(accepted("rekord", "0.0.1", &spec).0, whole);
    }
    let windows = text("legacy.minisig").replace('\n', "\r\n");
    let spec = spec(file("minisign.pub"), windows, file("content"));
    assert_eq!(accepted("rekord", "0.0.1", &spec).0, whole);
}

#[test]
fn a_key_may_be_its_32_bytes_alone() {
    let blob = STANDARD.decode(line("minisign.pub", 1)).unwrap();
    let spec = spec(&blob[10..], file("prehashed.minisig"), file("content"));
    let (entry, stored) = accepted("rekord", "0.0.1", &spec);
    let logged = [b"Ed\0\0\0\0\0\0\0\0", &blob[10..]].concat();
    assert_eq!(
        body(&entry)["spec"]["signature"]["publicKey"]["content"],
        b64(b64(logged))
    );
    assert_eq!(entry.signers()[0].description, "minisign Ed25519");
    // Found by the same fingerprint as with its number.
    let with_number = accepted("rekord", "0.0.1", &of("minisign.pub", "legacy.minisig")).1;
    assert_eq!(search_keys(&stored), search_keys(&with_number));
}

#[test]
fn a_signature_is_of_this_key_and_content() {
    let not_signed = "the signature does not verify over the content with the given key";
    for signature in ["legacy.minisig", "prehashed.minisig"] {
        let changed = spec(file("minisign.pub"), file(signature), "what is signee\n");
        assert_eq!(why(&changed), not_signed);
        let empty = spec(file("minisign.pub"), file(signature), "");
        assert_eq!(why(&empty), "spec.data.content is missing or empty");
        let other = STANDARD.decode(line("other.pub", 1)).unwrap();
        let other_key = spec(&other[10..], file(signature), file("content"));
        assert_eq!(why(&other_key), not_signed);
    }
    // Of the algorithm that the signature was not made with.
    let swapped = text("legacy.minisig").replace("\nRW", "\nRU");
    let id = |name: &str| {
        let blob = STANDARD.decode(line(name, 1)).unwrap();
        u64::from_le_bytes(blob[2..10].try_into().unwrap())
    };
    assert_eq!(
        why(&spec(file("minisign.pub"), swapped, file("content"))),
        not_signed
    );
    assert_eq!(
        why(&of("other.pub", "legacy.minisig")),
        format!(
            "signature: is of key {:016X}, expected {:016X}",
            id("minisign.pub"),
            id("other.pub")
        )
    );
}

#[test]
fn the_trusted_comment_is_signed_too() {
    let changed = text("prehashed.minisig").replace("file:content", "file:another");
    assert_eq!(
        why(&spec(file("minisign.pub"), changed, file("content"))),
        "the global signature does not verify over the trusted comment with the given key"
    );
    let without = text("prehashed.minisig").replace("\ntrusted comment: ", "\n");
    assert_eq!(
        why(&spec(file("minisign.pub"), without, file("content"))),
        "signature: has no trusted comment on its third line, which begins with \"trusted comment: \""
    );
    let mixed = [0, 1, 2].map(|at| line("legacy.minisig", at)).join("\n");
    let mixed = format!("{mixed}\n{}\n", line("prehashed.minisig", 3));
    assert_eq!(
        why(&spec(file("minisign.pub"), mixed, file("content"))),
        "the global signature does not verify over the trusted comment with the given key"
    );
}

#[test]
fn what_is_no_signature_is_refused() {
    let with = |signature: &str| why(&spec(file("minisign.pub"), signature, file("content")));
    let second = line("legacy.minisig", 1);
    for (signature, error) in [
        (
            "x".to_owned(),
            "signature: has 1 lines, expected 4 of minisign or 2 of signify",
        ),
        (
            format!("c\n{second}\nc\n"),
            "signature: has 3 lines, expected 4 of minisign or 2 of signify",
        ),
        (
            text("legacy.minisig").repeat(2),
            "signature: has 8 lines, expected 4 of minisign or 2 of signify",
        ),
        (
            format!("c\n{}", &second[4..]),
            "signature: has no 74 bytes in base64 on its second line",
        ),
        (
            format!("c\nAA{}", &second[2..]),
            "signature: is of algorithm \"\\0\\u{4}\", expected Ed or ED",
        ),
        (
            format!("c\n{second}\ntrusted comment: c\n{}", &second[4..]),
            "signature: has no 64 bytes in base64 on its fourth line",
        ),
        (
            format!("{}\n{second}", "c".repeat(64 << 10)),
            "spec.signature.content has 65637, expected at most 65535",
        ),
    ] {
        assert_eq!(with(&signature), error);
    }
    assert_eq!(
        why(&spec(file("minisign.pub"), b"c\n\xff\n", file("content"))),
        "signature: is not UTF-8: invalid utf-8 sequence of 1 bytes from index 2"
    );
}

#[test]
fn what_is_no_key_is_refused() {
    let with = |key: &[u8]| why(&spec(key, file("legacy.minisig"), file("content")));
    let no_key = "public key: is neither a minisign key (an untrusted comment and a line of 42 bytes in base64, or that line) nor 32 bytes";
    let line = line("minisign.pub", 1);
    for key in [
        &line.as_bytes()[4..],
        b"c\n",
        b"AAEC",
        &[7; 31],
        &data("p256.pub.pem"),
    ] {
        assert_eq!(with(key), no_key);
    }
    assert_eq!(
        with(format!("RU{}", &line[2..]).as_bytes()),
        "public key: is of algorithm \"ED\", expected Ed"
    );
    // The neutral point: everybody can sign for it.
    let mut weak = [0; 32];
    weak[0] = 1;
    assert_eq!(
        with(&weak),
        "public key is not the canonical encoding of an Ed25519 point of large order"
    );
}
