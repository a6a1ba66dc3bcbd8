//! A bundle's bytes are its entries and nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_tlog::{append_entry, parse_bundle};

fuzz_target!(|input: (u16, &[u8])| {
    let (count, bytes) = input;
    // More than any bundle or slot has, too.
    let count = usize::from(count);
    if let Ok(entries) = parse_bundle(bytes, count) {
        assert_eq!(entries.len(), count);
        let mut again = Vec::new();
        for entry in &entries {
            append_entry(&mut again, entry).unwrap();
        }
        assert_eq!(again, bytes);
        // No other number of entries fits the same bytes.
        assert!(parse_bundle(bytes, count + 1).is_err());
        assert!(count == 0 || parse_bundle(bytes, count - 1).is_err());
    }
    assert!(parse_bundle(bytes, usize::MAX).is_err());
});
