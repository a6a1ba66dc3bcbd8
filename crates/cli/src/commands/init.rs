//! `tegula init`

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tegula_storage::{Directory, DirectoryOptions};
use tegula_tlog::{KeyKind, Limits, LogDescription, MAX_ENTRY_LEN, SigningKey};

use crate::commands::import::marker;
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
    /// An existing Ed25519 key: PKCS#8 PEM, or the private key of a signed note; otherwise one is made. Given twice, the other is an
    /// ECDSA P-256 key to sign with besides
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,

    /// Sign with a new ECDSA P-256 key besides
    #[arg(long)]
    pub(crate) ecdsa: bool,

    /// Take any bytes up to 65,535 by POST /add, and no Rekor entries
    #[arg(long)]
    pub(crate) raw: bool,
}

impl LogArgs {
    /// A log of raw entries.
    pub(crate) fn raw() -> Self {
        Self {
            raw: true,
            ..Self::default()
        }
    }

    /// The keys that are given, the Ed25519 key first.
    pub(crate) fn keys(&self, origin: &str) -> Result<Vec<SigningKey>, CliError> {
        // Whether any key can have this name.
        SigningKey::ed25519_from_seed(origin, &[0; 32])
            .map_err(|error| CliError::usage(format!("origin: {error}")))?;
        let given: Result<Vec<_>, _> = self
            .key
            .iter()
            .map(|path| keys::read(path, origin))
            .collect();
        let mut given = given?;
        given.sort_by_key(|key| key.verifier().kind() != KeyKind::Ed25519);
        let kinds: Vec<_> = given.iter().map(|key| key.verifier().kind()).collect();
        match kinds[..] {
            [] | [KeyKind::Ed25519] => Ok(given),
            [KeyKind::Ed25519, KeyKind::EcdsaP256] if !self.ecdsa => Ok(given),
            _ => Err(CliError::usage(
                "--key: expected an Ed25519 key, and no more than one ECDSA P-256 key besides",
            )),
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
        // An imported log has no slots. One that lost its checkpoint is broken, and never an empty one.
        || root.join("private/base").exists()
        || root.join("private/floor").exists()
}

fn holds_slots(root: &Path) -> bool {
    let entries = fs::read_dir(root.join("private/wal"));
    entries.is_ok_and(|mut entries| entries.next().is_some())
}

/// Makes a log. If that is cut off it can be done again.
pub(crate) async fn make(root: &Path, origin: &str, args: &LogArgs) -> Result<(), CliError> {
    marker::refuse_half_imported(root)?;
    if is_made(root) {
        return Err(CliError::usage(format!(
            "{} is a log already",
            root.display()
        )));
    }
    let signers = prepare(root, origin, args)?;
    let store = Directory::open(root, DirectoryOptions::default()).map_err(CliError::io)?;
    let description = describe(origin, &signers, args.raw);
    let made = tegula_sequencer::init(&store, &signers, &description).await;
    store.close().await.map_err(CliError::io)?;
    made.map_err(CliError::io)
}

/// Makes the directory and the keys, as far as they are not there.
pub(crate) fn prepare(
    root: &Path,
    origin: &str,
    args: &LogArgs,
) -> Result<Vec<SigningKey>, CliError> {
    // Before anything is made: what cannot be.
    let mut given = args.keys(origin)?;
    if !root.join("private/format").exists() {
        Directory::make(root).map_err(CliError::usage)?;
    }
    let mut found = keys::read_all(root, origin)?;
    if found.is_empty() && given.is_empty() {
        given.push(SigningKey::ed25519_from_seed(origin, &random()?).map_err(CliError::usage)?);
    }
    if args.ecdsa && found.len() < 2 {
        given.push(SigningKey::ecdsa_from_scalar(origin, &random()?).map_err(CliError::io)?);
    }
    for key in given {
        let same_kind = |other: &&SigningKey| other.verifier().kind() == key.verifier().kind();
        match found.iter().find(same_kind) {
            None => {
                keys::write(root, &key)?;
                found.push(key);
            }
            Some(other) if other.verifier() == key.verifier() => {}
            Some(other) => {
                return Err(CliError::usage(format!(
                    "{} has the key {} already, which is not the one that is given",
                    root.display(),
                    other.verifier()
                )));
            }
        }
    }
    Ok(found)
}

pub(crate) fn describe(origin: &str, signers: &[SigningKey], raw: bool) -> LogDescription {
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
