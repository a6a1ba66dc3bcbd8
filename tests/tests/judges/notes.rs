//! Keys, notes and checkpoints.

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use signed_note::{Note, StandardSigner, StandardVerifier, Verifier, VerifierList};
use tegula_tlog::{Checkpoint, Hash, SigningKey, TreeSize, VerifierKey, empty_root, leaf_hash};

use crate::random::Random;

const ORIGIN: &str = "log.example";

fn ed25519() -> SigningKey {
    SigningKey::ed25519_from_seed(ORIGIN, &[5; 32]).unwrap()
}

fn ecdsa() -> SigningKey {
    SigningKey::ecdsa_from_scalar(ORIGIN, &[6; 32]).unwrap()
}

fn their_verifiers() -> VerifierList {
    let verifier = StandardVerifier::new(&ed25519().verifier().to_string()).unwrap();
    VerifierList::new(vec![Box::new(verifier)])
}

/// The same seed, in their spelling of a private key.
fn their_signer() -> StandardSigner {
    // Type 1 and 32 bytes of 5, in base64.
    let key = "AQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF";
    let id = u32::from_be_bytes(ed25519().verifier().key_id());
    let text = format!("PRIVATE+KEY+{ORIGIN}+{id:08x}+{key}");
    assert_eq!(
        SigningKey::from_note_key(&text).unwrap().verifier(),
        ed25519().verifier()
    );
    StandardSigner::new(&text).unwrap()
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.to_owned(),
        size: TreeSize::new(size).unwrap(),
        root: match size {
            0 => empty_root(),
            _ => leaf_hash(&size.to_be_bytes()),
        },
        extensions: Vec::new(),
    }
}

fn sizes() -> impl Iterator<Item = u64> {
    (0..=600).chain([65_535, 65_536, 65_537, u64::MAX >> 1])
}

#[test]
fn they_read_our_checkpoints() {
    for size in sizes() {
        let ours = checkpoint(size);
        let note = ours.sign(&[&ed25519(), &ecdsa()]).unwrap().to_bytes();
        let theirs = Note::from_bytes(&note).unwrap();
        let (verified, others) = theirs.verify(&their_verifiers()).unwrap();
        assert_eq!((verified.len(), others.len()), (1, 1));
        let id = u32::from_be_bytes(ecdsa().verifier().key_id());
        assert_eq!((others[0].name(), others[0].id()), (ORIGIN, id));
        assert_eq!(theirs.to_bytes(), note);
        let head = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
        assert_eq!((head.origin(), head.size()), (ORIGIN, size));
        assert_eq!((Hash(head.hash().0), head.extension()), (ours.root, ""));
        assert_eq!(head.to_bytes(), theirs.text());
    }
}

#[test]
fn we_read_theirs_and_both_sign_alike() {
    for size in sizes() {
        for extension in ["", "a line\n", "two\nlines\n"] {
            let mut ours = checkpoint(size);
            ours.extensions = extension.lines().map(str::to_owned).collect();
            let root = tlog_tiles::Hash(ours.root.0);
            let head = tlog_tiles::Checkpoint::new(ORIGIN, size, root, extension).unwrap();
            let mut note = Note::new(&head.to_bytes(), &[]).unwrap();
            note.add_sigs(&[&their_signer()]).unwrap();
            let note = note.to_bytes();
            let (found, _) = Checkpoint::open(&note, &[ed25519().verifier()]).unwrap();
            assert_eq!(found, ours);
            // Ed25519 leaves nothing open: even the bytes are the same.
            assert_eq!(ours.sign(&[&ed25519()]).unwrap().to_bytes(), note);
        }
    }
}

/// Why the two do not agree on a changed note or key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Reason {
    /// A size above 2^63-1: they read it.
    Size,
    /// A key that signs twice, once wrongly: they look at its first line alone.
    SecondSignature,
    /// An origin that is not the name of the key: they leave it to the caller.
    Origin,
    /// A letter of a key id in upper case, or a plus before its digits: they read it.
    KeyId,
    /// A control character beyond ASCII's first 32 in the name of a key that is to be trusted: they read it.
    Control,
}

/// Every byte of a signed note changed in several ways, every beginning of it, and lines moved about.
#[test]
fn changed_notes() {
    let known = their_verifiers();
    let mut counts = BTreeMap::new();
    let mut accepted = 0;
    for note in changed() {
        let ours = Checkpoint::open(&note, &[ed25519().verifier()]);
        let theirs = Note::from_bytes(&note).ok().and_then(|note| {
            note.verify(&known).ok()?;
            tlog_tiles::Checkpoint::from_bytes(note.text()).ok()
        });
        match (ours, theirs) {
            (Err(_), None) => {}
            (Ok((ours, _)), Some(theirs)) => {
                accepted += 1;
                assert_eq!(ours.to_string().as_bytes(), theirs.to_bytes());
            }
            (Ok(_), None) => panic!("{} is a note to us alone", show(&note)),
            (Err(why), Some(theirs)) => {
                let reason = if theirs.size() > u64::MAX >> 1 {
                    Reason::Size
                } else if theirs.origin() != ORIGIN {
                    Reason::Origin
                } else if why.to_string().contains("is wrong") {
                    Reason::SecondSignature
                } else {
                    panic!("{} is a note to them alone: {why}", show(&note))
                };
                *counts.entry(reason).or_insert(0) += 1;
            }
        }
    }
    assert!(accepted > 100, "{accepted}");
    assert_eq!(counts.len(), 3, "{counts:?}");
}

fn changed() -> Vec<Vec<u8>> {
    let sign = |checkpoint: &Checkpoint| {
        let note = checkpoint.sign(&[&ed25519(), &ecdsa()]).unwrap();
        note.to_bytes()
    };
    let note = sign(&checkpoint(1_234));
    let mut notes = vec![note.clone()];
    for at in 0..note.len() {
        notes.push(note[..at].to_vec());
        for change in [1, 2, 4, 16, 32, 64, 128] {
            let mut changed = note.clone();
            changed[at] ^= change;
            notes.push(changed);
        }
        for letter in *b"\n =A0" {
            let mut changed = note.clone();
            changed.insert(at, letter);
            notes.push(changed);
        }
        let mut changed = note.clone();
        changed.remove(at);
        notes.push(changed);
    }
    // Lines left out, doubled and moved.
    let text = String::from_utf8(note).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let mut random = Random(2);
    for _ in 0..5_000 {
        let mut lines = lines.clone();
        for _ in 0..1 + random.below(2) {
            let (at, other) = (random.at(lines.len()), random.at(lines.len()));
            match random.below(3) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[other]),
                _ => lines.swap(at, other),
            }
        }
        notes.push(lines.concat().into_bytes());
    }
    // Texts that are signed as they stand, and are checkpoints or not.
    for text in texts() {
        let Ok(mut note) = Note::new(text.as_bytes(), &[]) else {
            continue;
        };
        note.add_sigs(&[&their_signer()]).unwrap();
        notes.push(note.to_bytes());
        // A second signature of the same key, which is wrong.
        let mut twice = note.to_bytes();
        let id = ed25519().verifier().key_id();
        let wrong =
            signed_note::Signature::new(ORIGIN.to_owned(), u32::from_be_bytes(id), vec![0; 64]);
        twice.extend(wrong.unwrap().to_bytes());
        notes.push(twice);
    }
    // As many signatures as may be, and one more.
    for count in [99, 100] {
        let mut note = sign(&checkpoint(7));
        let other = signed_note::Signature::new("other".to_owned(), 7, vec![0; 64]).unwrap();
        for _ in 2..=count {
            note.extend(other.to_bytes());
        }
        notes.push(note);
    }
    notes
}

fn texts() -> Vec<String> {
    let root = "OF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqo=";
    let mut texts = Vec::new();
    for origin in [
        ORIGIN,
        "other.example",
        "",
        " ",
        "log.example ",
        "log.example+",
        "é",
    ] {
        for size in [
            "0",
            "1",
            "01",
            "",
            "-1",
            "+1",
            " 1",
            "1 ",
            "0x1",
            "1e3",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "１",
        ] {
            for root in [
                root,
                "",
                "AAAA",
                &root[1..],
                "OF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqp=",
                "OF2jDzkXKCyJOd_4UZV-UZqxhGsTUaFMCts7EWMnQqo=",
            ] {
                for rest in [
                    "", "x\n", "\n", "x\n\n", "\nx\n", "x\ny\n", " \n", "\u{7f}\n", "\u{85}\n",
                ] {
                    texts.push(format!("{origin}\n{size}\n{root}\n{rest}"));
                }
            }
        }
    }
    texts
}

/// A verifier key, changed in every place.
#[test]
fn changed_keys() {
    let key = ed25519().verifier().to_string();
    let mut random = Random(4);
    let mut keys = vec![key.clone(), ecdsa().verifier().to_string()];
    for at in 0..key.len() {
        keys.push(key[..at].to_owned());
        for letter in "+ aAfF0=/\u{7f}\u{85}\n\t".chars() {
            let mut changed = key.clone();
            changed.insert(at, letter);
            keys.push(changed.clone());
            changed.remove(at + letter.len_utf8());
            keys.push(changed);
        }
    }
    keys.extend([key.to_uppercase(), upper_id(&key), format!("{key}\n")]);
    // Names, each with the id that belongs to it.
    let spki = {
        let mut key = vec![1];
        key.extend_from_slice(&ed25519().verifier().to_spki()[12..]);
        key
    };
    for _ in 0..2_000 {
        let name: String = (0..1 + random.below(4))
            .map(|_| {
                let code = [0x7f, 0xff, 0x3000, 0xffff][random.at(4)];
                char::from_u32(u32::try_from(random.below(code)).unwrap()).unwrap_or('?')
            })
            .collect();
        let id = signed_note::key_id(&name, &spki);
        let text = key.rsplit_once('+').unwrap().1;
        keys.push(format!("{name}+{id:08x}+{text}"));
    }
    let mut counts = BTreeMap::new();
    let mut accepted = 0;
    for text in keys {
        let ours = text.parse::<VerifierKey>();
        let theirs = catch_unwind(|| StandardVerifier::new(&text).ok()).unwrap();
        match (ours, theirs) {
            (Err(_), None) => {}
            (Ok(ours), Some(theirs)) => {
                accepted += 1;
                assert_eq!(ours.name(), theirs.name());
                assert_eq!(u32::from_be_bytes(ours.key_id()), theirs.key_id());
            }
            // They know no ECDSA.
            (Ok(ours), None) => assert_eq!(ours.to_string(), ecdsa().verifier().to_string()),
            (Err(why), Some(theirs)) => {
                let id = text.split('+').nth(1).unwrap();
                let reason = if theirs.name().contains(char::is_control) {
                    Reason::Control
                } else if id != id.to_lowercase() {
                    Reason::KeyId
                } else {
                    panic!("{text:?} is a key to them alone: {why}")
                };
                *counts.entry(reason).or_insert(0) += 1;
            }
        }
    }
    assert!(accepted > 100, "{accepted}");
    assert_eq!(counts.len(), 2, "{counts:?}");
}

fn upper_id(key: &str) -> String {
    let (name, rest) = key.split_once('+').unwrap();
    let (id, key) = rest.split_once('+').unwrap();
    format!("{name}+{}+{key}", id.to_uppercase())
}

fn show(note: &[u8]) -> String {
    String::from_utf8_lossy(note).into_owned()
}
