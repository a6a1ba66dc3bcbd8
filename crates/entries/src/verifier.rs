//! What a signature is verified with: a public key, or a certificate that holds one.

use crate::error::PemError;
use crate::formats::scheme;
use crate::pem::{self, Block};
use crate::{Digest, EntryError, Excerpt, KeyDetails, PublicKey, certificate};

/// Whether a verifier was given as a bare key or as a certificate.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum VerifierForm {
    /// A `SubjectPublicKeyInfo`.
    PublicKey,
    /// An X.509 certificate.
    X509Certificate,
}

impl VerifierForm {
    /// The field of a `hashedrekord` 0.0.2 that holds it.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::PublicKey => "publicKey",
            Self::X509Certificate => "x509Certificate",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::PublicKey => pem::PUBLIC_KEY,
            Self::X509Certificate => pem::CERTIFICATE,
        }
    }
}

/// A public key or a certificate, with the bytes that it was given as.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verifier {
    form: VerifierForm,
    der: Box<[u8]>,
    key: PublicKey,
}

impl Verifier {
    /// A public key, as `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    ///
    /// [`EntryError::PublicKey`].
    pub fn from_public_key_der(der: &[u8]) -> Result<Self, EntryError> {
        Ok(Self {
            form: VerifierForm::PublicKey,
            der: der.into(),
            key: PublicKey::from_spki_der(der)?,
        })
    }

    /// A certificate in DER.
    ///
    /// # Errors
    ///
    /// [`EntryError::Certificate`], or [`EntryError::PublicKey`] for the key in it.
    pub fn from_certificate_der(der: &[u8]) -> Result<Self, EntryError> {
        Ok(Self {
            form: VerifierForm::X509Certificate,
            der: der.into(),
            key: certificate::public_key(der)?,
        })
    }

    /// A key or certificate from PEM.
    ///
    /// # Errors
    ///
    /// [`EntryError::Pem`] if there is not exactly one block, of one of the two kinds; else as the other constructors.
    pub fn from_pem(text: &str) -> Result<Self, EntryError> {
        let blocks = pem::decode(text).map_err(EntryError::Pem)?;
        match blocks.as_slice() {
            [block] => Self::from_block(block),
            _ => Err(EntryError::Pem(PemError::Count(blocks.len()))),
        }
    }

    /// A key or certificate from the bytes of a file: PEM, or DER of either.
    ///
    /// # Errors
    ///
    /// As [`Verifier::from_pem`] if the bytes hold a PEM block, else that of the key, else that of the certificate.
    pub fn from_pem_or_der(bytes: &[u8]) -> Result<Self, EntryError> {
        if let Ok(text) = str::from_utf8(bytes)
            && text.contains("-----BEGIN ")
        {
            return Self::from_pem(text);
        }
        match Self::from_certificate_der(bytes) {
            Err(EntryError::Certificate(_)) => Self::from_public_key_der(bytes),
            verdict => verdict,
        }
    }

    /// From one PEM block.
    pub(crate) fn from_block(block: &Block) -> Result<Self, EntryError> {
        match block.label.as_str() {
            pem::PUBLIC_KEY => Self::from_public_key_der(&block.der),
            pem::CERTIFICATE => Self::from_certificate_der(&block.der),
            other => Err(EntryError::Pem(PemError::Label(Excerpt::new(other)))),
        }
    }

    /// From the DER that a field holds.
    pub(crate) fn from_der(form: VerifierForm, der: &[u8]) -> Result<Self, EntryError> {
        match form {
            VerifierForm::PublicKey => Self::from_public_key_der(der),
            VerifierForm::X509Certificate => Self::from_certificate_der(der),
        }
    }

    /// Whether it is a key or a certificate.
    #[must_use]
    pub fn form(&self) -> VerifierForm {
        self.form
    }

    /// The DER that it was given as.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The same in PEM, in the log's spelling.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode(self.form.label(), &self.der)
    }

    /// The key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The key's algorithm.
    #[must_use]
    pub fn key_details(&self) -> KeyDetails {
        self.key.details()
    }

    /// Whether a signature over a whole message is this key's: with SHA-256, or with the hash that the curve has; pure Ed25519, not its
    /// prehashed form.
    pub(crate) fn verifies_message(&self, message: &[u8], signature: &[u8]) -> bool {
        scheme::verifies_message(&self.key, message, signature)
    }

    /// Checks a signature over a digest.
    ///
    /// # Errors
    ///
    /// As [`PublicKey::verify`].
    pub fn verify(&self, digest: &Digest, signature: &[u8]) -> Result<(), EntryError> {
        self.key.verify(digest, signature)
    }
}
