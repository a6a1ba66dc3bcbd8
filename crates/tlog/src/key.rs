//! Keys that sign notes: c2sp.org/signed-note, tiles-format.md section 6.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, EncodePrivateKey, KeypairBytes, spki::EncodePublicKey,
};
use ed25519_dalek::{Signer, Verifier};
use p256::pkcs8::{DecodePublicKey, LineEnding};
use sha2::{Digest, Sha256};

/// What a key signs, by its type byte.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum KeyKind {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x02: ECDSA over P-256 and SHA-256 of the note's text.
    EcdsaP256,
    /// 0x04: Ed25519 over a time and the note's text, by a witness.
    CosignatureV1,
}

/// Why a key is not one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty or has a space or a plus in it.
    #[error("{0:?} is not the name of a key, expected one without spaces and plus signs")]
    Name(String),
    /// The text has another form than a key.
    #[error("not a key, expected {0}")]
    Form(&'static str),
    /// The key id in the text is not that of the key.
    #[error("the key id is {found}, that of the key is {computed}")]
    Id {
        /// What the text says.
        found: String,
        /// What it should say.
        computed: String,
    },
    /// The type byte is not known.
    #[error("keys of type {0:#04x} are not supported, expected 0x01, 0x02 or 0x04")]
    Kind(u8),
    /// The bytes are not a key of their type.
    #[error("not a key of its type: {0}")]
    Bytes(String),
}

/// A public key with a name: `<name>+<key id>+<key>`.
#[derive(Clone, Eq, PartialEq)]
pub struct VerifierKey {
    name: String,
    key: PublicKey,
}

#[derive(Clone, Eq, PartialEq)]
enum PublicKey {
    Ed25519(ed25519_dalek::VerifyingKey),
    EcdsaP256 {
        key: p256::ecdsa::VerifyingKey,
        spki: Vec<u8>,
    },
    CosignatureV1(ed25519_dalek::VerifyingKey),
}

impl VerifierKey {
    /// The name; a log's is its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same key under another name.
    ///
    /// # Errors
    ///
    /// [`KeyError::Name`].
    pub fn named(&self, name: &str) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            key: self.key.clone(),
        })
    }

    /// What it signs.
    pub fn kind(&self) -> KeyKind {
        match self.key {
            PublicKey::Ed25519(_) => KeyKind::Ed25519,
            PublicKey::EcdsaP256 { .. } => KeyKind::EcdsaP256,
            PublicKey::CosignatureV1(_) => KeyKind::CosignatureV1,
        }
    }

    /// The first four bytes of [`VerifierKey::full_key_id`], as in a signature line.
    pub fn key_id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.full_key_id();
        [a, b, c, d]
    }

    /// SHA-256 of name, newline, type and key; of an ECDSA key alone, as SPKI. Of a log's first key this is the log id.
    pub fn full_key_id(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        match &self.key {
            PublicKey::EcdsaP256 { spki, .. } => hasher.update(spki),
            PublicKey::Ed25519(key) | PublicKey::CosignatureV1(key) => {
                hasher.update(self.name.as_bytes());
                hasher.update([b'\n', self.type_byte()]);
                hasher.update(key.as_bytes());
            }
        }
        hasher.finalize().into()
    }

    /// A log's key of this name, Ed25519 or ECDSA P-256, from SPKI (RFC 5280), DER.
    ///
    /// # Errors
    ///
    /// [`KeyError::Name`]; [`KeyError::Bytes`] for anything else than such a key in its one spelling.
    pub fn from_spki(name: &str, spki: &[u8]) -> Result<Self, KeyError> {
        check_name(name)?;
        let key = match ed25519_dalek::VerifyingKey::from_public_key_der(spki) {
            Ok(key) => PublicKey::Ed25519(ed25519_key(key.as_bytes())?),
            Err(_other_kind) => ecdsa_key(spki)?,
        };
        let key = Self {
            name: name.to_owned(),
            key,
        };
        if key.to_spki() != spki {
            return Err(KeyError::Bytes(
                "not the one spelling of its SPKI".to_owned(),
            ));
        }
        Ok(key)
    }

    /// The key as SPKI (RFC 5280), DER.
    pub fn to_spki(&self) -> Vec<u8> {
        match &self.key {
            PublicKey::EcdsaP256 { spki, .. } => spki.clone(),
            PublicKey::Ed25519(key) | PublicKey::CosignatureV1(key) => key
                .to_public_key_der()
                .map(|der| der.as_bytes().to_vec())
                .unwrap_or_default(),
        }
    }

    /// The raw key, without its name: 32 bytes of an Ed25519 key, SPKI of an ECDSA key.
    pub(crate) fn key_bytes(&self) -> &[u8] {
        match &self.key {
            PublicKey::EcdsaP256 { spki, .. } => spki,
            PublicKey::Ed25519(key) | PublicKey::CosignatureV1(key) => key.as_bytes(),
        }
    }

    /// Whether the signature is this key's, over the text of a note.
    pub fn verify(&self, text: &str, signature: &[u8]) -> bool {
        match &self.key {
            PublicKey::Ed25519(key) => verify_ed25519(key, text.as_bytes(), signature),
            PublicKey::EcdsaP256 { key, .. } => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(text.as_bytes(), &signature).is_ok()),
            PublicKey::CosignatureV1(key) => {
                let Some((time, signature)) = signature.split_first_chunk::<8>() else {
                    return false;
                };
                let message = cosigned(u64::from_be_bytes(*time), text);
                verify_ed25519(key, message.as_bytes(), signature)
            }
        }
    }

    fn type_byte(&self) -> u8 {
        match self.kind() {
            KeyKind::Ed25519 => ED25519,
            KeyKind::EcdsaP256 => ECDSA_P256,
            KeyKind::CosignatureV1 => COSIGNATURE_V1,
        }
    }
}

/// What a witness signs.
fn cosigned(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

fn verify_ed25519(key: &ed25519_dalek::VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    ed25519_dalek::Signature::from_slice(signature)
        .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.type_byte()];
        key.extend_from_slice(self.key_bytes());
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex(self.key_id()),
            STANDARD.encode(key)
        )
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let form = || KeyError::Form("<name>+<key id>+<key>");
        let (name, rest) = text.split_once('+').ok_or_else(form)?;
        let (id, key) = rest.split_once('+').ok_or_else(form)?;
        check_name(name)?;
        let bytes = STANDARD
            .decode(key)
            .map_err(|error| KeyError::Bytes(error.to_string()))?;
        let (kind, bytes) = bytes.split_first().ok_or_else(form)?;
        let key = match *kind {
            ED25519 => PublicKey::Ed25519(ed25519_key(bytes)?),
            COSIGNATURE_V1 => PublicKey::CosignatureV1(ed25519_key(bytes)?),
            ECDSA_P256 => ecdsa_key(bytes)?,
            other => return Err(KeyError::Kind(other)),
        };
        let key = Self {
            name: name.to_owned(),
            key,
        };
        let computed = hex(key.key_id());
        if id == computed {
            Ok(key)
        } else {
            let found = id.chars().take(100).collect();
            Err(KeyError::Id { found, computed })
        }
    }
}

fn ed25519_key(bytes: &[u8]) -> Result<ed25519_dalek::VerifyingKey, KeyError> {
    let key: &[u8; 32] = bytes
        .try_into()
        .map_err(|_length| KeyError::Bytes(format!("{} bytes, expected 32", bytes.len())))?;
    let parsed = ed25519_dalek::VerifyingKey::from_bytes(key)
        .map_err(|error| KeyError::Bytes(error.to_string()))?;
    if parsed.to_edwards().compress().as_bytes() != key {
        return Err(KeyError::Bytes("not the point's one encoding".to_owned()));
    }
    // Anybody can sign by it.
    if parsed.is_weak() {
        return Err(KeyError::Bytes("a point of small order".to_owned()));
    }
    Ok(parsed)
}

fn ecdsa_key(spki: &[u8]) -> Result<PublicKey, KeyError> {
    let key = p256::ecdsa::VerifyingKey::from_public_key_der(spki)
        .map_err(|error| KeyError::Bytes(error.to_string()))?;
    // A compressed point would be a second spelling of the key, with an id of its own.
    let canonical = key.to_public_key_der();
    if !canonical.is_ok_and(|canonical| canonical.as_bytes() == spki) {
        return Err(KeyError::Bytes(
            "not SPKI with an uncompressed point".to_owned(),
        ));
    }
    Ok(PublicKey::EcdsaP256 {
        key,
        spki: spki.to_vec(),
    })
}

/// A private key of a log. Its `Debug` shows the public key.
#[derive(Clone)]
pub struct SigningKey {
    name: String,
    key: PrivateKey,
}

#[derive(Clone)]
enum PrivateKey {
    Ed25519(ed25519_dalek::SigningKey),
    EcdsaP256(p256::ecdsa::SigningKey),
    CosignatureV1(ed25519_dalek::SigningKey),
}

impl SigningKey {
    /// The Ed25519 key of a log, from its 32 secret bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Name`].
    pub fn ed25519_from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(name, PrivateKey::Ed25519(seed.into()))
    }

    /// The ECDSA P-256 key of a log, from its secret scalar, 32 bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Name`]; [`KeyError::Bytes`] if it is 0 or not below the order of the group.
    pub fn ecdsa_from_scalar(name: &str, scalar: &[u8; 32]) -> Result<Self, KeyError> {
        let key = p256::ecdsa::SigningKey::from_slice(scalar)
            .map_err(|error| KeyError::Bytes(error.to_string()))?;
        Self::new(name, PrivateKey::EcdsaP256(key))
    }

    /// The Ed25519 key of a witness, from its 32 secret bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Name`].
    pub fn witness_from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(name, PrivateKey::CosignatureV1(seed.into()))
    }

    /// A log's key, Ed25519 or ECDSA P-256, from PKCS#8 PEM.
    ///
    /// # Errors
    ///
    /// [`KeyError::Name`]; [`KeyError::Bytes`] for anything else than such a key.
    pub fn from_pkcs8_pem(name: &str, pem: &str) -> Result<Self, KeyError> {
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_pem(pem) {
            return Self::new(name, PrivateKey::Ed25519(key));
        }
        let key = p256::ecdsa::SigningKey::from_pkcs8_pem(pem).map_err(|error| {
            KeyError::Bytes(format!(
                "expected an Ed25519 or ECDSA P-256 key as PKCS#8 PEM: {error}"
            ))
        })?;
        Self::new(name, PrivateKey::EcdsaP256(key))
    }

    /// A log's Ed25519 key from the text form of note signers: `PRIVATE+KEY+<name>+<key id>+<key>`.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn from_note_key(text: &str) -> Result<Self, KeyError> {
        let form = || KeyError::Form("PRIVATE+KEY+<name>+<key id>+<key>");
        let rest = text
            .trim_end()
            .strip_prefix("PRIVATE+KEY+")
            .ok_or_else(form)?;
        let (name, rest) = rest.split_once('+').ok_or_else(form)?;
        let (id, key) = rest.split_once('+').ok_or_else(form)?;
        let bytes = STANDARD
            .decode(key)
            .map_err(|error| KeyError::Bytes(error.to_string()))?;
        let (kind, bytes) = bytes.split_first().ok_or_else(form)?;
        if *kind != ED25519 {
            return Err(KeyError::Kind(*kind));
        }
        let seed: &[u8; 32] = bytes
            .try_into()
            .map_err(|_length| KeyError::Bytes(format!("{} bytes, expected 32", bytes.len())))?;
        let key = Self::ed25519_from_seed(name, seed)?;
        let computed = hex(key.verifier().key_id());
        if id == computed {
            Ok(key)
        } else {
            let found = id.chars().take(100).collect();
            Err(KeyError::Id { found, computed })
        }
    }

    fn new(name: &str, key: PrivateKey) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    /// The key as PKCS#8 PEM (RFC 5958, version 1).
    ///
    /// # Errors
    ///
    /// [`KeyError::Bytes`] if it cannot be encoded.
    pub fn to_pkcs8_pem(&self) -> Result<String, KeyError> {
        let pem = match &self.key {
            PrivateKey::Ed25519(key) | PrivateKey::CosignatureV1(key) => KeypairBytes {
                secret_key: key.to_bytes(),
                // With it the encoding is of version 2, which older OpenSSL does not read.
                public_key: None,
            }
            .to_pkcs8_pem(LineEnding::LF),
            PrivateKey::EcdsaP256(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        let pem = pem.map_err(|error| KeyError::Bytes(error.to_string()))?;
        Ok(pem.as_str().to_owned())
    }

    /// The name; a log's is its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn verifier(&self) -> VerifierKey {
        let key = match &self.key {
            PrivateKey::Ed25519(key) => PublicKey::Ed25519(key.verifying_key()),
            PrivateKey::CosignatureV1(key) => PublicKey::CosignatureV1(key.verifying_key()),
            PrivateKey::EcdsaP256(key) => {
                let key = *key.verifying_key();
                let spki = key.to_public_key_der();
                let spki = spki.map(|der| der.as_bytes().to_vec()).unwrap_or_default();
                PublicKey::EcdsaP256 { key, spki }
            }
        };
        VerifierKey {
            name: self.name.clone(),
            key,
        }
    }

    /// The signature over the text of a note; deterministic. A witness' key takes the time, in seconds since 1970; others ignore it.
    pub fn sign(&self, text: &str, time_s: u64) -> Vec<u8> {
        match &self.key {
            PrivateKey::Ed25519(key) => key.sign(text.as_bytes()).to_bytes().to_vec(),
            PrivateKey::EcdsaP256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(text.as_bytes());
                signature.as_bytes().to_vec()
            }
            PrivateKey::CosignatureV1(key) => {
                let mut signature = time_s.to_be_bytes().to_vec();
                let message = cosigned(time_s, text);
                signature.extend_from_slice(&key.sign(message.as_bytes()).to_bytes());
                signature
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.verifier())
    }
}

/// A name is not empty, and has neither spaces nor plus signs.
/// Stricter than the specification by the control characters: a key's name is shown to people.
fn check_name(name: &str) -> Result<(), KeyError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(bad) {
        return Err(KeyError::Name(name.chars().take(100).collect()));
    }
    Ok(())
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

const ED25519: u8 = 0x01;
const ECDSA_P256: u8 = 0x02;
const COSIGNATURE_V1: u8 = 0x04;
