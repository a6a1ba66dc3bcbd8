//! Public keys and what they sign.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use ed25519_dalek::VerifyingKey;
use sha2::digest::consts::U64;
use sha2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};

use crate::der::{Reader, SEQUENCE};
use crate::error::KeyError;
use crate::{Digest, DigestAlgorithm, EntryError, Excerpt, artifact};

/// A key's encoding, algorithm and hash, named as Sigstore's `PublicKeyDetails`: `PKIX_ECDSA_P256_SHA_256`.
///
/// These seven are all that a `hashedrekord` may have. Pure Ed25519, RSA-PSS and other hashes are not among them.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum KeyDetails {
    /// RSA of 2048 bits, PKCS #1 v1.5 with SHA-256.
    Rsa2048,
    /// RSA of 3072 bits, PKCS #1 v1.5 with SHA-256.
    Rsa3072,
    /// RSA of 4096 bits, PKCS #1 v1.5 with SHA-256.
    Rsa4096,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521,
    /// Ed25519ph (RFC 8032), which signs a SHA-512 digest, with an empty context.
    Ed25519Ph,
}

impl KeyDetails {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Ed25519Ph,
    ];

    pub(crate) const NAMES: &'static str = "PKIX_RSA_PKCS1V15_2048_SHA256, PKIX_RSA_PKCS1V15_3072_SHA256, \
        PKIX_RSA_PKCS1V15_4096_SHA256, PKIX_ECDSA_P256_SHA_256, PKIX_ECDSA_P384_SHA_384, PKIX_ECDSA_P521_SHA_512 and PKIX_ED25519_PH";

    /// Its name in Sigstore's protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "PKIX_RSA_PKCS1V15_2048_SHA256",
            Self::Rsa3072 => "PKIX_RSA_PKCS1V15_3072_SHA256",
            Self::Rsa4096 => "PKIX_RSA_PKCS1V15_4096_SHA256",
            Self::EcdsaP256 => "PKIX_ECDSA_P256_SHA_256",
            Self::EcdsaP384 => "PKIX_ECDSA_P384_SHA_384",
            Self::EcdsaP521 => "PKIX_ECDSA_P521_SHA_512",
            Self::Ed25519Ph => "PKIX_ED25519_PH",
        }
    }

    /// Its number in Sigstore's protocol.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Rsa2048 => 9,
            Self::Rsa3072 => 10,
            Self::Rsa4096 => 11,
            Self::EcdsaP256 => 5,
            Self::EcdsaP384 => 12,
            Self::EcdsaP521 => 13,
            Self::Ed25519Ph => 8,
        }
    }

    /// The one with this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|details| details.number() == number)
    }

    /// The hash of the digest that it signs.
    #[must_use]
    pub const fn digest_algorithm(self) -> DigestAlgorithm {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 | Self::EcdsaP256 => {
                DigestAlgorithm::Sha256
            }
            Self::EcdsaP384 => DigestAlgorithm::Sha384,
            Self::EcdsaP521 | Self::Ed25519Ph => DigestAlgorithm::Sha512,
        }
    }
}

impl fmt::Display for KeyDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyDetails {
    type Err = EntryError;

    fn from_str(name: &str) -> Result<Self, EntryError> {
        Self::ALL
            .into_iter()
            .find(|details| details.name() == name)
            .ok_or_else(|| EntryError::UnknownKeyDetails(Excerpt::new(name)))
    }
}

/// A public key that can verify, and its one encoding.
#[derive(Clone, Debug)]
pub struct PublicKey {
    details: KeyDetails,
    spki: Box<[u8]>,
    verifying: Verifying,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` in DER, and refuses every other spelling of the same key: verifiers that rebuild an entry
    /// from the key must arrive at the same bytes.
    ///
    /// # Errors
    ///
    /// [`EntryError::PublicKey`].
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, EntryError> {
        let (details, verifying) = parse(spki).map_err(EntryError::PublicKey)?;
        Ok(Self {
            details,
            spki: spki.into(),
            verifying,
        })
    }

    /// Its algorithm.
    #[must_use]
    pub fn details(&self) -> KeyDetails {
        self.details
    }

    /// Its `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Checks a signature over a digest.
    ///
    /// # Errors
    ///
    /// [`EntryError::DigestMismatch`] if the key signs digests of another algorithm, [`EntryError::Signature`] if the signature is
    /// not this key's over this digest.
    pub fn verify(&self, digest: &Digest, signature: &[u8]) -> Result<(), EntryError> {
        if digest.algorithm() != self.details.digest_algorithm() {
            return Err(EntryError::DigestMismatch {
                found: digest.algorithm(),
                details: self.details,
            });
        }
        let verified = match &self.verifying {
            Verifying::AwsLc(key) => verify_aws_lc(key, digest, signature),
            Verifying::Ed25519(key) => verify_ed25519ph(key, digest, signature),
        };
        verified.ok_or(EntryError::Signature)
    }

    /// Checks a signature over the whole message by an algorithm that need not be the one of its details. `false` if the algorithm is not for
    /// such a key.
    pub(crate) fn verifies_by(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let key = UnparsedPublicKey::new(algorithm, &self.spki);
        key.verify(message, signature).is_ok()
    }

    /// Checks a pure Ed25519 signature over the whole message. `false` for a key of another algorithm.
    pub(crate) fn verifies_pure_ed25519(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifying {
            Verifying::AwsLc(_) => false,
            Verifying::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

impl Eq for PublicKey {}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

#[derive(Clone, Debug)]
enum Verifying {
    AwsLc(ParsedPublicKey),
    Ed25519(Box<VerifyingKey>),
}

fn verify_aws_lc(key: &ParsedPublicKey, digest: &Digest, signature: &[u8]) -> Option<()> {
    let algorithm = artifact::aws_lc_algorithm(digest.algorithm());
    let digest = aws_lc_rs::digest::Digest::import_less_safe(digest.as_bytes(), algorithm).ok()?;
    key.verify_digest_sig(&digest, signature).ok()
}

/// The strict form also refuses an R of small order, which the verifiers of other libraries do not agree on.
fn verify_ed25519ph(key: &VerifyingKey, digest: &Digest, signature: &[u8]) -> Option<()> {
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    let prehashed = Prehashed(digest.as_bytes().try_into().ok()?);
    key.verify_prehashed_strict(prehashed, None, &signature)
        .ok()
}

fn parse(spki: &[u8]) -> Result<(KeyDetails, Verifying), KeyError> {
    let (algorithm, key) = split(spki).ok_or(KeyError::Encoding)?;
    match algorithm {
        RSA => {
            let details = parse_rsa(key)?;
            aws_lc(&RSA_PKCS1_2048_8192_SHA256, key)
                .map(|verifying| (details, verifying))
                .ok_or(KeyError::Encoding)
        }
        EC_P256 => parse_ec(
            KeyDetails::EcdsaP256,
            &ECDSA_P256_SHA256_ASN1,
            65,
            spki,
            key,
        ),
        EC_P384 => parse_ec(
            KeyDetails::EcdsaP384,
            &ECDSA_P384_SHA384_ASN1,
            97,
            spki,
            key,
        ),
        EC_P521 => parse_ec(
            KeyDetails::EcdsaP521,
            &ECDSA_P521_SHA512_ASN1,
            133,
            spki,
            key,
        ),
        ED25519 => parse_ed25519(key)
            .map(|key| (KeyDetails::Ed25519Ph, Verifying::Ed25519(Box::new(key))))
            .ok_or(KeyError::Ed25519),
        _ => Err(KeyError::Algorithm),
    }
}

/// The contents of the algorithm identifier, and the key.
fn split(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Reader::new(spki);
    let mut inner = Reader::new(outer.value(SEQUENCE)?);
    outer.end()?;
    let algorithm = inner.value(SEQUENCE)?;
    let key = inner.octets_in_bit_string()?;
    inner.end()?;
    Some((algorithm, key))
}

fn parse_rsa(key: &[u8]) -> Result<KeyDetails, KeyError> {
    let (modulus, exponent) = split_rsa(key).ok_or(KeyError::Encoding)?;
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros());
    let bits = 8 * modulus.len() - usize::try_from(leading).unwrap_or(0);
    let details = match bits {
        2048 => KeyDetails::Rsa2048,
        3072 => KeyDetails::Rsa3072,
        4096 => KeyDetails::Rsa4096,
        _ => return Err(KeyError::RsaBits(bits)),
    };
    // Go's verifiers keep the exponent in an int32.
    let odd = exponent.last().is_some_and(|byte| byte & 1 == 1);
    let small = exponent.len() < 4 || (exponent.len() == 4 && exponent.first() < Some(&0x80));
    if odd && small && exponent != [1] {
        Ok(details)
    } else {
        Err(KeyError::RsaExponent)
    }
}

fn split_rsa(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Reader::new(key);
    let mut inner = Reader::new(outer.value(SEQUENCE)?);
    outer.end()?;
    let modulus = inner.positive_integer()?;
    let exponent = inner.positive_integer()?;
    inner.end()?;
    Some((modulus, exponent))
}

fn parse_ec(
    details: KeyDetails,
    algorithm: &'static dyn VerificationAlgorithm,
    point_len: usize,
    spki: &[u8],
    point: &[u8],
) -> Result<(KeyDetails, Verifying), KeyError> {
    if point.len() != point_len || point.first() != Some(&UNCOMPRESSED) {
        return Err(KeyError::Point(point_len));
    }
    aws_lc(algorithm, spki)
        .map(|verifying| (details, verifying))
        .ok_or(KeyError::OffCurve)
}

fn aws_lc(algorithm: &'static dyn VerificationAlgorithm, key: &[u8]) -> Option<Verifying> {
    ParsedPublicKey::new(algorithm, key)
        .ok()
        .map(Verifying::AwsLc)
}

fn parse_ed25519(key: &[u8]) -> Option<VerifyingKey> {
    let bytes: &[u8; 32] = key.try_into().ok()?;
    let key = VerifyingKey::from_bytes(bytes).ok()?;
    let canonical = key.to_edwards().compress().to_bytes() == *bytes;
    (canonical && !key.is_weak()).then_some(key)
}

/// A SHA-512 that is already finished: Ed25519ph takes a hasher, and the log has only its digest.
struct Prehashed([u8; 64]);

impl Default for Prehashed {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl HashMarker for Prehashed {}

impl OutputSizeUser for Prehashed {
    type OutputSize = U64;
}

impl Update for Prehashed {
    fn update(&mut self, _: &[u8]) {}
}

impl FixedOutput for Prehashed {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(&self.0);
    }
}

// The contents of AlgorithmIdentifier: an object identifier, and NULL or a named curve where there are parameters.
pub(crate) const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
pub(crate) const EC_P256: &[u8] =
    b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
pub(crate) const EC_P384: &[u8] =
    b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
pub(crate) const EC_P521: &[u8] =
    b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23";
pub(crate) const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

const UNCOMPRESSED: u8 = 0x04;
