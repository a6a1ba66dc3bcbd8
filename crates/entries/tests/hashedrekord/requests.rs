//! Rekor v2's request, and its refusals.

use serde_json::{Value, json};
use tegula_entries::{EntryError, Excerpt, KeyDetails, MAX_BODY_LEN, parse_request};

use crate::support::{FORMS, KINDS, P256, base64, canonical, upload, with, without};

#[test]
fn a_key_under_the_name_of_another_is_refused_for_every_pair() {
    for kind in &KINDS {
        for stated in KINDS.iter().filter(|stated| stated.files != kind.files) {
            for (form, _) in FORMS {
                for name in [json!(stated.name), json!(stated.details.number())] {
                    let request = with(&kind.request(form), DETAILS, name);
                    let digest = base64(&stated.artifact_digest());
                    let request = with(&request, DIGEST, digest).to_string();
                    let error = parse_request(request.as_bytes()).unwrap_err();
                    let (stated, actual) = (stated.details, kind.details);
                    assert_eq!(error, EntryError::KeyDetailsMismatch { stated, actual });
                    let text =
                        format!("keyDetails {stated} does not fit the key, which is {actual}");
                    assert_eq!(error.to_string(), text);
                }
            }
        }
    }
}

#[test]
fn key_details_of_other_algorithms_are_refused_by_name_and_number() {
    let request = P256.request(FORMS[0].0);
    let others = [
        ("PKCS1_RSA_PKCS1V5", 1),
        ("PKCS1_RSA_PSS", 2),
        ("PKIX_RSA_PKCS1V5", 3),
        ("PKIX_RSA_PSS", 4),
        ("PKIX_ECDSA_P256_HMAC_SHA_256", 6),
        ("PKIX_ED25519", 7),
        ("LMS_SHA256", 14),
        ("LMOTS_SHA256", 15),
        ("PKIX_RSA_PSS_2048_SHA256", 16),
        ("PKIX_ECDSA_P384_SHA_256", 19),
        ("PKIX_ECDSA_P521_SHA_256", 20),
        ("pkix_ecdsa_p256_sha_256", -1),
        ("PKIX_ECDSA_P256_SHA_256 ", 21),
        ("5", i64::MAX),
        ("PUBLIC_KEY_DETAILS_UNSPECIFIED", i64::MIN),
    ];
    for (name, number) in others {
        for (value, text) in [
            (json!(name), name.to_owned()),
            (json!(number), number.to_string()),
        ] {
            let error = refused(&with(&request, DETAILS, value));
            assert_eq!(error, EntryError::UnknownKeyDetails(Excerpt::new(&text)));
            assert_eq!(
                error.to_string(),
                format!(
                    "keyDetails {text} is not one of PKIX_RSA_PKCS1V15_2048_SHA256, PKIX_RSA_PKCS1V15_3072_SHA256, \
                     PKIX_RSA_PKCS1V15_4096_SHA256, PKIX_ECDSA_P256_SHA_256, PKIX_ECDSA_P384_SHA_384, \
                     PKIX_ECDSA_P521_SHA_512 and PKIX_ED25519_PH"
                )
            );
        }
    }
    for unset in [json!(0), json!(null)] {
        let error = refused(&with(&request, DETAILS, unset));
        assert_eq!(error, EntryError::Missing("verifier.keyDetails"));
    }
    for kind in &KINDS {
        assert_eq!(kind.name.parse(), Ok(kind.details));
        assert_eq!(kind.details.to_string(), kind.name);
        assert_eq!(
            KeyDetails::from_number(kind.details.number()),
            Some(kind.details)
        );
    }
}

#[test]
fn a_signature_of_another_key_or_over_another_digest_is_refused_when_it_is_verified() {
    for kind in &KINDS {
        for (form, _) in FORMS {
            let first = kind.request(form);
            let mut signature = kind.signature();
            signature[20] ^= 1;
            let mut digest = kind.artifact_digest();
            digest[0] ^= 0x80;
            for request in [
                with(&first, CONTENT, base64(&signature)),
                with(&first, DIGEST, base64(&digest)),
                with(&first, CONTENT, base64(b"x")),
            ] {
                let proposed = parse_request(request.to_string().as_bytes()).unwrap();
                let error = proposed.verify().unwrap_err();
                assert_eq!(error, EntryError::Signature);
                assert_eq!(
                    error.to_string(),
                    "signature does not verify over the digest with the given key"
                );
            }
        }
    }
}

#[test]
fn a_digest_has_the_length_that_the_key_implies() {
    for kind in &KINDS {
        let expected = kind.artifact_digest().len();
        for len in [1, 20, 32, 48, 64, 65, 1000]
            .into_iter()
            .filter(|len| *len != expected)
        {
            let digest = base64(&vec![7; len]);
            let error = refused(&with(&kind.request(FORMS[0].0), DIGEST, digest));
            let algorithm = kind.algorithm();
            assert_eq!(error, EntryError::DigestLength { algorithm, len });
            let text = format!("digest is {len} bytes, {} has {expected}", kind.hash_v1);
            assert_eq!(error.to_string(), text);
        }
    }
}

#[test]
fn what_is_missing_is_named() {
    for (form, field) in FORMS {
        let request = P256.request(form);
        let verifier = format!("{VERIFIER}/{field}");
        let raw_bytes = format!("{verifier}/rawBytes");
        let raw_bytes_name = format!("verifier.{field}.rawBytes");
        for (path, name) in [
            ("/hashedRekordRequestV002/signature", "signature"),
            (CONTENT, "signature.content"),
            (VERIFIER, "signature.verifier"),
            (DETAILS, "verifier.keyDetails"),
            (DIGEST, "digest"),
            (&verifier, "verifier.publicKey or verifier.x509Certificate"),
            (&raw_bytes, &raw_bytes_name),
        ] {
            let text = format!("{name} is missing or empty");
            for request in [without(&request, path), with(&request, path, json!(null))] {
                let error = refused(&request);
                assert!(matches!(error, EntryError::Missing(_)), "{error:?}");
                assert_eq!(error.to_string(), text);
            }
            if request.pointer(path).unwrap().is_string() && path != DETAILS {
                assert_eq!(refused(&with(&request, path, "")).to_string(), text);
            }
        }
    }
}

#[test]
fn a_request_of_no_kind_is_refused_in_rekors_words() {
    for request in [
        "",
        " \r\n\t",
        "{}",
        r#"{"hashedRekordRequestV002":null}"#,
        r#"{"dsseRequestV002":null}"#,
    ] {
        let error = upload(request.as_bytes()).unwrap_err();
        assert_eq!(error, EntryError::InvalidType);
        assert_eq!(error.to_string(), "invalid type, must be hashedrekord");
    }
}

#[test]
fn both_of_two_alternatives_are_refused() {
    let request = P256.request(FORMS[0].0);
    let certificate = json!({"rawBytes": base64(&P256.der(FORMS[1].0))});
    let error = refused(&with(
        &request,
        &format!("{VERIFIER}/x509Certificate"),
        certificate,
    ));
    assert_eq!(error, EntryError::BothVerifiers);
    assert_eq!(
        error.to_string(),
        "verifier has both publicKey and x509Certificate, expected one of them"
    );
    let error = refused(&with(&request, "/dsseRequestV002", json!({})));
    assert_eq!(
        error.to_string(),
        "request is not valid: both hashedRekordRequestV002 and dsseRequestV002 are set, expected one of them"
    );
}

#[test]
fn a_field_that_is_not_base64_is_named_and_quoted() {
    let request = P256.request(FORMS[0].0);
    let text = base64(&P256.artifact_digest());
    assert!(
        text.ends_with("=") && !text.ends_with("=="),
        "32 bytes have one sign of padding"
    );
    for bad in [
        format!("{text}="),
        format!("={text}"),
        format!("{text}{text}"),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}\t"),
        format!("{text}\u{0}"),
        format!("{}\n=", text.trim_end_matches('=')) + "=",
        text.replacen(|c: char| c.is_ascii_alphanumeric(), "!", 1),
        text.replacen(|c: char| c.is_ascii_alphanumeric(), "é", 1),
        // Both alphabets in one text.
        format!("+-{}", &text[2..]),
        format!("_/{}", &text[2..]),
        // The last character's two spare bits are not zero.
        {
            let last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let at = last.find(text.chars().nth(42).unwrap()).unwrap();
            format!("{}{}=", &text[..42], &last[at + 1..at + 2])
        },
        "A".to_owned(),
        "=".to_owned(),
        "====".to_owned(),
        "\n".to_owned(),
    ] {
        let raw_bytes = format!("{VERIFIER}/publicKey/rawBytes");
        for (path, field) in [
            (DIGEST, "digest"),
            (CONTENT, "signature.content"),
            (&raw_bytes, "verifier.publicKey.rawBytes"),
        ] {
            let error = refused(&with(&request, path, bad.as_str()));
            let text = Excerpt::new(&bad);
            assert_eq!(error.to_string(), format!("{field} is not base64: {text}"));
            assert_eq!(error, EntryError::Base64 { field, text });
        }
    }
}

#[test]
fn what_is_not_the_expected_json_is_refused_where_it_stands() {
    let request = P256.request(FORMS[0].0);
    let text = request.to_string();
    let cases = [
        // Unknown fields, in every message.
        (
            with(&request, "/note", 1).to_string(),
            "unknown field `note`, expected `hashedRekordRequestV002` or `dsseRequestV002`",
        ),
        (
            with(&request, "/hashedRekordRequestV002/Digest", "").to_string(),
            "unknown field `Digest`, expected `digest` or `signature`",
        ),
        (
            with(&request, "/hashedRekordRequestV002/signature/keyid", "").to_string(),
            "unknown field `keyid`, expected `content` or `verifier`",
        ),
        (
            with(&request, &format!("{VERIFIER}/a"), json!(null)).to_string(),
            "unknown field `a`, expected one of `publicKey`, `x509Certificate`, `keyDetails`",
        ),
        (
            with(&request, &format!("{VERIFIER}/publicKey/keyDetails"), 5).to_string(),
            "unknown field `keyDetails`, expected `rawBytes`",
        ),
        // Values of other types.
        (
            with(&request, DIGEST, 1).to_string(),
            "invalid type: integer `1`, expected a string",
        ),
        (
            with(&request, DIGEST, json!([])).to_string(),
            "invalid type: sequence, expected a string",
        ),
        (
            with(&request, VERIFIER, "x").to_string(),
            "invalid type: string \"x\", expected an object",
        ),
        (
            with(&request, VERIFIER, json!([{}])).to_string(),
            "invalid type: sequence, expected an object",
        ),
        (
            with(&request, VERIFIER, true).to_string(),
            "invalid type: boolean `true`, expected an object",
        ),
        (
            with(&request, DETAILS, 5.5).to_string(),
            "invalid type: floating point `5.5`, expected a name or a number",
        ),
        (
            with(&request, DETAILS, json!({})).to_string(),
            "invalid type: map, expected a name or a number",
        ),
        (
            "[]".to_owned(),
            "invalid type: sequence, expected an object",
        ),
        ("null".to_owned(), "invalid type: null, expected an object"),
        (
            "\"x\"".to_owned(),
            "invalid type: string \"x\", expected an object",
        ),
        // A field twice, in one spelling or in two, set or not.
        (twice(&text, r#""digest":"""#), "duplicate field `digest`"),
        (twice(&text, r#""digest":null"#), "duplicate field `digest`"),
        (
            text.replace(r#""rawBytes":"#, r#""raw_bytes":"AA==","rawBytes":"#),
            "duplicate field `rawBytes`",
        ),
        (
            text.replace(r#""rawBytes":"#, r#""rawBytes":null,"raw_bytes":"#),
            "duplicate field `rawBytes`",
        ),
        // Numbers out of range.
        (
            with_details(&text, "9223372036854775808"),
            "invalid value: integer `9223372036854775808`, expected a name or a number",
        ),
        (with_details(&text, "1e400"), "number out of range"),
        (with_details(&text, &"9".repeat(400)), "number out of range"),
        (
            with_details(&text, "-9223372036854775809"),
            "invalid type: floating point `-9.223372036854776e+18`, expected a name or a number",
        ),
        (with_details(&text, "05"), "invalid number"),
        (
            with_details(&text, "5e0"),
            "invalid type: floating point `5.0`, expected a name or a number",
        ),
        (with_details(&text, "NaN"), "expected value"),
        // Not JSON.
        (format!("{text}{text}"), "trailing characters"),
        (format!("{text}\u{0}"), "trailing characters"),
        (format!("\u{feff}{text}"), "expected value"),
        (text.replace("\":", "\":\u{a0}"), "expected value"),
        (
            text.replace(r#""digest":"#, "digest:"),
            "key must be a string",
        ),
        (
            text.replace(r#""digest":""#, "\"digest\":\"\n"),
            "control character (\\u0000-\\u001F) found while parsing a string",
        ),
        (
            text.replace(r#""digest":""#, r#""digest":"\x"#),
            "invalid escape",
        ),
        (
            text.replace(r#""digest":""#, r#""digest":"\ud800"#),
            "unexpected end of hex escape",
        ),
        (text.replace("}}}}", "},}}}"), "trailing comma"),
        (text.replace('"', "'"), "key must be a string"),
    ];
    for (request, expected) in cases {
        let error = upload(request.as_bytes()).unwrap_err();
        let EntryError::Json(_) = &error else {
            panic!("{error:?}: {request}");
        };
        let error = error.to_string();
        let (reason, place) = error.rsplit_once(" at line ").unwrap_or((&error, ""));
        assert_eq!(
            reason,
            format!("request is not valid: {expected}"),
            "{request}"
        );
        assert!(place.contains(" column "), "{error}");
    }
    let not_utf8 = text
        .replace(r#""digest":""#, "\"digest\":\"\u{1}")
        .into_bytes();
    let not_utf8: Vec<u8> = not_utf8
        .iter()
        .map(|b| if *b == 1 { 0xff } else { *b })
        .collect();
    assert_eq!(
        upload(&not_utf8).unwrap_err().to_string(),
        "request is not valid: invalid unicode code point at line 1 column 39"
    );
}

#[test]
fn an_error_quotes_two_hundred_characters_at_most_and_none_that_moves_others() {
    let long = "\u{1b}[2J\u{202e}é".repeat(100_000);
    for request in [
        with(&P256.request(FORMS[0].0), DETAILS, long.as_str()),
        with(&P256.request(FORMS[0].0), DIGEST, long.as_str()),
        with(&P256.request(FORMS[0].0), VERIFIER, long.as_str()),
        json!({ long.as_str(): 1 }),
    ] {
        let error = refused(&request).to_string();
        assert!(error.len() < 2000, "{} bytes", error.len());
        assert!(!error.contains(char::is_control), "{error:?}");
        assert!(
            !error.contains('\u{202e}') && error.contains(r"\u{202e}"),
            "{error:?}"
        );
    }
}

#[test]
fn a_key_too_long_for_a_bundle_is_refused_before_it_is_read() {
    for (form, field) in FORMS {
        let path = format!("{VERIFIER}/{field}/rawBytes");
        let error = refused(&with(&P256.request(form), &path, base64(&[0; 50_000])));
        assert!(matches!(error, EntryError::TooLong { .. }), "{error:?}");
    }
}

#[test]
fn a_body_of_65535_bytes_is_logged_and_a_longer_one_is_not() {
    let request = P256.request(FORMS[1].0);
    let fixed = canonical(&P256.body_v2(FORMS[1].0)).len() - base64(&P256.signature()).len();
    let (mut longest, mut refusals) = (0, 0);
    for len in (MAX_BODY_LEN - fixed) / 4 * 3 - 4..(MAX_BODY_LEN - fixed) / 4 * 3 + 8 {
        let signature = base64(&vec![0x30; len]);
        let body_len = fixed + signature.len();
        match parse_request(with(&request, CONTENT, signature).to_string().as_bytes()) {
            Ok(proposed) => {
                assert_eq!(proposed.verify(), Err(EntryError::Signature));
                longest = longest.max(body_len);
            }
            Err(error) => {
                assert_eq!(error, EntryError::TooLong { len: body_len });
                let text = format!("entry is {body_len} bytes, expected at most 65535");
                assert_eq!(error.to_string(), text);
                refusals += 1;
            }
        }
    }
    assert!(
        (MAX_BODY_LEN - 3..=MAX_BODY_LEN).contains(&longest),
        "{longest}"
    );
    assert!(refusals > 0);
}

fn refused(request: &Value) -> EntryError {
    upload(request.to_string().as_bytes()).unwrap_err()
}

/// The request with one more member in its message.
fn twice(request: &str, member: &str) -> String {
    let begin = r#"{"hashedRekordRequestV002":{"#;
    let twice = request.replacen(begin, &format!("{begin}{member},"), 1);
    assert_ne!(twice, request);
    twice
}

fn with_details(request: &str, number: &str) -> String {
    let name = format!("\"{}\"", P256.name);
    assert!(request.contains(&name));
    request.replace(&name, number)
}

const DIGEST: &str = "/hashedRekordRequestV002/digest";
const CONTENT: &str = "/hashedRekordRequestV002/signature/content";
const VERIFIER: &str = "/hashedRekordRequestV002/signature/verifier";
const DETAILS: &str = "/hashedRekordRequestV002/signature/verifier/keyDetails";
