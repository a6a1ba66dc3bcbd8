//! Checkpoints: c2sp.org/tlog-checkpoint.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::key::{SigningKey, VerifierKey};
use crate::note::{Note, NoteError};
use crate::number::TreeSize;

/// What a log signs: which log it is, the tree's size and its root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// The tree's size.
    pub size: TreeSize,
    /// The tree's root.
    pub root: Hash,
    /// Further lines, none of them empty. Tegula writes none.
    pub extensions: Vec<String>,
}

/// Why bytes are not the checkpoint of a log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// They are not a note, or a signature is wrong.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note's text is not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// None of the keys of this origin signed it.
    #[error("the checkpoint of {origin:?} is not signed by a trusted key of that name")]
    Untrusted {
        /// The checkpoint's origin.
        origin: String,
    },
}

impl Checkpoint {
    /// Parses the text of a note.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let text = text.strip_suffix('\n');
        let text = text.ok_or_else(|| malformed("it does not end with a newline"))?;
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty());
        let origin = origin.ok_or_else(|| malformed("it has no origin"))?;
        let size = lines.next().and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| malformed("its second line is not a size"))?;
        let root = lines.next().and_then(|root| STANDARD.decode(root).ok());
        let root = root.and_then(|root| root.try_into().ok());
        let root =
            root.ok_or_else(|| malformed("its third line is not a SHA-256 hash in base64"))?;
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(malformed("an extension line is empty"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root: Hash(root),
            extensions,
        })
    }

    /// Parses a signed checkpoint and checks its signatures by these keys, of which one at least, named as its origin, has signed.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`].
    pub fn open(bytes: &[u8], keys: &[VerifierKey]) -> Result<(Self, Note), CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Self::parse(note.text())?;
        let signers = note.verified_by(keys)?;
        if signers.iter().any(|key| key.name() == checkpoint.origin) {
            return Ok((checkpoint, note));
        }
        let origin = checkpoint.origin;
        Err(CheckpointError::Untrusted { origin })
    }

    /// The note that is to be signed.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`] if it is not one that could be read again.
    pub fn note(&self) -> Result<Note, CheckpointError> {
        let text = self.to_string();
        if Self::parse(&text)? != *self {
            return Err(CheckpointError::Malformed("a line has a newline in it"));
        }
        Ok(Note::new(text)?)
    }

    /// Signs it, with several keys in their order.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`] if it is not one that could be read again.
    pub fn sign(&self, keys: &[&SigningKey]) -> Result<Note, CheckpointError> {
        let mut note = self.note()?;
        for key in keys {
            note.sign(key, 0);
        }
        Ok(note)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = STANDARD.encode(self.root.0);
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)?;
        self.extensions
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}
