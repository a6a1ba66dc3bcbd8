//! `tegula init`

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tegula_storage::{Directory, DirectoryOptions};
use tegula_tlog::{KeyKind, Limits, LogDescription, MAX_ENTRY_LEN, SigningKey};

use crate::context::Context;
use crate::env::random;
use crate::exit::CliError;
use crate::keys;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where: a directory that is absent or empty
    directory: PathBuf,

    /// The log's name: the bare host name of its public URL
    #[arg(long, value_name = "NAME")]
    origin: String,

    #[command(flatten)]
    log: LogArgs,
}

/// What a log is made of.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LogArgs {
    /// An existing Ed25519 key: PKCS#8 PEM, or the private key of a signed note; otherwise one is made
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Sign with a new ECDSA P-256 key besides
    #[arg(long)]
    ecdsa: bool,

    /// Take any bytes up to 65,535 by POST /add, and no Rekor entries
    #[arg(long)]
    raw: bool,
}

impl LogArgs {
    /// A log of raw entries.
    pub(crate) fn raw() -> Self {
        Self {
            raw: true,
            ..Self::default()
        }
    }
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    make(&args.directory, &args.origin, &args.log).await?;
    let (description, _) = keys::load(&args.directory)?;
    tell(&args.directory, &description, cx);
    Ok(())
}

fn tell(directory: &Path, description: &LogDescription, cx: &Context) {
    if cx.output.is_json() {
        cx.output.json(&json!({
            "directory": directory.display().to_string(),
            "origin": description.origin,
            "keys": description.keys,
        }));
        return;
    }
    cx.output.line(format!("Origin: {}", description.origin));
    for key in &description.keys {
        cx.output.line(format!("Key:    {key}"));
    }
}

/// Whether there is a log in the directory, or it is absent or empty, or the making of one was cut off there.
pub(crate) fn is_made(root: &Path) -> bool {
    root.join("public/checkpoint").exists()
        || root.join("public/log.json").exists() && holds_slots(root)
}

fn holds_slots(root: &Path) -> bool {
    let entries = fs::read_dir(root.join("private/wal"));
    entries.is_ok_and(|mut entries| entries.next().is_some())
}

/// Makes a log. If that is cut off it can be done again.
pub(crate) async fn make(root: &Path, origin: &str, args: &LogArgs) -> Result<(), CliError> {
    if is_made(root) {
        return Err(CliError::usage(format!(
            "{} is a log already",
            root.display()
        )));
    }
    // Before anything is made: a name that no key can have.
    SigningKey::ed25519_from_seed(origin, &[0; 32])
        .map_err(|error| CliError::usage(format!("origin: {error}")))?;
    let given = args
        .key
        .as_deref()
        .map(|path| keys::read(path, origin))
        .transpose()?;
    if given
        .as_ref()
        .is_some_and(|key| key.verifier().kind() != KeyKind::Ed25519)
    {
        return Err(CliError::usage("--key: expected an Ed25519 key"));
    }
    if !root.join("private/format").exists() {
        Directory::make(root).map_err(CliError::usage)?;
    }
    let mut signers = keys::read_all(root, origin)?;
    if signers.is_empty() {
        let first = match given {
            Some(key) => key,
            None => SigningKey::ed25519_from_seed(origin, &random()?).map_err(CliError::usage)?,
        };
        keys::write(root, &first)?;
        signers.push(first);
        if args.ecdsa {
            let second = SigningKey::ecdsa_from_scalar(origin, &random()?).map_err(CliError::io)?;
            keys::write(root, &second)?;
            signers.push(second);
        }
    }
    let store = Directory::open(root, DirectoryOptions::default()).map_err(CliError::io)?;
    let description = describe(origin, &signers, args.raw);
    let made = tegula_sequencer::init(&store, &signers, &description).await;
    store.close().await.map_err(CliError::io)?;
    made.map_err(CliError::io)
}

fn describe(origin: &str, signers: &[SigningKey], raw: bool) -> LogDescription {
    let (entries, apis): (&[_], _) = if raw {
        (&["raw"], "add")
    } else {
        (&["hashedrekord/0.0.2"], "rekor/v2")
    };
    LogDescription {
        format: LogDescription::FORMAT,
        origin: origin.to_owned(),
        keys: signers
            .iter()
            .map(|key| key.verifier().to_string())
            .collect(),
        slot_format: tegula_sequencer::SLOT_VERSION,
        entries: entries.iter().map(ToString::to_string).collect(),
        apis: vec![apis.to_owned()],
        limits: Limits {
            entry_bytes: MAX_ENTRY_LEN as u64,
            batch_entries: 1_000,
            batch_bytes: 4 << 20,
        },
    }
}
