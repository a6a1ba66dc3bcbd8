//! Bodies in a second spelling.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use tegula_entries::{EntryError, Excerpt, MAX_BODY_LEN, PemError, StoredEntry};

use crate::support::{FORMS, KINDS, P256, base64, canonical, data, with, without};

#[test]
fn a_body_is_spelled_in_one_way() {
    for kind in &KINDS {
        for (form, field) in FORMS {
            let value = kind.body_v2(form);
            let body = String::from_utf8(canonical(&value)).unwrap();
            let raw_bytes = format!("{VERIFIER}/{field}/rawBytes");
            let der = kind.der(form);
            let reversed = body.replacen(
                r#"{"apiVersion":"0.0.2","kind":"hashedrekord","#,
                r#"{"kind":"hashedrekord","apiVersion":"0.0.2","#,
                1,
            );
            let mut seconds = vec![
                reversed,
                format!("{body}\n"),
                format!(" {body}"),
                body.replacen(':', ": ", 1),
                body.replacen("hashedrekord", r"\u0068ashedrekord", 1),
                canonical_text(&with(
                    &value,
                    &format!("{VERIFIER}/keyDetails"),
                    kind.details.number(),
                )),
                canonical_text(&with(&value, "/spec/note", json!(null))),
                canonical_text(&with(&value, "/note", "")),
                canonical_text(&with(&value, "/spec/signature", json!(null))),
                canonical_text(&with(&value, &raw_bytes, format!("{}\n", base64(&der)))),
            ];
            let unpadded = base64(&der);
            let unpadded = unpadded.trim_end_matches('=');
            if unpadded != base64(&der) {
                seconds.push(canonical_text(&with(&value, &raw_bytes, unpadded)));
            }
            if URL_SAFE.encode(&der) != base64(&der) {
                seconds.push(canonical_text(&with(
                    &value,
                    &raw_bytes,
                    URL_SAFE.encode(&der),
                )));
            }
            for second in seconds {
                let at = body
                    .bytes()
                    .zip(second.bytes())
                    .take_while(|(a, b)| a == b)
                    .count();
                let error = StoredEntry::parse(second.as_bytes()).unwrap_err();
                assert_eq!(error, EntryError::NotCanonical { at }, "{second}");
                assert_eq!(
                    error.to_string(),
                    format!(
                        "body is not canonical: it differs from its own canonical form at byte {at}"
                    )
                );
            }
        }
    }
}

#[test]
fn a_v1_body_holds_its_pem_in_one_spelling() {
    let value = P256.body_v1(FORMS[0].0);
    let pem = String::from_utf8(P256.pem(FORMS[0].0)).unwrap();
    for second in [
        format!("{pem}\n"),
        format!("\n{pem}"),
        pem.trim_end().to_owned(),
        pem.replace('\n', "\r\n"),
        pem.replacen('\n', "\nA: b\n\n", 1),
        pem.replacen("\nM", "\n M", 1),
    ] {
        let body = canonical(&with(&value, KEY, base64(second.as_bytes())));
        let error = StoredEntry::parse(&body).unwrap_err();
        assert!(
            matches!(error, EntryError::NotCanonical { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn what_a_body_claims_is_checked() {
    let value = P256.body_v2(FORMS[0].0);
    for (change, text) in [
        (
            with(&value, "/kind", "dsse"),
            "entry of kind dsse version 0.0.2 is not accepted, expected a kind and version of Rekor",
        ),
        (
            with(&value, "/apiVersion", "0.0.3"),
            "entry of kind hashedrekord version 0.0.3 is not accepted, expected hashedrekord 0.0.1 or 0.0.2",
        ),
        (
            with(&value, DATA_ALGORITHM, "sha256"),
            "digest algorithm sha256 is not one of SHA2_256, SHA2_384 and SHA2_512",
        ),
        (
            with(&value, DATA_ALGORITHM, "SHA2_384"),
            "digest is 32 bytes, sha384 has 48",
        ),
        (
            with(
                &value,
                &format!("{VERIFIER}/keyDetails"),
                "PKIX_ECDSA_P384_SHA_384",
            ),
            "keyDetails PKIX_ECDSA_P384_SHA_384 does not fit the key, which is PKIX_ECDSA_P256_SHA_256",
        ),
        (
            with(
                &with(&value, DATA_ALGORITHM, "SHA2_512"),
                "/spec/hashedRekordV002/data/digest",
                base64(&[1; 64]),
            ),
            "digest is sha512, PKIX_ECDSA_P256_SHA_256 expects sha256",
        ),
        (
            without(&value, "/spec"),
            "spec.hashedRekordV002 is missing or empty",
        ),
        (
            with(&value, "/apiVersion", "0.0.1"),
            "spec.signature is missing or empty",
        ),
    ] {
        let error = StoredEntry::parse(&canonical(&change)).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    // Well formed, but not the key's.
    let mut digest = P256.artifact_digest();
    digest[0] ^= 1;
    let other = with(
        &value,
        "/spec/hashedRekordV002/data/digest",
        base64(&digest),
    );
    let stored = StoredEntry::parse(&canonical(&other)).unwrap();
    assert_eq!(stored.verify(), Err(EntryError::Signature));
}

#[test]
fn what_is_no_body_is_refused() {
    for body in ["", "alpha", "null", "[]", "\"hashedrekord\"", "{}x"] {
        let error = StoredEntry::parse(body.as_bytes()).unwrap_err();
        assert!(matches!(error, EntryError::Json(_)), "{error:?}");
    }
    let error = StoredEntry::parse(b"{}").unwrap_err();
    assert!(matches!(error, EntryError::Kind { .. }));
    let long = vec![b' '; MAX_BODY_LEN + 1];
    let len = long.len();
    assert_eq!(
        StoredEntry::parse(&long).unwrap_err(),
        EntryError::TooLong { len }
    );
}

/// Rekor v1 takes chains of up to ten certificates, so its logs hold them. The first is the signer's.
#[test]
fn a_v1_body_may_hold_a_chain_of_up_to_ten_certificates() {
    let value = P256.body_v1(FORMS[1].0);
    let leaf = P256.pem(FORMS[1].0);
    let root = data("rsa2048.cert.pem");
    let body = |pem: &[u8]| canonical(&with(&value, KEY, base64(pem)));

    let chain = [&leaf[..], &root].concat();
    let ten = [&leaf[..], &root.repeat(9)].concat();
    for chain in [chain, ten] {
        let stored = StoredEntry::parse(&body(&chain)).unwrap();
        assert_eq!(
            stored.as_hashedrekord().unwrap().verifier().der(),
            P256.der(FORMS[1].0)
        );
        stored.verify().unwrap();
    }
    let key = data("p256.pub.pem");
    for (pem, error) in [
        ([&leaf[..], &root.repeat(10)].concat(), PemError::Count(11)),
        (
            [&key[..], &root].concat(),
            PemError::Label(Excerpt::new("PUBLIC KEY")),
        ),
        (
            [&leaf[..], &key].concat(),
            PemError::Label(Excerpt::new("PUBLIC KEY")),
        ),
        (
            [&leaf[..], &data("p256.key.pem")].concat(),
            PemError::Label(Excerpt::new("PRIVATE KEY")),
        ),
    ] {
        assert_eq!(
            StoredEntry::parse(&body(&pem)).unwrap_err(),
            EntryError::Pem(error)
        );
    }
    let exchanged = [&root[..], &leaf].concat();
    let stored = StoredEntry::parse(&body(&exchanged)).unwrap();
    assert_eq!(stored.verify(), Err(EntryError::Signature));
}

fn canonical_text(value: &Value) -> String {
    String::from_utf8(canonical(value)).unwrap()
}

const VERIFIER: &str = "/spec/hashedRekordV002/signature/verifier";
const DATA_ALGORITHM: &str = "/spec/hashedRekordV002/data/algorithm";
const KEY: &str = "/spec/signature/publicKey/content";
