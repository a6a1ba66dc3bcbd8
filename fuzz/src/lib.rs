//! What the targets share: keys, a checkpoint that they signed, trees, and what holds for every entry that a log takes.

use std::sync::LazyLock;

use tegula_entries::{Files, Format, Proposed, StoredEntry, parse_proposed_v1};
use tegula_tlog::{
    Checkpoint, Edge, Hash, Note, SigningKey, TilePath, TileSet, TreeSize, VerifierKey, leaf_hash,
};

/// The keys of the seeds (`tests/tests/seeds.rs`): a log's two, and a witness'.
static SIGNERS: LazyLock<[SigningKey; 3]> = LazyLock::new(|| {
    let seed: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
    [
        SigningKey::ed25519_from_seed("log.example", &seed).unwrap(),
        SigningKey::ecdsa_from_scalar("log.example", &[7; 32]).unwrap(),
        SigningKey::witness_from_seed("witness.example", &[9; 32]).unwrap(),
    ]
});

static COSIGNED: LazyLock<Note> = LazyLock::new(|| {
    let mut edge = Edge::empty();
    let leaves = [b"alpha".as_slice(), b"beta", b"gamma"].map(leaf_hash);
    edge.grow(&leaves).unwrap();
    let checkpoint = Checkpoint {
        origin: "log.example".to_owned(),
        size: edge.size(),
        root: edge.root(),
        extensions: Vec::new(),
    };
    let [log, ecdsa, witness] = &*SIGNERS;
    let mut note = checkpoint.sign(&[log, ecdsa]).unwrap();
    note.sign(witness, 1_767_225_600);
    note
});

/// The keys that have signed [`signed_text`], and nothing else.
pub static KEYS: LazyLock<Vec<VerifierKey>> =
    LazyLock::new(|| SIGNERS.iter().map(SigningKey::verifier).collect());

/// The signed checkpoint of the log of `tiles-format.md`, with an ECDSA signature and a cosignature.
pub static CHECKPOINT: LazyLock<Vec<u8>> = LazyLock::new(|| COSIGNED.to_bytes());

/// The only text that the keys have ever signed.
pub fn signed_text() -> &'static str {
    COSIGNED.text()
}

/// Trees of several heights, the right edge in each of its forms, with all of their hash tiles.
pub static TREES: LazyLock<Vec<Tree>> =
    LazyLock::new(|| [1, 5, 255, 256, 257, 600, 66_000].map(Tree::new).into());

/// A tree and its tiles.
pub struct Tree {
    pub size: TreeSize,
    pub root: Hash,
    pub tiles: Vec<(TilePath, Vec<u8>)>,
}

impl Tree {
    fn new(size: u64) -> Self {
        let leaves: Vec<Hash> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut edge = Edge::empty();
        let growth = edge.grow(&leaves).unwrap();
        let mut tiles = growth.full_tiles().to_vec();
        tiles.extend(edge.partial_tiles());
        Self {
            size: edge.size(),
            root: edge.root(),
            tiles,
        }
    }

    /// What a set holds of a tile.
    pub fn held(tiles: &TileSet, path: &TilePath) -> Option<Vec<u8>> {
        Some(tiles.hashes(path)?.flat_map(|hash| hash.0).collect())
    }
}

/// A key, a signature and additional data, each after its length in two bytes and perhaps empty, and the artifact, which is the rest.
pub fn files(mut input: &[u8]) -> Option<Files> {
    let mut part = || {
        let (len, rest) = input.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
        input = rest;
        Some(part.to_vec())
    };
    let [key, signature, aad] = [part()?, part()?, part()?];
    let given = |part: Vec<u8>| Some(part).filter(|part| !part.is_empty());
    Some(Files {
        artifact: input.to_vec(),
        signature: given(signature),
        public_keys: given(key).into_iter().collect(),
        aad: given(aad),
    })
}

/// What is composed of files, if it is taken, can be read again.
pub fn check_files(files: &Files, kind: &str, format: Option<Format>) {
    if let Ok(proposed) = files.compose(kind, None, format) {
        check_json(&proposed);
    }
}

/// As [`check_files`], for a version that is not the newest.
pub fn check_version(files: &Files, kind: &str, version: &str) {
    if let Ok(proposed) = files.compose(kind, Some(version), None) {
        check_json(&proposed);
    }
}

fn check_json(json: &str) {
    if let Ok(proposed) = parse_proposed_v1(json.as_bytes()) {
        check_proposed(&proposed);
    }
}

/// What a log takes fits into a bundle, and every reader reads it as it was meant.
pub fn check_proposed(proposed: &Proposed) {
    if let Some(entry) = proposed.as_hashedrekord() {
        let details = entry.verifier().key_details();
        assert_eq!(entry.digest().algorithm(), details.digest_algorithm());
    }
    let Ok(entry) = proposed.verify() else {
        return;
    };
    assert!(entry.body().len() <= tegula_entries::MAX_BODY_LEN);
    let stored = StoredEntry::parse(entry.body()).unwrap();
    assert_eq!(
        (stored.kind(), stored.version()),
        (entry.kind(), entry.version())
    );
    if let Some(proposed) = proposed.as_hashedrekord() {
        let stored = stored.as_hashedrekord().unwrap();
        assert_eq!(stored.digest(), proposed.digest());
        assert_eq!(stored.signature(), proposed.signature());
        assert_eq!(stored.verifier(), proposed.verifier());
    }
    stored.verify().unwrap();
    let _facts = stored.facts();
    if let Some(attestation) = entry.attestation() {
        assert_eq!(stored.attestation(), Some(attestation.sha256));
        let _keys = stored.attested(&attestation.bytes);
    }
}
