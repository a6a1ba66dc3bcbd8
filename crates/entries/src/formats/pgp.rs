//! `pgp`: OpenPGP keys and signatures of versions 4 and 6, and signatures of version 3; armored or not.
//!
//! Packets are parsed by rPGP, each after its size and what it counts were looked at. A key is logged as Go's library writes it, which is the
//! one that Rekor v1 uses: packets with headers of the new format, in its order; of a subkey the newest signature; nothing of an image. Go
//! writes several user IDs in an order that is another each time; here they stay in the order of the key.
//!
//! A signature is checked against the key as it was when the signature was made, as the signature says it was.

mod arithmetic;
mod armor;
mod certificate;
mod packets;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pgp::armor::BlockType;
use pgp::packet::SignatureType;
use pgp::types::Tag;

pub(crate) use armor::Clearsigned;
use certificate::{Certificate, Refusal, Work};
use packets::{Framed, Signed};

use crate::formats::{FormatKey, KeyFacts, MAX_KEY_LEN};
use crate::{EntryError, Excerpt};

/// A key, or several.
#[derive(Clone, Debug)]
pub(crate) struct PgpKey {
    certificates: Vec<Certificate>,
}

impl PgpKey {
    /// From armor, of one block or several, or from packets. Of private keys beside public ones the public half is taken.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut work = Work::default();
        let mut certificates = Vec::new();
        if bytes.first().is_some_and(|first| *first >= 0x80) {
            certificates = Certificate::read_all(bytes, &mut work)?;
        } else {
            for block in armor::blocks(bytes) {
                let (kind, bytes) = armor::decode(KEY, block)?;
                if !matches!(kind, BlockType::PublicKey | BlockType::PrivateKey) {
                    return Err(EntryError::invalid(
                        KEY,
                        format!("is a {kind}, expected a PGP PUBLIC KEY BLOCK"),
                    ));
                }
                certificates.extend(Certificate::read_all(&bytes, &mut work)?);
            }
        }
        if certificates.is_empty() {
            return Err(EntryError::invalid(KEY, "is not an OpenPGP key"));
        }
        if certificates.iter().all(Certificate::is_secret) {
            return Err(EntryError::invalid(
                KEY,
                "is a private key, expected a public one",
            ));
        }
        Ok(Self { certificates })
    }

    /// From a body, in base64: refused if it is not spelled as it is logged.
    pub(crate) fn parse_stored(field: &'static str, content: &str) -> Result<Self, EntryError> {
        let bytes = decode_stored(field, content)?;
        let key = Self::parse(&bytes)?;
        if key.canonical() == bytes {
            return Ok(key);
        }
        Err(EntryError::invalid(
            field,
            "is a key that is not spelled as the log spells it",
        ))
    }

    /// Whose of the keys a signature over a message is. Each signature that names one of them has to be its; those of others are passed over.
    pub(crate) fn signers(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<Vec<KeyFacts>, EntryError> {
        let mut signers = Vec::new();
        for signed in read_signatures(&binary(signature)?)? {
            let signature = &signed.signature;
            match signature.typ() {
                Some(SignatureType::Binary | SignatureType::Text) => {}
                other => {
                    let name = other.map_or_else(String::new, |typ| format!("{typ:?}"));
                    return Err(EntryError::invalid(
                        SIGNATURE,
                        format!("is of type {name}, expected one over a document"),
                    ));
                }
            }
            certificate::check(signature)?;
            for certificate in &self.certificates {
                match certificate.verify(signature, message) {
                    None => {}
                    Some(Ok(())) => signers.push(self.facts_of(certificate)),
                    Some(Err(Refusal::NotSigned)) => return Err(not_signed()),
                    Some(Err(Refusal::Invalid(reason))) => {
                        return Err(EntryError::invalid(KEY, reason));
                    }
                }
            }
        }
        if signers.is_empty() {
            return Err(not_signed());
        }
        Ok(signers)
    }

    /// What each of the keys is known by.
    pub(crate) fn each(&self) -> Vec<KeyFacts> {
        let facts = |certificate| self.facts_of(certificate);
        self.certificates.iter().map(facts).collect()
    }

    fn facts_of(&self, certificate: &Certificate) -> KeyFacts {
        KeyFacts {
            fingerprinted: certificate.spki().unwrap_or_else(|| self.canonical()),
            certificate: None,
            identities: certificate.identities(),
            issuer: None,
            description: certificate.description(),
        }
    }
}

impl FormatKey for PgpKey {
    fn canonical(&self) -> Vec<u8> {
        let mut packets = Vec::new();
        for certificate in &self.certificates {
            certificate.write(&mut packets);
        }
        armor::encode(BlockType::PublicKey, &packets)
    }

    /// Armor stays as it is, whatever its headers.
    fn canonical_signature(&self, signature: &[u8]) -> Result<Vec<u8>, EntryError> {
        let packets = binary(signature)?;
        read_signatures(&packets)?;
        if is_armored(signature) {
            return Ok(signature.to_vec());
        }
        Ok(armor::encode(BlockType::Signature, &packets))
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), EntryError> {
        self.signers(message, signature).map(|_signers| ())
    }

    /// Of several keys the first is what they are known by, and all name somebody.
    fn facts(&self) -> KeyFacts {
        let mut all = self.each().into_iter();
        let mut facts = all.next().unwrap_or_default();
        for other in all {
            for identity in other.identities {
                if !facts.identities.contains(&identity) {
                    facts.identities.push(identity);
                }
            }
        }
        facts
    }
}

/// Refuses what is not armor of a signature as the log writes it of one that was not armored.
pub(crate) fn check_stored_signature(field: &'static str, content: &str) -> Result<(), EntryError> {
    let bytes = decode_stored(field, content)?;
    let packets = binary(&bytes)?;
    read_signatures(&packets)?;
    if armor::encode(BlockType::Signature, &packets) == bytes {
        return Ok(());
    }
    Err(EntryError::invalid(
        field,
        "is a signature that is not spelled as the log spells it",
    ))
}

fn decode_stored(field: &'static str, content: &str) -> Result<Vec<u8>, EntryError> {
    let bytes = STANDARD.decode(content);
    bytes.map_err(|_not_base64| EntryError::Base64 {
        field,
        text: Excerpt::new(content),
    })
}

/// The packets of a signature.
fn binary(signature: &[u8]) -> Result<Vec<u8>, EntryError> {
    if signature.is_empty() {
        return Err(EntryError::Missing(SIGNATURE));
    }
    if signature.len() > MAX_KEY_LEN {
        return Err(EntryError::limit(SIGNATURE, signature.len(), MAX_KEY_LEN));
    }
    if !is_armored(signature) {
        return Ok(signature.to_vec());
    }
    let blocks = armor::blocks(signature);
    let [block] = blocks.as_slice() else {
        return Err(EntryError::invalid(
            SIGNATURE,
            format!("has {} armored blocks, expected one", blocks.len()),
        ));
    };
    match armor::decode(SIGNATURE, block)? {
        (BlockType::Signature, bytes) => Ok(bytes),
        (other, _) => Err(EntryError::invalid(
            SIGNATURE,
            format!("is a {other}, expected a PGP SIGNATURE"),
        )),
    }
}

fn is_armored(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first < 0x80) && !armor::blocks(bytes).is_empty()
}

/// The signatures, of which there has to be one.
fn read_signatures(packets: &[u8]) -> Result<Vec<Signed>, EntryError> {
    let mut signatures = Vec::new();
    for packet in Framed::split(SIGNATURE, packets)? {
        if packet.tag == Tag::Signature {
            signatures.extend(Signed::parse(&packet)?);
        } else if !packet.is_passed_over() {
            return Err(EntryError::invalid(
                SIGNATURE,
                format!(
                    "has a packet of type {}, expected signatures",
                    u8::from(packet.tag)
                ),
            ));
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(EntryError::limit(
                "signatures in one",
                signatures.len(),
                MAX_SIGNATURES,
            ));
        }
    }
    if signatures.is_empty() {
        return Err(EntryError::invalid(
            SIGNATURE,
            "has no signature of a version and an algorithm that is taken",
        ));
    }
    Ok(signatures)
}

fn not_signed() -> EntryError {
    EntryError::NotSigned {
        signature: "the OpenPGP signature",
        signed: "the content",
        key: "the given key",
    }
}

const KEY: &str = "public key";
const SIGNATURE: &str = "signature";

/// For each, all of the message is hashed.
const MAX_SIGNATURES: usize = 8;
