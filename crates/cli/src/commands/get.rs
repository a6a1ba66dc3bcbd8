//! `tegula get`

use std::path::PathBuf;

use serde_json::json;
use tegula_entries::StoredEntry;

use crate::commands::{entry, leaf};
use crate::context::Context;
use crate::exit::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    named: leaf::Named,

    /// Write the entry's bytes, as they are, to FILE; `-` is standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    if args.named.log_index.is_none() && args.named.uuid.is_none() {
        return Err(CliError::usage(
            "either --log-index or --uuid must be given",
        ));
    }
    let log = cx.open_log().await?;
    let checkpoint = log.checkpoint(cx).await?;
    let index = args.named.find(&log, &checkpoint).await?;
    let index =
        index.ok_or_else(|| CliError::usage("either --log-index or --uuid must be given"))?;
    let (proven, body) = leaf::read(&log, &checkpoint, index).await?;
    match &args.output {
        Some(path) if entry::is_stdin(path) => {
            cx.output.bytes(&body);
            return Ok(());
        }
        Some(path) => std::fs::write(path, &body).map_err(|error| entry::io_error(path, &error))?,
        None => {}
    }
    let mut json = leaf::proven_json(&proven, &checkpoint);
    let described = leaf::body_json(&body);
    if cx.output.is_json() {
        if let (Some(json), Some(described)) = (json.as_object_mut(), described.as_object()) {
            json.extend(described.clone());
        }
        cx.output.json(&json);
        return Ok(());
    }
    cx.output.line(format!("Index: {}", proven.index));
    cx.output.line(format!("UUID: {}", proven.leaf));
    let stored = StoredEntry::parse(&body).ok();
    if let Some(stored) = &stored {
        leaf::print_entry(cx, stored);
    }
    let parsed = described.get("entry").filter(|entry| !entry.is_null());
    match (parsed, stored) {
        // As rekor-cli does.
        (Some(entry), Some(stored)) => {
            let object = json!({stored.object(): entry.get("spec")});
            cx.output.lines(format!("Body: {object:#}"));
        }
        (Some(entry), None) => cx.output.lines(format!("Body: {entry:#}")),
        (None, _) => match str::from_utf8(&body) {
            Ok(text) => cx.output.line(format!("Body: {text}")),
            Err(_binary) => cx.output.line(format!("Body: {}", body.escape_ascii())),
        },
    }
    Ok(())
}
