//! Whose signatures are logged: everybody's, or those of keys that the operator names.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::StatusCode;
use sha2::{Digest, Sha256};
use tegula_entries::{Entry, Verifier};
use tegula_tlog::Hash;

use crate::error::ApiError;

/// A key by the SHA-256 of its SPKI, as 64 hexadecimal digits: what `openssl pkey -pubin -outform DER | sha256sum` says.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct KeyHash([u8; 32]);

/// The keys whose signatures are logged. Certificates count by the keys in them.
#[derive(Clone, Debug, Default)]
pub struct AllowedKeys(Option<Arc<BTreeSet<KeyHash>>>);

impl KeyHash {
    /// Of this key.
    pub fn of(verifier: &Verifier) -> Self {
        Self(Sha256::digest(verifier.public_key().spki_der()).into())
    }
}

impl FromStr for KeyHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hash: Result<Hash, _> = text.parse();
        let hash = hash.map_err(|_not_hex| {
            format!("{text:?} is not the SHA-256 of a key, expected 64 hexadecimal digits")
        })?;
        Ok(Self(hash.0))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hash(self.0).fmt(f)
    }
}

impl AllowedKeys {
    /// These alone; of none, all.
    pub fn only(keys: impl IntoIterator<Item = KeyHash>) -> Self {
        let keys: BTreeSet<_> = keys.into_iter().collect();
        Self((!keys.is_empty()).then(|| Arc::new(keys)))
    }

    pub(crate) fn are_named(&self) -> bool {
        self.0.is_some()
    }

    /// Whether every signature is of one of them.
    pub(crate) fn check(&self, entry: &Entry) -> Result<(), ApiError> {
        let Some(keys) = &self.0 else {
            return Ok(());
        };
        let forbidden = |message: String| ApiError::new(StatusCode::FORBIDDEN, message);
        if entry.signers().is_empty() {
            return Err(forbidden(
                "this log takes signatures of named keys alone".to_owned(),
            ));
        }
        let signers = entry
            .signers()
            .iter()
            .map(|signer| KeyHash(signer.fingerprint()));
        match signers.into_iter().find(|key| !keys.contains(key)) {
            None => Ok(()),
            Some(key) => Err(forbidden(format!(
                "this log takes no signatures of the key {key}"
            ))),
        }
    }
}
