use std::fs::{self, File, TryLockError};
use std::io;

use super::OpenError;
use super::files::Layout;
use crate::{Condition, StoreError};

/// A process's place in the store: a lock on `private/running`, shared with the others, or held
/// alone while it rebuilds.
///
/// Whoever changes this lock holds `private/lock`, so that the moment between an exclusive lock and
/// a shared one is nobody else's.
#[derive(Debug)]
pub(super) struct Running(File);

impl Running {
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }

    /// Enters the store. A process that was killed while others ran on is no reason to rebuild:
    /// what it wrote is with the operating system.
    pub(super) fn enter(&self, layout: &Layout, private: &File) -> Result<Condition, OpenError> {
        match self.0.try_lock() {
            Ok(()) => {
                let io = |what| move |error| OpenError::io(what, error);
                layout.sweep().map_err(io("clear private/tmp"))?;
                match mark_len(layout).map_err(io("look for private/dirty"))? {
                    None => {}
                    Some(0) => return Ok(Condition::Unclean),
                    Some(_) => return Ok(Condition::Suspect),
                }
                mark(layout).map_err(io("write private/dirty"))?;
                private.sync_all().map_err(io("sync private"))?;
                self.shared().map_err(io("lock private/running"))?;
                Ok(Condition::Clean)
            }
            Err(TryLockError::WouldBlock) => match self.0.try_lock_shared() {
                Ok(()) if failed_sync(layout) => Err(OpenError::Busy(StoreError::refused(
                    "a process in the store failed to sync: all have to stop before one can rebuild",
                ))),
                Ok(()) => Ok(Condition::Clean),
                Err(TryLockError::WouldBlock) => Err(OpenError::Busy(StoreError::refused(
                    "another process is rebuilding the store after an unclean stop",
                ))),
                Err(TryLockError::Error(error)) => {
                    Err(OpenError::io("lock private/running", error))
                }
            },
            Err(TryLockError::Error(error)) => Err(OpenError::io("lock private/running", error)),
        }
    }

    /// Lets others in, after a rebuild. What was rebuilt is not synced, so the mark stays.
    pub(super) fn share(&self, layout: &Layout) -> io::Result<()> {
        mark(layout)?;
        self.shared()
    }

    /// Leaves cleanly. If nobody else is in the store, all that any process wrote is synced, and
    /// then the mark goes; a crash between the two leaves the mark, and so a needless rebuild.
    pub(super) fn leave(&self, layout: &Layout, private: &File) -> io::Result<()> {
        self.0.unlock()?;
        match self.0.try_lock() {
            Ok(()) => {
                sync_file_system(private)?;
                // A process that failed wrote into the mark: what it failed to sync is suspect.
                if mark_len(layout)? == Some(0) {
                    fs::remove_file(&layout.dirty)?;
                    private.sync_all()?;
                }
                self.0.unlock()
            }
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Leaves, and lets the mark stand.
    pub(super) fn release(&self) {
        // It fails only if the file is not locked; and it is closed with the process anyway.
        drop(self.0.unlock());
    }

    /// Tells whoever leaves last that a sync failed, as well as a disk in trouble can be written.
    pub(super) fn mark_failed(&self, layout: &Layout) {
        if let Ok(file) = File::options().write(true).open(&layout.dirty) {
            drop(file.set_len(1));
        }
    }

    fn shared(&self) -> io::Result<()> {
        self.0.unlock()?;
        self.0.try_lock_shared().map_err(io::Error::from)
    }
}

/// Whether a process that is or was in the store failed to sync: nobody may believe a sync of what that one wrote.
pub(super) fn failed_sync(layout: &Layout) -> bool {
    !matches!(mark_len(layout), Ok(None | Some(0)))
}

/// The length of the mark; `None` if there is no mark.
fn mark_len(layout: &Layout) -> io::Result<Option<u64>> {
    match fs::metadata(&layout.dirty) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the mark of a store in use, durable but for its name.
fn mark(layout: &Layout) -> io::Result<()> {
    layout.private_file(&layout.dirty)?.sync_all()
}

#[cfg(target_os = "linux")]
pub(super) fn sync_file_system(directory: &File) -> io::Result<()> {
    rustix::fs::syncfs(directory).map_err(io::Error::from)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn sync_file_system(_directory: &File) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}
