//! What can go wrong while reading, by what the caller does next.

use std::fmt;
use std::path::PathBuf;

use tegula_tlog::PolicyError;

/// Why the bytes of an object did not come. An object that is not there is no error: it is `None`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// The path is not one that an object can have.
    #[error("{0:?} is not the path of an object")]
    Path(String),
    /// The object is longer than it can be.
    #[error("{place} is longer than {max_len} bytes")]
    TooLong {
        /// Where it is.
        place: String,
        /// How long it can be.
        max_len: usize,
    },
    /// The server answered with another status than 200 or 404.
    #[error("{place} was answered with status {status}")]
    Status {
        /// Where it is.
        place: String,
        /// The status.
        status: u16,
    },
    /// The network or the file system failed.
    #[error("{place}: {reason}")]
    Io {
        /// Where it is.
        place: String,
        /// What failed.
        reason: String,
    },
}

/// Why a question about the log was not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The network or a file failed, or the log does not serve what its checkpoint needs: try again later.
    #[error("{0}")]
    Io(String),
    /// What was asked for is not in the log.
    #[error("{0}")]
    NotFound(String),
    /// Bytes or signatures are not what the log, or the configuration, says they are. Nothing of them was used.
    #[error("{0}")]
    Verification(String),
    /// The log signed two trees that cannot both be, or has shrunk, as far as can be seen. This is for whoever oversees the log.
    #[error("{0}")]
    Misbehaviour(Evidence),
    /// The log's signature is right, but too few witnesses have cosigned.
    #[error("{0}")]
    Policy(String),
}

impl From<FetchError> for ReadError {
    fn from(error: FetchError) -> Self {
        match error {
            // A length beyond the format's is a wrong object, however often it is fetched.
            FetchError::TooLong { .. } => Self::Verification(error.to_string()),
            FetchError::Path(_) | FetchError::Status { .. } | FetchError::Io { .. } => {
                Self::Io(error.to_string())
            }
        }
    }
}

impl From<PolicyError> for ReadError {
    fn from(error: PolicyError) -> Self {
        if matches!(error, PolicyError::QuorumNotMet { .. }) {
            Self::Policy(error.to_string())
        } else {
            Self::Verification(error.to_string())
        }
    }
}

/// Two signed checkpoints of one key, of which one contradicts the other, or cannot be shown not to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// What is wrong with them.
    pub reason: String,
    /// The checkpoint that was remembered, as the log signed it.
    pub remembered: Vec<u8>,
    /// The checkpoint that the log presents now, as the log signed it.
    pub presented: Vec<u8>,
    /// The files in which they are kept.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log misbehaviour: {}", self.reason)?;
        for (n, file) in self.files.iter().enumerate() {
            let before = if n == 0 { "; evidence kept in" } else { " and" };
            write!(f, "{before} {}", file.display())?;
        }
        Ok(())
    }
}
