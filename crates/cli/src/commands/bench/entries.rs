//! Entries that no other run has.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tegula_entries::{DigestAlgorithm, Hasher, Verifier, hashedrekord_request, parse_request};

use crate::env::random;
use crate::exit::CliError;

/// Makes entries by number; the same number gives the same leaf.
pub(crate) struct Maker {
    run: [u8; 32],
    size: usize,
    signer: Option<Signer>,
}

struct Signer {
    key: EcdsaKeyPair,
    verifier: Verifier,
}

/// An entry and how it is asked for.
pub(crate) struct Made {
    /// The request of Rekor v2; none for a raw entry.
    pub(crate) request: Option<String>,
    /// The leaf.
    pub(crate) body: Bytes,
}

impl Maker {
    pub(crate) fn new(raw: bool, size: u64) -> Result<Self, CliError> {
        let signer = if raw { None } else { Some(Signer::new()?) };
        Ok(Self {
            run: random()?,
            size: usize::try_from(size).unwrap_or(usize::MAX),
            signer,
        })
    }

    /// The number itself, or, in so many of a hundred cases, an earlier one.
    pub(crate) fn maybe_again(&self, number: u64, percent: u64) -> u64 {
        let drawn = self
            .hash(number)
            .first_chunk()
            .map_or(0, |chunk| u64::from_be_bytes(*chunk));
        // Signatures differ each time that they are made, so only raw entries can be made again.
        if self.signer.is_none() && number > 0 && drawn % 100 < percent {
            drawn / 100 % number
        } else {
            number
        }
    }

    pub(crate) fn entry(&self, number: u64) -> Result<Made, CliError> {
        match &self.signer {
            None => Ok(Made {
                request: None,
                body: self.raw(number),
            }),
            Some(signer) => signer.sign(&self.hash(number)),
        }
    }

    pub(crate) fn raw(&self, number: u64) -> Bytes {
        let mut entry = self.hash(number).repeat(self.size / 32 + 1);
        entry.truncate(self.size);
        entry.into()
    }

    fn hash(&self, number: u64) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.run);
        hasher.update(number.to_be_bytes());
        hasher.finalize().into()
    }
}

impl Signer {
    fn new() -> Result<Self, CliError> {
        let failed =
            |error: aws_lc_rs::error::Unspecified| CliError::io(format!("no key: {error}"));
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(failed)?;
        let verifier = Verifier::from_public_key_der(spki.as_ref())?;
        Ok(Self { key, verifier })
    }

    fn sign(&self, artifact: &[u8]) -> Result<Made, CliError> {
        let signature = self.key.sign(&SystemRandom::new(), artifact);
        let signature = signature.map_err(|error| CliError::io(format!("signing: {error}")))?;
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        hasher.update(artifact);
        let digest = hasher.finish()?;
        let request = hashedrekord_request(&digest, signature.as_ref(), &self.verifier)?;
        let body = parse_request(request.as_bytes())?.verify()?.into_body();
        Ok(Made {
            request: Some(request),
            body: body.into(),
        })
    }
}
