//! `helm`: provenance files as `helm package --sign` makes them (`tests/data/helm/make`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tegula_entries::{EntryError, PublicKey, StoredEntry};

use crate::support::{accepted, b64, body, data, hex, refused, search_keys, sha256};

fn spec(key: &[u8], provenance: &[u8]) -> Value {
    json!({
        "publicKey": {"content": b64(key)},
        "chart": {"provenance": {"content": b64(provenance)}},
    })
}

fn good() -> Value {
    spec(
        &data("helm/helm.asc"),
        &data("helm/testchart-0.1.0.tgz.prov"),
    )
}

fn decoded(value: &Value) -> String {
    String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
}

#[test]
fn a_chart_is_logged_by_its_digest_with_signature_and_key() {
    let (entry, stored) = accepted("helm", "0.0.1", &good());
    let body = body(&entry);
    let digest = sha256(data("helm/testchart-0.1.0.tgz"));
    let spec = &body["spec"];
    assert_eq!(
        spec["chart"]["hash"],
        json!({"algorithm": "sha256", "value": digest})
    );
    // The signature without the text, in armor without headers.
    let signature = decoded(&spec["chart"]["provenance"]["signature"]["content"]);
    let lines: Vec<_> = signature.lines().collect();
    assert_eq!(lines[..2], ["-----BEGIN PGP SIGNATURE-----", ""]);
    assert_eq!(*lines.last().unwrap(), "-----END PGP SIGNATURE-----");
    assert!(!signature.ends_with('\n'));
    let provenance = String::from_utf8(data("helm/testchart-0.1.0.tgz.prov")).unwrap();
    assert!(provenance.contains(&lines[2..lines.len() - 1].join("\n")));
    let key = decoded(&spec["publicKey"]["content"]);
    assert!(key.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"));
    assert!(key.ends_with("\n-----END PGP PUBLIC KEY BLOCK-----"));
    // And nothing else.
    assert_eq!(
        body,
        json!({
            "apiVersion": "0.0.1",
            "kind": "helm",
            "spec": {
                "chart": {
                    "hash": {"algorithm": "sha256", "value": digest},
                    "provenance": {"signature": {"content": b64(&signature)}},
                },
                "publicKey": {"content": b64(&key)},
            },
        })
    );
    let signer = &entry.signers()[0];
    assert_eq!(signer.identities, ["helm@example.com"]);
    assert!(PublicKey::from_spki_der(&signer.fingerprinted).is_ok());
    assert_eq!(stored.object(), "HelmObj");
    assert_eq!(
        search_keys(&stored),
        [
            format!("Key {}", hex(signer.fingerprint())),
            "IdentityPrefix example.com".to_owned(),
            "Identity helm@example.com".to_owned(),
            format!("Digest sha256:{digest}"),
        ]
    );
    let facts = stored.facts();
    assert_eq!(facts.signers, entry.signers());
    assert_eq!(
        facts.lines.last().unwrap(),
        &("Chart", format!("sha256:{digest}"))
    );
}

#[test]
fn what_is_not_good_is_refused() {
    let key = data("helm/helm.asc");
    let text = String::from_utf8(data("helm/testchart-0.1.0.tgz.prov")).unwrap();
    let refused = |key: &[u8], provenance: &[u8]| refused("helm", "0.0.1", &spec(key, provenance));
    let not_signed = "the OpenPGP signature does not verify over the content with the given key";
    assert_eq!(
        refused(&data("helm/other.asc"), text.as_bytes()),
        not_signed
    );
    assert_eq!(refused(&key, &data("helm/other.prov")), not_signed);
    let changed = text.replace("version: 0.1.0", "version: 0.1.1");
    assert_eq!(refused(&key, changed.as_bytes()), not_signed);
    let (truncated, _) = text.split_once("-----BEGIN PGP SIGNATURE").unwrap();
    assert_eq!(
        refused(&key, truncated.as_bytes()),
        "chart.provenance.content: ends before its signature"
    );
    let (truncated, _) = text.split_once("-----END PGP SIGNATURE").unwrap();
    assert_eq!(
        refused(&key, truncated.as_bytes()),
        "chart.provenance.content: is not OpenPGP armor, or it is truncated"
    );
    assert_eq!(
        refused(&key, &data("helm/testchart-0.1.0.tgz")),
        "chart.provenance.content: is not UTF-8: invalid utf-8 sequence of 1 bytes from index 1"
    );
    assert_eq!(
        refused(&key, b"name: testchart\n"),
        "chart.provenance.content: is not a message that OpenPGP signed in the clear"
    );
    assert_eq!(
        refused(&data("p256.pub.pem"), text.as_bytes()),
        "public key: is not an OpenPGP key"
    );
    assert_eq!(
        refused(&key, &data("helm/sha512.prov")),
        "chart.hash: algorithm is not sha256: sha512"
    );
    assert_eq!(
        refused(&key, &data("helm/nodots.prov")),
        "chart.provenance.content: has no line of three dots before its files"
    );
    assert_eq!(
        refused(&key, &data("helm/nofiles.prov")),
        "chart.provenance.content: lists no file below files:"
    );
    assert_eq!(
        refused(&key, &vec![b'a'; (1 << 20) + 4]),
        "chart.provenance.content has 1048581, expected at most 1048576"
    );
    let large = text.replace(
        "-----END PGP SIGNATURE",
        &format!("{}-----END PGP SIGNATURE", "A".repeat(64 << 10)),
    );
    assert!(refused(&key, large.as_bytes()).starts_with("signature has "));
}

#[test]
fn fields_that_are_missing_and_versions_that_are_not_known_are_refused() {
    for (spec, expected) in [
        (json!({}), "publicKey.content is missing or empty"),
        (
            json!({"publicKey": {"content": b64(data("helm/helm.asc"))}}),
            "chart.provenance.content is missing or empty",
        ),
    ] {
        assert_eq!(refused("helm", "0.0.1", &spec), expected);
    }
    assert_eq!(
        refused("helm", "0.0.2", &good()),
        "entry of kind helm version 0.0.2 is not accepted, expected a kind and version of Rekor"
    );
    // Fields that are not known are passed over.
    let mut more = good();
    more["chart"]["url"] = json!("https://example.com");
    accepted("helm", "0.0.1", &more);
}

#[test]
fn a_body_that_no_log_wrote_is_refused() {
    let (entry, _) = accepted("helm", "0.0.1", &good());
    let read = |change: &dyn Fn(&mut Value)| {
        let mut body = body(&entry);
        change(&mut body["spec"]);
        // No object here has names that RFC 8785 would order otherwise.
        StoredEntry::parse(body.to_string().as_bytes())
            .map_err(|error: EntryError| error.to_string())
    };
    read(&|_| {}).unwrap();
    let error = |change: &dyn Fn(&mut Value)| read(change).unwrap_err();
    assert_eq!(
        error(&|spec| spec["publicKey"]["content"] = json!(b64(data("helm/helm.asc")))),
        "publicKey.content: is a key that is not spelled as the log spells it"
    );
    let content = &|spec: &mut Value| {
        let signature = &mut spec["chart"]["provenance"]["signature"]["content"];
        *signature = json!(b64(format!("{}\n", decoded(signature))));
    };
    assert_eq!(
        error(content),
        "chart.provenance.signature.content: is a signature that is not spelled as the log spells it"
    );
    assert_eq!(
        error(&|spec| spec["chart"]["hash"]["value"] = json!("abcd")),
        "chart.hash: value is not 64 hexadecimal digits: abcd"
    );
    assert!(error(&|spec| spec["more"] = json!(1)).starts_with("spec: unknown field `more`"));
    assert!(error(&|spec| spec["chart"] = json!({})).starts_with("spec: missing field `hash`"));
}
