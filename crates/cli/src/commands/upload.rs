//! `tegula upload`

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tegula_client::{Api, ApiError, Uploaded, VerifiedCheckpoint};
use tegula_entries::KeyFacts;
use tegula_tlog::{Hash, LeafIndex, TlogProof, TreeSize, leaf_hash};
use tokio::sync::Mutex;

use crate::commands::entry::{EntryArgs, Payload, Prepared, Subject, io_error};
use crate::commands::leaf::{self, Proven};
use crate::commands::verify::prepare;
use crate::context::{Context, Log};
use crate::exit::CliError;
use crate::output::Tally;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    entry: EntryArgs,

    /// The bearer token, where the log asks for one
    #[arg(
        long,
        env = "TEGULA_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,

    /// Write the log's answer, a `TransparencyLogEntry` of Rekor in JSON, or for other kinds than hashedrekord a `LogEntry` of Rekor v1, to FILE
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,

    /// Write a proof that can be checked offline to FILE, or, for several entries, into the directory FILE
    #[arg(long, value_name = "FILE")]
    proof_out: Option<PathBuf>,

    /// Uploads in flight at one time
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    let api = cx.api(args.token.clone())?;
    let subjects = args.entry.subjects()?;
    let many = subjects.len() > 1;
    if many && args.bundle.is_some() {
        return Err(CliError::usage(
            "--bundle is for one entry, but several are given",
        ));
    }
    if let Some(path) = args
        .proof_out
        .as_ref()
        .filter(|path| many && !path.is_dir())
    {
        return Err(CliError::usage(format!(
            "{} is not a directory, which it must be for the proofs of several entries",
            path.display()
        )));
    }
    if args.proof_out.is_some() {
        let mut names = HashSet::new();
        if let Some(twice) = subjects
            .iter()
            .find(|subject| !names.insert(proof_name(&subject.name)))
        {
            return Err(CliError::usage(format!(
                "the proofs of two entries would be named {}: upload them one by one",
                proof_name(&twice.name)
            )));
        }
    }
    // Whom to trust is settled before anything is sent.
    let log = cx.open_log().await?;
    let uploader = Uploader {
        cx,
        api,
        log,
        seen: Mutex::default(),
    };
    let total = u64::try_from(subjects.len()).unwrap_or(u64::MAX);
    let bar = if many {
        cx.output.progress(total, "uploading")
    } else {
        cx.output.progress(0, "")
    };
    let mut tally = Tally::new(subjects.len());
    let mut uploads = stream::iter(subjects)
        .map(|subject| uploader.upload(subject))
        .buffered(args.jobs.into());
    while let Some(outcome) = uploads.next().await {
        bar.inc(1);
        let done = outcome.and_then(|receipt| {
            write_files(&args, many, &receipt)?;
            bar.suspend(|| print(cx, &receipt));
            Ok(())
        });
        if let Err(error) = done {
            bar.suspend(|| tally.failed(cx, error))?;
        }
    }
    bar.finish_and_clear();
    tally.finish()
}

#[derive(Debug)]
struct Uploader<'a> {
    cx: &'a Context,
    api: Api,
    log: Log,
    /// Checkpoints that were compared with what is remembered. Uploads that shared a batch share one.
    seen: Mutex<HashSet<Vec<u8>>>,
}

/// An entry that is in the log, which was verified.
#[derive(Debug)]
struct Receipt {
    name: String,
    /// Whose signatures the command verified before it sent anything.
    signers: Vec<KeyFacts>,
    proven: Proven,
    exists: bool,
    size: TreeSize,
    root: Hash,
    checkpoint: Bytes,
    json: Bytes,
}

impl Uploader<'_> {
    async fn upload(&self, subject: Subject) -> Result<Receipt, CliError> {
        let name = subject.name.clone();
        let receipt = async {
            let prepared = prepare(subject).await?;
            self.send(prepared)
                .await
                .map_err(|error| error.about(&name))
        };
        Box::pin(receipt).await
    }

    async fn send(&self, prepared: Prepared) -> Result<Receipt, CliError> {
        let Prepared {
            name,
            payload,
            mut bodies,
            signers,
        } = prepared;
        bodies.truncate(1);
        let body = bodies.pop().unwrap_or_default();
        let receipt = match payload {
            Payload::Request(request) => {
                let answer = self.api.upload(&request).await;
                self.answered(name, &body, answer).await
            }
            Payload::Proposed(proposed) => {
                check_len(&proposed)?;
                let answer = self.api.propose(&proposed).await;
                self.answered(name, &body, answer).await
            }
            Payload::Raw(bytes) => {
                let added = self.api.add(bytes).await?;
                self.look_up(name, added.index, leaf_hash(&body), added.duplicate)
                    .await
            }
        }?;
        Ok(Receipt { signers, ..receipt })
    }

    async fn answered(
        &self,
        name: String,
        body: &[u8],
        answer: Result<Uploaded, ApiError>,
    ) -> Result<Receipt, CliError> {
        match answer {
            Ok(uploaded) => self.check(name, body, uploaded).await,
            Err(ApiError::Exists { index: Some(index) }) => {
                self.look_up(name, index, leaf_hash(body), true).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The log's word counts for nothing here: the entry must be the one that was asked for, and proven.
    async fn check(
        &self,
        name: String,
        body: &[u8],
        uploaded: Uploaded,
    ) -> Result<Receipt, CliError> {
        if uploaded.body != body {
            return Err(CliError::verification(format!(
                "the log answered with another entry: its leaf hash is {}, expected {}",
                leaf_hash(&uploaded.body),
                leaf_hash(body)
            )));
        }
        uploaded.verify(&self.log.policy)?;
        self.accept(&uploaded.checkpoint).await?;
        Ok(Receipt {
            name,
            signers: Vec::new(),
            proven: Proven {
                index: uploaded.index,
                leaf: leaf_hash(body),
                proof: uploaded.proof,
            },
            exists: uploaded.duplicate,
            size: uploaded.size,
            root: uploaded.root,
            checkpoint: uploaded.checkpoint.into(),
            json: uploaded.json,
        })
    }

    /// An index is all that the log said: the proof is made from its tiles.
    async fn look_up(
        &self,
        name: String,
        index: LeafIndex,
        leaf: Hash,
        exists: bool,
    ) -> Result<Receipt, CliError> {
        let checkpoint = self.covering(index).await?;
        let proven = leaf::prove(&self.log, &checkpoint, index, leaf).await?;
        let json = json!({"logIndex": index.to_string()}).to_string();
        Ok(Receipt {
            name,
            signers: Vec::new(),
            proven,
            exists,
            size: checkpoint.size(),
            root: checkpoint.root(),
            checkpoint: Bytes::copy_from_slice(checkpoint.note()),
            json: json.into(),
        })
    }

    /// A checkpoint with the entry in it. A cache in front of the log may show the one before for a moment.
    async fn covering(&self, index: LeafIndex) -> Result<VerifiedCheckpoint, CliError> {
        for wait in CHECKPOINT_WAITS {
            let checkpoint = self.log.checkpoint(self.cx).await?;
            if index.get() < checkpoint.size().get() {
                return Ok(checkpoint);
            }
            tokio::time::sleep(wait).await;
        }
        Err(CliError::verification(format!(
            "the log said that the entry is at index {index}, but has not published a checkpoint that covers it"
        )))
    }

    async fn accept(&self, checkpoint: &[u8]) -> Result<(), CliError> {
        // Held while the comparison lasts, so that those who share a checkpoint wait for one comparison.
        let mut seen = self.seen.lock().await;
        if !seen.contains(checkpoint) {
            self.log.accept(self.cx, checkpoint).await?;
            seen.insert(checkpoint.to_vec());
        }
        Ok(())
    }
}

fn print(cx: &Context, receipt: &Receipt) {
    let Receipt {
        name,
        proven,
        exists,
        ..
    } = receipt;
    if cx.output.is_json() {
        let hashes: Vec<Value> = proven
            .proof
            .iter()
            .map(|hash| Value::from(hash.to_string()))
            .collect();
        cx.output.json(&json!({
            "artifact": name,
            "alreadyExists": exists,
            "logIndex": proven.index.to_string(),
            "uuid": proven.leaf.to_string(),
            "signers": leaf::signers_json(&receipt.signers),
            "treeSize": receipt.size.to_string(),
            "rootHash": receipt.root.to_string(),
            "hashes": hashes,
            "checkpoint": String::from_utf8_lossy(&receipt.checkpoint),
        }));
        return;
    }
    let what = if *exists {
        "Entry already exists"
    } else {
        "Created entry"
    };
    cx.output
        .line(format!("{what} at index {}: {name}", proven.index));
    cx.output.line(format!("UUID: {}", proven.leaf));
    leaf::print_signers(cx, &receipt.signers);
}

fn write_files(args: &Args, many: bool, receipt: &Receipt) -> Result<(), CliError> {
    let write = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).map_err(|error| io_error(path, &error))
    };
    if let Some(path) = &args.bundle {
        write(path, &receipt.json)?;
    }
    if let Some(path) = &args.proof_out {
        let proof = TlogProof {
            extra: None,
            index: receipt.proven.index,
            hashes: receipt.proven.proof.clone(),
            checkpoint: receipt.checkpoint.to_vec(),
        };
        let path = if many {
            path.join(proof_name(&receipt.name))
        } else {
            path.clone()
        };
        write(&path, proof.to_string().as_bytes())?;
    }
    Ok(())
}

/// What a log would not read is not sent.
fn check_len(proposed: &str) -> Result<(), CliError> {
    match proposed.len() {
        0..=MAX_REQUEST => Ok(()),
        len => Err(CliError::usage(format!(
            "the request has {len} bytes, and a log takes at most {MAX_REQUEST}"
        ))),
    }
}

/// `dist/app.tar.gz` → `app.tar.gz.tlog-proof`
fn proof_name(artifact: &str) -> String {
    let name = Path::new(artifact).file_name();
    let name = name.map_or_else(|| artifact.into(), |name| name.to_string_lossy());
    format!("{name}.tlog-proof")
}

const MAX_REQUEST: usize = 4 << 20;
/// Together a little more than a checkpoint may be cached.
const CHECKPOINT_WAITS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(3200),
];
