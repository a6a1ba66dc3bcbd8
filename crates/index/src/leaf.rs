//! What the index log says of an index.

use sha2::{Digest, Sha256};
use tegula_tlog::{Hash, TreeSize, leaf_hash};

/// A run as the index log has it: its level and number follow from the rule.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The sum of the numbers of distinct keys in its base runs.
    pub weight: u64,
    /// The root over its partitions.
    pub root: Hash,
}

impl Record {
    /// Into how many partitions the run is cut, as a power of two: 0 to 53.
    pub fn bits(&self) -> u8 {
        let partitions = self.weight.div_ceil(KEYS_PER_PARTITION).next_power_of_two();
        u8::try_from(partitions.trailing_zeros()).unwrap_or(u8::MAX)
    }

    /// Its 40 bytes: the weight, and the root.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.weight.to_be_bytes());
        bytes[8..].copy_from_slice(&self.root.0);
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) made. `None` for another number of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (weight, root) = bytes.split_first_chunk()?;
        Some(Self {
            weight: u64::from_be_bytes(*weight),
            root: Hash(root.try_into().ok()?),
        })
    }

    pub(crate) const LEN: usize = 40;
}

/// A leaf of the index log: the index of the log's first leaves.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct IndexLeaf {
    /// How many leaves of the log are in the index: a multiple of 256.
    pub log_size: TreeSize,
    /// The log's root at that size.
    pub log_root: Hash,
    /// SHA-256 of the records of the live runs.
    pub records: Hash,
}

impl IndexLeaf {
    /// The leaf for the index of these runs.
    pub fn new(log_size: TreeSize, log_root: Hash, records: &[Record]) -> Self {
        let mut hasher = Sha256::new();
        for record in records {
            hasher.update(record.to_bytes());
        }
        Self {
            log_size,
            log_root,
            records: Hash(hasher.finalize().into()),
        }
    }

    /// Its 80 bytes: the entry of the index log.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&VERSION);
        bytes[8..16].copy_from_slice(&self.log_size.get().to_be_bytes());
        bytes[16..48].copy_from_slice(&self.log_root.0);
        bytes[48..].copy_from_slice(&self.records.0);
        bytes
    }

    /// Its hash in the index log.
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.to_bytes())
    }

    pub(crate) const LEN: usize = 80;
}

/// This format, and how keys are made from entries.
pub(crate) const VERSION: [u8; 8] = *b"tegulax\x01";
const KEYS_PER_PARTITION: u64 = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_by_weight() {
        let bits = |weight| {
            let root = Hash([0; 32]);
            Record { weight, root }.bits()
        };
        assert_eq!(
            [0, 1, 2_048, 2_049, 4_096, 4_097].map(bits),
            [0, 0, 0, 1, 1, 2]
        );
        assert_eq!(bits(2_048 << 40), 40);
        assert_eq!(bits((2_048 << 40) + 1), 41);
        assert_eq!(bits(u64::MAX), 53);
    }
}
