//! The `tegula` command.

mod buckets;
mod commands;
mod config;
mod context;
mod descriptors;
mod env;
mod exit;
mod home;
mod keys;
mod log_source;
mod output;
mod trust;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{CommandFactory, FromArgMatches, Parser};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use crate::commands::Command;
use crate::context::{Clock, Context, Directories, Global};
use crate::exit::CliError;
use crate::output::Output;

/// A transparency log without a server: upload, prove, verify.
///
/// A log is named by its URL, or by its directory. Results go to standard output, everything else to standard error.
///
/// Exit codes: 0 success, 1 network or file error, 2 wrong use, 3 not found, 4 verification failed, 5 the log misbehaves, 6 the
/// policy is not met, 8 what was searched for is proven to be absent.
#[derive(Debug, Parser)]
#[command(name = "tegula", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let environment = Environment::read();
    let file = config_file(&args, &environment);
    let json = wants_json(&args, &environment, file.as_ref().ok());
    let output = Output::new(json, false);
    match file.and_then(|file| run(&args, environment, file)) {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit.code())
        }
    }
}

fn run(
    args: &[OsString],
    environment: Environment,
    file: Option<ConfigFile>,
) -> Result<ExitCode, CliError> {
    let given = |flag: &str| is_given(args, flag);
    let mut command = config::prefer_command_line(Cli::command(), &given);
    if let Some(ConfigFile { name, text }) = file {
        let named = |variable: &OsStr| std::env::var_os(variable).is_some();
        command = config::apply(command, &name, &text, &given, &named)?;
    }
    let parsed = command
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            return Err(CliError::arguments(text.trim_end()));
        }
        // Help and version are results. Nobody is there to tell if they cannot be printed.
        Err(help) => {
            help.print().ok();
            return Ok(ExitCode::SUCCESS);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::io(format!("cannot start: {error}")))?;
    let context = Context::new(cli.global, environment.directories, clock());
    let outcome = runtime.block_on(Box::pin(cli.command.run(&context)));
    // What was left to itself, such as a name being looked up, must not delay the end.
    runtime.shutdown_background();
    outcome.and_then(|()| context.output.finish())?;
    Ok(ExitCode::SUCCESS)
}

/// A configuration file that was read.
struct ConfigFile {
    name: String,
    text: String,
}

/// The configuration file, if there is one.
fn config_file(
    args: &[OsString],
    environment: &Environment,
) -> Result<Option<ConfigFile>, CliError> {
    let named = flag_value(args, "--config").or_else(|| environment.config.clone());
    let path = match (&named, &environment.directories.config) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(directory)) => directory.join("config.toml"),
        (None, None) => return Ok(None),
    };
    let name = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(ConfigFile { name, text })),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::usage(format!("{name}: {error}"))),
    }
}

/// Whether failures are to be told in JSON: this must be known also when the arguments cannot be parsed.
fn wants_json(
    args: &[OsString],
    environment: &Environment,
    file: Option<&Option<ConfigFile>>,
) -> bool {
    let file = file.and_then(Option::as_ref);
    is_given(args, "json")
        || flag_value(args, "--format").is_some_and(|value| value == "json")
        || environment.json
        || file.is_some_and(|file| config::wants_json(&file.text))
}

/// Whether a flag is on the command line.
fn is_given(args: &[OsString], flag: &str) -> bool {
    flags(args).filter_map(|arg| arg.to_str()).any(|arg| {
        let flag = arg
            .strip_prefix("--")
            .and_then(|arg| arg.strip_prefix(flag));
        flag.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

/// The value of a flag, as `--flag value` or `--flag=value`.
fn flag_value(args: &[OsString], flag: &str) -> Option<OsString> {
    let mut args = flags(args);
    while let Some(arg) = args.next() {
        if arg == flag {
            return args.next().cloned();
        }
        let value = arg.to_str().and_then(|arg| arg.strip_prefix(flag));
        if let Some(value) = value.and_then(|value| value.strip_prefix('=')) {
            return Some(value.into());
        }
    }
    None
}

fn flags(args: &[OsString]) -> impl Iterator<Item = &OsString> {
    args.iter().skip(1).take_while(|arg| *arg != "--")
}

/// All that is read from the environment, but for the flags that have a variable of their own.
#[derive(Debug)]
struct Environment {
    config: Option<OsString>,
    json: bool,
    directories: Directories,
}

impl Environment {
    fn read() -> Self {
        let path = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let home = path("HOME");
        let below = |variable: &str, in_home: &str| {
            let base = path(variable).or_else(|| home.as_ref().map(|home| home.join(in_home)));
            base.map(|base| base.join(Path::new("tegula")))
        };
        Self {
            config: std::env::var_os("TEGULA_CONFIG").filter(|value| !value.is_empty()),
            json: std::env::var_os("TEGULA_JSON").is_some_and(|value| {
                // As clap has it: whatever is not one of these is true.
                let value = value.to_string_lossy().to_lowercase();
                !["", "n", "no", "f", "false", "off", "0"].contains(&value.as_str())
            }),
            directories: Directories {
                config: below("XDG_CONFIG_HOME", ".config"),
                state: below("XDG_STATE_HOME", ".local/state"),
                cache: below("XDG_CACHE_HOME", ".cache"),
            },
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "main reads the clock")]
fn clock() -> Clock {
    let start = Instant::now();
    Clock {
        now_ms: || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            u64::try_from(since.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(u64::MAX)
        },
        elapsed: std::sync::Arc::new(move || start.elapsed()),
    }
}
