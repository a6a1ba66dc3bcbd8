//! Answers that are long: how much of them is held for clients that read slowly.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// The memory that long answers may take, from before they are read until the last byte is with the system.
#[derive(Debug)]
pub(crate) struct Answers {
    /// One permit for each KiB.
    room: Arc<Semaphore>,
}

/// The room of one answer.
#[derive(Debug)]
pub(crate) struct Room(OwnedSemaphorePermit);

impl Answers {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(kibibytes(max_bytes.max(MAX_ANSWER)))),
        }
    }

    /// Room for an answer of any length.
    pub(crate) async fn room(&self) -> Result<Room, ApiError> {
        let most = u32::try_from(kibibytes(MAX_ANSWER)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(most);
        // Neither late nor closed: the semaphore never is.
        match tokio::time::timeout(PATIENCE, room).await {
            Ok(Ok(room)) => Ok(Room(room)),
            Ok(Err(_)) | Err(_) => {
                Err(ApiError::unavailable("too many long answers are under way"))
            }
        }
    }
}

impl Room {
    /// The bytes of the answer, which hold as much room as they take until the last part of them is gone.
    pub(crate) fn hold(mut self, bytes: Bytes) -> Bytes {
        let unused = self.0.num_permits().saturating_sub(kibibytes(bytes.len()));
        drop(self.0.split(unused));
        Bytes::from_owner(Held { bytes, _room: self })
    }
}

struct Held {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn kibibytes(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

/// The longest object that is answered: a bundle of 256 entries of 65,535 bytes with their lengths.
pub(crate) const MAX_ANSWER: usize = 256 * (2 + tegula_tlog::MAX_ENTRY_LEN);
/// How long a reader waits for its room.
const PATIENCE: Duration = Duration::from_secs(5);
