//! `x509`: a public key in PEM, a certificate, or a chain of up to ten with the signer's first; signatures are bare bytes: ECDSA in ASN.1,
//! PKCS #1 v1.5, or Ed25519, over the message itself, with SHA-256, as Rekor has it, or with the hash that the curve has elsewhere.

use const_oid::ObjectIdentifier;
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, Utf8StringRef};
use x509_cert::der::{Any, Decode, Encode, Reader, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use super::scheme::{Hash, Scheme};
use crate::error::PemError;
use crate::formats::{FormatKey, KeyFacts, MAX_KEY_LEN, text};
use crate::pem;
use crate::{EntryError, KeyDetails, Verifier, VerifierForm};

/// A key, a certificate or a chain.
#[derive(Clone, Debug)]
pub(crate) struct X509Key {
    /// The signer's first.
    chain: Vec<Verifier>,
}

impl X509Key {
    /// From PEM. Each certificate of a chain must be signed by the next; the last one is taken at its word.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_KEY_LEN {
            return Err(EntryError::limit("public key", bytes.len(), MAX_KEY_LEN));
        }
        let blocks = pem::decode(text("public key", bytes)?).map_err(EntryError::Pem)?;
        if blocks.len() > MAX_CHAIN {
            return Err(EntryError::limit(
                "chain of certificates",
                blocks.len(),
                MAX_CHAIN,
            ));
        }
        let chain: Vec<_> = blocks
            .iter()
            .map(Verifier::from_block)
            .collect::<Result<_, _>>()?;
        let only_certificates = || {
            chain
                .iter()
                .all(|one| one.form() == VerifierForm::X509Certificate)
        };
        if chain.len() > 1 {
            if !only_certificates() {
                return Err(EntryError::Pem(PemError::Count(chain.len())));
            }
            check_chain(&chain)
                .map_err(|reason| EntryError::invalid("chain of certificates", reason))?;
        }
        Ok(Self { chain })
    }

    /// Whose signatures it verifies.
    pub(crate) fn signer(&self) -> Result<&Verifier, EntryError> {
        self.chain.first().ok_or(EntryError::Pem(PemError::Absent))
    }
}

impl FormatKey for X509Key {
    fn canonical(&self) -> Vec<u8> {
        let blocks = self.chain.iter().map(Verifier::to_pem);
        blocks.collect::<String>().into_bytes()
    }

    fn canonical_signature(&self, signature: &[u8]) -> Result<Vec<u8>, EntryError> {
        if signature.is_empty() {
            return Err(EntryError::Missing("signature"));
        }
        Ok(signature.to_vec())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), EntryError> {
        if self.signer()?.verifies_message(message, signature) {
            return Ok(());
        }
        Err(EntryError::NotSigned {
            signature: "the signature",
            signed: "the content",
            key: "the given key",
        })
    }

    fn facts(&self) -> KeyFacts {
        self.chain.first().map(KeyFacts::of).unwrap_or_default()
    }
}

impl KeyFacts {
    /// Of a key or certificate.
    pub(crate) fn of(verifier: &Verifier) -> Self {
        let certificate =
            (verifier.form() == VerifierForm::X509Certificate).then(|| verifier.der().to_vec());
        let names = certificate.as_deref().map(Names::of).unwrap_or_default();
        Self {
            fingerprinted: verifier.public_key().spki_der().to_vec(),
            certificate,
            identities: names.identities,
            issuer: names.issuer,
            description: describe(verifier.key_details()).to_owned(),
        }
    }
}

/// The key alone: what it signs, and how, is not the same in every kind of entry.
fn describe(details: KeyDetails) -> &'static str {
    match details {
        KeyDetails::Rsa2048 => "RSA 2048",
        KeyDetails::Rsa3072 => "RSA 3072",
        KeyDetails::Rsa4096 => "RSA 4096",
        KeyDetails::EcdsaP256 => "ECDSA P-256",
        KeyDetails::EcdsaP384 => "ECDSA P-384",
        KeyDetails::EcdsaP521 => "ECDSA P-521",
        KeyDetails::Ed25519Ph => "Ed25519",
    }
}

/// Whom a certificate names.
#[derive(Debug, Default)]
struct Names {
    identities: Vec<String>,
    issuer: Option<String>,
}

impl Names {
    /// The alternative names of the subject in the certificate's order, and the e-mail addresses in its distinguished name, each once.
    fn of(der: &[u8]) -> Self {
        let Ok(certificate) = Certificate::from_der(der) else {
            return Self::default();
        };
        let tbs = certificate.tbs_certificate();
        let extensions = tbs.extensions().map_or(&[][..], |list| list.as_slice());
        let value = |oid| extension(extensions, oid).map(|found| found.extn_value.as_bytes());
        let mut names = Self {
            identities: Vec::new(),
            issuer: value(FULCIO_ISSUER)
                .and_then(|der| Utf8StringRef::from_der(der).ok())
                .map(|text| text.as_str().to_owned())
                .or_else(|| {
                    value(FULCIO_ISSUER_RAW).and_then(|raw| String::from_utf8(raw.to_vec()).ok())
                })
                .filter(|issuer| printable(issuer)),
        };
        // One name that is not understood takes none of the others with it.
        let alternative = value(SUBJECT_ALT_NAME)
            .and_then(|der| Vec::<Any>::from_der(der).ok())
            .unwrap_or_default();
        for name in alternative.iter().filter_map(alternative_name) {
            names.add(name);
        }
        for attribute in tbs.subject().iter() {
            if attribute.oid == EMAIL_ADDRESS
                && let Ok(email) = str::from_utf8(attribute.value.value())
            {
                names.add(email.to_owned());
            }
        }
        names
    }

    fn add(&mut self, name: String) {
        if printable(&name) && !self.identities.contains(&name) {
            self.identities.push(name);
        }
    }
}

/// A certificate may name a terminal's control sequence; it is nobody's identity.
fn printable(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_control)
}

fn alternative_name(any: &Any) -> Option<String> {
    match GeneralName::from_der(&any.to_der().ok()?).ok()? {
        GeneralName::Rfc822Name(name)
        | GeneralName::DnsName(name)
        | GeneralName::UniformResourceIdentifier(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(address) => {
            let bytes = address.as_bytes();
            let v4 = || <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
            v4().or_else(|_not_four| v6()).ok().map(|ip| ip.to_string())
        }
        GeneralName::OtherName(other) if other.type_id == FULCIO_OTHER_NAME => {
            let text = other.value.to_der().ok()?;
            let text = Utf8StringRef::from_der(&text).ok()?;
            Some(text.as_str().to_owned())
        }
        GeneralName::OtherName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::RegisteredId(_) => None,
    }
}

fn extension(extensions: &[Extension], oid: ObjectIdentifier) -> Option<&Extension> {
    extensions.iter().find(|extension| extension.extn_id == oid)
}

/// Whether each certificate is signed by the next, which may sign certificates and was valid when the first one began to be: what Rekor
/// checks, whatever the certificates are for.
fn check_chain(chain: &[Verifier]) -> Result<(), String> {
    let certificates: Vec<Certificate> = chain
        .iter()
        .map(|one| Certificate::from_der(one.der()).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    let leaf = certificates.first().ok_or("is empty")?;
    let at = leaf
        .tbs_certificate()
        .validity()
        .not_before
        .to_unix_duration();
    for (index, certificate) in certificates.iter().enumerate() {
        let number = index + 1;
        let tbs = certificate.tbs_certificate();
        let validity = tbs.validity();
        if validity.not_before.to_unix_duration() > at || at > validity.not_after.to_unix_duration()
        {
            return Err(format!(
                "certificate {number} is valid from {} to {}, expected it to be when the first one begins, at {}",
                validity.not_before,
                validity.not_after,
                leaf.tbs_certificate().validity().not_before
            ));
        }
        let extensions = tbs.extensions().map_or(&[][..], |list| list.as_slice());
        let unknown = |extension: &&Extension| {
            (extension.critical && !UNDERSTOOD.contains(&extension.extn_id))
                || extension.extn_id == NAME_CONSTRAINTS
        };
        if let Some(unknown) = extensions.iter().find(unknown) {
            return Err(format!(
                "certificate {number} has the extension {}, which cannot be checked here",
                unknown.extn_id
            ));
        }
        if index > 0 {
            // Certificates between this one and the first that are not their own issuers.
            let between = certificates
                .get(1..index)
                .unwrap_or_default()
                .iter()
                .map(Certificate::tbs_certificate)
                .filter(|tbs| tbs.subject() != tbs.issuer());
            check_authority(extensions, between.count())
                .map_err(|reason| format!("certificate {number} {reason}"))?;
        }
    }
    for (index, pair) in certificates.windows(2).enumerate() {
        let ([below, above], Some([below_der, above_key])) = (pair, chain.get(index..index + 2))
        else {
            continue;
        };
        let (number, next) = (index + 1, index + 2);
        let tbs = below.tbs_certificate();
        if tbs.issuer() != above.tbs_certificate().subject() {
            return Err(format!(
                "certificate {number} is issued by {}, and certificate {next} is {}",
                tbs.issuer(),
                above.tbs_certificate().subject()
            ));
        }
        let scheme = Scheme::named(below.signature_algorithm(), None)
            .map_err(|reason| format!("certificate {number}: {reason}"))?;
        if scheme.hash() == Some(Hash::Sha1) {
            return Err(format!(
                "certificate {number} is signed with SHA-1, expected SHA-256, SHA-384 or SHA-512"
            ));
        }
        let signed = to_be_signed(below_der.der()).ok_or("is not DER")?;
        let signature = below.signature().as_bytes().unwrap_or_default();
        if !scheme.verifies(above_key.public_key(), signed, signature) {
            return Err(format!(
                "certificate {number} is not signed by the key of certificate {next}"
            ));
        }
    }
    Ok(())
}

fn check_authority(extensions: &[Extension], between: usize) -> Result<(), String> {
    let constraints = extension(extensions, BASIC_CONSTRAINTS)
        .and_then(|found| BasicConstraints::from_der(found.extn_value.as_bytes()).ok())
        .filter(|constraints| constraints.ca)
        .ok_or("is not a certificate authority")?;
    if let Some(limit) = constraints.path_len_constraint
        && between > usize::from(limit)
    {
        return Err(format!(
            "allows {limit} certificate authorities below it, and has {between}"
        ));
    }
    match extension(extensions, KEY_USAGE) {
        Some(usage)
            if !KeyUsage::from_der(usage.extn_value.as_bytes())
                .is_ok_and(|usage| usage.key_cert_sign()) =>
        {
            Err("may not sign certificates".to_owned())
        }
        _ => Ok(()),
    }
}

/// The part of a certificate that is signed, as it is spelled there.
pub(crate) fn to_be_signed(der: &[u8]) -> Option<&[u8]> {
    let whole = AnyRef::from_der(der).ok()?;
    SliceReader::new(whole.value()).ok()?.tlv_bytes().ok()
}

/// Rekor v1 takes no longer ones.
const MAX_CHAIN: usize = 10;

const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// Extensions that may be critical: those that are checked, those that any value of will do for, and policies, which nobody here has.
const UNDERSTOOD: [ObjectIdentifier; 5] = [
    SUBJECT_ALT_NAME,
    BASIC_CONSTRAINTS,
    KEY_USAGE,
    ObjectIdentifier::new_unwrap("2.5.29.37"),
    ObjectIdentifier::new_unwrap("2.5.29.32"),
];

// Fulcio's: the issuer as bare text and as UTF8String, and a user's name.
const FULCIO_ISSUER_RAW: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
const FULCIO_OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");
const FULCIO_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
