//! `tegula import`

mod entries;
pub(crate) mod marker;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use serde_json::json;
use tegula_client::{Reader, VerifiedCheckpoint};
use tegula_sequencer::{Error, Import, Pending, Published, RealEnv, Signers};
use tegula_server::describe;
use tegula_signers::LogKey;
use tegula_storage::{ObjectPath, Root, Store};
use tegula_tlog::{Checkpoint, Edge, Hash, LogDescription, TilePath, parse_bundle};

use crate::commands::init::{self, LogArgs};
use crate::context::{Context, Log};
use crate::env::random;
use crate::exit::CliError;
use crate::home::{Entered, Home};
use crate::keys;
use crate::log_source::LogPlace;
use crate::trust::Trusted;
use entries::Form;
use marker::Marker;

/// Make a log in a directory, with the entries of another one
///
/// The new log has the same entries in the same order, and so the same root. With the other log's key it is that log: what was signed
/// before goes on. Then the old one must never be written again, since two writers with one key sign two trees. With --origin it is
/// a log of its own.
///
/// Nothing can be read as a log before everything is there and its root is right. An import that was cut off goes on where it was
/// when the same command is run again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where: a directory or buckets with nothing in them, or in which this import was cut off
    #[arg(value_name = "DIR|s3://BUCKET?private=s3://BUCKET")]
    home: Home,

    /// The log to copy, c2sp.org/tlog-tiles: its URL, its directory, or its bucket
    #[arg(
        long,
        value_name = "URL|DIR|s3://BUCKET",
        required_unless_present = "entries",
        conflicts_with = "entries"
    )]
    from: Option<String>,

    /// A verifier key of that log; may be given several times
    #[arg(
        long,
        value_name = "VKEY",
        requires = "from",
        allow_hyphen_values = true
    )]
    from_key: Vec<String>,

    /// Which keys and witnesses of that log are trusted, as c2sp.org/tlog-policy
    #[arg(
        long,
        value_name = "FILE",
        requires = "from",
        conflicts_with = "from_key"
    )]
    from_policy: Option<PathBuf>,

    /// Entries instead of a log: a file, or - for standard input; each as two bytes of length and itself
    #[arg(long, value_name = "FILE")]
    entries: Option<PathBuf>,

    /// The entries are lines: base64, or JSON objects with it as their "body"
    #[arg(long, requires = "entries")]
    lines: bool,

    /// The root hash that the entries must have, in hexadecimal
    #[arg(long, value_name = "HEX", requires = "entries")]
    root: Option<Hash>,

    /// The new log's name; without it, that of the log to copy, whose --key must be given
    #[arg(long, value_name = "NAME", required_unless_present = "from")]
    origin: Option<String>,

    #[command(flatten)]
    log: LogArgs,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    let begun = (cx.clock.elapsed)();
    if let Home::Directory(root) = &args.home
        && init::is_made(root)
        && !marker::is_there(root)
    {
        return Err(CliError::usage(format!("{} is a log already", args.home)));
    }
    let source = Source::open(&args, cx).await?;
    source.check_keys(&args.log).await?;
    let keys = init::prepare(&args.home, source.origin(), &args.log).await?;
    let marker = match &args.home {
        Home::Directory(root) => Some(Marker::take(root, &source.describe())?),
        // There conditions see to it that no two are mixed.
        Home::Buckets(_) => None,
    };
    let entered = args.home.enter().await?;
    let done = fill(&args, cx, &source, &keys, &entered).await;
    // Also after a failure: what is there need not be doubted then.
    let left = entered.leave().await;
    let (published, kept) = done.inspect_err(|_| {
        cx.output.note(format!(
            "nothing was published; to go on, run the same command again, or else remove {}",
            args.home
        ));
    })?;
    left?;
    marker.map_or(Ok(()), Marker::remove)?;
    let took = (cx.clock.elapsed)().saturating_sub(begun);
    tell(cx, &args.home, &keys, &published, kept, took);
    if source.moves() {
        cx.output.note(format!(
            "this is {origin} now: whatever wrote {origin} before must stay stopped, since two writers with one key sign two trees",
            origin = source.origin()
        ));
    }
    Ok(())
}

/// Where entries come from.
enum Source {
    Log {
        log: Box<Log>,
        checkpoint: Box<VerifiedCheckpoint>,
        /// The new log's name.
        origin: String,
    },
    Entries {
        path: PathBuf,
        form: Form,
        root: Option<Hash>,
        origin: String,
    },
}

impl Source {
    async fn open(args: &Args, cx: &Context) -> Result<Self, CliError> {
        if let Some(path) = &args.entries {
            return Ok(Self::Entries {
                path: path.clone(),
                form: if args.lines {
                    Form::Lines
                } else {
                    Form::Bundle
                },
                root: args.root,
                origin: args.origin.clone().unwrap_or_default(),
            });
        }
        let place = LogPlace::parse(args.from.as_deref().unwrap_or_default())?;
        let trusted = Trusted {
            policy: args.from_policy.as_deref(),
            keys: &args.from_key,
            flags: "--from-key or --from-policy",
        };
        // No cache: each object is needed once, and then it is here.
        let log = Box::new(cx.open(&place, trusted, None).await?);
        let checkpoint = Box::new(log.checkpoint(cx).await?);
        let origin = args.origin.as_deref();
        Ok(Self::Log {
            origin: origin.unwrap_or_else(|| checkpoint.origin()).to_owned(),
            log,
            checkpoint,
        })
    }

    fn origin(&self) -> &str {
        match self {
            Self::Log { origin, .. } | Self::Entries { origin, .. } => origin,
        }
    }

    /// Whether the new log is the old one.
    fn moves(&self) -> bool {
        match self {
            Self::Log {
                origin, checkpoint, ..
            } => origin == checkpoint.origin(),
            Self::Entries { .. } => false,
        }
    }

    /// What the import is of, on one line.
    fn describe(&self) -> String {
        match self {
            Self::Log { checkpoint, .. } => format!("{} as {}", checkpoint.key(), self.origin()),
            Self::Entries { origin, .. } => format!("entries as {origin}"),
        }
    }

    /// A log that is to go on must be signed with the key that is given.
    async fn check_keys(&self, log: &LogArgs) -> Result<(), CliError> {
        let given = log.keys(self.origin()).await?;
        let Self::Log { checkpoint, .. } = self else {
            return Ok(());
        };
        if !self.moves() {
            return Ok(());
        }
        let origin = self.origin();
        let key = given.first().map(LogKey::verifier).ok_or_else(|| {
            CliError::usage(format!(
                "to go on as {origin}, pass its --key; to make another log of its entries, pass another --origin"
            ))
        })?;
        if Checkpoint::open(checkpoint.note(), std::slice::from_ref(&key)).is_err() {
            return Err(CliError::usage(format!(
                "--key: {origin} is signed with {}, this is {key}",
                checkpoint.key()
            )));
        }
        Ok(())
    }
}

/// The checkpoint of a log that is there.
async fn published(store: &dyn Store, keys: &[LogKey]) -> Result<Option<Published>, CliError> {
    let Some(note) = keys::checkpoint(store).await? else {
        return Ok(None);
    };
    let keys: Vec<_> = keys.iter().map(LogKey::verifier).collect();
    let (checkpoint, _) = Checkpoint::open(&note, &keys)
        .map_err(|error| CliError::verification(format!("the checkpoint: {error}")))?;
    Ok(Some(Published {
        checkpoint: note,
        size: checkpoint.size,
        root: checkpoint.root,
    }))
}

/// Copies, checks and publishes; how many bundles were there already.
async fn fill(
    args: &Args,
    cx: &Context,
    source: &Source,
    keys: &[LogKey],
    entered: &Entered,
) -> Result<(Published, u64), CliError> {
    let store = entered.store();
    match (published(store.as_ref(), keys).await?, &args.home) {
        // Cut off after the last write.
        (Some(published), Home::Directory(_)) => return Ok((published, 0)),
        (Some(_), Home::Buckets(_)) => {
            return Err(CliError::usage(format!("{} is a log already", args.home)));
        }
        (None, _) => {}
    }
    let tiles = store.list(Root::Public, "tile/", None, 1).await;
    let resumed = !tiles.map_err(CliError::io)?.is_empty();
    let env = Arc::new(RealEnv::new(cx.clock.now_ms, random()?));
    let begun = Import::begin(Arc::clone(&store), env).await;
    let mut import = begun.map_err(failed)?;
    let kept = Arc::new(AtomicU64::new(0));
    let expected = match source {
        Source::Log {
            log, checkpoint, ..
        } => {
            note_other_kinds(cx, log, args.log.raw).await;
            let copy = Copy {
                reader: log.reader.clone(),
                checkpoint: VerifiedCheckpoint::clone(checkpoint),
                left: resumed.then_some(store),
                kept: Arc::clone(&kept),
            };
            let bar = cx.output.progress(checkpoint.size().get(), "entries");
            let progress = |entries| bar.set_position(entries);
            append_all(&mut import, copy.bundles(), progress).await?;
            bar.finish_and_clear();
            if source.moves() {
                refuse_growth(cx, log, checkpoint).await?;
            }
            Some(checkpoint.root())
        }
        Source::Entries {
            path, form, root, ..
        } => {
            let position = Arc::new(AtomicU64::new(0));
            let bar = entries_bar(cx, path);
            let chunks = entries::read(path, *form, Arc::clone(&position))?;
            let progress = |_| bar.set_position(position.load(Ordering::Relaxed));
            append_all(&mut import, checked(chunks, args.log.raw), progress).await?;
            bar.finish_and_clear();
            *root
        }
    };
    let verifiers: Vec<_> = keys.iter().map(LogKey::verifier).collect();
    let description: LogDescription = describe(source.origin(), &verifiers, args.log.raw);
    let signers = Signers::new(keys.iter().map(LogKey::signer).collect());
    let finished = import.finish(&signers, &description, expected).await;
    Ok((finished.map_err(failed)?, kept.load(Ordering::Relaxed)))
}

/// Appends what comes, some bundles at a time, while the next ones are on their way.
async fn append_all(
    import: &mut Import,
    bundles: impl Stream<Item = Result<Vec<Pending>, CliError>>,
    progress: impl Fn(u64),
) -> Result<(), CliError> {
    let mut groups = std::pin::pin!(bundles.ready_chunks(TOGETHER));
    while let Some(group) = groups.next().await {
        let group: Vec<Vec<Pending>> = group.into_iter().collect::<Result<_, _>>()?;
        import.append(&group.concat()).await.map_err(failed)?;
        progress(import.size().get());
    }
    Ok(())
}

/// The bundles of a log, each verified against its root.
#[derive(Clone)]
struct Copy {
    reader: Reader,
    checkpoint: VerifiedCheckpoint,
    /// Where an import that was cut off may have left some.
    left: Option<Arc<dyn Store>>,
    kept: Arc<AtomicU64>,
}

impl Copy {
    fn bundles(self) -> impl Stream<Item = Result<Vec<Pending>, CliError>> {
        let count = self.checkpoint.size().get().div_ceil(256);
        stream::iter(0..count)
            .map(move |n| {
                let copy = self.clone();
                // A task each: a thread of its own hashes it.
                async move { tokio::spawn(copy.bundle(n)).await.map_err(CliError::io)? }
            })
            .buffered(AT_ONCE)
    }

    async fn bundle(self, n: u64) -> Result<Vec<Pending>, CliError> {
        if let Some(left) = self.left(n).await? {
            self.kept.fetch_add(1, Ordering::Relaxed);
            return Ok(left);
        }
        let entries = self.reader.bundle_entries(&self.checkpoint, n).await?;
        let pending = |(entry, leaf)| Pending { entry, leaf };
        Ok(entries.into_iter().map(pending).collect())
    }

    /// What was left of an import, if it is what the log has: that takes a tile of the level above, for 256 bundles one.
    async fn left(&self, n: u64) -> Result<Option<Vec<Pending>>, CliError> {
        let Some((store, path)) = self.left.as_ref().zip(TilePath::entries(n, 256)) else {
            return Ok(None);
        };
        let path = ObjectPath::public(path.to_string()).map_err(CliError::io)?;
        let Some(object) = store.read(&path).await.map_err(CliError::io)? else {
            return Ok(None);
        };
        let Ok(entries) = parse_bundle(&object.bytes, 256) else {
            return Ok(None);
        };
        let share = |entry| Pending::new(object.bytes.slice_ref(entry));
        let pending: Vec<_> = entries.into_iter().map(share).collect();
        let leaves: Vec<_> = pending.iter().map(|pending| pending.leaf).collect();
        let mut tile = Edge::empty();
        tile.grow(&leaves).map_err(CliError::io)?;
        let expected = self.reader.tile_hash(&self.checkpoint, n).await?;
        Ok((expected == Some(tile.root())).then_some(pending))
    }
}

/// Entries that were checked on as many threads as there are cores.
fn checked(
    chunks: tokio::sync::mpsc::Receiver<Result<entries::Chunk, CliError>>,
    raw: bool,
) -> impl Stream<Item = Result<Vec<Pending>, CliError>> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    stream::unfold(chunks, async |mut chunks| {
        chunks.recv().await.map(|chunk| (chunk, chunks))
    })
    .map_ok(move |chunk| async move {
        tokio::task::spawn_blocking(move || chunk.check(raw))
            .await
            .map_err(CliError::io)?
    })
    .try_buffered(2 * cores)
}

/// A log that moves must not be written meanwhile: what came after would be lost, and a second tree be signed over it.
async fn refuse_growth(
    cx: &Context,
    log: &Log,
    imported: &VerifiedCheckpoint,
) -> Result<(), CliError> {
    let now = log.checkpoint(cx).await?;
    if now.size() == imported.size() {
        return Ok(());
    }
    Err(CliError::io(format!(
        "{} grew from {} to {} entries while it was imported: stop its writer",
        imported.origin(),
        imported.size(),
        now.size()
    )))
}

/// What a log says of itself decides nothing, but the user may have forgotten a flag.
async fn note_other_kinds(cx: &Context, log: &Log, raw: bool) {
    let fetched = log.source.fetch("log.json", MAX_DESCRIPTION_LEN).await;
    let description = fetched
        .ok()
        .flatten()
        .and_then(|json| LogDescription::parse(&json).ok());
    let Some(theirs) = description else { return };
    if !theirs.entries.is_empty() && !theirs.entries.iter().any(|kind| (kind == "raw") == raw) {
        cx.output.note(format!(
            "{} takes {}; the new log will {}",
            log.source.name(),
            theirs.entries.join(", "),
            if raw {
                "take raw entries, as --raw says"
            } else {
                "not, unless --raw is given"
            }
        ));
    }
}

fn entries_bar(cx: &Context, path: &Path) -> ProgressBar {
    match path.metadata() {
        Ok(file) if file.is_file() => cx.output.progress(file.len(), "bytes"),
        _ => ProgressBar::hidden(),
    }
}

fn failed(error: Error) -> CliError {
    match error {
        Error::Rejected(_) => CliError::verification(error),
        Error::Corrupt(reason) => CliError::verification(reason),
        Error::Overloaded { .. } | Error::Unavailable(_) | Error::Fatal(_) => CliError::io(error),
    }
}

fn tell(
    cx: &Context,
    home: &Home,
    keys: &[LogKey],
    published: &Published,
    kept: u64,
    took: Duration,
) {
    let keys: Vec<_> = keys.iter().map(LogKey::verifier).collect();
    let origin = keys.first().map_or("", |key| key.name());
    let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
    let seconds = took.as_secs_f64();
    if cx.output.is_json() {
        cx.output.json(&json!({
            "directory": home.to_string(),
            "origin": origin,
            "keys": keys,
            "treeSize": published.size.to_string(),
            "rootHash": published.root.to_string(),
            "bundlesKept": kept.to_string(),
            "seconds": seconds,
        }));
        return;
    }
    cx.output.line(format!("Origin: {origin}"));
    for key in &keys {
        cx.output.line(format!("Key:    {key}"));
    }
    cx.output.line(format!("Tree Size: {}", published.size));
    cx.output.line(format!("Root Hash: {}", published.root));
    if kept > 0 {
        cx.output
            .line(format!("Kept: {kept} bundles that were there already"));
    }
    cx.output.line(format!("Time: {seconds:.3} s"));
}

/// Bundles on their way: 16 MiB each at most, and 100 KB as a rule.
const AT_ONCE: usize = 16;
/// Bundles that are written together.
const TOGETHER: usize = 8;
const MAX_DESCRIPTION_LEN: usize = 256 * 1024;
