//! Which entries have a key: from the search index, and from the entries that are newer than it.
//!
//! Nothing of the index is trusted. Its checkpoint is signed by the log's key and compared with what was seen before, what it says is tied
//! to the log's own tree, and every object is checked before it is used or kept: `tiles-format.md`, section 13. What remains to be believed is
//! that the log put every entry into it: that is what [`Reader::audit_run`] checks.

mod audit;
mod check;
mod index_log;
mod objects;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use tegula_entries::search_keys;
use tegula_index::{Answer, IndexError, IndexPath, Key, List, Lookup, State, covered, entry_keys};
use tegula_tlog::{LeafIndex, TreeSize};

pub use audit::{Audit, Difference};
pub use check::IndexReport;

use crate::{ReadError, Reader, VerifiedCheckpoint};

/// The keys of an entry, by which it is found.
#[must_use]
pub fn index_keys(entry: &[u8]) -> Vec<Key> {
    entry_keys(entry, search_keys(entry).into_iter().map(Into::into))
}

/// The search index of a log, as its checkpoint says that it is, and tied to a checkpoint of the log.
#[derive(Clone, Debug)]
pub struct LogIndex {
    state: State,
    checkpoint: VerifiedCheckpoint,
}

impl LogIndex {
    /// How many of the log's entries it covers: a multiple of 256.
    #[must_use]
    pub fn covered(&self) -> TreeSize {
        self.state.covered()
    }

    /// What its checkpoint commits to.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The checkpoint of the index log.
    #[must_use]
    pub fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }
}

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct SearchOptions {
    /// Entries that are read at most where the index does not cover them.
    pub max_scanned: u64,
}

impl Default for SearchOptions {
    /// 16,384 entries, which are 64 bundles.
    fn default() -> Self {
        Self {
            max_scanned: 1 << 14,
        }
    }
}

/// What a search found, for a checkpoint of the log.
#[derive(Clone, Debug)]
pub struct Searched {
    /// The log's checkpoint.
    pub checkpoint: VerifiedCheckpoint,
    /// The index; `None` where the log has none.
    pub index: Option<LogIndex>,
    /// For each key, what there is among the first [`proven`](Self::proven) entries: in these answers nothing is left out.
    pub answers: Vec<Answer>,
    /// How many of the log's entries the answers are about: all, unless more are not in the index than the search was to read.
    pub proven: TreeSize,
}

/// Which entries are meant where several things are asked for.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Operator {
    /// Those that have all of them.
    And,
    /// Those that have any.
    Or,
}

/// What was selected from a search.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selected {
    /// How many entries there are.
    pub count: u64,
    /// The newest of them, newest first.
    pub newest: Vec<LeafIndex>,
}

impl Searched {
    /// Whether the answers are about all entries of the checkpoint.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.proven == self.checkpoint.size()
    }
}

impl Reader {
    /// Searches the log, at its checkpoint, for each of these keys.
    ///
    /// The two checkpoints are fetched together; then the state of the index and the edge of the tree; then one object for each live run and,
    /// with them, the newest entries. Only entries of more bundles than one are waited for once more.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::checkpoint`], and [`ReadError::Verification`] where the index is not what its checkpoint says.
    pub async fn search(
        &self,
        keys: &[Key],
        options: SearchOptions,
    ) -> Result<Searched, ReadError> {
        let (checkpoint, index) = self.checkpoints().await?;
        self.search_with(checkpoint, index, keys, options).await
    }

    /// The log's checkpoint, and the index at it, as far as the log has one.
    ///
    /// # Errors
    ///
    /// As [`Reader::search`].
    pub async fn checkpoint_and_index(
        &self,
    ) -> Result<(VerifiedCheckpoint, Option<LogIndex>), ReadError> {
        let (checkpoint, index) = self.checkpoints().await?;
        let index = match index {
            Some(index) => Some(self.open_index(&checkpoint, index).await?),
            None => None,
        };
        Ok((checkpoint, index))
    }

    /// The checkpoints of the log and of its index, the latter no further than the former.
    async fn checkpoints(
        &self,
    ) -> Result<(VerifiedCheckpoint, Option<VerifiedCheckpoint>), ReadError> {
        let (checkpoint, index) = futures::join!(self.checkpoint(), self.index_checkpoint());
        let (mut checkpoint, index) = (checkpoint?, index?);
        // The log may have grown between the two.
        let ahead = |index: &VerifiedCheckpoint, log: &VerifiedCheckpoint| {
            covered(index.size()).is_none_or(|covered| covered > log.size())
        };
        if index
            .as_ref()
            .is_some_and(|index| ahead(index, &checkpoint))
        {
            checkpoint = self.checkpoint().await?;
        }
        Ok((checkpoint, index))
    }

    /// A search as [`Reader::search`] makes it, at a checkpoint that is at hand.
    ///
    /// # Errors
    ///
    /// As [`Reader::search`].
    pub async fn search_at(
        &self,
        checkpoint: &VerifiedCheckpoint,
        keys: &[Key],
        options: SearchOptions,
    ) -> Result<Searched, ReadError> {
        let index = self.index_checkpoint().await?;
        self.search_with(checkpoint.clone(), index, keys, options)
            .await
    }

    async fn search_with(
        &self,
        checkpoint: VerifiedCheckpoint,
        index: Option<VerifiedCheckpoint>,
        keys: &[Key],
        options: SearchOptions,
    ) -> Result<Searched, ReadError> {
        let index = match index {
            Some(index) => Some(self.open_index(&checkpoint, index).await?),
            None => None,
        };
        let begin = index.as_ref().map_or(0, |index| index.covered().get());
        let proven = begin.saturating_add(options.max_scanned);
        let proven = proven.min(checkpoint.size().get());
        let tail = self.tail(&checkpoint, begin..proven, keys);
        let looked_up = async {
            match &index {
                Some(index) => self.look_up(index, keys).await.map(Some),
                None => Ok(None),
            }
        };
        let (tail, lookups) = futures::join!(tail, looked_up);
        let (tail, lookups) = (tail?, lookups?);
        let answers = match lookups {
            Some(lookups) => lookups.iter().map(|lookup| lookup.answer(&tail)).collect(),
            None => keys.iter().map(|key| Ok(only_tail(*key, &tail))).collect(),
        };
        let answers: Result<Vec<_>, _> = answers;
        Ok(Searched {
            answers: answers.map_err(|error| wrong(&error))?,
            proven: TreeSize::new(proven).unwrap_or_default(),
            checkpoint,
            index,
        })
    }

    /// Those of the wanted keys that each entry of a range has.
    async fn tail(
        &self,
        checkpoint: &VerifiedCheckpoint,
        range: std::ops::Range<u64>,
        wanted: &[Key],
    ) -> Result<Vec<Vec<Key>>, ReadError> {
        self.entries(checkpoint, range)
            .map_ok(|(_, entry)| {
                let mut keys = (self.keys_of)(&entry);
                keys.retain(|key| wanted.contains(key));
                keys
            })
            .try_collect()
            .await
    }

    async fn look_up(&self, index: &LogIndex, keys: &[Key]) -> Result<Vec<Lookup>, ReadError> {
        let lookups = keys.iter().map(|key| Lookup::new(&index.state, *key));
        let mut lookups: Vec<_> = lookups.collect();
        loop {
            // Several keys may need one partition.
            let mut needs: BTreeMap<IndexPath, Vec<usize>> = BTreeMap::new();
            for (n, lookup) in lookups.iter().enumerate() {
                for path in lookup.needs() {
                    needs.entry(path).or_default().push(n);
                }
            }
            if needs.is_empty() {
                return Ok(lookups);
            }
            let cache = index.checkpoint.cache();
            let mut objects = stream::iter(needs)
                .map(|(path, of)| async move {
                    let object = self.unchecked(path, cache).await?;
                    Ok::<_, ReadError>((path, of, object))
                })
                .buffer_unordered(PARTITIONS_AT_ONCE);
            while let Some((path, of, object)) = objects.try_next().await? {
                let take = |bytes: &[u8]| take(&mut lookups, &of, path, bytes);
                self.checked(object, cache, take).await?;
            }
        }
    }

    /// The entries of a page of a list, which an answer of this index has.
    ///
    /// # Errors
    ///
    /// [`ReadError::Verification`] if it is another page, else [`ReadError::Io`].
    pub async fn list_page(
        &self,
        index: &LogIndex,
        list: &List,
        page: u64,
    ) -> Result<Vec<LeafIndex>, ReadError> {
        let cache = index.checkpoint.cache();
        let object = self.unchecked(list.path(page), cache).await?;
        self.checked(object, cache, |bytes| list.open(page, bytes))
            .await
    }

    /// The newest entries that an answer of a search stands for, at most `limit` of them, newest first: also those of its lists, of which
    /// only the pages are read that it takes.
    ///
    /// # Errors
    ///
    /// As [`Reader::list_page`].
    pub async fn newest(
        &self,
        searched: &Searched,
        answer: &Answer,
        limit: usize,
    ) -> Result<Vec<LeafIndex>, ReadError> {
        let mut newest = Vec::new();
        // A key has a list in a run or postings beside it: so lists and what was found do not mix within a run.
        let mut found = answer.found.clone();
        for list in answer.lists.iter().rev() {
            let end = list.run().start().saturating_add(list.run().leaves());
            while let Some(index) = found.pop_if(|index| index.get() >= end) {
                newest.push(index);
            }
            let Some(index) = &searched.index else {
                break;
            };
            let mut before: Option<LeafIndex> = None;
            for page in (0..list.pages()).rev() {
                if newest.len() >= limit {
                    break;
                }
                let page_of = self.list_page(index, list, page).await?;
                // Pages follow on each other.
                if let (Some(last), Some(before)) = (page_of.last(), before)
                    && *last >= before
                {
                    let path = list.path(page);
                    return Err(ReadError::Verification(format!(
                        "{path} does not end before the page after it begins"
                    )));
                }
                before = page_of.first().copied();
                newest.extend(page_of.iter().rev());
            }
        }
        newest.extend(found.into_iter().rev());
        newest.truncate(limit);
        Ok(newest)
    }

    /// The entries that have several things, or any of them. Of each thing there are one or more answers, in the order of the search, any of which
    /// will do: `answers` says how many. Of a single answer no more is read than is returned.
    ///
    /// # Errors
    ///
    /// As [`Reader::list_page`].
    pub async fn select(
        &self,
        searched: &Searched,
        answers: &[usize],
        operator: Operator,
        limit: usize,
    ) -> Result<Selected, ReadError> {
        if let [answer] = &searched.answers[..] {
            return Ok(Selected {
                count: answer.count(),
                newest: self.newest(searched, answer, limit).await?,
            });
        }
        let mut all = searched.answers.iter();
        let mut selected: Option<BTreeSet<LeafIndex>> = None;
        for count in answers {
            let mut having = BTreeSet::new();
            for answer in all.by_ref().take(*count) {
                having.extend(self.newest(searched, answer, usize::MAX).await?);
            }
            selected = Some(match (selected, operator) {
                (None, _) => having,
                (Some(before), Operator::And) => &before & &having,
                (Some(before), Operator::Or) => &before | &having,
            });
        }
        let selected = selected.unwrap_or_default();
        Ok(Selected {
            count: selected.len() as u64,
            newest: selected.into_iter().rev().take(limit).collect(),
        })
    }
}

fn take(
    lookups: &mut [Lookup],
    of: &[usize],
    path: IndexPath,
    bytes: &[u8],
) -> Result<(), IndexError> {
    for n in of {
        if let Some(lookup) = lookups.get_mut(*n) {
            lookup.take(path, bytes)?;
        }
    }
    Ok(())
}

/// The answer where there is no index.
fn only_tail(key: Key, tail: &[Vec<Key>]) -> Answer {
    let entries = (0..).zip(tail).filter(|(_, keys)| keys.contains(&key));
    Answer {
        size: TreeSize::new(tail.len() as u64).unwrap_or_default(),
        found: entries
            .filter_map(|(index, _)| LeafIndex::new(index))
            .collect(),
        lists: Vec::new(),
    }
}

fn wrong(error: &IndexError) -> ReadError {
    ReadError::Verification(format!("the search index: {error}"))
}

/// As many as a billion entries need.
const PARTITIONS_AT_ONCE: usize = 32;

#[cfg(test)]
mod tests;
