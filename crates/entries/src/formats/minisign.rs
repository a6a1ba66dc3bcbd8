//! `minisign`: minisign and signify. Both sign with Ed25519: the message itself (`Ed`), or its BLAKE2b-512 (`ED`).
//!
//! ```text
//! untrusted comment: minisign public key F9B5…
//! RWQ…
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest as _};

use crate::error::KeyError;
use crate::formats::{FormatKey, KeyFacts, text};
use crate::key::ED25519;
use crate::{EntryError, PublicKey, json, spki};

/// A key, and the number that its signatures name it by.
#[derive(Clone, Debug)]
pub(crate) struct MinisignKey {
    /// All zero for a key that was given without one.
    id: [u8; 8],
    bytes: [u8; 32],
    key: PublicKey,
}

impl MinisignKey {
    /// From the two lines of a file, the second of them alone, or the 32 bytes of the key, which is how Rekor logged them once.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if let Ok(raw) = bytes.try_into() {
            return Self::new([0; 8], raw);
        }
        let text = text("public key", bytes)?;
        let second = text.split_once('\n').map_or("", |(_, second)| second);
        let Some((algorithm, id, bytes)) = [second, text].into_iter().find_map(split) else {
            return Err(EntryError::invalid(
                "public key",
                "is neither a minisign key (an untrusted comment and a line of 42 bytes in base64, or that line) nor 32 bytes",
            ));
        };
        if algorithm != LEGACY {
            return Err(EntryError::invalid(
                "public key",
                format!("is of algorithm {}, expected Ed", spell(algorithm)),
            ));
        }
        Self::new(id, bytes)
    }

    fn new(id: [u8; 8], bytes: [u8; 32]) -> Result<Self, EntryError> {
        let key = PublicKey::from_spki_der(&spki::encode(ED25519, &bytes))
            .map_err(|_second_spelling| EntryError::PublicKey(KeyError::Ed25519))?;
        Ok(Self { id, bytes, key })
    }

    fn has_id(&self) -> bool {
        self.id != [0; 8]
    }
}

impl FormatKey for MinisignKey {
    fn canonical(&self) -> Vec<u8> {
        STANDARD
            .encode([LEGACY.as_slice(), &self.id, &self.bytes].concat())
            .into_bytes()
    }

    fn canonical_signature(&self, signature: &[u8]) -> Result<Vec<u8>, EntryError> {
        Ok(Signature::parse(signature)?.canonical())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), EntryError> {
        let signature = Signature::parse(signature)?;
        if self.has_id() && self.id != signature.id {
            return Err(EntryError::differs(
                "signature",
                format!(
                    "is of key {}, expected {}",
                    spell_id(signature.id),
                    spell_id(self.id)
                ),
            ));
        }
        let signed = if signature.algorithm == PREHASHED {
            self.key
                .verifies_pure_ed25519(&Blake2b512::digest(message), &signature.bytes)
        } else {
            self.key.verifies_pure_ed25519(message, &signature.bytes)
        };
        if !signed {
            return Err(EntryError::NotSigned {
                signature: "the signature",
                signed: "the content",
                key: "the given key",
            });
        }
        let Some(Trusted { comment, global }) = signature.trusted else {
            return Ok(());
        };
        let globally_signed = [&signature.bytes, comment.as_bytes()].concat();
        if self.key.verifies_pure_ed25519(&globally_signed, &global) {
            return Ok(());
        }
        Err(EntryError::NotSigned {
            signature: "the global signature",
            signed: "the trusted comment",
            key: "the given key",
        })
    }

    fn facts(&self) -> KeyFacts {
        KeyFacts {
            fingerprinted: self.key.spki_der().to_vec(),
            description: if self.has_id() {
                format!("minisign Ed25519 {}", spell_id(self.id))
            } else {
                "minisign Ed25519".to_owned()
            },
            ..KeyFacts::default()
        }
    }
}

/// The two lines of signify, or the four of minisign.
#[derive(Debug)]
struct Signature<'a> {
    algorithm: [u8; 2],
    id: [u8; 8],
    bytes: [u8; 64],
    trusted: Option<Trusted<'a>>,
}

/// What minisign signs beside, together with the signature.
#[derive(Debug)]
struct Trusted<'a> {
    comment: &'a str,
    global: [u8; 64],
}

impl<'a> Signature<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_SIGNATURE_LEN {
            return Err(EntryError::limit(
                "signature",
                bytes.len(),
                MAX_SIGNATURE_LEN,
            ));
        }
        let text = text("signature", bytes)?;
        let lines: Vec<_> = text.trim_end_matches(['\r', '\n']).lines().collect();
        let (line, trusted) = match lines.as_slice() {
            [_, line] => (line, None),
            [_, line, comment, global] => (line, Some((comment, global))),
            _ => {
                return Err(EntryError::invalid(
                    "signature",
                    format!(
                        "has {} lines, expected 4 of minisign or 2 of signify",
                        lines.len()
                    ),
                ));
            }
        };
        let (algorithm, id, bytes) = split(line).ok_or_else(|| {
            EntryError::invalid("signature", "has no 74 bytes in base64 on its second line")
        })?;
        if algorithm != LEGACY && algorithm != PREHASHED {
            return Err(EntryError::invalid(
                "signature",
                format!("is of algorithm {}, expected Ed or ED", spell(algorithm)),
            ));
        }
        let trusted = trusted
            .map(|(comment, global)| Trusted::new(comment, global))
            .transpose()?;
        Ok(Self {
            algorithm,
            id,
            bytes,
            trusted,
        })
    }

    /// The comments are dropped, as Rekor does.
    fn canonical(&self) -> Vec<u8> {
        let line = STANDARD.encode([self.algorithm.as_slice(), &self.id, &self.bytes].concat());
        format!("untrusted comment:\n{line}").into_bytes()
    }
}

impl<'a> Trusted<'a> {
    fn new(comment: &'a str, global: &str) -> Result<Self, EntryError> {
        let comment = comment.strip_prefix("trusted comment: ").ok_or_else(|| {
            EntryError::invalid(
                "signature",
                "has no trusted comment on its third line, which begins with \"trusted comment: \"",
            )
        })?;
        let global = json::decode_base64(global).and_then(|bytes| bytes.try_into().ok());
        let global = global.ok_or_else(|| {
            EntryError::invalid("signature", "has no 64 bytes in base64 on its fourth line")
        })?;
        Ok(Self { comment, global })
    }
}

/// Algorithm, key number, and a key or a signature.
fn split<const N: usize>(line: &str) -> Option<([u8; 2], [u8; 8], [u8; N])> {
    let bytes = json::decode_base64(line.trim())?;
    let (algorithm, rest) = bytes.split_first_chunk()?;
    let (id, rest) = rest.split_first_chunk()?;
    Some((*algorithm, *id, rest.try_into().ok()?))
}

fn spell(algorithm: [u8; 2]) -> String {
    format!("{:?}", String::from_utf8_lossy(&algorithm))
}

/// As minisign prints it.
fn spell_id(id: [u8; 8]) -> String {
    format!("{:016X}", u64::from_le_bytes(id))
}

/// The message is signed. Keys of either algorithm say this one.
const LEGACY: [u8; 2] = *b"Ed";
/// The BLAKE2b-512 of the message is signed.
const PREHASHED: [u8; 2] = *b"ED";

/// minisign writes comments of at most 8 KiB.
const MAX_SIGNATURE_LEN: usize = 64 << 10;
