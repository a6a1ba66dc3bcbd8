//! `dsse`: an envelope, of which the signatures are logged, each with its key, and the digests of envelope and payload.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::spec::{Hash, encode, read_spec, stored_key};
use super::{Facts, Kind, Verified, base64, read_json};
use crate::dsse::{AtMost, Envelope, MAX_SIGNATURE, MAX_SIGNATURES};
use crate::formats::{Format, FormatKey, MAX_KEY_LEN, parse_key};
use crate::json::Text;
use crate::search::SearchKey;
use crate::{EntryError, Excerpt, statement};

/// `dsse` 0.0.1: the envelope as text, and keys.
///
/// ```json
/// {"proposedContent":{"envelope":"<JSON>","verifiers":["<base64 of PEM>"]}}
/// ```
///
/// is logged as
///
/// ```json
/// {"envelopeHash":{"algorithm":"sha256","value":"<of the text>"},"payloadHash":{"algorithm":"sha256","value":"<hex>"},
///   "signatures":[{"signature":"<as in the envelope>","verifier":"<base64 of PEM>"}]}
/// ```
///
/// with the signatures in the order of their text. Each key in turn takes the first signature that is its, until all are taken; a key that
/// finds none, and a signature that no key takes, is an error.
#[derive(Debug)]
pub(crate) struct V001;

impl Kind for V001 {
    fn name(&self) -> &'static str {
        "dsse"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "DSSEObj"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: Proposed<'_> = read_json("spec", spec.get())?;
        let content = spec.content.ok_or(EntryError::Missing("proposedContent"))?;
        if spec.envelope_hash.is_some() || spec.payload_hash.is_some() || spec.signatures.is_some()
        {
            return Err(EntryError::invalid(
                "spec",
                "has proposedContent and what the log computes from it, expected proposedContent alone",
            ));
        }
        let text = content
            .envelope
            .filter(|text| !text.0.is_empty())
            .ok_or(EntryError::Missing("proposedContent.envelope"))?;
        let keys = content.verifiers.map_or_else(Vec::new, |list| list.0);
        if keys.is_empty() {
            return Err(EntryError::Missing("proposedContent.verifiers"));
        }
        let envelope = Envelope::parse(&text.0)?;
        let signatures = match_keys(&envelope, &keys)?;
        let stored: Vec<_> = signatures
            .iter()
            .map(|Taken { text, key }| StoredSignature {
                signature: (*text).to_owned(),
                verifier: encode(key.canonical()),
            })
            .collect();
        Ok(Verified {
            spec: json!({
                "envelopeHash": Hash::of(text.0.as_bytes()),
                "payloadHash": Hash::of(&envelope.payload),
                "signatures": stored,
            }),
            signers: signatures.iter().map(|taken| taken.key.facts()).collect(),
            attestation: None,
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let spec: Stored = read_spec(spec)?;
        if spec.signatures.is_empty() {
            return Err(EntryError::Missing("signatures"));
        }
        let mut signers = Vec::new();
        for signature in &spec.signatures {
            base64("signature", Some(&signature.signature), MAX_SIGNATURE)?;
            signers.push(stored_key("verifier", &signature.verifier)?.facts());
        }
        if !spec
            .signatures
            .is_sorted_by(|a, b| a.signature < b.signature)
        {
            return Err(EntryError::invalid(
                "signatures",
                "are not in the order of their text, each once",
            ));
        }
        let mut facts = Facts::signed_by(signers);
        spec.payload_hash.check("payloadHash")?;
        spec.envelope_hash.check("envelopeHash")?;
        facts.digest(
            "Payload",
            &spec.payload_hash.algorithm,
            &spec.payload_hash.value,
        );
        facts.digest(
            "Envelope",
            &spec.envelope_hash.algorithm,
            &spec.envelope_hash.value,
        );
        Ok(facts)
    }

    /// The log keeps no payload of it; one who has it can search by what it is about all the same.
    fn attested(&self, attestation: &[u8]) -> Vec<SearchKey> {
        statement::search_keys(attestation)
    }
}

/// A signature, and the key that took it.
struct Taken<'e> {
    text: &'e str,
    key: Box<dyn FormatKey>,
}

/// The signatures in the order of their text, each with the last key that took it.
fn match_keys<'e>(envelope: &'e Envelope, keys: &[Text<'_>]) -> Result<Vec<Taken<'e>>, EntryError> {
    let signed = envelope.encoding();
    let mut texts: Vec<&str> = Vec::new();
    for signature in &envelope.signatures {
        if !texts.contains(&signature.text.as_str()) {
            texts.push(&signature.text);
        }
    }
    let mut taken: Vec<Taken<'_>> = Vec::new();
    for (at, pem) in keys.iter().enumerate() {
        if taken.len() == texts.len() {
            break;
        }
        let pem = base64("proposedContent.verifiers", Some(&pem.0), MAX_KEY_LEN)?;
        let key = parse_key(Format::X509, &pem)?;
        let mut signatures = envelope.signatures.iter();
        let signature = signatures
            .find(|signature| key.verify(&signed, &signature.bytes).is_ok())
            .ok_or_else(|| {
                EntryError::differs(
                    "proposedContent.verifiers",
                    format!(
                        "no signature of the envelope verifies over the payload with verifier {at}"
                    ),
                )
            })?;
        taken.retain(|other| other.text != signature.text);
        taken.push(Taken {
            text: &signature.text,
            key,
        });
    }
    if let Some(text) = texts
        .iter()
        .find(|text| taken.iter().all(|taken| taken.text != **text))
    {
        return Err(EntryError::invalid(
            "envelope.signatures",
            format!("no verifier takes signature {}", Excerpt::new(text)),
        ));
    }
    taken.sort_by_key(|taken| taken.text);
    Ok(taken)
}

#[derive(Deserialize)]
struct Proposed<'a> {
    #[serde(borrow, rename = "proposedContent")]
    content: Option<Content<'a>>,
    #[serde(borrow, rename = "envelopeHash")]
    envelope_hash: Option<&'a RawValue>,
    #[serde(borrow, rename = "payloadHash")]
    payload_hash: Option<&'a RawValue>,
    #[serde(borrow)]
    signatures: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    envelope: Option<Text<'a>>,
    #[serde(borrow)]
    verifiers: Option<AtMost<MAX_SIGNATURES, Text<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(rename = "envelopeHash")]
    envelope_hash: Hash,
    #[serde(rename = "payloadHash")]
    payload_hash: Hash,
    signatures: Vec<StoredSignature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredSignature {
    signature: String,
    verifier: String,
}
