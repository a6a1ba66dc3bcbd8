//! What the specs of several kinds have in common.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::digest::decode_hex;
use crate::formats::{Format, FormatKey, MAX_KEY_LEN, parse_key};
use crate::search::hex;
use crate::{EntryError, Excerpt};

/// Reads a logged spec into a type that says which fields it has.
pub(crate) fn read_spec<'a, T: Deserialize<'a>>(spec: &'a Value) -> Result<T, EntryError> {
    T::deserialize(spec).map_err(|error| EntryError::invalid("spec", error.to_string()))
}

/// A logged key, in the one spelling in which it is logged.
pub(crate) fn stored_key(
    field: &'static str,
    text: &str,
) -> Result<Box<dyn FormatKey>, EntryError> {
    let pem = super::base64(field, Some(text), MAX_KEY_LEN)?;
    let key = parse_key(Format::X509, &pem)?;
    if encode(key.canonical()) != text {
        return Err(EntryError::invalid(
            field,
            "is not the canonical spelling of the key",
        ));
    }
    Ok(key)
}

/// Bytes in a spec.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Bytes in a logged spec: `{"content":"<base64>"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    pub(crate) content: String,
}

/// Bytes in a proposed spec.
#[derive(Deserialize)]
pub(crate) struct GivenContent {
    pub(crate) content: Option<String>,
}

/// A digest in a logged spec: `{"algorithm":"sha256","value":"<64 hexadecimal digits>"}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hash {
    pub(crate) algorithm: String,
    pub(crate) value: String,
}

impl Hash {
    /// The SHA-256 of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            algorithm: SHA256.to_owned(),
            value: hex(&Sha256::digest(bytes)),
        }
    }

    /// The SHA-256 of content, with which the one that was given has to agree.
    pub(crate) fn agreed(
        field: &'static str,
        content: &[u8],
        given: Option<GivenHash>,
    ) -> Result<Self, EntryError> {
        let hash = Self::of(content);
        if let Some(given) = given {
            let given = given.hash(field)?.value.to_lowercase();
            if given != hash.value {
                return Err(EntryError::invalid(
                    field,
                    format!("is {given}, and the content's is {}", hash.value),
                ));
            }
        }
        Ok(hash)
    }

    /// Its bytes, if it is well formed.
    pub(crate) fn bytes(&self) -> Option<[u8; 32]> {
        decode_hex(&self.value)?.try_into().ok()
    }

    /// As a log writes it that has computed it: SHA-256, in lower case.
    pub(crate) fn check(&self, field: &'static str) -> Result<(), EntryError> {
        self.check_given(field)?;
        if self.value.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(EntryError::invalid(
                field,
                format!("value is not in lower case: {}", Excerpt::new(&self.value)),
            ));
        }
        Ok(())
    }

    /// As a client may give it: SHA-256, in hexadecimal of either case.
    pub(crate) fn check_given(&self, field: &'static str) -> Result<(), EntryError> {
        if self.algorithm != SHA256 {
            return Err(EntryError::invalid(
                field,
                format!("algorithm is not sha256: {}", Excerpt::new(&self.algorithm)),
            ));
        }
        if self.bytes().is_none() {
            return Err(EntryError::invalid(
                field,
                format!(
                    "value is not 64 hexadecimal digits: {}",
                    Excerpt::new(&self.value)
                ),
            ));
        }
        Ok(())
    }
}

/// A digest in a proposed spec.
#[derive(Deserialize)]
pub(crate) struct GivenHash {
    algorithm: Option<String>,
    value: Option<String>,
}

impl GivenHash {
    /// The digest that it says, which is well formed.
    pub(crate) fn hash(self, field: &'static str) -> Result<Hash, EntryError> {
        let given = |text: Option<String>| {
            text.filter(|text| !text.is_empty())
                .ok_or(EntryError::Missing(field))
        };
        let hash = Hash {
            algorithm: given(self.algorithm)?,
            value: given(self.value)?,
        };
        hash.check_given(field)?;
        Ok(hash)
    }
}

const SHA256: &str = "sha256";
