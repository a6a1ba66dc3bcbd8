//! A stored entry has one spelling: what reads as a version of Rekor's request or entry leads to the same bytes again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_entries::{StoredEntry, hashedrekord_proposed_v1, hashedrekord_request, parse_request};

fuzz_target!(|body: &[u8]| {
    let Ok(entry) = StoredEntry::parse(body) else {
        return;
    };
    assert!(body.len() <= tegula_entries::MAX_BODY_LEN);
    assert_eq!(
        entry.digest().algorithm(),
        entry.key_details().digest_algorithm()
    );
    if entry.verify().is_err() {
        return;
    }
    let (digest, signature, verifier) = (entry.digest(), entry.signature(), entry.verifier());
    if entry.version() == "0.0.2" {
        let request = hashedrekord_request(digest, signature, verifier).unwrap();
        let again = parse_request(request.as_bytes()).unwrap().verify().unwrap();
        assert_eq!(again.body(), body);
    } else {
        // A chain of certificates is longer, and a digest may be in capitals.
        hashedrekord_proposed_v1(digest, signature, verifier).unwrap();
    }
});
