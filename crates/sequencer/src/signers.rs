//! What signs checkpoints: keys that are held here, or by a service that signs with them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tegula_tlog::{Checkpoint, Hash, SigningKey, TreeSize, VerifierKey};

use crate::error::Error;

/// A key of the log, wherever it is.
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug {
    /// What verifies its signatures. Its name is the log's origin.
    fn verifier(&self) -> VerifierKey;

    /// Signs the text of a checkpoint, which ends with a newline, as the key's type says (c2sp.org/signed-note).
    async fn sign(&self, text: &str) -> Result<Vec<u8>, SignError>;
}

/// Why there is no signature; trying again may help.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SignError(pub String);

#[async_trait]
impl Signer for SigningKey {
    fn verifier(&self) -> VerifierKey {
        Self::verifier(self)
    }

    async fn sign(&self, text: &str) -> Result<Vec<u8>, SignError> {
        Ok(Self::sign(self, text, 0))
    }
}

/// All keys of a log, the Ed25519 key first. All are named as the origin.
#[derive(Clone, Debug)]
pub struct Signers {
    keys: Vec<Arc<dyn Signer>>,
    verifiers: Vec<VerifierKey>,
}

impl Signers {
    /// These keys, in this order.
    pub fn new(keys: Vec<Arc<dyn Signer>>) -> Self {
        let verifiers = keys.iter().map(|key| key.verifier()).collect();
        Self { keys, verifiers }
    }

    /// What verifies their signatures, in their order.
    pub fn verifiers(&self) -> &[VerifierKey] {
        &self.verifiers
    }

    /// The first of them, by which the log is known.
    pub fn first(&self) -> Result<&VerifierKey, Error> {
        let none = || Error::Rejected("no log key, expected an Ed25519 key".to_owned());
        self.verifiers.first().ok_or_else(none)
    }

    /// The log's first key as the key of its index log, which is named `<origin>/index/v1`. A checkpoint says of which origin it is, so
    /// that none of one log is one of the other.
    pub(crate) fn of_index(&self) -> Result<Self, Error> {
        let verifier = index_key(self.first()?)?;
        let keys = self.keys.iter().take(1).cloned().collect();
        let verifiers = vec![verifier];
        Ok(Self { keys, verifiers })
    }

    /// Signs a tree head with all keys. Only for what is durably ordered.
    pub(crate) async fn checkpoint(&self, size: TreeSize, root: Hash) -> Result<Bytes, Error> {
        let malformed =
            |error: &dyn fmt::Display| Error::Corrupt(format!("signing a checkpoint: {error}"));
        let checkpoint = Checkpoint {
            origin: self.first()?.name().to_owned(),
            size,
            root,
            extensions: Vec::new(),
        };
        let mut note = checkpoint.note().map_err(|error| malformed(&error))?;
        for (key, verifier) in self.keys.iter().zip(&self.verifiers) {
            let signature = key
                .sign(note.text())
                .await
                .map_err(|error| Error::Unavailable(format!("{verifier} did not sign: {error}")))?;
            // What others would refuse is not published.
            if !verifier.verify(note.text(), &signature) {
                return Err(Error::Unavailable(format!(
                    "{verifier} gave a signature that it does not verify"
                )));
            }
            note.add(verifier, signature);
        }
        Ok(Bytes::from(note.to_bytes()))
    }
}

/// The key of a log's index log.
fn index_key(log_key: &VerifierKey) -> Result<VerifierKey, Error> {
    let name = tegula_index::origin(log_key.name());
    log_key
        .named(&name)
        .map_err(|error| Error::Rejected(error.to_string()))
}

impl<K: Signer + 'static> From<Vec<K>> for Signers {
    fn from(keys: Vec<K>) -> Self {
        let keys = keys.into_iter().map(|key| Arc::new(key) as _);
        Self::new(keys.collect())
    }
}
