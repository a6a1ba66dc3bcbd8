//! `tuf` 0.0.1, with metadata that python-tuf made.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tegula_entries::StoredEntry;

use crate::support::{accepted, b64, body, data, refused, search_keys, sha256};

fn metadata(name: &str) -> Value {
    serde_json::from_slice(&data(&format!("tuf/{name}.json"))).unwrap()
}

fn spec(metadata: &Value, root: &Value) -> Value {
    json!({"metadata": {"content": metadata}, "root": {"content": root}})
}

fn refused_pair(metadata: &Value, root: &Value) -> String {
    refused("tuf", "0.0.1", &spec(metadata, root))
}

/// RFC 8785 of a document that has no other members.
fn canonical(document: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(document).unwrap()
}

fn fingerprint(key: &str) -> String {
    sha256(data(&format!("{key}.pub.der")))
}

#[test]
fn each_role_is_logged_as_rekor_logs_it() {
    let root = metadata("root");
    for (role, version, key) in [
        ("timestamp", 3, "ed25519"),
        ("snapshot", 5, "p256"),
        ("targets", 7, "rsa2048"),
    ] {
        let document = metadata(role);
        let (entry, stored) = accepted("tuf", "0.0.1", &spec(&document, &root));
        let (canonical, canonical_root) = (canonical(&document), canonical(&root));
        assert_eq!(
            body(&entry),
            json!({"apiVersion": "0.0.1", "kind": "tuf", "spec": {
                "metadata": {"content": b64(&canonical)},
                "root": {"content": b64(&canonical_root)},
                "spec_version": root["signed"]["spec_version"],
            }})
        );
        assert_eq!(stored.object(), "TufObj");
        assert_eq!(
            search_keys(&stored),
            [
                format!("Key {}", fingerprint(key)),
                format!("Role {role}:{version}"),
                format!("Digest sha256:{}", sha256(&canonical)),
                format!("Digest sha256:{}", sha256(&canonical_root)),
            ]
        );
        assert_eq!(entry.signers(), stored.facts().signers);
        assert!(entry.attestation().is_none());
    }
}

#[test]
fn a_person_reads_role_version_and_expiry() {
    let (_, stored) = accepted(
        "tuf",
        "0.0.1",
        &spec(&metadata("targets"), &metadata("root")),
    );
    let lines = stored.facts().lines;
    assert!(lines[0].1.starts_with("RSA-PSS with SHA-256 "));
    assert_eq!(lines[1], ("Role", "targets".to_owned()));
    assert_eq!(lines[2], ("Version", "7".to_owned()));
    // Long ago: the log says what was signed.
    assert_eq!(
        lines[3],
        ("Expires, not checked", "2020-01-01T00:00:00Z".to_owned())
    );
}

#[test]
fn a_root_is_signed_by_itself_and_by_the_root_before() {
    let (root, next) = (metadata("root"), metadata("root-2"));
    for (document, keys) in [
        (&root, &["p256", "ed25519"][..]),
        (&next, &["p256", "ed25519", "rsa2048"]),
    ] {
        let (_, stored) = accepted("tuf", "0.0.1", &spec(document, &root));
        let found = search_keys(&stored);
        let keys: Vec<String> = keys
            .iter()
            .map(|key| format!("Key {}", fingerprint(key)))
            .collect();
        assert_eq!(found[..keys.len()], keys);
    }
}

#[test]
fn spelling_does_not_matter() {
    let (document, root) = (metadata("targets"), metadata("root"));
    let (entry, _) = accepted("tuf", "0.0.1", &spec(&document, &root));
    let pretty = |document| b64(serde_json::to_string_pretty(document).unwrap());
    for (document, root) in [
        (json!(b64(document.to_string())), root.clone()),
        (
            json!(b64(canonical(&document))),
            json!(b64(canonical(&root))),
        ),
        (json!(pretty(&document)), json!(pretty(&root))),
    ] {
        let (again, _) = accepted("tuf", "0.0.1", &spec(&document, &root));
        assert_eq!(again, entry);
    }
    // Signatures in upper case, and members that are none of the document's.
    let mut other = document;
    let sig = &mut other["signatures"][0]["sig"];
    *sig = sig.as_str().unwrap().to_uppercase().into();
    other["signatures"][0]["method"] = json!("x");
    other["comment"] = json!(1.5);
    let (again, _) = accepted("tuf", "0.0.1", &spec(&other, &root));
    assert_eq!(again, entry);
}

#[test]
fn keys_and_signatures_of_others_do_not_count() {
    let odd = metadata("root-odd");
    let (entry, stored) = accepted("tuf", "0.0.1", &spec(&odd, &odd));
    let signers: Vec<_> = entry
        .signers()
        .iter()
        .map(|key| key.fingerprint())
        .collect();
    let expected = ["p384", "p256"].map(|key| Sha256::digest(data(&format!("{key}.pub.der"))));
    assert_eq!(signers, expected.map(<[u8; 32]>::from));
    assert_eq!(stored.facts().signers, entry.signers());
}

#[test]
fn keys_are_read_as_go_tuf_wrote_them() {
    let go = metadata("root-go");
    let (entry, _) = accepted("tuf", "0.0.1", &spec(&go, &go));
    let signers: Vec<_> = entry
        .signers()
        .iter()
        .map(|key| key.fingerprint())
        .collect();
    let expected = ["p256", "rsa2048"].map(|key| Sha256::digest(data(&format!("{key}.pub.der"))));
    assert_eq!(signers, expected.map(<[u8; 32]>::from));
}

#[test]
fn too_few_signatures_are_refused() {
    let root = metadata("root");
    let one = metadata("root-one-signature");
    assert_eq!(
        refused_pair(&metadata("timestamp"), &one),
        "root.content: is signed by 1 of the keys of role root, expected 2 as the root says"
    );
    assert_eq!(
        refused_pair(&one, &root),
        "metadata.content: is signed by 1 of the keys of role root, expected 2 as the root says"
    );
    let twice = metadata("root-same-key-twice");
    assert_eq!(
        refused_pair(&twice, &twice),
        "root.content: is signed by 1 of the keys of role root, expected 2 as the root says"
    );
    // A good signature, by a key of another role.
    let mut snapshot = metadata("snapshot");
    snapshot["signatures"] = metadata("timestamp")["signatures"].clone();
    assert_eq!(
        refused_pair(&snapshot, &root),
        "metadata.content: is signed by 0 of the keys of role snapshot, expected 1 as the root says"
    );
    snapshot["signatures"] = json!([]);
    assert_eq!(
        refused_pair(&snapshot, &root),
        "metadata.content: is signed by 0 of the keys of role snapshot, expected 1 as the root says"
    );
}

#[test]
fn what_was_not_signed_is_refused() {
    let root = metadata("root");
    for role in ["timestamp", "snapshot", "targets"] {
        let mut changed = metadata(role);
        changed["signed"]["version"] = json!(99);
        let key = &changed["signatures"][0]["keyid"].as_str().unwrap();
        assert_eq!(
            refused_pair(&changed, &root),
            format!(
                "metadata.content: signature does not verify over signed with the root's key {key}"
            )
        );
    }
    let mut changed = root.clone();
    changed["signed"]["roles"]["root"]["threshold"] = json!(1);
    let key = root["signatures"][0]["keyid"].as_str().unwrap();
    assert_eq!(
        refused_pair(&metadata("timestamp"), &changed),
        format!("root.content: signature does not verify over signed with the root's key {key}")
    );
    // A signature of another document under the right key id, beside one that is enough.
    let mut next = metadata("root-2");
    next["signatures"][0]["sig"] = root["signatures"][0]["sig"].clone();
    let key = next["signatures"][0]["keyid"].as_str().unwrap();
    assert_eq!(
        refused_pair(&next, &root),
        format!(
            "metadata.content: signature does not verify over signed with the root's key {key}"
        )
    );
}

#[test]
fn what_is_no_metadata_is_refused() {
    let (root, timestamp) = (metadata("root"), metadata("timestamp"));
    assert_eq!(
        refused_pair(&timestamp, &timestamp),
        "root.content: _type timestamp is not root"
    );
    for (spec, message) in [
        (json!({}), "root.content is missing or empty"),
        (json!({"root": {}}), "root.content is missing or empty"),
        (
            json!({"root": {"content": root}, "metadata": {"content": null}}),
            "metadata.content is missing or empty",
        ),
        (
            spec(&json!(""), &root),
            "metadata.content is missing or empty",
        ),
        (
            spec(&json!("%"), &root),
            "metadata.content is not base64: %",
        ),
        (
            spec(&json!(b64([0xff])), &root),
            "metadata.content: is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0",
        ),
        (
            spec(&json!(b64("{\"signed\"")), &root),
            "metadata.content: EOF while parsing an object at line 1 column 9",
        ),
        (
            spec(&json!({"signatures": []}), &root),
            "metadata.content: missing field `signed` at line 1 column 17",
        ),
    ] {
        assert_eq!(refused("tuf", "0.0.1", &spec), message);
    }
    let mut changed = timestamp.clone();
    changed["signed"]["_type"] = json!("mirrors");
    assert_eq!(
        refused_pair(&changed, &root),
        "metadata.content: _type is not one of root, targets, snapshot and timestamp: mirrors"
    );
    let mut changed = timestamp.clone();
    changed["signed"]["version"] = json!("3");
    assert!(refused_pair(&changed, &root).starts_with(
        "metadata.content: signed invalid type: string \"3\", expected u64 at line 1"
    ));
    let mut changed = timestamp.clone();
    changed["signatures"][0]["sig"] = json!("xx");
    assert_eq!(
        refused_pair(&changed, &root),
        "metadata.content: sig is not hexadecimal: xx"
    );
    let mut changed = timestamp.clone();
    changed["signed"]["x"] = json!(1.5);
    assert_eq!(
        refused_pair(&changed, &root),
        "metadata.content: number is not a whole one between -9007199254740991 and 9007199254740991: 1.5"
    );
    assert_eq!(
        refused("tuf", "0.0.2", &spec(&timestamp, &root)),
        "entry of kind tuf version 0.0.2 is not accepted, expected a kind and version of Rekor"
    );
}

#[test]
fn bombs_are_refused_before_they_are_built() {
    let root = metadata("root");
    let content = |text: String| spec(&json!(b64(text)), &root);
    let refused = |text: String| refused("tuf", "0.0.1", &content(text));
    assert_eq!(
        refused(format!("{{{}}}", " ".repeat(256 << 10))),
        "metadata.content has 262146, expected at most 262144"
    );
    assert_eq!(
        refused(" ".repeat(2 << 20)),
        "metadata.content has 2097153, expected at most 1048576"
    );
    let nested = |levels| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"signatures":[],"signed":{{"a":{open}{close}}}}}"#)
    };
    assert!(refused(nested(31)).contains("missing field `_type`"));
    for levels in [32, 100_000] {
        assert!(
            refused(nested(levels))
                .starts_with("metadata.content: is nested deeper than 32 levels")
        );
    }
    let many: Vec<String> = (0..5000).map(|n| format!(r#""{n}":0"#)).collect();
    assert!(
        refused(format!(
            r#"{{"signatures":[],"signed":{{{}}}}}"#,
            many.join(",")
        ))
        .starts_with("metadata.content: object has more than 4096 members")
    );
    let mut timestamp = metadata("timestamp");
    let signature = timestamp["signatures"][0].clone();
    timestamp["signatures"] = vec![signature; 65].into();
    assert!(
        crate::support::refused("tuf", "0.0.1", &spec(&timestamp, &root)).starts_with(
            "metadata.content: invalid length 65, expected a list of at most 64 elements"
        )
    );
}

#[test]
fn a_body_that_no_log_wrote_is_refused() {
    let (document, root) = (metadata("timestamp"), metadata("root"));
    let (entry, _) = accepted("tuf", "0.0.1", &spec(&document, &root));
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut body = body(&entry);
        change(&mut body["spec"]);
        let body = canonical(&body);
        StoredEntry::parse(&body).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|spec| spec["spec_version"] = json!("1.0.0")),
        "spec_version: is not that of the root"
    );
    assert_eq!(
        refused(&|spec| spec["more"] = json!(1)),
        "spec: unknown field `more`, expected one of `metadata`, `root`, `spec_version`"
    );
    assert_eq!(
        refused(&|spec| spec["metadata"]["content"] =
            json!(b64(serde_json::to_string_pretty(&document).unwrap()))),
        "metadata.content: is not base64 of canonical JSON"
    );
    assert_eq!(
        refused(&|spec| spec["metadata"]["content"] =
            json!(b64(canonical(&metadata("root-one-signature"))))),
        "metadata.content: is signed by 1 of the keys of role root, expected 2 as the root says"
    );
}
