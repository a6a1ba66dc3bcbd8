//! The index log: a log of its own, below the log that it is of.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tegula_index::{IndexPath, State, covered, origin};
use tegula_tlog::{KeyKind, Policy, VerifierKey};

use super::LogIndex;
use crate::{FetchError, ReadError, Reader, Source, VerifiedCheckpoint};

impl Reader {
    /// The checkpoint of the index, if there is one: verified, and compared with what was seen before.
    pub(super) async fn index_checkpoint(&self) -> Result<Option<VerifiedCheckpoint>, ReadError> {
        let reader = self.of_index()?;
        let fetched = reader.source.fetch("checkpoint", crate::MAX_CHECKPOINT_LEN);
        match fetched.await? {
            Some(note) => reader.accept(&note).await.map(Some).map_err(of_index),
            None => Ok(None),
        }
    }

    /// What the index consists of at its checkpoint, tied to the log.
    pub(super) async fn open_index(
        &self,
        log: &VerifiedCheckpoint,
        index: VerifiedCheckpoint,
    ) -> Result<LogIndex, ReadError> {
        let log_size = covered(index.size()).filter(|covered| *covered <= log.size());
        let log_size = log_size.ok_or_else(|| {
            ReadError::Io(format!(
                "the search index is of {} bundles, and this checkpoint of the log is older: it has {} entries",
                index.size(),
                log.size()
            ))
        })?;
        let path = IndexPath::State(index.size());
        let cache = index.cache();
        let (size, root) = (index.size(), index.root());
        let object = self.unchecked(path, cache);
        // What it is checked with is fetched at the same time.
        let log_root = async { self.root_at(log, log_size).await.map_err(ReadError::from) };
        let (object, log_root) = futures::join!(object, log_root);
        let (object, log_root) = (object?, log_root?);
        let open = |bytes: &[u8]| State::open(bytes, size, &root, &log_root);
        let state = self.checked(object, cache, open).await?;
        Ok(LogIndex {
            state,
            checkpoint: index,
        })
    }

    /// A reader of the index log: the same keys under its own name, below the same place.
    pub(super) fn of_index(&self) -> Result<Self, ReadError> {
        let ed25519 = self.policy.logs().iter();
        let ed25519 = ed25519.filter(|key| key.kind() == KeyKind::Ed25519);
        let named = |key: &VerifierKey| key.named(&origin(key.name()));
        let keys: Result<Vec<_>, _> = ed25519.map(named).collect();
        let keys = keys.map_err(|error| ReadError::Verification(error.to_string()))?;
        if keys.is_empty() {
            return Err(ReadError::Policy(
                "the search index is signed by the log's Ed25519 key, and the policy has none"
                    .to_owned(),
            ));
        }
        let source = Below {
            source: Arc::clone(&self.source),
        };
        Ok(Self {
            source: Arc::new(source),
            policy: Arc::new(Policy::from_log_keys(keys)),
            cache: self.cache.clone(),
            memory: self.memory.clone(),
            keys_of: self.keys_of,
        })
    }
}

/// The objects of the index log.
#[derive(Debug)]
struct Below {
    source: Arc<dyn Source>,
}

#[async_trait]
impl Source for Below {
    async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError> {
        let path = format!("index/v1/{path}");
        self.source.fetch(&path, max_len).await
    }

    fn name(&self) -> String {
        format!("{}/index/v1", self.source.name())
    }
}

/// The paths and signatures in it are those of the index log.
fn of_index(error: ReadError) -> ReadError {
    let prefixed = |reason| format!("the search index: {reason}");
    match error {
        ReadError::Io(reason) => ReadError::Io(prefixed(reason)),
        ReadError::NotFound(reason) => ReadError::NotFound(prefixed(reason)),
        ReadError::Verification(reason) => ReadError::Verification(prefixed(reason)),
        ReadError::Policy(reason) => ReadError::Policy(prefixed(reason)),
        // Names the index log by its origin.
        ReadError::Misbehaviour(evidence) => ReadError::Misbehaviour(evidence),
    }
}
