//! Why something is not an entry.

use std::fmt;

use crate::{DigestAlgorithm, KeyDetails};

/// Why a request, a key or a body was refused. The fault is always the submitter's: sending the same bytes again fails again.
///
/// The text is the reason alone. A Rekor v2 server sends [`EntryError::Json`] and [`EntryError::InvalidType`] as they are, and the
/// others after `invalid hashedrekord request: `.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EntryError {
    /// The request is not JSON, or not JSON of the expected shape.
    #[error("request is not valid: {0}")]
    Json(Excerpt),

    /// The request names no kind of entry, or one that is not accepted.
    #[error("invalid type, must be hashedrekord")]
    InvalidType,

    /// The kind and version of an entry are not accepted.
    #[error("entry of kind {kind} version {version} is not accepted, expected {expected}")]
    Kind {
        /// The kind that was found.
        kind: Excerpt,
        /// The version that was found.
        version: Excerpt,
        /// The versions that are accepted.
        expected: &'static str,
    },

    /// The entry does not fit into an entry bundle.
    #[error("entry is {len} bytes, expected at most 65535")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },

    /// A field is absent, null or empty.
    #[error("{0} is missing or empty")]
    Missing(&'static str),

    /// A list must have one element.
    #[error("{field} has {count} elements, expected 1")]
    Count {
        /// The list.
        field: &'static str,
        /// How many elements it has.
        count: usize,
    },

    /// Both a public key and a certificate were given.
    #[error("verifier has both publicKey and x509Certificate, expected one of them")]
    BothVerifiers,

    /// A field is not base64.
    #[error("{field} is not base64: {text}")]
    Base64 {
        /// The field.
        field: &'static str,
        /// How its text begins.
        text: Excerpt,
    },

    /// A field is not hexadecimal.
    #[error("{field} is not hexadecimal: {text}")]
    Hex {
        /// The field.
        field: &'static str,
        /// How its text begins.
        text: Excerpt,
    },

    /// The name or number of a key algorithm is not accepted.
    #[error("keyDetails {0} is not one of {names}", names = KeyDetails::NAMES)]
    UnknownKeyDetails(Excerpt),

    /// The key is of another algorithm than `keyDetails` says.
    #[error("keyDetails {stated} does not fit the key, which is {actual}")]
    KeyDetailsMismatch {
        /// What the request says.
        stated: KeyDetails,
        /// What the key is.
        actual: KeyDetails,
    },

    /// The name of a digest algorithm is not known.
    #[error("digest algorithm {text} is not one of {expected}")]
    UnknownDigestAlgorithm {
        /// How the name begins.
        text: Excerpt,
        /// The names that are known.
        expected: &'static str,
    },

    /// A digest is not as long as its algorithm's output.
    #[error("digest is {len} bytes, {algorithm} has {expected}", expected = algorithm.output_len())]
    DigestLength {
        /// The algorithm.
        algorithm: DigestAlgorithm,
        /// The length that was found, in bytes.
        len: usize,
    },

    /// The digest is of another algorithm than the key signs.
    #[error("digest is {found}, {details} expects {expected}", expected = details.digest_algorithm())]
    DigestMismatch {
        /// The digest's algorithm.
        found: DigestAlgorithm,
        /// The key's algorithm.
        details: KeyDetails,
    },

    /// The public key is malformed, of an unknown algorithm, or not in its one encoding.
    #[error("public key {0}")]
    PublicKey(KeyError),

    /// The certificate is malformed.
    #[error("certificate {0}")]
    Certificate(Excerpt),

    /// The text is not a PEM public key or certificate.
    #[error("{0}")]
    Pem(PemError),

    /// The signature is not the key's over the digest.
    #[error("signature does not verify over the digest with the given key")]
    Signature,

    /// A part of an entry is not what it has to be.
    #[error("{field}: {reason}")]
    Invalid {
        /// The part: a field of the spec, or what the field holds.
        field: &'static str,
        /// What is wrong with it, and what was expected.
        reason: Excerpt,
    },

    /// A part of an entry is well formed, and not what is signed.
    #[error("{field}: {reason}")]
    Differs {
        /// The part.
        field: &'static str,
        /// What it is, and what is signed.
        reason: Excerpt,
    },

    /// A part of an entry is larger than is taken.
    #[error("{field} has {found}, expected at most {limit}")]
    Limit {
        /// The part.
        field: &'static str,
        /// How much there is of it, in bytes or in pieces.
        found: usize,
        /// How much there may be.
        limit: usize,
    },

    /// A signature is well formed, and not the key's.
    #[error("{signature} does not verify over {signed} with {key}")]
    NotSigned {
        /// The signature: where it was.
        signature: &'static str,
        /// What it should sign.
        signed: &'static str,
        /// The key that was tried.
        key: &'static str,
    },

    /// A stored body is not spelled as the log spells it.
    #[error("body is not canonical: it differs from its own canonical form at byte {at}")]
    NotCanonical {
        /// The first byte that differs.
        at: usize,
    },
}

impl EntryError {
    pub(crate) fn invalid(field: &'static str, reason: impl AsRef<str>) -> Self {
        Self::Invalid {
            field,
            reason: Excerpt::new(reason.as_ref()),
        }
    }

    pub(crate) fn differs(field: &'static str, reason: impl AsRef<str>) -> Self {
        Self::Differs {
            field,
            reason: Excerpt::new(reason.as_ref()),
        }
    }

    pub(crate) fn limit(field: &'static str, found: usize, limit: usize) -> Self {
        Self::Limit {
            field,
            found,
            limit,
        }
    }
}

/// Why a public key was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// It is not DER, or has a second spelling of something, or bytes left over.
    #[error("is not a SubjectPublicKeyInfo in canonical DER")]
    Encoding,
    /// Its algorithm is not one of those accepted.
    #[error("is not RSA, ECDSA P-256, P-384 or P-521 by name, or Ed25519")]
    Algorithm,
    /// An RSA key of another size.
    #[error("is RSA of {0} bits, expected 2048, 3072 or 4096")]
    RsaBits(usize),
    /// An RSA exponent that some verifier will not take.
    #[error("has an RSA exponent that is not odd and between 3 and 2147483647")]
    RsaExponent,
    /// A compressed or hybrid point.
    #[error("has an EC point that is not {0} bytes in uncompressed form")]
    Point(usize),
    /// A point that is not on its curve.
    #[error("has an EC point that is not on its curve")]
    OffCurve,
    /// A second encoding of a point, or a point for which anybody can sign.
    #[error("is not the canonical encoding of an Ed25519 point of large order")]
    Ed25519,
}

/// Why a text is not a PEM key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PemError {
    /// No block was found.
    #[error("key is not PEM: no complete BEGIN and END lines")]
    Absent,
    /// The block's contents are not base64.
    #[error("key is not PEM: the block {0} does not hold base64")]
    Contents(Excerpt),
    /// The block is something else.
    #[error("PEM block {0} is not PUBLIC KEY or CERTIFICATE")]
    Label(Excerpt),
    /// More than one block, where one key or certificate is expected.
    #[error("PEM has {0} blocks, expected one public key or one certificate")]
    Count(usize),
}

/// The beginning of a text from outside, safe to print: at most 200 characters; those that control a terminal, or the
/// direction of text, are escaped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// The beginning of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut excerpt = String::new();
        let mut chars = text.chars();
        for c in chars.by_ref().take(EXCERPT_CHARS) {
            if c.is_control() || turns_text(c) {
                excerpt.extend(c.escape_default());
            } else {
                excerpt.push(c);
            }
        }
        if chars.next().is_some() {
            excerpt.push('…');
        }
        Self(excerpt.into())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether what follows may be shown in another order or on another line (Unicode UAX #9, and U+2028 and U+2029).
fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Long enough for serde's list of expected fields.
const EXCERPT_CHARS: usize = 200;
