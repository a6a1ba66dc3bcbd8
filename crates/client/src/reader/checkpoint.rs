//! Which checkpoint to believe.

use bytes::Bytes;
use tegula_tlog::{Checkpoint, Hash, TreeSize, VerifierKey, empty_root};

use super::{Lack, MAX_CHECKPOINT_LEN, Reader, VerifiedCheckpoint};
use crate::{Evidence, ReadError};

impl Reader {
    /// The log's checkpoint, verified against the policy and against what was seen before.
    ///
    /// # Errors
    ///
    /// As [`Reader::accept`], and [`ReadError::Io`] if it cannot be fetched: a log without a checkpoint is broken, not empty.
    pub async fn checkpoint(&self) -> Result<VerifiedCheckpoint, ReadError> {
        let note = self.fetch_checkpoint().await?;
        self.accept(&note).await
    }

    /// A checkpoint that came by another way, such as with an answer, verified in the same way.
    ///
    /// It is compared with what is remembered of every key that signed it:
    ///
    /// | compared with the remembered one it is | then |
    /// |---|---|
    /// | larger and consistent | it is remembered in its place |
    /// | the same | nothing |
    /// | smaller and consistent | the remembered one is given, marked as [stale](VerifiedCheckpoint::stale) |
    /// | smaller, and the tiles do not show whether it is consistent | the log has shrunk, or this copy of it is old and lacks tiles: an alarm, which says that it proves neither |
    /// | not consistent, or of the same size with another root | misbehaviour |
    ///
    /// # Errors
    ///
    /// [`ReadError::Verification`] and [`ReadError::Policy`] for the policy, [`ReadError::Misbehaviour`] as above, and
    /// [`ReadError::Io`] if the comparison cannot be made now.
    pub async fn accept(&self, note: &[u8]) -> Result<VerifiedCheckpoint, ReadError> {
        let (checkpoint, signed) = self.policy.check(note)?;
        let keys = signed
            .verified_by(self.policy.logs())
            .map_err(|error| ReadError::Verification(error.to_string()))?;
        let note = Bytes::copy_from_slice(note);
        let presented = |key: &VerifierKey| {
            let cache = self.cache.as_ref();
            VerifiedCheckpoint::new(checkpoint.clone(), note.clone(), key.clone(), cache)
        };
        let mut newest: Option<VerifiedCheckpoint> = None;
        for key in &keys {
            let known = self.compare(presented(key)).await?;
            if newest
                .as_ref()
                .is_none_or(|newest| newest.size() < known.size())
            {
                newest = Some(known);
            }
        }
        newest.ok_or_else(|| ReadError::Verification("no log key signed the checkpoint".to_owned()))
    }

    pub(super) async fn fetch_checkpoint(&self) -> Result<Bytes, ReadError> {
        let fetched = self.source.fetch("checkpoint", MAX_CHECKPOINT_LEN).await?;
        fetched.ok_or_else(|| {
            let name = self.source.name();
            ReadError::Io(format!(
                "{name} has no checkpoint, so it is not a log, or a broken one"
            ))
        })
    }

    /// The newer one of `presented` and what is remembered of its key.
    async fn compare(
        &self,
        presented: VerifiedCheckpoint,
    ) -> Result<VerifiedCheckpoint, ReadError> {
        let failed = |error: std::io::Error| {
            let place = self.memory.describe(&presented.key);
            ReadError::Io(format!(
                "cannot remember the checkpoint in {place}: {error}"
            ))
        };
        for _ in 0..MAX_RACES {
            let bytes = self.memory.load(&presented.key).map_err(failed)?;
            if let Some(bytes) = &bytes {
                let remembered = self.remembered(&presented.key, bytes)?;
                if remembered.size() >= presented.size() {
                    return self.not_larger(&presented, remembered).await;
                }
                let old = (remembered.size(), remembered.root());
                if !self.contains(&presented, old).await? {
                    return Err(self.misbehaviour(&presented, &remembered, "are not consistent"));
                }
            }
            let key = &presented.key;
            if self
                .memory
                .replace(key, bytes.as_deref(), &presented.note)
                .map_err(failed)?
            {
                return Ok(presented);
            }
        }
        Err(ReadError::Io(
            "other processes remember checkpoints of this log faster than this one".to_owned(),
        ))
    }

    async fn not_larger(
        &self,
        presented: &VerifiedCheckpoint,
        remembered: VerifiedCheckpoint,
    ) -> Result<VerifiedCheckpoint, ReadError> {
        if remembered.size() == presented.size() {
            return if remembered.root() == presented.root() {
                Ok(presented.clone())
            } else {
                Err(self.misbehaviour(presented, &remembered, "have different roots"))
            };
        }
        let small = (presented.size(), presented.root());
        match self.contains(&remembered, small).await {
            Ok(true) => {
                // What was remembered fulfilled the policy of its time, which may have been another one.
                self.policy.check(&remembered.note)?;
                Ok(VerifiedCheckpoint {
                    stale: Some(presented.size()),
                    ..remembered
                })
            }
            Ok(false) => Err(self.misbehaviour(presented, &remembered, "are not consistent")),
            // What the log signed it must be able to show, so this is an alarm; an outage of the network is none.
            Err(Lack::Missing(path)) => {
                Err(self.shrunk(presented, &remembered, &format!("there is no {path}")))
            }
            Err(Lack::Wrong(problem)) => Err(self.shrunk(presented, &remembered, &problem)),
            Err(Lack::Other(error)) => Err(error),
        }
    }

    /// Whether the tree of `size` and `root` is the beginning of the larger one.
    async fn contains(
        &self,
        larger: &VerifiedCheckpoint,
        (size, root): (TreeSize, Hash),
    ) -> Result<bool, Lack> {
        if size == TreeSize::ZERO {
            return Ok(root == empty_root());
        }
        Ok(self.root_at(larger, size).await? == root)
    }

    fn remembered(&self, key: &VerifierKey, bytes: &[u8]) -> Result<VerifiedCheckpoint, ReadError> {
        let (checkpoint, _) =
            Checkpoint::open(bytes, std::slice::from_ref(key)).map_err(|error| {
                ReadError::Io(format!(
                    "the checkpoint that is remembered in {} is damaged: {error}",
                    self.memory.describe(key)
                ))
            })?;
        let note = Bytes::copy_from_slice(bytes);
        Ok(VerifiedCheckpoint::new(
            checkpoint,
            note,
            key.clone(),
            self.cache.as_ref(),
        ))
    }

    fn misbehaviour(
        &self,
        presented: &VerifiedCheckpoint,
        remembered: &VerifiedCheckpoint,
        why: &str,
    ) -> ReadError {
        let reason = format!(
            "{} signed checkpoints of size {} and {} that {why}",
            presented.origin(),
            remembered.size(),
            presented.size()
        );
        self.alarm(presented, remembered, reason)
    }

    /// A smaller tree of which nothing shows that it is the beginning of the larger one. Nor does anything show that it is not.
    fn shrunk(
        &self,
        presented: &VerifiedCheckpoint,
        remembered: &VerifiedCheckpoint,
        why: &str,
    ) -> ReadError {
        let reason = format!(
            "{} has shrunk, or {} is an old copy of it that lacks tiles: it shows size {}, size {} was seen before, and whether the two are consistent cannot be told: {why}",
            presented.origin(),
            self.source.name(),
            presented.size(),
            remembered.size(),
        );
        self.alarm(presented, remembered, reason)
    }

    fn alarm(
        &self,
        presented: &VerifiedCheckpoint,
        remembered: &VerifiedCheckpoint,
        mut reason: String,
    ) -> ReadError {
        let kept = self
            .memory
            .keep_evidence(&presented.key, &remembered.note, &presented.note);
        let files = kept.unwrap_or_else(|error| {
            reason = format!("{reason}; the evidence could not be kept: {error}");
            Vec::new()
        });
        ReadError::Misbehaviour(Evidence {
            reason,
            remembered: remembered.note.to_vec(),
            presented: presented.note.to_vec(),
            files,
        })
    }
}

/// Each race was lost to a process that remembered something newer.
const MAX_RACES: usize = 16;
