//! Files of which nobody has said what they are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_fuzz::{check_files, files};

fuzz_target!(|input: &[u8]| {
    if let Some(files) = files(input) {
        check_files(&files, files.kind().unwrap_or("rekord"), files.format());
    }
});
