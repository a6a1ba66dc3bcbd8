//! A partition or a page of one, checked; and how they are written.

use tegula_tlog::{Hash, LeafIndex, TreeSize, leaf_hash, verify_inclusion};

use crate::error::IndexError;
use crate::key::Key;
use crate::leaf::Record;
use crate::live::Run;
use crate::path::IndexPath;
use crate::postings::{Entries, Postings, Reader, Scope, push_entry};

/// The keys in a partition or a page. More make a partition a directory.
pub const MAX_PAGE_KEYS: u64 = 4_096;

/// A partition that is known to be the one that the run's record commits to.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) scope: Scope,
    pub(crate) contents: Contents,
}

#[derive(Clone, Debug)]
pub(crate) enum Contents {
    Keys(Keys),
    Directory(Vec<Entry>),
}

/// The keys of a partition or of a page. It has the hash that was committed to; whether it is sound shows where it is read, to its end.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) scope: Scope,
    pub(crate) body: Vec<u8>,
    pub(crate) count: u64,
}

/// A page as the directory has it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) first: Key,
    hash: Hash,
    count: u64,
    /// The next page's first key.
    end: Option<Key>,
}

/// More keys of one partition than can be written: no run has these leaves.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path} would have more than 4294967295 keys")]
pub struct PartitionFull {
    /// The partition.
    pub path: IndexPath,
}

impl Partition {
    pub(crate) fn open(
        run: Run,
        record: &Record,
        q: u64,
        bytes: &[u8],
    ) -> Result<Self, IndexError> {
        let bits = record.bits();
        let path = IndexPath::Partition { run, q };
        let scope = Scope {
            path,
            run,
            bits,
            q,
            first: None,
            end: None,
        };
        let mut reader = Reader { rest: bytes, path };
        let kind = reader.u8("its header")?;
        reader.range("kind", kind.into(), KEYS.into(), DIRECTORY.into())?;
        let count = read_head(&mut reader, &scope)?;
        let siblings = reader.hashes(bits.into(), "its path")?;
        let body = reader.rest;
        let head = bytes.get(..HEAD).unwrap_or_default();
        let leaf = leaf_hash(&[head, body].concat());
        let partitions = TreeSize::new(1_u64.checked_shl(bits.into()).unwrap_or(0));
        let (index, size) = (LeafIndex::new(q), partitions);
        let (index, size) = (index.unwrap_or_default(), size.unwrap_or_default());
        verify_inclusion(index, size, &leaf, &siblings, &record.root).map_err(|source| {
            let source = Box::new(source);
            IndexError::Proof { path, source }
        })?;
        let contents = if kind == KEYS {
            reader.range("number of keys", count, 0, MAX_PAGE_KEYS)?;
            let body = body.to_vec();
            Contents::Keys(Keys { scope, body, count })
        } else {
            reader.range("number of keys", count, MAX_PAGE_KEYS + 1, MAX_KEYS)?;
            Contents::Directory(read_directory(reader, &scope, count)?)
        };
        Ok(Self { scope, contents })
    }

    /// The page that has this key, if any has.
    pub(crate) fn page_of(&self, key: &Key) -> Option<u64> {
        let Contents::Directory(pages) = &self.contents else {
            return None;
        };
        let up_to = pages.partition_point(|page| page.first <= *key);
        up_to.checked_sub(1).map(|page| page as u64)
    }

    /// How many pages it has: none, if it is no directory.
    pub(crate) fn pages(&self) -> u64 {
        match &self.contents {
            Contents::Keys(_) => 0,
            Contents::Directory(pages) => pages.len() as u64,
        }
    }

    pub(crate) fn page_path(&self, page: u64) -> IndexPath {
        let (run, q) = (self.scope.run, self.scope.q);
        IndexPath::Page { run, q, page }
    }

    /// Checks a page that its directory has.
    pub(crate) fn open_page(&self, page: u64, bytes: &[u8]) -> Result<Keys, IndexError> {
        let path = self.page_path(page);
        let mut reader = Reader { rest: bytes, path };
        let pages = self.pages();
        let at = usize::try_from(page).unwrap_or(usize::MAX);
        let entry = match &self.contents {
            Contents::Keys(_) => None,
            Contents::Directory(entries) => entries.get(at),
        };
        let Some(entry) = entry else {
            reader.range("page", page, 0, pages.saturating_sub(1))?;
            return Err(IndexError::Unasked { path });
        };
        let computed = leaf_hash(bytes);
        if computed != entry.hash {
            return Err(IndexError::Hash {
                path,
                computed,
                expected: entry.hash,
            });
        }
        let scope = Scope {
            path,
            first: Some(entry.first),
            end: entry.end,
            ..self.scope
        };
        let kind = reader.u8("its header")?;
        reader.field("kind", kind, PAGE.into())?;
        let count = read_head(&mut reader, &scope)?;
        reader.field("number of keys", count, entry.count)?;
        let found = reader.u64("its header")?;
        reader.field("page", found, page)?;
        let body = reader.rest.to_vec();
        Ok(Keys { scope, body, count })
    }
}

impl Keys {
    /// Looks at all of it, and takes from it what there is of the key.
    pub(crate) fn find(&self, key: &Key) -> Result<Option<Postings>, IndexError> {
        let (mut entries, mut indexes) = (Entries::new(self.count), Vec::new());
        let wanted = |found: &Key| found == key;
        let mut postings = None;
        while let Some((found, list)) =
            entries.next(&self.body, &self.scope, &mut indexes, wanted)?
        {
            if wanted(&found) {
                let indexes = std::mem::take(&mut indexes);
                postings = Some(list.unwrap_or(Postings::Inline(indexes)));
            }
        }
        Ok(postings)
    }
}

/// All of the header after the kind; its number of keys.
fn read_head(reader: &mut Reader<'_>, scope: &Scope) -> Result<u64, IndexError> {
    let header = "its header";
    let level = reader.u8(header)?;
    reader.field("level", level, scope.run.level().into())?;
    let bits = reader.u8(header)?;
    reader.field("number of bits", bits, scope.bits.into())?;
    let zero = reader.u8(header)?;
    reader.field("zero byte", zero, 0)?;
    let count = reader.u32(header)?;
    let n = reader.u64(header)?;
    reader.field("run", n, scope.run.n())?;
    let q = reader.u64(header)?;
    reader.field("partition", q, scope.q)?;
    Ok(count.into())
}

fn read_directory(
    mut reader: Reader<'_>,
    scope: &Scope,
    count: u64,
) -> Result<Vec<Entry>, IndexError> {
    let path = scope.path;
    let mut pages: Vec<Entry> = Vec::new();
    for page in 0..count.div_ceil(MAX_PAGE_KEYS) {
        let first = Key(reader.take("its directory")?);
        let hash = Hash(reader.take("its directory")?);
        if first.prefix(scope.bits) != scope.q {
            return Err(IndexError::Place { path, key: first });
        }
        if let Some(before) = pages.last_mut() {
            if before.first >= first {
                let (key, before) = (first, before.first);
                return Err(IndexError::Order { path, key, before });
            }
            before.end = Some(first);
        }
        pages.push(Entry {
            first,
            hash,
            count: (count - page * MAX_PAGE_KEYS).min(MAX_PAGE_KEYS),
            end: None,
        });
    }
    reader.end()?;
    Ok(pages)
}

/// A partition as it grows, key by key in ascending order. No more than one page of it is in memory, and the directory.
#[derive(Debug)]
pub(crate) struct Writer {
    run: Run,
    bits: u8,
    q: u64,
    body: Vec<u8>,
    in_body: u64,
    first: Option<Key>,
    directory: Vec<u8>,
    pages: u64,
    keys: u64,
}

/// A partition without the siblings on its path.
#[derive(Debug)]
pub(crate) struct Draft {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(run: Run, bits: u8, q: u64) -> Self {
        Self {
            run,
            bits,
            q,
            body: Vec::new(),
            in_body: 0,
            first: None,
            directory: Vec::new(),
            pages: 0,
            keys: 0,
        }
    }

    /// Adds a key. If the page before is full, that is returned.
    pub(crate) fn push(
        &mut self,
        key: &Key,
        postings: &Postings,
    ) -> Result<Option<(IndexPath, Vec<u8>)>, PartitionFull> {
        if self.keys == MAX_KEYS {
            let (run, q) = (self.run, self.q);
            let path = IndexPath::Partition { run, q };
            return Err(PartitionFull { path });
        }
        let full = (self.in_body == MAX_PAGE_KEYS).then(|| self.close_page());
        self.first.get_or_insert(*key);
        push_entry(&mut self.body, self.run, key, postings);
        self.in_body += 1;
        self.keys += 1;
        Ok(full.flatten())
    }

    /// The partition, and its last page if it is a directory.
    pub(crate) fn finish(mut self) -> (Draft, Option<(IndexPath, Vec<u8>)>) {
        if self.pages == 0 {
            let head = self.head(KEYS, self.keys);
            let body = self.body;
            return (Draft { head, body }, None);
        }
        let last = self.close_page();
        let head = self.head(DIRECTORY, self.keys);
        let body = self.directory;
        (Draft { head, body }, last)
    }

    fn close_page(&mut self) -> Option<(IndexPath, Vec<u8>)> {
        let first = self.first.take()?;
        let (run, q, page) = (self.run, self.q, self.pages);
        let mut bytes = self.head(PAGE, self.in_body);
        bytes.extend_from_slice(&page.to_be_bytes());
        bytes.append(&mut self.body);
        self.directory.extend_from_slice(&first.0);
        self.directory.extend_from_slice(&leaf_hash(&bytes).0);
        self.pages += 1;
        self.in_body = 0;
        Some((IndexPath::Page { run, q, page }, bytes))
    }

    fn head(&self, kind: u8, count: u64) -> Vec<u8> {
        let mut head = vec![kind, self.run.level(), self.bits, 0];
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        head.extend_from_slice(&count.to_be_bytes());
        head.extend_from_slice(&self.run.n().to_be_bytes());
        head.extend_from_slice(&self.q.to_be_bytes());
        head
    }
}

impl Draft {
    pub(crate) fn hash(&self) -> Hash {
        leaf_hash(&[&self.head[..], &self.body].concat())
    }

    pub(crate) fn bytes(&self, siblings: &[Hash]) -> Vec<u8> {
        let mut bytes = self.head.clone();
        for hash in siblings {
            bytes.extend_from_slice(&hash.0);
        }
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Its header has four bytes for their number.
const MAX_KEYS: u64 = 0xffff_ffff;
const KEYS: u8 = 1;
const DIRECTORY: u8 = 2;
const PAGE: u8 = 3;
const HEAD: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_of_too_many_keys_is_an_error() {
        let run = Run::new(0, 7).unwrap();
        let mut writer = Writer::new(run, 3, 5);
        let postings = Postings::Inline(vec![0]);
        writer.keys = MAX_KEYS - 1;
        writer.push(&Key([0xa0; 16]), &postings).unwrap();
        let full = writer.push(&Key([0xa1; 16]), &postings).unwrap_err();
        assert_eq!(
            full.to_string(),
            "index/v1/run/0/007/005 would have more than 4294967295 keys"
        );
        let (draft, _) = writer.finish();
        assert_eq!(draft.head[4..8], [0xff; 4]);
    }
}
