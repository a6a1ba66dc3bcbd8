//! Verified tiles and bundles on disk.

use std::fs;
use std::io;
use std::path::PathBuf;

use tegula_index::IndexPath;
use tegula_tlog::{TilePath, VerifierKey};

use crate::directory::read_capped;
use crate::files::{Durable, write_whole};
use crate::reader::max_len;

/// A directory of tiles and bundles that hashed to a checkpoint's root. They never expire.
///
/// Whoever can write there can change them, and a disk can fail: what comes out is verified as if it had come from the network.
/// Nothing that goes wrong in a cache is an error; at worst, it does not help.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache in the directory `root`, which need not exist. It serves any number of logs.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The part of it that is for the log with this key.
    pub(crate) fn of(&self, key: &VerifierKey) -> KeyCache {
        KeyCache {
            root: self.root.join(key_name(key)),
        }
    }
}

/// The cache of one log.
#[derive(Clone, Debug)]
pub(crate) struct KeyCache {
    root: PathBuf,
}

impl KeyCache {
    /// The bytes of the tile or bundle, or of the full one in its place.
    pub(crate) fn load(&self, path: &TilePath) -> Option<(TilePath, Vec<u8>)> {
        let full = path.full();
        [*path, full].into_iter().find_map(|path| {
            let bytes = read_capped(&self.file(&path), max_len(&path)).ok()??;
            Some((path, bytes))
        })
    }

    /// Keeps verified bytes, and lets go of the narrower tiles that they replace.
    pub(crate) fn store(&self, path: &TilePath, bytes: &[u8]) {
        if write_whole(&self.file(path), bytes, Durable::No).is_ok() {
            // A cache that still has the narrower ones only takes more room.
            self.remove_narrower(path).ok();
        }
    }

    /// Takes away what did not verify.
    pub(crate) fn remove(&self, path: &TilePath) {
        // If it stays, it is refused again the next time.
        fs::remove_file(self.file(path)).ok();
    }

    /// The bytes of an object of the search index, which was verified when it was kept.
    pub(crate) fn load_index(&self, path: &IndexPath) -> Option<Vec<u8>> {
        read_capped(&self.root.join(path.to_string()), path.max_len()).ok()?
    }

    /// Keeps a verified object of the search index.
    pub(crate) fn store_index(&self, path: &IndexPath, bytes: &[u8]) {
        // Without it, it is fetched again.
        write_whole(&self.root.join(path.to_string()), bytes, Durable::No).ok();
    }

    /// Takes away what did not verify.
    pub(crate) fn remove_index(&self, path: &IndexPath) {
        fs::remove_file(self.root.join(path.to_string())).ok();
    }

    fn remove_narrower(&self, path: &TilePath) -> io::Result<()> {
        let full = self.file(&path.full());
        let mut partials = full.into_os_string();
        partials.push(".p");
        let entries = match fs::read_dir(&partials) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let width = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u16>().ok());
            if width.is_some_and(|width| width < path.width()) {
                fs::remove_file(entry.path())?;
            }
        }
        if path.is_full() {
            fs::remove_dir(&partials)?;
        }
        Ok(())
    }

    fn file(&self, path: &TilePath) -> PathBuf {
        self.root.join(path.to_string())
    }
}

/// A key as the name of a file or directory: its whole id, since names may be alike and short ids made so.
pub(crate) fn key_name(key: &VerifierKey) -> String {
    tegula_tlog::Hash(key.full_key_id()).to_string()
}
