//! Whether a number is a key's signature: RSA and ECDSA by AWS-LC, Ed25519 strictly, and DSA, Ed448 and what is rarer by rPGP.

use std::io;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ParsedPublicKey,
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA384,
    VerificationAlgorithm,
};
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Encode, Sequence};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::errors::Result;
use pgp::ser::Serialize;
use pgp::types::{
    EcdsaPublicParams, EddsaLegacyPublicParams, Fingerprint, KeyDetails, KeyId, KeyVersion, Mpi,
    PublicParams, SignatureBytes, Timestamp, VerifyingKey,
};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

/// A key of rPGP, whose signatures are checked here.
#[derive(Debug)]
pub(super) struct Arithmetic<'a, K>(pub(super) &'a K);

impl<K: VerifyingKey> VerifyingKey for Arithmetic<'_, K> {
    fn verify(&self, hash: HashAlgorithm, digest: &[u8], signature: &SignatureBytes) -> Result<()> {
        let params = self.0.public_params();
        match verify(params, hash, digest, signature) {
            Some(true) => Ok(()),
            Some(false) => Err(pgp::errors::Error::Message {
                message: "the signature is another key's".to_owned(),
                backtrace: None,
            }),
            None => self.0.verify(hash, digest, signature),
        }
    }
}

/// `None` if the arithmetic is for rPGP to do.
fn verify(
    params: &PublicParams,
    hash: HashAlgorithm,
    digest: &[u8],
    signature: &SignatureBytes,
) -> Option<bool> {
    match (params, signature) {
        (PublicParams::RSA(_), SignatureBytes::Mpis(numbers)) => {
            let (algorithm, hash): (&dyn VerificationAlgorithm, _) = match hash {
                HashAlgorithm::Sha1 => (
                    &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    &digest::SHA1_FOR_LEGACY_USE_ONLY,
                ),
                HashAlgorithm::Sha256 => (
                    &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                    &digest::SHA256,
                ),
                HashAlgorithm::Sha384 => (&RSA_PKCS1_2048_8192_SHA384, &digest::SHA384),
                HashAlgorithm::Sha512 => (
                    &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
                    &digest::SHA512,
                ),
                _ => return None,
            };
            let [number] = numbers.as_slice() else {
                return Some(false);
            };
            let (modulus, exponent) = rsa(params)?;
            let key = rsa_der(&modulus, &exponent)?;
            let number = padded(number.as_ref(), modulus.as_ref().len())?;
            Some(aws_lc(algorithm, &key, hash, digest, &number))
        }
        (PublicParams::ECDSA(key), SignatureBytes::Mpis(numbers)) => {
            let (_, point) = point(key)?;
            let (algorithm, hash, order): (&dyn VerificationAlgorithm, _, _) = match key {
                EcdsaPublicParams::P256 { .. } => (&ECDSA_P256_SHA256_FIXED, &digest::SHA256, 32),
                EcdsaPublicParams::P384 { .. } => (&ECDSA_P384_SHA384_FIXED, &digest::SHA384, 48),
                EcdsaPublicParams::P521 { .. } => (&ECDSA_P521_SHA512_FIXED, &digest::SHA512, 66),
                _ => return None,
            };
            let [r, s] = numbers.as_slice() else {
                return Some(false);
            };
            let (Some(r), Some(s)) = (padded(r.as_ref(), order), padded(s.as_ref(), order)) else {
                return Some(false);
            };
            // ECDSA takes a digest as a number: of one that is longer than the order the first bits, and zeros before one that is shorter.
            let kept = digest.get(..hash.output_len()).unwrap_or(digest);
            let digest = padded(kept, hash.output_len())?;
            Some(aws_lc(algorithm, &point, hash, &digest, &[r, s].concat()))
        }
        (
            PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { key }),
            SignatureBytes::Mpis(numbers),
        ) => {
            let [r, s] = numbers.as_slice() else {
                return Some(false);
            };
            let (Some(r), Some(s)) = (padded(r.as_ref(), 32), padded(s.as_ref(), 32)) else {
                return Some(false);
            };
            Some(ed25519(key.as_bytes(), digest, &[r, s].concat()))
        }
        (PublicParams::Ed25519(params), SignatureBytes::Native(signature)) => {
            Some(ed25519(params.key.as_bytes(), digest, signature))
        }
        _ => None,
    }
}

fn aws_lc(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    hash: &'static digest::Algorithm,
    digest: &[u8],
    signature: &[u8],
) -> bool {
    let Ok(digest) = digest::Digest::import_less_safe(digest, hash) else {
        return false;
    };
    ParsedPublicKey::new(algorithm, key)
        .is_ok_and(|key| key.verify_digest_sig(&digest, signature).is_ok())
}

/// OpenPGP signs a digest with pure Ed25519.
fn ed25519(key: &[u8; 32], digest: &[u8], signature: &[u8]) -> bool {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key);
    let signature = ed25519_dalek::Signature::from_slice(signature);
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_strict(digest, &signature).is_ok())
}

/// A number with zeros before it. `None` if it is longer.
fn padded(number: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut padded = vec![0; len.checked_sub(number.len())?];
    padded.extend_from_slice(number);
    Some(padded)
}

/// The key as `SubjectPublicKeyInfo` in DER, if it is RSA, ECDSA on a curve of NIST, or Ed25519.
pub(super) fn spki(params: &PublicParams) -> Option<Vec<u8>> {
    match params {
        PublicParams::RSA(_) => {
            let (modulus, exponent) = rsa(params)?;
            let key = rsa_der(&modulus, &exponent)?;
            spki_der(RSA, Some(AnyRef::NULL), &key)
        }
        PublicParams::ECDSA(key) => {
            let (curve, point) = point(key)?;
            spki_der(EC, Some(AnyRef::from(&curve)), &point)
        }
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { key }) => {
            spki_der(ED25519, None, key.as_bytes())
        }
        PublicParams::Ed25519(params) => spki_der(ED25519, None, params.key.as_bytes()),
        _ => None,
    }
}

fn spki_der(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Option<Vec<u8>> {
    let spki = SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid, parameters },
        subject_public_key: BitStringRef::from_bytes(key).ok()?,
    };
    spki.to_der().ok()
}

/// What a key is, for a person: `RSA 3072`.
pub(super) fn description(params: &PublicParams) -> String {
    match params {
        PublicParams::RSA(_) => {
            let bits = rsa(params).map_or(0, |(modulus, _)| {
                let leading = modulus
                    .as_ref()
                    .first()
                    .map_or(0, |byte| byte.leading_zeros());
                modulus.as_ref().len() * 8 - usize::try_from(leading).unwrap_or(0)
            });
            format!("RSA {bits}")
        }
        PublicParams::ECDSA(key) => format!("ECDSA {}", key.curve()),
        PublicParams::DSA(_) => "DSA".to_owned(),
        PublicParams::Ed448(_) => "Ed448".to_owned(),
        PublicParams::EdDSALegacy(_) | PublicParams::Ed25519(_) => "Ed25519".to_owned(),
        _ => "of another algorithm".to_owned(),
    }
}

/// Modulus and exponent.
fn rsa(params: &PublicParams) -> Option<(Mpi, Mpi)> {
    let bytes = params.to_bytes().ok()?;
    let mut rest = bytes.as_slice();
    let modulus = Mpi::try_from_reader(&mut rest).ok()?;
    let exponent = Mpi::try_from_reader(&mut rest).ok()?;
    Some((modulus, exponent))
}

fn rsa_der(modulus: &Mpi, exponent: &Mpi) -> Option<Vec<u8>> {
    let key = RsaPublicKey {
        modulus: UintRef::new(modulus.as_ref()).ok()?,
        exponent: UintRef::new(exponent.as_ref()).ok()?,
    };
    key.to_der().ok()
}

/// The curve, and the point without compression.
fn point(key: &EcdsaPublicParams) -> Option<(ObjectIdentifier, Box<[u8]>)> {
    match key {
        EcdsaPublicParams::P256 { key } => Some((P256, key.to_sec1_bytes())),
        EcdsaPublicParams::P384 { key } => Some((P384, key.to_sec1_bytes())),
        EcdsaPublicParams::P521 { key } => Some((P521, key.to_sec1_bytes())),
        _ => None,
    }
}

/// PKCS #1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

impl<K: KeyDetails> KeyDetails for Arithmetic<'_, K> {
    fn version(&self) -> KeyVersion {
        self.0.version()
    }

    fn legacy_key_id(&self) -> KeyId {
        self.0.legacy_key_id()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    fn algorithm(&self) -> PublicKeyAlgorithm {
        self.0.algorithm()
    }

    fn created_at(&self) -> Timestamp {
        self.0.created_at()
    }

    fn legacy_v3_expiration_days(&self) -> Option<u16> {
        self.0.legacy_v3_expiration_days()
    }

    fn public_params(&self) -> &PublicParams {
        self.0.public_params()
    }
}

impl<K: Serialize> Serialize for Arithmetic<'_, K> {
    fn to_writer<W: io::Write>(&self, writer: &mut W) -> Result<()> {
        self.0.to_writer(writer)
    }

    fn write_len(&self) -> usize {
        self.0.write_len()
    }
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
