//! Proofs, made from verified tiles.

use tegula_tlog::{
    Hash, LeafIndex, TreeSize, consistency_tiles, inclusion_tiles, prove_consistency,
    prove_inclusion, root_of, root_tiles,
};

use super::{Lack, Reader, VerifiedCheckpoint};
use crate::ReadError;

/// That the tree of one size is the beginning of that of another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsistencyProof {
    /// The root of the smaller tree.
    pub old_root: Hash,
    /// The root of the larger tree.
    pub new_root: Hash,
    /// The proof.
    pub hashes: Vec<Hash>,
}

impl Reader {
    /// The proof that the entry at `index` is in the log.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotFound`] if there is no such entry, else [`ReadError::Io`] or [`ReadError::Verification`] for the tiles.
    pub async fn inclusion_proof(
        &self,
        checkpoint: &VerifiedCheckpoint,
        index: LeafIndex,
    ) -> Result<Vec<Hash>, ReadError> {
        checkpoint.check_index(index)?;
        let size = checkpoint.size();
        let paths = inclusion_tiles(index, size).map_err(|error| unprovable(&error))?;
        let proof = self
            .with_tiles(checkpoint, &paths, |tiles| {
                prove_inclusion(index, size, tiles.tiles())
            })
            .await?;
        proof.map_err(|error| unprovable(&error))
    }

    /// The proof that the log's tree of size `old` is the beginning of that of size `new`, with the roots of both.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotFound`] if `old` is 0 or larger than `new`, or `new` than the log; else as [`Reader::inclusion_proof`].
    pub async fn consistency_proof(
        &self,
        checkpoint: &VerifiedCheckpoint,
        old: TreeSize,
        new: TreeSize,
    ) -> Result<ConsistencyProof, ReadError> {
        if old == TreeSize::ZERO || old > new || new > checkpoint.size() {
            return Err(ReadError::NotFound(format!(
                "there is no proof between the sizes {old} and {new} of a log with {} entries",
                checkpoint.size()
            )));
        }
        let old_root = self.root_at(checkpoint, old).await?;
        let new_root = self.root_at(checkpoint, new).await?;
        let paths = consistency_tiles(old, new).map_err(|error| unprovable(&error))?;
        let hashes = self
            .with_tiles(checkpoint, &paths, |tiles| {
                prove_consistency(old, new, tiles.tiles())
            })
            .await?
            .map_err(|error| unprovable(&error))?;
        Ok(ConsistencyProof {
            old_root,
            new_root,
            hashes,
        })
    }

    /// The root of the log's tree when it had `size` entries, which is not 0 and not more than it has.
    pub(crate) async fn root_at(
        &self,
        checkpoint: &VerifiedCheckpoint,
        size: TreeSize,
    ) -> Result<Hash, Lack> {
        if size == checkpoint.size() {
            return Ok(checkpoint.root());
        }
        let root = self
            .with_tiles(checkpoint, &root_tiles(size), |tiles| {
                root_of(size, tiles.tiles())
            })
            .await?;
        root.map_err(|error| Lack::Other(unprovable(&error)))
    }
}

/// Tiles are verified and all there, so this is about the question.
fn unprovable(error: &dyn std::error::Error) -> ReadError {
    ReadError::Verification(error.to_string())
}
