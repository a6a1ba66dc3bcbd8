//! Answers that are long: how much of them is held for clients that read slowly.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
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
    /// The answer, which holds as much room as it takes until the last part of it is gone.
    pub(crate) fn hold(mut self, bytes: Bytes) -> Body {
        let unused = self.0.num_permits().saturating_sub(kibibytes(bytes.len()));
        drop(self.0.split(unused));
        Body::new(Pieces(Bytes::from_owner(Held { bytes, _room: self })))
    }
}

/// Bytes that are handed out piece by piece: of one that is taken, whoever writes it to the socket may make a copy.
struct Pieces(Bytes);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let len = self.0.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
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
/// Bytes that are handed to a connection together.
const PIECE: usize = 64 << 10;
/// How long a reader waits for its room.
const PATIENCE: Duration = Duration::from_secs(5);
