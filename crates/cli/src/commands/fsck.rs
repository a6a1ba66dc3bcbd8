//! `tegula fsck`

use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::json;
use tegula_client::{FsckOptions, FsckReport, IndexReport, LogIndex};
use tegula_signers::KeySource;

use crate::commands::repair;
use crate::context::{Context, Log};
use crate::exit::CliError;
use crate::home::Home;
use crate::log_source::LogPlace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make damaged objects again from the slots; of a directory only when its server is stopped
    #[arg(long)]
    repair: bool,

    /// A key of the log, where none is kept with it: a file, env:NAME, kms:KEY, secret:NAME or ssm:NAME
    #[arg(long, value_name = "KEY", requires = "repair")]
    key: Vec<KeySource>,

    /// Threads that hash; as many as there are cores unless it is given
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    if args.repair {
        let home = match cx.log_place()? {
            LogPlace::Directory(path) => Home::Directory(path),
            LogPlace::Buckets(buckets) => Home::Buckets(buckets),
            LogPlace::Url(_) => {
                return Err(CliError::usage(
                    "--repair needs --log with the directory or the buckets of the log",
                ));
            }
        };
        repair::run(&home, &args.key, cx).await?;
    }
    let log = cx.open_log().await?;
    // Both at once: the log goes on while it is hashed, and so does its index.
    let (checkpoint, index) = log.checkpoint_and_index(cx).await?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let bar = cx.output.progress(checkpoint.size().get(), "entries");
    let options = FsckOptions {
        threads: args.threads.map_or_else(cores, NonZeroUsize::get),
        elapsed: Arc::clone(&cx.clock.elapsed),
    };
    let checked = log.reader.fsck(&checkpoint, options.clone(), |entries| {
        bar.set_position(entries);
    });
    let report = checked.await?;
    bar.finish_and_clear();
    print(cx, &report);
    let index = match &index {
        Some(index) => Some(check_index(&log, index, options, cx).await?),
        None => None,
    };
    let problems = report.problem_count + index.as_ref().map_or(0, |index| index.problem_count);
    let index_problems = index.iter().flat_map(|index| &index.problems);
    match report.problems.iter().chain(index_problems).next() {
        None => Ok(()),
        Some(first) => Err(CliError::verification(format!(
            "the log is damaged: {problems} problems, the first is: {first}"
        ))),
    }
}

async fn check_index(
    log: &Log,
    index: &LogIndex,
    options: FsckOptions,
    cx: &Context,
) -> Result<IndexReport, CliError> {
    let bar = cx.output.progress(index.covered().get(), "indexed entries");
    let report = log
        .reader
        .check_index(index, options, |done| bar.set_position(done));
    let report = report.await?;
    bar.finish_and_clear();
    if cx.output.is_json() {
        cx.output.json(&json!({"index": {
            "covered": index.covered().to_string(),
            "runs": report.runs.to_string(),
            "objects": report.objects.to_string(),
            "bytes": report.bytes.to_string(),
            "problemCount": report.problem_count.to_string(),
            "problems": report.problems,
        }}));
        return Ok(report);
    }
    for problem in &report.problems {
        cx.output.line(format!("Problem of the index: {problem}"));
    }
    cx.output.line(format!(
        "Index: {} entries, {} runs of {} objects, {} bytes",
        index.covered(),
        report.runs,
        report.objects,
        report.bytes
    ));
    if report.problem_count == 0 {
        cx.output
            .line("The index is whole; `tegula index audit` checks it against the entries");
    }
    Ok(report)
}

fn print(cx: &Context, report: &FsckReport) {
    let seconds = report.elapsed.as_secs_f64();
    let bound = if report.bound_by_hashing() {
        "hashing"
    } else {
        "reading"
    };
    if cx.output.is_json() {
        cx.output.json(&json!({
            "treeSize": report.size.to_string(),
            "rootHash": report.root.to_string(),
            "entries": report.entries.to_string(),
            "tiles": report.tiles.to_string(),
            "bundles": report.bundles.to_string(),
            "bytes": report.bytes.to_string(),
            "seconds": seconds,
            "hashingSeconds": report.hashing.as_secs_f64(),
            "readingSeconds": report.reading.as_secs_f64(),
            "threads": report.threads,
            "boundBy": bound,
            "problemCount": report.problem_count.to_string(),
            "problems": report.problems,
        }));
        return;
    }
    for problem in &report.problems {
        cx.output.line(format!("Problem: {problem}"));
    }
    cx.output.line(format!(
        "Checked: {} entries, {} bundles, {} tiles, {} bytes",
        report.entries, report.bundles, report.tiles, report.bytes
    ));
    cx.output.line(format!("Tree Size: {}", report.size));
    cx.output.line(format!("Root Hash: {}", report.root));
    cx.output.line(format!(
        "Time: {seconds:.3} s, {:.0} entries/s; {:.3} s hashing on {} threads, {:.3} s reading; bound by {bound}",
        report.entries_per_second(),
        report.hashing.as_secs_f64(),
        report.threads,
        report.reading.as_secs_f64(),
    ));
    if report.problem_count == 0 {
        cx.output.line("The log is sound");
    }
}
