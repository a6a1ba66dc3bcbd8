//! What a submitter sends.

use crate::entry::check_len;
use crate::{Digest, DigestAlgorithm, EntryError, Hasher, Verifier, canonical};

/// Rekor v2's request for an entry, once its signature has been verified.
///
/// # Errors
///
/// As [`Verifier::verify`], and [`EntryError::TooLong`]: a log would refuse it too.
pub fn hashedrekord_request(
    digest: &Digest,
    signature: &[u8],
    verifier: &Verifier,
) -> Result<String, EntryError> {
    verifier.verify(digest, signature)?;
    let (details, form, der) = (verifier.key_details(), verifier.form(), verifier.der());
    check_len(canonical::v002(details, digest.as_bytes(), signature, form, der).len())?;
    Ok(canonical::request_v002(
        details, digest, signature, form, der,
    ))
}

/// Rekor v1's proposed entry, once its signature has been verified. It is spelled like the body that it becomes.
///
/// # Errors
///
/// As [`hashedrekord_request`].
pub fn hashedrekord_proposed_v1(
    digest: &Digest,
    signature: &[u8],
    verifier: &Verifier,
) -> Result<String, EntryError> {
    verifier.verify(digest, signature)?;
    let (hash, pem) = (digest.to_hex(), verifier.to_pem());
    let body = canonical::v001(digest.algorithm(), &hash, signature, &pem);
    check_len(body.len())?;
    Ok(body)
}

/// The two signatures that an Ed25519 key can make over an artifact. They are equally long, and look alike.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Ed25519Form {
    /// Ed25519ph, over the artifact's SHA-512: what a `hashedrekord` holds.
    Prehashed,
    /// Pure Ed25519, over the artifact itself, which a log that sees only a digest cannot check.
    Pure,
}

/// Which Ed25519 signature this is; `None` if the key is of another algorithm, or the signature is neither.
///
/// Common tools make only pure ones, so a submitter whose signature was refused wants to know.
#[must_use]
pub fn ed25519_form(verifier: &Verifier, artifact: &[u8], signature: &[u8]) -> Option<Ed25519Form> {
    let key = verifier.public_key();
    if key.verifies_pure_ed25519(artifact, signature) {
        return Some(Ed25519Form::Pure);
    }
    let mut hasher = Hasher::new(DigestAlgorithm::Sha512);
    hasher.update(artifact);
    let digest = hasher.finish().ok()?;
    let prehashed = verifier.key_details() == crate::KeyDetails::Ed25519Ph
        && key.verify(&digest, signature).is_ok();
    prehashed.then_some(Ed25519Form::Prehashed)
}
