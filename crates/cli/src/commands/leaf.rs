//! An entry in the log: named, found, proven and shown.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tegula_client::{SearchOptions, VerifiedCheckpoint};
use tegula_entries::{KeyFacts, StoredEntry};
use tegula_index::Key;
use tegula_tlog::{Hash, LeafIndex, leaf_hash, verify_inclusion};

use crate::context::{Context, Log};
use crate::exit::CliError;

/// Flags that name an entry of the log.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The entry's index in the log, from 0
    #[arg(long, value_name = "INDEX", conflicts_with = "uuid")]
    pub(crate) log_index: Option<LeafIndex>,

    /// The entry's leaf hash: 64 hexadecimal digits, or 80 with a tree's id before them
    #[arg(long, value_name = "HEX", value_parser = parse_uuid)]
    pub(crate) uuid: Option<Hash>,
}

/// An entry that was proven to be in the log.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) index: LeafIndex,
    pub(crate) leaf: Hash,
    pub(crate) proof: Vec<Hash>,
}

/// A leaf hash, without the id of a tree that Rekor v1 puts before it.
pub(crate) fn parse_uuid(text: &str) -> Result<Hash, String> {
    let refused = || format!("{text:?} is not a leaf hash of 64 or 80 hexadecimal digits");
    let lower = text.to_ascii_lowercase();
    let hash = match lower.split_at_checked(16) {
        Some((id, hash)) if lower.len() == 80 && id.bytes().all(|c| c.is_ascii_hexdigit()) => hash,
        _ => &lower,
    };
    hash.parse().map_err(|_wrong| refused())
}

impl Named {
    /// The index, which takes a scan of the log where only the leaf hash is given; `None` if nothing is.
    pub(crate) async fn find(
        &self,
        log: &Log,
        checkpoint: &VerifiedCheckpoint,
    ) -> Result<Option<LeafIndex>, CliError> {
        match (self.log_index, self.uuid) {
            (Some(index), _) => Ok(Some(index)),
            (None, Some(leaf)) => {
                let found = find(log, checkpoint, HashSet::from([leaf])).await?;
                let index = found.get(&leaf).copied();
                let index = index.ok_or_else(|| not_in_log(&leaf.to_string(), checkpoint))?;
                Ok(Some(index))
            }
            (None, None) => Ok(None),
        }
    }
}

/// Where these leaves are first, as far as they are in the log. What the search index finds is proven by the tree; what it does not find is looked
/// for in the whole log, since it may be wrong.
pub(crate) async fn find(
    log: &Log,
    checkpoint: &VerifiedCheckpoint,
    mut leaves: HashSet<Hash>,
) -> Result<HashMap<Hash, LeafIndex>, CliError> {
    let mut found = HashMap::new();
    if leaves.len() <= MAX_LOOKED_UP {
        found = look_up(log, checkpoint, &leaves).await;
        leaves.retain(|leaf| !found.contains_key(leaf));
    }
    if !leaves.is_empty() {
        found.extend(log.reader.find_leaf_hashes(checkpoint, leaves).await?);
    }
    Ok(found)
}

/// Those that the search index knows, if the log has one that can be read.
async fn look_up(
    log: &Log,
    checkpoint: &VerifiedCheckpoint,
    leaves: &HashSet<Hash>,
) -> HashMap<Hash, LeafIndex> {
    let leaves: Vec<_> = leaves.iter().copied().collect();
    let keys: Vec<_> = leaves.iter().map(Key::leaf).collect();
    let only_index = SearchOptions { max_scanned: 256 };
    let searched = log.reader.search_at(checkpoint, &keys, only_index).await;
    let mut found = HashMap::new();
    for (leaf, answer) in leaves.iter().zip(searched.iter().flat_map(|s| &s.answers)) {
        // Two leaves may share a key, and an index may lie.
        if let Some(index) = answer.found.first().filter(|_| answer.lists.is_empty())
            && prove(log, checkpoint, *index, *leaf).await.is_ok()
        {
            found.insert(*leaf, *index);
        }
    }
    found
}

/// Proves that the entry at `index` is this one.
pub(crate) async fn prove(
    log: &Log,
    checkpoint: &VerifiedCheckpoint,
    index: LeafIndex,
    leaf: Hash,
) -> Result<Proven, CliError> {
    let proof = log.reader.inclusion_proof(checkpoint, index).await?;
    verify_inclusion(index, checkpoint.size(), &leaf, &proof, &checkpoint.root()).map_err(
        |error| {
            CliError::verification(format!(
                "entry {index} of the log is not the one with leaf hash {leaf}: {error}"
            ))
        },
    )?;
    Ok(Proven { index, leaf, proof })
}

/// Reads the entry at `index` and proves it.
pub(crate) async fn read(
    log: &Log,
    checkpoint: &VerifiedCheckpoint,
    index: LeafIndex,
) -> Result<(Proven, Vec<u8>), CliError> {
    let body = log.reader.entry(checkpoint, index).await?.to_vec();
    let proven = prove(log, checkpoint, index, leaf_hash(&body)).await?;
    Ok((proven, body))
}

pub(crate) fn not_in_log(what: &str, checkpoint: &VerifiedCheckpoint) -> CliError {
    CliError::not_found(format!(
        "{what} is not among the {} entries of the log",
        checkpoint.size()
    ))
}

/// What there is to say about a proven entry, in JSON.
pub(crate) fn proven_json(proven: &Proven, checkpoint: &VerifiedCheckpoint) -> Value {
    let hashes: Vec<_> = proven.proof.iter().map(ToString::to_string).collect();
    json!({
        "logIndex": proven.index.to_string(),
        "uuid": proven.leaf.to_string(),
        "treeSize": checkpoint.size().to_string(),
        "rootHash": checkpoint.root().to_string(),
        "hashes": hashes,
        "checkpoint": String::from_utf8_lossy(checkpoint.note()),
        "stale": checkpoint.stale().is_some(),
    })
}

/// The same in lines.
pub(crate) fn print_proven(cx: &Context, proven: &Proven, checkpoint: &VerifiedCheckpoint) {
    cx.output.line(format!("Entry Index: {}", proven.index));
    cx.output.line(format!("Entry Hash: {}", proven.leaf));
    cx.output.line(format!("Tree Size: {}", checkpoint.size()));
    cx.output.line(format!("Root Hash: {}", checkpoint.root()));
}

/// What an entry of one of Rekor's kinds is, and what there is to know of it.
pub(crate) fn print_entry(cx: &Context, entry: &StoredEntry) {
    cx.output
        .line(format!("Kind: {} {}", entry.kind(), entry.version()));
    for (name, text) in entry.facts().lines {
        cx.output.line(format!("{name}: {text}"));
    }
}

/// Who signed an entry, a line each: whom the key or certificate names, or else the key itself.
pub(crate) fn print_signers(cx: &Context, signers: &[KeyFacts]) {
    for signer in signers {
        let mut names = signer.identities.join(", ");
        if names.is_empty() {
            names = format!("{} {}", signer.description, Hash(signer.fingerprint()));
        }
        cx.output.line(format!("Signed by: {names}"));
    }
}

/// The same in JSON, with all that is known of them.
pub(crate) fn signers_json(signers: &[KeyFacts]) -> Value {
    let json = |signer: &KeyFacts| {
        json!({
            "identities": signer.identities,
            "issuer": signer.issuer,
            "key": signer.description,
            "fingerprint": Hash(signer.fingerprint()).to_string(),
        })
    };
    signers.iter().map(json).collect()
}

/// What an entry is, as far as its bytes say.
pub(crate) fn body_json(body: &[u8]) -> Value {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let parsed = parsed.filter(|value| field(value, "kind").is_some());
    let field = |name| parsed.as_ref().and_then(|value| field(value, name));
    json!({
        "kind": field("kind").unwrap_or("raw"),
        "version": field("apiVersion").unwrap_or(""),
        "body": STANDARD.encode(body),
        "entry": parsed,
    })
}

/// The signature in an entry, checked again: `None` if the entry is of a kind that does not hold what was signed, or of none that is known.
pub(crate) fn check_signature(body: &[u8]) -> Result<Option<StoredEntry>, CliError> {
    match StoredEntry::parse(body) {
        Ok(entry) => Ok(entry.verify()?.then_some(entry)),
        // What says that it is one of Rekor's kinds has to be one.
        Err(error) if kind(body).is_some_and(|kind| KINDS.contains(&kind.as_str())) => {
            Err(CliError::verification(error))
        }
        Err(_other_kind) => Ok(None),
    }
}

fn kind(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    field(&value, "kind").map(str::to_owned)
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// Leaves that are looked up in the search index; to find more the log is read anyway.
const MAX_LOOKED_UP: usize = 16;

const KINDS: [&str; 11] = [
    "hashedrekord",
    "rekord",
    "intoto",
    "dsse",
    "cose",
    "rpm",
    "alpine",
    "jar",
    "helm",
    "tuf",
    "rfc3161",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_a_leaf_hash_with_or_without_a_tree() {
        let hash = leaf_hash(b"x").to_string();
        let long = format!("00000000000004d2{hash}");
        for text in [hash.clone(), hash.to_uppercase(), long] {
            assert_eq!(parse_uuid(&text).unwrap().to_string(), hash);
        }
        for bad in [
            "",
            "ab",
            &format!("{hash}00"),
            &hash.replacen(|_| true, "x", 1),
        ] {
            assert!(parse_uuid(bad).is_err(), "{bad}");
        }
        assert!(parse_uuid(&format!("zz000000000004d2{hash}")).is_err());
    }

    /// Of a log of Sigstore's, as it is there.
    const BODY: &[u8] = include_bytes!("../../../entries/tests/data/rekor-v2-412114.json");

    #[test]
    fn what_says_that_it_is_a_hashedrekord_has_to_be_a_good_one() {
        let body = BODY.trim_ascii_end();
        assert!(check_signature(body).unwrap().is_some());
        let spaced = [body, b" "].concat();
        let text = std::str::from_utf8(body).unwrap();
        let renamed = text.replacen("0.0.2", "0.0.9", 1);
        let without = r#"{"apiVersion":"0.0.2","kind":"hashedrekord"}"#;
        for bad in [&spaced[..], renamed.as_bytes(), without.as_bytes()] {
            let error = check_signature(bad).unwrap_err();
            assert_eq!(error.exit, crate::exit::Exit::Verification, "{error}");
        }
        for other in [&b"beta"[..], b"", b"{}", br#"{"kind":"record"}"#, b"\xff"] {
            assert!(check_signature(other).unwrap().is_none());
        }
    }
}
