//! A stream whose other end must read: where it takes nothing for a while, writing fails, and what waited
//! to be written is given up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream that waits only so long for its other end to read.
#[derive(Debug)]
pub(super) struct Patient<Io> {
    io: Io,
    patience: Duration,
    /// Since when it takes nothing.
    until: Option<Pin<Box<Sleep>>>,
}

impl<Io> Patient<Io> {
    /// `io`, whose other end may take nothing for as long as `patience`.
    pub fn new(io: Io, patience: Duration) -> Self {
        Self { io, patience, until: None }
    }

    /// What came of a write, or the end of patience.
    fn bounded<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.until = None;
            return written;
        }
        let patience = self.patience;
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Patient<Io> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Patient<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.bounded(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.bounded(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(context);
        self.bounded(shut, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.bounded(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_is_waited_for_and_who_never_does_is_not() {
        let (ours, mut theirs) = duplex(4);
        let mut patient = Patient::new(ours, PATIENCE);
        let slow = tokio::spawn(async move {
            for _ in 0..10 {
                sleep(Duration::from_secs(9)).await;
                theirs.read_exact(&mut [0; 4]).await.expect("four bytes");
            }
            theirs
        });
        patient.write_all(&[7; 40]).await.expect("each piece is taken in time");
        // Of what was written the last four bytes are still on their way.
        let _theirs = slow.await.expect("the reader");
        let error = patient.write_all(&[7; 40]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
