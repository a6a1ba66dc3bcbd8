//! The postings of a key that has very many in a run, in pages.

use tegula_tlog::{Hash, LeafIndex, TreeSize, leaf_hash, verify_inclusion};

use crate::error::IndexError;
use crate::key::Key;
use crate::live::Run;
use crate::path::IndexPath;
use crate::postings::{Reader, push_gaps};
use crate::varint;

/// The postings in a page of a list; the last one has the rest.
pub const MAX_LIST_PAGE: u64 = 16_384;

/// The postings of a key in a run where they are more than 1,024: how many, and what their pages hash to.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct List {
    pub(crate) run: Run,
    pub(crate) key: Key,
    pub(crate) count: u64,
    pub(crate) root: Hash,
}

impl List {
    /// The run.
    pub fn run(&self) -> Run {
        self.run
    }

    /// How many postings it has: proven without its pages, as far as the run is right.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many pages it has. The last ones are the newest entries.
    pub fn pages(&self) -> u64 {
        self.count.div_ceil(MAX_LIST_PAGE)
    }

    /// Where a page is.
    pub fn path(&self, page: u64) -> IndexPath {
        let (run, key) = (self.run, self.key);
        IndexPath::List { run, key, page }
    }

    /// Checks a page: the indexes of its leaves in the log, ascending.
    ///
    /// That they follow on the page before is for whoever reads both to check.
    ///
    /// # Errors
    ///
    /// [`IndexError`] if it is not that page of this list.
    pub fn open(&self, page: u64, bytes: &[u8]) -> Result<Vec<LeafIndex>, IndexError> {
        let indexes = self.relative(page, bytes)?;
        let start = self.run.start();
        let indexes = indexes.iter();
        Ok(indexes
            .filter_map(|index| LeafIndex::new(start + index))
            .collect())
    }

    pub(crate) fn relative(&self, page: u64, bytes: &[u8]) -> Result<Vec<u64>, IndexError> {
        let path = self.path(page);
        let mut reader = Reader { rest: bytes, path };
        reader.range("page", page, 0, self.pages().saturating_sub(1))?;
        let count = self.count_of(page);
        let header = "its header";
        let kind = reader.u8(header)?;
        reader.field("kind", kind, LIST.into())?;
        let level = reader.u8(header)?;
        reader.field("level", level, self.run.level().into())?;
        let zeros: [u8; 2] = reader.take(header)?;
        reader.field("two zero bytes", u16::from_be_bytes(zeros), 0)?;
        let in_page = reader.u32(header)?;
        reader.field("number of postings", in_page, count)?;
        let n = reader.u64(header)?;
        reader.field("run", n, self.run.n())?;
        let found = reader.u64(header)?;
        reader.field("page", found, page)?;
        let total = reader.u64(header)?;
        reader.field("number of all postings", total, self.count)?;
        let key = Key(reader.take(header)?);
        if key != self.key {
            return Err(IndexError::Place { path, key });
        }
        let (index, size) = (leaf_index(page), tree_size(self.pages()));
        let proof = reader.hashes(proof_len(page, self.pages()), "its proof")?;
        let postings = reader.rest;
        let first = reader.varint("its first posting")?;
        let mut indexes = Vec::new();
        reader.indexes(first, count, self.run, &mut indexes)?;
        reader.end()?;
        let header = bytes.get(..HEAD).unwrap_or_default();
        let leaf = leaf_hash(&[header, postings].concat());
        verify_inclusion(index, size, &leaf, &proof, &self.root).map_err(|source| {
            let source = Box::new(source);
            IndexError::Proof { path, source }
        })?;
        Ok(indexes)
    }

    /// How many postings a page has.
    fn count_of(&self, page: u64) -> u64 {
        let before = page.saturating_mul(MAX_LIST_PAGE);
        self.count.saturating_sub(before).min(MAX_LIST_PAGE)
    }
}

/// Postings in ascending order, page by page.
pub(crate) struct ListPages<F> {
    run: Run,
    key: Key,
    count: u64,
    page: u64,
    next: F,
}

/// A page without its proof.
pub(crate) struct Draft {
    head: Vec<u8>,
    postings: Vec<u8>,
}

impl Draft {
    pub(crate) fn hash(&self) -> Hash {
        leaf_hash(&[&self.head[..], &self.postings].concat())
    }

    pub(crate) fn bytes(&self, proof: &[Hash]) -> Vec<u8> {
        let mut bytes = self.head.clone();
        for hash in proof {
            bytes.extend_from_slice(&hash.0);
        }
        bytes.extend_from_slice(&self.postings);
        bytes
    }
}

impl<F, E> ListPages<F>
where
    F: FnMut() -> Result<Option<u64>, E>,
{
    pub(crate) fn new(run: Run, key: Key, count: u64, next: F) -> Self {
        Self {
            run,
            key,
            count,
            page: 0,
            next,
        }
    }

    /// The next page and its number. `None` after the last one.
    pub(crate) fn next_page(&mut self) -> Result<Option<(u64, Draft)>, E> {
        let page = self.page;
        let before = page.saturating_mul(MAX_LIST_PAGE);
        let count = self.count.saturating_sub(before).min(MAX_LIST_PAGE);
        let mut indexes = Vec::new();
        while (indexes.len() as u64) < count
            && let Some(index) = (self.next)()?
        {
            indexes.push(index);
        }
        let Some((first, further)) = indexes.split_first() else {
            return Ok(None);
        };
        let mut postings = Vec::new();
        varint::push(&mut postings, *first);
        push_gaps(&mut postings, *first, further.iter().copied());
        let mut head = vec![LIST, self.run.level(), 0, 0];
        let in_page = u32::try_from(count).unwrap_or(u32::MAX);
        head.extend_from_slice(&in_page.to_be_bytes());
        for number in [self.run.n(), page, self.count] {
            head.extend_from_slice(&number.to_be_bytes());
        }
        head.extend_from_slice(&self.key.0);
        self.page += 1;
        Ok(Some((page, Draft { head, postings })))
    }
}

/// How many hashes RFC 6962 has in the inclusion proof of a leaf.
pub(crate) fn proof_len(index: u64, size: u64) -> usize {
    let (mut index, mut last, mut len) = (index, size.saturating_sub(1), 0);
    while last > 0 {
        // At the right edge a node without a sibling goes up as it is.
        if index % 2 == 1 || index < last {
            len += 1;
        }
        index /= 2;
        last /= 2;
    }
    len
}

fn leaf_index(index: u64) -> LeafIndex {
    LeafIndex::new(index).unwrap_or_default()
}

fn tree_size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap_or_default()
}

const LIST: u8 = 4;
const HEAD: usize = 48;
