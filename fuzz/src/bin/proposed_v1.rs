//! What Rekor v1's proposed entries lead to can be read again by every reader.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_entries::parse_proposed_v1;
use tegula_fuzz::check_proposed;

fuzz_target!(|json: &[u8]| {
    if let Ok(proposed) = parse_proposed_v1(json) {
        check_proposed(&proposed);
    }
});
