//! `ssh`: keys of OpenSSH, and SSHSIG.

use crate::EntryError;
use crate::formats::{FormatKey, KeyFacts};

/// A key.
#[derive(Clone, Debug)]
pub(crate) struct SshKey;

impl SshKey {
    pub(crate) fn parse(_bytes: &[u8]) -> Result<Self, EntryError> {
        Err(EntryError::invalid(
            "public key",
            "the format ssh is not taken yet",
        ))
    }
}

impl FormatKey for SshKey {
    fn canonical(&self) -> Vec<u8> {
        Vec::new()
    }

    fn canonical_signature(&self, _signature: &[u8]) -> Result<Vec<u8>, EntryError> {
        Err(EntryError::Missing("signature"))
    }

    fn verify(&self, _message: &[u8], _signature: &[u8]) -> Result<(), EntryError> {
        Err(EntryError::Missing("signature"))
    }

    fn facts(&self) -> KeyFacts {
        KeyFacts::default()
    }
}
