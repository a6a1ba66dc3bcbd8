//! What all of the tests need.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tegula_entries::{Entry, EntryError, StoredEntry, parse_proposed_v1};

/// A file below `tests/data`.
pub(crate) fn data(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The digest, in hexadecimal.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(Sha256::digest(bytes))
}

/// An envelope of `tests/data/dsse`.
pub(crate) fn envelope(name: &str) -> String {
    String::from_utf8(data(&format!("dsse/{name}.json"))).unwrap()
}

/// The payload of an envelope.
pub(crate) fn payload(envelope: &str) -> Vec<u8> {
    let envelope: Value = serde_json::from_str(envelope).unwrap();
    STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap()
}

/// A key of `tests/data`, as proposals have it.
pub(crate) fn pem(key: &str) -> String {
    b64(data(&format!("{key}.pem")))
}

/// Proposes an entry, and verifies it.
pub(crate) fn propose(kind: &str, version: &str, spec: &Value) -> Result<Entry, EntryError> {
    let proposed = json!({"apiVersion": version, "kind": kind, "spec": spec}).to_string();
    parse_proposed_v1(proposed.as_bytes())?.verify()
}

/// An entry that has to be good, read back from its body.
pub(crate) fn accepted(kind: &str, version: &str, spec: &Value) -> (Entry, StoredEntry) {
    let entry = propose(kind, version, spec).unwrap();
    assert_eq!((entry.kind(), entry.version()), (kind, version));
    let stored = StoredEntry::parse(entry.body()).unwrap();
    assert_eq!((stored.kind(), stored.version()), (kind, version));
    // Again, and it is the same entry.
    assert_eq!(propose(kind, version, spec).unwrap(), entry);
    keep(kind, version, spec, &entry);
    (entry, stored)
}

/// Keeps an entry for the judges (`judges/run`).
fn keep(kind: &str, version: &str, spec: &Value, entry: &Entry) {
    let kept = json!({
        "proposed": {"apiVersion": version, "kind": kind, "spec": spec},
        "body": str::from_utf8(entry.body()).unwrap(),
    });
    let kept = serde_json::to_vec(&kept).unwrap();
    let name = hex(&Sha256::digest(&kept)[..8]);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kinds");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{kind}-{name}.json")), kept).unwrap();
}

/// Why an entry is refused.
pub(crate) fn refused(kind: &str, version: &str, spec: &Value) -> String {
    propose(kind, version, spec).unwrap_err().to_string()
}

/// The body as JSON.
pub(crate) fn body(entry: &Entry) -> Value {
    serde_json::from_slice(entry.body()).unwrap()
}

/// What an entry can be searched by, one by one.
pub(crate) fn search_keys(stored: &StoredEntry) -> Vec<String> {
    stored
        .facts()
        .keys
        .iter()
        .map(ToString::to_string)
        .collect()
}
