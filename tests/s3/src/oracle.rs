//! What a log in the stand-in has to be, whatever happened to it.

use std::collections::HashMap;

use tegula_tlog::{Checkpoint, Edge, TilePath, TreeSize, VerifierKey, leaf_hash, parse_bundle};

use crate::StandIn;

/// Checks the log in `log-public`, all versions of whose checkpoint were kept.
///
/// It has every acknowledged entry, once and where it was said to be. Every checkpoint that was ever published is larger than the one
/// before it, and the root of one of the log's beginnings; and every entry can be read. Gives the size.
pub fn check(stand_in: &StandIn, key: &VerifierKey, acknowledged: &HashMap<String, u64>) -> u64 {
    let keys = std::slice::from_ref(key);
    let note = stand_in.get("log-public", "checkpoint").unwrap();
    let (checkpoint, _) = Checkpoint::open(&note, keys).unwrap();
    let entries = entries(stand_in, checkpoint.size);
    let mut at: HashMap<&[u8], u64> = HashMap::new();
    for (index, entry) in (0..).zip(&entries) {
        let before = at.insert(entry, index);
        let name = String::from_utf8_lossy(entry);
        assert_eq!(before, None, "{name:?} is logged twice");
    }
    for (entry, index) in acknowledged {
        let found = at.get(entry.as_bytes());
        assert_eq!(found, Some(index), "{entry} was said to be at {index}");
    }

    let mut edge = Edge::empty();
    let mut roots = vec![edge.root()];
    for entry in &entries {
        edge.grow(&[leaf_hash(entry)]).unwrap();
        roots.push(edge.root());
    }
    let mut size = 0;
    for note in stand_in.versions("log-public", "checkpoint") {
        let (published, _) = Checkpoint::open(&note, keys).unwrap();
        let next = published.size.get();
        assert!(next > size, "{size}, and then {next}");
        size = next;
        let root = roots.get(usize::try_from(size).unwrap());
        assert_eq!(Some(&published.root), root, "size {size}");
    }
    checkpoint.size.get()
}

fn entries(stand_in: &StandIn, size: TreeSize) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for n in 0..size.get().div_ceil(256) {
        let path = TilePath::entries_at(n, size).unwrap();
        let bundle = stand_in.get("log-public", &path.to_string()).unwrap();
        let count = usize::from(path.width());
        let bundle = parse_bundle(&bundle, count).unwrap();
        entries.extend(bundle.into_iter().map(<[u8]>::to_vec));
    }
    entries
}
