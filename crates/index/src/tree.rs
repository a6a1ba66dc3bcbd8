//! The tree over the partitions of a run, in units: no more than the hashes of one unit and the roots of all are in memory.

use tegula_tlog::{Edge, Growth, Hash, LeafIndex, TreeFull};

use crate::leaf::Record;

/// The partitions in a unit of work; a run that has fewer is one unit.
pub const UNIT: u64 = 64;

/// The leaf hashes of the partitions of one unit: what the first pass of a merge leaves for the second.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnitHashes(pub(crate) Vec<Hash>);

impl UnitHashes {
    /// As they are kept between the passes: 32 bytes each.
    pub fn to_bytes(&self) -> Vec<u8> {
        let hashes = self.0.iter();
        hashes.flat_map(|hash| hash.0).collect()
    }

    /// Nothing says that they are right; a wrong one is noticed when the unit is written. `None` if they are not hashes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        rest.is_empty()
            .then(|| Self(hashes.iter().copied().map(Hash).collect()))
    }

    /// The root of the unit.
    ///
    /// # Errors
    ///
    /// [`TreeFull`]: never, of hashes that fit into memory.
    pub fn root(&self) -> Result<Hash, TreeFull> {
        Ok(grow(&self.0)?.root())
    }
}

/// The roots of a run's units, and what they lead to.
#[derive(Debug)]
pub struct RunTree {
    units: Growth,
    weight: u64,
}

impl RunTree {
    pub(crate) fn new(weight: u64, units: &[Hash]) -> Result<Self, TreeFull> {
        let units = grow(units)?;
        Ok(Self { units, weight })
    }

    /// What the index log says of the run.
    pub fn record(&self) -> Record {
        Record {
            weight: self.weight,
            root: self.units.root(),
        }
    }

    /// The siblings above a unit, from the bottom up.
    pub(crate) fn above(&self, unit: u64) -> Option<Vec<Hash>> {
        self.units.prove(LeafIndex::new(unit)?)
    }
}

pub(crate) fn grow(hashes: &[Hash]) -> Result<Growth, TreeFull> {
    Edge::empty().grow(hashes)
}

/// How many units a run of 2^bits partitions has, and how many partitions each of them.
pub(crate) fn units(bits: u8) -> (u64, u64) {
    let partitions = 1_u64.checked_shl(bits.into()).unwrap_or(u64::MAX);
    (partitions.div_ceil(UNIT), partitions.min(UNIT))
}
