//! `tegula index`: the search index is made, and checked.

use std::sync::Arc;

use serde_json::{Value, json};
use tegula_client::{Audit, Difference, LogIndex, VerifiedCheckpoint, index_keys};
use tegula_index::Run;
use tegula_sequencer::{IndexOptions, IndexReport, Indexer, RealEnv};
use tegula_signers::KeySource;
use tegula_storage::Condition;

use crate::context::Context;
use crate::env::random;
use crate::exit::CliError;
use crate::home::{Entered, Home};
use crate::keys;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the search index of a log, or go on with it; a server may be running meanwhile
    Build(Build),
    /// Make runs of the index again from the log, and compare
    Audit(AuditArgs),
}

#[derive(Debug, clap::Args)]
struct Build {
    /// The log's directory, or its buckets
    #[arg(value_name = "DIR|s3://BUCKET?private=s3://BUCKET")]
    home: Home,

    /// A key of the log, where none is kept with it: a file, env:NAME, kms:KEY, secret:NAME or ssm:NAME
    #[arg(long, value_name = "KEY")]
    key: Vec<KeySource>,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct AuditArgs {
    /// A live run, by its level and number
    #[arg(long, value_name = "LEVEL/N", value_parser = run_name)]
    run: Vec<Run>,

    /// So many live runs, chosen at random; 4 if nothing is said
    #[arg(long, value_name = "N")]
    sample: Option<usize>,

    /// All live runs: that is the whole index. Takes some 300 bytes of memory for each entry of the largest run
    #[arg(long)]
    all: bool,
}

fn run_name(text: &str) -> Result<Run, String> {
    let wrong = || format!("{text:?} is not a run, expected a level and a number such as 3/12");
    let (level, n) = text.split_once('/').ok_or_else(wrong)?;
    let (level, n) = level.parse().ok().zip(n.parse().ok()).ok_or_else(wrong)?;
    Run::new(level, n).ok_or_else(wrong)
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    match args.command {
        Command::Build(args) => build(args, cx).await,
        Command::Audit(args) => audit(args, cx).await,
    }
}

async fn build(args: Build, cx: &Context) -> Result<(), CliError> {
    let entered = args.home.enter().await?;
    let built = match entered.store().condition() {
        Condition::Clean => build_in(&args, &entered, cx).await,
        Condition::Unclean | Condition::Suspect => Err(CliError::io(format!(
            "{} was not stopped cleanly: start the server, which puts it right, or run `tegula fsck --repair`",
            args.home
        ))),
    };
    let left = entered.leave().await;
    let report = built?;
    left?;
    if cx.output.is_json() {
        cx.output.json(&json!({
            "indexed": report.covered.to_string(),
            "baseRuns": report.base_runs.to_string(),
            "merged": report.merged.to_string(),
        }));
    } else {
        cx.output.line(format!(
            "Indexed: {} entries; {} base runs and {} merged ones are new",
            report.covered, report.base_runs, report.merged
        ));
    }
    Ok(())
}

async fn build_in(args: &Build, entered: &Entered, cx: &Context) -> Result<IndexReport, CliError> {
    let description = entered.description().await?;
    let signers = keys::signers(&args.home, &description, &args.key).await?;
    let env = Arc::new(RealEnv::new(cx.clock.now_ms, random()?));
    let extract = Arc::new(index_keys);
    let mut indexer =
        Indexer::new(entered.store(), env, &signers, extract).map_err(CliError::io)?;
    let mut total = IndexReport::default();
    let bar = cx.output.progress(0, "entries");
    loop {
        let options = IndexOptions {
            max_base_runs: Some(SHOWN_EACH),
            ..IndexOptions::default()
        };
        let report = indexer.round(options).await.map_err(CliError::io)?;
        total = IndexReport {
            base_runs: total.base_runs + report.base_runs,
            merged: total.merged + report.merged,
            units: total.units + report.units,
            ..report
        };
        bar.set_length(report.coverable);
        bar.set_position(report.covered);
        if report.covered >= report.coverable {
            bar.finish_and_clear();
            return Ok(total);
        }
    }
}

async fn audit(args: AuditArgs, cx: &Context) -> Result<(), CliError> {
    let log = cx.open_log().await?;
    let (checkpoint, index) = log.checkpoint_and_index(cx).await?;
    let index = index.ok_or_else(|| CliError::not_found("the log has no search index"))?;
    let runs = chosen(&args, &index)?;
    let leaves = runs.iter().map(Run::leaves).sum();
    let bar = cx.output.progress(leaves, "entries");
    let mut wrong = 0;
    for run in runs {
        let audit = log.reader.audit_run(&checkpoint, &index, run).await?;
        bar.inc(run.leaves());
        bar.suspend(|| print(cx, &audit));
        wrong += u64::from(!audit.is_right());
        if !audit.is_right() {
            evidence(cx, &index, &checkpoint, &audit);
        }
    }
    bar.finish_and_clear();
    if wrong == 0 {
        return Ok(());
    }
    Err(CliError::misbehaviour(format!(
        "{wrong} runs of the search index are not what the log's entries make"
    )))
}

fn chosen(args: &AuditArgs, index: &LogIndex) -> Result<Vec<Run>, CliError> {
    if !args.run.is_empty() {
        return Ok(args.run.clone());
    }
    let mut runs: Vec<Run> = index.state().runs().iter().map(|(run, _)| *run).collect();
    if args.all {
        return Ok(runs);
    }
    // Which ones, nobody who serves the log can know.
    let mut random = random()?.into_iter().cycle();
    let mut chosen = Vec::new();
    for _ in 0..args.sample.unwrap_or(4).min(runs.len()) {
        let [high, low] = [random.next(), random.next()].map(Option::unwrap_or_default);
        let at = usize::from(u16::from_be_bytes([high, low])) % runs.len();
        chosen.push(runs.swap_remove(at));
    }
    chosen.sort_unstable_by_key(Run::start);
    Ok(chosen)
}

fn print(cx: &Context, audit: &Audit) {
    let run = audit.run;
    let (from, to) = (run.start(), run.start() + run.leaves());
    if cx.output.is_json() {
        let differences: Vec<Value> = audit.differences.iter().map(difference_json).collect();
        cx.output.json(&json!({
            "run": run.to_string(),
            "from": from.to_string(),
            "to": to.to_string(),
            "committed": {"weight": audit.committed.weight.to_string(), "rootHash": audit.committed.root.to_string()},
            "made": {"weight": audit.made.weight.to_string(), "rootHash": audit.made.root.to_string()},
            "right": audit.is_right(),
            "differences": differences,
        }));
        return;
    }
    let verdict = if audit.is_right() { "right" } else { "WRONG" };
    cx.output.line(format!(
        "Run {run}: {verdict}, entries {from} to {}",
        to - 1
    ));
}

/// What shows, to whoever has the log, that a run is wrong.
fn evidence(cx: &Context, index: &LogIndex, log: &VerifiedCheckpoint, audit: &Audit) {
    if cx.output.is_json() {
        cx.output.json(&json!({"evidence": {
            "run": audit.run.to_string(),
            "indexCheckpoint": String::from_utf8_lossy(index.checkpoint().note()),
            "checkpoint": String::from_utf8_lossy(log.note()),
            "state": tegula_index::IndexPath::State(index.checkpoint().size()).to_string(),
        }}));
        return;
    }
    cx.output.line(format!(
        "Committed: root {}, weight {}",
        audit.committed.root, audit.committed.weight
    ));
    cx.output.line(format!(
        "Made from the log: root {}, weight {}",
        audit.made.root, audit.made.weight
    ));
    for difference in &audit.differences {
        match difference {
            Difference::Record => cx
                .output
                .line("The index log, signed as below, commits to another run"),
            Difference::Object { path, at } => {
                cx.output.line(format!("{path} differs from byte {at} on"));
            }
            Difference::Missing { path } => cx.output.line(format!("{path} is missing")),
        }
    }
    cx.output.lines(format!(
        "Checkpoint of the index:\n{}",
        String::from_utf8_lossy(index.checkpoint().note())
    ));
    cx.output.lines(format!(
        "Checkpoint of the log:\n{}",
        String::from_utf8_lossy(log.note())
    ));
}

fn difference_json(difference: &Difference) -> Value {
    match difference {
        Difference::Record => json!({"what": "record"}),
        Difference::Object { path, at } => {
            json!({"what": "object", "path": path.to_string(), "at": at})
        }
        Difference::Missing { path } => json!({"what": "missing", "path": path.to_string()}),
    }
}

/// Base runs between two movements of the bar.
const SHOWN_EACH: u64 = 64;
