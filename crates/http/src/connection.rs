//! Patience with a client: how long it may lie idle, take over the head of a request, and refuse our bytes.
//!
//! ```text
//!   idle --first byte--> head --request complete--> busy --answer dropped--> idle
//! ```
//!
//! Reading is timed while idle and in the head; in `busy` it is the body reader's business. Writing is timed
//! whenever the client takes nothing. Too slow a client loses its connection, and with it its query.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How long each phase may last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Between requests.
    pub idle: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// Without the client taking a byte of what is to be sent.
    pub send: Duration,
}

/// The requests of one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    /// Heads completed so far.
    begun: AtomicUsize,
    /// Requests being answered.
    active: AtomicUsize,
    /// The reader, to be told when an answer is done: its patience begins then.
    reader: AtomicWaker,
}

impl Activity {
    /// Whether nothing was ever asked.
    pub(crate) fn is_untouched(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed) == 0
    }
}

/// Held while a request is being answered.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Requests>);

impl Activity {
    /// Begins a request.
    pub(crate) fn begin(&self) -> Busy {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.0.active.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.0))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Release);
        self.0.reader.wake();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Busy,
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] when its client is too slow.
#[derive(Debug)]
pub(crate) struct PatientStream<S> {
    stream: S,
    patience: Patience,
    activity: Activity,
    /// Requests known to have begun.
    begun: usize,
    phase: Phase,
    phase_since: Instant,
    read_timer: Pin<Box<Sleep>>,
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl<S> PatientStream<S> {
    /// Wraps a fresh connection.
    pub(crate) fn new(stream: S, patience: Patience, activity: Activity) -> Self {
        let now = Instant::now();
        Self {
            stream,
            patience,
            activity,
            begun: 0,
            phase: Phase::Idle,
            phase_since: now,
            read_timer: Box::pin(sleep_until(now + patience.idle)),
            write_timer: None,
        }
    }

    /// Catches up with the requests: one may have come and gone since the last look.
    fn look_at_requests(&mut self) {
        let begun = self.activity.0.begun.load(Ordering::Relaxed);
        if begun != self.begun {
            self.begun = begun;
            self.enter(Phase::Busy);
        }
        if self.phase == Phase::Busy && self.activity.0.active.load(Ordering::Acquire) == 0 {
            self.enter(Phase::Idle);
        }
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase != phase {
            self.phase = phase;
            self.phase_since = Instant::now();
        }
    }

    /// Called when there is nothing to read: fails once the present phase has lasted too long.
    fn poll_read_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let allowed = match self.phase {
            Phase::Busy => return Poll::Pending,
            Phase::Idle => self.patience.idle,
            Phase::Head => self.patience.head,
        };
        let deadline = self.phase_since + allowed;
        if self.read_timer.deadline() != deadline {
            self.read_timer.as_mut().reset(deadline);
        }
        ready!(self.read_timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Passes on the outcome of a write, failing when there has been no progress for too long.
    fn write_patience<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_timer = None;
            return outcome;
        }
        let send = self.patience.send;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + send)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.activity.0.reader.register(cx.waker());
        this.look_at_requests();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending => this.poll_read_patience(cx),
            Poll::Ready(outcome) => {
                if this.phase == Phase::Idle && buf.filled().len() > before {
                    this.enter(Phase::Head);
                }
                Poll::Ready(outcome)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.write_patience(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.write_patience(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.write_patience(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.write_patience(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::advance,
    };

    use super::*;

    const PATIENCE: Patience = Patience {
        idle: Duration::from_secs(100),
        head: Duration::from_secs(10),
        send: Duration::from_secs(30),
    };

    #[tokio::test(start_paused = true)]
    async fn a_head_in_drops_is_cut_off() {
        let (mut client, server) = duplex(64);
        let mut server = PatientStream::new(server, PATIENCE, Activity::default());
        client.write_all(b"G").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'G');
        advance(Duration::from_secs(6)).await;
        client.write_all(b"E").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'E');
        let begun = Instant::now();
        assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 4, "the second byte bought no time");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_lasts_longer_and_busy_for_ever() {
        let (mut client, server) = duplex(64);
        let activity = Activity::default();
        let mut server = PatientStream::new(server, PATIENCE, activity.clone());
        let busy = activity.begin();
        let waiting = tokio::time::timeout(Duration::from_secs(1_000), server.read_u8()).await;
        assert!(waiting.is_err(), "a request under way is not timed here");
        drop(busy);
        let begun = Instant::now();
        assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 100);
        client.shutdown().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (_client, server) = duplex(4);
        let mut server = PatientStream::new(server, PATIENCE, Activity::default());
        let begun = Instant::now();
        let error = server.write_all(b"more than fits").await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, 30));
    }
}
