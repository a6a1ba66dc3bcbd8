//! A policy says the same without comments and with single spaces, and never trusts a log that it does not name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_fuzz::CHECKPOINT;
use tegula_tlog::Policy;

fuzz_target!(|file: &[u8]| {
    let Ok(policy) = Policy::parse(file) else {
        return;
    };
    let again = Policy::parse(plain(file)).unwrap();
    assert_eq!(format!("{policy:?}"), format!("{again:?}"));
    if let Ok((checkpoint, _)) = policy.check(&CHECKPOINT) {
        let mut logs = policy.logs().iter();
        assert!(logs.any(|log| log.name() == checkpoint.origin));
    }
});

/// The file without comments, empty lines and needless white space.
fn plain(file: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    for line in file.split(|byte| *byte == b'\n') {
        let words = line.split(|byte| matches!(byte, b' ' | b'\t'));
        let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        if words.first().is_some_and(|first| !first.starts_with(b"#")) {
            plain.extend(words.join(&b' '));
            plain.push(b'\n');
        }
    }
    plain
}
