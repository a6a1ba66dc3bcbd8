use std::fs::{File, TryLockError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::{Cause, StoreError};

/// The lock between threads and processes on the permanent file `private/lock`.
///
/// An `flock` belongs to the open file, so that threads which share it need a lock of their own.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    busy: Mutex<bool>,
    freed: Condvar,
    wait: Duration,
}

impl Lock {
    pub(super) fn new(file: File, wait: Duration) -> Self {
        Self {
            file,
            busy: Mutex::new(false),
            freed: Condvar::new(),
            wait,
        }
    }

    /// Waits for the other threads, and then for the other processes, each for a bounded time.
    pub(super) fn hold(&self) -> Result<Holding<'_>, StoreError> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut busy, waited) = self
            .freed
            .wait_timeout_while(busy, self.wait, |busy| *busy)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(self.timed_out("thread"));
        }
        *busy = true;
        drop(busy);
        let holding = Holding(self);
        let mut left = self.wait;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(holding),
                Err(TryLockError::WouldBlock) if left.is_zero() => {
                    return Err(self.timed_out("process"));
                }
                Err(TryLockError::WouldBlock) => {
                    let pause_now = pause.min(left);
                    std::thread::sleep(pause_now);
                    left = left.saturating_sub(pause_now);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(TryLockError::Error(error)) => {
                    return Err(StoreError::refused(Cause::io("lock private/lock", error)));
                }
            }
        }
    }

    fn timed_out(&self, who: &str) -> StoreError {
        StoreError::refused(format!(
            "another {who} held private/lock for more than {:?}",
            self.wait
        ))
    }
}

/// The lock is held until this is dropped.
#[derive(Debug)]
pub(super) struct Holding<'a>(&'a Lock);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        // It fails only if the file is not locked, as after a wait in vain.
        drop(self.0.file.unlock());
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.notify_one();
    }
}

/// The lock is held for some tens of microseconds: long enough to link a file.
const FIRST_PAUSE: Duration = Duration::from_micros(50);

const LONGEST_PAUSE: Duration = Duration::from_millis(5);
