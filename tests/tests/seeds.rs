//! The seeds of the fuzzers, `fuzz/seeds/<target>/<name>`, are what they are made of: each a valid input of its kind.
//!
//! `TEGULA_WRITE_SEEDS=1 cargo test -p tegula-tests --test seeds` writes them anew.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test stops where it fails, and reads its environment"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tegula_entries::{
    DigestAlgorithm, Files, Format, Hasher, StoredEntry, Verifier, hashedrekord_proposed_v1,
    hashedrekord_request, parse_proposed_v1, parse_request,
};
use tegula_index::{
    Filter, IndexLeaf, IndexPath, Key, Record, Run, Shard, State, build, covered, live_runs,
};
use tegula_sequencer::{Batch, Slot, SlotHeader};
use tegula_tlog::{
    Checkpoint, Edge, Hash, LeafIndex, Limits, LogDescription, Note, Policy, SigningKey, TilePath,
    TlogProof, TreeSize, VerifierKey, append_entry, empty_root, leaf_hash, parse_bundle,
};

/// Paths below `fuzz/seeds` and their bytes.
#[derive(Default)]
struct Seeds(BTreeMap<String, Vec<u8>>);

impl Seeds {
    fn add(&mut self, target: &str, name: &str, bytes: impl Into<Vec<u8>>) {
        let before = self.0.insert(format!("{target}/{name}"), bytes.into());
        assert_eq!(before, None, "{target}/{name}");
    }

    fn check(self, target: &str) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        if std::env::var("TEGULA_WRITE_SEEDS").is_ok() {
            fs::remove_dir_all(seeds.join(target)).unwrap_or_default();
            fs::create_dir_all(seeds.join(target)).unwrap();
            for (path, bytes) in &self.0 {
                fs::write(seeds.join(path), bytes).unwrap();
            }
        }
        for (path, bytes) in &self.0 {
            assert_eq!(fs::read(seeds.join(path)).unwrap(), *bytes, "{path}");
        }
        let files = fs::read_dir(seeds.join(target)).unwrap().count();
        assert_eq!(files, self.0.len(), "files that no seed is of in {target}");
    }
}

/// As in `fuzz/src/lib.rs`.
fn signers() -> [SigningKey; 3] {
    let seed: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
    [
        SigningKey::ed25519_from_seed("log.example", &seed).unwrap(),
        SigningKey::ecdsa_from_scalar("log.example", &[7; 32]).unwrap(),
        SigningKey::witness_from_seed("witness.example", &[9; 32]).unwrap(),
    ]
}

fn edge() -> (Edge, Vec<Hash>) {
    let mut edge = Edge::empty();
    let leaves = [b"alpha".as_slice(), b"beta", b"gamma"].map(leaf_hash);
    let growth = edge.grow(&leaves).unwrap();
    let proof = growth.prove(LeafIndex::new(1).unwrap()).unwrap();
    (edge, proof)
}

fn cosigned() -> Note {
    let (edge, _) = edge();
    let [log, ecdsa, witness] = signers();
    let checkpoint = Checkpoint {
        origin: "log.example".to_owned(),
        size: edge.size(),
        root: edge.root(),
        extensions: Vec::new(),
    };
    let mut note = checkpoint.sign(&[&log, &ecdsa]).unwrap();
    note.sign(&witness, 1_767_225_600);
    note
}

fn bundle() -> Vec<u8> {
    let mut bundle = Vec::new();
    for entry in [b"alpha".as_slice(), b"beta", b"gamma"] {
        append_entry(&mut bundle, entry).unwrap();
    }
    bundle
}

#[test]
fn tile_paths() {
    let mut seeds = Seeds::default();
    for (name, path) in [
        ("full", "tile/0/000"),
        ("partial", "tile/0/x001/x234/067.p/5"),
        ("top", "tile/7/000.p/127"),
        ("bundle", "tile/entries/273.p/112"),
        ("last", "tile/entries/x036/x028/x797/x018/x963/967.p/255"),
    ] {
        path.parse::<TilePath>().unwrap();
        seeds.add("tile_path", name, path);
    }
    seeds.check("tile_path");
}

#[test]
fn bundles() {
    let mut seeds = Seeds::default();
    let mut wide = Vec::new();
    for n in 0..=255 {
        append_entry(&mut wide, &[n]).unwrap();
    }
    for (name, count, bundle) in [
        ("empty", 0, Vec::new()),
        ("three", 3, bundle()),
        ("full", 256, wide),
    ] {
        parse_bundle(&bundle, count.into()).unwrap();
        seeds.add(
            "bundle",
            name,
            [&u16::to_le_bytes(count)[..], &bundle].concat(),
        );
    }
    seeds.check("bundle");
}

#[test]
fn notes_and_checkpoints() {
    let (mut notes, mut checkpoints) = (Seeds::default(), Seeds::default());
    let note = cosigned();
    Checkpoint::open(&note.to_bytes(), &signers().map(|key| key.verifier())).unwrap();
    let extended = format!("{}extension\n", note.text());
    Checkpoint::parse(&extended).unwrap();
    notes.add("note", "cosigned", note.to_bytes());
    let mut poem = Note::new("two\n\nparts\n".to_owned()).unwrap();
    // By another key: the target knows that the keys have signed the checkpoint alone.
    let poet = SigningKey::ed25519_from_seed("poet.example", &[8; 32]).unwrap();
    poem.sign(&poet, 0);
    notes.add("note", "blank_line", poem.to_bytes());
    checkpoints.add("checkpoint", "cosigned", note.to_bytes());
    checkpoints.add("checkpoint", "text", note.text());
    checkpoints.add("checkpoint", "extended", extended);
    notes.check("note");
    checkpoints.check("checkpoint");
}

#[test]
fn verifier_keys() {
    let mut seeds = Seeds::default();
    for (name, key) in ["ed25519", "ecdsa", "witness"].iter().zip(signers()) {
        let text = key.verifier().to_string();
        assert_eq!(text.parse::<VerifierKey>().unwrap(), key.verifier());
        seeds.add("vkey", name, text);
    }
    let id = signers()[0].verifier().key_id();
    let seed: Vec<u8> = (0..32).collect();
    let private = format!(
        "PRIVATE+KEY+log.example+{:08x}+{}",
        u32::from_be_bytes(id),
        STANDARD.encode([&[1], &seed[..]].concat())
    );
    SigningKey::from_note_key(&private).unwrap();
    seeds.add("vkey", "private", private);
    seeds.check("vkey");
}

#[test]
fn policies() {
    let mut seeds = Seeds::default();
    let [log, ecdsa, witness] = signers().map(|key| key.verifier());
    let other = SigningKey::witness_from_seed("other.example", &[10; 32])
        .unwrap()
        .verifier();
    for (name, policy) in [
        ("log", format!("log {log}\nquorum none\n")),
        (
            "group",
            format!(
                "# comment\nlog {log} https://log.example/\nlog\t{ecdsa}\n\nwitness w {witness}\nwitness o {other} https://o.example/\n\
                group a any w\ngroup g 2 a o\nquorum a\n"
            ),
        ),
    ] {
        Policy::parse(&policy)
            .unwrap()
            .check(&cosigned().to_bytes())
            .unwrap();
        seeds.add("policy", name, policy);
    }
    seeds.check("policy");
}

#[test]
fn proofs() {
    let (mut files, mut proofs) = (Seeds::default(), Seeds::default());
    let (_, hashes) = edge();
    for (name, extra) in [("plain", None), ("extra", Some(b"extra".to_vec()))] {
        let proof = TlogProof {
            extra,
            index: LeafIndex::new(1).unwrap(),
            hashes: hashes.clone(),
            checkpoint: cosigned().to_bytes(),
        };
        let file = proof.to_string();
        assert_eq!(TlogProof::parse(file.as_bytes()).unwrap(), proof);
        files.add("tlog_proof", name, file);
    }
    files.check("tlog_proof");
    // The numbers and hashes as `arbitrary` takes them: each hash after a byte that says that there is one.
    let [index, old, new] = [1_u64, 2, 3].map(u64::to_le_bytes);
    let hashes = hashes.iter().flat_map(|hash| [&[1], &hash.0[..]].concat());
    let numbers = [index, old, new].concat();
    proofs.add(
        "proof",
        "beta",
        numbers.into_iter().chain(hashes).collect::<Vec<_>>(),
    );
    proofs.check("proof");
}

#[test]
fn descriptions() {
    let mut seeds = Seeds::default();
    let description = LogDescription {
        format: 1,
        origin: "log.example".to_owned(),
        keys: vec![signers()[0].verifier().to_string()],
        slot_format: 1,
        entries: vec!["hashedrekord/0.0.2".to_owned(), "raw".to_owned()],
        apis: vec!["rekor/v2".to_owned(), "add".to_owned()],
        limits: Limits {
            entry_bytes: 65_535,
            batch_entries: 1_000,
            batch_bytes: 4 << 20,
            attestation_bytes: None,
        },
    };
    seeds.add("description", "both", description.to_json());
    seeds.check("description");
}

#[test]
fn slots() {
    let mut seeds = Seeds::default();
    let (edge, _) = edge();
    let header = |prev_size: u64, batches: Vec<Batch>| SlotHeader {
        log_id: signers()[0].verifier().full_key_id(),
        attempt: [0xa0; 16],
        prev_size: TreeSize::new(prev_size).unwrap(),
        prev_root: empty_root(),
        new_size: TreeSize::new(prev_size + 3).unwrap(),
        new_root: edge.root(),
        time_ms: 1_767_225_600_000,
        entries_len: bundle().len() as u64,
        batches,
    };
    let one = header(0, vec![Batch::new([0xb0; 16], 0..3).unwrap()]);
    let two = vec![
        Batch::new([0xb0; 16], [300, 301, 17, 302]).unwrap(),
        Batch::new([0xb1; 16], [4]).unwrap(),
    ];
    let two = header(300, two);
    for (name, header, entries) in [
        ("whole", &one, bundle()),
        ("two_batches", &two, bundle()),
        ("header", &two, Vec::new()),
    ] {
        let bytes = header.encode(&entries);
        assert_eq!(
            Slot::parse(header.prev_size.get(), &bytes).unwrap().header,
            *header
        );
        seeds.add("slot", name, bytes);
    }
    seeds.check("slot");
}

#[test]
fn entries() {
    let (mut requests, mut proposed, mut stored) =
        (Seeds::default(), Seeds::default(), Seeds::default());
    let key = &signers()[1];
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
    hasher.update(b"artifact");
    let (digest, signature) = (hasher.finish().unwrap(), key.sign("artifact", 0));
    let public_key = Verifier::from_public_key_der(&key.verifier().to_spki()).unwrap();
    let certificate =
        Verifier::from_certificate_der(&certificate(&key.verifier().to_spki())).unwrap();
    for (name, verifier) in [("key", &public_key), ("certificate", &certificate)] {
        let request = hashedrekord_request(&digest, &signature, verifier).unwrap();
        let entry = parse_request(request.as_bytes()).unwrap().verify().unwrap();
        StoredEntry::parse(entry.body()).unwrap();
        stored.add("stored_entry", &format!("v002_{name}"), entry.body());
        requests.add("request_v2", name, request);
        let request = hashedrekord_proposed_v1(&digest, &signature, verifier).unwrap();
        let entry = parse_proposed_v1(request.as_bytes())
            .unwrap()
            .verify()
            .unwrap();
        StoredEntry::parse(entry.body()).unwrap();
        stored.add("stored_entry", &format!("v001_{name}"), entry.body());
        proposed.add("proposed_v1", name, request);
    }
    let dsse = format!(
        r#"{{"dsseRequestV002":{{"envelope":{{"payload":"{}","payloadType":"text/plain","signatures":[{{"sig":"{}"}}]}},"verifiers":[{{"publicKey":{{"rawBytes":"{}"}},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}]}}}}"#,
        STANDARD.encode("artifact"),
        STANDARD.encode(key.sign("DSSEv1 10 text/plain 8 artifact", 0)),
        STANDARD.encode(public_key.der()),
    );
    parse_request(dsse.as_bytes()).unwrap().verify().unwrap();
    requests.add("request_v2", "dsse", dsse);
    for (kind, version, inputs) in KINDS {
        for input in *inputs {
            let body = input.body(kind, Some(version), None);
            let name = format!("{kind}_{version}_{}", input.name());
            stored.add("stored_entry", &name, body);
        }
    }
    requests.check("request_v2");
    proposed.check("proposed_v1");
    stored.check("stored_entry");
}

/// Files below the data of the tests of kinds, which real tools made (`make` beside each).
struct Input {
    key: &'static str,
    signature: &'static str,
    aad: &'static [u8],
    artifact: &'static str,
}

/// A key, and what holds its own signature.
const fn signed(key: &'static str, artifact: &'static str) -> Input {
    detached(key, "", artifact)
}

const fn detached(key: &'static str, signature: &'static str, artifact: &'static str) -> Input {
    Input {
        key,
        signature,
        aad: b"",
        artifact,
    }
}

impl Input {
    /// Of the artifact and, where several are of the same one, of the signature.
    fn name(&self) -> String {
        [self.signature, self.artifact]
            .into_iter()
            .flat_map(|path| path.split('/').next_back())
            .filter(|name| !name.is_empty())
            .collect::<Vec<_>>()
            .join("_of_")
    }

    fn files(&self) -> Files {
        let given = |bytes: Vec<u8>| Some(bytes).filter(|bytes| !bytes.is_empty());
        Files {
            artifact: data(self.artifact),
            signature: given(data(self.signature)),
            public_keys: given(data(self.key)).into_iter().collect(),
            aad: given(self.aad.to_vec()),
        }
    }

    /// What is logged of them.
    fn body(&self, kind: &str, version: Option<&str>, format: Option<Format>) -> Vec<u8> {
        let composed = self.files().compose(kind, version, format).unwrap();
        let proposed = parse_proposed_v1(composed.as_bytes()).unwrap();
        let entry = proposed.verify();
        let entry = entry.unwrap_or_else(|error| panic!("{kind} of {}: {error}", self.artifact));
        StoredEntry::parse(entry.body()).unwrap();
        entry.into_body()
    }

    /// As `fuzz/src/lib.rs` takes files.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [&data(self.key)[..], &data(self.signature), self.aad] {
            bytes.extend(u16::try_from(part.len()).unwrap().to_le_bytes());
            bytes.extend(part);
        }
        bytes.extend(data(self.artifact));
        bytes
    }
}

/// None, if it has no path.
fn data(path: &str) -> Vec<u8> {
    if path.is_empty() {
        return Vec::new();
    }
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/entries/tests/data");
    fs::read(data.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const KINDS: &[(&str, &str, &[Input])] = &[
    (
        "alpine",
        "0.0.1",
        &[
            signed("rsa4096.pub.pem", "alpine/sha1.apk"),
            signed("rsa4096.pub.pem", "alpine/sha256.apk"),
            signed("rsa4096.pub.pem", "alpine/sha512.apk"),
        ],
    ),
    (
        "cose",
        "0.0.1",
        &[
            signed("ed25519.pub.pem", "cose/ed25519.cose"),
            signed("p256.pub.pem", "cose/in-toto.cose"),
            signed("rsa2048.pub.pem", "cose/rsa2048.cose"),
            Input {
                aad: b"additional",
                ..signed("p256.pub.pem", "cose/aad.cose")
            },
        ],
    ),
    (
        "dsse",
        "0.0.1",
        &[
            signed("ed25519.pub.pem", "dsse/ed25519.json"),
            signed("p256.cert.pem", "dsse/p256.json"),
        ],
    ),
    (
        "helm",
        "0.0.1",
        &[signed("helm/helm.asc", "helm/testchart-0.1.0.tgz.prov")],
    ),
    (
        "intoto",
        "0.0.1",
        &[signed("p256.pub.pem", "dsse/p256.json")],
    ),
    (
        "intoto",
        "0.0.2",
        &[signed("p256.pub.pem", "dsse/p256.json")],
    ),
    (
        "jar",
        "0.0.1",
        &[
            signed("", "jar/ec.jar"),
            signed("", "jar/rsa.jar"),
            signed("", "jar/sections.jar"),
            signed("", "jar/timestamped.jar"),
        ],
    ),
    (
        "rfc3161",
        "0.0.1",
        &[
            signed("", "rfc3161/p256.tsr"),
            signed("", "rfc3161/policy.tsr"),
            signed("", "rfc3161/rsa.tsr"),
        ],
    ),
    (
        "rpm",
        "0.0.1",
        &[
            signed("rpm/rpm.asc", "rpm/both.rpm"),
            signed("rpm/ed25519.asc", "rpm/ed25519.rpm"),
            signed("rpm/rpm.asc", "rpm/header.rpm"),
        ],
    ),
    (
        "tuf",
        "0.0.1",
        &[
            signed("tuf/root.json", "tuf/root.json"),
            signed("tuf/root.json", "tuf/targets.json"),
            signed("tuf/root.json", "tuf/timestamp.json"),
        ],
    ),
    (
        "rekord",
        "0.0.1",
        &[detached("p256.pub.pem", "p256.sig", "artifact")],
    ),
];

/// By the key, a signature of each format.
const FORMATS: &[(Format, &[Input])] = &[
    (
        Format::Minisign,
        &[
            detached(
                "minisign/minisign.pub",
                "minisign/legacy.minisig",
                "minisign/content",
            ),
            detached(
                "minisign/minisign.pub",
                "minisign/prehashed.minisig",
                "minisign/content",
            ),
            detached(
                "minisign/signify.pub",
                "minisign/signify.sig",
                "minisign/content",
            ),
        ],
    ),
    (
        Format::Pgp,
        &[
            detached("pgp/ed25519.asc", "pgp/ed25519.sig", "pgp/message"),
            detached("pgp/names.asc", "pgp/names.sig", "pgp/message"),
            detached("pgp/rsa3072.asc", "pgp/v3.sig", "pgp/message"),
            detached("pgp/rsa3072.gpg", "pgp/rsa3072.sig.bin", "pgp/message"),
            detached("pgp/subkey.asc", "pgp/subkey.sig", "pgp/message"),
        ],
    ),
    (
        Format::Ssh,
        &[
            detached("ssh/ecdsa256.pub", "ssh/ecdsa256.sig", "ssh/content"),
            detached("ssh/ed25519.pub", "ssh/ed25519.sig", "ssh/content"),
            detached("ssh/rsa3072.pub", "ssh/rsa3072.sig", "ssh/content"),
            detached("ssh/sk-ed25519.pub", "ssh/sk-ed25519.sig", "ssh/content"),
        ],
    ),
    (
        Format::X509,
        &[
            detached("ed25519.pub.pem", "ed25519-pure.sig", "artifact"),
            detached("p256.cert.pem", "p256.sig", "artifact"),
            detached("p384.pub.der", "rekord/p384.sha256.sig", "artifact"),
            detached("rsa2048.pub.pem", "rsa2048.sig", "artifact"),
        ],
    ),
];

#[test]
fn kinds_and_formats() {
    let mut every = Seeds::default();
    for (kind, ..) in KINDS {
        if *kind == "rekord" {
            continue; // By its formats.
        }
        let target = format!("kind_{kind}");
        let mut seeds = Seeds::default();
        let of_it = KINDS.iter().filter(|(name, ..)| name == kind);
        for (_, version, inputs) in of_it {
            for input in *inputs {
                input.body(kind, Some(version), None);
                let bytes = input.bytes();
                seeds.0.insert(format!("{target}/{}", input.name()), bytes);
            }
        }
        every.0.extend(
            seeds
                .0
                .iter()
                .next()
                .map(|(path, bytes)| (path.replace(&target, "files"), bytes.clone())),
        );
        seeds.check(&target);
    }
    for (format, inputs) in FORMATS {
        let target = format!("format_{format}");
        let mut seeds = Seeds::default();
        for input in *inputs {
            input.body("rekord", None, Some(*format));
            seeds.add(&target, &input.name(), input.bytes());
            assert_eq!(input.files().format(), Some(*format), "{}", input.name());
        }
        every.add("files", &format!("{format}"), inputs[0].bytes());
        seeds.check(&target);
    }
    every.check("files");
}

#[test]
fn key_files() {
    let mut seeds = Seeds::default();
    for (name, key) in [("ed25519", &signers()[0]), ("ecdsa", &signers()[1])] {
        let public_key = Verifier::from_public_key_der(&key.verifier().to_spki()).unwrap();
        let certificate = Verifier::from_certificate_der(&certificate(public_key.der())).unwrap();
        for (kind, verifier) in [("key", public_key), ("certificate", certificate)] {
            assert_eq!(
                Verifier::from_pem_or_der(verifier.der()),
                Ok(verifier.clone())
            );
            seeds.add("key_file", &format!("{name}_{kind}.der"), verifier.der());
            seeds.add("key_file", &format!("{name}_{kind}.pem"), verifier.to_pem());
        }
        seeds.add(
            "key_file",
            &format!("{name}_private.pem"),
            key.to_pkcs8_pem().unwrap(),
        );
    }
    let rsa = Verifier::from_public_key_der(&rsa()).unwrap();
    seeds.add("key_file", "rsa_key.der", rsa.der());
    seeds.check("key_file");
}

#[test]
fn tiles() {
    let mut seeds = Seeds::default();
    // Which tree, and the changes to its tiles as `arbitrary` takes them: 255 keeps a tile, 200 leaves it out, 0 flips a bit.
    let change = |what: u8, at: u16| [&[1, what][..], &at.to_le_bytes()].concat();
    for tree in 0..7 {
        seeds.add("verified_tiles", &format!("tree_{tree}"), [tree]);
    }
    seeds.add(
        "verified_tiles",
        "flipped",
        [&[5][..], &change(255, 0), &change(0, 999)].concat(),
    );
    seeds.add(
        "verified_tiles",
        "absent",
        [&[5][..], &change(200, 0), &change(255, 0)].concat(),
    );
    seeds.check("verified_tiles");
}

#[test]
fn indexes() {
    let mut seeds = Seeds::default();
    // The first byte says what it is, as in `fuzz/src/bin/index.rs`.
    let mut add = |name: &str, what: &[u8], bytes: &[u8]| {
        seeds.add("index", name, [what, bytes].concat());
    };
    let digits = "bd42d741c701deffbf87c30e1766e305";
    for (name, path) in [
        ("path_partition", "index/v1/run/7/000/x001/234"),
        ("path_page", "index/v1/run/7/x001/234/x001/x234/067.d/002"),
        ("path_list", &format!("index/v1/list/7/000/{digits}/000")),
        ("path_state", "index/v1/state/x039/062"),
    ] {
        path.parse::<IndexPath>().unwrap();
        add(name, &[0], path.as_bytes());
    }
    let keys = [b"a", b"b", b"c"].map(|entry| Key::leaf(&leaf_hash(entry)));
    let filters = [&keys[..], &[]].map(|keys| Filter::new(keys).unwrap());
    add("filter", &[1], &filters[0].to_bytes());
    add("filter_empty", &[1], &filters[1].to_bytes());
    let shard = Shard::new(64, 8, filters.to_vec()).unwrap();
    add("shard", &[2], &shard.to_bytes());

    // The worked example of section 13, as its run and state are.
    let mut entries = vec![Vec::new(); 256];
    for entry in [3, 200] {
        entries[entry] = vec![Key::new(5, b"alice@example.com")];
    }
    entries[7] = vec![Key::new(6, b"example.com")];
    let built = build(Run::new(0, 0).unwrap(), &entries).unwrap();
    add("partition", &[4, 0], &built.objects[0].1);
    for size in [1, 3, 4] {
        let size = TreeSize::new(size).unwrap();
        let live = live_runs(size).unwrap();
        let records: Vec<Record> = live.iter().map(|_| built.record).collect();
        let leaf = IndexLeaf::new(covered(size).unwrap(), leaf_hash(b"log"), &records);
        // The target makes the proof right.
        let proof = [Hash([0; 32])].repeat(usize::try_from(size.get() / 2).unwrap());
        let state = State::encode(&leaf, &records, &proof);
        let less = u8::try_from(size.get() - 1).unwrap();
        add(&format!("state_{size}"), &[3, less], &state);
    }
    // One of two partitions, an empty one of a long run, a directory, and a page.
    let object = |head: [u8; 4], count: u32, q: u64, rest: &[&[u8]]| {
        let numbers = [&head[..], &count.to_be_bytes(), &[0; 8], &q.to_be_bytes()];
        [numbers.concat(), rest.concat()].concat()
    };
    let entry = [&[0xff; 16][..], &[2, 3, 0xc4, 1]].concat();
    let half = object([1, 0, 1, 0], 1, 1, &[&[7; 32], &entry]);
    add("partition_half", &[4, 1 << 2], &half);
    let empty = object([1, 3, 0, 0], 0, 0, &[]);
    add("partition_empty", &[4, 2], &empty);
    let pages = [&[1; 16][..], &[7; 32], &[2; 16], &[8; 32]];
    let directory = object([2, 0, 0, 0], 4_097, 0, &pages);
    add("directory", &[4, 0], &directory);
    let page = object([3, 0, 0, 0], 1, 0, &[&1_u64.to_be_bytes(), &entry]);
    add("page", &[5, 0], &page);

    // One page, and the second of two.
    for (name, count) in [("list", 1_025), ("list_second", 16_385)] {
        let mut entries = vec![Vec::new(); 65_536];
        entries[..count].fill(vec![keys[0]]);
        let built = build(Run::new(4, 0).unwrap(), &entries).unwrap();
        let mut pages = built.objects.iter().rev();
        let page = pages.find(|(path, _)| matches!(path, IndexPath::List { .. }));
        add(name, &[6], &page.unwrap().1);
    }
    seeds.check("index");
}

/// The key in a certificate of version 3 with one extension, whose signature nobody checks.
fn certificate(spki: &[u8]) -> Vec<u8> {
    let ecdsa_with_sha256 = der(0x30, &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"]);
    let common_name = der(0x30, &[b"\x06\x03\x55\x04\x03", b"\x0c\x04seed"]);
    let name = der(0x30, &[&der(0x31, &[&common_name])]);
    let validity = der(0x30, &[b"\x17\x0d260101000000Z", b"\x17\x0d360101000000Z"]);
    let not_an_authority = der(0x30, &[b"\x06\x03\x55\x1d\x13", b"\x04\x02\x30\x00"]);
    let extensions = der(0xa3, &[&der(0x30, &[&not_an_authority])]);
    let version_and_serial = b"\xa0\x03\x02\x01\x02\x02\x01\x01";
    let contents = der(
        0x30,
        &[
            version_and_serial,
            &ecdsa_with_sha256,
            &name,
            &validity,
            &name,
            spki,
            &extensions,
        ],
    );
    der(0x30, &[&contents, &ecdsa_with_sha256, b"\x03\x02\x00\x00"])
}

/// A modulus of 2048 bits; nothing was ever signed by it.
fn rsa() -> Vec<u8> {
    let modulus = der(0x02, &[&[0], &[0xa5; 256]]);
    let key = der(0x30, &[&modulus, b"\x02\x03\x01\x00\x01"]);
    let rsa = der(
        0x30,
        &[b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"],
    );
    der(0x30, &[&rsa, &der(0x03, &[&[0], &key])])
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let len = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let len = match len {
        [0, short @ ..=0x7f] => vec![short],
        [0, long] => vec![0x81, long],
        [high, low] => vec![0x82, high, low],
    };
    [&[tag][..], &len, &contents].concat()
}
