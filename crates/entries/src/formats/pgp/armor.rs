//! Armor, and messages that are signed in the clear.

use std::io::{self, Read};

use pgp::armor::{self, BlockType, Dearmor, DearmorOptions};
use pgp::ser::Serialize;

use crate::EntryError;
use crate::formats::MAX_KEY_LEN;

/// Armor without headers, with a checksum, without a line end after its last line: as Go writes it.
pub(super) fn encode(kind: BlockType, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to a vector cannot fail.
    let _always = armor::write(&Raw(bytes), kind, &mut text, None, true);
    text.truncate(text.trim_ascii_end().len());
    text
}

/// The blocks of a text, each up to its last line. What stands between them is passed over.
pub(super) fn blocks(text: &[u8]) -> Vec<&[u8]> {
    let mut blocks = Vec::new();
    let mut begin = None;
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if begin.is_none() && line.starts_with(BEGIN) {
            begin = Some(at);
        }
        at += line.len();
        if line.starts_with(END)
            && let Some(begin) = begin.take()
        {
            blocks.extend(text.get(begin..at));
        }
    }
    // A block without an end is for the decoder to refuse.
    blocks.extend(begin.and_then(|begin| text.get(begin..)));
    blocks
}

/// What a block is, and its bytes.
pub(super) fn decode(
    field: &'static str,
    block: &[u8],
) -> Result<(BlockType, Vec<u8>), EntryError> {
    // The decoder keeps headers in a map, which takes many times what they are long.
    let headers = block
        .split(|byte| *byte == b'\n')
        .skip(1)
        .take_while(|line| !line.trim_ascii().is_empty() && line.contains(&b':'))
        .count();
    if headers > MAX_HEADERS {
        return Err(EntryError::limit("armor headers", headers, MAX_HEADERS));
    }
    let options = DearmorOptions::new().set_limit(block.len().saturating_add(1));
    let mut decoder = Dearmor::with_options(block, options);
    let mut bytes = Vec::with_capacity(block.len() / 4 * 3);
    // The decoder's own errors hold what it had not read yet.
    decoder.read_to_end(&mut bytes).map_err(|_unread| {
        EntryError::invalid(field, "is not OpenPGP armor, or it is truncated")
    })?;
    let kind = decoder
        .typ
        .ok_or_else(|| EntryError::invalid(field, "is not OpenPGP armor: it names no type"))?;
    Ok((kind, bytes))
}

/// A message that is signed in the clear.
#[derive(Debug)]
pub(crate) struct Clearsigned {
    /// The text, without what was escaped, and without white space at the ends of lines.
    pub(crate) text: String,
    /// What was signed: the lines with CR and LF between them.
    pub(crate) signed: Vec<u8>,
    /// The signature, without its armor.
    pub(crate) signature: Vec<u8>,
}

impl Clearsigned {
    /// The first message of a file. What stands before and after it is passed over.
    pub(crate) fn parse(field: &'static str, file: &[u8]) -> Result<Self, EntryError> {
        let invalid = |reason: &str| EntryError::invalid(field, reason);
        let mut rest = crate::formats::text(field, file)?;
        while line(&mut rest)
            .ok_or_else(|| invalid("is not a message that OpenPGP signed in the clear"))?
            != BEGIN_MESSAGE
        {}
        loop {
            match line(&mut rest).ok_or_else(|| invalid("ends within its headers"))? {
                "" => break,
                header if header.starts_with("Hash:") || header.starts_with("SaltedHash:") => {}
                _ => {
                    return Err(invalid("has a header that is neither Hash nor SaltedHash"));
                }
            }
        }
        let mut text = String::with_capacity(rest.len());
        let mut signed = Vec::with_capacity(rest.len());
        let armored = loop {
            let here = rest;
            let line = line(&mut rest).ok_or_else(|| invalid("ends before its signature"))?;
            if line == BEGIN_SIGNATURE {
                break here;
            }
            if !text.is_empty() {
                signed.extend_from_slice(b"\r\n");
            }
            let line = line
                .strip_prefix("- ")
                .unwrap_or(line)
                .trim_end_matches([' ', '\t']);
            text.push_str(line);
            text.push('\n');
            signed.extend_from_slice(line.as_bytes());
        };
        if armored.len() > MAX_KEY_LEN {
            return Err(EntryError::limit("signature", armored.len(), MAX_KEY_LEN));
        }
        let block = blocks(armored.as_bytes()).into_iter().next();
        let (kind, signature) = decode(field, block.unwrap_or_default())?;
        if kind != BlockType::Signature {
            return Err(invalid("has no signature after its text"));
        }
        Ok(Self {
            text,
            signed,
            signature,
        })
    }
}

/// The next line, without its end.
fn line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    if rest.is_empty() {
        return None;
    }
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    *rest = after;
    Some(line.strip_suffix('\r').unwrap_or(line))
}

#[derive(Debug)]
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn to_writer<W: io::Write>(&self, writer: &mut W) -> pgp::errors::Result<()> {
        writer.write_all(self.0)?;
        Ok(())
    }

    fn write_len(&self) -> usize {
        self.0.len()
    }
}

pub(super) const BEGIN: &[u8] = b"-----BEGIN PGP ";
const END: &[u8] = b"-----END PGP ";
const BEGIN_MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// `Version:`, `Comment:` and few others are in use.
const MAX_HEADERS: usize = 16;
