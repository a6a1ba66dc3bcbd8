//! DSSE envelopes as in-toto: what is taken can be read again, and nothing stops the log.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_fuzz::{check_version, files};

fuzz_target!(|input: &[u8]| {
    if let Some(files) = files(input) {
        for version in ["0.0.1", "0.0.2"] {
            check_version(&files, "intoto", version);
        }
    }
});
