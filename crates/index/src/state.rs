//! The state of an index: its last leaf and the live runs, in one object.

use tegula_tlog::{Hash, LeafIndex, TreeSize, verify_inclusion};

use crate::error::IndexError;
use crate::leaf::{IndexLeaf, Record, VERSION};
use crate::list::proof_len;
use crate::live::{Run, covered, live_runs};
use crate::path::IndexPath;
use crate::postings::Reader;

/// The live runs of an index that is known to be of the log, and in the index log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    size: TreeSize,
    leaf: IndexLeaf,
    runs: Vec<(Run, Record)>,
}

impl State {
    /// Checks a state: `size` and `root` are the index log's, `log_root` is the root of the *log* at [`covered`], computed from tiles
    /// that lead to the log's own checkpoint. Without that the index of another log would do.
    ///
    /// # Errors
    ///
    /// [`IndexError`].
    pub fn open(
        bytes: &[u8],
        size: TreeSize,
        root: &Hash,
        log_root: &Hash,
    ) -> Result<Self, IndexError> {
        let path = IndexPath::State(size);
        let none = || IndexError::NoState { size };
        let log_size = covered(size).ok_or_else(none)?;
        let index = size.get().checked_sub(1).and_then(LeafIndex::new);
        let index = index.ok_or_else(none)?;
        let mut reader = Reader { rest: bytes, path };
        let version: [u8; 8] = reader.take("its leaf")?;
        if version != VERSION {
            return Err(IndexError::Version {
                path,
                found: version,
            });
        }
        let found = reader.u64("its leaf")?;
        reader.field("size of the log", found, log_size.get())?;
        let found = Hash(reader.take("its leaf")?);
        let committed = Hash(reader.take("its leaf")?);
        let mut runs = Vec::new();
        for run in live_runs(size).ok_or_else(none)? {
            let weight = reader.u64("its records")?;
            let root = Hash(reader.take("its records")?);
            runs.push((run, Record { weight, root }));
        }
        let proof = reader.hashes(proof_len(index.get(), size.get()), "its proof")?;
        reader.end()?;
        let records: Vec<_> = runs.iter().map(|(_, record)| *record).collect();
        let leaf = IndexLeaf::new(log_size, found, &records);
        if leaf.records != committed {
            return Err(IndexError::Hash {
                path,
                computed: leaf.records,
                expected: committed,
            });
        }
        verify_inclusion(index, size, &leaf.hash(), &proof, root).map_err(|source| {
            let source = Box::new(source);
            IndexError::Proof { path, source }
        })?;
        if found != *log_root {
            return Err(IndexError::OtherLog {
                size: log_size,
                found,
                expected: *log_root,
            });
        }
        Ok(Self { size, leaf, runs })
    }

    /// The bytes of a state: the last leaf of the index log, the records of the live runs, the leaf's inclusion proof.
    pub fn encode(leaf: &IndexLeaf, records: &[Record], proof: &[Hash]) -> Vec<u8> {
        let mut bytes = leaf.to_bytes().to_vec();
        for record in records {
            bytes.extend_from_slice(&record.to_bytes());
        }
        for hash in proof {
            bytes.extend_from_slice(&hash.0);
        }
        bytes
    }

    /// The size of the index log.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// How many of the log's leaves are in the index.
    pub fn covered(&self) -> TreeSize {
        self.leaf.log_size
    }

    /// The live runs, from the left.
    pub fn runs(&self) -> &[(Run, Record)] {
        &self.runs
    }
}
