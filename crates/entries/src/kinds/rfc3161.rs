//! `rfc3161` 0.0.1: a timestamp, as the `TimeStampResp` of RFC 3161 in DER, logged as it is.

use const_oid::ObjectIdentifier;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use x509_cert::der::{Decode, Tag};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::formats::KeyFacts;
use crate::formats::pkcs7::{Piece, SignedData, context};
use crate::formats::scheme::Hash;
use crate::kinds::spec::{Content, GivenContent, encode, read_spec};
use crate::kinds::{self, Facts, Kind, Verified};
use crate::search::hex;
use crate::{EntryError, Verifier};

/// `rfc3161` 0.0.1.
#[derive(Debug)]
pub(crate) struct Rfc3161;

impl Kind for Rfc3161 {
    fn name(&self) -> &'static str {
        "rfc3161"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "Rfc3161Obj"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: ProposedSpec = kinds::read_json("spec", spec.get())?;
        let tsr = spec.tsr.ok_or(EntryError::Missing("spec.tsr"))?;
        let content = kinds::base64(FIELD, tsr.content.as_deref(), MAX_LEN + 2)?;
        let token = parse_response(&content)?;
        Ok(Verified {
            spec: serde_json::json!({"tsr": {"content": encode(&content)}}),
            signers: vec![KeyFacts::of(&token.signer)],
            attestation: None,
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let spec: StoredSpec = read_spec(spec)?;
        let content = kinds::base64(FIELD, Some(&spec.tsr.content), MAX_LEN + 2)?;
        if encode(&content) != spec.tsr.content {
            return Err(EntryError::invalid(
                FIELD,
                "is not in the one spelling of base64",
            ));
        }
        let token = parse_response(&content)?;
        let mut facts = Facts::signed_by(vec![KeyFacts::of(&token.signer)]);
        facts.digest("Timestamp", "sha256", &hex(&Sha256::digest(&content)));
        match Hash::named(token.imprint_hash) {
            Ok(hash) => facts.digest("Imprint", hash.name(), &hex(&token.imprint)),
            Err(_another) => facts.line(
                "Imprint",
                format!("{} {}", token.imprint_hash, hex(&token.imprint)),
            ),
        }
        facts.line("Time", token.time);
        facts.line("Policy", token.policy.to_string());
        Ok(facts)
    }
}

/// A timestamp whose signature is good. Whether its signer may make timestamps is for its readers: the certificate's chain and purpose are
/// not looked at.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) signer: Verifier,
    /// The hash function of the imprint.
    pub(crate) imprint_hash: ObjectIdentifier,
    /// The digest of what was stamped.
    pub(crate) imprint: Vec<u8>,
    /// As it is written there: `20260101000000Z`.
    time: String,
    policy: ObjectIdentifier,
}

impl Token {
    /// From a `ContentInfo` in DER.
    pub(crate) fn parse(field: &'static str, der: &[u8]) -> Result<Self, EntryError> {
        let invalid = |reason: String| EntryError::invalid(field, reason);
        let signed = SignedData::parse(field, der)?;
        if signed.content_type() != TST_INFO {
            return Err(invalid(format!(
                "signs content of the type {}, expected {TST_INFO} (TSTInfo)",
                signed.content_type()
            )));
        }
        let content = signed
            .content()
            .ok_or_else(|| invalid("holds no TSTInfo".to_owned()))?;
        let signer = signed.verify("the TSTInfo", content)?;
        check_certificate(&signed, &signer).map_err(|reason| match reason {
            Reason::Text(reason) => invalid(reason),
            Reason::Error(error) => error,
        })?;
        Self::read(content, signer).map_err(|reason| invalid(format!("TSTInfo: {reason}")))
    }

    fn read(der: &[u8], signer: Verifier) -> Result<Self, String> {
        let pieces = Piece::only(der, Tag::Sequence)?.inner()?;
        let [version, policy, imprint, serial, time, optional @ ..] = &pieces[..] else {
            return Err(format!(
                "it has {} parts, expected at least 5",
                pieces.len()
            ));
        };
        version.expect(Tag::Integer)?;
        if version.value != [1] {
            return Err("it is of another version than 1".to_owned());
        }
        serial.expect(Tag::Integer)?;
        time.expect(Tag::GeneralizedTime)?;
        // Accuracy, ordering, nonce, tsa, extensions: each once, in this order.
        let order = [
            Tag::Sequence,
            Tag::Boolean,
            Tag::Integer,
            context(0),
            context(1),
        ];
        let mut rest = order.iter();
        if let Some(odd) = optional
            .iter()
            .find(|piece| !rest.any(|tag| *tag == piece.tag))
        {
            return Err(format!("{} where nothing of it is expected", odd.tag));
        }
        let [algorithm, digest] = imprint.inner()?[..] else {
            return Err("the imprint is not an algorithm and a digest".to_owned());
        };
        let algorithm =
            AlgorithmIdentifierOwned::from_der(algorithm.der).map_err(|error| error.to_string())?;
        digest.expect(Tag::OctetString)?;
        if let Ok(hash) = Hash::named(algorithm.oid)
            && hash.algorithm().output_len() != digest.value.len()
        {
            return Err(format!(
                "the imprint is {} bytes, {} has {}",
                digest.value.len(),
                hash.name(),
                hash.algorithm().output_len()
            ));
        }
        Ok(Self {
            signer,
            imprint_hash: algorithm.oid,
            imprint: digest.value.to_vec(),
            time: generalized_time(time.value).ok_or("the time is not YYYYMMDDhhmmss[.f]Z")?,
            policy: ObjectIdentifier::from_der(policy.der).map_err(|error| error.to_string())?,
        })
    }
}

fn generalized_time(value: &[u8]) -> Option<String> {
    let (seconds, rest) = value.split_at_checked(14)?;
    let fraction = match rest.strip_suffix(b"Z")? {
        [] => &[][..],
        [b'.', digits @ ..] if !digits.is_empty() => digits,
        _ => return None,
    };
    let digits = || seconds.iter().chain(fraction);
    let text = digits().all(u8::is_ascii_digit).then(|| value.to_vec())?;
    String::from_utf8(text).ok()
}

enum Reason {
    Text(String),
    Error(EntryError),
}

/// Whether the signed attributes name the certificate, so that no other one with the same key can take its place (RFC 5035).
fn check_certificate(signed: &SignedData, signer: &Verifier) -> Result<(), Reason> {
    let v2 = signed
        .signed_attribute(SIGNING_CERTIFICATE_V2)
        .map_err(Reason::Error)?;
    let v1 = signed
        .signed_attribute(SIGNING_CERTIFICATE)
        .map_err(Reason::Error)?;
    let named = match (&v2, &v1) {
        (None, None) => {
            return Err(Reason::Text(
                "has no signed attribute signingCertificate or signingCertificateV2".to_owned(),
            ));
        }
        _ => [(v2, Hash::Sha256), (v1, Hash::Sha1)],
    };
    for (attribute, default) in named {
        let Some(attribute) = attribute else { continue };
        let (hash, digest) = first_certificate(&attribute, default).map_err(Reason::Text)?;
        if hash.of(signer.der()).as_ref() != digest {
            return Err(Reason::Text(
                "is signed for another certificate than the signer's".to_owned(),
            ));
        }
    }
    Ok(())
}

/// The hash of the first `ESSCertID` or `ESSCertIDv2`, which is the signer's.
fn first_certificate(der: &[u8], default: Hash) -> Result<(Hash, Vec<u8>), String> {
    let certificates = Piece::only(der, Tag::Sequence)?.inner()?;
    let certificates = certificates
        .first()
        .ok_or("signingCertificate is empty")?
        .inner()?;
    let pieces = certificates
        .first()
        .ok_or("signingCertificate names none")?
        .inner()?;
    let (hash, digest) = match &pieces[..] {
        [digest, ..] if digest.tag == Tag::OctetString => (default, digest),
        [hash, digest, ..] if default == Hash::Sha256 => {
            let hash =
                AlgorithmIdentifierOwned::from_der(hash.der).map_err(|error| error.to_string())?;
            (Hash::named(hash.oid)?, digest)
        }
        _ => return Err("signingCertificate has no digest".to_owned()),
    };
    digest.expect(Tag::OctetString)?;
    Ok((hash, digest.value.to_vec()))
}

/// The token of a response that says that it was granted.
fn parse_response(der: &[u8]) -> Result<Token, EntryError> {
    if der.len() > MAX_LEN {
        return Err(EntryError::limit(FIELD, der.len(), MAX_LEN));
    }
    let invalid = |reason: String| {
        EntryError::invalid(FIELD, format!("is not a TimeStampResp in DER: {reason}"))
    };
    let pieces = Piece::only(der, Tag::Sequence)
        .and_then(|response| response.inner())
        .map_err(invalid)?;
    let (status, token) = match &pieces[..] {
        [status] => (status, None),
        [status, token] => (status, Some(token)),
        _ => {
            return Err(invalid(format!(
                "it has {} parts, expected 2",
                pieces.len()
            )));
        }
    };
    status.expect(Tag::Sequence).map_err(invalid)?;
    let status = status.inner().map_err(invalid)?;
    let status = status
        .first()
        .ok_or_else(|| invalid("it has no status".to_owned()))?;
    status.expect(Tag::Integer).map_err(invalid)?;
    if !matches!(status.value, [GRANTED | GRANTED_WITH_MODS]) {
        return Err(EntryError::invalid(
            FIELD,
            format!(
                "has the status 0x{}, expected 0 (granted) or 1 (granted with modifications)",
                hex(status.value)
            ),
        ));
    }
    let token = token.ok_or_else(|| EntryError::invalid(FIELD, "holds no timestamp"))?;
    Token::parse(FIELD, token.der)
}

#[derive(Deserialize)]
struct ProposedSpec {
    tsr: Option<GivenContent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSpec {
    tsr: Content,
}

const FIELD: &str = "spec.tsr.content";

/// Rekor v1 takes no longer ones: 10 KiB.
const MAX_LEN: usize = 10 << 10;

// RFC 3161, section 2.4.2.
const GRANTED: u8 = 0;
const GRANTED_WITH_MODS: u8 = 1;

const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
