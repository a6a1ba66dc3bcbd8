//! Requests of four mebibytes, the most that a server reads, made to cost as much as they can.
//!
//! One test, in a process of its own, because it measures the process.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use std::fs;
use std::time::{Duration, Instant};

use tegula_entries::{EntryError, StoredEntry, Verifier, parse_proposed_v1, parse_request};

#[test]
fn a_large_request_is_refused_in_a_moment_and_in_little_memory() {
    let at_first = peak_kib();
    for (what, request) in requests() {
        assert!(request.len() <= LEN, "{what}");
        let started = Instant::now();
        let refusals: [Result<(), EntryError>; 4] = [
            parse_request(&request).and_then(|proposed| proposed.verify().map(drop)),
            parse_proposed_v1(&request).and_then(|proposed| proposed.verify().map(drop)),
            StoredEntry::parse(&request).map(drop),
            Verifier::from_pem_or_der(&request).map(drop),
        ];
        let took = started.elapsed();
        for refusal in refusals {
            let text = refusal.unwrap_err().to_string();
            assert!(text.len() < 2000, "{what}: {} bytes of error", text.len());
        }
        assert!(took < Duration::from_secs(5), "{what}: {took:?}");
    }
    if let (Some(at_first), Some(at_last)) = (at_first, peak_kib()) {
        let more = (at_last - at_first) / 1024;
        assert!(more < 64, "{more} MiB, for requests of 4");
    }
}

fn requests() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let shapes: [(&str, &str, &str, &str); 24] = [
        ("nothing but opened lists", "", "[", ""),
        ("nothing but opened objects", "", "{\"a\":", ""),
        (
            "lists in a message",
            "{\"hashedRekordRequestV002\":",
            "[",
            "",
        ),
        (
            "lists in a field that is passed over",
            "{\"spec\":{\"a\":",
            "[",
            "}}",
        ),
        (
            "objects in a field that is passed over",
            "{\"a\":",
            "{\"\":",
            "",
        ),
        (
            "lists after the first signature",
            "{\"dsseRequestV002\":{\"envelope\":{\"signatures\":[{},",
            "[",
            "",
        ),
        (
            "signatures",
            "{\"dsseRequestV002\":{\"envelope\":{\"signatures\":[{}",
            ",{}",
            "]}}}",
        ),
        ("fields that are passed over", "{\"a\":1", ",\"a\":1", "}"),
        (
            "fields whose names are escaped",
            "{\"a\":1",
            ",\"\\u0061\":1",
            "}",
        ),
        ("the name of a field", "{\"", "\\u0001", "\":1}"),
        ("a name of control characters", "{\"", "\u{80}", "\":1}"),
        (
            "a string that should be an object",
            "{\"hashedRekordRequestV002\":\"",
            "\u{80}",
            "\"}",
        ),
        (
            "a string that should be an object, in a spec",
            "{\"spec\":\"",
            "\\\"",
            "\"}",
        ),
        (
            "a digest",
            "{\"hashedRekordRequestV002\":{\"digest\":\"",
            "AAAA",
            "\"}}",
        ),
        (
            "line breaks",
            "{\"hashedRekordRequestV002\":{\"digest\":\"",
            "\\n",
            "\"}}",
        ),
        (
            "a digit",
            "{\"hashedRekordRequestV002\":{\"signature\":{\"verifier\":{\"keyDetails\":",
            "9",
            "}}}}",
        ),
        (
            "a fraction",
            "{\"hashedRekordRequestV002\":{\"signature\":{\"verifier\":{\"keyDetails\":0.",
            "0",
            "1}}}}",
        ),
        (
            "an exponent",
            "{\"hashedRekordRequestV002\":{\"signature\":{\"verifier\":{\"keyDetails\":1e",
            "9",
            "}}}}",
        ),
        (
            "a kind",
            "{\"apiVersion\":\"0.0.1\",\"kind\":\"",
            "x",
            "\"}",
        ),
        (
            "a hash",
            "{\"apiVersion\":\"0.0.1\",\"kind\":\"hashedrekord\",\"spec\":{\"signature\":{\"content\":\"AA==\",\
            \"publicKey\":{\"content\":\"AA==\"}},\"data\":{\"hash\":{\"algorithm\":\"sha256\",\"value\":\"",
            "0f",
            "\"}}}}",
        ),
        ("spaces", "{", " ", "}"),
        ("bytes that are not UTF-8", "{\"\u{0}", "\u{10ffff}", ""),
        (
            "PEM blocks",
            "",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "",
        ),
        ("PEM that begins", "", "-----BEGIN CERTIFICATE-----\n", ""),
    ];
    let repeated = shapes.into_iter().map(|(what, begin, middle, end)| {
        let times = (LEN - begin.len() - end.len()) / middle.len();
        (
            what,
            [begin, &middle.repeat(times), end].concat().into_bytes(),
        )
    });
    repeated.chain([
        ("an envelope", envelope()),
        ("a certificate", certificate()),
        ("zeros", vec![0; LEN]),
    ])
}

/// A payload as large as can be, all of which is hashed, and a signature over something else.
fn envelope() -> Vec<u8> {
    let key = data("p256.pub.der");
    let head = format!(
        r#"{{"dsseRequestV002":{{"verifiers":[{{"keyDetails":5,"publicKey":{{"rawBytes":"{}"}}}}],"envelope":{{"payloadType":"a","#,
        base64(&key)
    );
    let signature = base64(&data("p256.sig"));
    let tail = r#""}}}"#;
    let mut request = head + &format!(r#""signatures":[{{"sig":"{signature}"}}],"payload":""#);
    let times = (LEN - request.len() - tail.len()) / 4;
    request.push_str(&"AAAA".repeat(times));
    (request + tail).into_bytes()
}

/// A certificate in DER whose issuer has no end.
fn certificate() -> Vec<u8> {
    let mut der = data("p256.cert.der");
    der.truncate(60);
    der.resize(LEN, 0x31);
    der
}

fn data(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The most memory that the process has had, where the system says so.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

const LEN: usize = 4 << 20;
