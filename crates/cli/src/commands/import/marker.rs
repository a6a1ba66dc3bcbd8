//! `private/import`: there while an import is not finished (tiles-format.md section 11).

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::exit::CliError;

/// Whether an import into this directory was begun, and not ended.
pub(super) fn is_there(root: &Path) -> bool {
    path(root).exists()
}

/// Whether it has not made a log yet.
pub(super) fn is_half_imported(root: &Path) -> bool {
    is_there(root) && !root.join("public/checkpoint").exists()
}

/// For all who want a log: half of one is neither a log nor a broken one.
pub(crate) fn refuse_half_imported(root: &Path) -> Result<(), CliError> {
    if is_half_imported(root) {
        return Err(CliError::io(format!(
            "{root} is not a log yet: an import into it was cut off, or goes on; run the same `tegula import` again, or remove {root}",
            root = root.display()
        )));
    }
    Ok(())
}

/// Held while an import goes on: one process at a time.
#[derive(Debug)]
pub(super) struct Marker {
    path: PathBuf,
    /// Locked; the lock ends with the process.
    _file: File,
}

impl Marker {
    /// Takes the directory for an import of `what`, one line. One of something else must not be going on there.
    pub(super) fn take(root: &Path, what: &str) -> Result<Self, CliError> {
        let path = path(root);
        let failed = |error: std::io::Error| CliError::io(format!("{}: {error}", path.display()));
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CliError::io(format!(
                    "another process is importing into {}",
                    root.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut begun = String::new();
        (&file)
            .take(MAX_LEN)
            .read_to_string(&mut begun)
            .map_err(failed)?;
        // Half a line is what a crash has left of the one that was to be written.
        match begun.strip_suffix('\n') {
            Some(begun) if begun == what => {}
            Some(begun) => {
                return Err(CliError::usage(format!(
                    "an import of {begun} into {root} was cut off, this one is of {what}: run that one again, or remove {root}",
                    root = root.display()
                )));
            }
            None => file
                .set_len(0)
                .and_then(|()| file.write_all(format!("{what}\n").as_bytes()))
                .and_then(|()| file.sync_all())
                .and_then(|()| File::open(root.join("private"))?.sync_all())
                .map_err(failed)?,
        }
        Ok(Self { path, _file: file })
    }

    /// There is a log now.
    pub(super) fn remove(self) -> Result<(), CliError> {
        fs::remove_file(&self.path)
            .map_err(|error| CliError::io(format!("{}: {error}", self.path.display())))
    }
}

fn path(root: &Path) -> PathBuf {
    root.join("private/import")
}

/// An origin has at most some hundred bytes, and a key as many.
const MAX_LEN: u64 = 4096;
