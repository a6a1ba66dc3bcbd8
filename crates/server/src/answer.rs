//! The JSON of answers to uploads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tegula_sequencer::{Published, Receipt};
use tegula_tlog::Hash;

/// Rekor's `TransparencyLogEntry`: every field, and none besides.
pub(crate) fn transparency_log_entry(
    log_id: &[u8; 32],
    kind: &str,
    version: &str,
    body: &[u8],
    receipt: &Receipt,
) -> Value {
    let index = receipt.index.to_string();
    let published = &receipt.published;
    json!({
        "logIndex": index,
        "logId": {"keyId": STANDARD.encode(log_id)},
        "kindVersion": {"kind": kind, "version": version},
        "integratedTime": "0",
        "inclusionPromise": null,
        "inclusionProof": {
            "logIndex": index,
            "rootHash": published.root.to_base64(),
            "treeSize": published.size.to_string(),
            "hashes": hashes(&receipt.proof),
            "checkpoint": {"envelope": envelope(published)},
        },
        "canonicalizedBody": STANDARD.encode(body),
    })
}

/// The answer to a batch: the checkpoint once, and for each request its index and proof, or why it was refused.
pub(crate) fn batch(published: &Published, entries: Vec<Result<Receipt, String>>) -> Value {
    let entries = entries.into_iter().map(|entry| match entry {
        Ok(receipt) => json!({
            "logIndex": receipt.index.to_string(),
            "hashes": hashes(&receipt.proof),
        }),
        Err(reason) => json!({"error": reason}),
    });
    json!({
        "checkpoint": envelope(published),
        "treeSize": published.size.to_string(),
        "rootHash": published.root.to_base64(),
        "entries": entries.collect::<Vec<_>>(),
    })
}

fn hashes(proof: &[Hash]) -> Vec<String> {
    proof.iter().map(Hash::to_base64).collect()
}

fn envelope(published: &Published) -> String {
    String::from_utf8_lossy(&published.checkpoint).into_owned()
}
