//! `tegula loginfo`

use serde_json::json;
use tegula_tlog::Hash;

use crate::context::Context;
use crate::exit::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: Args, cx: &Context) -> Result<(), CliError> {
    let log = cx.open_log().await?;
    let checkpoint = log.checkpoint(cx).await?;
    let key = checkpoint.key();
    let log_id = Hash(key.full_key_id());
    if cx.output.is_json() {
        cx.output.json(&json!({
            "origin": checkpoint.origin(),
            "treeSize": checkpoint.size().to_string(),
            "rootHash": checkpoint.root().to_string(),
            "logId": log_id.to_string(),
            "key": key.to_string(),
            "checkpoint": String::from_utf8_lossy(checkpoint.note()),
            "stale": checkpoint.stale().is_some(),
        }));
        return Ok(());
    }
    cx.output.line("Verification Successful!");
    cx.output
        .line(format!("Origin:    {}", checkpoint.origin()));
    cx.output.line(format!("Tree Size: {}", checkpoint.size()));
    cx.output.line(format!("Root Hash: {}", checkpoint.root()));
    cx.output.line(format!("Log ID:    {log_id}"));
    cx.output.line(format!("Key:       {key}"));
    Ok(())
}
