//! Schemes of signatures: what an algorithm identifier of X.509 or CMS names, and whether a signature by it over a message is a key's.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA1_ASN1, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA1_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use const_oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode, Sequence};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::{KeyDetails, PublicKey};

/// How a signature is made, with the hash of the message.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    /// RSA, PKCS #1 v1.5.
    Pkcs1(Hash),
    /// RSA-PSS, with a salt as long as the hash.
    Pss(Hash),
    /// ECDSA, in ASN.1.
    Ecdsa(Hash),
    /// Ed25519, pure.
    Ed25519,
}

impl Scheme {
    /// What an algorithm identifier names. In CMS, that of the key may stand for a scheme, and the hash is named beside it.
    pub(crate) fn named(
        algorithm: &AlgorithmIdentifierOwned,
        beside: Option<Hash>,
    ) -> Result<Self, String> {
        let beside = || beside.ok_or_else(|| format!("{} names no hash", algorithm.oid));
        Ok(match algorithm.oid {
            RSA => Self::Pkcs1(beside()?),
            SHA1_WITH_RSA => Self::Pkcs1(Hash::Sha1),
            SHA256_WITH_RSA => Self::Pkcs1(Hash::Sha256),
            SHA384_WITH_RSA => Self::Pkcs1(Hash::Sha384),
            SHA512_WITH_RSA => Self::Pkcs1(Hash::Sha512),
            RSA_PSS => Self::Pss(pss_hash(algorithm)?),
            EC => Self::Ecdsa(beside()?),
            ECDSA_WITH_SHA1 => Self::Ecdsa(Hash::Sha1),
            ECDSA_WITH_SHA256 => Self::Ecdsa(Hash::Sha256),
            ECDSA_WITH_SHA384 => Self::Ecdsa(Hash::Sha384),
            ECDSA_WITH_SHA512 => Self::Ecdsa(Hash::Sha512),
            ED25519 => Self::Ed25519,
            DSA | DSA_WITH_SHA1 | DSA_WITH_SHA256 => {
                return Err("DSA is not taken, expected RSA, ECDSA or Ed25519".to_owned());
            }
            other => {
                return Err(format!(
                    "signature algorithm {other} is not one of RSA, ECDSA and Ed25519"
                ));
            }
        })
    }

    /// The hash of the message, if the scheme has a choice of it.
    pub(crate) fn hash(self) -> Option<Hash> {
        match self {
            Self::Pkcs1(hash) | Self::Pss(hash) | Self::Ecdsa(hash) => Some(hash),
            Self::Ed25519 => None,
        }
    }

    /// Whether a signature over a message is this key's. A key of another algorithm has made none.
    pub(crate) fn verifies(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        if self == Self::Ed25519 {
            return key.verifies_pure_ed25519(message, signature);
        }
        self.arithmetic(key.details()).is_some_and(|algorithm| {
            UnparsedPublicKey::new(algorithm, key.spki_der())
                .verify(message, signature)
                .is_ok()
        })
    }

    fn arithmetic(self, key: KeyDetails) -> Option<&'static dyn VerificationAlgorithm> {
        use KeyDetails::{EcdsaP256, EcdsaP384, EcdsaP521, Rsa2048, Rsa3072, Rsa4096};
        Some(match (self, key) {
            (Self::Pkcs1(hash), Rsa2048 | Rsa3072 | Rsa4096) => match hash {
                Hash::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                Hash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
            },
            (Self::Pss(hash), Rsa2048 | Rsa3072 | Rsa4096) => match hash {
                Hash::Sha1 => return None,
                Hash::Sha256 => &RSA_PSS_2048_8192_SHA256,
                Hash::Sha384 => &RSA_PSS_2048_8192_SHA384,
                Hash::Sha512 => &RSA_PSS_2048_8192_SHA512,
            },
            (Self::Ecdsa(hash), EcdsaP256) => match hash {
                Hash::Sha1 => &ECDSA_P256_SHA1_ASN1,
                Hash::Sha256 => &ECDSA_P256_SHA256_ASN1,
                Hash::Sha384 => &ECDSA_P256_SHA384_ASN1,
                Hash::Sha512 => &ECDSA_P256_SHA512_ASN1,
            },
            (Self::Ecdsa(hash), EcdsaP384) => match hash {
                Hash::Sha1 => return None,
                Hash::Sha256 => &ECDSA_P384_SHA256_ASN1,
                Hash::Sha384 => &ECDSA_P384_SHA384_ASN1,
                Hash::Sha512 => &ECDSA_P384_SHA512_ASN1,
            },
            (Self::Ecdsa(hash), EcdsaP521) => match hash {
                Hash::Sha1 => &ECDSA_P521_SHA1_ASN1,
                Hash::Sha256 => &ECDSA_P521_SHA256_ASN1,
                Hash::Sha384 => &ECDSA_P521_SHA384_ASN1,
                Hash::Sha512 => &ECDSA_P521_SHA512_ASN1,
            },
            _ => return None,
        })
    }
}

/// Whether a signature over a message is this key's: with SHA-256, as Rekor has it, or with the hash that the curve has elsewhere.
pub(crate) fn verifies_message(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let schemes: &[Scheme] = match key.details() {
        KeyDetails::Rsa2048 | KeyDetails::Rsa3072 | KeyDetails::Rsa4096 => {
            &[Scheme::Pkcs1(Hash::Sha256)]
        }
        KeyDetails::EcdsaP256 => &[Scheme::Ecdsa(Hash::Sha256)],
        KeyDetails::EcdsaP384 => &[Scheme::Ecdsa(Hash::Sha256), Scheme::Ecdsa(Hash::Sha384)],
        KeyDetails::EcdsaP521 => &[Scheme::Ecdsa(Hash::Sha256), Scheme::Ecdsa(Hash::Sha512)],
        KeyDetails::Ed25519Ph => &[Scheme::Ed25519],
    };
    schemes
        .iter()
        .any(|scheme| scheme.verifies(key, message, signature))
}

/// A hash function of signed things.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Hash {
    /// SHA-1: only where Rekor takes it too.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// What an object identifier names.
    pub(crate) fn named(oid: ObjectIdentifier) -> Result<Self, String> {
        Ok(match oid {
            SHA1 => Self::Sha1,
            SHA256 => Self::Sha256,
            SHA384 => Self::Sha384,
            SHA512 => Self::Sha512,
            other => {
                return Err(format!(
                    "hash {other} is not one of SHA-1, SHA-256, SHA-384 and SHA-512"
                ));
            }
        })
    }

    /// Its name before a digest: `sha256`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm of a digest.
    pub(crate) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    /// The digest of bytes.
    pub(crate) fn of(self, bytes: &[u8]) -> digest::Digest {
        digest::digest(self.algorithm(), bytes)
    }
}

/// RFC 4055, section 3.1.
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_len: Option<u16>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u8>,
}

/// The hash of RSA-PSS, whose mask must be of the same hash, and whose salt must be as long.
fn pss_hash(algorithm: &AlgorithmIdentifierOwned) -> Result<Hash, String> {
    let read = || -> Option<Hash> {
        let parameters = algorithm.parameters.as_ref()?.to_der().ok()?;
        let parameters = PssParameters::from_der(&parameters).ok()?;
        let hash = Hash::named(parameters.hash?.oid).ok()?;
        let mask = parameters.mask?;
        let inner = AlgorithmIdentifierOwned::from_der(&mask.parameters?.to_der().ok()?).ok()?;
        let same = mask.oid == MGF1
            && Hash::named(inner.oid).ok()? == hash
            && usize::from(parameters.salt_len?) == hash.algorithm().output_len()
            && parameters.trailer.unwrap_or(1) == 1;
        same.then_some(hash)
    };
    read().ok_or_else(|| {
        "RSA-PSS has other parameters than one hash, in its mask too, and a salt as long".to_owned()
    })
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA1_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ECDSA_WITH_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
const DSA_WITH_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.3");
const DSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.2");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_signs_with_its_own_hash_and_with_sha_256() {
        for (key, own, sha256) in [
            (
                &include_bytes!("../../tests/data/p384.pub.der")[..],
                &include_bytes!("../../tests/data/p384.sig")[..],
                &include_bytes!("../../tests/data/x509/p384-sha256.sig")[..],
            ),
            (
                include_bytes!("../../tests/data/p521.pub.der"),
                include_bytes!("../../tests/data/p521.sig"),
                include_bytes!("../../tests/data/x509/p521-sha256.sig"),
            ),
        ] {
            let key = PublicKey::from_spki_der(key).unwrap();
            assert!(verifies_message(&key, b"abc", own));
            assert!(verifies_message(&key, b"abc", sha256));
            assert!(!verifies_message(&key, b"abd", sha256));
            assert!(!Scheme::Pkcs1(Hash::Sha256).verifies(&key, b"abc", sha256));
        }
    }

    #[test]
    fn other_algorithms_are_refused() {
        let named = |oid: &str, hash| {
            let oid = ObjectIdentifier::new(oid).unwrap();
            let algorithm = AlgorithmIdentifierOwned {
                oid,
                parameters: None,
            };
            Scheme::named(&algorithm, hash)
        };
        assert_eq!(
            named("1.2.840.10040.4.3", None).unwrap_err(),
            "DSA is not taken, expected RSA, ECDSA or Ed25519"
        );
        assert_eq!(
            named("1.2.3", None).unwrap_err(),
            "signature algorithm 1.2.3 is not one of RSA, ECDSA and Ed25519"
        );
        assert_eq!(
            named("1.2.840.113549.1.1.10", None).unwrap_err(),
            "RSA-PSS has other parameters than one hash, in its mask too, and a salt as long"
        );
        assert_eq!(
            named("1.2.840.113549.1.1.1", None).unwrap_err(),
            "1.2.840.113549.1.1.1 names no hash"
        );
        assert_eq!(
            named("1.2.840.113549.1.1.1", Some(Hash::Sha384)),
            Ok(Scheme::Pkcs1(Hash::Sha384))
        );
        assert_eq!(
            Hash::named(ObjectIdentifier::new("1.2.840.113549.2.5").unwrap()).unwrap_err(),
            "hash 1.2.840.113549.2.5 is not one of SHA-1, SHA-256, SHA-384 and SHA-512"
        );
    }
}
