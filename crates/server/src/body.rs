//! Request bodies: how long each may be, and how much all of them together.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::ApiError;

/// The memory that request bodies may take. A body has its room before its first byte is read.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// One permit for each KiB.
    room: Semaphore,
}

/// A body that was read, and its room.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) bytes: Bytes,
    _room: SemaphorePermit<'a>,
}

impl Bodies {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            room: Semaphore::new((max_bytes / 1024).max(MAX_BODY / 1024)),
        }
    }

    /// Reads a body of at most `max_len` bytes.
    pub(crate) async fn read(&self, body: Body, max_len: usize) -> Result<Held<'_>, ApiError> {
        // A body that does not say how long it is may become as long as is allowed.
        let announced = body.size_hint().upper();
        let announced = announced.and_then(|len| usize::try_from(len).ok());
        let len = announced.unwrap_or(max_len).min(max_len);
        let permits = u32::try_from(len.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(PATIENCE, self.room.acquire_many(permits)).await;
        // Neither late nor closed: the semaphore never is.
        let Ok(Ok(room)) = room else {
            return Err(ApiError::unavailable("too many uploads are under way"));
        };
        let bytes = to_bytes(body, max_len).await.map_err(|error| {
            let too_long = std::error::Error::source(&error)
                .is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
            ApiError::bad_request(if too_long {
                format!("the request body is larger than {max_len} bytes")
            } else {
                format!("the request body could not be read: {error}")
            })
        })?;
        Ok(Held { bytes, _room: room })
    }
}

/// The longest body of a request of Rekor v2 or of a batch, in bytes.
pub(crate) const MAX_BODY: usize = 4 << 20;
/// How long an upload waits for its room.
const PATIENCE: Duration = Duration::from_secs(5);
