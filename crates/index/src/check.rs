//! Every object of a run, one after the other: whether the run is whole, and is what its record commits to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::error::IndexError;
use crate::leaf::Record;
use crate::list::List;
use crate::live::Run;
use crate::partition::{Contents, Keys, Partition};
use crate::path::IndexPath;
use crate::postings::{Entries, Postings};

/// A check of all objects of a run: it says what to read, and is given it, in any order.
///
/// This proves that the run is there and is sound, not that it is right: for that it has to be made again from the log.
#[derive(Debug)]
pub struct RunCheck {
    run: Run,
    record: Record,
    /// The next partition, and how many there are.
    next: u64,
    partitions: u64,
    /// Pages and lists of partitions that were read.
    found: VecDeque<(IndexPath, Wanted)>,
    asked: BTreeMap<IndexPath, Wanted>,
}

#[derive(Clone, Debug)]
enum Wanted {
    Partition(u64),
    Page(Arc<Partition>, u64),
    List(List, u64),
}

impl RunCheck {
    /// A check of a live run, from the first object on.
    pub fn new(run: Run, record: Record) -> Self {
        Self {
            run,
            record,
            next: 0,
            partitions: 1_u64.checked_shl(record.bits().into()).unwrap_or(0),
            found: VecDeque::new(),
            asked: BTreeMap::new(),
        }
    }

    /// What to read next. `None` where nothing is left, or what is depends on what was asked for.
    pub fn next_path(&mut self) -> Option<IndexPath> {
        let (path, wanted) = match self.found.pop_front() {
            Some(found) => found,
            None if self.next < self.partitions => {
                let (run, q) = (self.run, self.next);
                self.next += 1;
                (IndexPath::Partition { run, q }, Wanted::Partition(q))
            }
            None => return None,
        };
        self.asked.insert(path, wanted);
        Some(path)
    }

    /// Whether all that there is was read.
    pub fn is_done(&self) -> bool {
        self.next >= self.partitions && self.found.is_empty() && self.asked.is_empty()
    }

    /// Gives up what was asked for: it is not there.
    pub fn leave_out(&mut self, path: IndexPath) {
        self.asked.remove(&path);
    }

    /// Checks an object.
    ///
    /// # Errors
    ///
    /// [`IndexError`]; then what it leads to is not read.
    pub fn take(&mut self, path: IndexPath, bytes: &[u8]) -> Result<(), IndexError> {
        let wanted = self.asked.remove(&path);
        match wanted.ok_or(IndexError::Unasked { path })? {
            Wanted::Partition(q) => {
                let partition = Partition::open(self.run, &self.record, q, bytes)?;
                if let Contents::Keys(keys) = &partition.contents {
                    return self.keys(keys);
                }
                let partition = Arc::new(partition);
                for page in 0..partition.pages() {
                    let wanted = Wanted::Page(Arc::clone(&partition), page);
                    self.found.push_back((partition.page_path(page), wanted));
                }
                Ok(())
            }
            Wanted::Page(partition, page) => self.keys(&partition.open_page(page, bytes)?),
            Wanted::List(list, page) => list.relative(page, bytes).map(drop),
        }
    }

    /// Reads keys to their end, and notes their lists.
    fn keys(&mut self, keys: &Keys) -> Result<(), IndexError> {
        let (mut entries, mut unused) = (Entries::new(keys.count), Vec::new());
        let (body, scope) = (&keys.body, &keys.scope);
        while let Some((key, list)) = entries.next(body, scope, &mut unused, |_| false)? {
            if let Some(Postings::List { count, root }) = list {
                let run = self.run;
                let list = List {
                    run,
                    key,
                    count,
                    root,
                };
                for page in 0..list.pages() {
                    self.found
                        .push_back((list.path(page), Wanted::List(list, page)));
                }
            }
        }
        Ok(())
    }
}
