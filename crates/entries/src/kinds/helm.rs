//! `helm` 0.0.1: a chart's provenance, which OpenPGP signed in the clear, and the chart by its digest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::EntryError;
use crate::digest::decode_hex;
use crate::formats::pgp::{Clearsigned, PgpKey, check_stored_signature};
use crate::formats::{FormatKey, MAX_KEY_LEN};
use crate::kinds::{Facts, Kind, Verified, base64, read_json};

/// The kind.
#[derive(Debug)]
pub(super) struct Helm;

impl Kind for Helm {
    fn name(&self) -> &'static str {
        "helm"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "HelmObj"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: Proposed = read_json("spec", spec.get())?;
        let key = spec.public_key.and_then(|key| key.content);
        let key = PgpKey::parse(&base64(KEY, key.as_deref(), MAX_KEY_LEN)?)?;
        let provenance = spec
            .chart
            .and_then(|chart| chart.provenance?.content)
            .unwrap_or_default();
        let provenance = base64(PROVENANCE, Some(&provenance), MAX_PROVENANCE)?;
        let provenance = Clearsigned::parse(PROVENANCE, &provenance)?;
        let signers = key.signers(&provenance.signed, &provenance.signature)?;
        let digest = chart_digest(&provenance.text)?;
        let signature = key.canonical_signature(&provenance.signature)?;
        Ok(Verified {
            spec: json!({
                "chart": {
                    "hash": {"algorithm": "sha256", "value": digest},
                    "provenance": {"signature": {"content": STANDARD.encode(signature)}},
                },
                "publicKey": {"content": STANDARD.encode(key.canonical())},
            }),
            signers,
            attestation: None,
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let spec = Stored::deserialize(spec)
            .map_err(|error| EntryError::invalid("spec", error.to_string()))?;
        let key = PgpKey::parse_stored(KEY, &spec.public_key.content)?;
        check_stored_signature(SIGNATURE, &spec.chart.provenance.signature.content)?;
        let hash = &spec.chart.hash;
        check_digest(&format!("{}:{}", hash.algorithm, hash.value))?;
        let mut facts = Facts::signed_by(key.each());
        facts.digest("Chart", &hash.algorithm, &hash.value);
        Ok(facts)
    }
}

/// The digest of the first file. The text is that of `helm package --sign`: the chart's metadata, and after a line of three dots
///
/// ```yaml
/// files:
///   mychart-0.1.0.tgz: sha256:3b5c…
/// ```
fn chart_digest(text: &str) -> Result<String, EntryError> {
    let (_chart, rest) = text.split_once("\n...\n").ok_or_else(|| {
        EntryError::invalid(PROVENANCE, "has no line of three dots before its files")
    })?;
    let sums = rest.split_once("\n...\n").map_or(rest, |(sums, _)| sums);
    let file = sums
        .lines()
        .skip_while(|line| *line != "files:")
        .skip(1)
        .find(|line| !line.trim().is_empty())
        .and_then(|line| line.strip_prefix([' ', '\t']))
        .and_then(|line| line.split_once(": "))
        .ok_or_else(|| EntryError::invalid(PROVENANCE, "lists no file below files:"))?;
    check_digest(file.1.trim().trim_matches(['"', '\'']))
}

/// What follows `sha256:`.
fn check_digest(digest: &str) -> Result<String, EntryError> {
    let value = digest.strip_prefix("sha256:");
    value
        .filter(|value| decode_hex(value).is_some_and(|bytes| bytes.len() == 32))
        .map(str::to_owned)
        .ok_or_else(|| {
            EntryError::invalid(
                "chart hash",
                format!("{digest:?} is not sha256: and 64 hexadecimal digits"),
            )
        })
}

#[derive(Deserialize)]
struct Proposed {
    chart: Option<ProposedChart>,
    #[serde(rename = "publicKey")]
    public_key: Option<ProposedContent>,
}

#[derive(Deserialize)]
struct ProposedChart {
    provenance: Option<ProposedContent>,
}

#[derive(Deserialize)]
struct ProposedContent {
    content: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    chart: Chart,
    #[serde(rename = "publicKey")]
    public_key: Content,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chart {
    hash: Hash,
    provenance: Provenance,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provenance {
    signature: Content,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    content: String,
}

const KEY: &str = "publicKey.content";
const PROVENANCE: &str = "chart.provenance.content";
const SIGNATURE: &str = "chart.provenance.signature.content";

/// Helm itself takes metadata of a chart up to 5 MiB, and nobody has as much.
const MAX_PROVENANCE: usize = 1 << 20;
