//! What every command is given.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tegula_client::{
    Api, Cache, CheckpointMemory, HttpOptions, LogIndex, ReadError, Reader, SearchOptions,
    Searched, Source, VerifiedCheckpoint,
};
use tegula_index::Key;
use tegula_tlog::Policy;

use crate::commands::import::marker;
use crate::exit::CliError;
use crate::log_source::LogPlace;
use crate::output::Output;
use crate::trust::{self, Pin, Trusted};

/// Flags of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The log: its URL, its directory, or its public bucket
    #[arg(
        long,
        global = true,
        env = "TEGULA_LOG",
        value_name = "URL|DIR|s3://BUCKET",
        alias = "rekor_server"
    )]
    pub(crate) log: Option<String>,

    /// A verifier key of the log, as in its log.json; may be given several times
    #[arg(
        long,
        global = true,
        env = "TEGULA_LOG_KEY",
        value_name = "VKEY",
        value_delimiter = ' ',
        allow_hyphen_values = true
    )]
    pub(crate) log_key: Vec<String>,

    /// Which logs and witnesses are trusted, as c2sp.org/tlog-policy
    #[arg(
        long,
        global = true,
        env = "TEGULA_POLICY",
        value_name = "FILE",
        conflicts_with = "log_key"
    )]
    pub(crate) policy: Option<PathBuf>,

    /// Where checkpoints, pinned keys and evidence are kept
    #[arg(long, global = true, env = "TEGULA_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Where verified tiles are kept
    #[arg(long, global = true, env = "TEGULA_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,

    /// Keep no tiles on disk
    #[arg(long, global = true, conflicts_with = "cache")]
    pub(crate) no_cache: bool,

    /// A file with values for flags, in TOML
    #[arg(long, global = true, env = "TEGULA_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Results and errors as JSON, one object a line
    #[arg(long, global = true, env = "TEGULA_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) json: bool,

    /// The form of results
    #[arg(long, global = true, value_name = "FORM", default_value = "default")]
    pub(crate) format: Format,

    /// Neither notes nor progress, only results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Seconds that one request may take
    #[arg(long, global = true, env = "TEGULA_TIMEOUT", value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// How often a request is made again after a failure that may pass
    #[arg(
        long,
        global = true,
        env = "TEGULA_RETRY",
        value_name = "N",
        default_value_t = 3
    )]
    pub(crate) retry: u32,
}

/// The form of results.
#[derive(Copy, Clone, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// Lines of text
    Default,
    /// The same as --json
    Json,
}

/// `30` or, as rekor-cli writes it, `30s`.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    match number.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "{text:?} is not a number of seconds between 1 and 86400"
        )),
    }
}

/// The user's directories for this program; none of them need exist.
#[derive(Clone, Debug)]
pub(crate) struct Directories {
    pub(crate) config: Option<PathBuf>,
    pub(crate) state: Option<PathBuf>,
    pub(crate) cache: Option<PathBuf>,
}

/// The time.
#[derive(Clone)]
pub(crate) struct Clock {
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) now_ms: fn() -> u64,
    /// The time since some instant; it never goes back.
    pub(crate) elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// What every command is given: where to speak, which log, whom to trust, what time it is.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) global: Global,
    pub(crate) clock: Clock,
    state: Option<PathBuf>,
    cache: Option<PathBuf>,
}

impl Context {
    pub(crate) fn new(global: Global, directories: Directories, clock: Clock) -> Self {
        let json = global.json || global.format == Format::Json;
        let cache = global.cache.clone().or(directories.cache);
        Self {
            output: Output::new(json, global.quiet),
            state: global.state.clone().or(directories.state),
            cache: cache.filter(|_| !global.no_cache),
            global,
            clock,
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock.now_ms)()
    }

    pub(crate) fn http_options(&self) -> HttpOptions {
        HttpOptions {
            timeout: self.global.timeout,
            retries: self.global.retry,
            ..HttpOptions::default()
        }
    }

    /// The log that `--log` names.
    pub(crate) fn log_place(&self) -> Result<LogPlace, CliError> {
        let named = self.global.log.as_deref().ok_or_else(|| {
            CliError::usage("no log is named: pass --log URL or --log DIRECTORY, or set TEGULA_LOG")
        })?;
        LogPlace::parse(named)
    }

    /// The directory for what must be remembered.
    pub(crate) fn state(&self) -> Option<&PathBuf> {
        self.state.as_ref()
    }

    pub(crate) fn memory(&self) -> CheckpointMemory {
        match &self.state {
            Some(state) => CheckpointMemory::directory(state.join("logs")),
            None => CheckpointMemory::in_process(),
        }
    }

    /// Whom `--log-key` and `--policy` trust for the log that `--log` names.
    pub(crate) fn trusted(&self) -> Trusted<'_> {
        Trusted {
            policy: self.global.policy.as_deref(),
            keys: &self.global.log_key,
            flags: "--log-key or --policy",
        }
    }

    /// A reader of the log that `--log` names, with whom to trust.
    pub(crate) async fn open_log(&self) -> Result<Log, CliError> {
        let place = self.log_place()?;
        // A directory's tiles are on a disk already.
        let cache = match place {
            LogPlace::Url(_) | LogPlace::Buckets(_) => self.cache.as_ref().map(Cache::new),
            LogPlace::Directory(_) => None,
        };
        self.open(&place, self.trusted(), cache).await
    }

    /// A reader of any log.
    pub(crate) async fn open(
        &self,
        place: &LogPlace,
        trusted: Trusted<'_>,
        cache: Option<Cache>,
    ) -> Result<Log, CliError> {
        if let LogPlace::Directory(path) = place {
            marker::refuse_half_imported(path)?;
        }
        let source = place.source(self.http_options()).await?;
        let (policy, pin) = trust::resolve(self, &source, trusted).await?;
        if self.state.is_none() {
            self.output.note(
                "there is no directory to remember checkpoints in (pass --state): a log that goes back is not noticed",
            );
        }
        let reader = Reader::new(Arc::clone(&source), policy.clone(), cache, self.memory());
        Ok(Log {
            source,
            reader,
            policy,
            pin,
        })
    }

    /// The write interface of the log that `--log` names.
    pub(crate) fn api(&self, token: Option<String>) -> Result<Api, CliError> {
        match self.log_place()? {
            LogPlace::Url(url) => Ok(Api::new(&url, token, self.http_options())?),
            LogPlace::Buckets(buckets) => Err(CliError::usage(format!(
                "{buckets} is a bucket: to upload, pass --log with the log's URL"
            ))),
            LogPlace::Directory(path) => Err(CliError::usage(format!(
                "{path} is a directory: to upload, run `tegula serve {path}` and pass --log with its URL",
                path = path.display()
            ))),
        }
    }
}

/// A log that is being read.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) reader: Reader,
    pub(crate) policy: Policy,
    pin: Option<Pin>,
}

impl Log {
    /// The verified checkpoint that answers are given against.
    pub(crate) async fn checkpoint(&self, cx: &Context) -> Result<VerifiedCheckpoint, CliError> {
        let checkpoint = self
            .reader
            .checkpoint()
            .await
            .map_err(|error| self.explain(error))?;
        self.report_stale(cx, &checkpoint);
        Ok(checkpoint)
    }

    /// A search at the log's checkpoint.
    pub(crate) async fn search(
        &self,
        cx: &Context,
        keys: &[Key],
        options: SearchOptions,
    ) -> Result<Searched, CliError> {
        let searched = self.reader.search(keys, options).await;
        let searched = searched.map_err(|error| self.explain(error))?;
        self.report_stale(cx, &searched.checkpoint);
        Ok(searched)
    }

    /// The verified checkpoint, and the search index at it, if there is one.
    pub(crate) async fn checkpoint_and_index(
        &self,
        cx: &Context,
    ) -> Result<(VerifiedCheckpoint, Option<LogIndex>), CliError> {
        let read = self.reader.checkpoint_and_index().await;
        let (checkpoint, index) = read.map_err(|error| self.explain(error))?;
        self.report_stale(cx, &checkpoint);
        Ok((checkpoint, index))
    }

    /// A checkpoint that came with an answer, compared with what is remembered like one that was fetched.
    pub(crate) async fn accept(
        &self,
        cx: &Context,
        checkpoint: &[u8],
    ) -> Result<VerifiedCheckpoint, CliError> {
        let accepted = self.reader.accept(checkpoint).await;
        let checkpoint = accepted.map_err(|error| self.explain(error))?;
        self.report_stale(cx, &checkpoint);
        Ok(checkpoint)
    }

    fn report_stale(&self, cx: &Context, checkpoint: &VerifiedCheckpoint) {
        if let Some(presented) = checkpoint.stale() {
            cx.output.note(format!(
                "{} is stale: it shows size {presented}, size {} was seen before; the two are consistent, and the larger one is used",
                self.source.name(),
                checkpoint.size()
            ));
        }
    }

    /// Whoever pinned a key wants to know that this is what failed.
    fn explain(&self, error: ReadError) -> CliError {
        let verification = matches!(error, ReadError::Verification(_));
        let mut error = CliError::from(error);
        if let Some(pin) = self.pin.as_ref().filter(|_| verification) {
            error.message = format!("{}; {}", error.message, pin.hint());
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_in_two_ways() {
        for (text, expected) in [("1", 1), ("30s", 30), ("86400", 86_400)] {
            assert_eq!(seconds(text), Ok(Duration::from_secs(expected)));
        }
        for bad in ["", "s", "0", "-1", "1m", "86401", "1.5"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
