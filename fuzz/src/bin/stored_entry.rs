//! A stored entry has one spelling, and what it holds leads to the same bytes when it is submitted again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_entries::{
    StoredEntry, hashedrekord_proposed_v1, hashedrekord_request, parse_proposed_v1, parse_request,
};

fuzz_target!(|body: &[u8]| {
    let Ok(entry) = StoredEntry::parse(body) else {
        return;
    };
    assert!(body.len() <= tegula_entries::MAX_BODY_LEN);
    let _facts = entry.facts();
    assert!(StoredEntry::parse(&[b" ", body].concat()).is_err());
    assert!(StoredEntry::parse(&[body, b"\n"].concat()).is_err());
    let verified = entry.verify();
    let Some(entry) = entry.as_hashedrekord() else {
        return;
    };
    let details = entry.verifier().key_details();
    assert_eq!(entry.digest().algorithm(), details.digest_algorithm());
    if verified.is_err() {
        return;
    }
    let (digest, signature, verifier) = (entry.digest(), entry.signature(), entry.verifier());
    if entry.version() == "0.0.2" {
        let request = hashedrekord_request(digest, signature, verifier).unwrap();
        let again = parse_request(request.as_bytes()).unwrap().verify().unwrap();
        assert_eq!(again.body(), body);
    } else {
        let request = hashedrekord_proposed_v1(digest, signature, verifier).unwrap();
        let again = parse_proposed_v1(request.as_bytes()).unwrap();
        let again = again.verify().unwrap().into_body();
        // A stored one may have a chain of certificates, and its digest in capitals.
        assert!(again.len() < body.len() || again.eq_ignore_ascii_case(body));
    }
});
