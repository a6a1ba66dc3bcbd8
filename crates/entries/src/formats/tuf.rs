//! `tuf`: metadata of The Update Framework, whose key is a root: a document that names keys, and says how many of them sign for each role.
//!
//! Signatures are over OLPC's canonical JSON of `signed`; logged is RFC 8785 of `{"signatures":[{"keyid","sig"}],"signed"}`. When metadata
//! expires is not checked: the log says what was signed, not that it is still good.

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, RsaPssSaltLength, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::value::RawValue;
use x509_cert::der::asn1::{AnyRef, BitStringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Encode, Sequence};

use crate::dsse::AtMost;
use crate::formats::KeyFacts;
use crate::pem;
use crate::two_spellings::{Spelling, members, parse};
use crate::{EntryError, Excerpt, Verifier};

/// A document: what is signed, and signatures over it.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Where it was, for errors.
    field: &'static str,
    /// As it is logged.
    canonical: Vec<u8>,
    /// As it is signed.
    signed: Vec<u8>,
    /// The text of `signed`.
    text: Box<RawValue>,
    signatures: Vec<Signature>,
    head: Head,
}

/// What every role has.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Head {
    #[serde(rename = "_type")]
    pub(crate) role: String,
    pub(crate) version: u64,
    pub(crate) expires: String,
    pub(crate) spec_version: Option<String>,
}

#[derive(Debug)]
struct Signature {
    key_id: String,
    bytes: Vec<u8>,
}

impl Metadata {
    /// Reads a document. Members of other names are passed over, within `signed` they are kept.
    pub(crate) fn parse(field: &'static str, json: &str) -> Result<Self, EntryError> {
        if json.len() > MAX_DOCUMENT {
            return Err(EntryError::limit(field, json.len(), MAX_DOCUMENT));
        }
        let invalid = |reason: String| EntryError::invalid(field, reason);
        let document: Document<'_> = parse(json).map_err(invalid)?;
        let text = document.signed;
        let signed = Spelling::Olpc.write(text).map_err(invalid)?;
        let head: Head = parse(text.get()).map_err(|error| invalid(format!("signed {error}")))?;
        if !ROLES.contains(&head.role.as_str()) {
            return Err(invalid(format!(
                "_type is not one of root, targets, snapshot and timestamp: {}",
                Excerpt::new(&head.role)
            )));
        }
        let mut signatures = Vec::new();
        let mut canonical = b"{\"signatures\":[".to_vec();
        for SignatureMessage { key_id, sig } in document.signatures.0 {
            if !signatures.is_empty() {
                canonical.push(b',');
            }
            let bytes = decode_hex(&sig).ok_or_else(|| {
                invalid(format!("sig is not hexadecimal: {}", Excerpt::new(&sig)))
            })?;
            let stored = serde_json::json!({"keyid": key_id, "sig": sig.to_ascii_lowercase()});
            canonical.extend(crate::kinds::canonical_json(&stored)?);
            signatures.push(Signature { key_id, bytes });
        }
        canonical.extend_from_slice(b"],\"signed\":");
        canonical.extend(Spelling::Rfc8785.write(text).map_err(invalid)?);
        canonical.push(b'}');
        Ok(Self {
            field,
            canonical,
            signed,
            text: text.to_owned(),
            signatures,
            head,
        })
    }

    /// As it is logged.
    pub(crate) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// What every role has.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }
}

/// Metadata that says whose signatures count, signed by itself.
#[derive(Debug)]
pub(crate) struct Root(Metadata);

impl Root {
    /// The root, if enough of the keys that it names for itself signed it.
    pub(crate) fn new(metadata: Metadata) -> Result<Self, EntryError> {
        if metadata.head.role != ROOT {
            return Err(EntryError::invalid(
                metadata.field,
                format!("_type {} is not root", metadata.head.role),
            ));
        }
        let root = Self(metadata);
        root.signers(&root.0)?;
        Ok(root)
    }

    /// The root's own document.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.0
    }

    /// Whose signatures make this metadata good: as many different keys of its role as the root asks for, or more.
    ///
    /// A signature under the id of a key that is not the role's, or of a kind that is not known here, counts for nothing, and neither does an
    /// empty one, which holds a place for one to come; any other has to be good.
    pub(crate) fn signers(&self, metadata: &Metadata) -> Result<Vec<KeyFacts>, EntryError> {
        let role = self.role(&metadata.head.role)?;
        let keys = self.member("keys")?;
        let keys = members(keys).map_err(|error| EntryError::invalid(self.0.field, error))?;
        let mut signers: Vec<KeyFacts> = Vec::new();
        for signature in &metadata.signatures {
            let Signature { key_id, bytes } = signature;
            if bytes.is_empty() || !role.key_ids.0.contains(key_id) {
                continue;
            }
            let found = keys.iter().find(|(id, _)| id == key_id);
            let Some(key) = found.and_then(|(_, json)| Key::parse(json)) else {
                continue;
            };
            if !key.verifies(&metadata.signed, bytes) {
                return Err(EntryError::invalid(
                    metadata.field,
                    format!(
                        "signature does not verify over signed with the root's key {}",
                        Excerpt::new(key_id)
                    ),
                ));
            }
            let facts = key.facts();
            // The same key may come under several ids, and in several spellings.
            if signers
                .iter()
                .all(|signer| signer.fingerprinted != facts.fingerprinted)
            {
                signers.push(facts);
            }
        }
        if (signers.len() as u64) < role.threshold {
            return Err(EntryError::differs(
                metadata.field,
                format!(
                    "is signed by {} of the keys of role {}, expected {} as the root says",
                    signers.len(),
                    metadata.head.role,
                    role.threshold
                ),
            ));
        }
        Ok(signers)
    }

    fn role(&self, name: &str) -> Result<Role, EntryError> {
        let field = self.0.field;
        let roles =
            members(self.member("roles")?).map_err(|error| EntryError::invalid(field, error))?;
        let role = roles.iter().find(|(role, _)| role == name);
        let (_, json) =
            role.ok_or_else(|| EntryError::invalid(field, format!("has no role {name}")))?;
        let role: Role = parse(json.get())
            .map_err(|error| EntryError::invalid(field, format!("role {name}: {error}")))?;
        if role.threshold == 0 {
            return Err(EntryError::invalid(
                field,
                format!("threshold of role {name} is 0, expected at least 1"),
            ));
        }
        Ok(role)
    }

    fn member(&self, name: &'static str) -> Result<&RawValue, EntryError> {
        let field = self.0.field;
        let signed = members(&self.0.text).map_err(|error| EntryError::invalid(field, error))?;
        let found = signed.into_iter().find(|(member, _)| member == name);
        found
            .map(|(_, json)| json)
            .ok_or_else(|| EntryError::invalid(field, format!("signed has no {name}")))
    }
}

/// A key that a root names.
#[derive(Debug)]
struct Key {
    verifier: Verifier,
    scheme: Scheme,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Scheme {
    Ed25519,
    Ecdsa,
    RsaPss,
}

impl Key {
    /// `None` if it is of a kind that is not known here, or malformed: a root may name keys for others.
    fn parse(json: &RawValue) -> Option<Self> {
        let message: KeyMessage = parse(json.get()).ok()?;
        let public = message.value.public;
        let (scheme, der) = match (message.key_type.as_str(), message.scheme.as_str()) {
            ("ed25519", "ed25519") => (
                Scheme::Ed25519,
                [ED25519_SPKI, &decode_hex(&public)?].concat(),
            ),
            (
                "ecdsa" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521",
                "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521",
            ) => match decode_hex(&public) {
                // As go-tuf wrote them until 2022: a point on P-256.
                Some(point) => (Scheme::Ecdsa, [P256_SPKI, &point].concat()),
                None => (Scheme::Ecdsa, only_block(&public)?),
            },
            ("rsa", "rsassa-pss-sha256") => (Scheme::RsaPss, rsa_spki(only_block(&public)?)?),
            _ => return None,
        };
        let verifier = Verifier::from_public_key_der(&der).ok()?;
        Some(Self { verifier, scheme })
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.scheme {
            Scheme::Ed25519 | Scheme::Ecdsa => self.verifier.verifies_message(message, signature),
            // Salt as long as the digest is what securesystemslib writes, the longest what Go does where it is not told.
            Scheme::RsaPss => [RsaPssSaltLength::Digest, RsaPssSaltLength::Max]
                .into_iter()
                .any(|salt| verifies_pss(&self.verifier, salt, message, signature)),
        }
    }

    fn facts(&self) -> KeyFacts {
        let mut facts = KeyFacts::of(&self.verifier);
        if self.scheme == Scheme::RsaPss {
            "RSA-PSS with SHA-256".clone_into(&mut facts.description);
        }
        facts
    }
}

fn verifies_pss(
    verifier: &Verifier,
    salt: RsaPssSaltLength,
    message: &[u8],
    signature: &[u8],
) -> bool {
    static DIGEST: aws_lc_rs::signature::RsaParameters = RSA_PSS_2048_8192_SHA256;
    static MAX: aws_lc_rs::signature::RsaParameters =
        RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
    let algorithm = if salt == RsaPssSaltLength::Max {
        &MAX
    } else {
        &DIGEST
    };
    UnparsedPublicKey::new(algorithm, verifier.public_key().spki_der())
        .verify(message, signature)
        .is_ok()
}

fn only_block(text: &str) -> Option<Vec<u8>> {
    match pem::decode(text).ok()?.as_mut_slice() {
        [block] if block.label.ends_with(pem::PUBLIC_KEY) => Some(std::mem::take(&mut block.der)),
        _ => None,
    }
}

/// The key as a `SubjectPublicKeyInfo`, if it is that or the bare `RSAPublicKey`; the label of its PEM does not tell which.
fn rsa_spki(der: Vec<u8>) -> Option<Vec<u8>> {
    if Verifier::from_public_key_der(&der).is_ok() {
        return Some(der);
    }
    let spki = Spki {
        algorithm: Algorithm {
            oid: RSA,
            parameters: AnyRef::NULL,
        },
        key: BitStringRef::from_bytes(&der).ok()?,
    };
    spki.to_der().ok()
}

#[derive(Sequence)]
struct Spki<'a> {
    algorithm: Algorithm<'a>,
    key: BitStringRef<'a>,
}

#[derive(Sequence)]
struct Algorithm<'a> {
    oid: ObjectIdentifier,
    parameters: AnyRef<'a>,
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    crate::digest::decode_hex(text)
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    signed: &'a RawValue,
    signatures: AtMost<MAX_SIGNATURES, SignatureMessage>,
}

#[derive(Deserialize)]
struct SignatureMessage {
    #[serde(rename = "keyid")]
    key_id: String,
    sig: String,
}

#[derive(Debug, Deserialize)]
struct Role {
    #[serde(rename = "keyids")]
    key_ids: AtMost<MAX_SIGNATURES, String>,
    threshold: u64,
}

#[derive(Deserialize)]
struct KeyMessage {
    #[serde(rename = "keytype")]
    key_type: String,
    scheme: String,
    #[serde(rename = "keyval")]
    value: KeyValue,
}

#[derive(Deserialize)]
struct KeyValue {
    public: String,
}

const ROOT: &str = "root";

/// Those that a root can name. Who signs for a delegated one is said in other metadata, which is not logged with it.
const ROLES: [&str; 4] = [ROOT, "targets", "snapshot", "timestamp"];

/// Indented, and half of it white space, what a body has room for.
const MAX_DOCUMENT: usize = 256 << 10;

/// Signatures of a document, and keys of a role.
const MAX_SIGNATURES: usize = 64;

// What comes before a key's bytes in its SubjectPublicKeyInfo.
const ED25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const P256_SPKI: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
