//! The committed files, and what differs from them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Files by their paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Where the golden files of this name are.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden")).join(name)
}

/// Every file below a directory.
pub(crate) fn read(root: &Path) -> Files {
    let mut files = Files::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap_or_else(|e| panic!("{directory:?}: {e}")) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.insert(name.to_owned(), fs::read(&path).unwrap());
        }
    }
    files
}

/// Makes the files below a directory.
pub(crate) fn write(root: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The lengths and paths of files, one a line.
pub(crate) fn listing(files: &Files) -> String {
    let mut listing = String::new();
    for (name, bytes) in files {
        writeln!(listing, "{:>6} {name}", bytes.len()).unwrap();
    }
    listing
}

/// Compares files with those that are committed in `name/log`, and their listing with `name/listing`.
pub(crate) fn assert_golden(name: &str, found: &Files) {
    let (log, list) = (golden(name).join("log"), golden(name).join("listing"));
    if is_writing() {
        if log.exists() {
            fs::remove_dir_all(&log).unwrap();
        }
        write(&log, found);
        fs::write(&list, listing(found)).unwrap();
        panic!("{log:?} was written anew, expected a look at the difference");
    }
    let now = listing(found);
    let same = now == fs::read_to_string(list).unwrap();
    assert!(same, "the listing of {name} differs, it is now\n{now}");
    let committed = read(&log);
    assert_eq!(listing(&committed), listing(found), "what is committed");
    for (path, bytes) in found {
        let at = bytes
            .iter()
            .zip(&committed[path])
            .position(|(a, b)| a != b)
            .map_or(String::new(), |at| format!(" from byte {at} on"));
        assert!(*bytes == committed[path], "{path} differs{at}");
    }
}

/// Whether whoever runs the tests wants the files written.
#[expect(
    clippy::disallowed_methods,
    reason = "who runs the test says that it shall write"
)]
pub(crate) fn is_writing() -> bool {
    match std::env::var("TEGULA_GOLDEN").as_deref() {
        Ok("write") => true,
        Ok(other) => panic!("TEGULA_GOLDEN is {other:?}, expected `write` or nothing"),
        Err(_) => false,
    }
}
