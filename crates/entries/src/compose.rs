//! What a submitter has, made into what Rekor v1 is asked: files into a proposed entry, of the kind that they look like.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::GzDecoder;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::dsse::Envelope;
use crate::formats::{Format, parse_key};
use crate::json::message;
use crate::kinds::spec::{Hash, encode};
use crate::{EntryError, Excerpt, Verifier};

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
        // A signature of x509 is bytes that may begin as anything: where there are keys it says nothing.
        match self.public_keys.as_slice() {
            [] => self.signature.as_deref().and_then(format),
            keys => keys.iter().find_map(|key| format(key)),
        }
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
        check_format(kind, format)?;
        let artifact = || encode(&self.artifact);
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
                    "content": encode(self.signature()?),
                    "publicKey": {"content": encode(pem(self.key()?))},
                });
                (
                    "0.0.1",
                    json!({"signature": signature, "data": {"content": artifact()}}),
                )
            }
            "intoto" if version == Some("0.0.1") => {
                let spec = json!({"content": {"envelope": self.text()?}, "publicKey": encode(pem(self.key()?))});
                ("0.0.1", spec)
            }
            "intoto" => ("0.0.2", self.intoto()?),
            "dsse" => {
                let verifiers: Vec<_> = self.keys()?.iter().map(|key| encode(pem(key))).collect();
                let content = json!({"envelope": self.text()?, "verifiers": verifiers});
                ("0.0.1", json!({"proposedContent": content}))
            }
            "cose" => {
                let data = self
                    .aad
                    .as_ref()
                    .map_or_else(|| json!({}), |aad| json!({"aad": encode(aad)}));
                let spec = json!({"message": artifact(), "publicKey": encode(pem(self.key()?)), "data": data});
                ("0.0.1", spec)
            }
            "rpm" | "alpine" => {
                let spec = json!({
                    "publicKey": {"content": encode(pem(self.key()?))},
                    "package": {"content": artifact()},
                });
                ("0.0.1", spec)
            }
            "jar" => ("0.0.1", json!({"archive": {"content": artifact()}})),
            "helm" => {
                let spec = json!({
                    "publicKey": {"content": encode(self.key()?)},
                    "chart": {"provenance": {"content": artifact()}},
                });
                ("0.0.1", spec)
            }
            "tuf" => {
                let spec = json!({
                    "metadata": {"content": artifact()},
                    "root": {"content": encode(self.key()?)},
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
            let pem = pem(bytes);
            keys.push((parse_key(Format::X509, &pem)?, pem));
        }
        let mut used = vec![false; keys.len()];
        let mut signatures = Vec::new();
        let texts = given
            .get("signatures")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for (signature, text) in envelope.signatures.iter().zip(&texts) {
            let own = keys
                .iter()
                .zip(&mut used)
                .find(|((key, _), _)| key.verify(&signed, &signature.bytes).is_ok());
            let ((_, key), used) = own.ok_or(EntryError::NotSigned {
                signature: "a signature of the envelope",
                signed: "the payload",
                key: "any of the given keys",
            })?;
            *used = true;
            let own = |name: &str| text.get(name).and_then(Value::as_str).unwrap_or_default();
            let mut object = json!({"sig": encode(own("sig")), "publicKey": encode(key)});
            if let (Some(fields), keyid) = (object.as_object_mut(), own("keyid"))
                && !keyid.is_empty()
            {
                fields.insert("keyid".to_owned(), keyid.into());
            }
            signatures.push(object);
        }
        if let Some(unused) = used.iter().position(|used| !used) {
            let reason = format!("number {} made no signature of the envelope", unused + 1);
            return Err(EntryError::differs("public key", reason));
        }
        let payload = given
            .get("payload")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let envelope = json!({
            "payload": encode(payload),
            "payloadType": given.get("payloadType"),
            "signatures": signatures,
        });
        let hash = Hash::of(&self.artifact);
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

/// Rekor has PEM, and people have DER too.
fn pem(key: &[u8]) -> Cow<'_, [u8]> {
    if !is_der(key) {
        return Cow::Borrowed(key);
    }
    match Verifier::from_pem_or_der(key) {
        Ok(verifier) => Cow::Owned(verifier.to_pem().into_bytes()),
        // What is wrong with it is said by who reads it.
        Err(_refused) => Cow::Borrowed(key),
    }
}

/// Of keys and signatures: no text of theirs begins so.
fn is_der(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x30])
}

/// A format that nobody looks at would be thought to be the one that was verified.
fn check_format(kind: &str, format: Option<Format>) -> Result<(), EntryError> {
    let own = match kind {
        "rpm" | "helm" => Some(Format::Pgp),
        "intoto" | "dsse" | "cose" | "alpine" => Some(Format::X509),
        "jar" | "rfc3161" => Some(Format::Pkcs7),
        "tuf" => Some(Format::Tuf),
        _ => None,
    };
    match (format, own) {
        (Some(format), Some(own)) if format != own => {
            let reason = format!("an entry of kind {kind} has {own}, not {format}");
            Err(EntryError::invalid("format", reason))
        }
        _ => Ok(()),
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
    if text.contains("-----BEGIN ") || is_der(bytes) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_proposed_v1;

    macro_rules! data {
        ($name:literal) => {
            include_bytes!(concat!("../tests/data/", $name)).to_vec()
        };
    }

    fn files(artifact: Vec<u8>, keys: Vec<Vec<u8>>) -> Files {
        Files {
            artifact,
            public_keys: keys,
            ..Files::default()
        }
    }

    fn body(files: &Files, kind: &str) -> Result<Vec<u8>, EntryError> {
        let proposed = files.compose(kind, None, None)?;
        let entry = parse_proposed_v1(proposed.as_bytes())?.verify()?;
        Ok(entry.into_body())
    }

    /// The bytes of a signature are as good as random.
    #[test]
    fn a_signature_that_begins_as_openpgp_does_not_say_what_its_key_is() {
        let signature = vec![0x88, 0, 0, 0];
        for key in [data!("rsa2048.pub.der"), data!("rsa2048.pub.pem")] {
            let files = Files {
                signature: Some(signature.clone()),
                ..files(data!("artifact"), vec![key])
            };
            assert_eq!((files.format(), files.kind()), (Some(Format::X509), None));
        }
        let alone = Files {
            signature: Some(signature),
            ..Files::default()
        };
        assert_eq!(alone.format(), Some(Format::Pgp));
    }

    #[test]
    fn keys_in_der_are_as_good_as_in_pem() {
        for (kind, artifact) in [
            ("cose", data!("cose/p256.cose")),
            ("intoto", data!("dsse/p256.json")),
            ("dsse", data!("dsse/p256.json")),
        ] {
            let pem = files(artifact.clone(), vec![data!("p256.pub.pem")]);
            let der = files(artifact, vec![data!("p256.pub.der")]);
            assert_eq!(body(&der, kind), body(&pem, kind));
            assert!(body(&der, kind).is_ok());
        }
    }

    #[test]
    fn a_key_that_signed_nothing_is_refused() {
        let keys = vec![data!("p256.pub.pem"), data!("p384.pub.pem")];
        let files = files(data!("dsse/p256.json"), keys);
        assert_eq!(
            body(&files, "intoto").unwrap_err().to_string(),
            "public key: number 2 made no signature of the envelope"
        );
    }

    #[test]
    fn a_format_is_that_of_the_kind() {
        let files = files(data!("cose/p256.cose"), vec![data!("p256.pub.pem")]);
        assert!(files.compose("cose", None, Some(Format::X509)).is_ok());
        let refused = |kind, format| files.compose(kind, None, Some(format)).unwrap_err();
        assert_eq!(
            refused("cose", Format::Pgp).to_string(),
            "format: an entry of kind cose has x509, not pgp"
        );
        assert_eq!(
            refused("tuf", Format::X509).to_string(),
            "format: an entry of kind tuf has tuf, not x509"
        );
        assert_eq!(
            refused("jar", Format::Tuf).to_string(),
            "format: an entry of kind jar has pkcs7, not tuf"
        );
        assert!(matches!(
            refused("docker", Format::Pgp),
            EntryError::Kind { .. }
        ));
    }
}
