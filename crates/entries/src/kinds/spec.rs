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
    if encode(&key.canonical()) != text {
        return Err(EntryError::invalid(
            field,
            "is not the canonical spelling of the key",
        ));
    }
    Ok(key)
}

/// Bytes in a spec.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A digest in a spec: `{"algorithm":"sha256","value":"<64 hexadecimal digits>"}`.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
        let digits = self.value.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits || self.value.len() != SHA256_DIGITS {
            return Err(EntryError::invalid(
                field,
                format!(
                    "value is not {SHA256_DIGITS} hexadecimal digits: {}",
                    Excerpt::new(&self.value)
                ),
            ));
        }
        Ok(())
    }
}

const SHA256: &str = "sha256";
const SHA256_DIGITS: usize = 64;
