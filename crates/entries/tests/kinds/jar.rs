//! `jar` 0.0.1, with archives that jarsigner signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tegula_entries::StoredEntry;

use crate::support::{accepted, b64, body, data, propose, refused, search_keys, sha256};

fn spec(file: &str) -> Value {
    json!({"archive": {"content": b64(data(&format!("jar/{file}.jar")))}})
}

fn why(file: &str) -> String {
    refused("jar", "0.0.1", &spec(file))
}

fn text(value: &Value) -> String {
    String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
}

#[test]
fn an_archive_is_logged_by_its_digest_and_signature() {
    let (entry, stored) = accepted("jar", "0.0.1", &spec("rsa"));
    let body = body(&entry);
    let spec = &body["spec"];
    assert_eq!(
        spec["archive"],
        json!({"hash": {"algorithm": "sha256", "value": sha256(data("jar/rsa.jar"))}})
    );
    let signature = text(&spec["signature"]["content"]);
    assert!(
        signature.starts_with("-----BEGIN PKCS7-----\n")
            && signature.ends_with("\n-----END PKCS7-----\n")
    );
    let signer = &entry.signers()[0];
    let pem = text(&spec["signature"]["publicKey"]["content"]);
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(spec["signature"].as_object().unwrap().len(), 2);
    assert_eq!(spec.as_object().unwrap().len(), 2);
    assert_eq!(
        search_keys(&stored)[1..],
        [
            format!(
                "Certificate {}",
                sha256(signer.certificate.as_ref().unwrap())
            ),
            "IdentityPrefix log.example".to_owned(),
            "Identity rsa@log.example".to_owned(),
            format!("Digest sha256:{}", sha256(data("jar/rsa.jar"))),
        ]
    );
    assert_eq!(
        search_keys(&stored)[0],
        format!("Key {}", sha256(&signer.fingerprinted))
    );
    assert_eq!(stored.object(), "JARModel");
    assert_eq!(entry.attestation(), None);
}

#[test]
fn keys_hashes_and_spellings_of_signatures_are_taken() {
    for file in [
        "ec",
        "ed25519",
        "sha512",
        "sha384",
        "pss",
        "sha1",
        "sections",
        "timestamped",
        "detached",
        "added",
    ] {
        accepted("jar", "0.0.1", &spec(file));
    }
}

#[test]
fn the_first_certificate_is_logged_and_the_signers_is_found() {
    let (entry, stored) = accepted("jar", "0.0.1", &spec("chain"));
    let keys = search_keys(&stored);
    assert!(
        keys.contains(&"Identity leaf@log.example".to_owned()),
        "{keys:?}"
    );
    let logged = text(&body(&entry)["spec"]["signature"]["publicKey"]["content"]);
    let signer = b64(entry.signers()[0].certificate.as_ref().unwrap());
    assert!(!logged.replace('\n', "").contains(&signer));
}

#[test]
fn a_signature_is_logged_without_what_it_signs() {
    let attached = propose("jar", "0.0.1", &spec("attached")).unwrap();
    let logged = text(&body(&attached)["spec"]["signature"]["content"]);
    let lines: String = logged
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    let der = STANDARD.decode(lines).unwrap();
    assert!(!der.windows(17).any(|part| part == b"Signature-Version"));
    StoredEntry::parse(attached.body()).unwrap();
    assert_eq!(
        why("attached-other"),
        "the signature block: holds another signature file than the archive"
    );
}

#[test]
fn what_was_changed_after_it_was_signed_is_refused() {
    for (file, reason) in [
        (
            "changed",
            "spec.archive.content: org/example/A.class has the sha256 ",
        ),
        (
            "manifest",
            "spec.archive.content: META-INF/MANIFEST.MF has the sha256 ",
        ),
        (
            "removed",
            "spec.archive.content: empty is in META-INF/MANIFEST.MF, and not in the archive",
        ),
        (
            "unsigned-section",
            "the signature file: does not sign more of META-INF/MANIFEST.MF",
        ),
        (
            "signature-file",
            "the signature block: signs another sha256 digest than that of the signature file",
        ),
        (
            "other-key",
            "the PKCS #7 signature does not verify over the signature file with the certificate in it",
        ),
        (
            "timestamped-other",
            "the timestamp of the signature block: is of something else than the signature",
        ),
        (
            "typed",
            "the signature block: signs another type of content than 1.2.840.113549.1.7.1, which it holds",
        ),
        (
            "no-certificate",
            "the signature block: holds no certificate, expected the signer's",
        ),
        (
            "dsa",
            "the signature block: DSA is not taken, expected RSA, ECDSA or Ed25519",
        ),
    ] {
        let why = why(file);
        assert!(why.starts_with(reason), "{file}: {why}");
    }
}

#[test]
fn an_archive_has_one_signature() {
    for (file, reason) in [
        ("two", "has 2 signature files (META-INF/*.SF), expected 1"),
        (
            "unsigned",
            "has 0 signature files (META-INF/*.SF), expected 1",
        ),
        (
            "no-block",
            "has 0 signature blocks (META-INF/*.RSA, *.EC), expected 1",
        ),
        (
            "renamed",
            "has the signature file SIGNER.SF, and a signature block of ANOTHER",
        ),
    ] {
        assert_eq!(why(file), format!("spec.archive.content: {reason}"));
    }
}

#[test]
fn bombs_and_what_is_not_an_archive_are_refused() {
    let bomb = data("jar/bomb.jar").len() * 64 + (64 << 10);
    let why_bomb = why("bomb");
    assert!(
        why_bomb.starts_with("spec.archive.content: zeros is more than ")
            && why_bomb
                .ends_with(" bytes, which is as much as an archive of this size may have there"),
        "{bomb}: {why_bomb}"
    );
    let why = |bytes: &[u8]| refused("jar", "0.0.1", &json!({"archive": {"content": b64(bytes)}}));
    assert!(why(b"not a zip file").starts_with("spec.archive.content: is not a zip file: "));
    assert_eq!(
        why(&vec![0; (3 << 20) + 3]),
        "spec.archive.content has 3145731, expected at most 3145728"
    );
    let jar = data("jar/rsa.jar");
    for len in (1..jar.len()).step_by(13) {
        assert!(
            propose(
                "jar",
                "0.0.1",
                &json!({"archive": {"content": b64(&jar[..len])}})
            )
            .is_err(),
            "{len}"
        );
    }
    // Names twice: the central directory has the same one again.
    let twice = jar;
    let name = b"org/example/A.class";
    let places: Vec<usize> = twice
        .windows(name.len())
        .enumerate()
        .filter(|(_, part)| part == name)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(places.len(), 2);
    let mut central = twice;
    central[places[1]] = b'O';
    assert!(
        why(&central).starts_with("spec.archive.content: is not a zip file: "),
        "{}",
        why(&central)
    );
}

#[test]
fn an_empty_directory_of_many_members_is_refused() {
    let mut central = Vec::new();
    let count: u16 = 10_001;
    for n in 0..count {
        let name = n.to_string();
        central.extend(b"PK\x01\x02\x14\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        central.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        central.extend([0; 16]);
        central.extend(name.bytes());
    }
    let len = u32::try_from(central.len()).unwrap();
    central.extend(b"PK\x05\x06\x00\x00\x00\x00");
    central.extend(count.to_le_bytes());
    central.extend(count.to_le_bytes());
    central.extend(len.to_le_bytes());
    central.extend([0; 6]);
    assert_eq!(
        refused(
            "jar",
            "0.0.1",
            &json!({"archive": {"content": b64(central)}})
        ),
        "the archive's list has 10001, expected at most 10000"
    );
}

#[test]
fn a_digest_that_is_given_is_compared() {
    let mut with = spec("rsa");
    let digest = sha256(data("jar/rsa.jar"));
    with["archive"]["hash"] = json!({"algorithm": "sha256", "value": digest});
    assert_eq!(
        propose("jar", "0.0.1", &with).unwrap(),
        propose("jar", "0.0.1", &spec("rsa")).unwrap()
    );
    let zeros = "0".repeat(64);
    with["archive"]["hash"]["value"] = json!(zeros);
    assert_eq!(
        refused("jar", "0.0.1", &with),
        format!("spec.archive.hash: is {zeros}, and the content's is {digest}")
    );
    assert_eq!(
        refused("jar", "0.0.1", &json!({})),
        "spec.archive is missing or empty"
    );
    assert_eq!(
        refused("jar", "0.0.1", &json!({"archive": {}})),
        "spec.archive.content is missing or empty"
    );
    assert_eq!(
        refused("jar", "0.0.2", &with),
        "entry of kind jar version 0.0.2 is not accepted, expected a kind and version of Rekor"
    );
}

#[test]
fn only_what_a_log_writes_is_read() {
    let entry = propose("jar", "0.0.1", &spec("rsa")).unwrap();
    let other = body(&propose("jar", "0.0.1", &spec("ec")).unwrap());
    let why = |change: &dyn Fn(&mut Value)| {
        let mut body = body(&entry);
        change(&mut body["spec"]);
        let body = serde_json::to_vec(&body).unwrap();
        StoredEntry::parse(&body).unwrap_err().to_string()
    };
    assert_eq!(
        why(&|spec| spec["signature"]["publicKey"] =
            other["spec"]["signature"]["publicKey"].clone()),
        "spec.signature.publicKey.content: is not the first certificate of the signature"
    );
    assert_eq!(
        why(&|spec| spec["signature"]["content"] =
            json!(b64(format!("\n{}", text(&spec["signature"]["content"]))))),
        "spec.signature.content: is not the canonical spelling of a signature"
    );
    assert!(
        why(&|spec| spec["archive"]["content"] = json!("")).contains("unknown field `content`")
    );
}

#[test]
fn manifests_as_no_tool_writes_them_are_refused_though_they_are_signed() {
    accepted("jar", "0.0.1", &spec("crafted"));
    for (file, reason) in [
        (
            "many-attributes",
            "META-INF/MANIFEST.MF: has more than 64 attributes in one section",
        ),
        (
            "many-sections",
            "META-INF/MANIFEST.MF: has more than 72 sections, which is as many as an archive of so many members may have",
        ),
        ("twice", "META-INF/MANIFEST.MF: has two sections for a/"),
        (
            "twice-attribute",
            "META-INF/MANIFEST.MF: has the attribute manifest-version twice in one section",
        ),
        (
            "no-name",
            "META-INF/MANIFEST.MF: has a section without a name",
        ),
        (
            "empty-section",
            "META-INF/MANIFEST.MF: has an empty section",
        ),
        (
            "cut",
            "META-INF/MANIFEST.MF: has a section without an empty line at its end",
        ),
        (
            "no-digest",
            "the signature file: has a digest neither of the manifest nor of its main attributes",
        ),
        (
            "unknown-digest",
            "spec.archive.content: has digests by md5 only, expected SHA-256, SHA-384, SHA-512 or SHA-1",
        ),
        (
            "file-no-digest",
            "spec.archive.content: META-INF/A.SF has no digest in META-INF/MANIFEST.MF",
        ),
    ] {
        assert_eq!(why(file), reason, "{file}");
    }
    let large = why("large");
    assert!(
        large.starts_with("spec.archive.content: META-INF/MANIFEST.MF is more than "),
        "{large}"
    );
}
