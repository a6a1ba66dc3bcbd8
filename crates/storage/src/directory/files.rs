use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::inner::Inner;
use crate::{Cause, MAX_OBJECT_BYTES, ObjectPath, Root, StoreError};

/// Where everything is.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) public: PathBuf,
    pub(super) private: PathBuf,
    pub(super) wal: PathBuf,
    pub(super) tmp: PathBuf,
    pub(super) floor: PathBuf,
    pub(super) format: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) running: PathBuf,
    pub(super) dirty: PathBuf,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        let private = root.join("private");
        Self {
            public: root.join("public"),
            wal: private.join("wal"),
            tmp: private.join("tmp"),
            floor: private.join("floor"),
            format: private.join("format"),
            lock: private.join("lock"),
            running: private.join("running"),
            dirty: private.join("dirty"),
            private,
            root,
        }
    }

    pub(super) fn root(&self, root: Root) -> &Path {
        match root {
            Root::Public => &self.public,
            Root::Private => &self.private,
        }
    }

    pub(super) fn slot(&self, start: u64) -> PathBuf {
        self.wal.join(format!("{start:020}"))
    }

    /// Opens a file that is never removed or replaced, so that all lock the same one.
    pub(super) fn permanent(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(PRIVATE_MODE)
            .open(path)
    }

    /// Opens an empty file that only writers may read.
    pub(super) fn private_file(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(PRIVATE_MODE)
            .open(path)
    }

    /// Removes what a crash left in `private/tmp`; only for a process alone in the store.
    pub(super) fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.tmp)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// A file without its name yet; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Temporary {
    path: Option<PathBuf>,
    pub(super) file: File,
}

impl Temporary {
    pub(super) fn link(&self, to: &Path) -> io::Result<()> {
        match &self.path {
            Some(path) => fs::hard_link(path, to),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn rename(&mut self, to: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, to)?;
            self.path = None;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What stays behind is swept by the next process that is alone.
            drop(fs::remove_file(path));
        }
    }
}

impl Inner {
    /// Writes a temporary file; whatever fails, nothing is left and nothing has happened.
    pub(super) fn temporary(&self, bytes: &[u8], mode: u32) -> Result<Temporary, StoreError> {
        let mut temporary = self
            .temporary_file(mode)
            .map_err(|error| refused("make a temporary file", error))?;
        self.traps
            .spring(Step::Write)
            .and_then(|()| temporary.file.write_all(bytes))
            .map_err(|error| refused("write a temporary file", error))?;
        Ok(temporary)
    }

    fn temporary_file(&self, mode: u32) -> io::Result<Temporary> {
        let process = std::process::id();
        loop {
            let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
            let path = self.layout.tmp.join(format!("{process}-{number}"));
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&path);
            match file {
                Ok(file) => {
                    let path = Some(path);
                    return Ok(Temporary { path, file });
                }
                // Another's: a process of the same number, in another container or before a crash.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The file's bytes, at most `head` of them; `None` if there is no file.
    pub(super) fn read_file(
        &self,
        path: &Path,
        head: Option<usize>,
    ) -> Result<Option<Bytes>, StoreError> {
        let Some(file) = self.open_file(path)? else {
            return Ok(None);
        };
        let show = path.display();
        let read = || -> io::Result<Vec<u8>> {
            let most = head.unwrap_or(MAX_OBJECT_BYTES + 1);
            let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            let mut bytes = Vec::with_capacity(len.min(most).min(MAX_OBJECT_BYTES + 1));
            let limit = u64::try_from(most).unwrap_or(u64::MAX);
            (&file).take(limit).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| refused(&format!("read {show}"), error))?;
        if bytes.len() > MAX_OBJECT_BYTES {
            return Err(StoreError::invalid(format!(
                "{show} is longer than {MAX_OBJECT_BYTES} bytes"
            )));
        }
        Ok(Some(bytes.into()))
    }

    /// Opens a regular file for reading; `None` if there is none.
    pub(super) fn open_file(&self, path: &Path) -> Result<Option<File>, StoreError> {
        let show = path.display();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(Errno::LOOP) => {
                return Err(StoreError::invalid(format!("{show} is a symbolic link")));
            }
            Err(error) => return Err(refused(&format!("open {show}"), error.into())),
        };
        let metadata = file
            .metadata()
            .map_err(|error| refused(&format!("look at {show}"), error))?;
        Ok(metadata.is_file().then_some(file))
    }

    /// The directory of an object, if it is there and no symbolic link leads to it.
    pub(super) fn parent(&self, path: &ObjectPath) -> Result<Option<PathBuf>, StoreError> {
        self.walk_to(path, false)
    }

    /// The directory of an object, made where it is absent.
    pub(super) fn made_parent(&self, path: &ObjectPath) -> Result<PathBuf, StoreError> {
        for _ in 0..TRIES {
            if let Some(directory) = self.walk_to(path, true)? {
                return Ok(directory);
            }
        }
        Err(restless(path))
    }

    fn walk_to(&self, path: &ObjectPath, make: bool) -> Result<Option<PathBuf>, StoreError> {
        let mut directory = self.layout.root(path.root()).to_owned();
        let Some((above, _)) = path.as_str().rsplit_once('/') else {
            return Ok(Some(directory));
        };
        let whole = directory.join(above);
        if self.known().contains(&whole) {
            return Ok(Some(whole));
        }
        for segment in above.split('/') {
            directory.push(segment);
            let show = directory.display();
            if make {
                match DirBuilder::new()
                    .mode(directory_mode(path.root()))
                    .create(&directory)
                {
                    Ok(()) => continue,
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    // One that was removed behind us: the caller tries again.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(refused(&format!("make {show}"), error)),
                }
            }
            match fs::symlink_metadata(&directory) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(metadata) if metadata.is_file() && !make => return Ok(None),
                Ok(_) => {
                    return Err(StoreError::invalid(format!("{show} is not a directory")));
                }
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(refused(&format!("look at {show}"), error)),
            }
        }
        let mut known = self.known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(directory);
        Ok(Some(whole))
    }

    /// A directory may be removed by another process; whoever finds it gone looks again.
    pub(super) fn forget(&self, directory: &Path) {
        self.known().remove(directory);
    }
}

/// An error of the operating system before anything had a name.
pub(super) fn refused(what: &str, error: io::Error) -> StoreError {
    StoreError::refused(Cause::io(what, error))
}

/// Whether a link or a rename that failed so has surely not happened.
pub(super) fn never_happened(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::TooManyLinks
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::CrossesDevices
            | io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
    )
}

/// Whether there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether there is nothing of this name.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

pub(super) fn file_mode(root: Root) -> u32 {
    match root {
        Root::Public => PUBLIC_MODE,
        Root::Private => PRIVATE_MODE,
    }
}

fn directory_mode(root: Root) -> u32 {
    match root {
        Root::Public => 0o755,
        Root::Private => 0o700,
    }
}

/// What may fail on a disk, and cannot be made to fail by a test but here.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Write,
    SyncFile,
    OpenDirectory,
    Link,
    Rename,
    SyncDirectory,
}

/// Where a test lets a step fail; outside of tests, nowhere.
#[derive(Debug, Default)]
pub(super) struct Traps {
    #[cfg(test)]
    set: std::sync::Mutex<Option<(Step, io::ErrorKind)>>,
}

impl Traps {
    #[cfg(not(test))]
    pub(super) fn spring(&self, _step: Step) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn spring(&self, step: Step) -> io::Result<()> {
        match *self.set.lock().unwrap() {
            Some((trapped, kind)) if trapped == step => Err(kind.into()),
            _ => Ok(()),
        }
    }

    #[cfg(test)]
    pub(super) fn set(&self, trap: Option<(Step, io::ErrorKind)>) {
        *self.set.lock().unwrap() = trap;
    }
}

pub(super) fn restless(path: &ObjectPath) -> StoreError {
    StoreError::refused(format!(
        "the directory of {path} was removed {TRIES} times while it was used"
    ))
}

/// How often a name is tried whose directory another process removes in between.
pub(super) const TRIES: usize = 16;

/// How many directories are remembered: 64 Ki of at most some hundred bytes, a few MiB.
const MAX_KNOWN: usize = 1 << 16;

const PUBLIC_MODE: u32 = 0o644;

pub(super) const PRIVATE_MODE: u32 = 0o600;
