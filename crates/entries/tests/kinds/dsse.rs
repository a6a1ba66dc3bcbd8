//! `dsse` 0.0.1, with envelopes that securesystemslib signed.

use serde_json::{Value, json};
use tegula_entries::StoredEntry;

use crate::support::{
    accepted, b64, body, data, envelope, payload, pem, propose, refused, search_keys, sha256,
};

fn spec(envelope: &str, keys: &[&str]) -> Value {
    let verifiers: Vec<String> = keys.iter().map(|key| pem(key)).collect();
    json!({"proposedContent": {"envelope": envelope, "verifiers": verifiers}})
}

fn sig(envelope: &str, at: usize) -> String {
    let envelope: Value = serde_json::from_str(envelope).unwrap();
    envelope["signatures"][at]["sig"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn an_envelope_of_each_key_is_logged() {
    for key in ["p256", "p384", "p521", "ed25519", "rsa2048"] {
        for form in ["pub", "cert"] {
            let text = envelope(key);
            let verifier = format!("{key}.{form}");
            let (entry, stored) = accepted("dsse", "0.0.1", &spec(&text, &[&verifier]));
            let (envelope_hash, payload_hash) = (sha256(text.as_bytes()), sha256(payload(&text)));
            assert_eq!(
                body(&entry),
                json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
                    "envelopeHash": {"algorithm": "sha256", "value": envelope_hash},
                    "payloadHash": {"algorithm": "sha256", "value": payload_hash},
                    "signatures": [{"signature": sig(&text, 0), "verifier": pem(&verifier)}],
                }})
            );
            assert_eq!(stored.object(), "DSSEObj");
            assert!(entry.attestation().is_none());
            assert_eq!(entry.signers(), stored.facts().signers);
            let keys = search_keys(&stored);
            assert_eq!(
                keys[0],
                format!("Key {}", sha256(data(&format!("{key}.pub.der"))))
            );
            assert_eq!(
                keys[keys.len() - 2..],
                [
                    format!("Digest sha256:{payload_hash}"),
                    format!("Digest sha256:{envelope_hash}")
                ]
            );
            if form == "cert" {
                assert!(keys.contains(&format!(
                    "Certificate {}",
                    sha256(data(&format!("{key}.cert.der")))
                )));
            } else {
                assert_eq!(keys.len(), 3);
            }
        }
    }
}

#[test]
fn signatures_are_logged_in_the_order_of_their_text() {
    let text = envelope("two");
    let keys = ["p256.pub", "ed25519.pub"];
    let (entry, stored) = accepted("dsse", "0.0.1", &spec(&text, &keys));
    let mut expected = [(sig(&text, 0), pem(keys[0])), (sig(&text, 1), pem(keys[1]))];
    expected.sort();
    let expected = expected.map(|(sig, pem)| json!({"signature": sig, "verifier": pem}));
    assert_eq!(body(&entry)["spec"]["signatures"], json!(expected));
    assert_eq!(stored.facts().signers.len(), 2);
    // In whatever order the keys come.
    let (again, _) = accepted("dsse", "0.0.1", &spec(&text, &["ed25519.pub", "p256.pub"]));
    assert_eq!(again.body(), entry.body());
}

#[test]
fn the_last_key_that_is_tried_takes_the_signature() {
    let text = envelope("two");
    // The certificate has the same key as the first verifier, and comes before the last signature is taken.
    let keys = ["p256.pub", "p256.cert", "ed25519.pub"];
    let (entry, _) = accepted("dsse", "0.0.1", &spec(&text, &keys));
    let body = body(&entry).to_string();
    assert!(body.contains(&pem("p256.cert")));
    assert!(!body.contains(&pem("p256.pub")));
    // Here all are taken before it is looked at; it is not even read.
    let mut spec = spec(&text, &["p256.pub", "ed25519.pub"]);
    let expected = accepted("dsse", "0.0.1", &spec).0;
    let verifiers = spec["proposedContent"]["verifiers"].as_array_mut().unwrap();
    verifiers.push(json!(b64("no key")));
    assert_eq!(propose("dsse", "0.0.1", &spec).unwrap(), expected);
}

#[test]
fn a_signature_that_comes_twice_is_logged_once() {
    let mut twice: Value = serde_json::from_str(&envelope("p256")).unwrap();
    let signature = twice["signatures"][0].clone();
    twice["signatures"] = json!([signature, signature]);
    let (entry, _) = accepted("dsse", "0.0.1", &spec(&twice.to_string(), &["p256.pub"]));
    assert_eq!(
        body(&entry)["spec"]["signatures"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn any_payload_is_logged() {
    let (_, stored) = accepted("dsse", "0.0.1", &spec(&envelope("text"), &["ed25519.pub"]));
    assert_eq!(stored.attested(b"no statement"), []);
}

#[test]
fn who_has_the_statement_can_search_by_what_it_is_about() {
    let attested = |name: &str| -> Vec<String> {
        let text = envelope(name);
        let (_, stored) = accepted("dsse", "0.0.1", &spec(&text, &["p256.pub"]));
        let keys = stored.attested(&payload(&text));
        keys.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        attested("p256"),
        [
            format!("Attested gitcommit:{}", "03".repeat(20)),
            format!("Attested sha256:{}", "01".repeat(32)),
            format!("Attested sha512:{}", "02".repeat(64)),
        ]
    );
    assert_eq!(
        attested("v01"),
        [
            format!("Attested sha1:{}", "05".repeat(20)),
            format!("Attested sha256:{}", "04".repeat(32)),
        ]
    );
}

#[test]
fn keys_and_signatures_that_find_none_are_refused() {
    let (one, two) = (envelope("p256"), envelope("two"));
    for (text, keys, message) in [
        (
            &one,
            &["ed25519.pub"][..],
            "proposedContent.verifiers: no signature of the envelope verifies over the payload with verifier 0",
        ),
        (
            &two,
            &["p256.pub", "rsa2048.pub", "ed25519.pub"],
            "proposedContent.verifiers: no signature of the envelope verifies over the payload with verifier 1",
        ),
        (
            &envelope("pss"),
            &["rsa2048.pub"],
            "proposedContent.verifiers: no signature of the envelope verifies over the payload with verifier 0",
        ),
        (&one, &[], "proposedContent.verifiers is missing or empty"),
    ] {
        assert_eq!(refused("dsse", "0.0.1", &spec(text, keys)), message);
    }
    assert_eq!(
        refused("dsse", "0.0.1", &spec(&two, &["p256.pub"])),
        format!(
            "envelope.signatures: no verifier takes signature {}",
            sig(&two, 1)
        )
    );
}

#[test]
fn what_was_not_signed_is_refused() {
    let good: Value = serde_json::from_str(&envelope("p256")).unwrap();
    for (field, value) in [
        ("payload", json!(b64("other"))),
        ("payload", json!("")),
        ("payloadType", json!("application/vnd.in-toto")),
        ("payloadType", json!(null)),
    ] {
        let mut changed = good.clone();
        changed[field] = value;
        assert_eq!(
            refused("dsse", "0.0.1", &spec(&changed.to_string(), &["p256.pub"])),
            "proposedContent.verifiers: no signature of the envelope verifies over the payload with verifier 0"
        );
    }
}

#[test]
fn what_is_no_envelope_is_refused() {
    let text = envelope("p256");
    let good: Value = serde_json::from_str(&text).unwrap();
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        refused("dsse", "0.0.1", &spec(&changed.to_string(), &["p256.pub"]))
    };
    assert_eq!(
        with("signatures", json!([])),
        "envelope.signatures is missing or empty"
    );
    assert_eq!(
        with("signatures", json!([{"keyid": "x"}])),
        "envelope.signatures.sig is missing or empty"
    );
    assert_eq!(
        with("signatures", json!([{"sig": "%"}])),
        "envelope.signatures.sig is not base64: %"
    );
    assert_eq!(
        with("payload", json!("%")),
        "envelope.payload is not base64: %"
    );
    assert_eq!(
        with("payload", json!(1)),
        "envelope: invalid type: integer `1`, expected a string at line 1 column 12"
    );
    assert_eq!(
        refused(
            "dsse",
            "0.0.1",
            &spec(text.get(..100).unwrap(), &["p256.pub"])
        ),
        "envelope: EOF while parsing a string at line 1 column 100"
    );
    assert_eq!(
        refused("dsse", "0.0.1", &spec("", &["p256.pub"])),
        "proposedContent.envelope is missing or empty"
    );
    assert_eq!(
        refused("dsse", "0.0.1", &json!({})),
        "proposedContent is missing or empty"
    );
    let mut key = spec(&text, &[]);
    key["proposedContent"]["verifiers"] = json!([b64("no key")]);
    assert_eq!(
        refused("dsse", "0.0.1", &key),
        "key is not PEM: no complete BEGIN and END lines"
    );
    assert_eq!(
        refused("dsse", "0.0.2", &spec(&text, &["p256.pub"])),
        "entry of kind dsse version 0.0.2 is not accepted, expected a kind and version of Rekor"
    );
    for computed in ["envelopeHash", "payloadHash", "signatures"] {
        let mut both = spec(&text, &["p256.pub"]);
        both[computed] = json!([]);
        assert_eq!(
            refused("dsse", "0.0.1", &both),
            "spec: has proposedContent and what the log computes from it, expected proposedContent alone"
        );
    }
}

#[test]
fn bombs_are_refused() {
    let mut many: Value = serde_json::from_str(&envelope("p256")).unwrap();
    let signature = many["signatures"][0].clone();
    many["signatures"] = vec![signature; 17].into();
    assert!(
        refused("dsse", "0.0.1", &spec(&many.to_string(), &["p256.pub"]))
            .starts_with("envelope: invalid length 17, expected a list of at most 16 elements")
    );
    let text = envelope("p256");
    assert!(
        refused("dsse", "0.0.1", &spec(&text, &["p256.pub"; 17]))
            .starts_with("spec: invalid length 17, expected a list of at most 16 elements")
    );
    let long = json!({"signatures": [{"sig": "A".repeat(4096)}]}).to_string();
    assert_eq!(
        refused("dsse", "0.0.1", &spec(&long, &["p256.pub"])),
        "envelope.signatures.sig has 3072, expected at most 1024"
    );
    let mut key = spec(&text, &[]);
    key["proposedContent"]["verifiers"] = json!(["A".repeat(100_000)]);
    assert_eq!(
        refused("dsse", "0.0.1", &key),
        "proposedContent.verifiers has 75000, expected at most 65536"
    );
    let deep = format!(
        r#"{{"x":{}{},"signatures":[]}}"#,
        "[".repeat(1_000_000),
        "]".repeat(1_000_000)
    );
    assert!(
        refused("dsse", "0.0.1", &spec(&deep, &["p256.pub"])).starts_with("envelope"),
        "nested"
    );
}

#[test]
fn a_body_that_no_log_wrote_is_refused() {
    let (entry, _) = accepted(
        "dsse",
        "0.0.1",
        &spec(&envelope("two"), &["p256.pub", "ed25519.pub"]),
    );
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut body = body(&entry);
        change(&mut body["spec"]);
        let body = serde_json_canonicalizer::to_vec(&body).unwrap();
        StoredEntry::parse(&body).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|spec| spec["signatures"].as_array_mut().unwrap().reverse()),
        "signatures: are not in the order of their text, each once"
    );
    assert_eq!(
        refused(&|spec| spec["signatures"] = json!([])),
        "signatures is missing or empty"
    );
    assert_eq!(
        refused(&|spec| spec["signatures"][0]["verifier"] =
            json!(b64([&data("p256.pub.pem")[..], b"\n"].concat()))),
        "verifier: is not the canonical spelling of the key"
    );
    assert_eq!(
        refused(&|spec| spec["signatures"][0]["signature"] = json!("%")),
        "signature is not base64: %"
    );
    assert_eq!(
        refused(&|spec| spec["payloadHash"]["algorithm"] = json!("sha512")),
        "payloadHash: algorithm is not sha256: sha512"
    );
    assert_eq!(
        refused(&|spec| spec["payloadHash"]["value"] = json!("ab")),
        "payloadHash: value is not 64 hexadecimal digits: ab"
    );
    assert_eq!(
        refused(&|spec| spec["envelopeHash"]["value"] = json!("AB".repeat(32))),
        format!(
            "envelopeHash: value is not in lower case: {}",
            "AB".repeat(32)
        )
    );
    assert_eq!(
        refused(&|spec| spec["proposedContent"] = json!({})),
        "spec: unknown field `proposedContent`, expected one of `envelopeHash`, `payloadHash`, `signatures`"
    );
}
