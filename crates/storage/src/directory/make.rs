use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::files::{Layout, is_absent};
use super::probe;
use crate::StoreError;

/// Why a directory is not, or cannot become, a store that can be entered.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no store at this place.
    #[error("{} is not a log's directory: {what}", root.display())]
    NotALog {
        /// The place.
        root: PathBuf,
        /// What is missing or wrong.
        what: String,
    },
    /// The store was made by a newer version of the software.
    #[error("the directory has format {found}, and this version reads formats up to {newest}")]
    NewerFormat {
        /// The version that the directory names.
        found: u64,
        /// The newest version that can be read.
        newest: u64,
    },
    /// A store is only made in a directory that is absent or empty.
    #[error("{} is not empty: it holds {entry:?}", root.display())]
    NotEmpty {
        /// The place.
        root: PathBuf,
        /// One of the names in it.
        entry: String,
    },
    /// The file system does not keep what the store rests on.
    #[error("the file system of {} cannot hold a log: {what}", root.display())]
    ProbeFailed {
        /// The place.
        root: PathBuf,
        /// What was tried, and what came of it.
        what: String,
    },
    /// Another process holds the store; it can be tried again.
    #[error("the directory is in use: {0}")]
    Busy(StoreError),
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What it answered.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }
}

/// The file that makes a directory a store comes last.
pub(super) fn make(root: &Path) -> Result<(), OpenError> {
    let io = |what: &'static str| move |error| OpenError::io(what, error);
    fs::create_dir_all(root)
        .map_err(|error| OpenError::io(format!("make the directory {}", root.display()), error))?;
    for entry in fs::read_dir(root).map_err(io("list the directory"))? {
        let entry = entry.map_err(io("list the directory"))?.file_name();
        if entry != "lost+found" {
            return Err(OpenError::NotEmpty {
                root: root.to_owned(),
                entry: entry.to_string_lossy().into_owned(),
            });
        }
    }
    let layout = Layout::new(root.to_owned());
    fs::create_dir(&layout.public).map_err(io("make public"))?;
    for directory in [&layout.private, &layout.wal] {
        DirBuilder::new()
            .mode(0o700)
            .create(directory)
            .map_err(io("make private"))?;
    }
    complete(&layout)?;
    probe::probe(&layout)?;
    let temporary = layout.tmp.join("format");
    layout
        .private_file(&temporary)
        .and_then(|mut file| {
            writeln!(file, "{FORMAT}")?;
            file.sync_all()?;
            fs::rename(&temporary, &layout.format)?;
            for directory in [&layout.wal, &layout.private, &layout.public, &layout.root] {
                File::open(directory)?.sync_all()?;
            }
            sync_parent(&layout.root)
        })
        .map_err(io("write private/format"))
}

/// The name of the store itself, where that is allowed.
fn sync_parent(root: &Path) -> io::Result<()> {
    match root.canonicalize()?.parent().map(File::open) {
        Some(Ok(parent)) => parent.sync_all(),
        Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Some(Err(error)) => Err(error),
        None => Ok(()),
    }
}

/// Makes what holds nothing, and which a copy of a store may therefore lack.
pub(super) fn complete(layout: &Layout) -> Result<(), OpenError> {
    let made = match DirBuilder::new().mode(0o700).create(&layout.tmp) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    made.map_err(|error| OpenError::io("make private/tmp", error))
}

pub(super) fn check_format(layout: &Layout) -> Result<(), OpenError> {
    let not_a_log = |what: String| OpenError::NotALog {
        root: layout.root.clone(),
        what,
    };
    let text = match fs::read(&layout.format) {
        Ok(text) => text,
        Err(error) if is_absent(&error) => {
            return Err(not_a_log("private/format is absent".to_owned()));
        }
        Err(error) => return Err(OpenError::io("read private/format", error)),
    };
    let found = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.strip_suffix('\n'))
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0'))
        .and_then(|text| text.parse::<u64>().ok())
        .ok_or_else(|| {
            let text = String::from_utf8_lossy(text.get(..64).unwrap_or(&text)).into_owned();
            not_a_log(format!("private/format holds {text:?}, not a version"))
        })?;
    if found > FORMAT {
        let newest = FORMAT;
        return Err(OpenError::NewerFormat { found, newest });
    }
    for (name, directory) in [("public", &layout.public), ("private/wal", &layout.wal)] {
        if !fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir()) {
            return Err(not_a_log(format!("{name} is not a directory")));
        }
    }
    Ok(())
}

/// The version of the layout that [`Directory`](super::Directory) documents.
const FORMAT: u64 = 1;
