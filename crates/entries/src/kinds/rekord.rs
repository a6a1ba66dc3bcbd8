//! `rekord`: a signature of any of four formats over content that is not logged.
//!
//! ```json
//! {"apiVersion":"0.0.1","kind":"rekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"<hex>"}},
//!   "signature":{"content":"<base64>","format":"minisign","publicKey":{"content":"<base64>"}}}}
//! ```

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::formats::{self, Format, FormatKey, MAX_KEY_LEN};
use crate::kinds::spec::{GivenContent, GivenHash, Hash, encode, read_spec};
use crate::kinds::{self, Facts, Kind, Verified};
use crate::{EntryError, MAX_BODY_LEN};

/// `rekord` 0.0.1.
#[derive(Debug)]
pub(crate) struct Rekord;

impl Kind for Rekord {
    fn name(&self) -> &'static str {
        "rekord"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "RekordObj"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: Spec = kinds::read_json("spec", spec.get())?;
        let Parts {
            format,
            key,
            signature,
            data,
        } = Parts::new(spec)?;
        let content = kinds::base64("spec.data.content", data.content.as_deref(), MAX_CONTENT)?;
        let digest = Hash::agreed(HASH, &content, data.hash)?;
        key.verify(&content, &signature)?;
        Ok(Verified {
            spec: to_json(
                format,
                &key.canonical(),
                &key.canonical_signature(&signature)?,
                &digest,
            ),
            signers: vec![key.facts()],
            attestation: None,
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let Parts {
            format,
            key,
            signature,
            data,
        } = Parts::new(read_spec(spec)?)?;
        let digest = data.hash.ok_or(EntryError::Missing(HASH))?.hash(HASH)?;
        digest.check(HASH)?;
        let written = to_json(
            format,
            &key.canonical(),
            &key.canonical_signature(&signature)?,
            &digest,
        );
        if written != *spec {
            return Err(EntryError::invalid(
                "spec",
                "is not as a log writes it of this key, signature and hash",
            ));
        }
        let mut facts = Facts::signed_by(vec![key.facts()]);
        facts.digest("Artifact", &digest.algorithm, &digest.value);
        facts.line("Format", format.name());
        Ok(facts)
    }
}

fn to_json(format: Format, key: &[u8], signature: &[u8], digest: &Hash) -> Value {
    json!({
        "data": {"hash": digest},
        "signature": {
            "content": encode(signature),
            "format": format.name(),
            "publicKey": {"content": encode(key)},
        },
    })
}

/// What a proposed and a logged spec have.
struct Parts {
    format: Format,
    key: Box<dyn FormatKey>,
    signature: Vec<u8>,
    data: Data,
}

impl Parts {
    fn new(spec: Spec) -> Result<Self, EntryError> {
        let signature = spec
            .signature
            .ok_or(EntryError::Missing("spec.signature"))?;
        let format = signature
            .format
            .ok_or(EntryError::Missing("spec.signature.format"))?;
        let format = format.parse()?;
        let key = signature
            .public_key
            .ok_or(EntryError::Missing("spec.signature.publicKey"))?;
        let key = kinds::base64(
            "spec.signature.publicKey.content",
            key.content.as_deref(),
            MAX_KEY_LEN,
        )?;
        Ok(Self {
            format,
            key: formats::parse_key(format, &key)?,
            signature: kinds::base64(
                "spec.signature.content",
                signature.content.as_deref(),
                MAX_BODY_LEN,
            )?,
            data: spec.data.ok_or(EntryError::Missing("spec.data"))?,
        })
    }
}

#[derive(Deserialize)]
struct Spec {
    signature: Option<Signature>,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    format: Option<String>,
    content: Option<String>,
    public_key: Option<GivenContent>,
}

#[derive(Deserialize)]
struct Data {
    hash: Option<GivenHash>,
    content: Option<String>,
}

const HASH: &str = "spec.data.hash";

/// A request has no more.
const MAX_CONTENT: usize = 4 << 20;
