//! The kinds of Rekor's entries, behind one interface: a proposed spec is verified and gives what is logged; what is logged gives what it can
//! be searched by, and what a person wants to know.

mod alpine;
mod cose;
mod dsse;
mod helm;
mod intoto;
mod jar;
mod rekord;
mod rfc3161;
mod rpm;
pub(crate) mod spec;
mod tuf;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::entry::check_len;
use crate::formats::KeyFacts;
use crate::search::{Domain, SearchKey, hex};
use crate::{EntryError, Excerpt};

/// A kind of entry in one version.
pub(crate) trait Kind: Sync {
    /// Its name: `rekord`.
    fn name(&self) -> &'static str;

    /// Its version: `0.0.1`.
    fn version(&self) -> &'static str;

    /// The name that Rekor's command prints its body under: `RekordObj`.
    fn object(&self) -> &'static str;

    /// Verifies the spec of a proposed entry, and gives what is logged of it. Fields that are unknown are passed over, as Rekor v1 does.
    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError>;

    /// Takes apart the spec of a logged body: [`EntryError::Invalid`] or [`EntryError::Missing`] where no log would have written it so.
    fn read(&self, spec: &Value) -> Result<Facts, EntryError>;

    /// What an entry can be searched by whose attestation this is.
    fn attested(&self, attestation: &[u8]) -> Vec<SearchKey> {
        let _none = attestation;
        Vec::new()
    }
}

/// A spec that was verified.
#[derive(Debug)]
pub(crate) struct Verified {
    /// What is logged, to be spelled canonically.
    pub(crate) spec: Value,
    /// Whose signatures were found to be good.
    pub(crate) signers: Vec<KeyFacts>,
    /// What is kept beside the log where the log says so.
    pub(crate) attestation: Option<Attestation>,
}

/// What an entry refers to and does not hold, kept beside the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attestation {
    /// Its SHA-256, under which it is kept.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What is to be known of a logged entry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// What it can be searched by.
    pub keys: Vec<SearchKey>,
    /// What a person wants to know, in order: a name, and what there is to say.
    pub lines: Vec<(&'static str, String)>,
    /// Whose signatures it holds.
    pub signers: Vec<KeyFacts>,
    /// The SHA-256 of the attestation that may be kept beside the log.
    pub attestation: Option<[u8; 32]>,
}

impl Facts {
    /// Of an entry with signatures of these keys.
    pub(crate) fn signed_by(signers: Vec<KeyFacts>) -> Self {
        let mut facts = Self::default();
        for signer in signers {
            facts.keys.extend(signer.search_keys());
            facts.line(
                "Key",
                format!("{} {}", signer.description, hex(&signer.fingerprint())),
            );
            for identity in &signer.identities {
                facts.line("Identity", identity.clone());
            }
            if let Some(issuer) = &signer.issuer {
                facts.line("Issuer", issuer.clone());
            }
            facts.signers.push(signer);
        }
        facts
    }

    /// Of something with this digest: `sha256:…`.
    pub(crate) fn digest(&mut self, name: &'static str, algorithm: &str, hexadecimal: &str) {
        let digest = format!("{algorithm}:{}", hexadecimal.to_lowercase());
        self.keys
            .push(SearchKey::new(Domain::Digest, digest.clone()));
        self.line(name, digest);
    }

    pub(crate) fn line(&mut self, name: &'static str, text: impl Into<String>) {
        self.lines.push((name, text.into()));
    }
}

/// The kinds that this crate has beside `hashedrekord`.
pub(crate) const ALL: &[&dyn Kind] = &[
    &alpine::Alpine,
    &cose::Cose,
    &dsse::V001,
    &helm::Helm,
    &intoto::V001,
    &intoto::V002,
    &jar::Jar,
    &rekord::Rekord,
    &rfc3161::Rfc3161,
    &rpm::Rpm,
    &tuf::V001,
];

/// Every kind and version, as `log.json` names them. Names alone: who makes a log need not have the kinds in its binary.
pub const KINDS: [&str; 13] = [
    "alpine/0.0.1",
    "cose/0.0.1",
    "dsse/0.0.1",
    "hashedrekord/0.0.1",
    "hashedrekord/0.0.2",
    "helm/0.0.1",
    "intoto/0.0.1",
    "intoto/0.0.2",
    "jar/0.0.1",
    "rekord/0.0.1",
    "rfc3161/0.0.1",
    "rpm/0.0.1",
    "tuf/0.0.1",
];

/// The kind of this name and version.
pub(crate) fn find(name: &str, version: &str) -> Result<&'static dyn Kind, EntryError> {
    let found = ALL
        .iter()
        .find(|kind| kind.name() == name && kind.version() == version);
    found.copied().ok_or_else(|| EntryError::Kind {
        kind: Excerpt::new(name),
        version: Excerpt::new(version),
        expected: "a kind and version of Rekor",
    })
}

/// The body with this spec: RFC 8785.
pub(crate) fn body(kind: &dyn Kind, spec: &Value) -> Result<Vec<u8>, EntryError> {
    let body = canonical_json(&Body {
        api_version: kind.version(),
        kind: kind.name(),
        spec,
    })?;
    check_len(body.len())?;
    Ok(body)
}

/// A body around a spec that is not copied: of a tree of JSON there is one, which may be 16 times as large as its text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    spec: &'a Value,
}

/// RFC 8785 of a value.
pub(crate) fn canonical_json(value: &impl Serialize) -> Result<Vec<u8>, EntryError> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|error| EntryError::invalid("JSON", error.to_string()))
}

/// Reads a spec, or a part of one, into a type that says which fields it has.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(
    field: &'static str,
    json: &'a str,
) -> Result<T, EntryError> {
    serde_json::from_str(json).map_err(|error| EntryError::invalid(field, error.to_string()))
}

/// A field of standard base64, whose bytes are wanted. Padding may be missing, and line ends may be in it.
pub(crate) fn base64(
    field: &'static str,
    text: Option<&str>,
    limit: usize,
) -> Result<Vec<u8>, EntryError> {
    let text = text
        .filter(|text| !text.is_empty())
        .ok_or(EntryError::Missing(field))?;
    if text.len() / 4 * 3 > limit {
        return Err(EntryError::limit(field, text.len() / 4 * 3, limit));
    }
    crate::json::decode_base64(text).ok_or_else(|| EntryError::Base64 {
        field,
        text: Excerpt::new(text),
    })
}

impl fmt::Debug for dyn Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashedrekord::{KIND, V001, V002};

    #[test]
    fn the_names_are_those_of_the_kinds() {
        let others = ALL.iter().map(|kind| (kind.name(), kind.version()));
        let all = others.chain([(KIND, V001), (KIND, V002)]);
        let mut names: Vec<String> = all
            .map(|(kind, version)| format!("{kind}/{version}"))
            .collect();
        names.sort();
        assert_eq!(names, KINDS);
    }
}
