//! The index log: a log of its own, below the log that it is of.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tegula_index::{IndexPath, State, covered, origin};
use tegula_tlog::{KeyKind, Policy, VerifierKey};

use super::{LogIndex, wrong};
use crate::{FetchError, ReadError, Reader, Source, VerifiedCheckpoint};

impl Reader {
    /// The checkpoint of the index, if there is one: verified, and compared with what was seen before.
    pub(super) async fn index_checkpoint(&self) -> Result<Option<VerifiedCheckpoint>, ReadError> {
        let reader = self.of_index()?;
        let fetched = reader.source.fetch("checkpoint", crate::MAX_CHECKPOINT_LEN);
        match fetched.await? {
            Some(note) => reader.accept(&note).await.map(Some),
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
        let cached = cache.and_then(|cache| cache.load_index(&path));
        let is_cached = cached.is_some();
        let state = async {
            match cached {
                Some(bytes) => Ok(Bytes::from(bytes)),
                None => self.fetch_index(&path).await,
            }
        };
        // What it is checked with is fetched at the same time.
        let log_root = async { self.root_at(log, log_size).await.map_err(ReadError::from) };
        let (bytes, log_root) = futures::join!(state, log_root);
        let (mut bytes, log_root) = (bytes?, log_root?);
        let mut opened = State::open(&bytes, size, &root, &log_root);
        if opened.is_err() && is_cached {
            bytes = self.fetch_index(&path).await?;
            opened = State::open(&bytes, size, &root, &log_root);
        }
        let state = opened.map_err(|error| wrong(&error))?;
        cache.inspect(|cache| cache.store_index(&path, &bytes));
        Ok(LogIndex {
            state,
            checkpoint: index,
        })
    }

    /// A reader of the index log: the same keys under its own name, below the same place.
    fn of_index(&self) -> Result<Self, ReadError> {
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
        self.source.name()
    }
}
