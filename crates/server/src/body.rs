//! Request bodies: how long each may be, how slow, and how much all of them together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use bytes::BytesMut;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ApiError;

/// The memory that request bodies may take. It is taken as bytes arrive: what is only announced takes none.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// One permit for each KiB.
    room: Arc<Semaphore>,
}

/// A body that was read, and its room. It goes where the bytes go: also to a thread that goes on when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Bodies {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new((max_bytes / 1024).max(MAX_BODY / 1024))),
        }
    }

    /// Reads a body of at most `max_len` bytes.
    pub(crate) async fn read(&self, mut body: Body, max_len: usize) -> Result<Held, ApiError> {
        let too_long =
            || ApiError::bad_request(format!("the request body is larger than {max_len} bytes"));
        let mut refused = body.size_hint().lower() > max_len as u64;
        let mut room = self.take(1).await?;
        let mut bytes = BytesMut::new();
        let (mut received, mut before) = (0, 0);
        let mut period = Instant::now() + PERIOD;
        loop {
            let Ok(frame) = timeout_at(period, body.frame()).await else {
                // Whoever sends less holds the room of others.
                let sent = received - before;
                if sent < LEAST {
                    return Err(ApiError::too_slow(format!(
                        "the request body is too slow: {sent} bytes in {} s, expected at least {LEAST}",
                        PERIOD.as_secs()
                    )));
                }
                (period, before) = (period + PERIOD, received);
                continue;
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| {
                ApiError::bad_request(format!("the request body could not be read: {error}"))
            })?;
            // Trailers say nothing here.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            received += data.len();
            if refused || received > max_len {
                // A client, or a proxy, that is cut off while it sends may never read why. So some of it is thrown away.
                (refused, bytes) = (true, BytesMut::new());
                if received > MAX_THROWN_AWAY {
                    return Err(too_long());
                }
                continue;
            }
            let needed = received.div_ceil(1024);
            let missing = needed.saturating_sub(room.num_permits());
            if missing > 0 {
                room.merge(self.take(missing).await?);
            }
            bytes.extend_from_slice(&data);
        }
        if refused {
            return Err(too_long());
        }
        Ok(Held {
            bytes: bytes.freeze(),
            _room: room,
        })
    }

    async fn take(&self, kibibytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let permits = u32::try_from(kibibytes).unwrap_or(u32::MAX);
        // Neither late nor closed: the semaphore never is.
        match timeout(PATIENCE, Arc::clone(&self.room).acquire_many_owned(permits)).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => Err(ApiError::unavailable("too many uploads are under way")),
        }
    }
}

/// The longest body of a request of Rekor v2 or of a batch, in bytes.
pub(crate) const MAX_BODY: usize = 4 << 20;
/// Bytes of a body that is too long that are read all the same.
const MAX_THROWN_AWAY: usize = 4 * MAX_BODY;
/// How long an upload waits for its room.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked at how much of a body came.
const PERIOD: Duration = Duration::from_secs(5);
/// Bytes that have to come in each period but the last: 16 KiB a second.
const LEAST: usize = 80 << 10;
