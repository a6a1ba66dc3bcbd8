//! `log.json` says the same when it is written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_tlog::LogDescription;

fuzz_target!(|json: &[u8]| {
    if let Ok(description) = LogDescription::parse(json) {
        let again = description.to_json();
        assert_eq!(
            LogDescription::parse(again.as_bytes()).unwrap(),
            description
        );
    }
});
