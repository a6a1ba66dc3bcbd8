//! The end of a chain of slots: the tree's right edge and the entries of its last bundle.

use bytes::Bytes;
use tegula_tlog::{Edge, Growth, Hash, TilePath, TreeSize, append_entry, leaf_hash};

use crate::error::Error;
use crate::slot::Slot;

/// Where a chain of slots ends. It goes on by slots that were checked.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub(crate) edge: Edge,
    tail: BundleTail,
    /// The time of the last slot.
    pub(crate) time_ms: u64,
}

/// What a slot adds.
#[derive(Debug)]
pub(crate) struct Step {
    /// The tip after it.
    pub(crate) tip: Tip,
    pub(crate) growth: Growth,
    pub(crate) leaves: Vec<Hash>,
    /// Full tiles and bundles that it completes.
    pub(crate) objects: Vec<(TilePath, Bytes)>,
}

/// Why a slot is not the next one.
#[derive(Debug)]
pub(crate) enum FoldError {
    /// It was cut to its header, so a checkpoint covers it: start cold.
    HeaderOnly,
    /// It contradicts the chain or itself.
    Mismatch(String),
}

impl Tip {
    /// A tip at the end of a verified tree.
    pub(crate) fn new(edge: Edge, tail: BundleTail, time_ms: u64) -> Self {
        Self {
            edge,
            tail,
            time_ms,
        }
    }

    /// The start of the next slot.
    pub(crate) fn size(&self) -> TreeSize {
        self.edge.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.edge.root()
    }

    /// Checks a slot; what it adds.
    pub(crate) fn fold(&self, slot: &Slot, log_id: &[u8; 32]) -> Result<Step, FoldError> {
        let header = &slot.header;
        let mismatch =
            |reason: String| FoldError::Mismatch(format!("slot {}: {reason}", header.prev_size));
        if header.log_id != *log_id {
            return Err(mismatch("it is of another log".to_owned()));
        }
        if header.prev_size != self.size() || header.prev_root != self.root() {
            return Err(mismatch(format!(
                "it follows size {} with root {}, the chain stands at size {} with root {}",
                header.prev_size,
                header.prev_root,
                self.size(),
                self.root()
            )));
        }
        if header.time_ms < self.time_ms {
            return Err(mismatch(format!(
                "its time {} is before that of the slot before it, {}",
                header.time_ms, self.time_ms
            )));
        }
        let entries = slot.entries().ok_or(FoldError::HeaderOnly)?;
        let entries = entries.map_err(|error| FoldError::Mismatch(error.to_string()))?;
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let mut edge = self.edge.clone();
        let growth = edge
            .grow(&leaves)
            .map_err(|error| mismatch(error.to_string()))?;
        if edge.root() != header.new_root {
            return Err(mismatch(format!(
                "it leads to root {}, its header says {}",
                edge.root(),
                header.new_root
            )));
        }
        self.step(edge, growth, leaves, &entries, header.time_ms)
            .map_err(|error| mismatch(error.to_string()))
    }

    /// What entries add whose growth is known.
    pub(crate) fn step(
        &self,
        edge: Edge,
        growth: Growth,
        leaves: Vec<Hash>,
        entries: &[&[u8]],
        time_ms: u64,
    ) -> Result<Step, Error> {
        let tiles = growth.full_tiles().iter();
        let mut objects: Vec<_> = tiles
            .map(|(path, bytes)| (*path, Bytes::copy_from_slice(bytes)))
            .collect();
        let mut tail = self.tail.clone();
        objects.extend(tail.extend(self.size(), entries)?);
        Ok(Step {
            tip: Self::new(edge, tail, time_ms),
            growth,
            leaves,
            objects,
        })
    }

    /// The partial tiles and the partial bundle that a checkpoint of this size needs.
    pub(crate) fn partial_objects(&self) -> Vec<(TilePath, Bytes)> {
        let tiles = self.edge.partial_tiles().into_iter();
        let mut objects: Vec<_> = tiles
            .map(|(path, bytes)| (path, Bytes::from(bytes)))
            .collect();
        objects.extend(self.tail.partial(self.size()));
        objects
    }
}

/// The entries of the last, incomplete bundle, encoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct BundleTail(Vec<u8>);

impl BundleTail {
    /// The tail with these encoded entries.
    pub(crate) fn new(encoded: Vec<u8>) -> Self {
        Self(encoded)
    }

    /// Appends entries from index `start` on; the bundles that this completes.
    pub(crate) fn extend(
        &mut self,
        start: TreeSize,
        entries: &[&[u8]],
    ) -> Result<Vec<(TilePath, Bytes)>, Error> {
        let mut full = Vec::new();
        for (index, entry) in (start.get()..).zip(entries) {
            append_entry(&mut self.0, entry).map_err(|e| Error::Rejected(e.to_string()))?;
            if index % 256 == 255 {
                let path = TilePath::entries(index / 256, 256);
                let path = path.ok_or_else(|| Error::Rejected("the tree is full".to_owned()))?;
                full.push((path, Bytes::from(std::mem::take(&mut self.0))));
            }
        }
        Ok(full)
    }

    /// The partial bundle of a tree of this size, if it has one.
    pub(crate) fn partial(&self, size: TreeSize) -> Option<(TilePath, Bytes)> {
        let width = u16::try_from(size.get() % 256).ok()?;
        let path = TilePath::entries(size.get() / 256, width)?;
        Some((path, Bytes::copy_from_slice(&self.0)))
    }
}
