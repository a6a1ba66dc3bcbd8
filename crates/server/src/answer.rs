//! The JSON of answers to uploads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tegula_entries::Entry;
use tegula_sequencer::{Published, Receipt};
use tegula_tlog::Hash;

/// Rekor's `TransparencyLogEntry`: every field, and none besides. Integers of 64 bits are strings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransparencyLogEntry {
    log_index: String,
    log_id: LogId,
    kind_version: KindVersion,
    integrated_time: &'static str,
    inclusion_promise: (),
    inclusion_proof: InclusionProof,
    canonicalized_body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Serialize)]
struct KindVersion {
    kind: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    log_index: String,
    root_hash: String,
    tree_size: String,
    hashes: Vec<String>,
    checkpoint: Checkpoint,
}

#[derive(Serialize)]
struct Checkpoint {
    envelope: String,
}

impl TransparencyLogEntry {
    pub(crate) fn new(log_id: &[u8; 32], entry: &Entry, receipt: &Receipt) -> Self {
        let published = &receipt.published;
        Self {
            log_index: receipt.index.to_string(),
            log_id: LogId {
                key_id: STANDARD.encode(log_id),
            },
            kind_version: KindVersion {
                kind: entry.kind(),
                version: entry.version(),
            },
            // What signed time there is comes from a timestamp authority, not from the log.
            integrated_time: "0",
            inclusion_promise: (),
            inclusion_proof: InclusionProof {
                log_index: receipt.index.to_string(),
                root_hash: published.root.to_base64(),
                tree_size: published.size.to_string(),
                hashes: hashes(&receipt.proof),
                checkpoint: Checkpoint {
                    envelope: envelope(published),
                },
            },
            canonicalized_body: STANDARD.encode(entry.body()),
        }
    }
}

/// The answer to a batch: the checkpoint once, and for each request its index and proof, or why it was refused.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Batch {
    checkpoint: String,
    tree_size: String,
    root_hash: String,
    entries: Vec<BatchEntry>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum BatchEntry {
    Logged {
        log_index: String,
        hashes: Vec<String>,
    },
    Refused {
        error: String,
    },
}

impl Batch {
    pub(crate) fn new(published: &Published, entries: Vec<Result<Receipt, String>>) -> Self {
        let entries = entries.into_iter().map(|entry| match entry {
            Ok(receipt) => BatchEntry::Logged {
                log_index: receipt.index.to_string(),
                hashes: hashes(&receipt.proof),
            },
            Err(error) => BatchEntry::Refused { error },
        });
        Self {
            checkpoint: envelope(published),
            tree_size: published.size.to_string(),
            root_hash: published.root.to_base64(),
            entries: entries.collect(),
        }
    }
}

fn hashes(proof: &[Hash]) -> Vec<String> {
    proof.iter().map(Hash::to_base64).collect()
}

fn envelope(published: &Published) -> String {
    String::from_utf8_lossy(&published.checkpoint).into_owned()
}
