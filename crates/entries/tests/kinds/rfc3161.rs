//! `rfc3161` 0.0.1, with timestamps that `openssl ts` made.

use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tegula_entries::StoredEntry;

use crate::support::{accepted, b64, body, data, hex, propose, refused, search_keys, sha256};

fn spec(tsr: impl AsRef<[u8]>) -> Value {
    json!({"tsr": {"content": b64(tsr)}})
}

fn why(tsr: impl AsRef<[u8]>) -> String {
    refused("rfc3161", "0.0.1", &spec(tsr))
}

/// A response with this token.
fn granted(token: &[u8]) -> Vec<u8> {
    let contents = [&[0x30, 3, 2, 1, 0], token].concat();
    let len = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let head = match len {
        [0, short @ ..0x80] => vec![0x30, short],
        [0, one] => vec![0x30, 0x81, one],
        [high, low] => vec![0x30, 0x82, high, low],
    };
    [head, contents].concat()
}

#[test]
fn a_timestamp_is_logged_as_it_is() {
    let tsr = data("rfc3161/p256.tsr");
    let (entry, stored) = accepted("rfc3161", "0.0.1", &spec(&tsr));
    assert_eq!(
        body(&entry),
        json!({"apiVersion": "0.0.1", "kind": "rfc3161", "spec": {"tsr": {"content": b64(&tsr)}}})
    );
    assert_eq!(stored.object(), "Rfc3161Obj");
    assert_eq!(entry.attestation(), None);
    let certificate = data("rfc3161/p256.der");
    assert_eq!(entry.signers()[0].certificate.as_ref(), Some(&certificate));
    assert_eq!(
        search_keys(&stored)[1..],
        [
            format!("Certificate {}", sha256(&certificate)),
            "IdentityPrefix log.example".to_owned(),
            "Identity tsa@log.example".to_owned(),
            format!("Digest sha256:{}", sha256(&tsr)),
            format!("Digest sha256:{}", sha256("artifact")),
        ]
    );
    let lines = stored.facts().lines;
    let time = &lines.iter().find(|(name, _)| *name == "Time").unwrap().1;
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    assert!(lines.contains(&("Policy", "1.2.3.4".to_owned())));
}

#[test]
fn hashes_and_keys_of_authorities_are_taken() {
    for (file, imprint) in [
        (
            "p384",
            format!("sha512:{}", hex(Sha512::digest("artifact"))),
        ),
        ("rsa", format!("sha384:{}", hex(Sha384::digest("artifact")))),
        ("policy", format!("sha256:{}", sha256("artifact"))),
        ("sha1", SHA1_OF_ARTIFACT.to_owned()),
    ] {
        let (_, stored) = accepted(
            "rfc3161",
            "0.0.1",
            &spec(data(&format!("rfc3161/{file}.tsr"))),
        );
        let keys = search_keys(&stored);
        assert_eq!(keys.last(), Some(&format!("Digest {imprint}")));
    }
    // RSA-PSS, by `openssl cms`.
    accepted("rfc3161", "0.0.1", &spec(granted(&data("rfc3161/pss.cms"))));
}

#[test]
fn what_is_not_granted_or_not_a_timestamp_is_refused() {
    for (tsr, reason) in [
        (
            data("rfc3161/rejected.tsr"),
            "has the status 0x02, expected 0 (granted) or 1 (granted with modifications)",
        ),
        (
            data("rfc3161/no-certificate.tsr"),
            "holds no certificate, expected the signer's",
        ),
        (
            granted(&data("rfc3161/data.cms")),
            "signs content of the type 1.2.840.113549.1.7.1, expected 1.2.840.113549.1.9.16.1.4 (TSTInfo)",
        ),
        (
            granted(&data("rfc3161/two.cms")),
            "has 2 signers, expected 1",
        ),
        (
            granted(&data("rfc3161/no-ess.cms")),
            "has no signed attribute signingCertificate or signingCertificateV2",
        ),
        (granted(b""), "holds no timestamp"),
        (
            granted(b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"),
            "is not SignedData in DER: it has other parts than a type and content",
        ),
        (
            granted(b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x00"),
            "is of the type 1.2.840.113549.1.7.1, expected 1.2.840.113549.1.7.2 (signedData)",
        ),
    ] {
        assert_eq!(why(tsr), format!("spec.tsr.content: {reason}"));
    }
    let mut long = data("rfc3161/p256.tsr");
    long.push(0);
    assert!(why(&long).starts_with("spec.tsr.content: is not a TimeStampResp in DER: "));
}

#[test]
fn every_part_of_a_token_is_signed() {
    let tsr = data("rfc3161/p256.tsr");
    for len in 1..tsr.len() {
        assert!(
            propose("rfc3161", "0.0.1", &spec(&tsr[..len])).is_err(),
            "{len}"
        );
    }
    let certificate = data("rfc3161/p256.der");
    let find = |part: &[u8]| {
        tsr.windows(part.len())
            .position(|there| there == part)
            .unwrap()
    };
    // From the type of the content to the imprint; the certificate; the attributes and the signature. What is between them are versions,
    // sets of hashes and the certificate of the authority's authority.
    let content = find(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04")
        ..find(&Sha256::digest("artifact")) + 32;
    let signer = find(&certificate)..find(&certificate) + certificate.len();
    let attributes = find(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03")..tsr.len();
    for at in content.chain(signer).chain(attributes) {
        let mut flipped = tsr.clone();
        flipped[at] ^= 1;
        assert!(
            propose("rfc3161", "0.0.1", &spec(&flipped)).is_err(),
            "byte {at}"
        );
    }
}

#[test]
fn the_messages_of_what_is_changed() {
    let tsr = data("rfc3161/p256.tsr");
    let changed = |old: &[u8], new: &[u8]| {
        let at = tsr.windows(old.len()).position(|part| part == old).unwrap();
        let mut changed = tsr.clone();
        changed[at..at + old.len()].copy_from_slice(new);
        why(changed)
    };
    let imprint = Sha256::digest("artifact");
    assert_eq!(
        changed(&imprint, &Sha256::digest("another")),
        "spec.tsr.content: signs another sha256 digest than that of the TSTInfo"
    );
    let last = tsr.len() - 1;
    let mut signature = tsr.clone();
    signature[last] ^= 1;
    assert_eq!(
        why(signature),
        "the PKCS #7 signature does not verify over the TSTInfo with the certificate in it"
    );
    // The certificate is another one with the same key: its own signature is not looked at, its digest is.
    let certificate = data("rfc3161/p256.der");
    let at = tsr
        .windows(certificate.len())
        .position(|part| part == certificate)
        .unwrap();
    let mut other = tsr.clone();
    other[at + certificate.len() - 1] ^= 1;
    assert_eq!(
        why(other),
        "spec.tsr.content: is signed for another certificate than the signer's"
    );
}

#[test]
fn sizes_are_bounded() {
    let long = [&[0x30, 0x82, 0x28, 0x01][..], &[0; 10 * 1024 - 3]].concat();
    assert_eq!(
        why(&long),
        "spec.tsr.content has 10241, expected at most 10240"
    );
    assert_eq!(
        why(vec![0; 1 << 20]),
        "spec.tsr.content has 1048578, expected at most 10242"
    );
    // Many parts of one value, and values in values.
    let many = [&[0x30, 0x82, 0x20, 0][..], &[5, 0].repeat(4096)].concat();
    assert_eq!(
        why(many),
        "spec.tsr.content: is not a TimeStampResp in DER: more than 64 parts of one value"
    );
    let mut nested = vec![5, 0];
    while nested.len() < 10_000 {
        let len = u16::try_from(nested.len()).unwrap();
        nested = [&[0x30, 0x82], &len.to_be_bytes()[..], &nested].concat();
    }
    assert!(why(nested).starts_with("spec.tsr.content: is not a TimeStampResp in DER"));
    assert_eq!(
        refused("rfc3161", "0.0.1", &json!({"tsr": {}})),
        "spec.tsr.content is missing or empty"
    );
    assert_eq!(
        refused("rfc3161", "0.0.1", &json!({})),
        "spec.tsr is missing or empty"
    );
    assert_eq!(
        refused("rfc3161", "0.0.9", &json!({})),
        "entry of kind rfc3161 version 0.0.9 is not accepted, expected a kind and version of Rekor"
    );
}

#[test]
fn only_what_a_log_writes_is_read() {
    let tsr = data("rfc3161/p256.tsr");
    let read = |content: String| {
        let body = json!({"apiVersion": "0.0.1", "kind": "rfc3161", "spec": {"tsr": {"content": content}}});
        StoredEntry::parse(&serde_json::to_vec(&body).unwrap()).map_err(|error| error.to_string())
    };
    read(b64(&tsr)).unwrap();
    assert_eq!(
        read(format!("{}\n", b64(&tsr))).unwrap_err(),
        "spec.tsr.content: is not in the one spelling of base64"
    );
    let mut changed = tsr;
    *changed.last_mut().unwrap() ^= 1;
    assert!(
        read(b64(changed))
            .unwrap_err()
            .starts_with("the PKCS #7 signature does not verify")
    );
}

const SHA1_OF_ARTIFACT: &str = "sha1:1e5dcbb59b753cb1d46e234d8f6180285b8b86ad";
