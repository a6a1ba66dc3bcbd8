//! Bodies as readers find them in the log.

use crate::error::PemError;
use crate::hashedrekord::{KIND, V001, V002, check_len};
use crate::json::{self, Text, message};
use crate::pem::{self, Block};
use crate::proposed::{Data, Parts, Signature, check_digest, is};
use crate::request::{SignatureMessage, UnparsedVerifier, check_details};
use crate::{
    Digest, DigestAlgorithm, EntryError, Excerpt, KeyDetails, Proposed, Verifier, canonical,
};

/// A `hashedrekord` body taken apart. Its bytes are known to be the canonical ones; its signature is checked by
/// [`StoredEntry::verify`].
#[derive(Clone, Debug)]
pub struct StoredEntry(Proposed);

impl StoredEntry {
    /// Takes a body apart.
    ///
    /// A 0.0.1 body may hold a chain of up to ten certificates, of which the first is the verifier; the others are not looked into.
    ///
    /// # Errors
    ///
    /// [`EntryError::TooLong`] if it does not fit into a log, [`EntryError::Json`] or [`EntryError::Kind`] if it is something else
    /// than a `hashedrekord` of version 0.0.1 or 0.0.2, and [`EntryError::NotCanonical`] if it is one, but not spelled as a log
    /// spells it.
    pub fn parse(body: &[u8]) -> Result<Self, EntryError> {
        check_len(body.len())?;
        let message: Body<'_> = json::from_slice(body)?;
        let proposed = if !is(&message.kind, KIND) {
            Err(unknown(&message))
        } else if is(&message.api_version, V001) {
            parse_v001(message.spec)
        } else if is(&message.api_version, V002) {
            parse_v002(message.spec)
        } else {
            Err(unknown(&message))
        }?;
        let canonical = proposed.body().as_bytes();
        if canonical == body {
            return Ok(Self(proposed));
        }
        let same = canonical.iter().zip(body).take_while(|(a, b)| a == b);
        Err(EntryError::NotCanonical { at: same.count() })
    }

    /// `hashedrekord`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.0.kind()
    }

    /// `0.0.1` or `0.0.2`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.0.version()
    }

    /// The digest's algorithm.
    #[must_use]
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.0.digest().algorithm()
    }

    /// The digest that was signed.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.0.digest()
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        self.0.signature()
    }

    /// The key or certificate.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        self.0.verifier()
    }

    /// The key's algorithm.
    #[must_use]
    pub fn key_details(&self) -> KeyDetails {
        self.0.verifier().key_details()
    }

    /// Checks the signature over the digest again.
    ///
    /// # Errors
    ///
    /// [`EntryError::Signature`].
    pub fn verify(&self) -> Result<(), EntryError> {
        self.0.check_signature()
    }
}

fn unknown(message: &Body<'_>) -> EntryError {
    let text = |text: &Option<Text<'_>>| Excerpt::new(text.as_ref().map_or("", |text| &text.0));
    EntryError::Kind {
        kind: text(&message.kind),
        version: text(&message.api_version),
        expected: "0.0.1 or 0.0.2",
    }
}

fn parse_v001(spec: Option<Spec<'_>>) -> Result<Proposed, EntryError> {
    let spec = spec.ok_or(EntryError::Missing("spec"))?;
    let parts = Parts::new(spec.data, spec.signature)?;
    let blocks = pem::decode(&parts.pem).map_err(EntryError::Pem)?;
    let verifier = Verifier::from_block(signer(&blocks).map_err(EntryError::Pem)?)?;
    check_digest(&parts.digest, &verifier)?;
    let pem: String = blocks.iter().map(Block::encode).collect();
    let body = canonical::v001(parts.algorithm, &parts.value, &parts.signature, &pem);
    Proposed::new(V001, parts.digest, parts.signature, verifier, body)
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

fn parse_v002(spec: Option<Spec<'_>>) -> Result<Proposed, EntryError> {
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
    Proposed::new(V002, digest, content, verifier, body)
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
