//! Every truncation, every flipped bit, and nonsense: refused, or the same entry.

use proptest::prelude::*;
use serde_json::Value;
use tegula_entries::{
    Entry, EntryError, StoredEntry, VerifierForm, parse_proposed_v1, parse_request,
};

use crate::support::{FORMS, KINDS, Kind, P256, upload, upload_v1};

#[test]
fn no_part_of_a_request_or_a_body_is_one() {
    for kind in &KINDS {
        for (form, _) in FORMS {
            let request = kind.request(form).to_string();
            let proposed = kind.body_v1(form).to_string();
            for len in 1..request.len() {
                assert!(parse_request(&request.as_bytes()[..len]).is_err());
                assert!(parse_request(&request.as_bytes()[len..]).is_err());
            }
            for len in 0..proposed.len() {
                assert!(parse_proposed_v1(&proposed.as_bytes()[..len]).is_err());
            }
            for body in bodies(kind, form) {
                for len in 0..body.len() {
                    assert!(StoredEntry::parse(&body[..len]).is_err());
                    assert!(StoredEntry::parse(&body[len + 1..]).is_err());
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_of_a_request_is_refused_or_changes_nothing() {
    for kind in &KINDS {
        for (form, _) in FORMS {
            for (request, upload) in [
                (kind.request(form).to_string(), upload as Upload),
                (kind.body_v1(form).to_string(), upload_v1),
            ] {
                let entry = upload(request.as_bytes()).unwrap();
                for_each_flip(request.as_bytes(), step(kind, form), |flipped| {
                    if let Ok(other) = upload(flipped) {
                        assert_means_the_same(entry.body(), other.body(), form);
                    }
                });
            }
        }
    }
}

#[test]
fn a_flipped_bit_of_a_body_is_refused() {
    for kind in &KINDS {
        for (form, _) in FORMS {
            for body in bodies(kind, form) {
                for_each_flip(&body, step(kind, form), |flipped| {
                    if StoredEntry::parse(flipped).is_ok_and(|stored| stored.verify().is_ok()) {
                        assert_means_the_same(&body, flipped, form);
                    }
                });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_at_all_are_more_than_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        feed(&bytes);
    }

    /// Pieces of requests in any order.
    #[test]
    fn no_pieces_of_json_are_more_than_an_error(pieces in prop::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        feed(text.as_bytes());
    }

    /// A request or body in which some values were exchanged, dropped, or replaced.
    #[test]
    fn a_rearranged_request_is_refused_or_logged_in_canonical_form(
        first in 0..4usize,
        changes in prop::collection::vec((any::<u16>(), any::<u16>(), 0..4u8), 1..4),
    ) {
        let mut value = match first {
            0 => P256.request(FORMS[0].0),
            1 => P256.request(FORMS[1].0),
            2 => P256.body_v1(FORMS[0].0),
            _ => P256.body_v2(FORMS[1].0),
        };
        for (to, from, how) in changes {
            let paths = paths(&value);
            let donor = value.pointer(&paths[usize::from(from) % paths.len()]).unwrap().clone();
            let path = &paths[usize::from(to) % paths.len()];
            let place = value.pointer_mut(path).unwrap();
            match how {
                0 => *place = donor,
                1 => *place = Value::Null,
                2 => *place = Value::Array(vec![donor]),
                _ => if let Some(object) = place.as_object_mut() {
                    object.insert("digest".to_owned(), donor);
                },
            }
        }
        feed(value.to_string().as_bytes());
    }
}

/// Nothing panics, and what is accepted is canonical and means itself.
fn feed(bytes: &[u8]) {
    for entry in [upload(bytes), upload_v1(bytes)].into_iter().flatten() {
        let stored = StoredEntry::parse(entry.body()).unwrap();
        assert_eq!(stored.verify(), Ok(true));
        let value: Value = serde_json::from_slice(entry.body()).unwrap();
        assert_eq!(
            serde_json_canonicalizer::to_vec(&value).unwrap(),
            entry.body()
        );
    }
    if StoredEntry::parse(bytes).is_ok() {
        let value: Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(serde_json_canonicalizer::to_vec(&value).unwrap(), bytes);
    }
}

/// The same digest, signature and key. Beyond the key, a certificate may say something else, since nobody here knows who signed it;
/// and the hexadecimal of a v1 body has two cases.
fn assert_means_the_same(body: &[u8], other: &[u8], form: VerifierForm) {
    let (stored, others) = (
        StoredEntry::parse(body).unwrap(),
        StoredEntry::parse(other).unwrap(),
    );
    assert_eq!(
        stored.as_hashedrekord().unwrap().digest(),
        others.as_hashedrekord().unwrap().digest()
    );
    assert_eq!(
        stored.as_hashedrekord().unwrap().signature(),
        others.as_hashedrekord().unwrap().signature()
    );
    assert_eq!(
        stored.as_hashedrekord().unwrap().verifier().public_key(),
        others.as_hashedrekord().unwrap().verifier().public_key()
    );
    assert_eq!(
        stored.as_hashedrekord().unwrap().verifier().form(),
        others.as_hashedrekord().unwrap().verifier().form()
    );
    assert_eq!(stored.version(), others.version());
    if form == VerifierForm::PublicKey {
        assert_eq!(
            stored.as_hashedrekord().unwrap().verifier().der(),
            others.as_hashedrekord().unwrap().verifier().der()
        );
        assert!(body.eq_ignore_ascii_case(other));
        assert!(body == other || stored.version() == "0.0.1");
    }
}

fn bodies(kind: &Kind, form: VerifierForm) -> [Vec<u8>; 2] {
    let body = |entry: Result<Entry, EntryError>| entry.unwrap().into_body();
    [
        body(upload(kind.request(form).to_string().as_bytes())),
        body(upload_v1(kind.body_v1(form).to_string().as_bytes())),
    ]
}

/// Every bit of every `step`th byte.
fn for_each_flip(bytes: &[u8], step: usize, mut visit: impl FnMut(&[u8])) {
    let mut flipped = bytes.to_vec();
    for at in (0..bytes.len()).step_by(step) {
        for bit in 0..8 {
            flipped[at] ^= 1 << bit;
            visit(&flipped);
            flipped[at] ^= 1 << bit;
        }
    }
}

/// All bits for a P-256 key; the others have the same parser, are longer, and are slower to verify.
fn step(kind: &Kind, form: VerifierForm) -> usize {
    match (kind.files, form) {
        ("p256", VerifierForm::PublicKey) => 1,
        ("p256", VerifierForm::X509Certificate) => 5,
        _ => 17,
    }
}

fn paths(value: &Value) -> Vec<String> {
    let mut paths = vec![String::new()];
    let mut at = 0;
    while at < paths.len() {
        let children: Vec<String> = match value.pointer(&paths[at]).unwrap() {
            Value::Object(object) => object.keys().cloned().collect(),
            Value::Array(array) => (0..array.len()).map(|n| n.to_string()).collect(),
            _ => vec![],
        };
        let parent = paths[at].clone();
        paths.extend(children.iter().map(|child| format!("{parent}/{child}")));
        at += 1;
    }
    paths
}

type Upload = fn(&[u8]) -> Result<Entry, EntryError>;

const PIECES: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "0",
    "5",
    "-1",
    "1e999",
    "\"AA==\"",
    "\"\"",
    "\"hashedRekordRequestV002\":{",
    "\"hashed_rekord_request_v002\":{",
    "\"dsseRequestV002\":{",
    "\"digest\":",
    "\"signature\":{",
    "\"content\":",
    "\"verifier\":{",
    "\"verifiers\":[{",
    "\"publicKey\":{",
    "\"x509Certificate\":{",
    "\"rawBytes\":",
    "\"raw_bytes\":",
    "\"keyDetails\":",
    "\"PKIX_ECDSA_P256_SHA_256\"",
    "\"envelope\":{",
    "\"payload\":",
    "\"payloadType\":",
    "\"signatures\":[{",
    "\"sig\":",
    "\"kind\":\"hashedrekord\",",
    "\"apiVersion\":\"0.0.1\",",
    "\"spec\":{",
    "\"data\":{\"hash\":{",
    "\u{fffd}\u{0}\u{1f600}",
];
