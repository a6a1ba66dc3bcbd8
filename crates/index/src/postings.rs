//! Keys and their postings, as partitions and pages have them.

use tegula_tlog::Hash;

use crate::error::IndexError;
use crate::key::Key;
use crate::live::Run;
use crate::path::IndexPath;
use crate::varint::{self, NoVarint};

/// The most postings of a key that are beside it. More are a list of their own.
pub const MAX_INLINE: u64 = 1_024;

/// The postings of a key in one run. Indexes count from the run's first leaf.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Postings {
    Inline(Vec<u64>),
    List { count: u64, root: Hash },
}

impl Postings {
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Inline(indexes) => indexes.len() as u64,
            Self::List { count, .. } => *count,
        }
    }
}

/// Which object is read, and what it may hold.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) path: IndexPath,
    pub(crate) run: Run,
    pub(crate) bits: u8,
    pub(crate) q: u64,
    /// Of a page, as its directory has it: its first key, and the next page's.
    pub(crate) first: Option<Key>,
    pub(crate) end: Option<Key>,
}

/// Appends a key and its postings to a body.
pub(crate) fn push_entry(body: &mut Vec<u8>, run: Run, key: &Key, postings: &Postings) {
    body.extend_from_slice(&key.0);
    match postings {
        Postings::Inline(indexes) => {
            varint::push(body, indexes.len() as u64);
            let mut indexes = indexes.iter();
            let Some(first) = indexes.next() else {
                return;
            };
            let bytes = first.to_be_bytes();
            let skipped = bytes.len().saturating_sub(run.index_width());
            body.extend(bytes.iter().skip(skipped));
            push_gaps(body, *first, indexes.copied());
        }
        Postings::List { count, root } => {
            varint::push(body, *count);
            body.extend_from_slice(&root.0);
        }
    }
}

/// Appends the distances from each index to the next, less 1.
pub(crate) fn push_gaps(body: &mut Vec<u8>, first: u64, further: impl Iterator<Item = u64>) {
    let mut before = first;
    for index in further {
        varint::push(body, index.saturating_sub(before).saturating_sub(1));
        before = index;
    }
}

/// Where in a body the reading is. The body is the same at every call.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    at: usize,
    left: u64,
    before: Option<Key>,
}

impl Entries {
    /// At the beginning of a body of `count` keys.
    pub(crate) fn new(count: u64) -> Self {
        Self {
            at: 0,
            left: count,
            before: None,
        }
    }

    /// The next key, and its list if it has one. `None` after the last one, if nothing is left over.
    ///
    /// Its indexes, if it has no list, are added to `indexes` where the key is wanted. They are looked at in any case.
    pub(crate) fn next(
        &mut self,
        body: &[u8],
        scope: &Scope,
        indexes: &mut Vec<u64>,
        wanted: impl FnOnce(&Key) -> bool,
    ) -> Result<Option<(Key, Option<Postings>)>, IndexError> {
        let path = scope.path;
        let rest = body.get(self.at..).unwrap_or_default();
        let mut reader = Reader { rest, path };
        if self.left == 0 {
            reader.end()?;
            return Ok(None);
        }
        let key = Key(reader.take("a key")?);
        if let Some(before) = self.before.filter(|before| *before >= key) {
            return Err(IndexError::Order { path, key, before });
        }
        let foreign = self.before.is_none() && scope.first.is_some_and(|first| first != key)
            || scope.end.is_some_and(|end| end <= key);
        if foreign || key.prefix(scope.bits) != scope.q {
            return Err(IndexError::Place { path, key });
        }
        let count = reader.varint("a number of postings")?;
        reader.range("number of postings", count, 1, scope.run.leaves())?;
        let list = if count > MAX_INLINE {
            let root = Hash(reader.take("a list root")?);
            Some(Postings::List { count, root })
        } else {
            let first = reader.number(scope.run.index_width())?;
            if wanted(&key) {
                reader.indexes(first, count, scope.run, indexes)?;
            } else {
                reader.each_index(first, count, scope.run, |_| ())?;
            }
            None
        };
        self.at = body.len() - reader.rest.len();
        self.left -= 1;
        self.before = Some(key);
        Ok(Some((key, list)))
    }
}

/// Bytes from the front of an object.
#[derive(Debug)]
pub(crate) struct Reader<'b> {
    pub(crate) rest: &'b [u8],
    pub(crate) path: IndexPath,
}

impl<'b> Reader<'b> {
    pub(crate) fn take<const N: usize>(
        &mut self,
        within: &'static str,
    ) -> Result<[u8; N], IndexError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(IndexError::Short {
            path: self.path,
            within,
        })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, within: &'static str) -> Result<u8, IndexError> {
        Ok(u8::from_be_bytes(self.take(within)?))
    }

    pub(crate) fn u32(&mut self, within: &'static str) -> Result<u32, IndexError> {
        Ok(u32::from_be_bytes(self.take(within)?))
    }

    pub(crate) fn u64(&mut self, within: &'static str) -> Result<u64, IndexError> {
        Ok(u64::from_be_bytes(self.take(within)?))
    }

    pub(crate) fn hashes(
        &mut self,
        count: usize,
        within: &'static str,
    ) -> Result<Vec<Hash>, IndexError> {
        let mut hashes = Vec::with_capacity(count.min(self.rest.len() / 32));
        for _ in 0..count {
            hashes.push(Hash(self.take(within)?));
        }
        Ok(hashes)
    }

    pub(crate) fn varint(&mut self, within: &'static str) -> Result<u64, IndexError> {
        let path = self.path;
        let (number, rest) = varint::split(self.rest).map_err(|no| match no {
            NoVarint::Short => IndexError::Short { path, within },
            NoVarint::Spelling => {
                let left = self.rest.len();
                IndexError::Varint { path, left }
            }
        })?;
        self.rest = rest;
        Ok(number)
    }

    /// A number in `width` bytes, at most 8.
    fn number(&mut self, width: usize) -> Result<u64, IndexError> {
        let (bytes, rest) = self.rest.split_at_checked(width).ok_or(IndexError::Short {
            path: self.path,
            within: "a first index",
        })?;
        self.rest = rest;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Adds `count` indexes, of which the first was read.
    pub(crate) fn indexes(
        &mut self,
        first: u64,
        count: u64,
        run: Run,
        indexes: &mut Vec<u64>,
    ) -> Result<(), IndexError> {
        // Each further one takes a byte at least: a wrong count cannot make this large.
        let most = self.rest.len().saturating_add(1);
        indexes.reserve(usize::try_from(count).unwrap_or(most).min(most));
        self.each_index(first, count, run, |index| indexes.push(index))
    }

    fn each_index(
        &mut self,
        first: u64,
        count: u64,
        run: Run,
        mut each: impl FnMut(u64),
    ) -> Result<(), IndexError> {
        let mut index = first;
        for further in 0..count {
            if further > 0 {
                let gap = self.varint("a posting")?;
                index = index.saturating_add(gap).saturating_add(1);
            }
            self.range("posting", index, 0, run.leaves() - 1)?;
            each(index);
        }
        Ok(())
    }

    pub(crate) fn field(
        &self,
        field: &'static str,
        found: impl Into<u64>,
        expected: u64,
    ) -> Result<(), IndexError> {
        let (path, found) = (self.path, found.into());
        if found == expected {
            return Ok(());
        }
        Err(IndexError::Field {
            path,
            field,
            found,
            expected,
        })
    }

    pub(crate) fn range(
        &self,
        field: &'static str,
        found: u64,
        least: u64,
        most: u64,
    ) -> Result<(), IndexError> {
        if (least..=most).contains(&found) {
            return Ok(());
        }
        let path = self.path;
        Err(IndexError::Range {
            path,
            field,
            found,
            least,
            most,
        })
    }

    pub(crate) fn end(&self) -> Result<(), IndexError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(IndexError::Long {
            path: self.path,
            extra: self.rest.len(),
        })
    }
}
