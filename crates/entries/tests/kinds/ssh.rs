//! Keys and signatures of OpenSSH, as a `rekord` logs them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{accepted, b64, body, data, refused, search_keys};

fn spec(key: impl AsRef<[u8]>, signature: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Value {
    json!({
        "data": {"content": b64(content)},
        "signature": {
            "content": b64(signature),
            "format": "ssh",
            "publicKey": {"content": b64(key)},
        },
    })
}

fn of(key: &str, signature: &str) -> Value {
    spec(file(key), file(signature), file("content"))
}

fn file(name: &str) -> Vec<u8> {
    data(&format!("ssh/{name}"))
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap()
}

fn why(spec: &Value) -> String {
    refused("rekord", "0.0.1", spec)
}

/// The bytes in a PEM signature.
fn blob(name: &str) -> Vec<u8> {
    let text = text(name);
    let lines = text.lines().filter(|line| !line.starts_with('-'));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

fn pem(label: &str, blob: &[u8]) -> String {
    let contents = b64(blob);
    let lines: Vec<_> = contents.as_bytes().chunks(64).collect();
    let lines = String::from_utf8(lines.join(&b'\n')).unwrap();
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

/// With one string of the signature's outer level made another.
fn replaced(name: &str, old: &[u8], new: &[u8]) -> String {
    let string = |text: &[u8]| {
        let len = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&len, text].concat()
    };
    let blob = blob(name);
    let old = string(old);
    let at = blob
        .windows(old.len())
        .position(|part| part == old)
        .unwrap();
    pem(
        "SSH SIGNATURE",
        &[&blob[..at], &string(new), &blob[at + old.len()..]].concat(),
    )
}

#[test]
fn every_kind_of_key_signs() {
    for (key, algorithm) in [
        ("ed25519", "ssh-ed25519"),
        ("rsa3072", "ssh-rsa"),
        ("ecdsa256", "ecdsa-sha2-nistp256"),
        ("ecdsa384", "ecdsa-sha2-nistp384"),
        ("ecdsa521", "ecdsa-sha2-nistp521"),
        ("sk-ed25519", "sk-ssh-ed25519@openssh.com"),
        ("sk-ecdsa", "sk-ecdsa-sha2-nistp256@openssh.com"),
    ] {
        let public = format!("{key}.pub");
        let mut signatures = vec![format!("{key}.sig")];
        if !key.starts_with("sk-") {
            signatures.push(format!("{key}.sha256.sig"));
        }
        for signature in signatures {
            let (entry, stored) = accepted("rekord", "0.0.1", &of(&public, &signature));
            let line = text(&public);
            let words: Vec<_> = line.split(' ').collect();
            assert_eq!(
                body(&entry)["spec"],
                json!({
                    "data": {"hash": {
                        "algorithm": "sha256",
                        "value": "9d9116edf6bc903031f363e444e1c34b1494e778772dd23b85c7206ff1e19a69",
                    }},
                    "signature": {
                        // In lines of 64 characters, where OpenSSH has 70.
                        "content": b64(pem("SSH SIGNATURE", &blob(&signature))),
                        "format": "ssh",
                        // Without the comment.
                        "publicKey": {"content": b64(format!("{} {}\n", words[0], words[1]))},
                    },
                })
            );
            assert_eq!(
                entry.signers()[0].description,
                format!("OpenSSH {algorithm}")
            );
            assert_eq!(search_keys(&stored).len(), 2);
            assert_eq!(entry.signers(), stored.facts().signers);
            for content in ["what is signee\n", "what is signed"] {
                assert_eq!(
                    why(&spec(file(&public), file(&signature), content)),
                    NOT_SIGNED
                );
            }
        }
    }
}

#[test]
fn a_key_is_found_by_the_digest_of_its_spki() {
    // ssh-keygen -e -m pkcs8 -f KEY.pub | openssl pkey -pubin -outform DER | sha256sum
    for key in ["rsa3072", "ecdsa256", "ecdsa384", "ecdsa521"] {
        let spec = of(&format!("{key}.pub"), &format!("{key}.sig"));
        let (_, stored) = accepted("rekord", "0.0.1", &spec);
        let expected = text(&format!("{key}.spki-sha256"));
        assert_eq!(search_keys(&stored)[0], format!("Key {}", expected.trim()));
    }
    // The 32 bytes of Ed25519 are the last of the key, and of its SPKI.
    let (entry, _) = accepted("rekord", "0.0.1", &of("ed25519.pub", "ed25519.sig"));
    let line = text("ed25519.pub");
    let key = STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap();
    let spki = &entry.signers()[0].fingerprinted;
    assert_eq!(spki.len(), 44);
    assert!(key.ends_with(&spki[12..]));
}

#[test]
fn a_key_is_the_first_of_authorized_keys() {
    let whole = accepted("rekord", "0.0.1", &of("ed25519.pub", "ed25519.sig")).0;
    let line = text("ed25519.pub");
    let line = line.trim();
    for key in [
        format!("# a comment\n\n{line}\n"),
        format!("{line}\n{}", text("other.pub")),
        format!("no-pty {line}"),
        format!("command=\"echo \\\"x y\\\" z\",no-pty {line}\r\n"),
        format!("alice@log.example {line}"),
        line.replace(' ', "\t  "),
        line.split(' ').take(2).collect::<Vec<_>>().join(" "),
        format!("what no one reads as a key\n{line}"),
    ] {
        let spec = spec(&key, file("ed25519.sig"), file("content"));
        assert_eq!(accepted("rekord", "0.0.1", &spec).0, whole, "{key}");
    }
}

#[test]
fn what_is_reserved_is_not_logged() {
    let whole = accepted("rekord", "0.0.1", &of("ed25519.pub", "ed25519.sig")).0;
    let blob = blob("ed25519.sig");
    let namespace = b"\0\0\0\x04file\0\0\0\0";
    let at = blob.windows(12).position(|part| part == namespace).unwrap() + 8;
    let reserved = [&blob[..at], b"\0\0\0\x01x", &blob[at + 4..]].concat();
    let spec = spec(
        file("ed25519.pub"),
        pem("SSH SIGNATURE", &reserved),
        file("content"),
    );
    assert_eq!(accepted("rekord", "0.0.1", &spec).0, whole);
}

#[test]
fn a_signature_is_of_this_key() {
    assert_eq!(why(&of("other.pub", "ed25519.sig")), NOT_SIGNED);
    assert_eq!(why(&of("ed25519.pub", "rsa3072.sig")), NOT_SIGNED);
    // It says to be of the other key, which it is not.
    let other = text("other.pub");
    let other = STANDARD.decode(other.split(' ').nth(1).unwrap()).unwrap();
    let own = text("ed25519.pub");
    let own = STANDARD.decode(own.split(' ').nth(1).unwrap()).unwrap();
    let renamed = replaced("ed25519.sig", &own, &other);
    for key in ["ed25519.pub", "other.pub"] {
        assert_eq!(why(&spec(file(key), &renamed, file("content"))), NOT_SIGNED);
    }
}

#[test]
fn a_signature_is_over_files_and_by_a_hash_that_is_known() {
    assert_eq!(
        why(&of("ed25519.pub", "ed25519.git.sig")),
        "signature: is of namespace \"git\", expected \"file\""
    );
    let with = |signature: String| why(&spec(file("ed25519.pub"), signature, file("content")));
    // It was signed with another.
    assert_eq!(
        with(replaced("ed25519.sig", b"sha512", b"sha256")),
        NOT_SIGNED
    );
    assert_eq!(
        with(replaced("ed25519.sig", b"sha512", b"sha1")),
        "signature: invalid label: 'sha1'"
    );
    let mut blob = blob("ed25519.sig");
    for (version, error) in [
        (0, "signature: is of version 0, expected 1"),
        (2, "signature: version unsupported: 2"),
    ] {
        blob[9] = version;
        assert_eq!(with(pem("SSH SIGNATURE", &blob)), error);
    }
    let signature = self::blob("rsa3072.sig");
    let inner = signature.len() - 4 - 384 - 4 - 12;
    let inner = &signature[inner..];
    let by_sha1 = [b"\0\0\0\x07ssh-rsa", &inner[16..]].concat();
    assert_eq!(
        why(&spec(
            file("rsa3072.pub"),
            replaced("rsa3072.sig", inner, &by_sha1),
            file("content")
        )),
        "signature: is by ssh-rsa with SHA-1, expected rsa-sha2-256 or rsa-sha2-512"
    );
}

#[test]
fn what_is_no_signature_is_refused() {
    let with = |signature: &str| why(&spec(file("ed25519.pub"), signature, file("content")));
    let good = text("ed25519.sig");
    let no_pem = "signature: is not an SSH SIGNATURE in PEM, with BEGIN and END";
    assert_eq!(with("x"), no_pem);
    assert_eq!(with(&good[..good.len() - 10]), no_pem);
    assert_eq!(
        with(&good.repeat(2)),
        "signature has 2 elements, expected 1"
    );
    assert_eq!(
        with(&pem("PGP SIGNATURE", &blob("ed25519.sig"))),
        "signature: is in PEM a \"PGP SIGNATURE\", expected \"SSH SIGNATURE\""
    );
    // Every truncation, and bytes behind it.
    let blob = blob("ed25519.sig");
    for len in 1..blob.len() {
        let error = with(&pem("SSH SIGNATURE", &blob[..len]));
        assert!(error.starts_with("signature: "), "{error}");
    }
    assert_eq!(
        with(&pem("SSH SIGNATURE", &[blob.as_slice(), &[0]].concat())),
        "signature: is not spelled as OpenSSH spells it"
    );
    // Every bit.
    for at in 0..blob.len() {
        let mut flipped = blob.clone();
        flipped[at] ^= 1;
        let signature = pem("SSH SIGNATURE", &flipped);
        let error = with(&signature);
        assert!(
            error == NOT_SIGNED || error.starts_with("signature: "),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let with = |key: &str| why(&spec(key, file("ed25519.sig"), file("content")));
    let line = text("ed25519.pub");
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!(with("# nothing\n"), "public key is missing or empty");
    assert_eq!(with("ssh-ed25519"), "public key is missing or empty");
    assert_eq!(with("ssh-ed25519 ???"), "public key is not base64: ???");
    let starts = |key: &str, expected: &str| {
        let error = with(key);
        assert!(error.starts_with(expected), "{error}");
    };
    starts(
        "ssh-dss AAAA",
        "public key: is of algorithm \"ssh-dss\", expected one of ssh-ed25519, ",
    );
    starts(
        &text("ed25519-cert.pub"),
        "public key: is of algorithm \"ssh-ed25519-cert-v01@openssh.com\", expected one of ",
    );
    starts(
        &format!(
            "ssh-ed25519 {}",
            text("ed25519-cert.pub").split(' ').nth(1).unwrap()
        ),
        "public key: is of algorithm \"ssh-ed25519-cert-v01@openssh.com\", expected one of ",
    );
    starts(
        &String::from_utf8(data("p256.pub.pem")).unwrap(),
        "public key: is of algorithm \"-----BEGIN\", expected one of ",
    );
    assert_eq!(
        with(&format!("ssh-rsa {}", words[1])),
        "public key: is of ssh-ed25519, and named ssh-rsa"
    );
    assert_eq!(
        with(&text("rsa1024.pub")),
        "public key: is RSA of 1024 bits, expected 2048 to 8192"
    );
    assert_eq!(
        with(&format!("ssh-ed25519 {}", &words[1][..words[1].len() - 4])),
        "public key: length invalid"
    );
    let mut key = STANDARD
        .decode(text("ecdsa256.pub").split(' ').nth(1).unwrap())
        .unwrap();
    *key.last_mut().unwrap() ^= 1;
    assert_eq!(
        with(&format!("ecdsa-sha2-nistp256 {}", b64(key))),
        "public key has an EC point that is not on its curve"
    );
    assert_eq!(
        with(&format!("{line}{}", "#".repeat(64 << 10))),
        format!(
            "spec.signature.publicKey.content has {}, expected at most 65536",
            (line.len() + (64 << 10)).div_ceil(3) * 3
        )
    );
}

/// In ssh-key a certificate is read with the key that signed it, which may be a certificate: it would end the stack.
#[test]
fn certificates_in_certificates_are_not_read() {
    assert!(why(&of("ed25519.pub", "ed25519-cert.sig")).starts_with(
        "signature: is of algorithm \"ssh-ed25519-cert-v01@openssh.com\", expected one of "
    ));
    let string =
        |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let name = string(b"ssh-ed25519-cert-v01@openssh.com");
    let head = [
        name,
        string(b""),
        string(&[7; 32]),
        vec![0; 8 + 4 + 4 + 4 + 8 + 8 + 4 + 4 + 4],
    ]
    .concat();
    let mut key = string(b"ssh-ed25519");
    while key.len() + head.len() < 45 << 10 {
        key = [head.clone(), string(&key)].concat();
    }
    let blob = [b"SSHSIG\0\0\0\x01".as_slice(), &string(&key)].concat();
    let bomb = spec(
        file("ed25519.pub"),
        pem("SSH SIGNATURE", &blob),
        file("content"),
    );
    assert!(why(&bomb).starts_with(
        "signature: is of algorithm \"ssh-ed25519-cert-v01@openssh.com\", expected one of "
    ));
    let bomb = spec(
        format!("ssh-ed25519 {}", b64(&key)),
        file("ed25519.sig"),
        file("content"),
    );
    assert!(why(&bomb).starts_with(
        "public key: is of algorithm \"ssh-ed25519-cert-v01@openssh.com\", expected one of "
    ));
}

const NOT_SIGNED: &str = "the signature does not verify over the content with the given key";
