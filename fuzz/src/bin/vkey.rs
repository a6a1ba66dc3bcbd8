//! A verifier key has one spelling, and its id follows from the rest.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_tlog::{KeyError, KeyKind, SigningKey, VerifierKey};

fuzz_target!(|text: &str| {
    match text.parse::<VerifierKey>() {
        Ok(key) => check(text, &key),
        // With its own id it is a key: otherwise the fuzzer would have to find a hash.
        Err(KeyError::Id { computed, .. }) => {
            let mut parts: Vec<&str> = text.splitn(3, '+').collect();
            parts[1] = &computed;
            let text = parts.join("+");
            check(&text, &text.parse().unwrap());
        }
        Err(_) => {}
    }
    if let Ok(key) = SigningKey::from_note_key(text) {
        assert_eq!(key.verifier().kind(), KeyKind::Ed25519);
    }
});

fn check(text: &str, key: &VerifierKey) {
    assert_eq!(key.to_string(), text);
    assert!(!key.to_spki().is_empty());
    assert!(!key.verify("text\n", &[]));
    assert!(!key.verify("text\n", &[0; 64]));
    assert!(!key.verify("text\n", &[0; 72]));
}
