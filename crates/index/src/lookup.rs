//! What to read for a key, and what it proves.

use tegula_tlog::{LeafIndex, TreeSize};

use crate::error::IndexError;
use crate::key::Key;
use crate::leaf::Record;
use crate::list::List;
use crate::live::Run;
use crate::partition::{Contents, Partition};
use crate::path::IndexPath;
use crate::postings::Postings;
use crate::state::State;

/// A search for one key: it says which objects it needs, and is given them, until it needs none.
#[derive(Clone, Debug)]
pub struct Lookup {
    covered: TreeSize,
    state: IndexPath,
    key: Key,
    runs: Vec<Searched>,
}

/// All entries of the log, at one size, that have a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The log's size for which it is the answer.
    pub size: TreeSize,
    /// Entries that have the key, ascending. Those of the lists are not among them.
    pub found: Vec<LeafIndex>,
    /// Runs in which more than 1,024 have it, from the left: their entries are in the pages of the lists.
    pub lists: Vec<List>,
}

impl Answer {
    /// Whether no entry has the key.
    pub fn is_absence(&self) -> bool {
        self.found.is_empty() && self.lists.is_empty()
    }

    /// How many entries have the key.
    pub fn count(&self) -> u64 {
        let in_lists: u64 = self.lists.iter().map(List::count).sum();
        self.found.len() as u64 + in_lists
    }
}

impl Lookup {
    /// A search in an index that was checked.
    pub fn new(state: &State, key: Key) -> Self {
        let runs = state.runs().iter();
        let runs = runs.map(|(run, record)| Searched {
            run: *run,
            record: *record,
            at: At::Partition,
        });
        Self {
            covered: state.covered(),
            state: IndexPath::State(state.size()),
            key,
            runs: runs.collect(),
        }
    }

    /// Leaves a run out in which the key is known not to be, by other means: nothing proves it then.
    pub fn leave_out(&mut self, run: Run) {
        let searched = self.runs.iter_mut().find(|searched| searched.run == run);
        if let Some(searched) = searched {
            searched.at = At::Found(None);
        }
    }

    /// What to read next, all of it at the same time: a partition of each run, and then, seldom, a page of some.
    pub fn needs(&self) -> Vec<IndexPath> {
        let runs = self.runs.iter();
        runs.filter_map(|searched| searched.needs(&self.key))
            .collect()
    }

    /// Checks an object and takes from it what there is of the key.
    ///
    /// # Errors
    ///
    /// [`IndexError`]; then the object is still needed.
    pub fn take(&mut self, path: IndexPath, bytes: &[u8]) -> Result<(), IndexError> {
        let key = self.key;
        let mut runs = self.runs.iter_mut();
        let searched = runs.find(|searched| searched.needs(&key) == Some(path));
        searched
            .ok_or(IndexError::Unasked { path })?
            .take(&key, bytes)
    }

    /// The answer for the index and the entries after it: `tail` has the keys of each entry from [`State::covered`] up to the log's size,
    /// from bundles that were checked.
    ///
    /// # Errors
    ///
    /// [`IndexError::Missing`] if something is still needed.
    pub fn answer(&self, tail: &[Vec<Key>]) -> Result<Answer, IndexError> {
        if let Some(path) = self.needs().first() {
            return Err(IndexError::Missing { path: *path });
        }
        let (mut found, mut lists) = (Vec::new(), Vec::new());
        for searched in &self.runs {
            let run = searched.run;
            match &searched.at {
                At::Found(Some(Postings::Inline(indexes))) => {
                    let indexes = indexes.iter();
                    found.extend(indexes.filter_map(|index| LeafIndex::new(run.start() + index)));
                }
                At::Found(Some(Postings::List { count, root })) => lists.push(List {
                    run,
                    key: self.key,
                    count: *count,
                    root: *root,
                }),
                At::Found(None) | At::Partition | At::Page(..) => {}
            }
        }
        let entries = (self.covered.get()..).zip(tail);
        let entries = entries.filter(|(_, keys)| keys.contains(&self.key));
        found.extend(entries.filter_map(|(index, _)| LeafIndex::new(index)));
        let tail = tail.len() as u64;
        let size = self.covered.get().checked_add(tail).and_then(TreeSize::new);
        let size = size.ok_or_else(|| IndexError::Range {
            path: self.state,
            field: "number of entries after it",
            found: tail,
            least: 0,
            most: (u64::MAX >> 1) - self.covered.get(),
        })?;
        Ok(Answer { size, found, lists })
    }
}

/// A live run, and how far the search in it is.
#[derive(Clone, Debug)]
struct Searched {
    run: Run,
    record: Record,
    at: At,
}

#[derive(Clone, Debug)]
enum At {
    Partition,
    Page(Box<Partition>, u64),
    Found(Option<Postings>),
}

impl Searched {
    fn needs(&self, key: &Key) -> Option<IndexPath> {
        match &self.at {
            At::Partition => {
                let (run, q) = (self.run, key.prefix(self.record.bits()));
                Some(IndexPath::Partition { run, q })
            }
            At::Page(partition, page) => Some(partition.page_path(*page)),
            At::Found(_) => None,
        }
    }

    fn take(&mut self, key: &Key, bytes: &[u8]) -> Result<(), IndexError> {
        self.at = match &self.at {
            At::Partition => {
                let q = key.prefix(self.record.bits());
                let partition = Partition::open(self.run, &self.record, q, bytes)?;
                match &partition.contents {
                    Contents::Keys(keys) => At::Found(keys.find(key)?),
                    Contents::Directory(_) => match partition.page_of(key) {
                        Some(page) => At::Page(Box::new(partition), page),
                        None => At::Found(None),
                    },
                }
            }
            At::Page(partition, page) => At::Found(partition.open_page(*page, bytes)?.find(key)?),
            At::Found(_) => return Ok(()),
        };
        Ok(())
    }
}
