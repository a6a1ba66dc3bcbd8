//! What Rekor v2's requests lead to can be read again by every reader.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_entries::parse_request;
use tegula_fuzz::check_proposed;

fuzz_target!(|json: &[u8]| {
    if let Ok(proposed) = parse_request(json) {
        check_proposed(&proposed);
    }
});
