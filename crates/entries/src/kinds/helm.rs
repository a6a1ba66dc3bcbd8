//! `helm` 0.0.1: a chart's provenance, which OpenPGP signed in the clear, and the chart by its digest.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::EntryError;
use crate::formats::pgp::{Clearsigned, PgpKey, check_stored_signature};
use crate::formats::{FormatKey, MAX_KEY_LEN};
use crate::kinds::spec::{Content, GivenContent, Hash, encode, read_spec};
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
        let hash = chart_hash(&provenance.text)?;
        let signature = key.canonical_signature(&provenance.signature)?;
        Ok(Verified {
            spec: json!({
                "chart": {
                    "hash": hash,
                    "provenance": {"signature": {"content": encode(signature)}},
                },
                "publicKey": {"content": encode(key.canonical())},
            }),
            signers,
            attestation: None,
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let spec: Stored = read_spec(spec)?;
        let key = PgpKey::parse_stored(KEY, &spec.public_key.content)?;
        check_stored_signature(SIGNATURE, &spec.chart.provenance.signature.content)?;
        let hash = &spec.chart.hash;
        hash.check_given(HASH)?;
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
fn chart_hash(text: &str) -> Result<Hash, EntryError> {
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
    let sum = file.1.trim().trim_matches(['"', '\'']);
    let (algorithm, value) = sum.split_once(':').unwrap_or(("", sum));
    let hash = Hash {
        algorithm: algorithm.to_owned(),
        value: value.to_owned(),
    };
    hash.check_given(HASH)?;
    Ok(hash)
}

#[derive(Deserialize)]
struct Proposed {
    chart: Option<ProposedChart>,
    #[serde(rename = "publicKey")]
    public_key: Option<GivenContent>,
}

#[derive(Deserialize)]
struct ProposedChart {
    provenance: Option<GivenContent>,
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
struct Provenance {
    signature: Content,
}

const HASH: &str = "chart.hash";
const KEY: &str = "publicKey.content";
const PROVENANCE: &str = "chart.provenance.content";
const SIGNATURE: &str = "chart.provenance.signature.content";

/// Helm itself takes metadata of a chart up to 5 MiB, and nobody has as much.
const MAX_PROVENANCE: usize = 1 << 20;
