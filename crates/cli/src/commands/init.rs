//! `tegula init`

use std::fs;
use std::path::Path;

use serde_json::json;
use tegula_sequencer::Signers;
use tegula_server::describe;
use tegula_signers::{KeySource, LogKey, in_order};
use tegula_storage::Directory;
use tegula_tlog::{LogDescription, SigningKey};

use crate::context::Context;
use crate::env::random;
use crate::exit::CliError;
use crate::home::Home;
use crate::keys;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where: a directory that is absent or empty, or buckets
    #[arg(value_name = "DIR|s3://BUCKET?private=s3://BUCKET")]
    home: Home,

    /// The log's name: the bare host name of its public URL
    #[arg(long, value_name = "NAME")]
    origin: String,

    #[command(flatten)]
    log: LogArgs,
}

/// What a log is made of.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LogArgs {
    /// An existing Ed25519 key: a file, env:NAME, kms:KEY, secret:NAME or ssm:NAME; PKCS#8 PEM, or the private key of a signed note. In a
    /// directory one is made unless it is given. Given twice, the other is an ECDSA P-256 key to sign with besides
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<KeySource>,

    /// Sign with a new ECDSA P-256 key besides
    #[arg(long)]
    pub(crate) ecdsa: bool,

    /// Take any bytes up to 65,535 by POST /add, and no Rekor entries
    #[arg(long)]
    pub(crate) raw: bool,

    /// Keep attestations of up to so many bytes beside the log, which entries of the kinds intoto and cose refer to; Rekor keeps 102400
    #[arg(long, value_name = "BYTES", conflicts_with = "raw", value_parser = clap::value_parser!(u64).range(1..=4_194_304))]
    pub(crate) attestations: Option<u64>,
}

impl LogArgs {
    /// A log of raw entries.
    pub(crate) fn raw() -> Self {
        Self {
            raw: true,
            ..Self::default()
        }
    }

    /// The keys that are given, the Ed25519 key first, and where they are.
    pub(crate) async fn keys(&self, origin: &str) -> Result<Vec<LogKey>, CliError> {
        // Whether any key can have this name.
        SigningKey::ed25519_from_seed(origin, &[0; 32])
            .map_err(|error| CliError::usage(format!("origin: {error}")))?;
        let mut given = Vec::new();
        for source in &self.key {
            given.push(source.open(origin).await.map_err(CliError::usage)?);
        }
        if given.is_empty() {
            return Ok(given);
        }
        let given = in_order(given).map_err(|error| CliError::usage(format!("--key: {error}")))?;
        if self.ecdsa && given.len() > 1 {
            return Err(CliError::usage(
                "--ecdsa makes a new ECDSA P-256 key, and --key gives one",
            ));
        }
        Ok(given)
    }
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    let description = make(&args.home, &args.origin, &args.log).await?;
    tell(&args.home, &description, cx);
    Ok(())
}

fn tell(home: &Home, description: &LogDescription, cx: &Context) {
    if cx.output.is_json() {
        cx.output.json(&json!({
            "directory": home.to_string(),
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
pub(crate) async fn make(
    home: &Home,
    origin: &str,
    args: &LogArgs,
) -> Result<LogDescription, CliError> {
    if home.is_made().await? {
        return Err(CliError::usage(format!("{home} is a log already")));
    }
    let keys = prepare(home, origin, args).await?;
    let entered = home.enter().await?;
    let verifiers: Vec<_> = keys.iter().map(LogKey::verifier).collect();
    let mut description = describe(origin, &verifiers, args.raw);
    description.limits.attestation_bytes = args.attestations;
    let signers = Signers::new(keys.iter().map(LogKey::signer).collect());
    let made = tegula_sequencer::init(entered.store().as_ref(), &signers, &description).await;
    entered.leave().await?;
    made.map_err(CliError::io)?;
    Ok(description)
}

/// The keys of a log that is to be made. In a directory it makes that, and the keys, as far as they are not there.
pub(crate) async fn prepare(
    home: &Home,
    origin: &str,
    args: &LogArgs,
) -> Result<Vec<LogKey>, CliError> {
    // Before anything is made: what cannot be.
    let mut given = args.keys(origin).await?;
    let root = match home {
        Home::Directory(root) => root,
        Home::Buckets(_) if given.is_empty() || args.ecdsa => {
            return Err(CliError::usage(format!(
                "in {home} no keys are kept: make them (openssl genpkey -algorithm ed25519 -out log.pem) and pass --key, to each command that writes"
            )));
        }
        Home::Buckets(_) => return Ok(given),
    };
    if !root.join("private/format").exists() {
        Directory::make(root).map_err(CliError::usage)?;
    }
    // What is kept in a service or a variable is not copied to a disk.
    let elsewhere = args
        .key
        .iter()
        .any(|key| !matches!(key, KeySource::File(_)));
    let found: Vec<_> = home.kept_keys(origin)?;
    let mut found: Vec<_> = found
        .into_iter()
        .map(|key| LogKey::Held(Box::new(key)))
        .collect();
    if found.is_empty() && given.is_empty() {
        let key = SigningKey::ed25519_from_seed(origin, &random()?).map_err(CliError::usage)?;
        given.push(LogKey::Held(Box::new(key)));
    }
    if args.ecdsa && found.len() < 2 {
        let key = SigningKey::ecdsa_from_scalar(origin, &random()?).map_err(CliError::io)?;
        given.push(LogKey::Held(Box::new(key)));
    }
    for key in given {
        let same_kind = |other: &&LogKey| other.verifier().kind() == key.verifier().kind();
        match found.iter().find(same_kind) {
            None => {
                if let LogKey::Held(key) = &key
                    && !elsewhere
                {
                    keys::write(root, key)?;
                }
                found.push(key);
            }
            Some(other) if other.verifier() == key.verifier() => {}
            Some(other) => {
                return Err(CliError::usage(format!(
                    "{home} has the key {} already, which is not the one that is given",
                    other.verifier()
                )));
            }
        }
    }
    in_order(found).map_err(CliError::usage)
}
