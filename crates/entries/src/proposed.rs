//! Rekor v1's `ProposedEntry`.

use crate::digest::decode_hex;
use serde_json::value::RawValue;

use crate::entry::check_len;
use crate::hashedrekord::{HashedRekord, KIND, V001};
use crate::json::{self, Text, message};
use crate::{Digest, DigestAlgorithm, EntryError, Excerpt, Proposed, Verifier, canonical, kinds};

/// Reads a proposed entry. The signature is not verified yet.
///
/// ```json
/// {"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"<hex>"}},
///   "signature":{"content":"<base64>","publicKey":{"content":"<base64 of PEM>"}}}}
/// ```
///
/// Fields with other names are passed over, as Rekor v1 does. Of a `hashedrekord` a chain of certificates is refused: nothing here could say
/// what the certificates after the first are worth. The spec of any other kind is looked into by [`Proposed::verify`].
///
/// # Errors
///
/// What is wrong with it, in its own words.
pub fn parse_proposed_v1(json: &[u8]) -> Result<Proposed, EntryError> {
    let entry: AnyEntry<'_> = json::from_slice(json)?;
    let text = |text: &Option<Text<'_>>| text.as_ref().map_or("", |text| &text.0).to_owned();
    if !is(&entry.kind, KIND) {
        let kind = kinds::find(&text(&entry.kind), &text(&entry.api_version))?;
        let spec = entry.spec.ok_or(EntryError::Missing("spec"))?;
        return Ok(Proposed::other(kind, spec));
    }
    let entry: ProposedEntry<'_> = json::from_slice(json)?;
    if !is(&entry.api_version, V001) {
        return Err(EntryError::Kind {
            kind: Excerpt::new(&text(&entry.kind)),
            version: Excerpt::new(&text(&entry.api_version)),
            expected: "hashedrekord 0.0.1",
        });
    }
    let spec = entry.spec.ok_or(EntryError::Missing("spec"))?;
    let Parts {
        algorithm,
        value,
        digest,
        signature,
        pem,
    } = Parts::new(spec.data, spec.signature)?;
    // The canonical PEM is at most a little longer than any PEM of the same key.
    check_len(signature.len().saturating_add(pem.len()))?;
    let verifier = Verifier::from_pem(&pem)?;
    let body = canonical::v001(algorithm, &value, &signature, &verifier.to_pem());
    check_digest(&digest, &verifier)?;
    Ok(HashedRekord::new(V001, digest, signature, verifier, body)?.into())
}

/// The fields of a 0.0.1 spec.
pub(crate) struct Parts {
    pub(crate) algorithm: DigestAlgorithm,
    /// The digest in hexadecimal, in the spelling that was given, which is the one that is logged.
    pub(crate) value: String,
    pub(crate) digest: Digest,
    pub(crate) signature: Vec<u8>,
    pub(crate) pem: String,
}

impl Parts {
    pub(crate) fn new(
        data: Option<Data<'_>>,
        signature: Option<Signature<'_>>,
    ) -> Result<Self, EntryError> {
        let signature = signature.ok_or(EntryError::Missing("spec.signature"))?;
        let content = json::bytes("spec.signature.content", signature.content)?;
        let key = signature
            .public_key
            .ok_or(EntryError::Missing("spec.signature.publicKey"))?;
        let pem = json::bytes("spec.signature.publicKey.content", key.content)?;
        let pem =
            String::from_utf8(pem).map_err(|_not_text| EntryError::Pem(crate::PemError::Absent))?;
        let hash = data
            .ok_or(EntryError::Missing("spec.data"))?
            .hash
            .ok_or(EntryError::Missing("spec.data.hash"))?;
        let algorithm = hash
            .algorithm
            .ok_or(EntryError::Missing("spec.data.hash.algorithm"))?;
        let algorithm = DigestAlgorithm::from_v1_name(&algorithm.0)?;
        let value = hash
            .value
            .ok_or(EntryError::Missing("spec.data.hash.value"))?
            .0
            .into_owned();
        let digest = decode_hex(&value).ok_or_else(|| EntryError::Hex {
            field: "spec.data.hash.value",
            text: Excerpt::new(&value),
        })?;
        Ok(Self {
            algorithm,
            digest: Digest::new(algorithm, digest)?,
            value,
            signature: content,
            pem,
        })
    }
}

/// The key decides the hash; the request can only agree.
pub(crate) fn check_digest(digest: &Digest, verifier: &Verifier) -> Result<(), EntryError> {
    let details = verifier.key_details();
    if digest.algorithm() == details.digest_algorithm() {
        Ok(())
    } else {
        Err(EntryError::DigestMismatch {
            found: digest.algorithm(),
            details,
        })
    }
}

pub(crate) fn is(text: &Option<Text<'_>>, expected: &str) -> bool {
    text.as_ref().is_some_and(|text| text.0 == expected)
}

message!(ignore AnyEntry {
    api_version: Text<'a> = "apiVersion",
    kind: Text<'a> = "kind",
    spec: &'a RawValue = "spec",
});

message!(ignore ProposedEntry {
    api_version: Text<'a> = "apiVersion",
    kind: Text<'a> = "kind",
    spec: Spec<'a> = "spec",
});

message!(ignore Spec {
    data: Data<'a> = "data",
    signature: Signature<'a> = "signature",
});

message!(ignore Data {
    hash: HashMessage<'a> = "hash",
});

message!(ignore HashMessage {
    algorithm: Text<'a> = "algorithm",
    value: Text<'a> = "value",
});

message!(ignore Signature {
    content: Text<'a> = "content",
    public_key: Key<'a> = "publicKey",
});

message!(ignore Key {
    content: Text<'a> = "content",
});
