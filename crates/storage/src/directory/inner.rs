use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use super::entry::{Running, failed_sync, sync_file_system};
use super::files::{Layout, Step, Traps};
use super::lock::Lock;
use super::{DirectoryOptions, OpenError, make, probe};
use crate::{Cause, Condition, StoreError};

/// One process's hold on a directory.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) layout: Layout,
    pub(super) lock: Lock,
    /// Open since the start, so that an error of any later write to it is reported here.
    pub(super) wal: File,
    pub(super) private: File,
    /// A floor that is durable: never more than the one in the file.
    pub(super) durable_floor: AtomicU64,
    /// Directories that were seen to be directories.
    pub(super) known: Mutex<HashSet<PathBuf>>,
    pub(super) next_temporary: AtomicU64,
    pub(super) traps: Traps,
    running: Running,
    condition: Mutex<Condition>,
    /// Whether all names of slots are durable that a process alone in an unclean store finds.
    pub(super) names_synced: AtomicBool,
    /// Whether it is closed; every call holds it for reading.
    closed: RwLock<bool>,
    failed: OnceLock<Cause>,
}

impl Inner {
    pub(super) fn open(root: PathBuf, options: DirectoryOptions) -> Result<Self, OpenError> {
        let layout = Layout::new(root);
        make::check_format(&layout)?;
        make::complete(&layout)?;
        let io = |what: &'static str| move |error| OpenError::io(what, error);
        let lock = Lock::new(
            layout
                .permanent(&layout.lock)
                .map_err(io("open private/lock"))?,
            options.lock_wait,
        );
        let wal = File::open(&layout.wal).map_err(io("open private/wal"))?;
        let private = File::open(&layout.private).map_err(io("open private"))?;
        let running = Running::new(
            layout
                .permanent(&layout.running)
                .map_err(io("open private/running"))?,
        );
        let mut left = options.lock_wait;
        let condition = loop {
            let entered = {
                let _holding = lock.hold().map_err(OpenError::Busy)?;
                probe::probe(&layout)?;
                running.enter(&layout, &private)
            };
            match entered {
                // Where all were killed at once, whoever is first rebuilds, and the others wait for it.
                Err(OpenError::Busy(_)) if !left.is_zero() => {}
                entered => break entered?,
            }
            left = left.saturating_sub(REBUILD_PAUSE);
            std::thread::sleep(REBUILD_PAUSE);
        };
        Ok(Self {
            layout,
            lock,
            wal,
            private,
            durable_floor: AtomicU64::new(0),
            known: Mutex::default(),
            next_temporary: AtomicU64::new(0),
            traps: Traps::default(),
            running,
            condition: Mutex::new(condition),
            names_synced: AtomicBool::new(false),
            closed: RwLock::new(false),
            failed: OnceLock::new(),
        })
    }

    pub(super) fn probe(&self) -> Result<(), OpenError> {
        let _holding = self.lock.hold().map_err(OpenError::Busy)?;
        probe::probe(&self.layout)
    }

    /// Does the work, unless the store is closed or has failed.
    pub(super) fn run<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return Err(StoreError::refused("the store is closed"));
        }
        if let Some(cause) = self.failed.get() {
            return Err(StoreError::Fatal(cause.clone()));
        }
        work(self)
    }

    /// Ends the store for this process, and says so to the one that will leave last.
    pub(super) fn fail(&self, what: &str, error: io::Error) -> StoreError {
        let cause = Cause::io(what, error);
        if self.failed.set(cause.clone()).is_ok() {
            self.running.mark_failed(&self.layout);
        }
        StoreError::Fatal(cause)
    }

    pub(super) fn sync_file(&self, file: &File, what: &str) -> Result<(), StoreError> {
        self.traps
            .spring(Step::SyncFile)
            .and_then(|()| file.sync_all())
            .map_err(|error| self.fail(&format!("sync {what}"), error))
    }

    pub(super) fn sync_directory(&self, directory: &File, what: &str) -> Result<(), StoreError> {
        self.traps
            .spring(Step::SyncDirectory)
            .and_then(|()| directory.sync_all())
            .map_err(|error| self.fail(&format!("sync the directory {what}"), error))
    }

    /// One call for the whole file system: for a hundred thousand objects that is minutes less than one for each.
    pub(super) fn sync_all(&self) -> Result<(), StoreError> {
        self.traps
            .spring(Step::SyncFile)
            .and_then(|()| sync_file_system(&self.private))
            .map_err(|error| self.fail("sync the file system", error))?;
        self.nobody_failed()
    }

    /// A failed sync is told once, to one process; to the others the same file looks synced. So what one fails, all fail.
    pub(super) fn nobody_failed(&self) -> Result<(), StoreError> {
        // While it rebuilds, the mark is what this process found, and not a new one.
        if self.condition() == Condition::Suspect || !failed_sync(&self.layout) {
            return Ok(());
        }
        Err(self.fail(
            "believe a sync",
            io::Error::other("another process in the store failed to sync"),
        ))
    }

    pub(super) fn condition(&self) -> Condition {
        *self
            .condition
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recovered(&self) -> Result<(), StoreError> {
        let _holding = self.lock.hold()?;
        if self.condition() != Condition::Clean {
            self.running
                .share(&self.layout)
                .map_err(|error| self.fail("share private/running", error))?;
            *self
                .condition
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Condition::Clean;
        }
        Ok(())
    }

    pub(super) fn close(&self) -> Result<(), StoreError> {
        let mut closed = self.closed.write().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return Ok(());
        }
        *closed = true;
        if let Some(cause) = self.failed.get() {
            self.running.release();
            return Err(StoreError::Fatal(cause.clone()));
        }
        if self.condition() != Condition::Clean {
            self.running.release();
            return Ok(());
        }
        let Ok(_holding) = self.lock.hold() else {
            // The mark stays, and the next start rebuilds: slower, and as right.
            self.running.release();
            return Err(StoreError::refused(
                "another process holds private/lock, so the next start rebuilds",
            ));
        };
        self.running
            .leave(&self.layout, &self.private)
            .map_err(|error| self.fail("leave the store", error))
    }
}

/// Between two looks at whether another process has rebuilt the store.
const REBUILD_PAUSE: Duration = Duration::from_millis(20);
