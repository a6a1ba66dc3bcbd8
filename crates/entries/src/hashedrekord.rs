//! `hashedrekord`: a signature over a digest.

use crate::entry::check_len;
use crate::formats::KeyFacts;
use crate::{Digest, Entry, EntryError, Verifier};

/// A `hashedrekord` whose parts are well formed and whose body fits, not yet verified.
#[derive(Clone, Debug)]
pub struct HashedRekord {
    version: &'static str,
    digest: Digest,
    signature: Box<[u8]>,
    verifier: Verifier,
    body: String,
}

impl HashedRekord {
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
        Ok(Entry::new(
            KIND,
            self.version,
            self.body.clone().into_bytes(),
            vec![KeyFacts::of(&self.verifier)],
            None,
        ))
    }

    pub(crate) fn check_signature(&self) -> Result<(), EntryError> {
        self.verifier.verify(&self.digest, &self.signature)
    }

    pub(crate) fn body(&self) -> &str {
        &self.body
    }
}

pub(crate) const KIND: &str = "hashedrekord";
pub(crate) const V001: &str = "0.0.1";
pub(crate) const V002: &str = "0.0.2";
