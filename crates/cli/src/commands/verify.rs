//! `tegula verify`

use std::collections::HashMap;

use futures::{StreamExt, stream};
use serde_json::Value;
use tegula_client::VerifiedCheckpoint;
use tegula_entries::StoredEntry;
use tegula_tlog::{Hash, LeafIndex, leaf_hash};

use crate::commands::entry::{EntryArgs, Payload, Prepared, Subject};
use crate::commands::leaf::{self, Proven};
use crate::context::{Context, Log};
use crate::exit::CliError;
use crate::output::Tally;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    entry: EntryArgs,

    #[command(flatten)]
    named: leaf::Named,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    if args.entry.is_empty() {
        return verify_named(&args.named, cx).await;
    }
    let subjects = args.entry.subjects()?;
    let named = args.named.log_index.is_some() || args.named.uuid.is_some();
    if named && subjects.len() > 1 {
        return Err(CliError::usage(
            "--log-index and --uuid name one entry, but several are given",
        ));
    }
    let mut tally = Tally::new(subjects.len());
    let mut prepared = Vec::new();
    for outcome in prepare_all(subjects).await {
        match outcome {
            Ok(subject) => prepared.push(subject),
            Err(error) => tally.failed(cx, error)?,
        }
    }
    let log = cx.open_log().await?;
    let checkpoint = log.checkpoint(cx).await?;
    let found = match args.named.find(&log, &checkpoint).await? {
        Some(index) => at(&log, &checkpoint, index, &prepared).await?,
        None => {
            let leaves = prepared.iter().flat_map(leaves).collect();
            leaf::find(&log, &checkpoint, leaves).await?
        }
    };
    for subject in &prepared {
        match verify_one(&log, &checkpoint, subject, &found).await {
            Ok((proven, body)) => print(
                cx,
                &checkpoint,
                &proven,
                Some(&subject.name),
                body,
                signature(subject),
            ),
            Err(error) => tally.failed(cx, error.about(&subject.name))?,
        }
    }
    tally.finish()
}

/// Reads and hashes the files, several at a time; in their order.
pub(crate) async fn prepare_all(subjects: Vec<Subject>) -> Vec<Result<Prepared, CliError>> {
    stream::iter(subjects)
        .map(prepare)
        .buffered(FILES_AT_ONCE)
        .collect()
        .await
}

pub(crate) async fn prepare(subject: Subject) -> Result<Prepared, CliError> {
    tokio::task::spawn_blocking(move || subject.prepare())
        .await
        .map_err(CliError::io)?
}

/// An entry by its index or leaf hash alone: that it is in the log, and that the signature in it is good.
async fn verify_named(named: &leaf::Named, cx: &Context) -> Result<(), CliError> {
    if named.log_index.is_none() && named.uuid.is_none() {
        return Err(CliError::usage(
            "either FILE, --artifact, --artifact-hash, --entry, --log-index or --uuid must be given",
        ));
    }
    let log = cx.open_log().await?;
    let checkpoint = log.checkpoint(cx).await?;
    let index = named.find(&log, &checkpoint).await?;
    let index = index.ok_or_else(|| CliError::usage("no entry is named"))?;
    let (proven, body) = leaf::read(&log, &checkpoint, index).await?;
    let signature = match leaf::check_signature(&body)? {
        Some(_) => Signature::Good,
        None if StoredEntry::parse(&body).is_ok() => Signature::Unchecked,
        None => Signature::Unknown,
    };
    print(cx, &checkpoint, &proven, None, &body, signature);
    Ok(())
}

/// The entry at `index` as where it is, if it is one of the leaves that are meant.
async fn at(
    log: &Log,
    checkpoint: &VerifiedCheckpoint,
    index: LeafIndex,
    prepared: &[Prepared],
) -> Result<HashMap<Hash, LeafIndex>, CliError> {
    let (proven, _) = leaf::read(log, checkpoint, index).await?;
    if let Some(subject) = prepared
        .iter()
        .find(|subject| leaves(subject).all(|leaf| leaf != proven.leaf))
    {
        return Err(CliError::verification(format!(
            "entry {index} of the log is another one: its leaf hash is {}, expected {}",
            proven.leaf,
            leaves(subject)
                .map(|leaf| leaf.to_string())
                .collect::<Vec<_>>()
                .join(" or ")
        ))
        .about(&subject.name));
    }
    Ok(HashMap::from([(proven.leaf, index)]))
}

async fn verify_one<'a>(
    log: &Log,
    checkpoint: &VerifiedCheckpoint,
    subject: &'a Prepared,
    found: &HashMap<Hash, LeafIndex>,
) -> Result<(Proven, &'a [u8]), CliError> {
    let place = subject.bodies.iter().find_map(|body| {
        let leaf = leaf_hash(body);
        found.get(&leaf).map(|index| (body, leaf, *index))
    });
    let (body, leaf, index) =
        place.ok_or_else(|| leaf::not_in_log("this signature", checkpoint))?;
    let proven = leaf::prove(log, checkpoint, index, leaf).await?;
    Ok((proven, body))
}

fn leaves(subject: &Prepared) -> impl Iterator<Item = Hash> + '_ {
    subject.bodies.iter().map(|body| leaf_hash(body))
}

/// What is known of the signature in an entry.
#[derive(Copy, Clone)]
enum Signature {
    Good,
    /// What it is over is not in the entry.
    Unchecked,
    /// Of this kind of entry none is known: that it is in the log is all that was verified.
    Unknown,
}

/// Subjects that are no raw entries were verified before they were looked for.
fn signature(subject: &Prepared) -> Signature {
    match subject.payload {
        Payload::Raw(_) => Signature::Unknown,
        Payload::Request(_) | Payload::Proposed(_) => Signature::Good,
    }
}

fn print(
    cx: &Context,
    checkpoint: &VerifiedCheckpoint,
    proven: &Proven,
    name: Option<&str>,
    body: &[u8],
    signature: Signature,
) {
    let (signature, words) = match signature {
        Signature::Good => ("verified", "verified"),
        Signature::Unchecked => (
            "unknown",
            "not checked, as what was signed is not in an entry of this kind: name its files to check it",
        ),
        Signature::Unknown => (
            "unknown",
            "none known in an entry of this kind: that it is in the log is all that is verified",
        ),
    };
    if cx.output.is_json() {
        let mut json = leaf::proven_json(proven, checkpoint);
        if let Some(fields) = json.as_object_mut() {
            fields.insert("verified".to_owned(), Value::Bool(true));
            fields.insert("signature".to_owned(), Value::from(signature));
            if let Some(name) = name {
                fields.insert("artifact".to_owned(), Value::from(name));
            }
        }
        cx.output.json(&json);
        return;
    }
    match name {
        Some(name) => cx.output.line(format!("Verified: {name}")),
        None => cx.output.line(format!("Verified: entry {}", proven.index)),
    }
    leaf::print_proven(cx, proven, checkpoint);
    if let Ok(entry) = StoredEntry::parse(body) {
        leaf::print_entry(cx, &entry);
    }
    cx.output.line(format!("Signature: {words}"));
}

/// Hashing takes a core each; reading may have to wait.
const FILES_AT_ONCE: usize = 8;
