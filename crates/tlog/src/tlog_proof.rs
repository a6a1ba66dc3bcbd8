//! Proofs as files: c2sp.org/tlog-proof, tiles-format.md section 7.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::number::LeafIndex;

/// That some leaf is in a log: all that is needed to check it offline, but the leaf and whom to trust.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlogProof {
    /// Bytes for the application, which nothing vouches for.
    pub extra: Option<Vec<u8>>,
    /// The leaf's index.
    pub index: LeafIndex,
    /// The inclusion proof, at most 63 hashes.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: Vec<u8>,
}

/// Why bytes are not a proof file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a tlog-proof: {0}")]
pub struct TlogProofError(&'static str);

impl TlogProof {
    /// Parses a proof file. The checkpoint in it is not looked at.
    ///
    /// # Errors
    ///
    /// [`TlogProofError`].
    pub fn parse(file: &[u8]) -> Result<Self, TlogProofError> {
        let file = str::from_utf8(file).map_err(|_utf8| TlogProofError("it is not UTF-8"))?;
        let split = file.split_once("\n\n");
        let (head, checkpoint) =
            split.ok_or(TlogProofError("there is no empty line before a checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(TlogProofError(
                "its first line is not c2sp.org/tlog-proof@v1",
            ));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.and_then(|line| line.strip_prefix("extra "));
        let extra = extra.map(|text| STANDARD.decode(text)).transpose();
        let extra = extra.map_err(|_base64| TlogProofError("its extra data is not base64"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(|index| index.parse().ok());
        let index = index.ok_or(TlogProofError("it has no line with an index"))?;
        let mut hashes = Vec::new();
        for line in lines {
            let hash = STANDARD
                .decode(line)
                .ok()
                .and_then(|hash| hash.try_into().ok());
            let hash = hash.ok_or(TlogProofError("a line is not a SHA-256 hash in base64"))?;
            if hashes.len() == MAX_HASHES {
                return Err(TlogProofError("it has more than 63 hashes"));
            }
            hashes.push(Hash(hash));
        }
        Ok(Self {
            extra,
            index,
            hashes,
            checkpoint: checkpoint.into(),
        })
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", String::from_utf8_lossy(&self.checkpoint))
    }
}

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// The depth of the largest tree.
const MAX_HASHES: usize = 63;
