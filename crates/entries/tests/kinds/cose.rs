//! `cose` 0.0.1, with messages that pycose made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tegula_entries::StoredEntry;

use crate::support::{accepted, b64, body, data, propose, refused, search_keys, sha256};

fn spec_of(message: &[u8], key: &str) -> Value {
    json!({"message": b64(message), "publicKey": b64(data(&format!("{key}.pub.pem"))), "data": {}})
}

fn spec(file: &str, key: &str) -> Value {
    spec_of(&data(&format!("cose/{file}.cose")), key)
}

fn why(spec: &Value) -> String {
    refused("cose", "0.0.1", spec)
}

fn why_not(message: &[u8]) -> String {
    why(&spec_of(message, "p256"))
}

#[test]
fn a_message_is_logged_by_its_digests() {
    let message = data("cose/p256.cose");
    let spec = spec("p256", "p256");
    let (entry, stored) = accepted("cose", "0.0.1", &spec);
    assert_eq!(
        body(&entry),
        json!({"apiVersion": "0.0.1", "kind": "cose", "spec": {
            "data": {
                "envelopeHash": {"algorithm": "sha256", "value": sha256(&message)},
                "payloadHash": {"algorithm": "sha256", "value": sha256(b"payload")},
            },
            "publicKey": b64(data("p256.pub.pem")),
        }})
    );
    assert_eq!(stored.object(), "CoseObj");
    assert_eq!(
        search_keys(&stored),
        [
            format!("Key {}", sha256(data("p256.pub.der"))),
            format!("Digest sha256:{}", sha256(&message)),
            format!("Digest sha256:{}", sha256(b"payload")),
        ]
    );
    let attestation = entry.attestation().unwrap();
    assert_eq!(attestation.bytes, message);
    assert_eq!(attestation.sha256[..], Sha256::digest(&message)[..]);
    assert_eq!(stored.attested(&message), []);
    assert_eq!(stored.facts().lines.len(), 3);
}

#[test]
fn every_algorithm_of_the_keys_is_taken() {
    for (file, key) in [
        ("p256", "p256"),
        ("p384", "p384"),
        ("p521", "p521"),
        ("rsa2048", "rsa2048"),
        ("rsa2048-512", "rsa2048"),
        ("ed25519", "ed25519"),
        ("untagged", "p256"),
    ] {
        accepted("cose", "0.0.1", &spec(file, key));
    }
}

#[test]
fn additional_data_is_signed_and_not_logged() {
    let mut with = spec("aad", "p256");
    let unsigned = "the signature of the COSE message does not verify over its payload, its protected header and the additional data with the given key";
    assert_eq!(why(&with), unsigned);
    with["data"] = json!({"aad": b64("additional")});
    let (entry, _) = accepted("cose", "0.0.1", &with);
    assert!(!String::from_utf8_lossy(entry.body()).contains("aad"));
    with["data"] = json!({"aad": b64("another")});
    assert_eq!(why(&with), unsigned);
}

#[test]
fn subjects_of_an_in_toto_statement_are_found_by_where_it_says_that_it_is_one() {
    let (entry, stored) = accepted("cose", "0.0.1", &spec("in-toto", "p256"));
    let attestation = entry.attestation().unwrap();
    assert_eq!(stored.attestation(), Some(attestation.sha256));
    let attested = stored.attested(&attestation.bytes);
    let attested: Vec<String> = attested.iter().map(ToString::to_string).collect();
    assert_eq!(
        attested,
        [
            "Attested gitcommit:cd34",
            "Attested sha256:ab12",
            "Attested sha512:ef56"
        ]
    );
    let (entry, stored) = accepted("cose", "0.0.1", &spec("in-toto-unsaid", "p256"));
    assert_eq!(stored.attested(&entry.attestation().unwrap().bytes), []);
    assert_eq!(stored.attested(b"something else"), []);
}

#[test]
fn what_is_signed_otherwise_is_refused() {
    let other = json!({"message": b64(data("x509/leaf.cose")), "publicKey": b64(data("p256.pub.pem")), "data": {}});
    assert_eq!(
        why(&other),
        "the signature of the COSE message does not verify over its payload, its protected header and the additional data with the given key"
    );
    assert_eq!(
        why(&spec("p256", "p384")),
        "spec.message: has the algorithm ES256, which PKIX_ECDSA_P384_SHA_384 does not sign with, expected ES256 for P-256, ES384 for P-384, ES512 for P-521, PS256, PS384 or PS512 for RSA, or EdDSA for Ed25519"
    );
    assert!(why(&spec("ed25519", "rsa2048")).starts_with("spec.message: has the algorithm EdDSA, which PKIX_RSA_PKCS1V15_2048_SHA256 does not sign with"));
    assert_eq!(
        why(&spec("detached", "p256")),
        "spec.message: has a detached payload, expected it to be in the message"
    );
    // [h'', {}, h'', h'']
    assert!(
        why_not(&[0x84, 0x40, 0xa0, 0x40, 0x40])
            .starts_with("spec.message: has no algorithm in its protected header, expected ES256")
    );
    // {1: -7, 2: [5]}: the critical header is not there.
    assert_eq!(
        why_not(&[0x84, 0x46, 0xa2, 1, 0x26, 2, 0x81, 5, 0xa0, 0x40, 0x40]),
        "spec.message: has a critical header Assigned(Iv) that is not in the protected header"
    );
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused() {
    let message = data("cose/p256.cose");
    for len in 1..message.len() {
        assert!(
            propose("cose", "0.0.1", &spec_of(&message[..len], "p256")).is_err(),
            "{len}"
        );
    }
    // The key identifier is not protected.
    let unprotected = message
        .windows(3)
        .position(|three| three == b"key")
        .unwrap();
    for at in (0..message.len()).filter(|at| !(unprotected..unprotected + 3).contains(at)) {
        let mut flipped = message.clone();
        flipped[at] ^= 1;
        let verdict = propose("cose", "0.0.1", &spec_of(&flipped, "p256"));
        // The label of the key identifier may become another one.
        assert!(verdict.is_err() || at == unprotected - 2, "byte {at}");
    }
}

#[test]
fn what_is_not_a_message_is_refused() {
    let begins = "spec.message: is not a COSE_Sign1 message as it is taken: ";
    for (bytes, reason) in [
        (&b"\xd2\x83"[..], "it does not begin as one"),
        (b"\xd1\x84\x40\xa0\x40\x40", "it does not begin as one"),
        (b"\x9f", "an indefinite length, expected definite ones"),
        (b"\x84\x40\xa0\x40", "it is cut short"),
        (b"\x84\x40\xa0\x40\x40\x00", "1 bytes follow it"),
        (
            b"\x84\x40\xa0\x5b\xff\xff\xff\xff\xff\xff\xff\xff\x40",
            "it is cut short",
        ),
        (
            b"\x84\xa0\xa0\x40\x40",
            "the protected header is not a byte string",
        ),
        (b"\x84\x41\x80\xa0\x40\x40", "a header is not a map"),
        (
            b"\x84\x40\xa1\xc2\x41\x07\x00\x40\x40",
            "a header's label is not an integer or text",
        ),
    ] {
        assert_eq!(why_not(bytes), format!("{begins}{reason}"));
    }
    // The parser's own word for what nests well and is none: a signature that is a number.
    assert!(
        why_not(b"\x84\x40\xa0\x40\x01").starts_with("spec.message: is not a COSE_Sign1 message: ")
    );
}

#[test]
fn bombs_are_refused_before_they_are_parsed() {
    let begins = "spec.message: is not a COSE_Sign1 message as it is taken: ";
    let around = |header: &[u8]| [b"\x84\x40\xa1\x09", header, b"\x40\x40"].concat();
    let nested = |depth: usize| around(&[vec![0x81; depth], vec![0]].concat());
    assert_eq!(
        why_not(&nested(200_000)),
        format!("{begins}nested more than 16 deep")
    );
    assert_eq!(
        why_not(&nested(20)),
        format!("{begins}nested more than 16 deep")
    );
    assert!(why_not(&nested(10)).contains("no algorithm"));
    let many = |count: u16| {
        let mut list = vec![0x99];
        list.extend(count.to_be_bytes());
        list.extend(vec![0; usize::from(count)]);
        around(&list)
    };
    assert_eq!(
        why_not(&many(2000)),
        format!("{begins}more than 1024 items of CBOR")
    );
    assert!(why_not(&many(1000)).contains("no algorithm"));
    let mut huge = around(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert!(why_not(&huge).starts_with(begins));
    huge[4] = 0xbb;
    assert!(why_not(&huge).starts_with(begins));
    // Counter signatures whose protected header, in a byte string, has a counter signature, and so on: no one item of it nests.
    let mut header = vec![0xa0];
    for _ in 0..10_000 {
        let len = u16::try_from(header.len()).unwrap_or(0);
        header = [
            &[0xa1, 7, 0x83, 0x59],
            &len.to_be_bytes()[..],
            &header,
            &[0xa0, 0x40],
        ]
        .concat();
        if header.len() > 60_000 {
            break;
        }
    }
    let len = u16::try_from(header.len()).unwrap();
    let message = [
        &[0x84, 0x59],
        &len.to_be_bytes()[..],
        &header,
        &[0xa0, 0x40, 0x40],
    ]
    .concat();
    assert_eq!(
        why_not(&message),
        format!("{begins}nested more than 16 deep")
    );
}

#[test]
fn fields_are_there_and_of_a_size() {
    let whole = spec("p256", "p256");
    for (field, message) in [
        ("message", "spec.message is missing or empty"),
        ("publicKey", "spec.publicKey is missing or empty"),
        ("data", "spec.data is missing or empty"),
    ] {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(field);
        assert_eq!(why(&without), message);
    }
    let mut wrong = whole.clone();
    wrong["message"] = json!("!");
    assert_eq!(why(&wrong), "spec.message is not base64: !");
    wrong["message"] = json!(b64(vec![0; (3 << 20) + 3]));
    assert_eq!(
        why(&wrong),
        "spec.message has 3145731, expected at most 3145728"
    );
    assert_eq!(
        refused("cose", "0.0.2", &whole),
        "entry of kind cose version 0.0.2 is not accepted, expected a kind and version of Rekor"
    );
}

#[test]
fn only_what_a_log_writes_is_read() {
    let entry = propose("cose", "0.0.1", &spec("p256", "p256")).unwrap();
    let why = |change: &dyn Fn(&mut Value)| {
        let mut body = body(&entry);
        change(&mut body["spec"]);
        let body = serde_json::to_vec(&body).unwrap();
        StoredEntry::parse(&body).unwrap_err().to_string()
    };
    assert_eq!(
        why(&|spec| spec["data"]["payloadHash"]["algorithm"] = json!("sha1")),
        "spec.data.payloadHash: algorithm is not sha256: sha1"
    );
    assert!(why(&|spec| spec["data"]["aad"] = json!("")).contains("unknown field `aad`"));
    assert!(why(&|spec| spec["message"] = json!("")).contains("unknown field `message`"));
    assert!(why(&|spec| spec["data"] = Value::Null).starts_with("spec: invalid type: null"));
    let upper = |spec: &mut Value| {
        let value = &mut spec["data"]["envelopeHash"]["value"];
        *value = json!(value.as_str().unwrap().to_uppercase());
    };
    assert!(why(&upper).starts_with("spec.data.envelopeHash: value is not in lower case: "));
    let spaced = |spec: &mut Value| {
        let pem = STANDARD
            .decode(spec["publicKey"].as_str().unwrap())
            .unwrap();
        spec["publicKey"] = json!(b64([&b"\n"[..], &pem].concat()));
    };
    assert_eq!(
        why(&spaced),
        "spec.publicKey: is not the canonical spelling of the key"
    );
}
