//! Sockets whose other side takes too little, too slowly.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A connection that fails when its other side accepts less than [`LEAST`] bytes in `patience`, while there is something to write.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    inner: S,
    patience: Duration,
    /// Since writing had to wait; none while everything is written.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Bytes that were accepted since.
    accepted: usize,
}

impl<S> Patient<S> {
    pub(crate) fn new(inner: S, patience: Duration) -> Self {
        Self {
            inner,
            patience,
            waiting: None,
            accepted: 0,
        }
    }

    fn accept(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                self.accepted = self.accepted.saturating_add(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(failed) => Poll::Ready(failed),
            Poll::Pending => self.wait(cx),
        }
    }

    /// What a write that has to wait comes to: an error once it has waited too long for too little.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let patience = self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        while waiting.as_mut().poll(cx).is_ready() {
            if self.accepted < LEAST {
                let what = "the other side reads too slowly";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)));
            }
            self.accepted = 0;
            waiting.as_mut().reset(Instant::now() + patience);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.accept(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.accept(written, cx)
    }

    /// With it the bytes of an answer are written from where they are, and not copied before.
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Called when everything was written: the next answer has its own time.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        (self.waiting, self.accepted) = (None, 0);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Bytes that are accepted in each period, at least: with 15 seconds 4 KiB a second.
const LEAST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);

    fn pair() -> (Patient<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(1 << 10);
        (Patient::new(ours, PATIENCE), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_or_too_little_is_left() {
        for each_second in [0, 1, 1 << 10] {
            let (mut ours, mut theirs) = pair();
            let reading = tokio::spawn(async move {
                let mut some = vec![0; each_second];
                while each_second > 0 && theirs.read_exact(&mut some).await.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                }
                std::future::pending::<()>().await;
            });
            let begun = Instant::now();
            let error = ours.write_all(&vec![0; 1 << 20]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{each_second}");
            assert_eq!(begun.elapsed().as_secs(), 15);
            reading.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_enough_is_not() {
        let (mut ours, mut theirs) = pair();
        let reading = tokio::spawn(async move {
            let mut some = vec![0; 5 << 10];
            while theirs.read_exact(&mut some).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        ours.write_all(&vec![0; 1 << 20]).await.unwrap();
        drop(ours);
        reading.await.unwrap();
    }

    /// Between two answers there is all the time that there is.
    #[tokio::test(start_paused = true)]
    async fn each_answer_has_its_own_time() {
        let (mut ours, mut theirs) = pair();
        for _ in 0..3 {
            let reading = async {
                sleep(Duration::from_secs(1)).await;
                theirs.read_exact(&mut vec![0; 2 << 10]).await.unwrap();
            };
            let writing = async {
                ours.write_all(&vec![0; 2 << 10]).await.unwrap();
                ours.flush().await.unwrap();
            };
            futures::join!(reading, writing);
            sleep(Duration::from_secs(60)).await;
        }
    }
}
