//! What a submitter has, made into what Rekor v1 is asked: files into a proposed entry, of the kind that they look like.

use std::fmt::Write as _;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::dsse::Envelope;
use crate::formats::{Format, parse_key};
use crate::json::message;
use crate::{EntryError, Excerpt};

/// The files of an entry, as their bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Files {
    /// What was signed, or what holds its own signature: a package, an archive, an envelope, a message, a response.
    pub artifact: Vec<u8>,
    /// A signature that stands beside it.
    pub signature: Option<Vec<u8>>,
    /// Keys or certificates; for TUF the root.
    pub public_keys: Vec<Vec<u8>>,
    /// What a COSE message signs beside its payload.
    pub aad: Option<Vec<u8>>,
}

impl Files {
    /// The kind of entry that they look like, if it is not to be told from `hashedrekord`: by what they begin with.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        let artifact = self.artifact.as_slice();
        let alone = self.signature.is_none();
        if artifact.starts_with(&[0xed, 0xab, 0xee, 0xdb]) && alone {
            return Some("rpm");
        }
        if alone && is_apk(artifact) {
            return Some("alpine");
        }
        if artifact.starts_with(b"PK\x03\x04") && alone && self.public_keys.is_empty() {
            return Some("jar");
        }
        if artifact.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----") && alone {
            return Some("helm");
        }
        if alone && let Ok(document) = serde_json::from_slice::<Document<'_>>(artifact) {
            match document {
                Document {
                    payload: Some(_),
                    payload_type: Some(_),
                    signatures: Some(_),
                    ..
                } => return Some("intoto"),
                Document {
                    signed: Some(_),
                    signatures: Some(_),
                    ..
                } => return Some("tuf"),
                Document { .. } => {}
            }
        }
        if alone
            && !self.public_keys.is_empty()
            && matches!(artifact, [0xd2, 0x84, ..] | [0x84, ..])
        {
            return Some("cose");
        }
        if alone && self.public_keys.is_empty() && matches!(artifact, [0x30, 0x80..=0xff, ..]) {
            return Some("rfc3161");
        }
        let format = self.format();
        format
            .filter(|format| *format != Format::X509)
            .map(|_| "rekord")
    }

    /// The format of their key, or else of their signature, by what it begins with.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        let texts = self.public_keys.iter().chain(&self.signature);
        texts.map(Vec::as_slice).find_map(format)
    }

    /// A proposed entry of Rekor v1 with these files, in JSON. It is not verified: that is what [`parse_proposed_v1`](crate::parse_proposed_v1) and
    /// [`Proposed::verify`](crate::Proposed::verify) do.
    ///
    /// `version` is the newest unless it is given, `format` that of the key.
    ///
    /// # Errors
    ///
    /// What is missing for this kind, or too much.
    pub fn compose(
        &self,
        kind: &str,
        version: Option<&str>,
        format: Option<Format>,
    ) -> Result<String, EntryError> {
        let artifact = || STANDARD.encode(&self.artifact);
        let (newest, spec) = match kind {
            "rekord" => {
                let format = format.or_else(|| self.format()).ok_or_else(|| {
                    EntryError::invalid(
                        "public key",
                        "its format is not to be told from its beginning",
                    )
                })?;
                let signature = json!({
                    "format": format.name(),
                    "content": STANDARD.encode(self.signature()?),
                    "publicKey": {"content": STANDARD.encode(self.key()?)},
                });
                (
                    "0.0.1",
                    json!({"signature": signature, "data": {"content": artifact()}}),
                )
            }
            "intoto" if version == Some("0.0.1") => {
                let spec = json!({"content": {"envelope": self.text()?}, "publicKey": STANDARD.encode(self.key()?)});
                ("0.0.1", spec)
            }
            "intoto" => ("0.0.2", self.intoto()?),
            "dsse" => {
                let verifiers: Vec<_> = self
                    .keys()?
                    .iter()
                    .map(|key| STANDARD.encode(key))
                    .collect();
                let content = json!({"envelope": self.text()?, "verifiers": verifiers});
                ("0.0.1", json!({"proposedContent": content}))
            }
            "cose" => {
                let data = self
                    .aad
                    .as_ref()
                    .map_or_else(|| json!({}), |aad| json!({"aad": STANDARD.encode(aad)}));
                let spec = json!({"message": artifact(), "publicKey": STANDARD.encode(self.key()?), "data": data});
                ("0.0.1", spec)
            }
            "rpm" | "alpine" => {
                let spec = json!({
                    "publicKey": {"content": STANDARD.encode(self.key()?)},
                    "package": {"content": artifact()},
                });
                ("0.0.1", spec)
            }
            "jar" => ("0.0.1", json!({"archive": {"content": artifact()}})),
            "helm" => {
                let spec = json!({
                    "publicKey": {"content": STANDARD.encode(self.key()?)},
                    "chart": {"provenance": {"content": artifact()}},
                });
                ("0.0.1", spec)
            }
            "tuf" => {
                let spec = json!({
                    "metadata": {"content": artifact()},
                    "root": {"content": STANDARD.encode(self.key()?)},
                });
                ("0.0.1", spec)
            }
            "rfc3161" => ("0.0.1", json!({"tsr": {"content": artifact()}})),
            other => {
                return Err(EntryError::Kind {
                    kind: Excerpt::new(other),
                    version: Excerpt::new(version.unwrap_or("")),
                    expected: KINDS,
                });
            }
        };
        self.check_signature(kind)?;
        let version = version.unwrap_or(newest);
        Ok(json!({"apiVersion": version, "kind": kind, "spec": spec}).to_string())
    }

    /// The envelope with the key of each signature beside it.
    fn intoto(&self) -> Result<Value, EntryError> {
        let text = self.text()?;
        let envelope = Envelope::parse(text)?;
        let given: Value = serde_json::from_str(text)
            .map_err(|error| EntryError::invalid("envelope", error.to_string()))?;
        let signed = envelope.encoding();
        let mut keys = Vec::new();
        for bytes in self.keys()? {
            keys.push((parse_key(Format::X509, bytes)?, bytes));
        }
        let mut signatures = Vec::new();
        let texts = given
            .get("signatures")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for (signature, text) in envelope.signatures.iter().zip(&texts) {
            let own = keys
                .iter()
                .find(|(key, _)| key.verify(&signed, &signature.bytes).is_ok());
            let (_, key) = own.ok_or(EntryError::NotSigned {
                signature: "a signature of the envelope",
                signed: "the payload",
                key: "any of the given keys",
            })?;
            let own = |name: &str| text.get(name).and_then(Value::as_str).unwrap_or_default();
            let mut object =
                json!({"sig": STANDARD.encode(own("sig")), "publicKey": STANDARD.encode(key)});
            if let (Some(fields), keyid) = (object.as_object_mut(), own("keyid"))
                && !keyid.is_empty()
            {
                fields.insert("keyid".to_owned(), keyid.into());
            }
            signatures.push(object);
        }
        let payload = given
            .get("payload")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let envelope = json!({
            "payload": STANDARD.encode(payload),
            "payloadType": given.get("payloadType"),
            "signatures": signatures,
        });
        let mut hash = String::new();
        for byte in Sha256::digest(&self.artifact) {
            // Writing to a string cannot fail.
            let _always = write!(hash, "{byte:02x}");
        }
        let hash = json!({"algorithm": "sha256", "value": hash});
        Ok(json!({"content": {"envelope": envelope, "hash": hash}}))
    }

    fn text(&self) -> Result<&str, EntryError> {
        crate::formats::text("envelope", &self.artifact)
    }

    fn signature(&self) -> Result<&[u8], EntryError> {
        self.signature
            .as_deref()
            .ok_or(EntryError::Missing("signature"))
    }

    /// A signature that nobody looks at would be thought to be verified.
    fn check_signature(&self, kind: &str) -> Result<(), EntryError> {
        if kind != "rekord" && self.signature.is_some() {
            let reason =
                format!("an entry of kind {kind} has it in the artifact, expected none beside");
            return Err(EntryError::invalid("signature", reason));
        }
        if matches!(kind, "jar" | "rfc3161") && !self.public_keys.is_empty() {
            let reason =
                format!("an entry of kind {kind} has it in the artifact, expected none beside");
            return Err(EntryError::invalid("public key", reason));
        }
        if kind != "cose" && self.aad.is_some() {
            return Err(EntryError::invalid(
                "aad",
                "only an entry of kind cose has it",
            ));
        }
        Ok(())
    }

    fn keys(&self) -> Result<&[Vec<u8>], EntryError> {
        if self.public_keys.is_empty() {
            return Err(EntryError::Missing("public key"));
        }
        Ok(&self.public_keys)
    }

    fn key(&self) -> Result<&[u8], EntryError> {
        match self.keys()? {
            [key] => Ok(key),
            keys => Err(EntryError::Count {
                field: "public key",
                count: keys.len(),
            }),
        }
    }
}

message!(ignore Document {
    payload: IgnoredAny = "payload",
    payload_type: IgnoredAny = "payloadType",
    signatures: IgnoredAny = "signatures",
    signed: IgnoredAny = "signed",
});

fn format(bytes: &[u8]) -> Option<Format> {
    // What a block is of may stand after a comment.
    let begin = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
    let text = String::from_utf8_lossy(begin);
    let text = text.trim_start();
    if text.starts_with("untrusted comment:") {
        return Some(Format::Minisign);
    }
    if ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
        .iter()
        .any(|name| text.starts_with(name))
        || text.contains("-----BEGIN SSH SIGNATURE-----")
    {
        return Some(Format::Ssh);
    }
    if text.contains("-----BEGIN PGP ") {
        return Some(Format::Pgp);
    }
    if text.contains("-----BEGIN ") {
        return Some(Format::X509);
    }
    // A packet with a public key or a signature, of the old form or the new one (RFC 9580, section 4.2).
    matches!(bytes, [0x88..=0x8b | 0x98..=0x9b | 0xc2 | 0xc6, _, _, ..]).then_some(Format::Pgp)
}

/// Whether the first file of the first archive is a signature of Alpine's.
fn is_apk(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return false;
    }
    let mut name = [0; 6];
    GzDecoder::new(bytes).read_exact(&mut name).is_ok() && name == *b".SIGN."
}

const KINDS: &str =
    "hashedrekord, rekord, intoto, dsse, cose, rpm, alpine, jar, helm, tuf or rfc3161";
