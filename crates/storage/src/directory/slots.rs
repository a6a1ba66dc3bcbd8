use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::files::{PRIVATE_MODE, Step, refused};
use super::inner::Inner;
use super::objects::check_length;
use crate::{Condition, SlotCreated, StoreError};

impl Inner {
    /// The order matters: bytes on the disk, then floor and name under one lock, then the name on
    /// the disk. A crash before the link leaves a temporary file; one after it leaves a slot that
    /// nobody was told of, whole, which whoever reads it makes durable.
    pub(super) fn create_slot(&self, start: u64, bytes: &Bytes) -> Result<SlotCreated, StoreError> {
        check_length(&format_args!("slot {start}"), bytes)?;
        let slot = self.layout.slot(start);
        // A look before the work: neither answer can become wrong.
        if start < self.floor()? {
            return Ok(SlotCreated::BelowFloor);
        }
        match fs::symlink_metadata(&slot) {
            Ok(_) => return Ok(SlotCreated::Exists),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(&format!("look at slot {start}"), error)),
        }
        let temporary = self.temporary(bytes, PRIVATE_MODE)?;
        self.sync_file(&temporary.file, "a temporary file")?;
        {
            let _holding = self.lock.hold()?;
            if start < self.floor()? {
                return Ok(SlotCreated::BelowFloor);
            }
            let linked = self
                .traps
                .spring(Step::Link)
                .and_then(|()| temporary.link(&slot));
            match linked {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Ok(SlotCreated::Exists);
                }
                Err(error) => return Err(self.unnamed(&format_args!("slot {start}"), error)),
            }
        }
        self.sync_directory(&self.wal, "private/wal")?;
        Ok(SlotCreated::Created)
    }

    pub(super) fn read_slot(
        &self,
        start: u64,
        head: Option<usize>,
    ) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.read_file(&self.layout.slot(start), head)?;
        if bytes.is_some() {
            self.sync_names()?;
        }
        Ok(bytes)
    }

    /// The writer of a slot may be between link and sync: nobody builds on a name that a power cut can take away.
    fn sync_names(&self) -> Result<(), StoreError> {
        // Alone in the store, once is enough: later names are of this process, which synced them.
        let alone = self.condition() != Condition::Clean;
        if alone && self.names_synced.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.sync_directory(&self.wal, "private/wal")?;
        self.names_synced.store(alone, Ordering::SeqCst);
        Ok(())
    }

    pub(super) fn slots(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        let read = || -> io::Result<Vec<u64>> {
            let mut lowest = BinaryHeap::new();
            for entry in fs::read_dir(&self.layout.wal)? {
                let name = entry?.file_name();
                let start = name.to_str().and_then(parse_start);
                if let Some(start) = start.filter(|start| *start >= from) {
                    lowest.push(start);
                    if lowest.len() > limit {
                        lowest.pop();
                    }
                }
            }
            Ok(lowest.into_sorted_vec())
        };
        read().map_err(|error| refused("list private/wal", error))
    }

    /// The file is read each time, because another process may have raised the floor.
    pub(super) fn floor(&self) -> Result<u64, StoreError> {
        let Some(bytes) = self.read_file(&self.layout.floor, Some(DIGITS + 2))? else {
            return Ok(0);
        };
        let text = std::str::from_utf8(&bytes).ok();
        let floor = text
            .and_then(|text| text.strip_suffix('\n'))
            .and_then(parse_start);
        floor.ok_or_else(|| {
            let error =
                io::Error::other(format!("{bytes:?} is not {DIGITS} digits and a line end"));
            self.fail("read private/floor", error)
        })
    }

    pub(super) fn raise_floor(&self, floor: u64) -> Result<(), StoreError> {
        if floor <= self.durable_floor.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.nobody_failed()?;
        let _holding = self.lock.hold()?;
        let mut reached = self.floor()?;
        if reached < floor {
            let text = format!("{floor:020}\n");
            let mut temporary = self.temporary(text.as_bytes(), PRIVATE_MODE)?;
            self.sync_file(&temporary.file, "a temporary file")?;
            self.traps
                .spring(Step::Rename)
                .and_then(|()| temporary.rename(&self.layout.floor))
                .map_err(|error| self.unnamed(&"private/floor", error))?;
            reached = floor;
        }
        self.settle_floor(reached)
    }

    pub(super) fn remove_slot(&self, start: u64) -> Result<(), StoreError> {
        if start >= self.durable_floor.load(Ordering::SeqCst) {
            let _holding = self.lock.hold()?;
            let floor = self.floor()?;
            if start >= floor {
                return Err(StoreError::invalid(format!(
                    "slot {start} is not below the floor of {floor}"
                )));
            }
            // Whoever raised it may have died before it was durable; a removed slot's name must
            // not become free with the floor.
            self.settle_floor(floor)?;
        }
        match fs::remove_file(self.layout.slot(start)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(refused(&format!("remove slot {start}"), error)),
        }
    }

    fn settle_floor(&self, floor: u64) -> Result<(), StoreError> {
        self.sync_directory(&self.private, "private")?;
        self.durable_floor.fetch_max(floor, Ordering::SeqCst);
        Ok(())
    }
}

fn parse_start(text: &str) -> Option<u64> {
    if text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// The digits of a slot's name and of the floor: as many as the largest `u64` has.
const DIGITS: usize = 20;
