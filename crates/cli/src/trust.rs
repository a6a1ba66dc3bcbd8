//! Whose signature makes a checkpoint the log's.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tegula_client::Source;
use tegula_tlog::{LogDescription, Policy, PolicyError, VerifierKey, leaf_hash};

use crate::context::Context;
use crate::exit::CliError;

/// What the user says of whom to trust.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Trusted<'a> {
    pub(crate) policy: Option<&'a Path>,
    pub(crate) keys: &'a [String],
    /// The flags by which it is said.
    pub(crate) flags: &'static str,
}

/// Keys that were taken from the log itself, at first use, and are held on to.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    file: PathBuf,
    flags: &'static str,
}

impl Pin {
    pub(crate) fn hint(&self) -> String {
        format!(
            "the key that is trusted was pinned at first use in {}; if the log was replaced on purpose, remove that file, or pass {}",
            self.file.display(),
            self.flags
        )
    }
}

/// The policy for the log at `source`: the one that is given, or the keys that are, or the keys that were pinned, or, at first use, those that the
/// log itself names and has signed its checkpoint with.
///
/// A pinned log that shows another key is a failed verification, not misbehaviour: nobody whose key was trusted has signed
/// anything wrong, and whoever is in between can show another key.
pub(crate) async fn resolve(
    cx: &Context,
    source: &Arc<dyn Source>,
    trusted: Trusted<'_>,
) -> Result<(Policy, Option<Pin>), CliError> {
    if let Some(policy) = given(trusted)? {
        return Ok((policy, None));
    }
    let flags = trusted.flags;
    let file = pin_file(cx, &source.name()).ok_or_else(|| {
        CliError::usage(format!(
            "no key to trust: pass {flags}, or --state DIR to pin the log's own key in"
        ))
    })?;
    let keys = match read_pin(&file)? {
        Some(keys) => keys,
        None => pin(cx, source, &file, flags).await?,
    };
    Ok((Policy::from_log_keys(keys), Some(Pin { file, flags })))
}

/// The policy without asking any log: what an offline check goes by.
pub(crate) async fn resolve_offline(cx: &Context) -> Result<Policy, CliError> {
    if let Some(policy) = given(cx.trusted())? {
        return Ok(policy);
    }
    let source = match cx.log_place() {
        Ok(place) => place.source(cx.http_options()).await.ok(),
        Err(_none_is_named) => None,
    };
    let keys = match source.and_then(|source| pin_file(cx, &source.name())) {
        Some(file) => read_pin(&file)?,
        None => None,
    };
    keys.map(Policy::from_log_keys).ok_or_else(|| {
        CliError::usage(
            "no key to check the proof with: pass --log-key or --policy, or --log of a log whose key is pinned",
        )
    })
}

fn given(trusted: Trusted<'_>) -> Result<Option<Policy>, CliError> {
    if let Some(file) = trusted.policy {
        let name = file.display();
        // Octets: the specification asks for no encoding.
        let text = fs::read(file).map_err(|error| CliError::usage(format!("{name}: {error}")))?;
        let policy = Policy::parse(&text);
        return policy
            .map(Some)
            .map_err(|error| CliError::usage(format!("{name}: {error}")));
    }
    if trusted.keys.is_empty() {
        return Ok(None);
    }
    let keys: Result<Vec<_>, _> = trusted.keys.iter().map(|key| parse_key(key)).collect();
    Ok(Some(Policy::from_log_keys(keys?)))
}

fn parse_key(text: &str) -> Result<VerifierKey, CliError> {
    text.parse()
        .map_err(|error| CliError::usage(format!("log key {text:?}: {error}")))
}

/// Named by the log's URL or directory: two logs may well have the same origin.
fn pin_file(cx: &Context, source: &str) -> Option<PathBuf> {
    let name = leaf_hash(source.as_bytes()).to_string();
    Some(cx.state()?.join("pins").join(name))
}

/// A line that says which log it is and when its keys were pinned, in milliseconds since 1970; then one verifier key a line.
fn read_pin(file: &Path) -> Result<Option<Vec<VerifierKey>>, CliError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::io(format!("{}: {error}", file.display()))),
    };
    let keys: Result<Vec<_>, _> = text.lines().skip(1).map(parse_key).collect();
    let keys = keys.map_err(|error| error.about(&file.display().to_string()))?;
    if keys.is_empty() {
        return Err(CliError::usage(format!("{} holds no key", file.display())));
    }
    Ok(Some(keys))
}

async fn pin(
    cx: &Context,
    source: &Arc<dyn Source>,
    file: &Path,
    flags: &str,
) -> Result<Vec<VerifierKey>, CliError> {
    let name = source.name();
    let description = source.fetch("log.json", MAX_DESCRIPTION_LEN).await?.ok_or_else(|| {
        CliError::not_found(format!(
            "{name} has no log.json to take a key from, so it is no log, or one that needs {flags}"
        ))
    })?;
    let description = LogDescription::parse(&description)
        .map_err(|error| CliError::verification(format!("{name}/log.json: {error}")))?;
    // Keys of a type that is not known here are for other readers.
    let keys: Vec<VerifierKey> = description
        .keys
        .iter()
        .filter_map(|key| key.parse().ok())
        .collect();
    if keys.is_empty() {
        return Err(CliError::verification(format!(
            "{name}/log.json names no key of a known type: pass {flags}"
        )));
    }

    // Keys that do not sign the checkpoint would lock the user out from the log.
    let checkpoint = source
        .fetch("checkpoint", tegula_client::MAX_CHECKPOINT_LEN)
        .await?
        .ok_or_else(|| CliError::io(format!("{name} has no checkpoint")))?;
    let (_, note) = Policy::from_log_keys(keys.clone())
        .check(&checkpoint)
        .map_err(|error: PolicyError| {
            CliError::verification(format!(
                "the checkpoint of {name} is not signed by the keys in its log.json: {error}"
            ))
        })?;
    // Only those that signed: any other name in the file is whoever's that served it.
    let keys = note.verified_by(&keys).map_err(CliError::verification)?;

    let names: Vec<_> = keys.iter().map(ToString::to_string).collect();
    let first_line = format!("{} {}", name.escape_debug(), cx.now_ms());
    if !write_pin(file, &first_line, &names)
        .map_err(|error| CliError::io(format!("{}: {error}", file.display())))?
        && let Some(pinned) = read_pin(file)?
    {
        return Ok(pinned);
    }
    cx.output.note(format!(
        "pinned the key that {name} shows, since none was given: {}",
        names.join(" ")
    ));
    Ok(keys)
}

/// `false`: another process was first.
fn write_pin(file: &Path, first_line: &str, keys: &[String]) -> io::Result<bool> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    let text = format!("{first_line}\n{}\n", keys.join("\n"));
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    // Whom the user trusts is nobody else's business, nor to be changed by anybody else.
    fs::remove_file(&temporary).unwrap_or_default();
    let mut out = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    // A link, unlike a rename, does not replace what another process has pinned.
    let linked = fs::hard_link(&temporary, file);
    fs::remove_file(&temporary)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

const MAX_DESCRIPTION_LEN: usize = 256 * 1024;
