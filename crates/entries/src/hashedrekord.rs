//! The one kind of Rekor entry that is kept: a signature over a digest.

use crate::{Digest, EntryError, Verifier};

/// An entry is stored with its length in two bytes.
pub const MAX_BODY_LEN: usize = 65_535;

/// A submitted entry whose parts are well formed and whose body fits, not yet verified.
#[derive(Clone, Debug)]
pub struct Proposed {
    version: &'static str,
    digest: Digest,
    signature: Box<[u8]>,
    verifier: Verifier,
    body: String,
}

impl Proposed {
    /// The body must be the canonical bytes of the other parts.
    pub(crate) fn new(
        version: &'static str,
        digest: Digest,
        signature: Vec<u8>,
        verifier: Verifier,
        body: String,
    ) -> Result<Self, EntryError> {
        check_len(body.len())?;
        Ok(Self {
            version,
            digest,
            signature: signature.into(),
            verifier,
            body,
        })
    }

    /// `hashedrekord`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        KIND
    }

    /// `0.0.1` or `0.0.2`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The digest of the artifact (of the pre-authentication encoding, for a DSSE envelope).
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The signature over the digest.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The key or certificate.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Checks the signature, and gives what is to be logged.
    ///
    /// # Errors
    ///
    /// [`EntryError::Signature`].
    pub fn verify(&self) -> Result<Entry, EntryError> {
        self.check_signature()?;
        Ok(Entry {
            kind: KIND,
            version: self.version,
            body: self.body.clone().into_bytes(),
        })
    }

    pub(crate) fn check_signature(&self) -> Result<(), EntryError> {
        self.verifier.verify(&self.digest, &self.signature)
    }

    pub(crate) fn body(&self) -> &str {
        &self.body
    }
}

/// What is logged. The only ways to one are [`Proposed::verify`] and [`raw_entry`](crate::raw_entry).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    kind: &'static str,
    version: &'static str,
    body: Vec<u8>,
}

impl Entry {
    /// `hashedrekord`, or `raw`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// `0.0.1` or `0.0.2`; empty for `raw`.
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

    pub(crate) fn raw(body: Vec<u8>) -> Result<Self, EntryError> {
        check_len(body.len())?;
        Ok(Self {
            kind: "raw",
            version: "",
            body,
        })
    }
}

pub(crate) fn check_len(len: usize) -> Result<(), EntryError> {
    if len > MAX_BODY_LEN {
        return Err(EntryError::TooLong { len });
    }
    Ok(())
}

pub(crate) const KIND: &str = "hashedrekord";
pub(crate) const V001: &str = "0.0.1";
pub(crate) const V002: &str = "0.0.2";
