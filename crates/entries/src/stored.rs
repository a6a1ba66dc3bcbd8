//! Bodies as readers find them in the log.

use crate::entry::check_len;
use crate::error::PemError;
use crate::formats::KeyFacts;
use crate::hashedrekord::{HashedRekord, KIND, V001, V002};
use crate::json::{self, Text, message};
use crate::kinds::{self, Facts, Kind};
use crate::pem::{self, Block};
use crate::proposed::{AnyEntry, Data, Parts, Signature, check_digest, is};
use crate::request::{SignatureMessage, UnparsedVerifier, check_details};
use crate::search::SearchKey;
use crate::{Digest, DigestAlgorithm, EntryError, Excerpt, Verifier, canonical};

/// A body taken apart. Its bytes are known to be the canonical ones; the signature of a `hashedrekord` is checked by
/// [`StoredEntry::verify`], that of any other kind with what the body does not hold.
#[derive(Clone, Debug)]
pub struct StoredEntry(Inner);

#[derive(Clone, Debug)]
enum Inner {
    HashedRekord(Box<HashedRekord>),
    Other {
        kind: &'static dyn Kind,
        facts: Facts,
    },
}

impl StoredEntry {
    /// Takes a body apart.
    ///
    /// A `hashedrekord` 0.0.1 may hold a chain of up to ten certificates, of which the first is the verifier; the others are not looked into.
    ///
    /// # Errors
    ///
    /// [`EntryError::TooLong`] if it does not fit into a log, [`EntryError::Json`] or [`EntryError::Kind`] if it is of no kind of Rekor,
    /// [`EntryError::NotCanonical`] if it is, but not spelled as a log spells it, and others if a log would not have written it.
    pub fn parse(body: &[u8]) -> Result<Self, EntryError> {
        check_len(body.len())?;
        let any: AnyEntry<'_> = json::from_slice(body)?;
        if is(&any.kind, KIND) {
            return parse_hashedrekord(body)
                .map(|entry| Self(Inner::HashedRekord(Box::new(entry))));
        }
        let text = |text: &Option<Text<'_>>| text.as_ref().map_or("", |text| &text.0).to_owned();
        let kind = kinds::find(&text(&any.kind), &text(&any.api_version))?;
        let spec = any.spec.ok_or(EntryError::Missing("spec"))?;
        let spec = kinds::read_json("spec", spec.get())?;
        check_canonical(&kinds::body(kind, &spec)?, body)?;
        let facts = kind.read(&spec)?;
        Ok(Self(Inner::Other { kind, facts }))
    }

    /// Its kind: `hashedrekord`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            Inner::HashedRekord(entry) => entry.kind(),
            Inner::Other { kind, .. } => kind.name(),
        }
    }

    /// The version of the kind: `0.0.2`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        match &self.0 {
            Inner::HashedRekord(entry) => entry.version(),
            Inner::Other { kind, .. } => kind.version(),
        }
    }

    /// The name that Rekor's command prints the body under: `HashedRekordObj`.
    #[must_use]
    pub fn object(&self) -> &'static str {
        match &self.0 {
            Inner::HashedRekord(_) => "HashedRekordObj",
            Inner::Other { kind, .. } => kind.object(),
        }
    }

    /// The parts of a `hashedrekord`.
    #[must_use]
    pub fn as_hashedrekord(&self) -> Option<&HashedRekord> {
        match &self.0 {
            Inner::HashedRekord(entry) => Some(entry),
            Inner::Other { .. } => None,
        }
    }

    /// What it can be searched by, beside its leaf hash, and what a person wants to know.
    #[must_use]
    pub fn facts(&self) -> Facts {
        match &self.0 {
            Inner::HashedRekord(entry) => {
                let mut facts = Facts::signed_by(vec![KeyFacts::of(entry.verifier())]);
                let digest = entry.digest();
                facts.digest("Artifact", digest.algorithm().v1_name(), &digest.to_hex());
                facts
            }
            Inner::Other { facts, .. } => facts.clone(),
        }
    }

    /// The SHA-256 of the attestation that may be kept beside the log.
    #[must_use]
    pub fn attestation(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Inner::HashedRekord(_) => None,
            Inner::Other { facts, .. } => facts.attestation,
        }
    }

    /// What it can be searched by beside, if this is the attestation that it refers to.
    #[must_use]
    pub fn attested(&self, attestation: &[u8]) -> Vec<SearchKey> {
        match &self.0 {
            Inner::HashedRekord(_) => Vec::new(),
            Inner::Other { kind, .. } => kind.attested(attestation),
        }
    }

    /// Checks the signature of a `hashedrekord` over the digest again. Other kinds do not hold what was signed: `Ok(false)`.
    ///
    /// # Errors
    ///
    /// [`EntryError::Signature`].
    pub fn verify(&self) -> Result<bool, EntryError> {
        match &self.0 {
            Inner::HashedRekord(entry) => entry.check_signature().map(|()| true),
            Inner::Other { .. } => Ok(false),
        }
    }
}

fn parse_hashedrekord(body: &[u8]) -> Result<HashedRekord, EntryError> {
    let message: Body<'_> = json::from_slice(body)?;
    let entry = if is(&message.api_version, V001) {
        parse_v001(message.spec)
    } else if is(&message.api_version, V002) {
        parse_v002(message.spec)
    } else {
        Err(unknown(&message))
    }?;
    check_canonical(entry.body().as_bytes(), body)?;
    Ok(entry)
}

fn check_canonical(canonical: &[u8], body: &[u8]) -> Result<(), EntryError> {
    if canonical == body {
        return Ok(());
    }
    let same = canonical.iter().zip(body).take_while(|(a, b)| a == b);
    Err(EntryError::NotCanonical { at: same.count() })
}

fn unknown(message: &Body<'_>) -> EntryError {
    let text = |text: &Option<Text<'_>>| Excerpt::new(text.as_ref().map_or("", |text| &text.0));
    EntryError::Kind {
        kind: text(&message.kind),
        version: text(&message.api_version),
        expected: "hashedrekord 0.0.1 or 0.0.2",
    }
}

fn parse_v001(spec: Option<Spec<'_>>) -> Result<HashedRekord, EntryError> {
    let spec = spec.ok_or(EntryError::Missing("spec"))?;
    let parts = Parts::new(spec.data, spec.signature)?;
    let blocks = pem::decode(&parts.pem).map_err(EntryError::Pem)?;
    let verifier = Verifier::from_block(signer(&blocks).map_err(EntryError::Pem)?)?;
    check_digest(&parts.digest, &verifier)?;
    let pem: String = blocks.iter().map(Block::encode).collect();
    let body = canonical::v001(parts.algorithm, &parts.value, &parts.signature, &pem);
    HashedRekord::new(V001, parts.digest, parts.signature, verifier, body)
}

/// The only block, or the first of a chain.
fn signer(blocks: &[Block]) -> Result<&Block, PemError> {
    let first = blocks.first().ok_or(PemError::Absent)?;
    if blocks.len() > MAX_CHAIN_LEN {
        return Err(PemError::Count(blocks.len()));
    }
    let other = |block: &&Block| block.label != pem::CERTIFICATE;
    match blocks.iter().find(other) {
        Some(other) if blocks.len() > 1 => Err(PemError::Label(Excerpt::new(&other.label))),
        _ => Ok(first),
    }
}

fn parse_v002(spec: Option<Spec<'_>>) -> Result<HashedRekord, EntryError> {
    let spec = spec
        .and_then(|spec| spec.hashed_rekord)
        .ok_or(EntryError::Missing("spec.hashedRekordV002"))?;
    let data = spec.data.ok_or(EntryError::Missing("data"))?;
    let algorithm = data
        .algorithm
        .ok_or(EntryError::Missing("data.algorithm"))?;
    let algorithm = DigestAlgorithm::from_v2_name(&algorithm.0)?;
    let digest = Digest::new(algorithm, json::bytes("data.digest", data.digest)?)?;
    let signature = spec.signature.ok_or(EntryError::Missing("signature"))?;
    let content = json::bytes("signature.content", signature.content)?;
    let verifier = signature
        .verifier
        .ok_or(EntryError::Missing("signature.verifier"))?;
    let UnparsedVerifier { details, form, der } = UnparsedVerifier::new(verifier)?;
    let verifier = Verifier::from_der(form, &der)?;
    check_details(details, &verifier)?;
    check_digest(&digest, &verifier)?;
    let body = canonical::v002(details, digest.as_bytes(), &content, form, &der);
    HashedRekord::new(V002, digest, content, verifier, body)
}

/// Rekor v1 takes no longer ones.
const MAX_CHAIN_LEN: usize = 10;

message!(ignore Body {
    api_version: Text<'a> = "apiVersion",
    kind: Text<'a> = "kind",
    spec: Spec<'a> = "spec",
});

message!(ignore Spec {
    data: Data<'a> = "data",
    signature: Signature<'a> = "signature",
    hashed_rekord: HashedRekordV002<'a> = "hashedRekordV002",
});

message!(ignore HashedRekordV002 {
    data: DataV002<'a> = "data",
    signature: SignatureMessage<'a> = "signature",
});

message!(ignore DataV002 {
    algorithm: Text<'a> = "algorithm",
    digest: Text<'a> = "digest",
});
