//! Each key, as key and certificate, in each version: verified, logged and read back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tegula_entries::{
    Digest, Ed25519Form, EntryError, StoredEntry, Verifier, VerifierForm, ed25519_form,
    hashedrekord_proposed_v1, hashedrekord_request, parse_proposed_v1, parse_request,
};

use crate::support::{
    FORMS, KINDS, P256, base64, canonical, data, upload, upload_v1, with, without,
};

#[test]
fn each_is_logged_in_the_canonical_form_of_rekor_v2() {
    for kind in &KINDS {
        for (form, field) in FORMS {
            let request = kind.request(form).to_string();
            let proposed = parse_request(request.as_bytes()).unwrap();
            assert_eq!(
                (proposed.kind(), proposed.version()),
                ("hashedrekord", "0.0.2")
            );
            assert_eq!(
                proposed.as_hashedrekord().unwrap().digest().as_bytes(),
                kind.artifact_digest()
            );
            assert_eq!(
                proposed.as_hashedrekord().unwrap().digest().algorithm(),
                kind.algorithm()
            );
            assert_eq!(
                proposed.as_hashedrekord().unwrap().signature(),
                kind.signature()
            );
            assert_eq!(proposed.as_hashedrekord().unwrap().verifier().form(), form);
            assert_eq!(
                proposed.as_hashedrekord().unwrap().verifier().der(),
                kind.der(form)
            );
            assert_eq!(
                proposed.as_hashedrekord().unwrap().verifier().key_details(),
                kind.details
            );
            let spki = kind.der(VerifierForm::PublicKey);
            assert_eq!(
                proposed
                    .as_hashedrekord()
                    .unwrap()
                    .verifier()
                    .public_key()
                    .spki_der(),
                spki
            );

            let entry = proposed.verify().unwrap();
            assert_eq!((entry.kind(), entry.version()), ("hashedrekord", "0.0.2"));
            let expected = canonical(&kind.body_v2(form));
            assert_eq!(entry.body(), expected, "{} as {field}", kind.files);

            let stored = StoredEntry::parse(entry.body()).unwrap();
            assert_eq!((stored.kind(), stored.version()), ("hashedrekord", "0.0.2"));
            assert_eq!(
                stored.as_hashedrekord().unwrap().digest(),
                proposed.as_hashedrekord().unwrap().digest()
            );
            assert_eq!(
                stored.as_hashedrekord().unwrap().digest().algorithm(),
                kind.algorithm()
            );
            assert_eq!(
                stored.as_hashedrekord().unwrap().signature(),
                kind.signature()
            );
            assert_eq!(
                stored.as_hashedrekord().unwrap().verifier(),
                proposed.as_hashedrekord().unwrap().verifier()
            );
            assert_eq!(
                stored.as_hashedrekord().unwrap().verifier().key_details(),
                kind.details
            );
            stored.verify().unwrap();
        }
    }
}

#[test]
fn each_is_logged_in_the_canonical_form_of_rekor_v1() {
    for kind in &KINDS {
        for (form, field) in FORMS {
            let proposed = parse_proposed_v1(kind.body_v1(form).to_string().as_bytes()).unwrap();
            assert_eq!(
                (proposed.kind(), proposed.version()),
                ("hashedrekord", "0.0.1")
            );
            assert_eq!(
                proposed.as_hashedrekord().unwrap().verifier().der(),
                kind.der(form)
            );

            let entry = proposed.verify().unwrap();
            let expected = canonical(&kind.body_v1(form));
            assert_eq!(entry.body(), expected, "{} as {field}", kind.files);

            let stored = StoredEntry::parse(entry.body()).unwrap();
            assert_eq!((stored.kind(), stored.version()), ("hashedrekord", "0.0.1"));
            assert_eq!(
                stored.as_hashedrekord().unwrap().digest(),
                proposed.as_hashedrekord().unwrap().digest()
            );
            assert_eq!(
                stored.as_hashedrekord().unwrap().signature(),
                kind.signature()
            );
            assert_eq!(
                stored.as_hashedrekord().unwrap().verifier(),
                proposed.as_hashedrekord().unwrap().verifier()
            );
            assert_eq!(
                stored.as_hashedrekord().unwrap().verifier().key_details(),
                kind.details
            );
            stored.verify().unwrap();
        }
    }
}

#[test]
fn what_a_client_sends_becomes_the_same_body() {
    for kind in &KINDS {
        for (form, _) in FORMS {
            let verifier = Verifier::from_pem_or_der(&kind.pem(form)).unwrap();
            assert_eq!(
                Verifier::from_pem_or_der(&kind.der(form)),
                Ok(verifier.clone())
            );
            assert_eq!(verifier.to_pem().into_bytes(), kind.pem(form));

            let digest = Digest::new(kind.algorithm(), kind.artifact_digest()).unwrap();
            let request = hashedrekord_request(&digest, &kind.signature(), &verifier).unwrap();
            assert_eq!(request.as_bytes(), canonical(&kind.request(form)));
            let proposed = hashedrekord_proposed_v1(&digest, &kind.signature(), &verifier).unwrap();
            assert_eq!(proposed.as_bytes(), canonical(&kind.body_v1(form)));

            let mut wrong = kind.signature();
            wrong[20] ^= 1;
            for refused in [
                hashedrekord_request(&digest, &wrong, &verifier),
                hashedrekord_proposed_v1(&digest, &wrong, &verifier),
            ] {
                assert_eq!(refused, Err(EntryError::Signature));
            }
        }
    }
}

/// protojson's second spellings: they ask for the same entry.
#[test]
fn a_request_may_be_spelled_as_protojson_allows() {
    for kind in &KINDS {
        for (form, field) in FORMS {
            let first = kind.request(form);
            let body = canonical(&kind.body_v2(form));
            let signature = "/hashedRekordRequestV002/signature";
            let raw_bytes = format!("{signature}/verifier/{field}/rawBytes");

            let number = with(
                &first,
                &format!("{signature}/verifier/keyDetails"),
                kind.details.number(),
            );
            let mut url_safe = with(
                &first,
                "/hashedRekordRequestV002/digest",
                URL_SAFE_NO_PAD.encode(kind.artifact_digest()),
            );
            url_safe = with(
                &url_safe,
                &format!("{signature}/content"),
                URL_SAFE_NO_PAD.encode(kind.signature()),
            );
            url_safe = with(
                &url_safe,
                &raw_bytes,
                URL_SAFE_NO_PAD.encode(kind.der(form)),
            );
            let unpadded = with(
                &first,
                &raw_bytes,
                base64(&kind.der(form)).trim_end_matches('='),
            );
            let lines = with(&first, &raw_bytes, {
                let text = base64(&kind.der(form));
                let (a, b) = text.split_at(21);
                format!("{a}\r\n{b}\n")
            });
            let nulls = {
                let (_, other) = FORMS
                    .into_iter()
                    .find(|(_, other)| *other != field)
                    .unwrap();
                let nulls = with(
                    &first,
                    &format!("{signature}/verifier/{other}"),
                    json!(null),
                );
                with(&nulls, "/dsseRequestV002", json!(null))
            };
            let snake_case = first
                .to_string()
                .replace("hashedRekordRequestV002", "hashed_rekord_request_v002")
                .replace("publicKey", "public_key")
                .replace("x509Certificate", "x509_certificate")
                .replace("keyDetails", "key_details")
                .replace("rawBytes", "raw_bytes");
            let escaped = first
                .to_string()
                .replace("digest", r"d\u0069gest")
                .replace('A', r"\u0041");
            let spaced = serde_json::to_string_pretty(&first).unwrap() + "\r\n\t ";
            for request in [
                number.to_string(),
                url_safe.to_string(),
                unpadded.to_string(),
                lines.to_string(),
                nulls.to_string(),
                snake_case,
                escaped,
                spaced,
            ] {
                let entry = upload(request.as_bytes()).unwrap_or_else(|e| panic!("{e}: {request}"));
                assert_eq!(entry.body(), body, "{request}");
            }
        }
    }
}

/// Rekor v1 reads PEM as Go does, and logs it in one form.
#[test]
fn a_proposed_entry_may_hold_its_pem_in_other_words() {
    for kind in &KINDS {
        for (form, _) in FORMS {
            let first = kind.body_v1(form);
            let pem = String::from_utf8(kind.pem(form)).unwrap();
            let (begin, rest) = pem.split_once('\n').unwrap();
            let contents = rest.split_once("-----END").unwrap().0.replace('\n', "");
            let end = pem.trim_end().rsplit_once('\n').unwrap().1;
            for pem in [
                format!("\n  \n{pem}\n\n"),
                pem.replace('\n', "\r\n"),
                pem.trim_end().to_owned(),
                format!("{begin}\n{contents}\n{end}\n"),
                format!("{begin}\nA: b\nC: d\n\n{rest}"),
            ] {
                let content = base64(pem.as_bytes());
                let proposed = with(&first, "/spec/signature/publicKey/content", content);
                let entry = upload_v1(proposed.to_string().as_bytes())
                    .unwrap_or_else(|e| panic!("{e}: {pem}"));
                assert_eq!(entry.body(), canonical(&first), "{pem}");
            }
        }
    }
}

#[test]
fn a_proposed_entry_may_have_fields_that_are_not_looked_at() {
    let (form, _) = FORMS[0];
    let first = P256.body_v1(form);
    let mut more = with(&first, "/spec/data/url", "https://log.example/artifact");
    for (path, value) in [
        ("/note", json!({"a": [1, {"b": null}]})),
        ("/spec/note", json!("\u{0}")),
        ("/spec/signature/format", json!("x509")),
        ("/spec/signature/publicKey/url", json!(1e300)),
        ("/spec/data/hash/note", json!([])),
    ] {
        more = with(&more, path, value);
    }
    assert_eq!(
        upload_v1(more.to_string().as_bytes()).unwrap().body(),
        canonical(&first)
    );
    let no_value = without(&first, "/spec/data/hash/value");
    assert_eq!(
        upload_v1(no_value.to_string().as_bytes()),
        Err(EntryError::Missing("spec.data.hash.value"))
    );
}

/// Rekor v1 logs the hexadecimal as it was given.
#[test]
fn upper_case_hexadecimal_stays_upper_case_in_a_v1_body() {
    for kind in &KINDS {
        let (form, _) = FORMS[0];
        let first = kind.body_v1(form);
        let value = first
            .pointer("/spec/data/hash/value")
            .unwrap()
            .as_str()
            .unwrap();
        let upper = with(&first, "/spec/data/hash/value", value.to_uppercase());
        let entry = upload_v1(upper.to_string().as_bytes()).unwrap();
        assert_eq!(entry.body(), canonical(&upper));
        assert_ne!(entry.body(), canonical(&first));
        let stored = StoredEntry::parse(entry.body()).unwrap();
        assert_eq!(
            stored.as_hashedrekord().unwrap().digest().as_bytes(),
            kind.artifact_digest()
        );
        stored.verify().unwrap();
    }
}

#[test]
fn a_pure_ed25519_signature_is_told_from_a_prehashed_one() {
    let verifier = |name: &str| Verifier::from_pem_or_der(&data(name)).unwrap();
    let (key, other) = (verifier("ed25519.pub.pem"), verifier("p256.pub.pem"));
    let (prehashed, pure) = (data("ed25519.sig"), data("ed25519-pure.sig"));
    assert_eq!(
        ed25519_form(&key, b"abc", &prehashed),
        Some(Ed25519Form::Prehashed)
    );
    assert_eq!(ed25519_form(&key, b"abc", &pure), Some(Ed25519Form::Pure));
    assert_eq!(ed25519_form(&key, b"abd", &pure), None);
    assert_eq!(ed25519_form(&key, b"abc", &pure[1..]), None);
    assert_eq!(ed25519_form(&other, b"abc", &data("p256.sig")), None);

    let (form, _) = FORMS[0];
    let kind = &KINDS[6];
    let request = with(
        &kind.request(form),
        "/hashedRekordRequestV002/signature/content",
        base64(&pure),
    );
    assert_eq!(
        upload(request.to_string().as_bytes()),
        Err(EntryError::Signature)
    );
}
