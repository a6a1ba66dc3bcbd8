//! The writer itself, without HTTP: entries a second to a published checkpoint, beside the bare file operations.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tegula_sequencer::{Config, RealEnv, Sequencer, Signers};
use tegula_storage::{Directory, DirectoryOptions, ObjectPath, Store};
use tegula_tlog::TilePath;

use super::Args;
use super::entries::Maker;
use super::measure::rate;
use crate::commands::init::{self, LogArgs};
use crate::context::Context;
use crate::env::random;
use crate::exit::CliError;
use crate::home::Home;

pub(crate) async fn run(directory: &Path, args: &Args, cx: &Context) -> Result<(), CliError> {
    let maker = Arc::new(Maker::new(true, args.size)?);
    let log = directory.join("log");
    let home = Home::Directory(log.clone());
    let description = init::make(&home, "bench.example", &LogArgs::raw()).await?;
    let signers = crate::keys::signers(&home, &description, &[]).await?;
    let writer = measure_writer(&log, signers, &maker, args, cx).await?;
    let bare = measure_files(&directory.join("bare"), &writer, &maker, cx).await?;
    let ratio = writer.rate / bare;
    if cx.output.is_json() {
        cx.output.json(&json!({
            "what": "in process",
            "entries": writer.entries.to_string(),
            "slots": writer.slots.to_string(),
            "perSecond": writer.rate,
            "bareFilesPerSecond": bare,
            "ratio": ratio,
        }));
        return Ok(());
    }
    cx.output.line(format!(
        "in process: {} entries in {} slots, {:.0} a second to a published checkpoint, {} outstanding",
        writer.entries, writer.slots, writer.rate, args.writers
    ));
    cx.output.line(format!(
        "bare file operations: {bare:.0} a second; ratio {ratio:.2}"
    ));
    Ok(())
}

struct Writer {
    entries: u64,
    slots: u64,
    rate: f64,
}

async fn measure_writer(
    log: &Path,
    signers: Signers,
    maker: &Arc<Maker>,
    args: &Args,
    cx: &Context,
) -> Result<Writer, CliError> {
    let store = Arc::new(Directory::open(log, DirectoryOptions::default()).map_err(CliError::io)?);
    let env = Arc::new(RealEnv::new(cx.clock.now_ms, random()?));
    let dynamic: Arc<dyn Store> = Arc::<Directory>::clone(&store);
    let sequencer = Sequencer::open(dynamic, env, Config::new(signers))
        .await
        .map_err(CliError::io)?;
    let next = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicU64::new(0));
    let begun = (cx.clock.elapsed)();
    let end = begun + Duration::from_secs(args.duration);
    let mut tasks = Vec::new();
    for _ in 0..args.writers {
        let (sequencer, maker) = (sequencer.clone(), Arc::clone(maker));
        let (next, done) = (Arc::clone(&next), Arc::clone(&done));
        let (elapsed, count) = (Arc::clone(&cx.clock.elapsed), args.count);
        tasks.push(tokio::spawn(async move {
            while elapsed() < end {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    break;
                }
                sequencer.submit(maker.raw(number)).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, tegula_sequencer::Error>(())
        }));
    }
    for task in tasks {
        task.await.map_err(CliError::io)?.map_err(CliError::io)?;
    }
    let took = (cx.clock.elapsed)().saturating_sub(begun);
    let entries = done.load(Ordering::Relaxed);
    let slots = sequencer.status().counters.slots;
    sequencer.close().await;
    store.close().await.map_err(CliError::io)?;
    Ok(Writer {
        entries,
        slots,
        rate: rate(entries, took),
    })
}

/// As many slots, tiles, bundles and checkpoints, of the same sizes, with nothing computed.
async fn measure_files(
    place: &Path,
    writer: &Writer,
    maker: &Maker,
    cx: &Context,
) -> Result<f64, CliError> {
    Directory::make(place).map_err(CliError::io)?;
    let store = Directory::open(place, DirectoryOptions::default()).map_err(CliError::io)?;
    let entry = maker.raw(0);
    let checkpoint = ObjectPath::public("checkpoint").map_err(CliError::io)?;
    let begun = (cx.clock.elapsed)();
    let (mut at, mut full) = (0, 0);
    for slot in 1..=writer.slots {
        let end = writer.entries * slot / writer.slots;
        let count = usize::try_from(end - at).unwrap_or_default();
        let bytes = Bytes::from(vec![1; (entry.len() + 2) * count]);
        store.create_slot(at, bytes).await.map_err(CliError::io)?;
        let mut objects = Vec::new();
        for n in full..end / 256 {
            objects.extend(pair(n, 256, entry.len())?);
        }
        let width = u16::try_from(end % 256).unwrap_or_default();
        if width > 0 {
            objects.extend(pair(end / 256, width, entry.len())?);
        }
        for created in store.create_many(objects).await {
            created.map_err(CliError::io)?;
        }
        let old = store.read(&checkpoint).await.map_err(CliError::io)?;
        let version = old.as_ref().map(|object| &object.version);
        let text = Bytes::from(format!("{end:0200}"));
        store
            .replace(&checkpoint, version, text)
            .await
            .map_err(CliError::io)?;
        (at, full) = (end, end / 256);
    }
    let took = (cx.clock.elapsed)().saturating_sub(begun);
    store.close().await.map_err(CliError::io)?;
    Ok(rate(at, took))
}

/// A hash tile and a bundle.
fn pair(n: u64, width: u16, entry: usize) -> Result<[(ObjectPath, Bytes); 2], CliError> {
    let object = |path: Option<TilePath>, each: usize| {
        let path = path.ok_or_else(|| CliError::usage("too many entries"))?;
        let path = ObjectPath::public(path.to_string()).map_err(CliError::io)?;
        Ok::<_, CliError>((path, Bytes::from(vec![2; each * usize::from(width)])))
    };
    Ok([
        object(TilePath::hashes(0, n, width), 32)?,
        object(TilePath::entries(n, width), entry + 2)?,
    ])
}
