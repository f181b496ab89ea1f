//! One connection's outgoing side and its signs of life: the same for who connects and for who answers.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{
    keepalive::{Keepalive, Patience, Step},
    wire::{
        frame::{HEADER_BYTES, Header, Kind},
        outbox::{Outbox, Withdrawn},
    },
};

/// Bytes both ways, of one connection or of all with a peer.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub sent: AtomicU64,
    pub received: AtomicU64,
}

/// What waits to be sent, who sends it, and when the other side was heard last.
#[derive(Debug)]
pub(crate) struct Link<T> {
    queue: Mutex<Queue<T>>,
    wake: Notify,
    keepalive: Mutex<Keepalive>,
    patience: Patience,
    traffic: Arc<Traffic>,
}

#[derive(Debug)]
struct Queue<T> {
    outbox: Outbox<T>,
    /// Something was taken out and is not written yet.
    is_writing: bool,
}

impl<T> Link<T> {
    /// That of a connection that was just made.
    pub(crate) fn new(patience: Patience, traffic: Arc<Traffic>) -> Self {
        Self {
            queue: Mutex::new(Queue { outbox: Outbox::new(), is_writing: false }),
            wake: Notify::new(),
            keepalive: Mutex::new(Keepalive::new(patience, Instant::now())),
            patience,
            traffic,
        }
    }

    /// Has a message sent, or queued behind others.
    pub(crate) fn send(&self, kind: Kind, id: u64, begin: Bytes, body: Bytes, companion: T) {
        self.queue.lock().outbox.push(kind, id, begin, body, companion);
        self.wake.notify_one();
    }

    /// Has a frame without payload sent.
    pub(crate) fn send_frame(&self, kind: Kind, id: u64) {
        self.queue.lock().outbox.push_frame(kind, id);
        self.wake.notify_one();
    }

    /// Takes a message back.
    pub(crate) fn withdraw(&self, id: u64) -> Withdrawn {
        self.queue.lock().outbox.withdraw(id)
    }

    /// Bytes of messages that wait.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.lock().outbox.bytes()
    }

    /// Whether all has been written.
    pub(crate) fn is_quiet(&self) -> bool {
        let queue = self.queue.lock();
        queue.outbox.is_empty() && !queue.is_writing
    }

    /// The other side was heard.
    pub(crate) fn heard(&self, header: &Header) {
        self.traffic.received.fetch_add((HEADER_BYTES + header.length) as u64, Ordering::Relaxed);
        self.keepalive.lock().heard(Instant::now());
    }

    /// Whether the other side gives no sign of life for the moment.
    pub(crate) fn is_doubtful(&self, now: Instant) -> bool {
        self.keepalive.lock().is_doubtful(now)
    }

    /// Writes what is to be sent, until that fails.
    pub(crate) async fn write(&self, mut stream: impl AsyncWrite + Unpin) -> io::Error {
        let (mut buffer, mut done) = (BytesMut::new(), Vec::new());
        loop {
            buffer.clear();
            {
                let mut queue = self.queue.lock();
                queue.outbox.fill(&mut buffer, &mut done);
                queue.is_writing = !buffer.is_empty();
            }
            if buffer.is_empty() {
                self.wake.notified().await;
                continue;
            }
            let written = async {
                stream.write_all(&buffer).await?;
                stream.flush().await
            };
            if let Err(error) = written.await {
                return error;
            }
            self.traffic.sent.fetch_add(buffer.len() as u64, Ordering::Relaxed);
            done.clear();
        }
    }

    /// Asks for signs of life when there are none; ends when the other side gives none.
    pub(crate) async fn keep_alive(&self, is_busy: impl Fn() -> bool) {
        loop {
            let now = Instant::now();
            let step = self.keepalive.lock().step(now, is_busy());
            match step {
                Step::Dead => return,
                Step::Ping => self.send_frame(Kind::Ping, 0),
                // Awaiting answers shortens the wait, and begins without a word to this loop.
                Step::Wait(until) => sleep_until(until.min(now + self.patience.busy)).await,
            }
        }
    }
}
