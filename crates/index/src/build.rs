//! A run from the keys of its leaves.

use tegula_tlog::{Hash, LeafIndex, TreeFull};

use crate::key::Key;
use crate::leaf::Record;
use crate::list::ListPages;
use crate::live::{BASE_LEAVES, Run};
use crate::partition::{Draft, PartitionFull, Writer};
use crate::path::IndexPath;
use crate::postings::{MAX_INLINE, Postings};
use crate::tree::{grow, units};

/// A run as it was made: all its objects, and what the index log says of it.
#[derive(Clone, Debug)]
pub struct Built {
    /// The run's record.
    pub record: Record,
    /// Its objects. A partition comes after its pages and lists.
    pub objects: Vec<(IndexPath, Vec<u8>)>,
}

/// Why a run was not made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// The keys are of more leaves than the run has, or of fewer.
    #[error("the keys of {found} leaves for the run {run}, expected those of {expected}")]
    Leaves {
        /// The run.
        run: Run,
        /// Of how many leaves they are.
        found: usize,
        /// How many leaves the run has.
        expected: u64,
    },
    /// The roots are of more units than the run has, or of fewer.
    #[error("the roots of {found} units for the run {run}, expected those of {expected}")]
    Units {
        /// The run.
        run: Run,
        /// Of how many units they are.
        found: usize,
        /// How many units the run has.
        expected: u64,
    },
    /// More hashes than a tree can have.
    #[error(transparent)]
    Tree(#[from] TreeFull),
    /// More keys of one partition than it can have.
    #[error(transparent)]
    Partition(#[from] PartitionFull),
}

/// Makes a run from the keys of each of its leaves, in any order. What is given twice of one leaf counts once.
///
/// It is all in memory: this is for base runs, and for whoever checks a run by making it again. Larger ones are made by
/// [`Merge`](crate::Merge), and are the same.
///
/// # Errors
///
/// [`BuildError`] if the keys are not those of as many leaves as the run has.
pub fn build(run: Run, keys: &[Vec<Key>]) -> Result<Built, BuildError> {
    if keys.len() as u64 != run.leaves() {
        return Err(BuildError::Leaves {
            run,
            found: keys.len(),
            expected: run.leaves(),
        });
    }
    let weight = weight(keys);
    let unrooted = Record {
        weight,
        root: Hash([0; 32]),
    };
    let bits = unrooted.bits();
    let keys = (0..).zip(keys);
    let postings = keys.flat_map(|(leaf, keys)| keys.iter().map(move |key| (*key, leaf)));
    let mut postings: Vec<(Key, u64)> = postings.collect();
    postings.sort_unstable();
    postings.dedup();
    let mut by_key = postings.chunk_by(|(a, _), (b, _)| a == b).peekable();
    let mut objects = Vec::new();
    let (units, partitions) = units(bits);
    let mut drafts: Vec<(u64, Draft)> = Vec::new();
    for q in 0..units * partitions {
        let mut writer = Writer::new(run, bits, q);
        while let Some([(key, _), ..]) = by_key.peek().copied()
            && key.prefix(bits) == q
            && let Some(postings) = by_key.next()
        {
            let leaves = postings.iter().map(|(_, leaf)| *leaf).collect();
            let postings = with_list(run, *key, leaves, &mut objects)?;
            objects.extend(writer.push(key, &postings)?);
        }
        let (draft, page) = writer.finish();
        objects.extend(page);
        drafts.push((q, draft));
    }
    let hashes = drafts.iter().map(|(_, draft)| draft.hash());
    let tree = grow(&hashes.collect::<Vec<_>>())?;
    for (q, draft) in drafts {
        let siblings = LeafIndex::new(q).and_then(|q| tree.prove(q));
        let bytes = draft.bytes(&siblings.unwrap_or_default());
        objects.push((IndexPath::Partition { run, q }, bytes));
    }
    let root = tree.root();
    let record = Record { weight, root };
    Ok(Built { record, objects })
}

/// The sum of the numbers of distinct keys in each bundle.
fn weight(keys: &[Vec<Key>]) -> u64 {
    let base_leaves = usize::try_from(BASE_LEAVES).unwrap_or(usize::MAX);
    let bundles = keys.chunks(base_leaves);
    let distinct = bundles.map(|bundle| {
        let mut keys: Vec<&Key> = bundle.iter().flatten().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    });
    distinct.sum::<usize>() as u64
}

/// The postings of a key as its partition has them. A long list goes to the objects.
fn with_list(
    run: Run,
    key: Key,
    leaves: Vec<u64>,
    objects: &mut Vec<(IndexPath, Vec<u8>)>,
) -> Result<Postings, TreeFull> {
    let count = leaves.len() as u64;
    if count <= MAX_INLINE {
        return Ok(Postings::Inline(leaves));
    }
    let mut leaves = leaves.into_iter();
    let mut pages = ListPages::new(run, key, count, || Ok::<_, TreeFull>(leaves.next()));
    let mut drafts = Vec::new();
    while let Some((page, draft)) = pages.next_page()? {
        drafts.push((page, draft));
    }
    let hashes: Vec<_> = drafts.iter().map(|(_, draft)| draft.hash()).collect();
    let tree = grow(&hashes)?;
    for (page, draft) in drafts {
        let proof = LeafIndex::new(page).and_then(|page| tree.prove(page));
        let path = IndexPath::List { run, key, page };
        objects.push((path, draft.bytes(&proof.unwrap_or_default())));
    }
    let root = tree.root();
    Ok(Postings::List { count, root })
}
