//! Metadata of TUF: what is taken can be read again, and nothing stops the log.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_fuzz::{check_files, files};

fuzz_target!(|input: &[u8]| {
    if let Some(files) = files(input) {
        check_files(&files, "tuf", None);
    }
});
