//! `tuf`: metadata of The Update Framework, and the root that says who may sign it.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::spec::{Content, encode, read_spec};
use super::{Facts, Kind, Verified, base64, read_json};
use crate::formats::tuf::{Metadata, Root};
use crate::json::Text;
use crate::search::{Domain, SearchKey};
use crate::{EntryError, Excerpt};

/// `tuf` 0.0.1. Metadata and root are JSON, or base64 of it.
///
/// ```json
/// {"metadata":{"content":{"signatures":[{"keyid":"<hex>","sig":"<hex>"}],"signed":{}}},"root":{"content":{}}}
/// ```
///
/// is logged as
///
/// ```json
/// {"metadata":{"content":"<base64 of canonical JSON>"},"root":{"content":"<base64 of canonical JSON>"},"spec_version":"1.0.31"}
/// ```
///
/// with the root's `spec_version`.
#[derive(Debug)]
pub(crate) struct V001;

impl Kind for V001 {
    fn name(&self) -> &'static str {
        "tuf"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "TufObj"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: Proposed<'_> = read_json("spec", spec.get())?;
        let root = document(ROOT, spec.root.and_then(|root| root.content))?;
        let metadata = document(METADATA, spec.metadata.and_then(|data| data.content))?;
        let root = Root::new(root)?;
        let signers = root.signers(&metadata)?;
        let mut stored = json!({
            "metadata": {"content": encode(metadata.canonical())},
            "root": {"content": encode(root.metadata().canonical())},
        });
        if let Some(version) = spec_version(&root)
            && let Some(fields) = stored.as_object_mut()
        {
            fields.insert("spec_version".to_owned(), version.into());
        }
        Ok(Verified {
            spec: stored,
            signers,
            attestation: None,
        })
    }

    /// All that was signed is there, so all of it is verified again.
    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let spec: Stored = read_spec(spec)?;
        let root = Root::new(stored(ROOT, &spec.root.content)?)?;
        let metadata = stored(METADATA, &spec.metadata.content)?;
        if spec.spec_version.as_deref() != spec_version(&root) {
            return Err(EntryError::invalid(
                "spec_version",
                "is not that of the root",
            ));
        }
        let mut facts = Facts::signed_by(root.signers(&metadata)?);
        let head = metadata.head();
        let role = format!("{}:{}", head.role, head.version);
        facts.keys.push(SearchKey::new(Domain::Role, role));
        facts.line("Role", head.role.clone());
        facts.line("Version", head.version.to_string());
        facts.line(
            "Expires, not checked",
            Excerpt::new(&head.expires).to_string(),
        );
        for (name, document) in [("Metadata", &metadata), ("Root", root.metadata())] {
            let key = SearchKey::digest_of(document.canonical());
            facts.line(name, key.value.clone());
            facts.keys.push(key);
        }
        Ok(facts)
    }
}

/// Rekor v1 leaves an empty one away.
fn spec_version(root: &Root) -> Option<&str> {
    let version = root.metadata().head().spec_version.as_deref();
    version.filter(|version| !version.is_empty())
}

fn document(field: &'static str, content: Option<&RawValue>) -> Result<Metadata, EntryError> {
    let content = content.ok_or(EntryError::Missing(field))?;
    if !content.get().starts_with('"') {
        return Metadata::parse(field, content.get());
    }
    let Text(text) = read_json(field, content.get())?;
    Metadata::parse(field, decode(field, &text)?.as_str())
}

fn stored(field: &'static str, text: &str) -> Result<Metadata, EntryError> {
    let metadata = Metadata::parse(field, &decode(field, text)?)?;
    if encode(metadata.canonical()) != text {
        return Err(EntryError::invalid(
            field,
            "is not base64 of canonical JSON",
        ));
    }
    Ok(metadata)
}

fn decode(field: &'static str, text: &str) -> Result<String, EntryError> {
    let bytes = base64(field, Some(text), MAX_LEN)?;
    String::from_utf8(bytes)
        .map_err(|error| EntryError::invalid(field, format!("is not UTF-8: {error}")))
}

#[derive(Deserialize)]
struct Proposed<'a> {
    #[serde(borrow)]
    metadata: Option<GivenDocument<'a>>,
    #[serde(borrow)]
    root: Option<GivenDocument<'a>>,
}

#[derive(Deserialize)]
struct GivenDocument<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    metadata: Content,
    root: Content,
    spec_version: Option<String>,
}

const METADATA: &str = "metadata.content";
const ROOT: &str = "root.content";

/// A document is refused that is larger than the format takes; here only the work of decoding one is bounded.
const MAX_LEN: usize = 1 << 20;
