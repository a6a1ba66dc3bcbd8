//! `intoto` 0.0.1 and 0.0.2, with the envelopes of `dsse`.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tegula_entries::StoredEntry;

use crate::support::{
    accepted, b64, body, data, envelope, payload, pem, refused, search_keys, sha256,
};

fn v001(envelope: &str, key: &str) -> Value {
    json!({"content": {"envelope": envelope}, "publicKey": pem(key)})
}

/// As `rekor-cli` makes it from the envelope's file.
fn v002(text: &str, keys: &[&str]) -> Value {
    let envelope: Value = serde_json::from_str(text).unwrap();
    let signatures = envelope["signatures"].as_array().unwrap();
    let signatures: Vec<Value> = signatures
        .iter()
        .zip(keys)
        .map(|(signature, key)| {
            json!({
                "keyid": signature["keyid"],
                "publicKey": pem(key),
                "sig": b64(signature["sig"].as_str().unwrap()),
            })
        })
        .collect();
    json!({"content": {
        "envelope": {
            "payload": b64(envelope["payload"].as_str().unwrap()),
            "payloadType": envelope["payloadType"],
            "signatures": signatures,
        },
        "hash": {"algorithm": "sha256", "value": sha256(text.as_bytes())},
    }})
}

fn attested(stored: &StoredEntry, attestation: &[u8]) -> Vec<String> {
    let keys = stored.attested(attestation);
    keys.iter().map(ToString::to_string).collect()
}

#[test]
fn an_envelope_of_each_key_is_logged_as_0_0_1() {
    for key in ["p256", "p384", "p521", "ed25519", "rsa2048"] {
        for form in ["pub", "cert"] {
            let text = envelope(key);
            let verifier = format!("{key}.{form}");
            let (entry, stored) = accepted("intoto", "0.0.1", &v001(&text, &verifier));
            let (hash, payload_hash) = (sha256(text.as_bytes()), sha256(payload(&text)));
            assert_eq!(
                body(&entry),
                json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": {
                    "content": {
                        "hash": {"algorithm": "sha256", "value": hash},
                        "payloadHash": {"algorithm": "sha256", "value": payload_hash},
                    },
                    "publicKey": pem(&verifier),
                }})
            );
            assert_eq!(stored.object(), "IntotoObj");
            assert_eq!(entry.signers(), stored.facts().signers);
            let attestation = entry.attestation().unwrap();
            assert_eq!(attestation.bytes, payload(&text));
            assert_eq!(attestation.sha256[..], Sha256::digest(payload(&text))[..]);
            let keys = search_keys(&stored);
            assert_eq!(
                keys[0],
                format!("Key {}", sha256(data(&format!("{key}.pub.der"))))
            );
            assert_eq!(
                keys[keys.len() - 2..],
                [
                    format!("Digest sha256:{payload_hash}"),
                    format!("Digest sha256:{hash}")
                ]
            );
            assert_eq!(keys.len() > 3, form == "cert");
        }
    }
}

#[test]
fn one_signature_is_enough_for_0_0_1() {
    for key in ["p256.pub", "ed25519.pub"] {
        let (entry, _) = accepted("intoto", "0.0.1", &v001(&envelope("two"), key));
        assert_eq!(entry.signers().len(), 1);
    }
}

#[test]
fn what_the_client_says_of_0_0_1_is_computed_instead() {
    let text = envelope("p256");
    let expected = accepted("intoto", "0.0.1", &v001(&text, "p256.pub")).0;
    let mut spec = v001(&text, "p256.pub");
    spec["content"]["hash"] = json!({"algorithm": "sha256", "value": "00"});
    spec["content"]["payloadHash"] = spec["content"]["hash"].clone();
    assert_eq!(accepted("intoto", "0.0.1", &spec).0, expected);
}

#[test]
fn an_envelope_of_each_key_is_logged_as_0_0_2() {
    for key in ["p256", "p384", "p521", "ed25519", "rsa2048"] {
        for form in ["pub", "cert"] {
            let text = envelope(key);
            let verifier = format!("{key}.{form}");
            let spec = v002(&text, &[&verifier]);
            let (entry, stored) = accepted("intoto", "0.0.2", &spec);
            let (hash, payload_hash) = (sha256(text.as_bytes()), sha256(payload(&text)));
            assert_eq!(
                body(&entry),
                json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
                    "envelope": {
                        "payloadType": "application/vnd.in-toto+json",
                        "signatures": spec["content"]["envelope"]["signatures"],
                    },
                    "hash": {"algorithm": "sha256", "value": hash},
                    "payloadHash": {"algorithm": "sha256", "value": payload_hash},
                }}})
            );
            assert_eq!(stored.object(), "IntotoObj");
            assert_eq!(entry.signers(), stored.facts().signers);
            assert_eq!(entry.attestation().unwrap().bytes, payload(&text));
            let keys = search_keys(&stored);
            assert_eq!(
                keys[0],
                format!("Key {}", sha256(data(&format!("{key}.pub.der"))))
            );
            assert_eq!(
                keys[keys.len() - 2..],
                [
                    format!("Digest sha256:{payload_hash}"),
                    format!("Digest sha256:{hash}")
                ]
            );
        }
    }
}

#[test]
fn what_0_0_2_is_sent_is_what_it_logs() {
    // Two signatures, in the envelope's order.
    let text = envelope("two");
    let spec = v002(&text, &["p256.cert", "ed25519.pub"]);
    let (entry, _) = accepted("intoto", "0.0.2", &spec);
    let sent = &spec["content"]["envelope"]["signatures"];
    assert_eq!(
        &body(&entry)["spec"]["content"]["envelope"]["signatures"],
        sent
    );
    assert_eq!(entry.signers().len(), 2);
    // A key in a spelling of its own stays in it; an empty keyid goes; the client's digest stays as it is.
    let mut spec = v002(&envelope("p256"), &["p256.pub"]);
    let pem = [b"\n\n", &data("p256.pub.pem")[..]].concat();
    let signature = &mut spec["content"]["envelope"]["signatures"][0];
    signature["publicKey"] = json!(b64(&pem));
    signature["keyid"] = json!("");
    spec["content"]["hash"]["value"] = json!("AB".repeat(32));
    let (entry, stored) = accepted("intoto", "0.0.2", &spec);
    let content = &body(&entry)["spec"]["content"];
    assert_eq!(
        content["envelope"]["signatures"],
        json!([{"publicKey": b64(&pem), "sig": spec["content"]["envelope"]["signatures"][0]["sig"]}])
    );
    assert_eq!(content["hash"]["value"], json!("AB".repeat(32)));
    assert!(search_keys(&stored).contains(&format!("Digest sha256:{}", "ab".repeat(32))));
}

#[test]
fn entries_can_be_searched_by_what_the_statement_is_about() {
    let subjects = [
        format!("Attested gitcommit:{}", "03".repeat(20)),
        format!("Attested sha256:{}", "01".repeat(32)),
        format!("Attested sha512:{}", "02".repeat(64)),
    ];
    let text = envelope("p256");
    let (entry, stored) = accepted("intoto", "0.0.1", &v001(&text, "p256.pub"));
    let attestation = &entry.attestation().unwrap().bytes;
    assert_eq!(attested(&stored, attestation), subjects);
    let (entry, stored) = accepted("intoto", "0.0.2", &v002(&text, &["p256.pub"]));
    let attestation = &entry.attestation().unwrap().bytes;
    assert_eq!(attested(&stored, attestation), subjects);
    assert_eq!(attested(&stored, b"other"), [""; 0]);
}

#[test]
fn what_was_not_signed_is_refused() {
    let not_signed = "envelope.signatures does not verify over the payload with publicKey";
    let text = envelope("p256");
    assert_eq!(
        refused("intoto", "0.0.1", &v001(&text, "ed25519.pub")),
        not_signed
    );
    assert_eq!(
        refused("intoto", "0.0.1", &v001(&envelope("pss"), "rsa2048.pub")),
        not_signed
    );
    let good: Value = serde_json::from_str(&text).unwrap();
    for (field, value) in [("payload", b64("other")), ("payloadType", "x".to_owned())] {
        let mut changed = good.clone();
        changed[field] = json!(value);
        let changed = changed.to_string();
        assert_eq!(
            refused("intoto", "0.0.1", &v001(&changed, "p256.pub")),
            not_signed
        );
        assert_eq!(
            refused("intoto", "0.0.2", &v002(&changed, &["p256.pub"])),
            "content.envelope.signatures: signature 0 does not verify over the payload with the publicKey beside it"
        );
    }
    // Each signature has to be of the key beside it.
    assert_eq!(
        refused(
            "intoto",
            "0.0.2",
            &v002(&envelope("two"), &["ed25519.pub", "p256.pub"])
        ),
        "content.envelope.signatures: signature 0 does not verify over the payload with the publicKey beside it"
    );
    assert_eq!(
        refused(
            "intoto",
            "0.0.2",
            &v002(&envelope("two"), &["p256.pub", "p256.pub"])
        ),
        "content.envelope.signatures: signature 1 does not verify over the payload with the publicKey beside it"
    );
}

#[test]
fn what_lacks_a_part_of_0_0_1_is_refused() {
    let text = envelope("p256");
    let good: Value = serde_json::from_str(&text).unwrap();
    for (spec, message) in [
        (json!({}), "content.envelope is missing or empty"),
        (
            json!({"content": {"envelope": text}}),
            "publicKey is missing or empty",
        ),
        (
            json!({"content": {"envelope": text}, "publicKey": b64("x")}),
            "key is not PEM: no complete BEGIN and END lines",
        ),
        (
            v001("x", "p256.pub"),
            "envelope: expected value at line 1 column 1",
        ),
    ] {
        assert_eq!(refused("intoto", "0.0.1", &spec), message);
    }
    for (field, message) in [
        ("payload", "envelope.payload is missing or empty"),
        ("payloadType", "envelope.payloadType is missing or empty"),
        ("signatures", "envelope.signatures is missing or empty"),
    ] {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(field);
        assert_eq!(
            refused("intoto", "0.0.1", &v001(&changed.to_string(), "p256.pub")),
            message
        );
    }
    assert_eq!(
        refused("intoto", "0.0.3", &v001(&text, "p256.pub")),
        "entry of kind intoto version 0.0.3 is not accepted, expected a kind and version of Rekor"
    );
}

#[test]
fn what_lacks_a_part_of_0_0_2_is_refused() {
    let good = v002(&envelope("p256"), &["p256.pub"]);
    let without = |path: &str| {
        let mut spec = good.clone();
        let (parent, field) = path.rsplit_once('/').unwrap();
        let parent = spec.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.remove(field).unwrap();
        refused("intoto", "0.0.2", &spec)
    };
    for (path, field) in [
        ("/content", "content"),
        ("/content/hash", "content.hash"),
        ("/content/hash/algorithm", "content.hash"),
        ("/content/hash/value", "content.hash"),
        ("/content/envelope", "content.envelope"),
        ("/content/envelope/payload", "content.envelope.payload"),
        (
            "/content/envelope/payloadType",
            "content.envelope.payloadType",
        ),
        (
            "/content/envelope/signatures",
            "content.envelope.signatures",
        ),
        (
            "/content/envelope/signatures/0/sig",
            "content.envelope.signatures.sig",
        ),
        (
            "/content/envelope/signatures/0/publicKey",
            "content.envelope.signatures.publicKey",
        ),
    ] {
        assert_eq!(without(path), format!("{field} is missing or empty"));
    }
    let with = |path: &str, value: Value| {
        let mut spec = good.clone();
        *spec.pointer_mut(path).unwrap() = value;
        refused("intoto", "0.0.2", &spec)
    };
    assert_eq!(
        with("/content/hash/algorithm", json!("sha1")),
        "content.hash: algorithm is not sha256: sha1"
    );
    assert_eq!(
        with("/content/hash/value", json!("x")),
        "content.hash: value is not 64 hexadecimal digits: x"
    );
    assert_eq!(
        with("/content/envelope/payload", json!(b64([0xff, 0xfe]))),
        "content.envelope.payload: is base64 once, expected base64 of base64"
    );
    assert_eq!(
        with("/content/envelope/payload", json!(b64("{}"))),
        "content.envelope.payload is not base64: {}"
    );
    assert_eq!(
        with("/content/envelope/signatures/0/sig", json!("%")),
        "content.envelope.signatures.sig is not base64: %"
    );
}

#[test]
fn bombs_are_refused() {
    let mut spec = v002(&envelope("p256"), &["p256.pub"]);
    let signature = spec["content"]["envelope"]["signatures"][0].clone();
    spec["content"]["envelope"]["signatures"] = vec![signature; 17].into();
    assert!(
        refused("intoto", "0.0.2", &spec)
            .starts_with("spec: invalid length 17, expected a list of at most 16 elements")
    );
    let mut many: Value = serde_json::from_str(&envelope("p256")).unwrap();
    let signature = many["signatures"][0].clone();
    many["signatures"] = vec![signature; 17].into();
    assert!(
        refused("intoto", "0.0.1", &v001(&many.to_string(), "p256.pub"))
            .starts_with("envelope: invalid length 17, expected a list of at most 16 elements")
    );
    let mut spec = v002(&envelope("p256"), &["p256.pub"]);
    spec["content"]["envelope"]["signatures"][0]["sig"] = json!("A".repeat(8192));
    assert_eq!(
        refused("intoto", "0.0.2", &spec),
        "content.envelope.signatures.sig has 6144, expected at most 1368"
    );
    let mut spec = v002(&envelope("p256"), &["p256.pub"]);
    spec["content"]["envelope"]["payloadType"] = json!("a".repeat(70_000));
    assert!(refused("intoto", "0.0.2", &spec).contains("does not verify"));
}

#[test]
fn a_body_that_no_log_wrote_is_refused() {
    let text = envelope("p256");
    let change = |entry: &Value, change: &dyn Fn(&mut Value)| {
        let mut body = entry.clone();
        change(&mut body["spec"]);
        let body = serde_json_canonicalizer::to_vec(&body).unwrap();
        StoredEntry::parse(&body)
    };
    let refused =
        |entry: &Value, by: &dyn Fn(&mut Value)| change(entry, by).unwrap_err().to_string();
    let one = body(&accepted("intoto", "0.0.1", &v001(&text, "p256.pub")).0);
    assert_eq!(
        refused(&one, &|spec| spec["publicKey"] =
            json!(b64([&data("p256.pub.pem")[..], b"\n"].concat()))),
        "publicKey: is not the canonical spelling of the key"
    );
    assert_eq!(
        refused(&one, &|spec| spec["content"]["hash"]["value"] =
            json!("AB".repeat(32))),
        format!(
            "content.hash: value is not in lower case: {}",
            "AB".repeat(32)
        )
    );
    assert_eq!(
        refused(&one, &|spec| spec["content"]["envelope"] = json!("x")),
        "spec: unknown field `envelope`, expected `hash` or `payloadHash`"
    );
    // As Rekor wrote them in its first years.
    let old = change(&one, &|spec| {
        spec["content"]
            .as_object_mut()
            .unwrap()
            .remove("payloadHash");
    });
    assert_eq!(search_keys(&old.unwrap()).len(), 2);

    let two = body(&accepted("intoto", "0.0.2", &v002(&text, &["p256.pub"])).0);
    assert_eq!(
        refused(&two, &|spec| spec["content"]["envelope"]["payload"] =
            json!("x")),
        "spec: unknown field `payload`, expected `payloadType` or `signatures`"
    );
    assert_eq!(
        refused(&two, &|spec| spec["content"]["envelope"]["signatures"] =
            json!([])),
        "content.envelope.signatures is missing or empty"
    );
    assert_eq!(
        refused(&two, &|spec| spec["content"]["envelope"]["signatures"][0]
            ["keyid"] = json!("")),
        "content.envelope.signatures.keyid is missing or empty"
    );
    assert_eq!(
        refused(&two, &|spec| spec["content"]["envelope"]["signatures"][0]
            ["sig"] = json!(b64("%"))),
        "content.envelope.signatures.sig is not base64: %"
    );
    assert_eq!(
        refused(&two, &|spec| spec["content"]["payloadHash"]["value"] =
            json!("AB".repeat(32))),
        format!(
            "content.payloadHash: value is not in lower case: {}",
            "AB".repeat(32)
        )
    );
}
