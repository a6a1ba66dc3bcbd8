//! Rekor v1's proposed entry, and its refusals.

use serde_json::{Value, json};
use tegula_entries::{EntryError, Excerpt, KeyError, MAX_BODY_LEN, PemError};

use crate::support::{FORMS, KINDS, P256, base64, data, hex, upload_v1, with, without};

#[test]
fn other_kinds_and_versions_are_refused_by_name() {
    let entry = proposed();
    for (kind, version) in [
        ("hashedrekord", "0.0.2"),
        ("hashedrekord", "0.0.1 "),
        ("hashedrekord", ""),
        ("rekord", "0.0.2"),
        ("dsse", ""),
        ("Hashedrekord", "0.0.1"),
    ] {
        let expected = match kind {
            "hashedrekord" => "hashedrekord 0.0.1",
            _ => "a kind and version of Rekor",
        };
        let entry = with(&with(&entry, "/kind", kind), "/apiVersion", version);
        let error = refused(&entry);
        let (kind, version) = (Excerpt::new(kind), Excerpt::new(version));
        let text =
            format!("entry of kind {kind} version {version} is not accepted, expected {expected}");
        assert_eq!(error.to_string(), text);
        assert_eq!(
            error,
            EntryError::Kind {
                kind,
                version,
                expected
            }
        );
    }
    for entry in [
        without(&entry, "/kind"),
        without(&entry, "/apiVersion"),
        json!({}),
    ] {
        assert!(matches!(refused(&entry), EntryError::Kind { .. }));
    }
}

#[test]
fn what_is_missing_is_named() {
    for path in [
        "/spec",
        "/spec/signature",
        "/spec/signature/content",
        "/spec/signature/publicKey",
        "/spec/signature/publicKey/content",
        "/spec/data",
        "/spec/data/hash",
        "/spec/data/hash/algorithm",
        "/spec/data/hash/value",
    ] {
        let name = path[1..].replace('/', ".");
        for entry in [
            without(&proposed(), path),
            with(&proposed(), path, json!(null)),
        ] {
            let error = refused(&entry);
            assert!(matches!(error, EntryError::Missing(_)), "{error:?}");
            assert_eq!(error.to_string(), format!("{name} is missing or empty"));
        }
    }
}

#[test]
fn the_hash_is_the_one_that_the_key_signs() {
    for kind in &KINDS {
        for other in KINDS
            .iter()
            .filter(|other| other.algorithm() != kind.algorithm())
        {
            let entry = with(&kind.body_v1(FORMS[0].0), ALGORITHM, other.hash_v1);
            let entry = with(&entry, VALUE, hex(&other.artifact_digest()));
            let (found, details) = (other.algorithm(), kind.details);
            let error = refused(&entry);
            assert_eq!(error, EntryError::DigestMismatch { found, details });
            assert_eq!(
                error.to_string(),
                format!(
                    "digest is {}, {} expects {}",
                    other.hash_v1, kind.name, kind.hash_v1
                )
            );
        }
    }
    for name in ["sha1", "SHA256", "sha2-256", "SHA2_256", "", "sha256 "] {
        let error = refused(&with(&proposed(), ALGORITHM, name));
        assert_eq!(
            error.to_string(),
            format!("digest algorithm {name} is not one of sha256, sha384 and sha512")
        );
    }
    let value = hex(&P256.artifact_digest());
    for (len, value) in [(0, ""), (31, &value[2..]), (64, &value.repeat(2))] {
        let algorithm = P256.algorithm();
        let error = refused(&with(&proposed(), VALUE, value));
        assert_eq!(error, EntryError::DigestLength { algorithm, len });
    }
    for bad in [
        format!("0x{}", &value[2..]),
        format!("{value} "),
        value[1..].to_owned(),
        "é".repeat(32),
    ] {
        let error = refused(&with(&proposed(), VALUE, bad.as_str()));
        let text = Excerpt::new(&bad);
        assert_eq!(
            error.to_string(),
            format!("spec.data.hash.value is not hexadecimal: {text}")
        );
        assert_eq!(
            error,
            EntryError::Hex {
                field: "spec.data.hash.value",
                text
            }
        );
    }
}

#[test]
fn a_signature_that_does_not_verify_is_refused() {
    for kind in &KINDS {
        for (form, _) in FORMS {
            let entry = kind.body_v1(form);
            let mut digest = kind.artifact_digest();
            digest[5] ^= 4;
            let mut signature = kind.signature();
            *signature.last_mut().unwrap() ^= 4;
            for entry in [
                with(&entry, VALUE, hex(&digest)),
                with(&entry, "/spec/signature/content", base64(&signature)),
            ] {
                assert_eq!(refused(&entry), EntryError::Signature);
            }
        }
    }
}

#[test]
fn the_key_is_pem_of_one_public_key_or_certificate() {
    let (key, certificate) = (data("p256.pub.pem"), data("p256.cert.pem"));
    let text = String::from_utf8(key.clone()).unwrap();
    for (pem, error) in [
        (data("p256.pub.der"), PemError::Absent),
        (text.trim_end_matches("-\n").into(), PemError::Absent),
        (b"-----BEGIN PUBLIC KEY-----\n".to_vec(), PemError::Absent),
        (
            text.replace("\n-----END", "!\n-----END").into(),
            PemError::Contents(Excerpt::new("PUBLIC KEY")),
        ),
        // A header after the contents have begun: what came before it is not passed over.
        (
            text.replace("\n-----END", "\nA: b\n-----END").into(),
            PemError::Contents(Excerpt::new("PUBLIC KEY")),
        ),
        (
            text.replacen("\n", "\nAAAA\nA: b\n\n", 1).into(),
            PemError::Contents(Excerpt::new("PUBLIC KEY")),
        ),
        (
            data("p256.key.pem"),
            PemError::Label(Excerpt::new("PRIVATE KEY")),
        ),
        (
            data("refused/rsa-public-key.pem"),
            PemError::Label(Excerpt::new("RSA PUBLIC KEY")),
        ),
        // A chain, which Rekor v1 takes.
        (
            [certificate.clone(), certificate.clone()].concat(),
            PemError::Count(2),
        ),
        ([key, certificate.clone()].concat(), PemError::Count(2)),
        (certificate.repeat(11), PemError::Count(11)),
    ] {
        let entry = with(&proposed(), KEY, base64(&pem));
        let found = refused(&entry);
        assert_eq!(
            found,
            EntryError::Pem(error),
            "{}",
            String::from_utf8_lossy(&pem)
        );
    }
    let swapped = text.replace("PUBLIC KEY", "CERTIFICATE");
    let error = refused(&with(&proposed(), KEY, base64(swapped.as_bytes())));
    assert!(matches!(error, EntryError::Certificate(_)), "{error:?}");
    let rsa1024 = data("refused/rsa1024.pub.der");
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64(&rsa1024)
    );
    assert_eq!(
        refused(&with(&proposed(), KEY, base64(pem.as_bytes()))),
        EntryError::PublicKey(KeyError::RsaBits(1024))
    );
}

#[test]
fn a_field_twice_is_refused_although_rekor_would_take_the_last() {
    let text = proposed().to_string();
    for field in [
        "kind",
        "apiVersion",
        "spec",
        "data",
        "hash",
        "value",
        "algorithm",
        "publicKey",
    ] {
        let name = format!("\"{field}\":");
        assert_eq!(text.matches(&name).count(), 1, "{field}");
        for value in ["null", "{}", "\"\""] {
            let twice = text.replace(&name, &format!("{name}{value},{name}"));
            let error = upload_v1(twice.as_bytes()).unwrap_err();
            assert!(matches!(error, EntryError::Json(_)), "{error:?}: {twice}");
        }
    }
}

#[test]
fn an_entry_too_long_for_a_bundle_is_refused_before_its_key_is_read() {
    let entry = proposed();
    let long = base64(&vec![0x30; MAX_BODY_LEN]);
    for path in ["/spec/signature/content", KEY] {
        let error = refused(&with(&entry, path, long.as_str()));
        assert!(matches!(error, EntryError::TooLong { .. }), "{error:?}");
    }
    // Shorter parts, whose base64 is too long.
    let error = refused(&with(
        &entry,
        "/spec/signature/content",
        base64(&vec![0x30; 50_000]),
    ));
    let len = 50_000_usize.div_ceil(3) * 4 + crate::support::canonical(&entry).len()
        - base64(&P256.signature()).len();
    assert_eq!(error, EntryError::TooLong { len });
}

fn refused(entry: &Value) -> EntryError {
    upload_v1(entry.to_string().as_bytes()).unwrap_err()
}

fn proposed() -> Value {
    P256.body_v1(FORMS[0].0)
}

const ALGORITHM: &str = "/spec/data/hash/algorithm";
const VALUE: &str = "/spec/data/hash/value";
const KEY: &str = "/spec/signature/publicKey/content";
