//! The search index of a log in memory.

use std::collections::BTreeMap;

use tegula_index::{
    BASE_LEAVES, Built, IndexLeaf, IndexPath, Key, Record, Run, State, build, live_runs, origin,
};
use tegula_tlog::{Edge, Hash, LeafIndex, SigningKey, TreeSize, leaf_hash};

use super::Log;

/// All runs of the indexes of a log's first entries, at every size up to that of the log.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// The runs. Whoever changes one makes an index that is not of the log.
    pub(crate) runs: BTreeMap<Run, Built>,
    /// The log's root for each size of the index, from 1 on.
    log_roots: Vec<Hash>,
}

impl Index {
    /// The index of these entries, of which each is said to have these keys.
    pub(crate) fn new(entries: &[Vec<u8>], keys: &[Vec<Key>]) -> Self {
        let base = usize::try_from(BASE_LEAVES).unwrap();
        let mut edge = Edge::empty();
        let log_roots = entries.chunks_exact(base).map(|bundle| {
            let leaves: Vec<_> = bundle.iter().map(|entry| leaf_hash(entry)).collect();
            edge.grow(&leaves).unwrap().root()
        });
        let log_roots: Vec<_> = log_roots.collect();
        let mut runs = BTreeMap::new();
        for size in 1..=log_roots.len() {
            for run in live_runs(tree_size(size)).unwrap() {
                runs.entry(run).or_insert_with(|| {
                    let start = usize::try_from(run.start()).unwrap();
                    let leaves = usize::try_from(run.leaves()).unwrap();
                    build(run, &keys[start..start + leaves]).unwrap()
                });
            }
        }
        Self { runs, log_roots }
    }

    /// Makes another run of this one: what `change` does to the body of a partition, with a root that commits to it.
    pub(crate) fn change(&mut self, run: Run, change: impl Fn(&mut Vec<u8>)) {
        let built = self.runs.get_mut(&run).unwrap();
        let siblings = 24..24 + 32 * usize::from(built.record.bits());
        let partitions = built.objects.iter_mut();
        let partitions = partitions.filter(|(path, _)| matches!(path, IndexPath::Partition { .. }));
        let mut partitions: Vec<_> = partitions.map(|(_, bytes)| bytes).collect();
        let mut hashes = Vec::new();
        for bytes in &mut partitions {
            let mut body = bytes.split_off(siblings.end);
            change(&mut body);
            hashes.push(leaf_hash(&[&bytes[..24], &body].concat()));
            bytes.extend(body);
        }
        let tree = Edge::empty().grow(&hashes).unwrap();
        for (q, bytes) in (0..).zip(partitions) {
            let path = tree.prove(LeafIndex::new(q).unwrap()).unwrap();
            let path: Vec<_> = path.iter().flat_map(|hash| hash.0).collect();
            bytes.splice(siblings.clone(), path);
        }
        built.record.root = tree.root();
    }

    /// Publishes the index at its `size`, by the key of the index log, with all that its checkpoint needs.
    pub(crate) fn publish(&self, log: &Log, key: &SigningKey, size: usize) {
        self.publish_objects(log, size);
        let leaves = self.leaves(size);
        let leaves: Vec<_> = leaves.iter().map(|leaf| leaf.to_bytes().to_vec()).collect();
        log.publish_below("index/v1/", key, &leaves);
    }

    /// The live runs and the state, not what commits to them.
    pub(crate) fn publish_objects(&self, log: &Log, size: usize) {
        for run in live_runs(tree_size(size)).unwrap() {
            for (path, bytes) in &self.runs[&run].objects {
                log.put(&path.to_string(), bytes.clone());
            }
        }
        let leaves = self.leaves(size);
        let hashes: Vec<_> = leaves.iter().map(IndexLeaf::hash).collect();
        let growth = Edge::empty().grow(&hashes).unwrap();
        let last = LeafIndex::new(size as u64 - 1).unwrap();
        let proof = growth.prove(last).unwrap();
        let state = State::encode(leaves.last().unwrap(), &self.records(size), &proof);
        log.put(&IndexPath::State(tree_size(size)).to_string(), state);
    }

    /// The entries of the index log.
    fn leaves(&self, size: usize) -> Vec<IndexLeaf> {
        let log_roots = (1..).zip(&self.log_roots).take(size);
        let leaf = |(size, root): (usize, &Hash)| {
            let log_size = tree_size(size * 256);
            IndexLeaf::new(log_size, *root, &self.records(size))
        };
        log_roots.map(leaf).collect()
    }

    fn records(&self, size: usize) -> Vec<Record> {
        let live = live_runs(tree_size(size)).unwrap().into_iter();
        live.map(|run| self.runs[&run].record).collect()
    }
}

/// The log's key under the name of its index log.
pub(crate) fn index_signer(n: u8) -> SigningKey {
    SigningKey::ed25519_from_seed(&origin("log.example"), &[n; 32]).unwrap()
}

fn tree_size(size: usize) -> TreeSize {
    TreeSize::new(size as u64).unwrap()
}
