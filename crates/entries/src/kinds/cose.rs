//! `cose` 0.0.1: a `COSE_Sign1` message (RFC 9052), of which the digests and the key are logged.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, UnparsedPublicKey,
    VerificationAlgorithm,
};
use coset::iana::{Algorithm, EnumI64};
use coset::{
    CborSerializable, ContentType, CoseSign1, Header, Label, RegisteredLabelWithPrivate,
    TaggedCborSerializable,
};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::formats::FormatKey;
use crate::formats::scheme::{Hash, Scheme};
use crate::formats::x509::X509Key;
use crate::kinds::spec::{self, encode, read_spec, stored_key};
use crate::kinds::{self, Attestation, Facts, Kind, Verified};
use crate::search::SearchKey;
use crate::{EntryError, KeyDetails, PublicKey, statement};

/// `cose` 0.0.1.
#[derive(Debug)]
pub(crate) struct Cose;

impl Kind for Cose {
    fn name(&self) -> &'static str {
        "cose"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "CoseObj"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: ProposedSpec = kinds::read_json("spec", spec.get())?;
        let data = spec.data.ok_or(EntryError::Missing("spec.data"))?;
        let key = kinds::base64("spec.publicKey", spec.public_key.as_deref(), MAX_LEN)?;
        let key = X509Key::parse(&key)?;
        let bytes = kinds::base64("spec.message", spec.message.as_deref(), MAX_LEN)?;
        let aad = match data.aad.as_deref() {
            None | Some("") => Vec::new(),
            aad => kinds::base64("spec.data.aad", aad, MAX_LEN)?,
        };
        let message = parse(&bytes)?;
        verify(&message, &aad, key.signer()?.public_key())?;
        let payload = message.payload.unwrap_or_default();
        Ok(Verified {
            spec: serde_json::json!({
                "data": {"envelopeHash": spec::Hash::of(&bytes), "payloadHash": spec::Hash::of(&payload)},
                "publicKey": encode(key.canonical()),
            }),
            signers: vec![key.facts()],
            attestation: Some(Attestation {
                sha256: Sha256::digest(&bytes).into(),
                bytes,
            }),
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let spec: StoredSpec = read_spec(spec)?;
        let key = stored_key("spec.publicKey", &spec.public_key)?;
        let mut facts = Facts::signed_by(vec![key.facts()]);
        facts.attestation = spec.data.envelope_hash.bytes();
        for (name, field, hash) in [
            (
                "Envelope",
                "spec.data.envelopeHash",
                spec.data.envelope_hash,
            ),
            ("Payload", "spec.data.payloadHash", spec.data.payload_hash),
        ] {
            hash.check(field)?;
            facts.digest(name, &hash.algorithm, &hash.value);
        }
        Ok(facts)
    }

    /// What the statement is about, if the message says that it holds one of in-toto.
    fn attested(&self, attestation: &[u8]) -> Vec<SearchKey> {
        let Ok(message) = parse(attestation) else {
            return Vec::new();
        };
        let in_toto = ContentType::Text(IN_TOTO.to_owned());
        if message.protected.header.content_type != Some(in_toto) {
            return Vec::new();
        }
        statement::search_keys(&message.payload.unwrap_or_default())
    }
}

/// A message that holds its payload, tagged as one or not.
fn parse(bytes: &[u8]) -> Result<CoseSign1, EntryError> {
    let invalid = |reason: String| EntryError::invalid("spec.message", reason);
    let tagged = Scanner::check(bytes).map_err(|reason| {
        invalid(format!(
            "is not a COSE_Sign1 message as it is taken: {reason}"
        ))
    })?;
    let message = if tagged {
        CoseSign1::from_tagged_slice(bytes)
    } else {
        CoseSign1::from_slice(bytes)
    };
    let message =
        message.map_err(|error| invalid(format!("is not a COSE_Sign1 message: {error}")))?;
    if message.payload.is_none() {
        return Err(invalid(
            "has a detached payload, expected it to be in the message".to_owned(),
        ));
    }
    let header = &message.protected.header;
    if let Some(absent) = header.crit.iter().find(|label| !has(header, label)) {
        return Err(invalid(format!(
            "has a critical header {absent:?} that is not in the protected header"
        )));
    }
    Ok(message)
}

/// Whether a protected header has a parameter that it says is critical.
fn has(header: &Header, label: &RegisteredLabelWithPrivate<coset::iana::HeaderParameter>) -> bool {
    use coset::iana::HeaderParameter::{Alg, ContentType, Crit, Iv, Kid, PartialIv};
    let label = match label {
        RegisteredLabelWithPrivate::Assigned(Alg) => return header.alg.is_some(),
        RegisteredLabelWithPrivate::Assigned(Crit) => return true,
        RegisteredLabelWithPrivate::Assigned(ContentType) => return header.content_type.is_some(),
        RegisteredLabelWithPrivate::Assigned(Kid) => return !header.key_id.is_empty(),
        RegisteredLabelWithPrivate::Assigned(Iv) => return !header.iv.is_empty(),
        RegisteredLabelWithPrivate::Assigned(PartialIv) => return !header.partial_iv.is_empty(),
        RegisteredLabelWithPrivate::Assigned(other) => Label::Int(other.to_i64()),
        RegisteredLabelWithPrivate::PrivateUse(number) => Label::Int(*number),
        RegisteredLabelWithPrivate::Text(text) => Label::Text(text.clone()),
    };
    header.rest.iter().any(|(there, _)| *there == label)
}

/// The signature, by the algorithm that the protected header names, which the key must be of.
fn verify(message: &CoseSign1, aad: &[u8], key: &PublicKey) -> Result<(), EntryError> {
    use KeyDetails::{EcdsaP256, EcdsaP384, EcdsaP521, Ed25519Ph, Rsa2048, Rsa3072, Rsa4096};
    let invalid = |reason: String| EntryError::invalid("spec.message", reason);
    let algorithm = match &message.protected.header.alg {
        Some(coset::Algorithm::Assigned(algorithm)) => *algorithm,
        Some(other) => return Err(invalid(format!("has the algorithm {other:?}, {EXPECTED}"))),
        None => {
            return Err(invalid(format!(
                "has no algorithm in its protected header, {EXPECTED}"
            )));
        }
    };
    let signed = message.tbs_data(aad);
    let signature = &message.signature;
    let fixed = |arithmetic: &'static dyn VerificationAlgorithm| {
        UnparsedPublicKey::new(arithmetic, key.spki_der())
            .verify(&signed, signature)
            .is_ok()
    };
    let scheme = |scheme: Scheme| scheme.verifies(key, &signed, signature);
    let verified = match (algorithm, key.details()) {
        (Algorithm::ES256 | Algorithm::ESP256, EcdsaP256) => fixed(&ECDSA_P256_SHA256_FIXED),
        (Algorithm::ES384 | Algorithm::ESP384, EcdsaP384) => fixed(&ECDSA_P384_SHA384_FIXED),
        (Algorithm::ES512 | Algorithm::ESP512, EcdsaP521) => fixed(&ECDSA_P521_SHA512_FIXED),
        (Algorithm::PS256, Rsa2048 | Rsa3072 | Rsa4096) => scheme(Scheme::Pss(Hash::Sha256)),
        (Algorithm::PS384, Rsa2048 | Rsa3072 | Rsa4096) => scheme(Scheme::Pss(Hash::Sha384)),
        (Algorithm::PS512, Rsa2048 | Rsa3072 | Rsa4096) => scheme(Scheme::Pss(Hash::Sha512)),
        (Algorithm::EdDSA | Algorithm::Ed25519, Ed25519Ph) => scheme(Scheme::Ed25519),
        (algorithm, details) => {
            return Err(invalid(format!(
                "has the algorithm {algorithm:?}, which {details} does not sign with, {EXPECTED}"
            )));
        }
    };
    if verified {
        return Ok(());
    }
    Err(EntryError::NotSigned {
        signature: "the signature of the COSE message",
        signed: "its payload, its protected header and the additional data",
        key: "the given key",
    })
}

/// Walks over CBOR before anything is built of it: definite lengths, few items, little nesting.
///
/// The parser bounds how deep one CBOR item nests, but not how often a header holds a counter signature whose header, in a byte string of its
/// own, holds one again: that would end on the stack.
struct Scanner<'a> {
    rest: &'a [u8],
    items: usize,
}

impl<'a> Scanner<'a> {
    /// Whether the message is tagged, if it may be parsed.
    fn check(bytes: &'a [u8]) -> Result<bool, String> {
        let mut scanner = Self {
            rest: bytes,
            items: 0,
        };
        let (mut major, mut argument) = scanner.head()?;
        let tagged = (major, argument) == (TAG, SIGN1);
        if tagged {
            (major, argument) = scanner.head()?;
        }
        if (major, argument) != (ARRAY, 4) {
            return Err("it does not begin as one".to_owned());
        }
        scanner.headers(0)?;
        for _payload_and_signature in 0..2 {
            scanner.item(0)?;
        }
        if !scanner.rest.is_empty() {
            return Err(format!("{} bytes follow it", scanner.rest.len()));
        }
        Ok(tagged)
    }

    /// The protected header in its byte string, and the other one.
    fn headers(&mut self, depth: usize) -> Result<(), String> {
        match self.head()? {
            (BYTES, len) => {
                let mut protected = Self {
                    rest: self.take(len)?,
                    items: self.items,
                };
                if !protected.rest.is_empty() {
                    protected.header(depth + 1)?;
                }
                self.items = protected.items;
            }
            _ => return Err("the protected header is not a byte string".to_owned()),
        }
        self.header(depth + 1)
    }

    fn header(&mut self, depth: usize) -> Result<(), String> {
        let (MAP, len) = self.head()? else {
            return Err("a header is not a map".to_owned());
        };
        for _pair in 0..len {
            let (major, label) = self.head()?;
            match major {
                UNSIGNED | NEGATIVE => {}
                TEXT => drop(self.take(label)?),
                _ => return Err("a header's label is not an integer or text".to_owned()),
            }
            if (major, label) == (UNSIGNED, COUNTER_SIGNATURE) {
                self.counter_signatures(depth + 1)?;
            } else {
                self.item(depth + 1)?;
            }
        }
        Ok(())
    }

    /// One, or an array of them.
    fn counter_signatures(&mut self, depth: usize) -> Result<(), String> {
        bounded(depth)?;
        let (ARRAY, len) = self.head()? else {
            return Err("a counter signature is not an array".to_owned());
        };
        let starts_with_bytes = self.rest.first().is_some_and(|byte| byte >> 5 == BYTES);
        if starts_with_bytes {
            if len != 3 {
                return Err(format!("a counter signature has {len} parts, expected 3"));
            }
            self.headers(depth + 1)?;
            return self.item(depth + 1);
        }
        for _signature in 0..len {
            if self.head()? != (ARRAY, 3) {
                return Err("a counter signature is not an array of 3".to_owned());
            }
            self.headers(depth + 1)?;
            self.item(depth + 1)?;
        }
        Ok(())
    }

    fn item(&mut self, depth: usize) -> Result<(), String> {
        bounded(depth)?;
        let (major, argument) = self.head()?;
        let inner = match major {
            BYTES | TEXT => {
                self.take(argument)?;
                0
            }
            ARRAY => argument,
            MAP => argument.saturating_mul(2),
            TAG => 1,
            _ => 0,
        };
        for _item in 0..inner {
            self.item(depth + 1)?;
        }
        Ok(())
    }

    /// The major type of the next item, and its argument.
    fn head(&mut self) -> Result<(u8, u64), String> {
        self.items += 1;
        if self.items > MAX_ITEMS {
            return Err(format!("more than {MAX_ITEMS} items of CBOR"));
        }
        let (&first, rest) = self.rest.split_first().ok_or("it is cut short")?;
        self.rest = rest;
        let more = match first & 31 {
            small @ 0..=23 => return Ok((first >> 5, u64::from(small))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err("an indefinite length, expected definite ones".to_owned()),
        };
        let bytes = self.take(more)?;
        let number = bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        Ok((first >> 5, number))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], String> {
        let split = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len));
        let (taken, rest) = split.ok_or("it is cut short")?;
        self.rest = rest;
        Ok(taken)
    }
}

fn bounded(depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("nested more than {MAX_DEPTH} deep"));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProposedSpec {
    message: Option<String>,
    public_key: Option<String>,
    data: Option<ProposedData>,
}

#[derive(Deserialize)]
struct ProposedData {
    aad: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredSpec {
    public_key: String,
    data: StoredData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredData {
    payload_hash: spec::Hash,
    envelope_hash: spec::Hash,
}

const IN_TOTO: &str = "application/vnd.in-toto+json";

const EXPECTED: &str = "expected ES256 for P-256, ES384 for P-384, ES512 for P-521, PS256, PS384 or PS512 for RSA, or EdDSA for Ed25519";

/// A request of 4 MiB has no more bytes in base64.
const MAX_LEN: usize = 3 << 20;

/// An item is 32 bytes when it is parsed: 32 KiB of them beside the bytes and texts.
const MAX_ITEMS: usize = 1024;

/// Headers hold lists of certificates, or claims: two or three.
const MAX_DEPTH: usize = 16;

// Major types of CBOR (RFC 8949, section 3.1).
const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// The tag of `COSE_Sign1`.
const SIGN1: u64 = 18;

/// The label of counter signatures in a header.
const COUNTER_SIGNATURE: u64 = 7;
