//! Entries on their way into the log: proposed, and verified.

use serde_json::value::RawValue;

use crate::EntryError;
use crate::formats::KeyFacts;
use crate::hashedrekord::HashedRekord;
use crate::kinds::{self, Attestation, Kind};

/// An entry is stored with its length in two bytes.
pub const MAX_BODY_LEN: usize = 65_535;

/// A submitted entry, not yet verified.
#[derive(Clone, Debug)]
pub struct Proposed(Inner);

#[derive(Clone, Debug)]
enum Inner {
    HashedRekord(Box<HashedRekord>),
    Other {
        kind: &'static dyn Kind,
        spec: Box<RawValue>,
    },
}

impl Proposed {
    pub(crate) fn other(kind: &'static dyn Kind, spec: &RawValue) -> Self {
        Self(Inner::Other {
            kind,
            spec: spec.to_owned(),
        })
    }

    /// Its kind: `hashedrekord`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            Inner::HashedRekord(entry) => entry.kind(),
            Inner::Other { kind, .. } => kind.name(),
        }
    }

    /// The version of the kind: `0.0.2`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        match &self.0 {
            Inner::HashedRekord(entry) => entry.version(),
            Inner::Other { kind, .. } => kind.version(),
        }
    }

    /// The parts of a `hashedrekord`.
    #[must_use]
    pub fn as_hashedrekord(&self) -> Option<&HashedRekord> {
        match &self.0 {
            Inner::HashedRekord(entry) => Some(entry),
            Inner::Other { .. } => None,
        }
    }

    /// Checks its signatures, and gives what is to be logged.
    ///
    /// # Errors
    ///
    /// [`EntryError`] says what is wrong with it.
    pub fn verify(&self) -> Result<Entry, EntryError> {
        match &self.0 {
            Inner::HashedRekord(entry) => entry.verify(),
            Inner::Other { kind, spec } => {
                let verified = kind.propose(spec)?;
                let body = kinds::body(*kind, &verified.spec)?;
                Ok(Entry::new(
                    kind.name(),
                    kind.version(),
                    body,
                    verified.signers,
                    verified.attestation,
                ))
            }
        }
    }
}

impl From<HashedRekord> for Proposed {
    fn from(entry: HashedRekord) -> Self {
        Self(Inner::HashedRekord(Box::new(entry)))
    }
}

/// What is logged. The only ways to one are [`Proposed::verify`] and [`raw_entry`](crate::raw_entry).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    kind: &'static str,
    version: &'static str,
    body: Vec<u8>,
    signers: Vec<KeyFacts>,
    attestation: Option<Attestation>,
}

impl Entry {
    pub(crate) fn new(
        kind: &'static str,
        version: &'static str,
        body: Vec<u8>,
        signers: Vec<KeyFacts>,
        attestation: Option<Attestation>,
    ) -> Self {
        Self {
            kind,
            version,
            body,
            signers,
            attestation,
        }
    }

    /// Its kind: `hashedrekord`, or `raw`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The version of the kind: `0.0.2`; empty for `raw`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The leaf's bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The leaf's bytes.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Whose signatures were verified.
    #[must_use]
    pub fn signers(&self) -> &[KeyFacts] {
        &self.signers
    }

    /// What may be kept beside the log.
    #[must_use]
    pub fn attestation(&self) -> Option<&Attestation> {
        self.attestation.as_ref()
    }

    pub(crate) fn raw(body: Vec<u8>) -> Result<Self, EntryError> {
        check_len(body.len())?;
        Ok(Self::new("raw", "", body, Vec::new(), None))
    }
}

pub(crate) fn check_len(len: usize) -> Result<(), EntryError> {
    if len > MAX_BODY_LEN {
        return Err(EntryError::TooLong { len });
    }
    Ok(())
}
