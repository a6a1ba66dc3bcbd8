//! Results on standard output; notes, errors and progress on standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::CliError;

/// Where a command speaks.
///
/// With `--json`, every line of standard output is one JSON object: one for each result, and, if the command fails, a last one of
/// the form `{"error":{"code":4,"kind":"verification","message":"…"}}`. Integers of 64 bits are strings.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    failed: AtomicBool,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A line of a result.
    pub(crate) fn line(&self, text: impl Display) {
        self.write(format!("{}\n", printable(&text.to_string())).as_bytes());
    }

    /// A result as one line of JSON.
    pub(crate) fn json(&self, value: &Value) {
        self.write(format!("{value}\n").as_bytes());
    }

    /// A result that is bytes.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        self.write(bytes);
    }

    /// What the user should know beside the result.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            // Without standard error there is nobody to tell.
            writeln!(io::stderr(), "tegula: {}", printable(&text.to_string())).ok();
        }
    }

    /// How the command failed.
    pub(crate) fn error(&self, error: &CliError) {
        writeln!(io::stderr(), "tegula: error: {}", printable(&error.message)).ok();
        if self.json {
            self.json(&json!({"error": {
                "code": error.exit.code(),
                "kind": error.exit.name(),
                "message": error.message,
            }}));
        }
    }

    /// A bar on standard error, where that is a terminal.
    pub(crate) fn progress(&self, total: u64, what: &'static str) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total).with_message(what);
        match ProgressStyle::with_template(
            "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
        ) {
            Ok(style) => bar.with_style(style),
            Err(_unstyled) => bar,
        }
    }

    /// Whether all results could be written.
    pub(crate) fn finish(&self) -> Result<(), CliError> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(CliError::io("cannot write to standard output"));
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => {}
            // Who reads only the first lines has what was wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(_) => self.failed.store(true, Ordering::Relaxed),
        }
    }
}

/// Text that cannot steer a terminal: much of it comes from a log.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => printable.push(c),
            c if c.is_control() => printable.extend(c.escape_default()),
            c => printable.push(c),
        }
    }
    printable
}

/// Several things done one after the other, of which some may fail: each failure is told, the others go on.
#[derive(Debug)]
pub(crate) struct Tally {
    total: usize,
    failures: usize,
    first: Option<CliError>,
}

impl Tally {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total,
            failures: 0,
            first: None,
        }
    }

    /// Tells a failure, unless it is the only thing that was to be done: then it is the failure of the command.
    pub(crate) fn failed(&mut self, cx: &Context, error: CliError) -> Result<(), CliError> {
        if self.total == 1 {
            return Err(error);
        }
        cx.output.error(&error);
        self.failures += 1;
        self.first.get_or_insert(error);
        Ok(())
    }

    /// The first failure decides how the command ends.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        match self.first {
            None => Ok(()),
            Some(first) => Err(CliError {
                exit: first.exit,
                message: format!("{} of {} failed", self.failures, self.total),
            }),
        }
    }
}
