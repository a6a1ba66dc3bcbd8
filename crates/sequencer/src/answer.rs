//! Answers: proofs against the published checkpoint, verified by the writer itself first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tegula_storage::Store;
use tegula_tlog::{Growth, Hash, LeafIndex, NodeTiles, inclusion_tiles, verify_inclusion};

use crate::Published;
use crate::chain::Place;
use crate::error::Error;
use crate::read::{self, MAX_READS};
use crate::writer::{Pending, Writer, cold};

/// A batch that is logged and published.
#[derive(Clone, Debug)]
pub struct Round {
    /// The checkpoint that covers it.
    pub published: Published,
    places: Vec<Place>,
    leaves: Vec<Hash>,
    /// Proves the new leaves without a tile, where the checkpoint is that of the batch's own slot.
    growth: Option<Arc<Growth>>,
    /// Proofs of all others, from tiles.
    proofs: HashMap<LeafIndex, Vec<Hash>>,
}

/// Where one entry is, and the proof of it. The proof was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The entry's index.
    pub index: LeafIndex,
    /// Whether it was in the log before.
    pub duplicate: bool,
    /// Its inclusion proof in the tree of `published`.
    pub proof: Vec<Hash>,
    /// The checkpoint that covers it.
    pub published: Published,
}

impl Round {
    /// How many entries the batch has.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The answer for the `n`-th entry of the batch. The proof is made and verified here, in the
    /// caller's task: an entry whose proof does not verify is not acknowledged.
    pub fn receipt(&self, n: usize) -> Result<Receipt, Error> {
        let (place, leaf) = self
            .places
            .get(n)
            .zip(self.leaves.get(n))
            .ok_or_else(|| Error::Rejected(format!("the batch has no entry {n}")))?;
        let from_growth = || self.growth.as_ref()?.prove(place.index);
        let proof = match self.proofs.get(&place.index) {
            Some(proof) => proof.clone(),
            None => from_growth().ok_or_else(cold)?,
        };
        let Published { size, root, .. } = &self.published;
        verify_inclusion(place.index, *size, leaf, &proof, root).map_err(|error| {
            Error::Corrupt(format!("the proof of entry {}: {error}", place.index))
        })?;
        Ok(Receipt {
            index: place.index,
            duplicate: place.duplicate,
            proof,
            published: self.published.clone(),
        })
    }
}

impl Writer {
    /// Gathers what the answers of a published batch need.
    pub(crate) async fn answer(
        &self,
        batch: &[Pending],
        places: Vec<Place>,
        growth: Option<Arc<Growth>>,
    ) -> Result<Round, Error> {
        let published = self.published().ok_or_else(cold)?.clone();
        // Another writer's larger checkpoint may cover the batch: then the growth of its own slot
        // proves it for a tree that was never published, and tiles have to.
        let growth = growth.filter(|growth| growth.end() == published.size);
        let in_growth = |index: LeafIndex| {
            growth
                .as_ref()
                .is_some_and(|growth| index.get() >= growth.start().get())
        };
        let others: Vec<_> = places
            .iter()
            .zip(batch)
            .filter(|(place, _)| !in_growth(place.index))
            .map(|(place, pending)| (place.index, pending.leaf))
            .collect();
        let proofs = prove_from_tiles(self.store.as_ref(), &published, &others).await?;
        Ok(Round {
            published,
            places,
            leaves: batch.iter().map(|pending| pending.leaf).collect(),
            growth,
            proofs,
        })
    }
}

/// Proofs of leaves that the published tree has, verified.
pub(crate) async fn prove_from_tiles(
    store: &dyn Store,
    published: &Published,
    wanted: &[(LeafIndex, Hash)],
) -> Result<HashMap<LeafIndex, Vec<Hash>>, Error> {
    let mut problem = String::new();
    for _ in 0..MAX_READS {
        match try_prove(store, published, wanted).await? {
            Ok(proofs) => return Ok(proofs),
            Err(error) => problem = error,
        }
    }
    Err(Error::Corrupt(problem))
}

async fn try_prove(
    store: &dyn Store,
    published: &Published,
    wanted: &[(LeafIndex, Hash)],
) -> Result<Result<HashMap<LeafIndex, Vec<Hash>>, String>, Error> {
    let mut paths = BTreeSet::new();
    for (index, _) in wanted {
        match inclusion_tiles(*index, published.size) {
            Ok(tiles) => paths.extend(tiles),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    let tiles = NodeTiles::from_tiles(&read::tiles(store, paths).await?);
    let mut proofs = HashMap::with_capacity(wanted.len());
    for (index, leaf) in wanted {
        let proof = match tiles.prove_inclusion(*index, published.size) {
            Ok(proof) => proof,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Err(error) = verify_inclusion(*index, published.size, leaf, &proof, &published.root)
        {
            return Ok(Err(format!("the proof of entry {index}: {error}")));
        }
        proofs.insert(*index, proof);
    }
    Ok(Ok(proofs))
}
