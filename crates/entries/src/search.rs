//! What an entry can be searched by: a pure function of what is logged.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::EntryError;
use crate::stored::StoredEntry;

/// What a key of the search index is about. The number is the format's, and never changes its meaning.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
#[non_exhaustive]
pub enum Domain {
    /// A leaf hash, 64 hexadecimal digits.
    Leaf = 1,
    /// An artifact, package, envelope or payload by its digest: `sha256:` and hexadecimal.
    Digest = 2,
    /// A key by its fingerprint: the SHA-256 of its SPKI in DER, or of its canonical bytes where it has none; 64 hexadecimal digits.
    Key = 3,
    /// A certificate by the SHA-256 of its DER, 64 hexadecimal digits.
    Certificate = 4,
    /// A subject: an e-mail address, URI, DNS name, IP address or other name, its letters of ASCII in lower case.
    Identity = 5,
    /// What an identity begins or ends with, cut at `@` and `/`: `example.com`, `https://github.com/org/`.
    IdentityPrefix = 6,
    /// The OIDC issuer of a certificate (Fulcio), in lower case likewise.
    Issuer = 7,
    /// A subject or material of an attestation, by its digest: `sha256:` and hexadecimal.
    Attested = 8,
    /// A package by name and version: `rpm:name-epoch:version-release.arch`, `alpine:name-version`.
    Package = 9,
    /// TUF metadata by role and version: `root:3`.
    Role = 10,
}

/// A value that an entry can be searched by.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SearchKey {
    /// What it is about.
    pub domain: Domain,
    /// Its spelling in the domain.
    pub value: String,
}

impl SearchKey {
    /// A value in a domain.
    pub fn new(domain: Domain, value: impl Into<String>) -> Self {
        Self {
            domain,
            value: value.into(),
        }
    }

    /// The SHA-256 of these bytes in a domain of fingerprints.
    #[must_use]
    pub fn fingerprint(domain: Domain, bytes: &[u8]) -> Self {
        Self::new(domain, hex(&Sha256::digest(bytes)))
    }

    /// The digest `sha256:` of these bytes.
    #[must_use]
    pub fn digest_of(bytes: &[u8]) -> Self {
        Self::new(
            Domain::Digest,
            format!("sha256:{}", hex(&Sha256::digest(bytes))),
        )
    }

    /// What identities begin or end with, as the index cuts them: the domain of e-mail addresses (`example.com`), or one to three segments of
    /// a URI, each with its slash (`https://github.com/org/`). In any case of letters.
    ///
    /// # Errors
    ///
    /// [`EntryError::Invalid`] where no identity is cut.
    pub fn identity_prefix(prefix: &str) -> Result<Self, EntryError> {
        let lower = prefix.to_ascii_lowercase();
        let invalid = |expected: &str| {
            EntryError::invalid(
                "prefix of identities",
                format!("{prefix:?} is not {expected}"),
            )
        };
        let Some((_, rest)) = lower.split_once("://") else {
            let domain = lower.strip_prefix('@').unwrap_or(&lower);
            if domain.is_empty() || domain.contains(['@', '/']) {
                return Err(invalid(
                    "a domain (example.com), nor the beginning of a URI (https://github.com/org/)",
                ));
            }
            return Ok(Self::new(Domain::IdentityPrefix, domain));
        };
        let segments = rest.matches('/').count();
        if !rest.ends_with('/') || rest.starts_with('/') || segments > MAX_SEGMENTS {
            return Err(invalid(
                "one to three segments after ://, each with its slash, such as https://github.com/org/",
            ));
        }
        Ok(Self::new(Domain::IdentityPrefix, lower))
    }

    /// An identity, and what it can be found by beside: the domain of an e-mail address, and what a URI begins with, up to three segments.
    #[must_use]
    pub fn identities(identity: &str) -> Vec<Self> {
        let identity = identity.to_ascii_lowercase();
        let mut keys = Vec::new();
        if let Some((begin, rest)) = identity.split_once("://") {
            let mut at = begin.len() + 3;
            for segment in rest.split_inclusive('/').take(MAX_SEGMENTS) {
                at += segment.len();
                if segment.ends_with('/')
                    && let Some(prefix) = identity.get(..at)
                    && at < identity.len()
                {
                    keys.push(Self::new(Domain::IdentityPrefix, prefix));
                }
            }
        } else if let Some((_, domain)) = identity.rsplit_once('@') {
            keys.push(Self::new(Domain::IdentityPrefix, domain));
        }
        keys.push(Self::new(Domain::Identity, identity));
        keys
    }
}

/// All that a logged entry can be searched by beside its leaf hash: a pure function of its bytes. Of bytes that are no entry of Rekor's,
/// nothing. It is what an index of version 1 is made of, so that another answer for the same bytes is another version of the index.
#[must_use]
pub fn search_keys(body: &[u8]) -> Vec<SearchKey> {
    let entry = StoredEntry::parse(body);
    entry.map_or_else(|_none| Vec::new(), |entry| entry.facts().keys)
}

/// The number of the domain, and the value.
impl From<SearchKey> for (u8, String) {
    fn from(key: SearchKey) -> Self {
        (key.domain as u8, key.value)
    }
}

impl fmt::Display for SearchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.domain, self.value)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _always = write!(text, "{byte:02x}");
        text
    })
}

/// Host, organisation, repository.
const MAX_SEGMENTS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_cut_where_the_index_cuts() {
        for (given, expected) in [
            ("Example.com", "example.com"),
            ("@example.com", "example.com"),
            ("https://GitHub.com/", "https://github.com/"),
            ("https://github.com/org/", "https://github.com/org/"),
            (
                "https://github.com/org/repo/",
                "https://github.com/org/repo/",
            ),
        ] {
            assert_eq!(SearchKey::identity_prefix(given).unwrap().value, expected);
        }
        for bad in [
            "",
            "@",
            "alice@example.com",
            "example.com/a",
            "https://github.com",
            "https://github.com/org",
            "https:///",
            "https://github.com/org/repo/more/",
        ] {
            assert!(SearchKey::identity_prefix(bad).is_err(), "{bad}");
        }
        let identity = "https://github.com/Org/repo/.github/workflows/x.yml@refs/heads/main";
        let keys = SearchKey::identities(identity);
        for prefix in [
            "https://github.com/",
            "https://github.com/ORG/",
            "https://github.com/org/repo/",
        ] {
            assert!(
                keys.contains(&SearchKey::identity_prefix(prefix).unwrap()),
                "{prefix}"
            );
        }
    }

    #[test]
    fn identities_are_found_by_what_they_begin_with() {
        let keys = |identity: &str| -> Vec<String> {
            let keys = SearchKey::identities(identity);
            keys.into_iter().map(|key| key.to_string()).collect()
        };
        assert_eq!(
            keys("Alice@Example.com"),
            ["IdentityPrefix example.com", "Identity alice@example.com"]
        );
        assert_eq!(
            keys("https://github.com/Org/repo/.github/workflows/x.yml@refs/heads/main"),
            [
                "IdentityPrefix https://github.com/",
                "IdentityPrefix https://github.com/org/",
                "IdentityPrefix https://github.com/org/repo/",
                "Identity https://github.com/org/repo/.github/workflows/x.yml@refs/heads/main"
            ]
        );
        assert_eq!(keys("https://a/"), ["Identity https://a/"]);
        assert_eq!(keys("example.com"), ["Identity example.com"]);
    }
}
