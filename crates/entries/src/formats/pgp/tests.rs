//! Keys and signatures that gpg made, and what Go's library makes of them (`tests/data/pgp/make`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use super::*;
use crate::PublicKey;
use std::path::Path;

fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/pgp")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn key(name: &str) -> PgpKey {
    PgpKey::parse(&data(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn refused(bytes: &[u8]) -> String {
    PgpKey::parse(bytes).unwrap_err().to_string()
}

fn verify(key: &str, signature: &str) -> Result<(), String> {
    self::key(key)
        .verify(&data("message"), &data(signature))
        .map_err(|error| error.to_string())
}

/// The packets of a file in armor.
fn packets(name: &str) -> Vec<u8> {
    let file = data(name);
    armor::decode("test", armor::blocks(&file)[0]).unwrap().1
}

const NOT_SIGNED: &str =
    "the OpenPGP signature does not verify over the content with the given key";

#[test]
fn signatures_of_every_algorithm_are_verified() {
    for name in [
        "rsa3072", "ed25519", "nistp256", "nistp384", "nistp521", "dsa2048",
    ] {
        let key_name = format!("{name}.asc");
        let signature = data(&format!("{name}.sig"));
        let key = key(&key_name);
        key.verify(&data("message"), &signature)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let changed = key.verify(b"another message", &signature).unwrap_err();
        assert_eq!(changed.to_string(), NOT_SIGNED, "{name}");
        // The last byte is of the number.
        let mut packets = binary(&signature).unwrap();
        *packets.last_mut().unwrap() ^= 1;
        let changed = key.verify(&data("message"), &packets).unwrap_err();
        assert_eq!(changed.to_string(), NOT_SIGNED, "{name}");
    }
}

#[test]
fn signatures_with_every_hash_and_of_text_are_verified() {
    for signature in [
        "rsa3072.sig.bin",
        "text.sig",
        "sha1.sig",
        "sha224.sig",
        "sha384.sig",
        "v3.sig",
    ] {
        assert_eq!(verify("rsa3072.asc", signature), Ok(()), "{signature}");
        assert_eq!(verify("rsa3072.gpg", signature), Ok(()), "{signature}");
        let other = verify("ed25519.asc", signature);
        assert_eq!(other, Err(NOT_SIGNED.to_owned()), "{signature}");
    }
    assert_eq!(verify("nistp256.asc", "nistp256-sha512.sig"), Ok(()));
    // A text is the same with other line ends; a document is not.
    let crlf = String::from_utf8(data("message"))
        .unwrap()
        .replace('\n', "\r\n");
    let rsa = key("rsa3072.asc");
    rsa.verify(crlf.as_bytes(), &data("text.sig")).unwrap();
    rsa.verify(crlf.as_bytes(), &data("rsa3072.sig"))
        .unwrap_err();
}

#[test]
fn a_key_is_spelled_as_go_spells_it() {
    for name in [
        "rsa3072",
        "ed25519",
        "nistp256",
        "nistp384",
        "nistp521",
        "dsa2048",
        "names",
        "subkey",
        "expired",
        "two",
        "superseded",
        "compromised",
        "mixed",
    ] {
        let canonical = key(&format!("{name}.asc")).canonical();
        let expected = data(&format!("{name}.canonical"));
        assert_eq!(
            String::from_utf8(canonical).unwrap(),
            String::from_utf8(expected).unwrap(),
            "{name}"
        );
        // And so is what was spelled so.
        let again = key(&format!("{name}.canonical")).canonical();
        assert_eq!(again, data(&format!("{name}.canonical")), "{name}");
    }
    assert_eq!(key("rsa3072.gpg").canonical(), data("rsa3072.canonical"));
}

#[test]
fn a_signature_is_spelled_as_go_spells_it() {
    let key = key("rsa3072.asc");
    let armored = data("rsa3072.sig");
    assert_eq!(key.canonical_signature(&armored).unwrap(), armored);
    assert_eq!(
        key.canonical_signature(&data("rsa3072.sig.bin")).unwrap(),
        data("rsa3072.sig.canonical")
    );
}

#[test]
fn subpackets_that_are_not_signed_have_their_shortest_length() {
    let packets = packets("ed25519.sig");
    let body = Framed::split("test", &packets).unwrap()[0].body;
    let at = 6 + usize::from(u16::from_be_bytes([body[4], body[5]]));
    // The issuer's key ID is the only one: ten bytes, of which the first is the length.
    assert_eq!(&body[at..at + 4], [0, 10, 9, 16]);
    let mut long = body[..at].to_vec();
    long.extend([0, 14, 255, 0, 0, 0, 9]);
    long.extend_from_slice(&body[at + 3..]);
    let framed = Framed {
        tag: Tag::Signature,
        body: &long,
    };
    assert_eq!(Signed::parse(&framed).unwrap().unwrap().body, body);
}

#[test]
fn facts_are_those_of_the_primary_key_and_of_whom_it_names() {
    for (name, description) in [
        ("rsa3072", "OpenPGP v4 RSA 3072 "),
        ("ed25519", "OpenPGP v4 Ed25519 "),
        ("nistp256", "OpenPGP v4 ECDSA NIST P-256 "),
        ("nistp521", "OpenPGP v4 ECDSA NIST P-521 "),
    ] {
        let facts = key(&format!("{name}.asc")).facts();
        assert_eq!(facts.identities, [format!("{name}@example.com")]);
        assert!(
            facts.description.starts_with(description),
            "{}",
            facts.description
        );
        // It is one key in one encoding, whoever reads it.
        let spki = PublicKey::from_spki_der(&facts.fingerprinted).unwrap();
        assert_eq!(spki.spki_der(), facts.fingerprinted);
    }
    let dsa = key("dsa2048.asc");
    assert_eq!(dsa.facts().fingerprinted, dsa.canonical());
    let mut identities = key("names.asc").facts().identities;
    identities.sort();
    assert_eq!(
        identities,
        [
            "a name without an address",
            "names@example.com",
            "second@example.org"
        ]
    );
    let two = key("two.asc");
    assert_eq!(
        two.facts().identities,
        ["rsa3072@example.com", "ed25519@example.com"]
    );
    assert_eq!(two.each().len(), 2);
    assert_eq!(two.each()[1], key("ed25519.asc").facts());
}

#[test]
fn one_of_several_keys_signs_and_so_does_a_subkey() {
    let signers = |key: &str, signature: &str| {
        let signers = self::key(key).signers(&data("message"), &data(signature));
        let names = |facts: KeyFacts| facts.identities[0].clone();
        signers.unwrap().into_iter().map(names).collect::<Vec<_>>()
    };
    assert_eq!(signers("two.asc", "ed25519.sig"), ["ed25519@example.com"]);
    assert_eq!(
        signers("two.asc", "two.sig"),
        ["rsa3072@example.com", "ed25519@example.com"]
    );
    assert_eq!(signers("rsa3072.asc", "two.sig"), ["rsa3072@example.com"]);
    assert_eq!(signers("subkey.asc", "subkey.sig"), ["subkey@example.com"]);
    // Of two signatures by the given keys both have to be good.
    let mut second = packets("ed25519.sig");
    *second.last_mut().unwrap() ^= 1;
    let both = [packets("rsa3072.sig"), second].concat();
    key("rsa3072.asc").verify(&data("message"), &both).unwrap();
    let error = key("two.asc").verify(&data("message"), &both).unwrap_err();
    assert_eq!(error.to_string(), NOT_SIGNED);
}

#[test]
fn a_key_has_to_be_valid_when_it_signs() {
    assert_eq!(verify("expired.asc", "expired.sig"), Ok(()));
    assert_eq!(verify("prolonged.asc", "late.sig"), Ok(()));
    // What it says of itself, it said after it had signed.
    assert_eq!(verify("prolonged.asc", "expired.sig"), Ok(()));
    let invalid = |key, signature, reason: &str, at: u32| {
        assert_eq!(
            verify(key, signature),
            Err(format!(
                "public key: {reason} when the signature was made, at {at} seconds after 1970"
            ))
        );
    };
    invalid("expired.asc", "late.sig", "had expired", 1_609_459_200);
    invalid(
        "expired.asc",
        "early.sig",
        "was not yet made",
        1_577_750_400,
    );
    // Superseded, and compromised.
    assert_eq!(verify("superseded.asc", "superseded-before.sig"), Ok(()));
    invalid(
        "superseded.asc",
        "superseded-after.sig",
        "was revoked",
        1_578_096_000,
    );
    invalid(
        "compromised.asc",
        "compromised-before.sig",
        "was revoked",
        1_577_923_200,
    );
}

#[test]
fn version_6_is_taken() {
    let key = key("v6.asc");
    let message = Clearsigned::parse("test", &data("v6-clear.asc")).unwrap();
    key.verify(&message.signed, &message.signature).unwrap();
    key.verify(b"other", &message.signature).unwrap_err();
    assert_eq!(
        PgpKey::parse(&key.canonical()).unwrap().canonical(),
        key.canonical()
    );
    assert_eq!(
        key.facts().description,
        "OpenPGP v6 Ed25519 CB186C4F0609A697E4D52DFA6C722B0C1F1E27C18A56708F6525EC27BAD9ACC9"
    );
}

#[test]
fn a_message_in_the_clear_is_what_was_signed() {
    let message = Clearsigned::parse("test", &data("clear.asc")).unwrap();
    // White space at the end of a line is not signed, and a dash is escaped.
    assert_eq!(
        message.text,
        "What is signed: a line,\nand - another.\n- dashed\n"
    );
    let key = key("rsa3072.asc");
    key.verify(&message.signed, &message.signature).unwrap();
    let parse = |text: &str| Clearsigned::parse("test", text.as_bytes()).unwrap_err();
    let text = String::from_utf8(data("clear.asc")).unwrap();
    let changed = text.replace("a line", "a lime");
    let changed = Clearsigned::parse("test", changed.as_bytes()).unwrap();
    key.verify(&changed.signed, &changed.signature).unwrap_err();
    // After CR and LF it is the same, and so it is between other text.
    let crlf = format!("before\n{}\nafter", text.replace('\n', "\r\n"));
    let crlf = Clearsigned::parse("test", crlf.as_bytes()).unwrap();
    assert_eq!(crlf.signed, message.signed);
    for (text, expected) in [
        (
            "a text",
            "test: is not a message that OpenPGP signed in the clear",
        ),
        (
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n",
            "test: ends within its headers",
        ),
        (
            "-----BEGIN PGP SIGNED MESSAGE-----\nComment: x\n\n",
            "test: has a header that is neither Hash nor SaltedHash",
        ),
        (
            "-----BEGIN PGP SIGNED MESSAGE-----\n\ntext\n",
            "test: ends before its signature",
        ),
    ] {
        assert_eq!(parse(text).to_string(), expected);
    }
}

#[test]
fn what_is_no_key_is_refused() {
    assert_eq!(refused(b""), "public key: is not an OpenPGP key");
    assert_eq!(
        refused(b"ssh-ed25519 AAAA"),
        "public key: is not an OpenPGP key"
    );
    assert_eq!(
        refused(&data("private.asc")),
        "public key: is a private key, expected a public one"
    );
    assert_eq!(
        refused(&data("rsa3072.sig")),
        "public key: is a PGP SIGNATURE, expected a PGP PUBLIC KEY BLOCK"
    );
    assert_eq!(
        refused(&packets("rsa3072.sig")),
        "public key: is not an OpenPGP key"
    );
    let binary = data("rsa3072.gpg");
    let len = Framed::split("test", &binary).unwrap()[2].body.len();
    assert_eq!(
        refused(&binary[..binary.len() - 1]),
        format!(
            "public key: is truncated: a packet has {} bytes of {len}",
            len - 1
        )
    );
    let text = data("rsa3072.asc");
    assert_eq!(
        refused(&text[..200]),
        "public key: is not OpenPGP armor, or it is truncated"
    );
    let mut other = packets("ed25519.asc");
    let last = other.len() - 1;
    other[last] ^= 1;
    assert_eq!(
        refused(&other),
        "public key: has a signature on a user ID that is not its owner's: the signature is another key's"
    );
    // Without its user ID and the signature on it.
    let key = Framed::split("test", &packets("ed25519.asc")).unwrap()[0]
        .body
        .to_vec();
    let mut alone = Vec::new();
    packets::write(Tag::PublicKey, &key, &mut alone);
    assert_eq!(
        refused(&alone),
        "public key: names nobody that its owner signed for"
    );
    let mut old = Vec::new();
    packets::write(Tag::PublicKey, &[3, 0, 0, 0, 0, 0, 0, 1], &mut old);
    assert_eq!(
        refused(&old),
        "public key: is an OpenPGP key of version 3, expected 4 or 6"
    );
}

#[test]
fn what_is_no_signature_is_refused() {
    let key = key("ed25519.asc");
    let refused = |signature: &[u8]| {
        let error = key.verify(&data("message"), signature).unwrap_err();
        let canonical = key.canonical_signature(signature);
        (error.to_string(), canonical.is_err())
    };
    let pinned = |signature: &[u8], expected: &str, canonical: bool| {
        assert_eq!(refused(signature), (expected.to_owned(), canonical));
    };
    pinned(b"", "signature is missing or empty", true);
    pinned(
        b"hello",
        "signature: is not OpenPGP packets: unknown packet header version 1101000",
        true,
    );
    pinned(
        &data("ed25519.asc"),
        "signature: is a PGP PUBLIC KEY BLOCK, expected a PGP SIGNATURE",
        true,
    );
    pinned(
        &data("rsa3072.gpg"),
        "signature: has a packet of type 6, expected signatures",
        true,
    );
    pinned(
        &[data("ed25519.sig"), data("ed25519.sig")].concat(),
        "signature: has 2 armored blocks, expected one",
        true,
    );
    let packets = packets("ed25519.sig");
    let len = Framed::split("test", &packets).unwrap()[0].body.len();
    pinned(
        &packets[..packets.len() - 1],
        &format!(
            "signature: is truncated: a packet has {} bytes of {len}",
            len - 1
        ),
        true,
    );
    pinned(
        &data("critical.sig"),
        "signature: has a subpacket that is critical and not understood: Notation",
        false,
    );
    // One of a user ID.
    let certification = self::packets("ed25519.asc");
    let certification = Framed::split("test", &certification).unwrap()[2].body;
    let mut other = Vec::new();
    packets::write(Tag::Signature, certification, &mut other);
    pinned(
        &other,
        "signature: is of type CertPositive, expected one over a document",
        false,
    );
    // MD5 is not among the algorithms.
    let body = Framed::split("test", &packets).unwrap()[0].body;
    let mut md5 = body.to_vec();
    md5[3] = 1;
    other.clear();
    packets::write(Tag::Signature, &md5, &mut other);
    pinned(
        &other,
        "signature: has no signature of a version and an algorithm that is taken",
        true,
    );
}

#[test]
fn all_is_bounded() {
    let large = vec![0x99; MAX_KEY_LEN + 1];
    let error = key("ed25519.asc").verify(b"", &large).unwrap_err();
    assert_eq!(
        error.to_string(),
        "signature has 65537, expected at most 65536"
    );
    let many = [packets("ed25519.sig").as_slice(); 9].concat();
    let error = key("ed25519.asc").verify(b"", &many).unwrap_err();
    assert_eq!(
        error.to_string(),
        "signatures in one has 9, expected at most 8"
    );
    // A thousand packets that are nothing, each of two bytes.
    assert_eq!(
        refused(&[0xca, 0].repeat(1025)),
        "OpenPGP packets has 1025, expected at most 1024"
    );
    let header = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n";
    assert_eq!(
        refused(format!("{header}{}", "a: b\n".repeat(17)).as_bytes()),
        "armor headers has 17, expected at most 16"
    );
    let keys = packets("ed25519.asc");
    let body = Framed::split("test", &keys).unwrap()[0].body.to_vec();
    let mut many = Vec::new();
    for _ in 0..65 {
        packets::write(Tag::PublicKey, &body, &mut many);
    }
    assert_eq!(
        refused(&many),
        "keys and subkeys has 65, expected at most 64"
    );
    let parts = Framed::split("test", &keys).unwrap();
    let mut many = Vec::new();
    packets::write(Tag::PublicKey, parts[0].body, &mut many);
    packets::write(Tag::UserId, parts[1].body, &mut many);
    for _ in 0..129 {
        packets::write(Tag::Signature, parts[2].body, &mut many);
    }
    assert_eq!(
        refused(&many),
        "signatures of a key's owner has 129, expected at most 128"
    );
    let dsa = [&[4, 0, 0, 0, 0, 17, 0x40, 0][..], &[0xff; 2048]].concat();
    let mut large = Vec::new();
    packets::write(Tag::PublicKey, &dsa, &mut large);
    assert_eq!(
        refused(&large),
        "bits of a DSA key has 16384, expected at most 3072"
    );
    let subpackets = [4, 0, 22, 10, 0, 130]
        .into_iter()
        .chain([1, 99].repeat(65))
        .chain([0; 8])
        .collect::<Vec<_>>();
    let mut many = Vec::new();
    packets::write(Tag::Signature, &subpackets, &mut many);
    let error = key("ed25519.asc").verify(b"", &many).unwrap_err();
    assert_eq!(error.to_string(), "subpackets has 65, expected at most 64");
}

/// A DSA key whose owner signed as often as may be is what takes longest.
#[test]
fn the_slowest_key_is_taken() {
    let packets = packets("dsa2048.asc");
    let parts = Framed::split("test", &packets).unwrap();
    let mut many = Vec::new();
    packets::write(Tag::PublicKey, parts[0].body, &mut many);
    packets::write(Tag::UserId, parts[1].body, &mut many);
    for _ in 0..128 {
        packets::write(Tag::Signature, parts[2].body, &mut many);
    }
    PgpKey::parse(&many).unwrap();
}

#[test]
fn whatever_byte_is_changed_nothing_panics_and_what_is_taken_has_one_spelling() {
    for name in [
        "dsa2048.asc",
        "nistp384.asc",
        "subkey.asc",
        "v6.asc",
        "mixed.asc",
    ] {
        let mut packets = armor::blocks(&data(name))
            .into_iter()
            .flat_map(|block| armor::decode("test", block).unwrap().1)
            .collect::<Vec<_>>();
        for at in 0..packets.len() {
            let before = packets[at];
            for changed in [before ^ 1, !before] {
                packets[at] = changed;
                if let Ok(key) = PgpKey::parse(&packets) {
                    let canonical = key.canonical();
                    let again = PgpKey::parse(&canonical).unwrap();
                    assert_eq!(again.canonical(), canonical, "{name} {at}");
                    assert_eq!(again.facts(), key.facts(), "{name} {at}");
                }
            }
            packets[at] = before;
        }
    }
    for (name, by) in [
        ("dsa2048", "dsa2048"),
        ("nistp521", "nistp521"),
        ("v3", "rsa3072"),
        ("ed25519", "ed25519"),
    ] {
        let key = key(&format!("{by}.asc"));
        let mut packets = packets(&format!("{name}.sig"));
        for at in 0..packets.len() {
            packets[at] ^= 1;
            let _either = key.verify(b"message", &packets);
            packets[at] ^= 1;
        }
    }
}
