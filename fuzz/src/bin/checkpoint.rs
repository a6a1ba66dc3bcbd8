//! A checkpoint has one spelling, and is opened only if a key of its origin signed it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_fuzz::{KEYS, signed_text};
use tegula_tlog::Checkpoint;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(checkpoint) = Checkpoint::parse(text)
    {
        assert_eq!(checkpoint.to_string(), text);
        assert!(!checkpoint.origin.is_empty());
        assert!(checkpoint.extensions.iter().all(|line| !line.is_empty()));
    }
    if let Ok((checkpoint, note)) = Checkpoint::open(bytes, &KEYS) {
        assert_eq!(note.text(), signed_text());
        assert_eq!(checkpoint.to_string(), signed_text());
        assert_eq!(note.to_bytes(), bytes);
    }
});
