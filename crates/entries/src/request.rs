//! Rekor v2's `CreateEntryRequest`.

use crate::entry::check_len;
use crate::hashedrekord::{HashedRekord, V002};
use crate::json::{self, Enumerated, List, Text, message};
use crate::{
    Digest, EntryError, Excerpt, KeyDetails, Proposed, Verifier, VerifierForm, canonical, dsse,
};

/// What a log takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// Whether `dsseRequestV002` is taken: an envelope with one signature is then logged as a `hashedrekord` over its
    /// pre-authentication encoding, which today's clients expect, and some still ask for only in this way.
    pub accept_dsse: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { accept_dsse: true }
    }
}

/// Reads a request with the default [`Options`].
///
/// ```json
/// {"hashedRekordRequestV002":{"digest":"<base64>","signature":{"content":"<base64>","verifier":{
///   "publicKey":{"rawBytes":"<base64>"},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}
/// ```
///
/// # Errors
///
/// As [`parse_request_with`].
pub fn parse_request(json: &[u8]) -> Result<Proposed, EntryError> {
    parse_request_with(json, &Options::default())
}

/// Reads a request. The signature is not verified yet.
///
/// # Errors
///
/// What is wrong with the request, in its own words.
pub fn parse_request_with(json: &[u8], options: &Options) -> Result<Proposed, EntryError> {
    if json.trim_ascii().is_empty() {
        return Err(EntryError::InvalidType);
    }
    let request: CreateEntryRequest<'_> = json::from_slice(json)?;
    match (request.hashed_rekord, request.dsse) {
        (Some(hashed_rekord), None) => parse_hashed_rekord(hashed_rekord),
        (None, Some(dsse)) if options.accept_dsse => parse_dsse(dsse),
        (Some(_), Some(_)) => Err(EntryError::Json(Excerpt::new(
            "both hashedRekordRequestV002 and dsseRequestV002 are set, expected one of them",
        ))),
        (None, _) => Err(EntryError::InvalidType),
    }
}

fn parse_hashed_rekord(request: HashedRekordRequest<'_>) -> Result<Proposed, EntryError> {
    let signature = request.signature.ok_or(EntryError::Missing("signature"))?;
    let content = json::bytes("signature.content", signature.content)?;
    let verifier = signature
        .verifier
        .ok_or(EntryError::Missing("signature.verifier"))?;
    let digest = json::bytes("digest", request.digest)?;
    let verifier = UnparsedVerifier::new(verifier)?;
    propose(digest, content, &verifier)
}

fn parse_dsse(request: DsseRequest<'_>) -> Result<Proposed, EntryError> {
    let envelope = request.envelope.ok_or(EntryError::Missing("envelope"))?;
    let signature = envelope
        .signatures
        .ok_or(EntryError::Missing("envelope.signatures"))?
        .only("envelope.signatures")?;
    let content = json::bytes("envelope.signatures[0].sig", signature.sig)?;
    let verifier = request
        .verifiers
        .ok_or(EntryError::Missing("verifiers"))?
        .only("verifiers")?;
    let verifier = UnparsedVerifier::new(verifier)?;
    let payload_type = envelope
        .payload_type
        .filter(|text| !text.0.is_empty())
        .ok_or(EntryError::Missing("envelope.payloadType"))?;
    let payload = json::bytes("envelope.payload", envelope.payload)?;
    let digest = dsse::digest(
        verifier.details.digest_algorithm(),
        &payload_type.0,
        &payload,
    )?;
    propose(digest.as_bytes().to_vec(), content, &verifier)
}

/// The body's length is known before the key is looked at, and what cannot be logged is refused before it costs anything.
fn propose(
    digest: Vec<u8>,
    signature: Vec<u8>,
    verifier: &UnparsedVerifier,
) -> Result<Proposed, EntryError> {
    let UnparsedVerifier { details, form, der } = verifier;
    let body = canonical::v002(*details, &digest, &signature, *form, der);
    check_len(body.len())?;
    let digest = Digest::new(details.digest_algorithm(), digest)?;
    let verifier = Verifier::from_der(*form, der)?;
    check_details(*details, &verifier)?;
    Ok(HashedRekord::new(V002, digest, signature, verifier, body)?.into())
}

/// A verifier that would be logged under a wrong name could not be rebuilt from its key by those who verify.
pub(crate) fn check_details(stated: KeyDetails, verifier: &Verifier) -> Result<(), EntryError> {
    let actual = verifier.key_details();
    if stated == actual {
        Ok(())
    } else {
        Err(EntryError::KeyDetailsMismatch { stated, actual })
    }
}

/// The fields of a verifier, the key still in DER.
pub(crate) struct UnparsedVerifier {
    pub(crate) details: KeyDetails,
    pub(crate) form: VerifierForm,
    pub(crate) der: Vec<u8>,
}

impl UnparsedVerifier {
    pub(crate) fn new(message: VerifierMessage<'_>) -> Result<Self, EntryError> {
        let (form, field, key) = match (message.public_key, message.certificate) {
            (Some(key), None) => (VerifierForm::PublicKey, "verifier.publicKey.rawBytes", key),
            (None, Some(key)) => (
                VerifierForm::X509Certificate,
                "verifier.x509Certificate.rawBytes",
                key,
            ),
            (Some(_), Some(_)) => return Err(EntryError::BothVerifiers),
            (None, None) => {
                return Err(EntryError::Missing(
                    "verifier.publicKey or verifier.x509Certificate",
                ));
            }
        };
        Ok(Self {
            details: key_details(message.key_details)?,
            form,
            der: json::bytes(field, key.raw_bytes)?,
        })
    }
}

fn key_details(value: Option<Enumerated<'_>>) -> Result<KeyDetails, EntryError> {
    match value {
        None | Some(Enumerated::Number(0)) => Err(EntryError::Missing("verifier.keyDetails")),
        Some(Enumerated::Name(name)) => name.parse(),
        Some(Enumerated::Number(number)) => KeyDetails::from_number(number)
            .ok_or_else(|| EntryError::UnknownKeyDetails(Excerpt::new(&number.to_string()))),
    }
}

message!(refuse CreateEntryRequest {
    hashed_rekord: HashedRekordRequest<'a> = "hashedRekordRequestV002" | "hashed_rekord_request_v002",
    dsse: DsseRequest<'a> = "dsseRequestV002" | "dsse_request_v002",
});

message!(refuse HashedRekordRequest {
    digest: Text<'a> = "digest",
    signature: SignatureMessage<'a> = "signature",
});

message!(refuse SignatureMessage {
    content: Text<'a> = "content",
    verifier: VerifierMessage<'a> = "verifier",
});

message!(refuse VerifierMessage {
    public_key: RawBytes<'a> = "publicKey" | "public_key",
    certificate: RawBytes<'a> = "x509Certificate" | "x509_certificate",
    key_details: Enumerated<'a> = "keyDetails" | "key_details",
});

message!(refuse RawBytes {
    raw_bytes: Text<'a> = "rawBytes" | "raw_bytes",
});

message!(refuse DsseRequest {
    envelope: Envelope<'a> = "envelope",
    verifiers: List<VerifierMessage<'a>> = "verifiers",
});

message!(refuse Envelope {
    payload: Text<'a> = "payload",
    payload_type: Text<'a> = "payloadType" | "payload_type",
    signatures: List<EnvelopeSignature<'a>> = "signatures",
});

message!(refuse EnvelopeSignature {
    sig: Text<'a> = "sig",
    _keyid: Text<'a> = "keyid",
});
