//! Every truncation and every flipped bit of what is valid is refused, or is something else that is valid and prints back to the
//! same bytes; and of what is signed or hashed nothing else verifies.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use proptest::prelude::*;
use tegula_tlog::{
    Checkpoint, Edge, Hash, LeafIndex, Limits, LogDescription, Note, NoteSignature, Policy,
    SigningKey, TilePath, TlogProof, TreeSize, VerifierKey, append_entry, leaf_hash, parse_bundle,
    verify_inclusion,
};

const ORIGIN: &str = "log.example";

fn log_key() -> SigningKey {
    SigningKey::ed25519_from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn ecdsa_key() -> SigningKey {
    SigningKey::ecdsa_from_scalar(ORIGIN, &[2; 32]).unwrap()
}

fn witness(n: u8) -> SigningKey {
    SigningKey::witness_from_seed(&format!("witness-{n}.example"), &[0x40 + n; 32]).unwrap()
}

fn all_keys() -> [SigningKey; 4] {
    [log_key(), ecdsa_key(), witness(1), witness(2)]
}

fn leaves() -> [Hash; 3] {
    [leaf_hash(b"alpha"), leaf_hash(b"beta"), leaf_hash(b"gamma")]
}

/// A checkpoint with one signature of each kind, and a second cosignature.
fn cosigned() -> Note {
    let mut edge = Edge::empty();
    edge.grow(&leaves()).unwrap();
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: edge.size(),
        root: edge.root(),
        extensions: Vec::new(),
    };
    let mut note = checkpoint.sign(&[&log_key(), &ecdsa_key()]).unwrap();
    note.sign(&witness(1), 1_767_225_600);
    note.sign(&witness(2), 1_767_225_601);
    note
}

fn proof() -> TlogProof {
    let mut edge = Edge::empty();
    let growth = edge.grow(&leaves()).unwrap();
    let index = LeafIndex::new(1).unwrap();
    TlogProof {
        extra: None,
        index,
        hashes: growth.prove(index).unwrap(),
        checkpoint: cosigned().to_bytes(),
    }
}

fn policy() -> String {
    let [log, ecdsa, one, two] = all_keys().map(|key| key.verifier());
    format!(
        "# whom to trust\nlog {log} https://log.example/\n\nlog {ecdsa}\nwitness one {one}\nwitness two {two}\n\
        group both all one two\nquorum both\n"
    )
}

fn truncated(valid: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..valid.len()).map(|len| &valid[..len])
}

fn flipped(valid: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..8 * valid.len()).map(|n| {
        let mut flipped = valid.to_vec();
        flipped[n / 8] ^= 1 << (n % 8);
        (n / 8, flipped)
    })
}

fn damaged(valid: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = flipped(valid).map(|(_, bytes)| bytes);
    truncated(valid).map(<[u8]>::to_vec).chain(flipped)
}

/// What parses must print back as it was.
fn check_spelling<T: std::str::FromStr + ToString>(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(value) = text.parse::<T>()
    {
        assert_eq!(value.to_string(), text);
    }
}

#[test]
fn damaged_tile_paths_are_refused_or_others() {
    for path in [
        "tile/0/000",
        "tile/0/x001/x234/067.p/5",
        "tile/7/000.p/127",
        "tile/1/x010/100.p/255",
        "tile/entries/273.p/112",
        "tile/entries/x999/999",
    ] {
        assert_eq!(path.parse::<TilePath>().unwrap().to_string(), path);
        damaged(path.as_bytes()).for_each(|bytes| check_spelling::<TilePath>(&bytes));
    }
}

#[test]
fn damaged_numbers_and_hashes_are_refused_or_others() {
    for number in ["0", "10", "9223372036854775807"] {
        assert_eq!(number.parse::<TreeSize>().unwrap().to_string(), number);
        assert_eq!(number.parse::<LeafIndex>().unwrap().to_string(), number);
        damaged(number.as_bytes()).for_each(|bytes| check_spelling::<TreeSize>(&bytes));
        damaged(number.as_bytes()).for_each(|bytes| check_spelling::<LeafIndex>(&bytes));
    }
    let hash = leaf_hash(b"alpha").to_string();
    damaged(hash.as_bytes()).for_each(|bytes| check_spelling::<Hash>(&bytes));
    assert!(hash.to_uppercase().parse::<Hash>().is_err());
}

#[test]
fn damaged_bundles_are_refused_or_others() {
    let mut bundle = Vec::new();
    for entry in [&b"alpha"[..], b"", &[7; 300]] {
        append_entry(&mut bundle, entry).unwrap();
    }
    for bytes in truncated(&bundle) {
        assert!(parse_bundle(bytes, 3).is_err(), "{} bytes", bytes.len());
    }
    for (_, bytes) in flipped(&bundle) {
        if let Ok(entries) = parse_bundle(&bytes, 3) {
            let mut again = Vec::new();
            for entry in entries {
                append_entry(&mut again, entry).unwrap();
            }
            assert_eq!(again, bytes);
        }
    }
    // A count from outside costs no memory.
    assert!(parse_bundle(&bundle, usize::MAX).is_err());
}

#[test]
fn damaged_keys_are_refused_or_others() {
    for key in all_keys().map(|key| key.verifier()) {
        let text = key.to_string();
        assert_eq!(text.parse::<VerifierKey>().unwrap(), key);
        for bytes in truncated(text.as_bytes()) {
            let text = str::from_utf8(bytes).unwrap();
            assert!(text.parse::<VerifierKey>().is_err(), "{text}");
        }
        for (at, bytes) in flipped(text.as_bytes()) {
            check_spelling::<VerifierKey>(&bytes);
            // Behind the name nothing is free. The id of an ECDSA key does not bind the name.
            if at >= key.name().len()
                && let Ok(text) = str::from_utf8(&bytes)
            {
                assert!(text.parse::<VerifierKey>().is_err(), "{text}");
            }
        }
    }
}

#[test]
fn damaged_notes_are_refused_or_others() {
    for bytes in damaged(&cosigned().to_bytes()) {
        if let Ok(note) = Note::parse(&bytes) {
            assert_eq!(note.to_bytes(), bytes);
        }
    }
    for bytes in damaged(b"log.example\n3\nOF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqo=\nmore\n") {
        if let Ok(text) = str::from_utf8(&bytes)
            && let Ok(checkpoint) = Checkpoint::parse(text)
        {
            assert_eq!(checkpoint.to_string(), text);
        }
    }
}

#[test]
fn a_signature_is_of_one_text_and_has_one_encoding() {
    let text = cosigned().text().to_owned();
    for key in all_keys() {
        let (signature, key) = (key.sign(&text, 1_767_225_600), key.verifier());
        assert!(key.verify(&text, &signature));
        for bytes in damaged(&signature) {
            assert!(!key.verify(&text, &bytes), "{key:?} {bytes:02x?}");
        }
        assert!(!key.verify(&text, &[&signature[..], &[0]].concat()));
        assert!(!key.verify(&text, &[&[0], &signature[..]].concat()));
        for bytes in damaged(text.as_bytes()) {
            if let Ok(other) = str::from_utf8(&bytes) {
                assert!(!key.verify(other, &signature), "{key:?} {other:?}");
            }
        }
        for other in all_keys().map(|key| key.verifier()) {
            assert!(other == key || !other.verify(&text, &signature));
        }
    }
}

#[test]
fn a_checkpoint_opens_only_with_its_own_text_and_an_unharmed_line_of_the_key() {
    let note = cosigned();
    let (text, bytes) = (note.text(), note.to_bytes());
    for key in [log_key(), ecdsa_key()].map(|key| key.verifier()) {
        let line = note.signatures().iter();
        let line = line.filter(|line| line.key_id == key.key_id());
        let line: Vec<NoteSignature> = line.cloned().collect();
        assert_eq!(line.len(), 1);
        let keys = [key];
        assert!(Checkpoint::open(&bytes, &keys).is_ok());
        for bytes in damaged(&bytes) {
            if let Ok((_, opened)) = Checkpoint::open(&bytes, &keys) {
                assert_eq!(opened.text(), text);
                assert!(opened.signatures().contains(&line[0]));
            }
        }
    }
}

#[test]
fn no_damaged_proof_proves() {
    let [log, _, one, two] = all_keys().map(|key| key.verifier());
    let policy = format!(
        "log {log}\nwitness one {one}\nwitness two {two}\ngroup both all one two\nquorum both\n"
    );
    let policy = Policy::parse(policy).unwrap();
    let proves = |proof: &TlogProof| {
        policy.check(&proof.checkpoint).is_ok_and(|(tree, _)| {
            let leaf = leaf_hash(b"beta");
            verify_inclusion(proof.index, tree.size, &leaf, &proof.hashes, &tree.root).is_ok()
        })
    };
    let valid = proof();
    assert!(proves(&valid));
    let ecdsa = cosigned().signatures()[1].clone();
    for bytes in damaged(valid.to_string().as_bytes()) {
        let Ok(proof) = TlogProof::parse(&bytes) else {
            continue;
        };
        assert_eq!(proof.to_string().as_bytes(), bytes);
        if proves(&proof) {
            // All that the policy does not ask for is the line of the second key.
            let rest = |proof: &TlogProof| {
                let note = Note::parse(&proof.checkpoint).unwrap();
                let mut lines = note.signatures().to_vec();
                let unasked = lines.remove(1);
                (proof.index, proof.hashes.clone(), lines, unasked)
            };
            let (index, hashes, lines, unasked) = rest(&proof);
            assert_eq!((index, hashes, lines, ecdsa.clone()), rest(&valid));
            assert_ne!(unasked, ecdsa);
        }
    }
}

#[test]
fn bytes_that_are_not_text_are_no_proof() {
    let mut bytes = proof().to_string().into_bytes();
    bytes.extend(b"\xff");
    assert!(TlogProof::parse(&bytes).is_err());
}

#[test]
fn damaged_policies_trust_no_other_log() {
    let text = policy();
    let logs = Policy::parse(&text).unwrap().logs().to_vec();
    for bytes in truncated(text.trim_end().as_bytes()) {
        assert!(Policy::parse(bytes).is_err(), "{} bytes", bytes.len());
    }
    for (_, bytes) in flipped(text.as_bytes()) {
        if let Ok(policy) = Policy::parse(bytes) {
            let known =
                |log: &VerifierKey| logs.iter().any(|known| known.to_spki() == log.to_spki());
            assert!(policy.logs().iter().all(known), "{policy:?}");
        }
    }
}

#[test]
fn damaged_descriptions_are_refused_or_say_what_they_say() {
    let json = LogDescription {
        format: 1,
        origin: ORIGIN.to_owned(),
        keys: vec![log_key().verifier().to_string()],
        slot_format: 1,
        entries: vec!["raw".to_owned()],
        apis: vec!["add".to_owned()],
        limits: Limits {
            entry_bytes: 65_535,
            batch_entries: 1_000,
            batch_bytes: 4 << 20,
            attestation_bytes: None,
        },
    }
    .to_json();
    for bytes in truncated(json.trim_end().as_bytes()) {
        assert!(LogDescription::parse(bytes).is_err());
    }
    for (_, bytes) in flipped(json.as_bytes()) {
        if let Ok(description) = LogDescription::parse(&bytes) {
            assert_eq!(description.format, LogDescription::FORMAT);
            let again = LogDescription::parse(description.to_json().as_bytes());
            assert_eq!(again.unwrap(), description);
        }
    }
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    assert!(LogDescription::parse(deep.as_bytes()).is_err());
    let twice = json.replacen("\"format\": 1,", "\"format\": 1, \"format\": 1,", 1);
    assert!(LogDescription::parse(twice.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn a_path_is_read_as_it_is_written(level in 0..=8_u8, index: u64, shift in 0..64_u32, width in 0..=300_u16) {
        let index = index >> shift;
        for path in [TilePath::hashes(level, index, width), TilePath::entries(index, width)].into_iter().flatten() {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn what_looks_like_a_path_has_one_spelling(text in "tile/([0-9]{1,2}|entries)(/x?[0-9]{3}){1,8}(\\.p/[0-9]{1,3})?") {
        check_spelling::<TilePath>(text.as_bytes());
    }

    #[test]
    fn what_looks_like_a_number_has_one_spelling(text in "[+-]?0{0,2}[0-9]{0,20}") {
        check_spelling::<TreeSize>(text.as_bytes());
        check_spelling::<LeafIndex>(text.as_bytes());
    }

    #[test]
    fn what_looks_like_a_note_prints_as_it_was(
        text in "[a\n]{0,5}\n",
        lines in proptest::collection::vec("\u{2014} [a+]{1,2} ([AQw/]{8}|[AQw/]{7}=|[AQw/]{6}==)\n", 1..3),
    ) {
        let bytes = format!("{text}\n{}", lines.concat()).into_bytes();
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_bytes_do_no_harm(bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(&bytes);
        check_spelling::<TilePath>(&bytes);
        check_spelling::<VerifierKey>(&bytes);
        prop_assert!(Note::parse(&bytes).is_err());
        prop_assert!(Checkpoint::parse(&text).is_err());
        prop_assert!(TlogProof::parse(&bytes).is_err());
        prop_assert!(Policy::parse(&bytes).is_err());
        prop_assert!(LogDescription::parse(&bytes).is_err());
        prop_assert!(SigningKey::from_note_key(&text).is_err());
        prop_assert!(SigningKey::from_pkcs8_pem(ORIGIN, &text).is_err());
    }
}
