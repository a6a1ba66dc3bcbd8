//! Certificates and their chains, as the keys of `cose` entries, which any kind with keys in PEM takes likewise.

use serde_json::json;
use tegula_entries::{EntryError, StoredEntry};

use crate::support::{accepted, b64, body, data, propose, refused, search_keys};

fn spec(pem: impl AsRef<[u8]>) -> serde_json::Value {
    json!({"message": b64(data("x509/leaf.cose")), "publicKey": b64(pem), "data": {}})
}

fn keys_of(file: &str) -> Vec<String> {
    let (_, stored) = accepted("cose", "0.0.1", &spec(data(file)));
    let keys = search_keys(&stored);
    keys.into_iter()
        .filter(|key| !key.starts_with("Digest"))
        .collect()
}

fn why(file: &str) -> String {
    refused("cose", "0.0.1", &spec(data(file)))
}

#[test]
fn a_chain_is_logged_whole_and_found_by_its_first_certificate() {
    let chain = data("x509/chain.pem");
    let (entry, stored) = accepted("cose", "0.0.1", &spec(&chain));
    assert_eq!(body(&entry)["spec"]["publicKey"], b64(&chain));
    let alone = keys_of("x509/leaf.pem");
    assert_eq!(
        alone[2..],
        [
            "IdentityPrefix log.example",
            "Identity alice@log.example",
            "Identity host.log.example",
            "IdentityPrefix https://github.com/",
            "IdentityPrefix https://github.com/org/",
            "IdentityPrefix https://github.com/org/repo/",
            "Identity https://github.com/org/repo/.github/workflows/x.yml@refs/heads/main",
            "Identity 192.0.2.1",
            "Identity 2001:db8::1",
            "Identity alice!log.example",
            "Issuer https://issuer.example",
        ]
    );
    assert!(alone[0].starts_with("Key ") && alone[1].starts_with("Certificate "));
    assert_eq!(search_keys(&stored)[..13], alone);
    let signer = &entry.signers()[0];
    assert_eq!(signer.certificate, Some(data("x509/leaf.der")));
    assert_eq!(signer.issuer.as_deref(), Some("https://Issuer.example"));
    assert_eq!(signer.identities[0], "Alice@Log.example");
}

#[test]
fn the_older_issuer_an_e_mail_address_in_the_subject_and_an_ed25519_authority_are_read() {
    let (entry, _) = accepted("cose", "0.0.1", &spec(data("x509/ed25519-chain.pem")));
    let signer = &entry.signers()[0];
    assert_eq!(signer.issuer.as_deref(), Some("https://old.example"));
    assert_eq!(
        keys_of("x509/subject.pem")[2..],
        ["IdentityPrefix log.example", "Identity bob@log.example"]
    );
    assert_eq!(keys_of("x509/control.pem")[2..], ["Identity plain.example"]);
}

#[test]
fn text_around_the_blocks_and_their_headers_are_dropped() {
    let plain = propose("cose", "0.0.1", &spec(data("x509/chain.pem"))).unwrap();
    let chain = String::from_utf8(data("x509/chain.pem")).unwrap();
    let headers = chain.replace(
        "-----BEGIN CERTIFICATE-----\n",
        "Bag Attributes\n-----BEGIN CERTIFICATE-----\nLocal: 1\n\n",
    );
    for other in [
        format!("\n \t{chain}\n\n"),
        chain.replace('\n', "\r\n"),
        chain.trim_end().to_owned(),
        headers,
    ] {
        assert_eq!(
            propose("cose", "0.0.1", &spec(other)).unwrap().body(),
            plain.body()
        );
    }
    // And a log has only one spelling.
    let written = String::from_utf8(plain.body().to_vec()).unwrap();
    let padded = written.replace(&b64(&chain), &b64(format!("{chain}\n")));
    assert_eq!(
        StoredEntry::parse(padded.as_bytes())
            .unwrap_err()
            .to_string(),
        "spec.publicKey: is not the canonical spelling of the key"
    );
}

#[test]
fn a_chain_may_have_ten_certificates() {
    accepted("cose", "0.0.1", &spec(data("x509/ten.pem")));
    assert_eq!(
        why("x509/eleven.pem"),
        "chain of certificates has 11, expected at most 10"
    );
    assert_eq!(
        why("x509/ten-7.pem"),
        "chain of certificates: certificate 10 allows 7 certificate authorities below it, and has 8"
    );
}

#[test]
fn each_certificate_is_signed_by_the_next() {
    let chain = String::from_utf8(data("x509/chain.pem")).unwrap();
    let [leaf, intermediate, root] = chain
        .split_inclusive("-----END CERTIFICATE-----\n")
        .collect::<Vec<_>>()[..]
    else {
        panic!("three certificates")
    };
    let why_not = |parts: &[&str]| refused("cose", "0.0.1", &spec(parts.concat()));
    accepted("cose", "0.0.1", &spec([leaf, intermediate].concat()));
    assert_eq!(
        why_not(&[leaf, root]),
        "chain of certificates: certificate 1 is issued by CN=intermediate,O=Tegula, and certificate 2 is CN=root,O=Tegula"
    );
    assert_eq!(
        why_not(&[leaf, leaf]),
        "chain of certificates: certificate 2 is not a certificate authority"
    );
    assert_eq!(
        why("x509/other-key.pem"),
        "chain of certificates: certificate 1 is not signed by the key of certificate 2"
    );
    assert_eq!(
        why("x509/sha1.pem"),
        "chain of certificates: certificate 1 is signed with SHA-1, expected SHA-256, SHA-384 or SHA-512"
    );
}

#[test]
fn issuers_may_sign_certificates_and_were_valid_when_the_first_one_begins() {
    for (file, reason) in [
        (
            "expired",
            "certificate 2 is valid from 2025-06-15T00:00:00Z to 2025-09-23T00:00:00Z, expected it to be when the first one begins, at 2026-01-01T00:00:00Z",
        ),
        (
            "not-yet",
            "certificate 2 is valid from 2026-01-02T00:00:00Z to 2026-04-12T00:00:00Z, expected it to be when the first one begins, at 2026-01-01T00:00:00Z",
        ),
        ("no-ca", "certificate 2 is not a certificate authority"),
        (
            "no-constraints",
            "certificate 2 is not a certificate authority",
        ),
        ("no-sign", "certificate 2 may not sign certificates"),
        (
            "names",
            "certificate 2 has the extension 2.5.29.30, which cannot be checked here",
        ),
        (
            "critical",
            "certificate 2 has the extension 1.2.3.4, which cannot be checked here",
        ),
    ] {
        assert_eq!(
            why(&format!("x509/{file}.pem")),
            format!("chain of certificates: {reason}")
        );
    }
}

#[test]
fn what_is_not_a_key_or_certificates_in_pem_is_refused() {
    assert_eq!(
        why("x509/rsa-public-key.pem"),
        "PEM block RSA PUBLIC KEY is not PUBLIC KEY or CERTIFICATE"
    );
    let der = why("x509/leaf.der");
    assert!(der.starts_with("public key: is not UTF-8: "), "{der}");
    let mixed = [data("x509/leaf.pem"), data("p256.pub.pem")].concat();
    assert_eq!(
        refused("cose", "0.0.1", &spec(mixed)),
        "PEM has 2 blocks, expected one public key or one certificate"
    );
    let chain = data("x509/chain.pem");
    for len in (1..chain.len() - 1).step_by(97) {
        let cut = std::str::from_utf8(&chain[..len]).unwrap();
        // Between two certificates it may be cut.
        let (_, tail) = cut
            .rsplit_once("-----END CERTIFICATE-----\n")
            .unwrap_or(("", cut));
        let verdict = propose("cose", "0.0.1", &spec(cut));
        let between = tail.len() < cut.len() && !tail.contains("-----BEGIN CERTIFICATE-----\n");
        assert_eq!(verdict.is_ok(), between, "{len}");
    }
}

#[test]
fn a_flipped_bit_of_a_chain_is_refused() {
    let chain = String::from_utf8(data("x509/chain.pem")).unwrap();
    let [leaf, intermediate, _] = chain
        .split_inclusive("-----END CERTIFICATE-----\n")
        .collect::<Vec<_>>()[..]
    else {
        panic!("three certificates")
    };
    let der = pem_der(leaf);
    for at in (0..der.len()).step_by(7) {
        let mut flipped = der.clone();
        flipped[at] ^= 1;
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n{intermediate}",
            b64(&flipped)
        );
        assert!(propose("cose", "0.0.1", &spec(pem)).is_err(), "byte {at}");
    }
}

#[test]
fn a_large_text_is_refused_before_it_is_read() {
    let long = "-".repeat((64 << 10) + 1);
    assert!(matches!(
        propose("cose", "0.0.1", &spec(long)),
        Err(EntryError::Limit { .. })
    ));
}

fn pem_der(pem: &str) -> Vec<u8> {
    use base64::Engine;
    let contents: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    base64::engine::general_purpose::STANDARD
        .decode(contents)
        .unwrap()
}
