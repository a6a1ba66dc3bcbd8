//! The `hash` that several kinds hold of content that is not logged.

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::digest::decode_hex;
use crate::search::hex;
use crate::{EntryError, Excerpt};

/// A hash as it was given: `{"algorithm": "sha256", "value": "<hex>"}`.
#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    algorithm: Option<String>,
    value: Option<String>,
}

impl Given {
    /// The digest that it says.
    pub(crate) fn digest(&self) -> Result<[u8; 32], EntryError> {
        let algorithm = self.algorithm.as_deref().unwrap_or_default();
        if algorithm != SHA256 {
            return Err(EntryError::UnknownDigestAlgorithm {
                text: Excerpt::new(algorithm),
                expected: SHA256,
            });
        }
        let value = self.value.as_deref().unwrap_or_default();
        let digest = decode_hex(value).and_then(|digest| digest.try_into().ok());
        digest.ok_or_else(|| {
            EntryError::invalid("hash", format!("{value:?} is not 64 hexadecimal digits"))
        })
    }
}

/// The digest of content, with which the one that was given has to agree.
pub(crate) fn of(content: &[u8], given: Option<&Given>) -> Result<[u8; 32], EntryError> {
    let digest: [u8; 32] = Sha256::digest(content).into();
    match given.map(Given::digest).transpose()? {
        Some(given) if given != digest => Err(EntryError::invalid(
            "hash",
            format!("is {}, and the content's is {}", hex(&given), hex(&digest)),
        )),
        _ => Ok(digest),
    }
}

/// As it is logged.
pub(crate) fn to_json(digest: &[u8; 32]) -> Value {
    json!({"algorithm": SHA256, "value": hex(digest)})
}

const SHA256: &str = "sha256";
