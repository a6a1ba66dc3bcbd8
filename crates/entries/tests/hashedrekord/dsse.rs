//! A DSSE envelope, which is logged as a `hashedrekord` over its pre-authentication encoding.

use serde_json::{Value, json};
use tegula_entries::{EntryError, Options, StoredEntry, parse_request_with};

use crate::support::{FORMS, KINDS, Kind, base64, canonical, data, upload, with, without};

#[test]
fn an_envelope_with_one_signature_is_logged_over_its_pre_authentication_encoding() {
    for (kind, signature) in signers() {
        for (form, field) in FORMS {
            let request = request(kind, field, &signature);
            let entry = upload(request.to_string().as_bytes()).unwrap();
            assert_eq!((entry.kind(), entry.version()), ("hashedrekord", "0.0.2"));

            let encoding = format!("DSSEv1 {} {TYPE} {} {PAYLOAD}", TYPE.len(), PAYLOAD.len());
            let digest = base64(&(kind.digest)(encoding.as_bytes()));
            let spec = "/spec/hashedRekordV002";
            let body = with(&kind.body_v2(form), &format!("{spec}/data/digest"), digest);
            let body = with(
                &body,
                &format!("{spec}/signature/content"),
                base64(&signature),
            );
            assert_eq!(entry.body(), canonical(&body));
            StoredEntry::parse(entry.body()).unwrap().verify().unwrap();

            // The names of the signature's key, of any length, are not logged.
            for keyid in [json!(null), json!(""), json!("another")] {
                let request = with(&request, &format!("{SIGNATURE}/keyid"), keyid);
                assert_eq!(upload(request.to_string().as_bytes()).unwrap(), entry);
            }
            let request = without(&request, &format!("{SIGNATURE}/keyid"));
            assert_eq!(upload(request.to_string().as_bytes()).unwrap(), entry);
            let snake_case = request
                .to_string()
                .replace("dsseRequestV002", "dsse_request_v002")
                .replace("payloadType", "payload_type");
            assert_eq!(upload(snake_case.as_bytes()).unwrap(), entry);
        }
    }
}

#[test]
fn an_envelope_that_was_changed_is_refused() {
    for (kind, signature) in signers() {
        let request = request(kind, "publicKey", &signature);
        for changed in [
            with(
                &request,
                "/dsseRequestV002/envelope/payload",
                base64(b"another"),
            ),
            with(
                &request,
                "/dsseRequestV002/envelope/payloadType",
                "application/another",
            ),
            // One byte moves from the payload into the type: the lengths tell them apart.
            with(
                &with(
                    &request,
                    "/dsseRequestV002/envelope/payload",
                    base64(&PAYLOAD.as_bytes()[1..]),
                ),
                "/dsseRequestV002/envelope/payloadType",
                format!("{TYPE}{}", &PAYLOAD[..1]),
            ),
            // The signature over the bare artifact.
            with(
                &request,
                &format!("{SIGNATURE}/sig"),
                base64(&kind.signature()),
            ),
        ] {
            assert_eq!(
                upload(changed.to_string().as_bytes()),
                Err(EntryError::Signature)
            );
        }
    }
}

#[test]
fn an_envelope_has_one_signature_and_one_verifier() {
    let (kind, signature) = signers()[0].clone();
    let request = request(kind, "publicKey", &signature);
    let envelope = "/dsseRequestV002/envelope";
    let one = request.pointer(SIGNATURE).unwrap();
    let verifier = request.pointer("/dsseRequestV002/verifiers/0").unwrap();
    let signatures = format!("{envelope}/signatures");
    let verifiers = "/dsseRequestV002/verifiers";
    for (path, field, list) in [
        (&*signatures, "envelope.signatures", vec![]),
        (&*signatures, "envelope.signatures", vec![one.clone(); 2]),
        (&*signatures, "envelope.signatures", vec![one.clone(); 1000]),
        // Elements that are not looked at, and are too many anyhow.
        (
            &*signatures,
            "envelope.signatures",
            vec![one.clone(), json!([[]]), json!(null)],
        ),
        (verifiers, "verifiers", vec![]),
        (verifiers, "verifiers", vec![verifier.clone(); 2]),
    ] {
        let count = list.len();
        let error = refused(&with(&request, path, list));
        assert_eq!(error, EntryError::Count { field, count });
        assert_eq!(
            error.to_string(),
            format!("{field} has {count} elements, expected 1")
        );
    }
    for (path, name) in [
        (envelope, "envelope"),
        (&*signatures, "envelope.signatures"),
        (verifiers, "verifiers"),
        (&format!("{SIGNATURE}/sig"), "envelope.signatures[0].sig"),
        (&format!("{envelope}/payload"), "envelope.payload"),
        (&format!("{envelope}/payloadType"), "envelope.payloadType"),
    ] {
        for request in [without(&request, path), with(&request, path, json!(null))] {
            assert_eq!(
                refused(&request).to_string(),
                format!("{name} is missing or empty")
            );
        }
    }
    for (path, value, reason) in [
        (
            &*signatures,
            json!({}),
            "invalid type: map, expected a list",
        ),
        (
            &*signatures,
            json!([null]),
            "invalid type: null, expected an object",
        ),
        (
            verifiers,
            json!([1]),
            "invalid type: integer `1`, expected an object",
        ),
        (
            &format!("{SIGNATURE}/cert"),
            json!(""),
            "unknown field `cert`, expected `sig` or `keyid`",
        ),
        (
            &format!("{envelope}/payload_type"),
            json!(TYPE),
            "duplicate field `payloadType`",
        ),
    ] {
        let error = refused(&with(&request, path, value)).to_string();
        assert!(
            error.starts_with(&format!("request is not valid: {reason} at line 1 ")),
            "{error}"
        );
    }
}

#[test]
fn a_log_may_take_no_envelopes() {
    let (kind, signature) = signers()[0].clone();
    let request = request(kind, "publicKey", &signature).to_string();
    assert_eq!(Options::default(), Options { accept_dsse: true });
    let options = Options { accept_dsse: false };
    let error = parse_request_with(request.as_bytes(), &options).unwrap_err();
    assert_eq!(error, EntryError::InvalidType);
    let hashedrekord = kind.request(FORMS[0].0).to_string();
    assert!(parse_request_with(hashedrekord.as_bytes(), &options).is_ok());
}

fn refused(request: &Value) -> EntryError {
    upload(request.to_string().as_bytes()).unwrap_err()
}

fn request(kind: &Kind, field: &str, signature: &[u8]) -> Value {
    let (form, _) = FORMS.into_iter().find(|(_, f)| *f == field).unwrap();
    json!({"dsseRequestV002": {
        "envelope": {
            "payload": base64(PAYLOAD.as_bytes()),
            "payloadType": TYPE,
            "signatures": [{"sig": base64(signature), "keyid": "a key"}],
        },
        "verifiers": [{field: {"rawBytes": base64(&kind.der(form))}, "keyDetails": kind.name}],
    }})
}

/// The kinds whose signatures over the encoding OpenSSL can make.
fn signers() -> Vec<(&'static Kind, Vec<u8>)> {
    KINDS
        .iter()
        .filter(|kind| kind.files != "ed25519")
        .map(|kind| (kind, data(&format!("{}.dsse.sig", kind.files))))
        .collect()
}

/// As in `tests/data/make`.
const TYPE: &str = "application/vnd.in-toto+json";
const PAYLOAD: &str = r#"{"_type":"https://in-toto.io/Statement/v1"}"#;
const SIGNATURE: &str = "/dsseRequestV002/envelope/signatures/0";
