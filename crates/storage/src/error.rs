use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a store did not do what it was asked, by what its caller may do next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It never happened and never will. The caller may ask again.
    #[error("refused: {0}")]
    Refused(Cause),
    /// It may have happened, or may happen yet, however late.
    ///
    /// The caller drops what it believes about the store, and looks. What it sends again for the
    /// same name must be the same bytes.
    #[error("unknown: {0}")]
    Unknown(Cause),
    /// The caller's fault: a limit, or an operation that the contract does not allow. It never
    /// happened; asking again gives the same answer.
    #[error("invalid: {0}")]
    Invalid(Cause),
    /// Durability can no longer be promised: a sync failed, or the store's own files are broken.
    ///
    /// Every later operation of this store fails so too; the process must end.
    #[error("fatal: {0}")]
    Fatal(Cause),
}

impl StoreError {
    /// Refused, with what was asked and why not.
    pub fn refused(cause: impl Into<Cause>) -> Self {
        Self::Refused(cause.into())
    }

    /// Unknown, with what was asked.
    pub fn unknown(cause: impl Into<Cause>) -> Self {
        Self::Unknown(cause.into())
    }

    /// Invalid, with the offending value and what was expected.
    pub fn invalid(cause: impl Into<Cause>) -> Self {
        Self::Invalid(cause.into())
    }

    /// Fatal, with what failed.
    pub fn fatal(cause: impl Into<Cause>) -> Self {
        Self::Fatal(cause.into())
    }

    /// What happened, without what to do next.
    pub fn cause(&self) -> &Cause {
        match self {
            Self::Refused(cause)
            | Self::Unknown(cause)
            | Self::Invalid(cause)
            | Self::Fatal(cause) => cause,
        }
    }
}

/// What happened: a sentence, and the operating system's error where there was one.
#[derive(Clone, Debug)]
pub struct Cause {
    what: String,
    source: Option<Arc<io::Error>>,
}

impl Cause {
    /// A cause that the operating system reported while `what` was being done.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self {
            what: what.into(),
            source: Some(Arc::new(source)),
        }
    }
}

impl From<String> for Cause {
    fn from(what: String) -> Self {
        Self { what, source: None }
    }
}

impl From<&str> for Cause {
    fn from(what: &str) -> Self {
        Self::from(what.to_owned())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}
