//! `tegula bench`: load for a log, and what it makes of it.

mod entries;
mod in_process;
mod measure;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tegula_client::{Api, ApiError};
use tegula_tlog::{Hash, LeafIndex, leaf_hash};

use crate::context::{Context, Log};
use crate::exit::CliError;
use entries::Maker;
use measure::Measured;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is uploaded: hashedrekord entries by a new P-256 key, or with --raw random bytes
    #[arg(long)]
    raw: bool,

    /// Uploads at one time; in process, entries
    #[arg(long, value_name = "N", default_value_t = 16)]
    writers: usize,

    /// Inclusion proofs that are read and verified at one time
    #[arg(long, value_name = "N", default_value_t = 0)]
    readers: usize,

    /// Bytes of a raw entry
    #[arg(long, value_name = "BYTES", default_value_t = 300, value_parser = clap::value_parser!(u64).range(16..=65_535))]
    size: u64,

    /// Uploads a second, all writers together; as many as can be unless it is given
    #[arg(long, value_name = "N")]
    rate: Option<f64>,

    /// How many of a hundred uploads are of an entry that was uploaded before
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100))]
    duplicates: u64,

    /// Hashedrekord entries in one upload
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    batch: u64,

    /// Seconds to go on
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    duration: u64,

    /// Entries after which to stop, if that is sooner
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    count: u64,

    /// Send an upload that failed again until it is answered, as while the server is being restarted
    #[arg(long)]
    persist: bool,

    /// Append a line to this file for each entry that is acknowledged: its index and its leaf hash
    #[arg(long, value_name = "FILE")]
    acknowledged: Option<PathBuf>,

    /// A token, where the log asks for one
    #[arg(
        long,
        env = "TEGULA_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,

    /// Instead of a server's, measure the writer itself, on a new log in this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["readers", "batch", "rate", "persist", "token", "acknowledged"])]
    in_process: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    if let Some(directory) = &args.in_process {
        return in_process::run(directory, &args, cx).await;
    }
    if args.raw && args.batch > 1 {
        return Err(CliError::usage(
            "--batch is for hashedrekord entries, not for --raw",
        ));
    }
    let load = Arc::new(Load::new(&args, cx)?);
    let writers: Vec<_> = (0..args.writers)
        .map(|_| tokio::spawn(Arc::clone(&load).write()))
        .collect();
    let log = if args.readers > 0 {
        Some(Arc::new(cx.open_log().await?))
    } else {
        None
    };
    let readers = log.iter().flat_map(|log| {
        (0..args.readers).map(|n| tokio::spawn(Arc::clone(&load).read(Arc::clone(log), n as u64)))
    });
    let readers: Vec<_> = readers.collect();
    for task in writers.into_iter().chain(readers) {
        task.await.map_err(CliError::io)??;
    }
    load.uploads
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .tell("upload", (load.elapsed)(), cx);
    if args.readers > 0 {
        load.proofs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .tell("proof", (load.elapsed)(), cx);
    }
    Ok(())
}

struct Load {
    api: Api,
    maker: Maker,
    batch: u64,
    count: u64,
    duplicates: u64,
    persist: bool,
    interval: Option<Duration>,
    end: Duration,
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// The next entry, and the next upload, that nobody has taken.
    next: AtomicU64,
    started: AtomicU64,
    acknowledged: Option<Mutex<File>>,
    uploads: Mutex<Measured>,
    proofs: Mutex<Measured>,
}

impl Load {
    fn new(args: &Args, cx: &Context) -> Result<Self, CliError> {
        let start = (cx.clock.elapsed)();
        let elapsed = Arc::clone(&cx.clock.elapsed);
        let open = |path: &PathBuf| File::options().create(true).append(true).open(path);
        let acknowledged = args.acknowledged.as_ref().map(open).transpose();
        Ok(Self {
            api: cx.api(args.token.clone())?,
            maker: Maker::new(args.raw, args.size)?,
            batch: args.batch,
            count: args.count,
            duplicates: args.duplicates,
            persist: args.persist,
            interval: args
                .rate
                .map(|rate| Duration::from_secs_f64(1.0 / rate.max(0.001))),
            end: Duration::from_secs(args.duration),
            elapsed: Arc::new(move || elapsed().saturating_sub(start)),
            next: AtomicU64::new(0),
            started: AtomicU64::new(0),
            acknowledged: acknowledged.map_err(CliError::io)?.map(Mutex::new),
            uploads: Mutex::default(),
            proofs: Mutex::default(),
        })
    }

    /// Uploads until the time is over.
    async fn write(self: Arc<Self>) -> Result<(), CliError> {
        while (self.elapsed)() < self.end {
            if let Some(interval) = self.interval {
                let turn = self.started.fetch_add(1, Ordering::Relaxed);
                let at = interval.saturating_mul(u32::try_from(turn).unwrap_or(u32::MAX));
                tokio::time::sleep(at.saturating_sub((self.elapsed)())).await;
            }
            let first = self.next.fetch_add(self.batch, Ordering::Relaxed);
            if first >= self.count {
                break;
            }
            let numbers = (first..first + self.batch)
                .map(|number| self.maker.maybe_again(number, self.duplicates));
            let entries = numbers
                .map(|number| self.maker.entry(number))
                .collect::<Result<Vec<_>, _>>()?;
            let begun = (self.elapsed)();
            let outcome = self.upload(&entries).await;
            let took = (self.elapsed)().saturating_sub(begun);
            let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(()) => uploads.succeeded(took, self.batch),
                Err(error) => uploads.failed(&error),
            }
        }
        Ok(())
    }

    async fn upload(&self, entries: &[entries::Made]) -> Result<(), CliError> {
        loop {
            let indexes = self.send(entries).await;
            match indexes {
                Ok(indexes) => {
                    for (index, entry) in indexes.into_iter().zip(entries) {
                        self.note(index, &leaf_hash(&entry.body))?;
                    }
                    return Ok(());
                }
                Err(error) if !self.persist || (self.elapsed)() >= self.end => {
                    return Err(error.into());
                }
                Err(error) => {
                    let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
                    uploads.failed(&error.into());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn send(&self, entries: &[entries::Made]) -> Result<Vec<LeafIndex>, ApiError> {
        match entries {
            [one] => match &one.request {
                Some(request) => Ok(vec![self.api.upload(request).await?.index]),
                None => Ok(vec![self.api.add(Bytes::clone(&one.body)).await?.index]),
            },
            several => {
                let requests: Vec<_> = several
                    .iter()
                    .filter_map(|made| made.request.clone())
                    .collect();
                let answer = self.api.upload_batch(&requests).await?;
                let indexes = answer
                    .entries
                    .into_iter()
                    .map(|entry| entry.map(|entry| entry.index));
                indexes
                    .collect::<Result<_, _>>()
                    .map_err(ApiError::Malformed)
            }
        }
    }

    /// What is written here was acknowledged.
    fn note(&self, index: LeafIndex, leaf: &Hash) -> Result<(), CliError> {
        let Some(file) = &self.acknowledged else {
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{index} {leaf}\n").as_bytes())
            .map_err(CliError::io)
    }

    /// Reads proofs until the time is over.
    async fn read(self: Arc<Self>, log: Arc<Log>, seed: u64) -> Result<(), CliError> {
        let mut random = seed;
        while (self.elapsed)() < self.end {
            let begun = (self.elapsed)();
            let checkpoint = log.reader.checkpoint().await?;
            if checkpoint.size().get() == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let index = LeafIndex::new((random >> 1) % checkpoint.size().get()).unwrap_or_default();
            let outcome = log.reader.inclusion_proof(&checkpoint, index).await;
            let took = (self.elapsed)().saturating_sub(begun);
            let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(_) => proofs.succeeded(took, 1),
                Err(error) => proofs.failed(&error.into()),
            }
        }
        Ok(())
    }
}
