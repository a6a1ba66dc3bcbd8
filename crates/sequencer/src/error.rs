//! What can go wrong, by what the caller does next.

use std::time::Duration;

use tegula_storage::StoreError;

use crate::slot::SlotError;

/// Why a submission was not answered with a proof.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The submission breaks a limit: it will never be accepted.
    #[error("{0}")]
    Rejected(String),
    /// Too much waits already: nothing was done, try again later.
    #[error("the log has more to do than it can take, retry in {} s", retry_after.as_secs())]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// It may or may not have been logged: try again, a duplicate is answered with its first index.
    #[error("the log cannot be written at the moment: {0}")]
    Unavailable(String),
    /// What the store holds cannot be right. The writer has stopped and signs nothing.
    #[error("the log has stopped: {0}")]
    Corrupt(String),
    /// Durability can no longer be promised: the process must end.
    #[error("storage failed: {0}")]
    Fatal(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(_) | StoreError::Unknown(_) => Self::Unavailable(error.to_string()),
            StoreError::Invalid(_) => Self::Corrupt(error.to_string()),
            StoreError::Fatal(_) => Self::Fatal(error.to_string()),
        }
    }
}

impl From<SlotError> for Error {
    fn from(error: SlotError) -> Self {
        match error {
            // Another version of the software may handle it.
            SlotError::Version { .. } => Self::Unavailable(error.to_string()),
            SlotError::Malformed { .. } => Self::Corrupt(error.to_string()),
        }
    }
}
