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

    /// A line of a result; what is in it does not begin another one.
    pub(crate) fn line(&self, text: impl Display) {
        self.write(format!("{}\n", on_one_line(&text.to_string())).as_bytes());
    }

    /// A result of several lines, in which no text from outside stands as it is.
    pub(crate) fn lines(&self, text: impl Display) {
        self.write(format!("{}\n", printable(&text.to_string())).as_bytes());
    }

    /// A result as one line of JSON.
    pub(crate) fn json(&self, value: &Value) {
        self.write(format!("{}\n", json_text(value)).as_bytes());
    }

    /// A result that is bytes.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        self.write(bytes);
    }

    /// What the user should know beside the result.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            // Without standard error there is nobody to tell.
            writeln!(io::stderr(), "tegula: {}", on_one_line(&text.to_string())).ok();
        }
    }

    /// How the command failed.
    pub(crate) fn error(&self, error: &CliError) {
        let text = match error.lines {
            true => printable(&error.message),
            false => on_one_line(&error.message),
        };
        writeln!(io::stderr(), "tegula: error: {text}").ok();
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

/// Text that cannot steer a terminal, nor change what other text looks like: much of it comes from a log, or is the name of a file.
fn printable(text: &str) -> String {
    escaped(text, |c| c != '\n' && c != '\t' && is_deceptive(c))
}

/// The same, in which no line ends.
fn on_one_line(text: &str) -> String {
    escaped(text, |c| c != '\t' && is_deceptive(c))
}

fn escaped(text: &str, escape: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if escape(c) => escaped.extend(c.escape_default()),
            c => escaped.push(c),
        }
    }
    escaped
}

/// JSON, in which such characters are only ever within texts.
fn json_text(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            c if is_deceptive(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => text.push(c),
        }
    }
    text
}

/// Control characters, line and paragraph separators, and what turns the direction of text or has no width.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
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
                message: format!("{} of {} failed", self.failures, self.total),
                ..first
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_where_it_is() {
        let name = "a\nVerified: b\u{1b}[2J\u{9b}2J\u{202e}txt.exe\u{2028}\u{200b}\r\tü";
        assert_eq!(
            on_one_line(name),
            "a\\nVerified: b\\u{1b}[2J\\u{9b}2J\\u{202e}txt.exe\\u{2028}\\u{200b}\\r\tü"
        );
        assert!(printable(name).starts_with("a\nVerified: b\\u{1b}"));
        let json = json_text(&json!({"name": name}));
        assert!(!json.chars().any(is_deceptive), "{json}");
        let back: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["name"], name);
    }
}
