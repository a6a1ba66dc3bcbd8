//! `tegula fsck --repair`: damaged objects made again from the slots.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::json;
use tegula_sequencer::{Config, RebuildReport, Signers, give_up_slots, rebuild};
use tegula_signers::KeySource;
use tegula_storage::{Condition, ObjectPath, Store};

use crate::commands::import::marker;
use crate::context::Context;
use crate::exit::CliError;
use crate::home::{Entered, Home};
use crate::keys;

/// Rebuilds every object of a log that the slots still cover, whatever was synced.
///
/// This is what the server does after an unclean stop, but from the first slot on. So a directory is marked as stopped uncleanly,
/// which also keeps servers out until the end; if this fails, the next server finds the mark and rebuilds by itself.
pub(crate) async fn run(home: &Home, keys: &[KeySource], cx: &Context) -> Result<(), CliError> {
    let (report, given_up) = match home {
        Home::Directory(root) => repair_directory(home, root, keys).await?,
        // Nothing there is torn, and nobody is in the way: what is right stays, and what is not is replaced.
        Home::Buckets(_) => {
            let entered = home.enter().await?;
            let signers = signers(home, &entered, keys).await?;
            rebuild_all(entered.store().as_ref(), signers).await?
        }
    };
    if cx.output.is_json() {
        cx.output.json(&json!({"repaired": {
            "from": report.from.to_string(),
            "to": report.to.to_string(),
            "slots": report.slots.to_string(),
            "sound": report.sound.to_string(),
            "missing": report.missing.to_string(),
            "damaged": report.torn.to_string(),
            "damagedSlots": report.damaged,
            "slotsGivenUp": given_up,
        }}));
    } else {
        cx.output.line(format!(
            "Repaired: {} missing and {} damaged objects, from {} slots that cover the entries {} to {}",
            report.missing, report.torn, report.slots, report.from, report.to
        ));
        for slot in &report.damaged {
            cx.output
                .line(format!("Damaged slot, whose entries are sound: {slot}"));
        }
        if given_up {
            cx.output.line(
                "The last slot before the checkpoint is gone or damaged, and all tiles and bundles are sound: \
                 the log goes on from the checkpoint, and the slots before it go",
            );
        }
    }
    Ok(())
}

async fn repair_directory(
    home: &Home,
    root: &Path,
    keys: &[KeySource],
) -> Result<(RebuildReport, bool), CliError> {
    marker::refuse_half_imported(root)?;
    mark_unclean(root)?;
    let entered = home.enter().await?;
    let store = entered.store();
    if store.condition() == Condition::Clean {
        entered.leave().await?;
        return Err(CliError::io(format!(
            "{home} is in use: stop the server before --repair"
        )));
    }
    let outcome = match signers(home, &entered, keys).await {
        Ok(signers) => rebuild_all(store.as_ref(), signers).await,
        Err(error) => Err(error),
    };
    if outcome.is_ok() {
        store.recovered().await.map_err(CliError::io)?;
    }
    // An unclean store keeps its mark.
    entered.leave().await?;
    outcome
}

async fn signers(home: &Home, entered: &Entered, keys: &[KeySource]) -> Result<Signers, CliError> {
    let description = entered.description().await?;
    keys::signers(home, &description, keys).await
}

async fn rebuild_all(
    store: &dyn Store,
    signers: Signers,
) -> Result<(RebuildReport, bool), CliError> {
    let log_id = signers.first().map_err(CliError::usage)?.full_key_id();
    // Rebuilding begins at `base`, below which all was synced once; what is damaged now may be older.
    let base = ObjectPath::private("base").map_err(CliError::io)?;
    let kept = store.read(&base).await.map_err(CliError::io)?;
    store.remove(&base).await.map_err(CliError::io)?;
    let config = Config::new(signers);
    let outcome = match rebuild(store, &config, log_id).await {
        Ok(report) => give_up_slots(store, &config)
            .await
            .map(|given_up| (report, given_up)),
        Err(error) => Err(error),
    };
    if let (Err(_), Some(kept)) = (&outcome, kept) {
        store
            .replace(&base, None, kept.bytes)
            .await
            .map_err(CliError::io)?;
    }
    // Otherwise it stays away until a server writes it: what was rebuilt is not synced before the store is closed.
    outcome.map_err(|error| CliError::verification(format!("cannot repair: {error}")))
}

fn mark_unclean(root: &Path) -> Result<(), CliError> {
    let mark = root.join("private/dirty");
    match fs::File::create_new(&mark).and_then(|file| file.sync_all()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(CliError::io(format!("{}: {error}", mark.display()))),
    }
}
