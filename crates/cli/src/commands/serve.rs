//! `tegula serve`

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use tegula_client::index_keys;
use tegula_entries::Verifier;
use tegula_sequencer::{
    Config, Error, IndexOptions, Indexer, Keep, Others, RealEnv, Sequencer, Signers, TidyOptions,
};
use tegula_server::{
    AllowedKeys, Duplicates, Issuers, IssuersError, KeyHash, Limits, Log, Options, listen,
    metrics_router, router,
};
use tegula_storage::Store;
use tegula_tlog::LogDescription;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use crate::commands::init::{self, LogArgs};
use crate::context::Context;
use crate::descriptors;
use crate::env::random;
use crate::exit::CliError;
use crate::home::{Entered, Home};
use crate::keys;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The log's directory, or its buckets; if there is nothing, a log is made
    #[arg(value_name = "DIR|s3://BUCKET?private=s3://BUCKET")]
    home: Home,

    /// Where to listen
    #[arg(
        long,
        env = "TEGULA_LISTEN",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:3000"
    )]
    listen: String,

    /// Where to answer Prometheus
    #[arg(long, value_name = "HOST:PORT")]
    metrics_listen: Option<String>,

    /// The name of a new log, for ever: the bare host name of its public URL. Needed to make a log that listens beyond this machine;
    /// otherwise the host that it listens on unless it is given
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,

    /// Make no log where none is: a directory that is not mounted is an error, and not a new log
    #[arg(long, conflicts_with_all = ["attestations", "ecdsa", "raw"])]
    existing: bool,

    #[command(flatten)]
    log: LogArgs,

    /// Take uploads only with a token (see `tegula token`)
    #[arg(long)]
    require_token: bool,

    /// Take uploads with a token of an OIDC issuer: a file in JSON, which says of whom and with what claims (docs/operating.md);
    /// beside --require-token, with tokens of either kind
    #[arg(long, value_name = "FILE", value_parser = issuers)]
    issuers: Option<Issuers>,

    /// Log signatures of this key alone: a file with the public key or a certificate of it, or the SHA-256 of its SPKI in hexadecimal; may be
    /// given several times
    #[arg(long, value_name = "FILE|SHA256", value_parser = key_hash, conflicts_with = "raw")]
    allow_key: Vec<KeyHash>,

    /// Entries a minute that one client may upload, by its token or else its address; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    client_rate: u32,

    /// A proxy stands before it, on the only way there, and says whom it forwards for (X-Forwarded-For)
    #[arg(long)]
    behind_proxy: bool,

    /// How an entry that is in the log already is answered
    #[arg(long, value_name = "HOW", default_value = "existing")]
    duplicates: DuplicatesArg,

    /// How many of the last leaves are held in memory to recognise duplicates; older ones are looked up in the search index. 0 takes every entry
    /// for new
    #[arg(long, value_name = "LEAVES", default_value_t = 1 << 20)]
    dedup_window: u64,

    /// How many of the last leaves' slots are kept as a backup: all of them, or a number. Unless it is given 1048576 in a directory, and all in
    /// buckets, where older ones are cut to their headers
    #[arg(long, value_name = "all|LEAVES", value_parser = keep)]
    keep_slots: Option<Keep>,

    /// Hours for which partial tiles stay after a larger checkpoint was published, at least 24
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(24..))]
    keep_partials: u64,

    /// Seconds between rounds of housekeeping
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    tidy_interval: u64,

    /// Make no search index beside the log: `tegula index build` can make it later
    #[arg(long)]
    no_index: bool,

    /// Connections at one time, 1 to 1,000,000; fewer where the system gives fewer file descriptors
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,

    /// What is told on standard error: error, warn, info, debug, or a filter
    #[arg(
        long,
        env = "TEGULA_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    log_level: String,

    /// Standard error in JSON, one object a line
    #[arg(long)]
    log_json: bool,
}

#[derive(Copy, Clone, Debug, ValueEnum)]
enum DuplicatesArg {
    /// 201, the entry that is there, and a fresh proof
    Existing,
    /// 409, as Rekor v2 does
    Conflict,
}

/// A hash; or that of the key in a file.
fn key_hash(text: &str) -> Result<KeyHash, String> {
    let not_a_hash = match text.parse() {
        Ok(hash) => return Ok(hash),
        Err(error) => error,
    };
    let bytes = std::fs::read(text).map_err(|error| format!("{error}; and {not_a_hash}"))?;
    let key = Verifier::from_pem_or_der(&bytes).map_err(|error| error.to_string())?;
    Ok(KeyHash::of(&key))
}

fn issuers(path: &str) -> Result<Issuers, String> {
    let json = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    json.parse()
        .map_err(|error: IssuersError| error.to_string())
}

fn keep(text: &str) -> Result<Keep, String> {
    match text {
        "all" => Ok(Keep::All),
        number => number
            .parse()
            .map(Keep::Leaves)
            .map_err(|error| format!("{error}, expected all or a number")),
    }
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    tell_on_stderr(&args)?;
    // Before there is a socket to be found: who finds it may end the server.
    let signals = Signals::new()?;
    let made = args.home.is_made().await?;
    let listener = bind(&args.listen).await?;
    let address = listener.local_addr().map_err(CliError::io)?;
    let metrics = match &args.metrics_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    if !made {
        make(&args, address).await?;
    }
    let entered = args.home.enter().await?;
    let served = serve(
        &args,
        cx,
        &entered,
        Sockets {
            listener,
            address,
            metrics,
        },
        signals,
    )
    .await;
    // Also after a failure: the last one to leave takes the mark of an unclean stop away.
    let left = entered.leave().await;
    served?;
    left
}

/// Where it listens.
struct Sockets {
    listener: TcpListener,
    address: SocketAddr,
    metrics: Option<TcpListener>,
}

/// Makes a new log. A name is for ever, so the world's is not guessed.
async fn make(args: &Args, address: SocketAddr) -> Result<(), CliError> {
    let home = &args.home;
    if args.existing {
        return Err(CliError::usage(format!(
            "there is no log in {home}, and --existing makes none: is it mounted?"
        )));
    }
    let origin = match &args.origin {
        Some(origin) => origin.clone(),
        None if address.ip().is_loopback() => host(&args.listen),
        None => {
            return Err(CliError::usage(format!(
                "a new log in {home} that listens on {} needs --origin, the bare host name of its public URL: it is its name for ever",
                args.listen
            )));
        }
    };
    init::make(home, &origin, &args.log).await?;
    if args.origin.is_none() {
        warn!(
            origin,
            "made a new log; this is its name for ever, --origin gives another"
        );
    }
    Ok(())
}

async fn serve(
    args: &Args,
    cx: &Context,
    entered: &Entered,
    sockets: Sockets,
    signals: Signals,
) -> Result<(), CliError> {
    let description = entered.description().await?;
    check_origin(args, &description)?;
    let signers = keys::signers(&args.home, &description, &args.log.key).await?;
    let key = signers.first().map_err(CliError::usage)?.clone();
    let env = Arc::new(RealEnv::new(cx.clock.now_ms, random()?));
    let store = entered.store();
    let indexer = match args.no_index {
        true => None,
        false => Some(indexer(&store, Arc::clone(&env), &signers)?),
    };
    let config = Config {
        dedup_window: args.dedup_window,
        others: match &args.home {
            Home::Directory(_) => Others::Compete,
            // Functions may write to it as well.
            Home::Buckets(_) => Others::TakeAlong,
        },
        ..Config::new(signers)
    };
    let sequencer = Sequencer::open(Arc::clone(&store), env, config)
        .await
        .map_err(CliError::io)?;
    let options = Options {
        duplicates: match args.duplicates {
            DuplicatesArg::Existing => Duplicates::Existing,
            DuplicatesArg::Conflict => Duplicates::Conflict,
        },
        require_token: args.require_token,
        issuers: args.issuers.clone(),
        client_rate: args.client_rate,
        behind_proxy: args.behind_proxy,
        allowed_keys: AllowedKeys::only(args.allow_key.iter().copied()),
        ..Options::default()
    };
    let seed = random()?
        .first_chunk()
        .copied()
        .map_or(0, u64::from_be_bytes);
    let log = Log::new(sequencer.clone(), store, &key, &description, options, seed);
    let Sockets {
        listener,
        address,
        metrics,
    } = sockets;
    tell(cx, address, &description);

    let (stop, stopped) = watch::channel(false);
    let limits = Limits {
        connections: descriptors::for_connections(args.max_connections),
        ..Limits::default()
    };
    let metrics = metrics.map(|listener| {
        let router = metrics_router(log.clone());
        tokio::spawn(listen(
            listener,
            router,
            Limits::default(),
            until(stopped.clone()),
        ))
    });
    let tidying = tokio::spawn(tidy(log.clone(), tidy_options(args), args.tidy_interval));
    let indexing = indexer.map(|indexer| {
        let (sequencer, stopped, now_ms) = (sequencer.clone(), stopped.clone(), cx.clock.now_ms);
        let handle = Handle::current();
        // A merge computes for milliseconds at a time: not on a thread that answers.
        tokio::task::spawn_blocking(move || {
            handle.block_on(index(indexer, &sequencer, stopped, now_ms));
        })
    });
    let serving = tokio::spawn(listen(listener, router(log), limits, until(stopped)));

    let ended = until_it_ends(&sequencer, signals).await;
    info!("stopping");
    stop.send_replace(true);
    joined(serving).await?;
    if let Some(metrics) = metrics {
        joined(metrics).await?;
    }
    if let Some(indexing) = indexing {
        indexing.await.map_err(CliError::io)?;
    }
    tidying.abort();
    // A round of housekeeping that was cut off has left nothing half done; wait until it is off the store.
    tidying.await.unwrap_or_default();
    sequencer.close().await;
    ended
}

fn tell(cx: &Context, address: SocketAddr, description: &LogDescription) {
    if cx.output.is_json() {
        cx.output.json(&json!({
            "url": format!("http://{address}"),
            "origin": description.origin,
            "keys": description.keys,
        }));
        return;
    }
    cx.output.line(format!("Origin: {}", description.origin));
    for key in &description.keys {
        cx.output.line(format!("Key:    {key}"));
    }
    cx.output.line(format!("URL:    http://{address}"));
}

fn check_origin(args: &Args, description: &LogDescription) -> Result<(), CliError> {
    match &args.origin {
        Some(origin) if *origin != description.origin => Err(CliError::usage(format!(
            "--origin {origin}: the log in {} is {}",
            args.home, description.origin
        ))),
        _ => Ok(()),
    }
}

fn tidy_options(args: &Args) -> TidyOptions {
    TidyOptions {
        keep: args.keep_slots.unwrap_or(match &args.home {
            Home::Directory(_) => Keep::Leaves(1 << 20),
            Home::Buckets(_) => Keep::All,
        }),
        partial_age: Duration::from_secs(args.keep_partials.saturating_mul(3600)),
        ..TidyOptions::default()
    }
}

async fn tidy(log: Log, options: TidyOptions, interval_s: u64) {
    loop {
        tokio::time::sleep(Duration::from_secs(interval_s)).await;
        match log.sequencer().tidy(options).await {
            Ok(report) => {
                log.report_damage(report.damaged.len());
                for damaged in &report.damaged {
                    error!(
                        damaged,
                        "the self-check found damage: stop, and run `tegula fsck --repair`"
                    );
                }
                for failed in &report.failed {
                    warn!(
                        failed,
                        "a step of housekeeping failed, it will be tried again"
                    );
                }
                info!(?report, "tidied");
            }
            Err(reason) => warn!(%reason, "housekeeping failed, it will be tried again"),
        }
    }
}

fn indexer(
    store: &Arc<dyn Store>,
    env: Arc<RealEnv>,
    signers: &Signers,
) -> Result<Indexer, CliError> {
    let extract = Arc::new(index_keys);
    Indexer::new(Arc::clone(store), env, signers, extract).map_err(CliError::io)
}

/// Follows the log with its search index, a moment after it grows. What fails here stops nothing else.
async fn index(
    mut indexer: Indexer,
    sequencer: &Sequencer,
    mut stopped: watch::Receiver<bool>,
    now_ms: fn() -> u64,
) {
    let (mut seen, mut pause) = (None, INDEX_EVERY);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        let bundles = sequencer.published().size.get() / 256;
        if seen == Some(bundles) {
            continue;
        }
        let options = IndexOptions {
            until_ms: Some(now_ms().saturating_add(INDEX_ROUND_MS)),
            ..IndexOptions::default()
        };
        pause = match indexer.round(options).await {
            Ok(report) => {
                let is_done = report.covered == report.coverable && report.unfinished == 0;
                seen = is_done.then_some(report.coverable / 256);
                if report.base_runs > 0 {
                    info!(?report, "indexed");
                }
                if is_done { INDEX_EVERY } else { Duration::ZERO }
            }
            Err(reason) => {
                warn!(%reason, "the search index is not brought up, it will be tried again");
                INDEX_AGAIN
            }
        };
    }
}

/// Between two looks at whether the log has grown by a bundle.
const INDEX_EVERY: Duration = Duration::from_secs(1);
/// After a failure.
const INDEX_AGAIN: Duration = Duration::from_secs(10);
/// A round ends after so long, to be asked whether it should stop.
const INDEX_ROUND_MS: u64 = 2_000;

/// Until a signal, or until the storage has failed: then no write can be believed any more.
async fn until_it_ends(sequencer: &Sequencer, mut signals: Signals) -> Result<(), CliError> {
    loop {
        tokio::select! {
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.terminate.recv() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                if let Some(reason @ Error::Fatal(_)) = sequencer.status().stopped {
                    return Err(CliError::io(reason));
                }
            }
        }
    }
}

/// What an operator ends the server with.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, CliError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(CliError::io)?,
            terminate: signal(SignalKind::terminate()).map_err(CliError::io)?,
        })
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error is a sender that is gone: that, too, is the end.
    stopped
        .wait_for(|stopped| *stopped)
        .await
        .map(drop)
        .unwrap_or_default();
}

async fn joined(task: tokio::task::JoinHandle<std::io::Result<()>>) -> Result<(), CliError> {
    task.await.map_err(CliError::io)?.map_err(CliError::io)
}

async fn bind(address: &str) -> Result<TcpListener, CliError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| CliError::io(format!("cannot listen on {address}: {error}")))
}

/// The host of `host:port`, without the brackets of IPv6.
fn host(listen: &str) -> String {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

fn tell_on_stderr(args: &Args) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(&args.log_level)
        .map_err(|error| CliError::usage(format!("--log-level: {error}")))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let set = if args.log_json {
        subscriber.json().try_init()
    } else {
        subscriber.with_target(false).try_init()
    };
    set.map_err(|error| CliError::io(error.to_string()))
}
