//! `rekord`: what holds for every format, with keys in PEM and of OpenPGP. Those of minisign and OpenSSH are in files of their own.

use serde_json::{Value, json};
use tegula_entries::StoredEntry;

use crate::support::{accepted, b64, body, data, propose, refused, search_keys};

fn spec(format: &str, key: &[u8], signature: &[u8]) -> Value {
    json!({
        "data": {"content": b64("abc")},
        "signature": {
            "content": b64(signature),
            "format": format,
            "publicKey": {"content": b64(key)},
        },
    })
}

/// One that is good.
fn good() -> Value {
    spec("x509", &data("p256.pub.pem"), &data("p256.sig"))
}

fn why(spec: &Value) -> String {
    refused("rekord", "0.0.1", spec)
}

#[test]
fn a_signature_by_a_key_in_pem_is_logged() {
    let (entry, stored) = accepted("rekord", "0.0.1", &good());
    let expected = format!(
        "{{\"apiVersion\":\"0.0.1\",\"kind\":\"rekord\",\"spec\":{{\"data\":{{\"hash\":{{\"algorithm\":\"sha256\",\"value\":\"{ABC}\"}}}},\
         \"signature\":{{\"content\":\"{}\",\"format\":\"x509\",\"publicKey\":{{\"content\":\"{}\"}}}}}}}}",
        b64(data("p256.sig")),
        b64(data("p256.pub.pem")),
    );
    assert_eq!(std::str::from_utf8(entry.body()).unwrap(), expected);
    assert_eq!(stored.object(), "RekordObj");
    let facts = stored.facts();
    let key = facts.keys[0].value.clone();
    assert_eq!(
        search_keys(&stored),
        [format!("Key {key}"), format!("Digest sha256:{ABC}")]
    );
    assert_eq!(
        facts.lines,
        [
            ("Key", format!("ECDSA P-256 {key}")),
            ("Artifact", format!("sha256:{ABC}")),
            ("Format", "x509".to_owned()),
        ]
    );
    assert_eq!(entry.attestation(), None);
}

#[test]
fn every_key_in_pem_signs() {
    for name in ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521"] {
        for form in ["pub", "cert"] {
            let key = data(&format!("{name}.{form}.pem"));
            accepted(
                "rekord",
                "0.0.1",
                &spec("x509", &key, &data(&format!("{name}.sig"))),
            );
        }
    }
    // Pure, not prehashed.
    let key = data("ed25519.pub.pem");
    accepted(
        "rekord",
        "0.0.1",
        &spec("x509", &key, &data("ed25519-pure.sig")),
    );
    assert_eq!(why(&spec("x509", &key, &data("ed25519.sig"))), NOT_SIGNED);
}

/// Rekor v1 takes no other hash for these curves.
#[test]
fn every_curve_signs_with_sha_256() {
    for name in ["p384", "p521"] {
        let key = data(&format!("{name}.pub.pem"));
        let signature = data(&format!("rekord/{name}.sha256.sig"));
        accepted("rekord", "0.0.1", &spec("x509", &key, &signature));
        let mut changed = spec("x509", &key, &signature);
        changed["data"]["content"] = json!(b64("abd"));
        assert_eq!(why(&changed), NOT_SIGNED);
    }
    let other = spec(
        "x509",
        &data("p384.pub.pem"),
        &data("rekord/p521.sha256.sig"),
    );
    assert_eq!(why(&other), NOT_SIGNED);
    let sha512 = spec(
        "x509",
        &data("rsa2048.pub.pem"),
        &data("rsa2048-sha512.sig"),
    );
    assert_eq!(why(&sha512), NOT_SIGNED);
}

#[test]
fn a_signature_is_of_this_key_and_content() {
    let other = spec("x509", &data("p384.pub.pem"), &data("p256.sig"));
    assert_eq!(why(&other), NOT_SIGNED);
    let mut changed = good();
    changed["data"]["content"] = json!(b64("abd"));
    assert_eq!(why(&changed), NOT_SIGNED);
    let signature = data("p256.sig");
    for len in 1..signature.len() {
        let truncated = spec("x509", &data("p256.pub.pem"), &signature[..len]);
        assert_eq!(why(&truncated), NOT_SIGNED);
    }
}

#[test]
fn a_hash_that_is_given_agrees() {
    let with = |algorithm: &str, value: &str| {
        let mut spec = good();
        spec["data"]["hash"] = json!({"algorithm": algorithm, "value": value});
        spec
    };
    let plain = propose("rekord", "0.0.1", &good()).unwrap();
    for value in [ABC.to_owned(), ABC.to_uppercase()] {
        let entry = propose("rekord", "0.0.1", &with("sha256", &value)).unwrap();
        assert_eq!(entry, plain);
    }
    let zeros = "0".repeat(64);
    assert_eq!(
        why(&with("sha256", &zeros)),
        format!("spec.data.hash: is {zeros}, and the content's is {ABC}")
    );
    assert_eq!(
        why(&with("sha256", "abc")),
        "spec.data.hash: value is not 64 hexadecimal digits: abc"
    );
    assert_eq!(
        why(&with("sha512", ABC)),
        "spec.data.hash: algorithm is not sha256: sha512"
    );
}

#[test]
fn the_format_that_is_named_is_the_one() {
    let with = |format: &str| {
        let mut spec = good();
        spec["signature"]["format"] = json!(format);
        why(&spec)
    };
    assert_eq!(
        with("minisign"),
        "public key: is neither a minisign key (an untrusted comment and a line of 42 bytes in base64, or that line) nor 32 bytes"
    );
    assert!(
        with("ssh").starts_with("public key: is of algorithm \"-----BEGIN\", expected one of ")
    );
    assert_eq!(
        with("pkcs7"),
        "format: keys by themselves are pgp, minisign, ssh or x509, not pkcs7"
    );
    let minisign = spec(
        "x509",
        &data("minisign/minisign.pub"),
        &data("minisign/legacy.minisig"),
    );
    assert_eq!(
        why(&minisign),
        "key is not PEM: no complete BEGIN and END lines"
    );
}

#[test]
fn what_is_missing_is_named() {
    for (pointer, name) in [
        ("/data", "spec.data"),
        ("/data/content", "spec.data.content"),
        ("/signature", "spec.signature"),
        ("/signature/format", "spec.signature.format"),
        ("/signature/content", "spec.signature.content"),
        ("/signature/publicKey", "spec.signature.publicKey"),
        (
            "/signature/publicKey/content",
            "spec.signature.publicKey.content",
        ),
    ] {
        let mut spec = good();
        *spec.pointer_mut(pointer).unwrap() = Value::Null;
        assert_eq!(why(&spec), format!("{name} is missing or empty"));
    }
    let mut spec = good();
    spec["data"]["content"] = json!("?");
    assert_eq!(why(&spec), "spec.data.content is not base64: ?");
    spec["data"]["content"] = json!(7);
    assert_eq!(
        why(&spec),
        "spec: invalid type: integer `7`, expected a string at line 1 column 20"
    );
}

#[test]
fn fields_that_are_unknown_are_passed_over() {
    let mut more = good();
    more["data"]["url"] = json!("https://log.example/abc");
    more["extraData"] = json!({"a": [1]});
    assert_eq!(
        propose("rekord", "0.0.1", &more).unwrap(),
        propose("rekord", "0.0.1", &good()).unwrap()
    );
}

#[test]
fn there_is_one_version() {
    assert_eq!(
        refused("rekord", "0.0.2", &good()),
        "entry of kind rekord version 0.0.2 is not accepted, expected a kind and version of Rekor"
    );
}

#[test]
fn sizes_are_bounded() {
    let mut large = good();
    large["signature"]["content"] = json!("A".repeat(4 * 30_000));
    assert_eq!(
        why(&large),
        "spec.signature.content has 90000, expected at most 65535"
    );
    let mut large = good();
    large["signature"]["publicKey"]["content"] = json!("A".repeat(4 * 30_000));
    assert_eq!(
        why(&large),
        "spec.signature.publicKey.content has 90000, expected at most 65536"
    );
    let mut large = good();
    large["data"]["content"] = json!("A".repeat(6 << 20));
    assert_eq!(
        why(&large),
        "spec.data.content has 4718592, expected at most 4194304"
    );
}

#[test]
fn a_body_that_no_log_writes_is_not_read() {
    let good = propose("rekord", "0.0.1", &good()).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut body = body(&good);
        *body.pointer_mut(pointer).unwrap() = value;
        let body = serde_json_canonicalizer::to_vec(&body).unwrap();
        StoredEntry::parse(&body).unwrap_err().to_string()
    };
    let not_so = "spec: is not as a log writes it of this key, signature and hash";
    let key = "/spec/signature/publicKey/content";
    let pem = String::from_utf8(data("p256.pub.pem")).unwrap();
    assert_eq!(changed(key, json!(b64(format!("\n{pem}")))), not_so);
    assert_eq!(
        changed(
            "/spec/data",
            json!({"content": b64("abc"), "hash": {"algorithm": "sha256", "value": ABC}})
        ),
        not_so
    );
    assert_eq!(
        changed("/spec/data/hash/value", json!(ABC.to_uppercase())),
        format!(
            "spec.data.hash: value is not in lower case: {}",
            ABC.to_uppercase()
        )
    );
    assert_eq!(
        changed("/spec/data/hash", Value::Null),
        "spec.data.hash is missing or empty"
    );
    assert_eq!(
        changed("/spec/data/hash/algorithm", json!("sha1")),
        "spec.data.hash: algorithm is not sha256: sha1"
    );
    assert_eq!(
        changed(key, json!(b64("x"))),
        "key is not PEM: no complete BEGIN and END lines"
    );
}

#[test]
fn a_signature_of_openpgp_is_logged() {
    let armored = spec(
        "pgp",
        &data("rekord/alice.asc"),
        &data("rekord/alice.sig.asc"),
    );
    let (entry, stored) = accepted("rekord", "0.0.1", &armored);
    let logged = &body(&entry)["spec"];
    assert_eq!(
        logged["data"],
        json!({"hash": {"algorithm": "sha256", "value": ABC}})
    );
    assert_eq!(logged["signature"]["format"], "pgp");
    // As it was sent.
    assert_eq!(
        logged["signature"]["content"],
        b64(data("rekord/alice.sig.asc"))
    );
    let keys = search_keys(&stored);
    for key in [
        "Identity alice@log.example",
        "IdentityPrefix log.example",
        &format!("Digest sha256:{ABC}"),
    ] {
        assert!(keys.iter().any(|found| found == key), "{keys:?}");
    }
    let binary = spec("pgp", &data("rekord/alice.gpg"), &data("rekord/alice.sig"));
    let (binary, _) = accepted("rekord", "0.0.1", &binary);
    assert_eq!(
        body(&binary)["spec"]["signature"]["publicKey"],
        logged["signature"]["publicKey"]
    );
}

#[test]
fn a_signature_of_openpgp_is_of_this_key_and_content() {
    propose(
        "rekord",
        "0.0.1",
        &spec("pgp", &data("rekord/other.asc"), &data("rekord/alice.sig")),
    )
    .unwrap_err();
    let mut changed = spec(
        "pgp",
        &data("rekord/alice.asc"),
        &data("rekord/alice.sig.asc"),
    );
    propose("rekord", "0.0.1", &changed).unwrap();
    changed["data"]["content"] = json!(b64("abd"));
    propose("rekord", "0.0.1", &changed).unwrap_err();
}

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const NOT_SIGNED: &str = "the signature does not verify over the content with the given key";
