//! `tegula proof make` and `tegula proof check`

use std::path::PathBuf;

use serde_json::json;
use tegula_tlog::{Hash, TlogProof, leaf_hash};

use crate::commands::entry::{self, EntryArgs};
use crate::commands::leaf::{self, parse_uuid};
use crate::commands::verify::prepare;
use crate::context::{Context, Log};
use crate::exit::CliError;
use crate::trust;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write a proof that an entry is in the log
    Make(Make),
    /// Check a proof, without any log
    Check(Check),
}

#[derive(Debug, clap::Args)]
struct Make {
    #[command(flatten)]
    entry: EntryArgs,

    #[command(flatten)]
    named: leaf::Named,

    /// Where the proof goes; standard output unless it is given
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The .tlog-proof file
    #[arg(value_name = "PROOF")]
    proof: PathBuf,

    #[command(flatten)]
    entry: EntryArgs,

    /// The leaf hash of the entry, instead of what it is made from
    #[arg(long, value_name = "HEX", value_parser = parse_uuid)]
    uuid: Option<Hash>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    match args.action {
        Action::Make(args) => make(args, cx).await,
        Action::Check(args) => check(args, cx).await,
    }
}

async fn make(args: Make, cx: &Context) -> Result<(), CliError> {
    let leaves = leaves(&args.entry).await?;
    let log = cx.open_log().await?;
    let checkpoint = log.checkpoint(cx).await?;
    let index = match args.named.find(&log, &checkpoint).await? {
        Some(index) => index,
        None if leaves.is_empty() => {
            return Err(CliError::usage(
                "either FILE, --artifact, --artifact-hash, --entry, --log-index or --uuid must be given",
            ));
        }
        None => {
            let found = leaf::find(&log, &checkpoint, leaves.iter().copied().collect()).await?;
            let index = leaves.iter().find_map(|leaf| found.get(leaf));
            *index.ok_or_else(|| leaf::not_in_log("this signature", &checkpoint))?
        }
    };
    let (proven, _) = leaf::read(&log, &checkpoint, index).await?;
    if !leaves.is_empty() && !leaves.contains(&proven.leaf) {
        return Err(CliError::verification(format!(
            "entry {index} of the log is another one: its leaf hash is {}",
            proven.leaf
        )));
    }
    let proof = TlogProof {
        extra: None,
        index,
        hashes: proven.proof,
        checkpoint: checkpoint.note().to_vec(),
    };
    write(&args.output, &proof, cx, &log)
}

fn write(
    output: &Option<PathBuf>,
    proof: &TlogProof,
    cx: &Context,
    log: &Log,
) -> Result<(), CliError> {
    let text = proof.to_string();
    match output {
        Some(path) if !entry::is_stdin(path) => {
            std::fs::write(path, text).map_err(|error| entry::io_error(path, &error))?;
            if cx.output.is_json() {
                cx.output.json(&json!({
                    "logIndex": proof.index.to_string(),
                    "file": path.display().to_string(),
                }));
            } else {
                cx.output.line(format!(
                    "Proof of entry {} of {} written to {}",
                    proof.index,
                    log.source.name(),
                    path.display()
                ));
            }
        }
        _ if cx.output.is_json() => {
            let index = proof.index.to_string();
            cx.output.json(&json!({"logIndex": index, "proof": text}));
        }
        _ => cx.output.bytes(text.as_bytes()),
    }
    Ok(())
}

async fn check(args: Check, cx: &Context) -> Result<(), CliError> {
    let policy = trust::resolve_offline(cx).await?;
    let mut leaves = leaves(&args.entry).await?;
    leaves.extend(args.uuid);
    if leaves.is_empty() {
        return Err(CliError::usage(
            "either FILE, --artifact, --artifact-hash, --entry or --uuid must be given: what the proof is about",
        ));
    }
    let name = args.proof.display().to_string();
    let bytes = entry::read_capped(&args.proof, MAX_PROOF_LEN)
        .map_err(|error| entry::io_error(&args.proof, &error))?
        .ok_or_else(|| CliError::verification(format!("{name} is longer than any proof")))?;
    let proof = TlogProof::parse(&bytes)
        .map_err(|error| CliError::verification(format!("{name}: {error}")))?;
    let mut outcome = Err(CliError::usage("nothing to check"));
    for leaf in &leaves {
        let verified = tegula_client::verify_proof(&proof, leaf, &policy);
        outcome = verified
            .map(|checkpoint| (leaf, checkpoint))
            .map_err(CliError::from);
        if outcome.is_ok() {
            break;
        }
    }
    let (leaf, checkpoint) = outcome.map_err(|error| error.about(&name))?;
    if cx.output.is_json() {
        cx.output.json(&json!({
            "verified": true,
            "proof": name,
            "logIndex": proof.index.to_string(),
            "uuid": leaf.to_string(),
            "origin": checkpoint.origin,
            "treeSize": checkpoint.size.to_string(),
            "rootHash": checkpoint.root.to_string(),
        }));
        return Ok(());
    }
    cx.output.line(format!("Verified: {name}"));
    cx.output.line(format!("Entry Index: {}", proof.index));
    cx.output.line(format!("Entry Hash: {leaf}"));
    cx.output.line(format!("Origin: {}", checkpoint.origin));
    cx.output.line(format!("Tree Size: {}", checkpoint.size));
    cx.output.line(format!("Root Hash: {}", checkpoint.root));
    Ok(())
}

/// The leaf hashes that the one entry which is named may have; none if none is named.
async fn leaves(entry: &EntryArgs) -> Result<Vec<Hash>, CliError> {
    if entry.is_empty() {
        return Ok(Vec::new());
    }
    let mut subjects = entry.subjects()?;
    match (subjects.pop(), subjects.is_empty()) {
        (Some(subject), true) => {
            let prepared = prepare(subject).await?;
            Ok(prepared.bodies.iter().map(|body| leaf_hash(body)).collect())
        }
        _ => Err(CliError::usage(
            "a proof is of one entry, but several are given",
        )),
    }
}

/// 63 hashes, a checkpoint and its signatures are far less.
const MAX_PROOF_LEN: u64 = 1 << 20;
