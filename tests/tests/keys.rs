//! What an entry is found by never changes while the index has version 1: the keys of real entries of every kind, and of what is none.
//!
//! `TEGULA_GOLDEN=write` writes them anew, for an entry that is new here. A line that is there and changes is another version of the index.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use tegula_client::index_keys;
use tegula_entries::search_keys;

#[test]
fn keys_of_entries_never_change() {
    let mut lines = String::new();
    for path in bodies() {
        let body = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        writeln!(lines, "{name}").unwrap();
        let named = search_keys(&body).into_iter().map(|key| key.to_string());
        let named = std::iter::once("Leaf".to_owned()).chain(named);
        for (key, name) in index_keys(&body).iter().zip(named) {
            writeln!(lines, "  {key} {name}").unwrap();
        }
    }
    let golden = root().join("tests/golden/keys");
    if std::env::var_os("TEGULA_GOLDEN").is_some() {
        fs::write(&golden, &lines).unwrap();
    }
    assert_eq!(fs::read_to_string(&golden).unwrap(), lines);
}

/// Of real tools, which the fuzzing begins with, and a few that are no entries of Rekor's.
fn bodies() -> Vec<PathBuf> {
    let mut bodies = Vec::new();
    for directory in ["fuzz/seeds/stored_entry", "fuzz/seeds/checkpoint"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            bodies.push(entry.unwrap().path());
        }
    }
    bodies.sort();
    bodies
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}
