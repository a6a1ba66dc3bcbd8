//! Whose signatures are logged: everybody's, or those of keys that the operator names.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::StatusCode;
use sha2::{Digest, Sha256};
use tegula_entries::{Proposed, Verifier};
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

    pub(crate) fn check(&self, proposed: &Proposed) -> Result<(), ApiError> {
        let Some(keys) = &self.0 else {
            return Ok(());
        };
        let key = KeyHash::of(proposed.verifier());
        if keys.contains(&key) {
            return Ok(());
        }
        let message = format!("this log takes no signatures of the key {key}");
        Err(ApiError::new(StatusCode::FORBIDDEN, message))
    }
}
