//! Digests of artifacts.

use std::fmt;

use crate::EntryError;

/// The hash that a signature is made over.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum DigestAlgorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl DigestAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The length of a digest in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The name in a `hashedrekord` 0.0.2 body: `SHA2_256`.
    #[must_use]
    pub const fn v2_name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA2_256",
            Self::Sha384 => "SHA2_384",
            Self::Sha512 => "SHA2_512",
        }
    }

    /// The name in a `hashedrekord` 0.0.1 body, and the [`Display`](fmt::Display) form: `sha256`.
    #[must_use]
    pub const fn v1_name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    pub(crate) fn from_v2_name(name: &str) -> Result<Self, EntryError> {
        Self::find(name, Self::v2_name, "SHA2_256, SHA2_384 and SHA2_512")
    }

    pub(crate) fn from_v1_name(name: &str) -> Result<Self, EntryError> {
        Self::find(name, Self::v1_name, "sha256, sha384 and sha512")
    }

    fn find(
        name: &str,
        spelling: impl Fn(Self) -> &'static str,
        expected: &'static str,
    ) -> Result<Self, EntryError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| spelling(*algorithm) == name)
            .ok_or_else(|| EntryError::UnknownDigestAlgorithm {
                text: crate::Excerpt::new(name),
                expected,
            })
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.v1_name())
    }
}

/// A digest of the length that its algorithm has. `Display` is `sha256:` and lower-case hexadecimal.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    bytes: Box<[u8]>,
}

impl Digest {
    /// The digest with these bytes.
    ///
    /// # Errors
    ///
    /// [`EntryError::DigestLength`].
    pub fn new(
        algorithm: DigestAlgorithm,
        bytes: impl Into<Box<[u8]>>,
    ) -> Result<Self, EntryError> {
        let bytes = bytes.into();
        if bytes.len() == algorithm.output_len() {
            Ok(Self { algorithm, bytes })
        } else {
            Err(EntryError::DigestLength {
                algorithm,
                len: bytes.len(),
            })
        }
    }

    /// Its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes in lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.bytes.iter().fold(
            String::with_capacity(2 * self.bytes.len()),
            |mut text, byte| {
                for nibble in [byte >> 4, byte & 15] {
                    text.extend(char::from_digit(u32::from(nibble), 16));
                }
                text
            },
        )
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.to_hex())
    }
}

/// Bytes from hexadecimal of either case; `None` if it is not.
pub(crate) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| {
            let high = char::from(*high).to_digit(16)?;
            let low = char::from(*low).to_digit(16)?;
            u8::try_from(high << 4 | low).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_its_algorithms_length() {
        for algorithm in DigestAlgorithm::ALL {
            let len = algorithm.output_len();
            assert!(Digest::new(algorithm, vec![0; len]).is_ok());
            for wrong in [0, len - 1, len + 1] {
                let error = Digest::new(algorithm, vec![0; wrong]).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!("digest is {wrong} bytes, {algorithm} has {len}")
                );
            }
        }
    }

    #[test]
    fn hexadecimal_goes_both_ways() {
        let all: Vec<u8> = (0..=63).map(|n| n * 4 + 3).collect();
        let digest = Digest::new(DigestAlgorithm::Sha512, all.clone()).unwrap();
        assert_eq!(decode_hex(&digest.to_hex()), Some(all));
        assert!(digest.to_string().starts_with("sha512:03070b0f"));
        assert_eq!(decode_hex("aF"), Some(vec![0xaf]));
        for bad in ["a", "0g", "+1", "é", " 1"] {
            assert_eq!(decode_hex(bad), None, "{bad}");
        }
    }
}
