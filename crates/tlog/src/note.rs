//! Signed notes: c2sp.org/signed-note.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::key::{SigningKey, VerifierKey};

/// A text and the signature lines below it, of which nothing is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The first four bytes of its id.
    pub key_id: [u8; 4],
    /// The signature; what is in it is up to the type of the key.
    pub signature: Vec<u8>,
}

/// Why bytes are not a note, or not one that can be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteError {
    /// The bytes are not a note.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// A known key's signature is wrong.
    #[error("the signature of {0} is wrong")]
    BadSignature(String),
}

impl Note {
    /// A note without signatures.
    ///
    /// # Errors
    ///
    /// [`NoteError::Malformed`] if the text is empty, does not end with a newline, or has control characters.
    pub fn new(text: String) -> Result<Self, NoteError> {
        if text.is_empty() || !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end with a newline"));
        }
        if text.bytes().any(|c| c < b' ' && c != b'\n') {
            return Err(NoteError::Malformed("the text has control characters"));
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// Parses a note with at least one signature line, and at most 100.
    ///
    /// # Errors
    ///
    /// [`NoteError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        if bytes.len() > MAX_LEN {
            return Err(malformed("it is longer than 1 MiB"));
        }
        let note = str::from_utf8(bytes).map_err(|_utf8| malformed("it is not UTF-8"))?;
        let split = note
            .rfind("\n\n")
            .ok_or_else(|| malformed("it has no signatures"))?;
        let (text, lines) = note
            .split_at_checked(split + 1)
            .ok_or_else(|| malformed("it has no text"))?;
        let mut note = Self::new(text.to_owned())?;
        let lines = lines
            .strip_prefix('\n')
            .and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or_else(|| malformed("its last line does not end with a newline"))?;
        for line in lines.split('\n') {
            if note.signatures.len() == MAX_SIGNATURES {
                return Err(malformed("it has more than 100 signatures"));
            }
            note.signatures.push(parse_line(line).ok_or_else(|| {
                malformed(
                    "a signature is not a dash, a name, and a key id and a signature in base64",
                )
            })?);
        }
        Ok(note)
    }

    /// The text that is signed; it ends with a newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in their order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature below the others. A witness' key takes the time, in seconds since 1970; others ignore it.
    pub fn sign(&mut self, key: &SigningKey, time_s: u64) {
        self.add(&key.verifier(), key.sign(&self.text, time_s));
    }

    /// Adds a signature of this key below the others, as it is.
    pub fn add(&mut self, key: &VerifierKey, signature: Vec<u8>) {
        self.signatures.push(NoteSignature {
            name: key.name().to_owned(),
            key_id: key.key_id(),
            signature,
        });
    }

    /// Those of the keys that signed the note, in their order. Signatures of other keys are ignored.
    ///
    /// # Errors
    ///
    /// [`NoteError::BadSignature`] if one of the keys is named by a signature that is not its own.
    pub fn verified_by(&self, keys: &[VerifierKey]) -> Result<Vec<VerifierKey>, NoteError> {
        let mut signers = Vec::new();
        for key in keys {
            let id = key.key_id();
            let is_its = |line: &&NoteSignature| line.name == key.name() && line.key_id == id;
            let mut lines = self.signatures.iter().filter(is_its).peekable();
            if lines.peek().is_none() {
                continue;
            }
            if !lines.all(|line| key.verify(&self.text, &line.signature)) {
                return Err(NoteError::BadSignature(key.to_string()));
            }
            signers.push(key.clone());
        }
        Ok(signers)
    }

    /// The note's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.text.clone().into_bytes();
        bytes.push(b'\n');
        for line in &self.signatures {
            let mut signature = line.key_id.to_vec();
            signature.extend_from_slice(&line.signature);
            let encoded = STANDARD.encode(signature);
            bytes.extend_from_slice(format!("{DASH}{} {encoded}\n", line.name).as_bytes());
        }
        bytes
    }
}

fn parse_line(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
    // What the specification says of any name, and no more: signers that are not known are ignored.
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+' || c < ' ') {
        return None;
    }
    let bytes = STANDARD.decode(encoded).ok()?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    Some(NoteSignature {
        name: name.to_owned(),
        key_id: *key_id,
        signature: signature.to_vec(),
    })
}

/// An em dash and a space.
const DASH: &str = "\u{2014} ";
const MAX_LEN: usize = 1 << 20;
const MAX_SIGNATURES: usize = 100;
