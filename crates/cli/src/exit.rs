//! How a command ends.

use tegula_client::{ApiError, FetchError, ReadError};
use tegula_entries::EntryError;

/// The exit codes. 0 is success; 7 is kept for commands to come.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// The network or a file failed.
    Io,
    /// The command was called wrongly, or an input file is malformed.
    Usage,
    /// What was asked for is not in the log.
    NotFound,
    /// A signature, proof or hash is not what it should be.
    Verification,
    /// The log contradicts itself.
    Misbehaviour,
    /// Too few witnesses have cosigned.
    Policy,
    /// No entry has what was searched for, and that is proven.
    Absent,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Io => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Verification => 4,
            Self::Misbehaviour => 5,
            Self::Policy => 6,
            Self::Absent => 8,
        }
    }

    /// The word for it in `--json`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Verification => "verification",
            Self::Misbehaviour => "misbehaviour",
            Self::Policy => "policy",
            Self::Absent => "absent",
        }
    }
}

/// Why a command failed, in words for people and a code for programs.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct CliError {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// Whether the message is of several lines that the command made itself.
    pub(crate) lines: bool,
}

impl CliError {
    pub(crate) fn io(message: impl ToString) -> Self {
        Self::new(Exit::Io, message)
    }

    pub(crate) fn usage(message: impl ToString) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// What the parser of arguments says, in lines.
    pub(crate) fn arguments(message: impl ToString) -> Self {
        Self {
            lines: true,
            ..Self::usage(message)
        }
    }

    pub(crate) fn not_found(message: impl ToString) -> Self {
        Self::new(Exit::NotFound, message)
    }

    pub(crate) fn verification(message: impl ToString) -> Self {
        Self::new(Exit::Verification, message)
    }

    pub(crate) fn misbehaviour(message: impl ToString) -> Self {
        Self::new(Exit::Misbehaviour, message)
    }

    pub(crate) fn policy(message: impl ToString) -> Self {
        Self::new(Exit::Policy, message)
    }

    pub(crate) fn absent(message: impl ToString) -> Self {
        Self::new(Exit::Absent, message)
    }

    /// The same failure, with what it was about in front.
    pub(crate) fn about(mut self, what: &str) -> Self {
        let said = self
            .message
            .strip_prefix(what)
            .is_some_and(|rest| rest.starts_with(':'));
        if !said {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers pass &str, String or an error"
    )]
    fn new(exit: Exit, message: impl ToString) -> Self {
        Self {
            exit,
            message: message.to_string(),
            lines: false,
        }
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::Io(_) => Self::io(error),
            ReadError::NotFound(_) => Self::not_found(error),
            ReadError::Verification(_) => Self::verification(error),
            ReadError::Misbehaviour(_) => Self::misbehaviour(error),
            ReadError::Policy(_) => Self::policy(error),
        }
    }
}

impl From<FetchError> for CliError {
    fn from(error: FetchError) -> Self {
        ReadError::from(error).into()
    }
}

impl From<ApiError> for CliError {
    fn from(error: ApiError) -> Self {
        match &error {
            ApiError::Malformed(_) => Self::verification(error),
            ApiError::Io(_)
            | ApiError::Refused { .. }
            | ApiError::Unauthorized(_)
            | ApiError::Exists { .. }
            | ApiError::Unavailable { .. } => Self::io(error),
        }
    }
}

/// An entry that was made from the user's own files.
impl From<EntryError> for CliError {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::Signature | EntryError::NotSigned { .. } | EntryError::Differs { .. } => {
                Self::verification(error)
            }
            _ => Self::usage(error),
        }
    }
}
