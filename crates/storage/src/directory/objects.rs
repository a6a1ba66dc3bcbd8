use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use bytes::Bytes;

use super::files::{Step, TRIES, file_mode, is_absent, never_happened, refused, restless};
use super::inner::Inner;
use crate::{
    Cause, Condition, Created, MAX_OBJECT_BYTES, Object, ObjectPath, Replaced, StoreError, Version,
};

impl Inner {
    pub(super) fn read(&self, path: &ObjectPath) -> Result<Option<Object>, StoreError> {
        let Some(directory) = self.parent(path)? else {
            return Ok(None);
        };
        let bytes = self.read_file(&directory.join(name(path)), None)?;
        Ok(bytes.map(|bytes| Object {
            version: Version::new(bytes.clone()),
            bytes,
        }))
    }

    pub(super) fn create(&self, path: &ObjectPath, bytes: &Bytes) -> Result<Created, StoreError> {
        check_length(&path, bytes)?;
        let mut temporary = None;
        for _ in 0..TRIES {
            let directory = self.made_parent(path)?;
            let file = directory.join(name(path));
            match self.look(path, &file)? {
                Place::Taken => return Ok(Created::Exists),
                Place::Gone => continue,
                Place::Free => {}
            }
            let temporary = match &temporary {
                Some(temporary) => temporary,
                None => temporary.insert(self.temporary(bytes, file_mode(path.root()))?),
            };
            let linked = self
                .traps
                .spring(Step::Link)
                .and_then(|()| temporary.link(&file));
            match linked {
                Ok(()) => return Ok(Created::Created),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if is_absent(&error) => self.forget(&directory),
                Err(error) => return Err(self.unnamed(path, error)),
            }
        }
        Err(restless(path))
    }

    pub(super) fn replace(
        &self,
        path: &ObjectPath,
        expected: Option<&Version>,
        bytes: &Bytes,
    ) -> Result<Replaced, StoreError> {
        check_length(&path, bytes)?;
        let mut temporary = self.temporary(bytes, file_mode(path.root()))?;
        self.sync_file(&temporary.file, "a temporary file")?;
        for _ in 0..TRIES {
            let directory = self.made_parent(path)?;
            let file = directory.join(name(path));
            let holding = self.lock.hold()?;
            let now = self.read_file(&file, None)?;
            if now.as_ref() != expected.map(Version::token) {
                return Ok(Replaced::Changed);
            }
            if now.is_none() && matches!(self.look(path, &file)?, Place::Gone) {
                continue;
            }
            let renamed = self
                .traps
                .spring(Step::Rename)
                .and_then(|()| temporary.rename(&file));
            match renamed {
                Ok(()) => {
                    drop(holding);
                    self.sync_chain(path)?;
                    return Ok(Replaced::Replaced(Version::new(bytes.clone())));
                }
                Err(error) if is_absent(&error) => self.forget(&directory),
                Err(error) => return Err(self.unnamed(path, error)),
            }
        }
        Err(restless(path))
    }

    /// Removes the file, and the directories above it that it leaves empty.
    pub(super) fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        let Some(mut directory) = self.parent(path)? else {
            return Ok(());
        };
        match fs::remove_file(directory.join(name(path))) {
            Ok(()) => {}
            Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::IsADirectory => {
                return Ok(());
            }
            Err(error) => return Err(refused(&format!("remove {path}"), error)),
        }
        let root = self.layout.root(path.root());
        while directory != root && fs::remove_dir(&directory).is_ok() {
            self.forget(&directory);
            directory.pop();
        }
        Ok(())
    }

    pub(super) fn sync(&self, paths: &[ObjectPath]) -> Result<(), StoreError> {
        let mut directories = BTreeSet::new();
        for path in paths {
            let absent = || StoreError::invalid(format!("{path} is not there to be synced"));
            let directory = self.parent(path)?.ok_or_else(absent)?;
            let file = self
                .open_file(&directory.join(name(path)))?
                .ok_or_else(absent)?;
            self.sync_file(&file, &path.to_string())?;
            directories.extend(self.chain(path));
        }
        // The deepest first: a name is worth nothing before what it leads to.
        directories
            .iter()
            .rev()
            .try_for_each(|directory| self.sync_at(directory))?;
        self.nobody_failed()
    }

    /// A rebuilt file is not synced: another power cut finds the store unclean again.
    pub(super) fn rebuild(&self, path: &ObjectPath, bytes: &Bytes) -> Result<(), StoreError> {
        check_length(&path, bytes)?;
        let condition = self.condition();
        if condition == Condition::Clean {
            return Err(StoreError::invalid(format!(
                "{path} was to be rebuilt in a store that is clean"
            )));
        }
        let file = self.made_parent(path)?.join(name(path));
        // What is suspect gets a new file: of the old one the system may hold more than the disk.
        if condition == Condition::Unclean
            && self
                .read_file(&file, None)
                .is_ok_and(|now| now.as_ref() == Some(bytes))
        {
            return Ok(());
        }
        let mut temporary = self.temporary(bytes, file_mode(path.root()))?;
        self.look(path, &file)?;
        temporary
            .rename(&file)
            .map_err(|error| self.unnamed(path, error))
    }

    /// Whether a name can be given. An empty directory in its place is only what was left when
    /// the objects in it were removed.
    fn look(&self, path: &ObjectPath, file: &Path) -> Result<Place, StoreError> {
        match fs::symlink_metadata(file) {
            Ok(metadata) if !metadata.is_dir() => Ok(Place::Taken),
            Ok(_) if fs::remove_dir(file).is_ok() => {
                self.forget(file);
                Ok(Place::Gone)
            }
            Ok(_) => Err(StoreError::invalid(format!(
                "{path} is a directory of other objects"
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::Free),
            // A directory that was known is a file now.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                if let Some(directory) = file.parent() {
                    self.forget(directory);
                }
                Ok(Place::Gone)
            }
            Err(error) => Err(refused(&format!("look at {path}"), error)),
        }
    }

    fn sync_chain(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.chain(path)
            .iter()
            .try_for_each(|directory| self.sync_at(directory))
    }

    /// The directories from an object's own up to the root.
    fn chain(&self, path: &ObjectPath) -> Vec<PathBuf> {
        let mut directory = self.layout.root(path.root()).join(path.as_str());
        path.as_str()
            .split('/')
            .map(|_| {
                directory.pop();
                directory.clone()
            })
            .collect()
    }

    fn sync_at(&self, directory: &Path) -> Result<(), StoreError> {
        let show = directory.display().to_string();
        let opened = self
            .traps
            .spring(Step::OpenDirectory)
            .and_then(|()| File::open(directory));
        match opened {
            Ok(file) => self.sync_directory(&file, &show),
            // Removed by another, with the objects that were in it.
            Err(error) if is_absent(&error) => Ok(()),
            // Too many open files, for one: nothing was synced, and nothing was lost.
            Err(error) => {
                let what = format!("open the directory {show}");
                Err(StoreError::Unknown(Cause::io(what, error)))
            }
        }
    }

    /// What a failed link or rename of the name means.
    pub(super) fn unnamed(&self, path: &dyn std::fmt::Display, error: io::Error) -> StoreError {
        let what = format!("give {path} its name");
        if never_happened(&error) {
            refused(&what, error)
        } else {
            self.fail(&what, error)
        }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Place {
    /// Nothing has the name.
    Free,
    /// A file has it.
    Taken,
    /// It was an empty directory's, or its own directory was not one: look again.
    Gone,
}

pub(super) fn check_length(name: &dyn std::fmt::Display, bytes: &Bytes) -> Result<(), StoreError> {
    if bytes.len() > MAX_OBJECT_BYTES {
        return Err(StoreError::invalid(format!(
            "{name} of {} bytes is longer than {MAX_OBJECT_BYTES}",
            bytes.len()
        )));
    }
    Ok(())
}

fn name(path: &ObjectPath) -> &str {
    path.as_str().rsplit('/').next().unwrap_or_default()
}
