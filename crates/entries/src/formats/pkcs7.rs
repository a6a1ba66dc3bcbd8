//! PKCS #7 and CMS: `SignedData` (RFC 5652) in DER with one signer, whose certificate is in it. `jar` and `rfc3161` hold it.
//!
//! It is taken apart piece by piece, because what is logged keeps the order of the certificates, which a parser of sets does not.

use cms::cert::IssuerAndSerialNumber;
use cms::signed_data::{SignerIdentifier, SignerInfo};
use const_oid::ObjectIdentifier;
use x509_cert::Certificate;
use x509_cert::attr::Attributes;
use x509_cert::der::asn1::{AnyRef, OctetStringRef, SetOfVec};
use x509_cert::der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::scheme::{Hash, Scheme};
use crate::{EntryError, Verifier};

/// What is signed, by whom, and with which certificates.
#[derive(Clone, Debug)]
pub(crate) struct SignedData {
    /// What the parts of it that are wrong are named by.
    field: &'static str,
    content_type: ObjectIdentifier,
    content: Option<Vec<u8>>,
    /// In DER, in the order in which they are there.
    certificates: Vec<Vec<u8>>,
    signer: SignerInfo,
    /// Version, hashes, type of the content, and all that follows, each in DER.
    pieces: Vec<Vec<u8>>,
}

impl SignedData {
    /// From DER. Nothing is verified yet.
    pub(crate) fn parse(field: &'static str, der: &[u8]) -> Result<Self, EntryError> {
        let invalid = |reason: String| {
            EntryError::invalid(field, format!("is not SignedData in DER: {reason}"))
        };
        if der.len() > MAX_LEN {
            return Err(EntryError::limit(field, der.len(), MAX_LEN));
        }
        let outer = Piece::only(der, Tag::Sequence).map_err(invalid)?;
        let [kind, wrapped] = outer.inner().map_err(invalid)?[..] else {
            return Err(invalid(
                "it has other parts than a type and content".to_owned(),
            ));
        };
        let kind =
            ObjectIdentifier::from_der(kind.der).map_err(|error| invalid(error.to_string()))?;
        if kind != SIGNED_DATA {
            return Err(EntryError::invalid(
                field,
                format!("is of the type {kind}, expected {SIGNED_DATA} (signedData)"),
            ));
        }
        wrapped.expect(context(0)).map_err(invalid)?;
        let inner = Piece::only(wrapped.value, Tag::Sequence).map_err(invalid)?;
        Self::take_apart(field, &inner.inner().map_err(invalid)?)
    }

    fn take_apart(field: &'static str, pieces: &[Piece<'_>]) -> Result<Self, EntryError> {
        let invalid = |reason: String| {
            EntryError::invalid(field, format!("is not SignedData in DER: {reason}"))
        };
        let [version, hashes, encapsulated, optional @ .., signers] = pieces else {
            return Err(invalid(format!("it has {} parts", pieces.len())));
        };
        version.expect(Tag::Integer).map_err(invalid)?;
        encapsulated.expect(Tag::Sequence).map_err(invalid)?;
        signers.expect(Tag::Set).map_err(invalid)?;
        let tags: Vec<Tag> = optional.iter().map(|piece| piece.tag).collect();
        if !tags.is_sorted()
            || tags
                .iter()
                .any(|tag| ![context(0), context(1)].contains(tag))
        {
            return Err(invalid(
                "it has parts that are neither certificates nor revocations".to_owned(),
            ));
        }
        let certificates = match optional.first() {
            Some(set) if set.tag == context(0) => set.inner().map_err(invalid)?,
            _ => Vec::new(),
        };
        if certificates.is_empty() {
            return Err(EntryError::invalid(
                field,
                "holds no certificate, expected the signer's",
            ));
        }
        if certificates.len() > MAX_CERTIFICATES {
            return Err(EntryError::limit(
                field,
                certificates.len(),
                MAX_CERTIFICATES,
            ));
        }
        let signer = match signers.inner().map_err(invalid)?[..] {
            [one] => SignerInfo::from_der(one.der).map_err(|error| invalid(error.to_string()))?,
            ref several => {
                return Err(EntryError::invalid(
                    field,
                    format!("has {} signers, expected 1", several.len()),
                ));
            }
        };
        let (content_type, content) = encapsulated_content(encapsulated).map_err(invalid)?;
        // The order of a set is its elements' in DER, whoever wrote it.
        let hashes = SetOfVec::<AlgorithmIdentifierOwned>::from_der(hashes.der)
            .and_then(|hashes| hashes.to_der())
            .map_err(|error| invalid(error.to_string()))?;
        let bare_content = sequence(
            &content_type
                .to_der()
                .map_err(|error| invalid(error.to_string()))?,
        );
        let mut kept = vec![version.der.to_vec(), hashes, bare_content];
        kept.extend(optional.iter().map(|piece| piece.der.to_vec()));
        kept.push(signers.der.to_vec());
        Ok(Self {
            field,
            content_type,
            content,
            certificates: certificates
                .iter()
                .map(|piece| piece.der.to_vec())
                .collect(),
            signer,
            pieces: kept,
        })
    }

    /// What kind of thing is signed.
    pub(crate) fn content_type(&self) -> ObjectIdentifier {
        self.content_type
    }

    /// What is signed, if it is inside.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// The certificate that comes first, which need not be the signer's.
    pub(crate) fn first_certificate(&self) -> &[u8] {
        self.certificates.first().map_or(&[], Vec::as_slice)
    }

    /// The attributes that are not signed.
    pub(crate) fn unsigned_attribute(&self, oid: ObjectIdentifier) -> Option<Vec<u8>> {
        value_of(self.signer.unsigned_attrs.as_ref()?, oid).ok()?
    }

    /// The value of a signed attribute, which is there once and has one.
    pub(crate) fn signed_attribute(
        &self,
        oid: ObjectIdentifier,
    ) -> Result<Option<Vec<u8>>, EntryError> {
        let Some(attributes) = &self.signer.signed_attrs else {
            return Ok(None);
        };
        value_of(attributes, oid).map_err(|reason| EntryError::invalid(self.field, reason))
    }

    /// The signature.
    pub(crate) fn signature(&self) -> &[u8] {
        self.signer.signature.as_bytes()
    }

    /// The same in DER without the content.
    pub(crate) fn detached(&self) -> Result<Vec<u8>, EntryError> {
        let inner = sequence(&self.pieces.concat());
        let oid = SIGNED_DATA
            .to_der()
            .map_err(|error| EntryError::invalid(self.field, error.to_string()))?;
        Ok(sequence(&[oid, tlv(0xa0, &inner)].concat()))
    }

    /// The certificate of the signer. Nobody is asked whether to trust it.
    pub(crate) fn signer(&self) -> Result<Verifier, EntryError> {
        for der in &self.certificates {
            let certificate = Certificate::from_der(der).map_err(|error| {
                EntryError::invalid(
                    self.field,
                    format!("holds what is not a certificate: {error}"),
                )
            })?;
            if names(&self.signer.sid, &certificate) {
                return Verifier::from_certificate_der(der);
            }
        }
        Err(EntryError::invalid(
            self.field,
            "does not hold the certificate that its signer names",
        ))
    }

    /// Whether the signature is the signer's over this content, which the attributes name where there are any.
    pub(crate) fn verify(
        &self,
        signed: &'static str,
        content: &[u8],
    ) -> Result<Verifier, EntryError> {
        let invalid = |reason: String| EntryError::invalid(self.field, reason);
        let hash = Hash::named(self.signer.digest_alg.oid).map_err(invalid)?;
        let scheme =
            Scheme::named(&self.signer.signature_algorithm, Some(hash)).map_err(invalid)?;
        if scheme.hash().is_some_and(|other| other != hash) {
            return Err(invalid(
                "names one hash for the content, and another for the signature".to_owned(),
            ));
        }
        let verifier = self.signer()?;
        let key = verifier.public_key();
        let signature = self.signature();
        let verified = match &self.signer.signed_attrs {
            Some(attributes) => {
                self.check_attributes(signed, hash, content)?;
                let message = attributes
                    .to_der()
                    .map_err(|error| invalid(error.to_string()))?;
                scheme.verifies(key, &message, signature)
            }
            None if self.content_type != DATA => {
                return Err(invalid(format!(
                    "has no signed attributes, and the content is of the type {}, expected {DATA} (data)",
                    self.content_type
                )));
            }
            None => scheme.verifies(key, content, signature),
        };
        if verified {
            return Ok(verifier);
        }
        Err(EntryError::NotSigned {
            signature: "the PKCS #7 signature",
            signed,
            key: "the certificate in it",
        })
    }

    fn check_attributes(
        &self,
        signed: &'static str,
        hash: Hash,
        content: &[u8],
    ) -> Result<(), EntryError> {
        let missing =
            |name: &str| EntryError::invalid(self.field, format!("has no signed attribute {name}"));
        let content_type = self
            .signed_attribute(CONTENT_TYPE)?
            .ok_or_else(|| missing("contentType"))?;
        let digest = self
            .signed_attribute(MESSAGE_DIGEST)?
            .ok_or_else(|| missing("messageDigest"))?;
        if ObjectIdentifier::from_der(&content_type).ok() != Some(self.content_type) {
            return Err(EntryError::invalid(
                self.field,
                format!(
                    "signs another type of content than {}, which it holds",
                    self.content_type
                ),
            ));
        }
        let digest = <&OctetStringRef>::from_der(&digest).map(OctetStringRef::as_bytes);
        if digest.ok() != Some(hash.of(content).as_ref()) {
            return Err(EntryError::differs(
                self.field,
                format!("signs another {} digest than that of {signed}", hash.name()),
            ));
        }
        Ok(())
    }
}

fn names(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    let tbs = certificate.tbs_certificate();
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer,
            serial_number,
        }) => tbs.issuer() == issuer && tbs.serial_number() == serial_number,
        SignerIdentifier::SubjectKeyIdentifier(wanted) => tbs
            .get_extension::<SubjectKeyIdentifier>()
            .is_ok_and(|found| found.is_some_and(|(_critical, found)| found == *wanted)),
    }
}

fn value_of(attributes: &Attributes, oid: ObjectIdentifier) -> Result<Option<Vec<u8>>, String> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
    let (Some(attribute), None) = (found.next(), found.next()) else {
        let twice = attributes.iter().any(|attribute| attribute.oid == oid);
        return if twice {
            Err(format!("has the attribute {oid} twice"))
        } else {
            Ok(None)
        };
    };
    match attribute.values.as_slice() {
        [value] => value.to_der().map(Some).map_err(|error| error.to_string()),
        values => Err(format!(
            "has {} values of the attribute {oid}, expected 1",
            values.len()
        )),
    }
}

fn encapsulated_content(piece: &Piece<'_>) -> Result<(ObjectIdentifier, Option<Vec<u8>>), String> {
    let (oid, content) = match piece.inner()?[..] {
        [oid] => (oid, None),
        [oid, content] => {
            content.expect(context(0))?;
            let octets = Piece::only(content.value, Tag::OctetString)?;
            (oid, Some(octets.value.to_vec()))
        }
        ref pieces => return Err(format!("the content has {} parts", pieces.len())),
    };
    let oid = ObjectIdentifier::from_der(oid.der).map_err(|error| error.to_string())?;
    Ok((oid, content))
}

/// A value in DER: all of it, and what is in it.
#[derive(Copy, Clone)]
pub(crate) struct Piece<'a> {
    pub(crate) tag: Tag,
    pub(crate) der: &'a [u8],
    pub(crate) value: &'a [u8],
}

impl<'a> Piece<'a> {
    /// One with this tag, and nothing after it.
    pub(crate) fn only(der: &'a [u8], tag: Tag) -> Result<Self, String> {
        let any = AnyRef::from_der(der).map_err(|error| error.to_string())?;
        let piece = Self {
            tag: any.tag(),
            der,
            value: any.value(),
        };
        piece.expect(tag)?;
        Ok(piece)
    }

    /// What is in it, one after another.
    pub(crate) fn inner(&self) -> Result<Vec<Self>, String> {
        let mut reader = SliceReader::new(self.value).map_err(|error| error.to_string())?;
        let mut pieces = Vec::new();
        while !reader.is_finished() {
            if pieces.len() == MAX_PIECES {
                return Err(format!("more than {MAX_PIECES} parts of one value"));
            }
            let der = reader.tlv_bytes().map_err(|error| error.to_string())?;
            let any = AnyRef::from_der(der).map_err(|error| error.to_string())?;
            pieces.push(Self {
                tag: any.tag(),
                der,
                value: any.value(),
            });
        }
        Ok(pieces)
    }

    pub(crate) fn expect(&self, tag: Tag) -> Result<(), String> {
        if self.tag == tag {
            return Ok(());
        }
        Err(format!("{} where {tag} is expected", self.tag))
    }
}

/// A constructed tag of the context.
pub(crate) const fn context(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    tlv(0x30, contents)
}

/// A value of up to 4 GiB with its tag and its length in the shortest form.
fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = u32::try_from(contents.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let mut der = vec![tag];
    match len {
        [0, 0, 0, short @ ..=0x7f] => der.push(short),
        [0, 0, 0, one] => der.extend([0x81, one]),
        [0, 0, high, low] => der.extend([0x82, high, low]),
        [0, high, middle, low] => der.extend([0x83, high, middle, low]),
        [a, b, c, d] => der.extend([0x84, a, b, c, d]),
    }
    der.extend(contents);
    der
}

pub(crate) const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// No body has room for more: 64 KiB.
const MAX_LEN: usize = 64 << 10;

/// The signer's, and those that vouch for it.
const MAX_CERTIFICATES: usize = 16;

/// More parts than any value has that is taken apart here.
const MAX_PIECES: usize = 64;
