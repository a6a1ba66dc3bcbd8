//! A note prints as it was parsed; what its keys have signed is its text alone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_fuzz::{KEYS, signed_text};
use tegula_tlog::Note;

fuzz_target!(|bytes: &[u8]| {
    let Ok(note) = Note::parse(bytes) else {
        return;
    };
    assert_eq!(note.to_bytes(), bytes);
    assert!((1..=100).contains(&note.signatures().len()));
    assert!(note.text().ends_with('\n'));
    for key in KEYS.iter() {
        if let Ok(signers) = note.verified_by(std::slice::from_ref(key))
            && !signers.is_empty()
        {
            assert_eq!(note.text(), signed_text());
        }
    }
});
