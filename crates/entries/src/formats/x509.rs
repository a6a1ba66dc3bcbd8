//! `x509`: a public key in PEM, a certificate, or a chain of up to ten with the signer's first; signatures are bare bytes: ECDSA in ASN.1,
//! PKCS #1 v1.5, or Ed25519, over the message itself, with SHA-256, as Rekor has it, or with the hash that the curve has elsewhere.

use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::error::PemError;
use crate::formats::{FormatKey, KeyFacts, text};
use crate::pem;
use crate::{EntryError, Verifier, VerifierForm};

/// A key, a certificate or a chain.
#[derive(Clone, Debug)]
pub(crate) struct X509Key {
    /// The signer's first.
    chain: Vec<Verifier>,
}

impl X509Key {
    /// From PEM.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let blocks = pem::decode(text("public key", bytes)?).map_err(EntryError::Pem)?;
        if blocks.len() > MAX_CHAIN {
            return Err(EntryError::limit(
                "chain of certificates",
                blocks.len(),
                MAX_CHAIN,
            ));
        }
        let chain: Vec<_> = blocks
            .iter()
            .map(Verifier::from_block)
            .collect::<Result<_, _>>()?;
        let only_certificates = || {
            chain
                .iter()
                .all(|one| one.form() == VerifierForm::X509Certificate)
        };
        if chain.len() > 1 && !only_certificates() {
            return Err(EntryError::Pem(PemError::Count(chain.len())));
        }
        Ok(Self { chain })
    }
}

impl FormatKey for X509Key {
    fn canonical(&self) -> Vec<u8> {
        let blocks = self.chain.iter().map(Verifier::to_pem);
        blocks.collect::<String>().into_bytes()
    }

    fn canonical_signature(&self, signature: &[u8]) -> Result<Vec<u8>, EntryError> {
        if signature.is_empty() {
            return Err(EntryError::Missing("signature"));
        }
        Ok(signature.to_vec())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), EntryError> {
        let signer = self
            .chain
            .first()
            .ok_or(EntryError::Pem(PemError::Absent))?;
        if signer.verifies_message(message, signature) {
            return Ok(());
        }
        Err(EntryError::NotSigned {
            signature: "the signature",
            signed: "the content",
            key: "the given key",
        })
    }

    fn facts(&self) -> KeyFacts {
        self.chain.first().map(KeyFacts::of).unwrap_or_default()
    }
}

impl KeyFacts {
    /// Of a key or certificate.
    pub(crate) fn of(verifier: &Verifier) -> Self {
        let certificate =
            (verifier.form() == VerifierForm::X509Certificate).then(|| verifier.der().to_vec());
        let names = certificate.as_deref().map(Names::of).unwrap_or_default();
        Self {
            fingerprinted: verifier.public_key().spki_der().to_vec(),
            certificate,
            identities: names.identities,
            issuer: names.issuer,
            description: verifier.key_details().name().to_owned(),
        }
    }
}

/// Whom a certificate names.
#[derive(Debug, Default)]
struct Names {
    identities: Vec<String>,
    issuer: Option<String>,
}

impl Names {
    fn of(der: &[u8]) -> Self {
        let Ok(_certificate) = Certificate::from_der(der) else {
            return Self::default();
        };
        Self::default()
    }
}

/// Rekor v1 takes no longer ones.
const MAX_CHAIN: usize = 10;
