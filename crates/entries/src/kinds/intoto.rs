//! `intoto`: a DSSE envelope around an in-toto Statement, of which the digests are logged; the payload is kept beside the log.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::spec::{GivenHash, Hash, encode, read_spec, stored_key};
use super::{Attestation, Facts, Kind, Verified, base64, read_json};
use crate::dsse::{
    AtMost, Envelope, MAX_PAYLOAD, MAX_SIGNATURE, MAX_SIGNATURES, Signature, encoding,
};
use crate::formats::{Format, FormatKey, MAX_KEY_LEN, parse_key};
use crate::json::Text;
use crate::search::SearchKey;
use crate::{EntryError, Excerpt, statement};

/// `intoto` 0.0.1: the envelope as text, and one key, of which there has to be a signature.
///
/// ```json
/// {"content":{"envelope":"<JSON>"},"publicKey":"<base64 of PEM>"}
/// ```
///
/// is logged as
///
/// ```json
/// {"content":{"hash":{"algorithm":"sha256","value":"<of the text>"},"payloadHash":{"algorithm":"sha256","value":"<hex>"}},"publicKey":"<base64 of PEM>"}
/// ```
#[derive(Debug)]
pub(crate) struct V001;

impl Kind for V001 {
    fn name(&self) -> &'static str {
        "intoto"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "IntotoObj"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: Proposed001<'_> = read_json("spec", spec.get())?;
        let text = spec.content.and_then(|content| content.envelope);
        let text = text
            .filter(|text| !text.0.is_empty())
            .ok_or(EntryError::Missing("content.envelope"))?;
        let key = key("publicKey", spec.public_key.as_ref())?;
        let envelope = Envelope::parse(&text.0)?;
        if envelope.payload_type.is_empty() {
            return Err(EntryError::Missing("envelope.payloadType"));
        }
        if envelope.payload.is_empty() {
            return Err(EntryError::Missing("envelope.payload"));
        }
        let signed = envelope.encoding();
        let is_signed = |signature: &Signature| key.verify(&signed, &signature.bytes).is_ok();
        if !envelope.signatures.iter().any(is_signed) {
            return Err(EntryError::NotSigned {
                signature: "envelope.signatures",
                signed: "the payload",
                key: "publicKey",
            });
        }
        let public_key = encode(key.canonical());
        Ok(Verified {
            spec: json!({
                "content": {"hash": Hash::of(text.0.as_bytes()), "payloadHash": Hash::of(&envelope.payload)},
                "publicKey": public_key,
            }),
            signers: vec![key.facts()],
            attestation: Some(kept(envelope.payload)),
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let Stored001 {
            content,
            public_key,
        } = read_spec(spec)?;
        let key = stored_key("publicKey", &public_key)?;
        let mut facts = Facts::signed_by(vec![key.facts()]);
        content.hash.check("content.hash")?;
        // Entries of the first years have none.
        if let Some(payload) = content.payload_hash {
            payload.check("content.payloadHash")?;
            facts.digest("Payload", &payload.algorithm, &payload.value);
            facts.attestation = payload.bytes();
        }
        facts.digest("Envelope", &content.hash.algorithm, &content.hash.value);
        Ok(facts)
    }

    fn attested(&self, attestation: &[u8]) -> Vec<SearchKey> {
        statement::search_keys(attestation)
    }
}

/// `intoto` 0.0.2: the envelope as an object, with the key of each signature beside it. Payload and signatures are base64 twice: of the
/// text that the envelope has, which is base64 itself.
///
/// ```json
/// {"content":{"envelope":{"payload":"<base64 of base64>","payloadType":"application/vnd.in-toto+json",
///   "signatures":[{"keyid":"","publicKey":"<base64 of PEM>","sig":"<base64 of base64>"}]},"hash":{"algorithm":"sha256","value":"<hex>"}}}
/// ```
///
/// is logged without `payload` and an empty `keyid`, and with `payloadHash`, the digest of what was signed. `hash` is logged as it is given:
/// it is the digest of a file that the log does not see (one client hashes the file that it read the envelope from, another its own
/// canonical form of the object above), and only its form is checked.
#[derive(Debug)]
pub(crate) struct V002;

impl Kind for V002 {
    fn name(&self) -> &'static str {
        "intoto"
    }

    fn version(&self) -> &'static str {
        "0.0.2"
    }

    fn object(&self) -> &'static str {
        "IntotoObj"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: Proposed002<'_> = read_json("spec", spec.get())?;
        let content = spec.content.ok_or(EntryError::Missing("content"))?;
        let hash = content.hash.ok_or(EntryError::Missing("content.hash"))?;
        let hash = hash.hash("content.hash")?;
        let envelope = content
            .envelope
            .ok_or(EntryError::Missing("content.envelope"))?;
        let payload_type = owned("content.envelope.payloadType", envelope.payload_type)?;
        let payload = envelope.payload.as_ref().map(|text| &*text.0);
        let payload = twice("content.envelope.payload", payload, MAX_PAYLOAD)?.1;
        let signatures = envelope.signatures.map_or_else(Vec::new, |list| list.0);
        if signatures.is_empty() {
            return Err(EntryError::Missing("content.envelope.signatures"));
        }
        let signed = encoding(&payload_type, &payload);
        let mut signers = Vec::new();
        let mut stored = Vec::new();
        for (at, signature) in signatures.into_iter().enumerate() {
            let signature = signature.verify(at, &signed)?;
            signers.push(signature.key.facts());
            stored.push(signature.stored);
        }
        Ok(Verified {
            spec: json!({"content": {
                "envelope": {"payloadType": payload_type, "signatures": stored},
                "hash": hash,
                "payloadHash": Hash::of(&payload),
            }}),
            signers,
            attestation: Some(kept(payload)),
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let Stored002 { content } = read_spec(spec)?;
        if content.envelope.payload_type.is_empty() {
            return Err(EntryError::Missing("content.envelope.payloadType"));
        }
        if content.envelope.signatures.is_empty() {
            return Err(EntryError::Missing("content.envelope.signatures"));
        }
        let mut signers = Vec::new();
        for signature in &content.envelope.signatures {
            twice(SIG, Some(&signature.sig), MAX_SIGNATURE)?;
            if signature.keyid.as_deref() == Some("") {
                return Err(EntryError::Missing("content.envelope.signatures.keyid"));
            }
            // As it was sent, so in any spelling.
            let pem = base64(PUBLIC_KEY, Some(&signature.public_key), MAX_KEY_LEN)?;
            signers.push(parse_key(Format::X509, &pem)?.facts());
        }
        let mut facts = Facts::signed_by(signers);
        content.payload_hash.check("content.payloadHash")?;
        content.hash.check_given("content.hash")?;
        facts.line(
            "Payload type",
            Excerpt::new(&content.envelope.payload_type).to_string(),
        );
        let payload = content.payload_hash;
        facts.digest("Payload", &payload.algorithm, &payload.value);
        facts.attestation = payload.bytes();
        facts.digest(
            "File, as the client says",
            &content.hash.algorithm,
            &content.hash.value,
        );
        Ok(facts)
    }

    fn attested(&self, attestation: &[u8]) -> Vec<SearchKey> {
        statement::search_keys(attestation)
    }
}

fn kept(payload: Vec<u8>) -> Attestation {
    Attestation {
        sha256: Sha256::digest(&payload).into(),
        bytes: payload,
    }
}

fn owned(field: &'static str, text: Option<Text<'_>>) -> Result<String, EntryError> {
    text.filter(|text| !text.0.is_empty())
        .map(|text| text.0.into_owned())
        .ok_or(EntryError::Missing(field))
}

fn key(field: &'static str, text: Option<&Text<'_>>) -> Result<Box<dyn FormatKey>, EntryError> {
    let pem = base64(field, text.map(|text| &*text.0), MAX_KEY_LEN)?;
    parse_key(Format::X509, &pem)
}

/// The text that base64 holds, and what that holds, being base64 itself.
fn twice(
    field: &'static str,
    text: Option<&str>,
    limit: usize,
) -> Result<(Vec<u8>, Vec<u8>), EntryError> {
    let outer = base64(field, text, limit / 3 * 4 + 4)?;
    let inner = str::from_utf8(&outer).map_err(|_not_text| {
        EntryError::invalid(field, "is base64 once, expected base64 of base64")
    })?;
    let inner = base64(field, Some(inner), limit)?;
    Ok((outer, inner))
}

#[derive(Deserialize)]
struct Proposed001<'a> {
    #[serde(borrow)]
    content: Option<Content001<'a>>,
    #[serde(borrow, rename = "publicKey")]
    public_key: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Content001<'a> {
    #[serde(borrow)]
    envelope: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored001 {
    content: StoredContent001,
    #[serde(rename = "publicKey")]
    public_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredContent001 {
    hash: Hash,
    #[serde(rename = "payloadHash")]
    payload_hash: Option<Hash>,
}

#[derive(Deserialize)]
struct Proposed002<'a> {
    #[serde(borrow)]
    content: Option<Content002<'a>>,
}

#[derive(Deserialize)]
struct Content002<'a> {
    #[serde(borrow)]
    envelope: Option<Envelope002<'a>>,
    hash: Option<GivenHash>,
}

#[derive(Deserialize)]
struct Envelope002<'a> {
    #[serde(borrow)]
    payload: Option<Text<'a>>,
    #[serde(borrow, rename = "payloadType")]
    payload_type: Option<Text<'a>>,
    #[serde(borrow)]
    signatures: Option<AtMost<MAX_SIGNATURES, Signature002<'a>>>,
}

#[derive(Deserialize)]
struct Signature002<'a> {
    #[serde(borrow)]
    keyid: Option<Text<'a>>,
    #[serde(borrow)]
    sig: Option<Text<'a>>,
    #[serde(borrow, rename = "publicKey")]
    public_key: Option<Text<'a>>,
}

struct Verified002 {
    key: Box<dyn FormatKey>,
    stored: StoredSignature,
}

impl Signature002<'_> {
    /// A signature has to be of the key beside it, not just of some key of the envelope: the log says whose it is.
    fn verify(self, at: usize, signed: &[u8]) -> Result<Verified002, EntryError> {
        let (sig, bytes) = twice(SIG, self.sig.as_ref().map(|text| &*text.0), MAX_SIGNATURE)?;
        let pem = self.public_key.as_ref().map(|text| &*text.0);
        let pem = base64(PUBLIC_KEY, pem, MAX_KEY_LEN)?;
        let key = parse_key(Format::X509, &pem)?;
        if key.verify(signed, &bytes).is_err() {
            return Err(EntryError::invalid(
                "content.envelope.signatures",
                format!(
                    "signature {at} does not verify over the payload with the publicKey beside it"
                ),
            ));
        }
        let keyid = self.keyid.map(|text| text.0.into_owned());
        Ok(Verified002 {
            key,
            stored: StoredSignature {
                keyid: keyid.filter(|id| !id.is_empty()),
                public_key: encode(&pem),
                sig: encode(&sig),
            },
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored002 {
    content: StoredContent002,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredContent002 {
    envelope: StoredEnvelope,
    hash: Hash,
    #[serde(rename = "payloadHash")]
    payload_hash: Hash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEnvelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<StoredSignature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredSignature {
    #[serde(skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    #[serde(rename = "publicKey")]
    public_key: String,
    sig: String,
}

const SIG: &str = "content.envelope.signatures.sig";
const PUBLIC_KEY: &str = "content.envelope.signatures.publicKey";
