//! Every example of `tiles-format.md` is what the code says.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use tegula_entries::Domain;
use tegula_index::{IndexLeaf, IndexPath, Key, Lookup, Run, State, build, live_runs};
use tegula_sequencer::{Batch, Slot, SlotHeader};
use tegula_server::describe;
use tegula_tlog::{
    Checkpoint, Edge, Hash, LeafIndex, Limits, LogDescription, SigningKey, TilePath, TlogProof,
    TreeSize, append_entry, empty_root, leaf_hash, parse_bundle, tiles_of, verify_inclusion,
};

const ENTRIES: [&[u8]; 3] = [b"alpha", b"beta", b"gamma"];

fn document() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../tiles-format.md")).unwrap()
}

fn expect(name: &str, value: &str) {
    assert!(
        document().contains(value),
        "{name} is not in tiles-format.md, expected:\n{value}"
    );
}

fn key() -> SigningKey {
    let seed: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
    SigningKey::ed25519_from_seed("log.example", &seed).unwrap()
}

fn leaves() -> Vec<Hash> {
    ENTRIES.iter().map(|entry| leaf_hash(entry)).collect()
}

fn bundle() -> Vec<u8> {
    let mut bundle = Vec::new();
    for entry in ENTRIES {
        append_entry(&mut bundle, entry).unwrap();
    }
    bundle
}

fn checkpoint() -> (Checkpoint, Vec<u8>) {
    let mut edge = Edge::empty();
    edge.grow(&leaves()).unwrap();
    let checkpoint = Checkpoint {
        origin: "log.example".to_owned(),
        size: edge.size(),
        root: edge.root(),
        extensions: Vec::new(),
    };
    let note = checkpoint.sign(&[&key()]).unwrap().to_bytes();
    (checkpoint, note)
}

/// 32 bytes a line.
fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| {
        line.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    bytes.chunks(32).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_tree() {
    for (name, leaf) in ["alpha", "beta", "gamma"].iter().zip(leaves()) {
        expect("a leaf hash", &format!("leaf hash of \"{name}\""));
        expect("a leaf hash", &format!("= {leaf}"));
    }
    expect(
        "the root",
        &format!("root of the three       = {}", checkpoint().0.root),
    );
}

#[test]
fn paths() {
    for path in [
        "tile/0/000",
        "tile/0/x001/x234/067.p/5",
        "tile/2/000.p/1",
        "tile/entries/273.p/112",
    ] {
        expect("a path", &format!("`{path}`"));
        assert_eq!(path.parse::<TilePath>().unwrap().to_string(), path);
    }
    let names = |size| {
        let paths = tiles_of(TreeSize::new(size).unwrap());
        paths.map(|path| path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        names(256),
        ["tile/0/000", "tile/entries/000", "tile/1/000.p/1"]
    );
    let large = names(70_000);
    for part in [
        "tile/0/272",
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ] {
        assert!(large.contains(&part.to_owned()), "{part}");
    }
}

#[test]
fn a_bundle() {
    expect("the bundle", &format!("```\n{}\n```", hex(&bundle())));
    assert_eq!(parse_bundle(&bundle(), 3).unwrap(), ENTRIES);
}

#[test]
fn keys_and_the_checkpoint() {
    let verifier = key().verifier();
    expect("the vkey", &format!("verifier key    {verifier}\n"));
    expect(
        "the log id",
        &format!("log id          {}\n", Hash(verifier.full_key_id())),
    );
    let (checkpoint, note) = checkpoint();
    expect(
        "the checkpoint",
        &format!("```\n{}```", String::from_utf8(note.clone()).unwrap()),
    );
    assert_eq!(Checkpoint::open(&note, &[verifier]).unwrap().0, checkpoint);
}

#[test]
fn a_proof() {
    let mut edge = Edge::empty();
    let growth = edge.grow(&leaves()).unwrap();
    let index = LeafIndex::new(1).unwrap();
    let proof = TlogProof {
        extra: None,
        index,
        hashes: growth.prove(index).unwrap(),
        checkpoint: checkpoint().1,
    };
    expect("the proof", &format!("```\n{proof}```"));
    assert_eq!(
        TlogProof::parse(proof.to_string().as_bytes()).unwrap(),
        proof
    );
    verify_inclusion(
        index,
        edge.size(),
        &leaf_hash(b"beta"),
        &proof.hashes,
        &edge.root(),
    )
    .unwrap();
}

#[test]
fn the_description() {
    let description = LogDescription {
        format: 1,
        origin: "log.example".to_owned(),
        keys: vec![key().verifier().to_string()],
        slot_format: 1,
        entries: vec!["raw".to_owned()],
        apis: vec!["add".to_owned()],
        limits: Limits {
            entry_bytes: 65_535,
            batch_entries: 1_000,
            batch_bytes: 4 << 20,
            attestation_bytes: None,
        },
    };
    expect(
        "log.json",
        &format!("```json\n{}```", description.to_json()),
    );
}

#[test]
fn the_description_of_a_log_of_rekors_kinds() {
    let mut description = describe("log.example", &[key().verifier()], false);
    description.limits.attestation_bytes = Some(102_400);
    let json = description.to_json();
    let (_, end) = json.split_once("  \"slotFormat\": 1,\n").unwrap();
    expect("the end of log.json", &format!("```json\n{end}```"));
}

#[test]
fn the_tree_id() {
    let [a, b, c, d, e, f, g, h, ..] = key().verifier().full_key_id();
    let id = u64::from_be_bytes([a, b, c, d, e, f, g, h]) & (u64::MAX >> 1);
    expect("the tree id", &format!("`{id:016x}`"));
}

#[test]
fn a_slot() {
    let (checkpoint, _) = checkpoint();
    let attempt = std::array::from_fn(|n| 0xa0 + u8::try_from(n).unwrap());
    let batch = std::array::from_fn(|n| 0xb0 + u8::try_from(n).unwrap());
    let header = SlotHeader {
        log_id: key().verifier().full_key_id(),
        attempt,
        prev_size: TreeSize::ZERO,
        prev_root: empty_root(),
        new_size: checkpoint.size,
        new_root: checkpoint.root,
        time_ms: 1_767_225_600_000,
        entries_len: bundle().len() as u64,
        batches: vec![Batch::new(batch, 0..3).unwrap()],
    };
    let bytes = header.encode(&bundle());
    expect("the slot", &format!("```\n{}\n```", hex(&bytes)));
    let slot = Slot::parse(0, &bytes).unwrap();
    assert_eq!(slot.header, header);
    assert_eq!(slot.entries().unwrap().unwrap(), ENTRIES);
}

/// The log of section 13's example, and what its entries can be searched by.
fn indexed() -> (Edge, Vec<Vec<Key>>) {
    let mut edge = Edge::empty();
    let leaves = (0..256).map(|n| leaf_hash(format!("{n}").as_bytes()));
    edge.grow(&leaves.collect::<Vec<_>>()).unwrap();
    let mut keys = vec![Vec::new(); 256];
    for entry in [3, 200] {
        keys[entry].push(Key::new(5, b"alice@example.com"));
    }
    keys[7].push(Key::new(6, b"example.com"));
    (edge, keys)
}

#[test]
fn an_index() {
    let (log, keys) = indexed();
    let built = build(Run::new(0, 0).unwrap(), &keys).unwrap();
    let (path, partition) = &built.objects[0];
    let (alice, domain) = (keys[3][0], keys[7][0]);
    expect(
        "the keys",
        &format!("alice@example.com   {alice}\nexample.com         {domain}\n"),
    );
    expect(
        "the partition",
        &format!("`{path}`:\n\n```\n{}\n```", hex(partition)),
    );
    let leaf = IndexLeaf::new(log.size(), log.root(), &[built.record]);
    let state = State::encode(&leaf, &[built.record], &[]);
    let size = TreeSize::new(1).unwrap();
    let path = IndexPath::State(size);
    expect(
        "the state",
        &format!("`{path}`:\n\n```\n{}\n```", hex(&state)),
    );
    let state = State::open(&state, size, &leaf.hash(), &log.root()).unwrap();
    for (key, entries) in [(alice, vec![3, 200]), (domain, vec![7])] {
        let mut lookup = Lookup::new(&state, key);
        let path = lookup.needs()[0];
        lookup.take(path, partition).unwrap();
        let answer = lookup.answer(&[]).unwrap();
        let found: Vec<_> = answer.found.iter().map(|index| index.get()).collect();
        assert_eq!(found, entries);
    }
}

#[test]
fn the_domains_of_keys() {
    let domains = [
        (Domain::Leaf, "leaf"),
        (Domain::Digest, "digest"),
        (Domain::Key, "key"),
        (Domain::Certificate, "certificate"),
        (Domain::Identity, "identity"),
        (Domain::IdentityPrefix, "identity prefix"),
        (Domain::Issuer, "issuer"),
        (Domain::Attested, "attested"),
        (Domain::Package, "package"),
        (Domain::Role, "role"),
    ];
    let domains = domains.map(|(domain, name)| format!("{} {name}", domain as u8));
    expect("the domains", &format!("{}.", domains.join(", ")));
}

#[test]
fn the_live_runs() {
    for base_runs in [5, 64, 256, 271, 272] {
        let runs = live_runs(TreeSize::new(base_runs).unwrap()).unwrap();
        let runs = runs
            .iter()
            .map(|run| format!("({}, {})", run.level(), run.n()));
        let runs: Vec<_> = runs.collect();
        expect(
            "live runs",
            &format!("m = {base_runs:<7}{}\n", runs.join(" ")),
        );
    }
    for path in ["index/v1/run/7/000/x001/234", "index/v1/state/x039/062"] {
        expect("a path", &format!("`{path}`"));
    }
}
