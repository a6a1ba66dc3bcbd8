//! Entries from a file or from standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use tegula_entries::StoredEntry;
use tegula_sequencer::Pending;
use tokio::sync::mpsc;

use crate::exit::CliError;

/// How entries are written one after the other.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// As in a bundle: two bytes of length, and the entry.
    Bundle,
    /// A line each: base64, or a JSON object with it as its `body`.
    Lines,
}

/// Entries as they come, with the index of the first one.
pub(super) struct Chunk {
    pub(super) first: u64,
    pub(super) entries: Vec<Bytes>,
}

/// Reads entries, in a thread of its own and not further ahead than a few chunks. The receiver ends with the input.
pub(super) fn read(
    path: &Path,
    form: Form,
    position: Arc<AtomicU64>,
) -> Result<mpsc::Receiver<Result<Chunk, CliError>>, CliError> {
    let name = path.display().to_string();
    let input: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let file = File::open(path).map_err(|error| CliError::usage(format!("{name}: {error}")))?;
        Box::new(file)
    };
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let counted = Counted { input, position };
        let mut entries = Entries {
            input: BufReader::with_capacity(1 << 20, counted),
            form,
            next: 0,
        };
        loop {
            let chunk = entries.chunk().map_err(|error| error.about(&name));
            let ended = chunk
                .as_ref()
                .map_or(true, |chunk| chunk.entries.is_empty());
            let sent = chunk.is_ok() && ended || sender.blocking_send(chunk).is_ok();
            if ended || !sent {
                return;
            }
        }
    });
    Ok(receiver)
}

impl Chunk {
    /// Checks each entry as a log that takes Rekor's would, and hashes it. Raw ones may be anything.
    pub(super) fn check(self, raw: bool) -> Result<Vec<Pending>, CliError> {
        let mut checked = Vec::with_capacity(self.entries.len());
        for (index, entry) in (self.first..).zip(self.entries) {
            if !raw {
                StoredEntry::parse(&entry)
                    .and_then(|stored| stored.verify())
                    .map_err(|error| CliError::from(error).about(&format!("entry {index}")))?;
            }
            checked.push(Pending::new(entry));
        }
        Ok(checked)
    }
}

struct Entries<R> {
    input: R,
    form: Form,
    next: u64,
}

impl<R: BufRead> Entries<R> {
    /// The next entries; none at the end.
    fn chunk(&mut self) -> Result<Chunk, CliError> {
        let first = self.next;
        let mut entries = Vec::new();
        while entries.len() < CHUNK {
            let entry = match self.form {
                Form::Bundle => self.prefixed(),
                Form::Lines => self.line(),
            };
            let index = self.next;
            let Some(entry) = entry.map_err(|error| error.about(&format!("entry {index}")))? else {
                break;
            };
            entries.push(Bytes::from(entry));
            self.next += 1;
        }
        Ok(Chunk { first, entries })
    }

    fn prefixed(&mut self) -> Result<Option<Vec<u8>>, CliError> {
        if self.input.fill_buf().map_err(CliError::io)?.is_empty() {
            return Ok(None);
        }
        let mut len = [0; 2];
        self.input.read_exact(&mut len).map_err(cut_off)?;
        let mut entry = vec![0; usize::from(u16::from_be_bytes(len))];
        self.input.read_exact(&mut entry).map_err(cut_off)?;
        Ok(Some(entry))
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, CliError> {
        let mut line = Vec::new();
        let limit = u64::try_from(MAX_LINE_LEN + 1).unwrap_or(u64::MAX);
        (&mut self.input)
            .take(limit)
            .read_until(b'\n', &mut line)
            .map_err(CliError::io)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.len() > MAX_LINE_LEN {
            return Err(CliError::usage(format!(
                "the line is longer than {MAX_LINE_LEN} bytes"
            )));
        }
        let line = line.trim_ascii();
        let decoded = if line.starts_with(b"{") {
            let entry: Line = serde_json::from_slice(line).map_err(|error| {
                CliError::usage(format!("{error}, expected {{\"body\": base64}}"))
            })?;
            STANDARD.decode(entry.body)
        } else {
            STANDARD.decode(line)
        };
        let entry = decoded.map_err(|error| CliError::usage(format!("base64: {error}")))?;
        if entry.len() > tegula_tlog::MAX_ENTRY_LEN {
            return Err(CliError::usage(format!(
                "it is {} bytes, expected at most {}",
                entry.len(),
                tegula_tlog::MAX_ENTRY_LEN
            )));
        }
        Ok(Some(entry))
    }
}

/// What else Rekor says of an entry is left out.
#[derive(Deserialize)]
struct Line {
    body: String,
}

/// Counts the bytes that were read, for the progress bar.
struct Counted<R> {
    input: R,
    position: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.position
            .fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(read)
    }
}

fn cut_off(error: io::Error) -> CliError {
    if error.kind() == ErrorKind::UnexpectedEof {
        CliError::usage("the input ends within it")
    } else {
        CliError::io(error)
    }
}

/// As many as a bundle has: at most 16 MiB.
const CHUNK: usize = 256;
const CHUNKS_AHEAD: usize = 4;
/// Base64 of the longest entry is 87 KB; the rest is for what Rekor says beside it.
const MAX_LINE_LEN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], form: Form) -> Result<Vec<Bytes>, CliError> {
        let mut entries = Entries {
            input: bytes,
            form,
            next: 0,
        };
        entries.chunk().map(|chunk| chunk.entries)
    }

    #[test]
    fn a_bundle_is_cut_into_its_entries() {
        let entries = all(b"\0\x05alpha\0\0\0\x04beta", Form::Bundle).unwrap();
        assert_eq!(entries, [&b"alpha"[..], b"", b"beta"]);
        assert!(all(b"", Form::Bundle).unwrap().is_empty());
        for cut in [1, 2, 6, 8, 12] {
            let error = all(&b"\0\x05alpha\0\0\0\x04beta"[..cut], Form::Bundle).unwrap_err();
            assert!(
                error.to_string().ends_with("the input ends within it"),
                "{error}"
            );
        }
    }

    #[test]
    fn lines_are_base64_or_json() {
        let text = b"YWxwaGE=\n{\"logIndex\":7,\"body\":\"YmV0YQ==\"}\r\n\nZ2FtbWE=";
        let entries = all(text, Form::Lines).unwrap();
        assert_eq!(entries, [&b"alpha"[..], b"beta", b"", b"gamma"]);
        for (bad, expected) in [
            (&b"YWxwaGE\n"[..], "entry 0: base64: "),
            (b"YQ==\n{\"no\":1}\n", "entry 1: missing field `body`"),
        ] {
            let error = all(bad, Form::Lines).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let long = vec![b'A'; MAX_LINE_LEN + 1];
        assert!(all(&long, Form::Lines).is_err());
    }
}
