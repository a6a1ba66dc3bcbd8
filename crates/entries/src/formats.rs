//! Formats of keys and signatures, behind one interface: a key from a file, its one canonical spelling, whom it names, and whether a
//! signature over a message is its.

pub(crate) mod minisign;
pub(crate) mod pgp;
pub(crate) mod pkcs7;
pub(crate) mod scheme;
pub(crate) mod ssh;
pub(crate) mod tuf;
pub(crate) mod x509;

use std::fmt;
use std::str::FromStr;

use crate::search::{Domain, SearchKey};
use crate::{EntryError, Excerpt};

/// A format of public keys and signatures, as Rekor's `pki-format`.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub enum Format {
    /// OpenPGP (RFC 4880, RFC 9580), armored or binary.
    Pgp,
    /// minisign and signify.
    Minisign,
    /// OpenSSH keys and SSHSIG.
    Ssh,
    /// Public keys and certificates in PEM, and bare signatures.
    X509,
    /// PKCS #7 (RFC 5652), which holds its certificates: of `jar` and `rfc3161` alone.
    Pkcs7,
    /// TUF's own, whose keys are in the root: of `tuf` alone.
    Tuf,
}

impl Format {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Pgp,
        Self::Minisign,
        Self::Ssh,
        Self::X509,
        Self::Pkcs7,
        Self::Tuf,
    ];

    /// Its name in Rekor.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pgp => "pgp",
            Self::Minisign => "minisign",
            Self::Ssh => "ssh",
            Self::X509 => "x509",
            Self::Pkcs7 => "pkcs7",
            Self::Tuf => "tuf",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = EntryError;

    fn from_str(name: &str) -> Result<Self, EntryError> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| {
            EntryError::invalid(
                "format",
                format!("{name:?} is not one of pgp, minisign, ssh, x509, pkcs7 and tuf"),
            )
        })
    }
}

/// A public key of one of the formats.
pub(crate) trait FormatKey: fmt::Debug + Send + Sync {
    /// The one spelling in which it is logged.
    fn canonical(&self) -> Vec<u8>;

    /// The one spelling in which a signature of this format is logged. It need not be of this key.
    fn canonical_signature(&self, signature: &[u8]) -> Result<Vec<u8>, EntryError>;

    /// Whether a signature, in any spelling of the format, is this key's over the message: [`EntryError::NotSigned`] if it is well formed and
    /// is not.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), EntryError>;

    /// Whom it names, and what it is known by.
    fn facts(&self) -> KeyFacts;
}

/// Whom a key names, and what it is known by.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeyFacts {
    /// Its SPKI in DER, if its algorithm has one; or else its canonical bytes, as the format has them.
    pub fingerprinted: Vec<u8>,
    /// The certificate in DER, if it is one.
    pub certificate: Option<Vec<u8>>,
    /// E-mail addresses, URIs and other names.
    pub identities: Vec<String>,
    /// Who vouched for the identity (Fulcio's OIDC issuer).
    pub issuer: Option<String>,
    /// What it is, for a person: `ECDSA P-256`, `OpenPGP v4 RSA 3072`.
    pub description: String,
}

impl KeyFacts {
    /// What an entry with a signature of this key can be searched by.
    pub(crate) fn search_keys(&self) -> Vec<SearchKey> {
        let mut keys = vec![SearchKey::fingerprint(Domain::Key, &self.fingerprinted)];
        keys.extend(
            self.certificate
                .as_deref()
                .map(|der| SearchKey::fingerprint(Domain::Certificate, der)),
        );
        keys.extend(
            self.identities
                .iter()
                .flat_map(|identity| SearchKey::identities(identity)),
        );
        keys.extend(
            self.issuer
                .iter()
                .map(|issuer| SearchKey::new(Domain::Issuer, issuer.to_ascii_lowercase())),
        );
        keys
    }

    /// Its fingerprint: the SHA-256 of its SPKI, or of its canonical bytes.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(&self.fingerprinted).into()
    }
}

/// What a public key, or a certificate, is known by: of a format, or of whichever of pgp, minisign, ssh and x509 can read it.
///
/// # Errors
///
/// [`EntryError`] if it cannot be read.
pub fn public_key_facts(bytes: &[u8], format: Option<Format>) -> Result<KeyFacts, EntryError> {
    if let Some(format) = format {
        return Ok(parse_key(format, bytes)?.facts());
    }
    let formats = [Format::X509, Format::Pgp, Format::Ssh, Format::Minisign].into_iter();
    let read = formats.filter_map(|format| parse_key(format, bytes).ok());
    let facts = read.map(|key| key.facts()).next();
    facts.ok_or_else(|| {
        let reason = "is no key of pgp, minisign, ssh or x509".to_owned();
        EntryError::invalid("public key", reason)
    })
}

/// Reads a key of a format.
pub(crate) fn parse_key(format: Format, bytes: &[u8]) -> Result<Box<dyn FormatKey>, EntryError> {
    if bytes.len() > MAX_KEY_LEN {
        return Err(EntryError::limit("public key", bytes.len(), MAX_KEY_LEN));
    }
    Ok(match format {
        Format::Pgp => Box::new(pgp::PgpKey::parse(bytes)?),
        Format::Minisign => Box::new(minisign::MinisignKey::parse(bytes)?),
        Format::Ssh => Box::new(ssh::SshKey::parse(bytes)?),
        Format::X509 => Box::new(x509::X509Key::parse(bytes)?),
        Format::Pkcs7 | Format::Tuf => {
            let reason = format!("keys by themselves are pgp, minisign, ssh or x509, not {format}");
            return Err(EntryError::invalid("format", reason));
        }
    })
}

/// Text of a format.
pub(crate) fn text<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, EntryError> {
    str::from_utf8(bytes).map_err(|error| EntryError::Invalid {
        field,
        reason: Excerpt::new(&format!("is not UTF-8: {error}")),
    })
}

/// Bytes of a key in any spelling.
pub(crate) const MAX_KEY_LEN: usize = 64 << 10;
