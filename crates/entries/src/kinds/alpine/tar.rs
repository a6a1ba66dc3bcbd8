//! As much of tar as the first two members of a package need: they are read once, and never kept.

use std::io::{self, Read};

use super::limit;
use crate::EntryError;

/// The files of an archive, one after another. An archive may end without blocks of zeros, as abuild cuts them off.
pub(super) struct Files<R> {
    /// Where the archive is, for a person.
    field: &'static str,
    input: R,
    /// What is left of the file that was begun, and of its last block.
    unread: u64,
    ended: bool,
}

/// What a header says.
pub(super) struct Header {
    pub(super) name: String,
    pub(super) size: u64,
}

impl<R: Read> Files<R> {
    pub(super) fn new(field: &'static str, input: R) -> Self {
        Self {
            field,
            input,
            unread: 0,
            ended: false,
        }
    }

    /// The next regular file. What the last one had is passed over.
    pub(super) fn next(&mut self) -> Result<Option<Header>, EntryError> {
        while !self.ended {
            self.skip()?;
            let mut block = [0; BLOCK];
            let len = self.fill(&mut block)?;
            if len == 0 || block == [0; BLOCK] {
                self.ended = true;
                break;
            }
            if len < BLOCK {
                return Err(self.truncated());
            }
            let (kind, header) = self.parse(&block)?;
            self.unread = header.size.next_multiple_of(BLOCK as u64);
            match kind {
                b'0' | 0 => return Ok(Some(header)),
                b'x' | b'g' => self.check_extended(header.size)?,
                b'L' | b'K' => return Err(self.renamed()),
                // Links, devices and directories have no contents, whatever their headers say.
                b'1'..=b'6' => self.unread = 0,
                _ => {}
            }
        }
        Ok(None)
    }

    /// The contents of the file that was begun.
    pub(super) fn contents(&mut self, size: u64) -> Result<Vec<u8>, EntryError> {
        let mut contents = Vec::new();
        let read = self.input.by_ref().take(size).read_to_end(&mut contents);
        let read = read.map_err(|error| self.unreadable(&error))?;
        if (read as u64) < size {
            return Err(self.truncated());
        }
        self.unread = self.unread.saturating_sub(size);
        Ok(contents)
    }

    /// Reads on to the end of the input, behind the end of the archive.
    pub(super) fn finish(mut self) -> Result<R, EntryError> {
        self.skip()?;
        io::copy(&mut self.input, &mut io::sink()).map_err(|error| self.unreadable(&error))?;
        Ok(self.input)
    }

    fn skip(&mut self) -> Result<(), EntryError> {
        let mut rest = self.input.by_ref().take(self.unread);
        let skipped =
            io::copy(&mut rest, &mut io::sink()).map_err(|error| self.unreadable(&error))?;
        if skipped < self.unread {
            return Err(self.truncated());
        }
        self.unread = 0;
        Ok(())
    }

    fn fill(&mut self, block: &mut [u8; BLOCK]) -> Result<usize, EntryError> {
        let mut len = 0;
        while let Some(rest) = block.get_mut(len..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
        Ok(len)
    }

    fn parse(&self, block: &[u8; BLOCK]) -> Result<(u8, Header), EntryError> {
        let malformed = |what: &str| {
            EntryError::invalid(self.field, format!("has a tar header without {what}"))
        };
        let stated = block.get(148..156).and_then(octal);
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| match at {
                148..156 => u64::from(b' '),
                _ => u64::from(*byte),
            })
            .sum();
        if stated != Some(sum) {
            return Err(malformed("its checksum"));
        }
        let text = |range: std::ops::Range<usize>| {
            let bytes = block.get(range).unwrap_or_default();
            let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        let mut name = text(0..100);
        if block.get(257..263) == Some(b"ustar\0") {
            let prefix = text(345..500);
            if !prefix.is_empty() {
                name = format!("{prefix}/{name}");
            }
        }
        let size = block.get(124..136).and_then(octal);
        let size = size.ok_or_else(|| malformed("a size in octal digits"))?;
        let kind = block.get(156).copied().unwrap_or_default();
        Ok((kind, Header { name, size }))
    }

    /// An extended header may hold times and checksums. A name or a size in it would be read by some, and passed over by others.
    fn check_extended(&mut self, size: u64) -> Result<(), EntryError> {
        if size > MAX_EXTENDED {
            return Err(limit("extended tar header", size, MAX_EXTENDED));
        }
        let records = self.contents(size)?;
        let renames = |line: &[u8]| {
            let record = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            record.starts_with(b"path=")
                || record.starts_with(b"size=")
                || record.starts_with(b"GNU.sparse.")
        };
        if records.split(|byte| *byte == b'\n').any(renames) {
            return Err(self.renamed());
        }
        Ok(())
    }

    fn renamed(&self) -> EntryError {
        EntryError::invalid(
            self.field,
            "has a name or a size outside of a tar header of 512 bytes",
        )
    }

    fn truncated(&self) -> EntryError {
        EntryError::invalid(self.field, "ends within a file")
    }

    fn unreadable(&self, error: &io::Error) -> EntryError {
        EntryError::invalid(self.field, error.to_string())
    }
}

/// Digits of a number, with blanks or zero bytes around them.
fn octal(bytes: &[u8]) -> Option<u64> {
    let text = str::from_utf8(bytes).ok()?;
    let digits = text.trim_matches([' ', '\0']);
    let octal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    octal.then(|| u64::from_str_radix(digits, 8).ok()).flatten()
}

const BLOCK: usize = 512;

/// abuild's have a time and a checksum.
const MAX_EXTENDED: u64 = 8 << 10;
