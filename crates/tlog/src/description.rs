//! `log.json`: tiles-format.md, section 8.

use serde::{Deserialize, Serialize};

/// What a log says about itself: a hint to begin with, never a source of trust.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogDescription {
    /// The version of `tiles-format.md` that it follows.
    pub format: u32,
    /// The origin line of its checkpoints.
    pub origin: String,
    /// Its verifier keys, the Ed25519 key first.
    pub keys: Vec<String>,
    /// The version of slots that writers write.
    pub slot_format: u8,
    /// Kinds of entries that are accepted, as `<kind>/<version>`, or `raw`.
    pub entries: Vec<String>,
    /// Write interfaces: `rekor/v1`, `rekor/v2`, `add`.
    pub apis: Vec<String>,
    /// What one upload may hold.
    pub limits: Limits,
}

/// What one upload may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of an entry.
    pub entry_bytes: u64,
    /// Entries in a batch.
    pub batch_entries: u64,
    /// Bytes of a batch.
    pub batch_bytes: u64,
    /// Bytes of an attestation that is kept beside the log; where it is not there, none are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation_bytes: Option<u64>,
}

/// Why bytes are not a description.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// They are not JSON, or a field is missing or of another type.
    #[error("not the description of a log: {0}")]
    Json(#[from] serde_json::Error),
    /// The log is of another time.
    #[error("the log follows version {0} of the format, expected {FORMAT}")]
    Format(u32),
}

impl LogDescription {
    /// The version of `tiles-format.md` that this code follows.
    pub const FORMAT: u32 = FORMAT;

    /// Parses a description. Fields that are not known are ignored.
    ///
    /// # Errors
    ///
    /// [`DescriptionError`].
    pub fn parse(json: &[u8]) -> Result<Self, DescriptionError> {
        let description: Self = serde_json::from_slice(json)?;
        if description.format == FORMAT {
            Ok(description)
        } else {
            Err(DescriptionError::Format(description.format))
        }
    }

    /// The file's bytes: indented, with a newline at the end.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }
}

const FORMAT: u32 = 1;
