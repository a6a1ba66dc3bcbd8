//! `tegula logproof`

use serde_json::json;
use tegula_tlog::TreeSize;

use crate::context::Context;
use crate::exit::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The size of the smaller tree
    #[arg(long, value_name = "SIZE", default_value = "1")]
    first_size: TreeSize,

    /// The size of the larger tree; the published one unless it is given
    #[arg(long, value_name = "SIZE")]
    last_size: Option<TreeSize>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    let log = cx.open_log().await?;
    let checkpoint = log.checkpoint(cx).await?;
    let last = args.last_size.unwrap_or_else(|| checkpoint.size());
    if args.first_size > last {
        return Err(CliError::usage(format!(
            "--first-size {} is larger than {last}",
            args.first_size
        )));
    }
    if last > checkpoint.size() {
        return Err(CliError::not_found(format!(
            "--last-size {last} is larger than the log, which has {} entries",
            checkpoint.size()
        )));
    }
    let reader = &log.reader;
    let proof = reader
        .consistency_proof(&checkpoint, args.first_size, last)
        .await?;
    let hashes: Vec<_> = proof.hashes.iter().map(ToString::to_string).collect();
    if cx.output.is_json() {
        cx.output.json(&json!({
            "firstSize": args.first_size.to_string(),
            "firstRootHash": proof.old_root.to_string(),
            "lastSize": last.to_string(),
            "rootHash": proof.new_root.to_string(),
            "hashes": hashes,
        }));
        return Ok(());
    }
    cx.output
        .line(format!("First Root Hash: {}", proof.old_root));
    cx.output
        .line(format!("Current Root Hash: {}", proof.new_root));
    cx.output.line(format!("Hashes: [{}]", hashes.join(",")));
    Ok(())
}
