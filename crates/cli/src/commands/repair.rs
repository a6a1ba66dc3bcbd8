//! `tegula fsck --repair`: damaged objects made again from the slots.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::json;
use tegula_sequencer::{Config, RebuildReport, give_up_slots, rebuild};
use tegula_storage::{Condition, Directory, DirectoryOptions, ObjectPath, Store};
use tegula_tlog::SigningKey;

use crate::commands::import::marker;
use crate::context::Context;
use crate::exit::CliError;
use crate::keys;

/// Rebuilds every object of the log in `root` that the slots still cover, whatever was synced.
///
/// This is what the server does after an unclean stop, but from the first slot on. So the directory is marked as stopped uncleanly,
/// which also keeps servers out until the end; if this fails, the next server finds the mark and rebuilds by itself.
pub(crate) async fn run(root: &Path, cx: &Context) -> Result<(), CliError> {
    marker::refuse_half_imported(root)?;
    let (_, signers) = keys::load(root)?;
    let log_id = signers
        .first()
        .map(|signer| signer.verifier().full_key_id())
        .ok_or_else(|| CliError::usage("the log has no key"))?;
    mark_unclean(root)?;
    let store = Directory::open(root, DirectoryOptions::default()).map_err(CliError::io)?;
    if store.condition() == Condition::Clean {
        store.close().await.map_err(CliError::io)?;
        return Err(CliError::io(format!(
            "{} is in use: stop the server before --repair",
            root.display()
        )));
    }
    let outcome = rebuild_all(&store, signers, log_id).await;
    if outcome.is_ok() {
        store.recovered().await.map_err(CliError::io)?;
    }
    // An unclean store keeps its mark.
    store.close().await.map_err(CliError::io)?;
    let (report, given_up) = outcome?;
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

async fn rebuild_all(
    store: &Directory,
    signers: Vec<SigningKey>,
    log_id: [u8; 32],
) -> Result<(RebuildReport, bool), CliError> {
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
