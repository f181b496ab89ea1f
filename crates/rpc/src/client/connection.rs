//! One connection to a node, and the calls that wait on it for their answers.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, oneshot},
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    Call, Patience, Reply,
    budget::{Budget, Held},
    counters::PeerCounters,
    link::Link,
    wire::{
        frame::{Header, Kind},
        message::{MessageError, Partial, Prelude, Status, call_begin},
        outbox::Withdrawn,
        reader::{FrameReader, ReadError},
    },
};

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The node answered.
    Answered(Status, Reply),
    /// It surely did not get all of it.
    NotSent(String),
    /// It may have got it, and the connection is gone.
    Lost(String),
    /// It may have got it, and does not answer.
    TimedOut,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Broken or closed.
    Broken(String),
    /// The node gave no sign of life.
    Silent,
    /// Nobody needed it any more.
    Idle,
}

/// A connection that takes calls until it ends.
#[derive(Debug)]
pub(crate) struct Connection {
    link: Link<()>,
    calls: Mutex<Calls>,
    close: Notify,
    idle_max: Duration,
    incoming: Budget,
}

#[derive(Debug)]
struct Calls {
    next_id: u64,
    waiting: HashMap<u64, Waiting>,
    /// Why no further calls are taken.
    closed: Option<String>,
    used: Instant,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Outcome>,
    partial: Option<(Partial, Held)>,
}

/// Why reading ends, in words.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("{0}")]
    Message(#[from] MessageError),
    #[error("the node sent {0:?}, which has no place here")]
    Unexpected(Kind),
}

impl Connection {
    /// A connection that was just made; [`Self::drive`] has to run for it to do anything.
    pub(crate) fn new(
        patience: Patience,
        idle_max: Duration,
        incoming: Budget,
        counters: &PeerCounters,
    ) -> Self {
        let calls = Calls { next_id: 1, waiting: HashMap::new(), closed: None, used: Instant::now() };
        counters.dials.fetch_add(1, Ordering::Relaxed);
        Self {
            link: Link::new(patience, Arc::clone(&counters.traffic)),
            calls: Mutex::new(calls),
            close: Notify::new(),
            idle_max,
            incoming,
        }
    }

    /// Bytes that wait to be sent; `None` if it takes no calls any more.
    pub(crate) fn queued_bytes(&self) -> Option<usize> {
        let is_open = self.calls.lock().closed.is_none();
        is_open.then(|| self.link.queued_bytes())
    }

    /// Whether the node gives no sign of life on it for the moment.
    pub(crate) fn is_doubtful(&self, now: Instant) -> bool {
        self.link.is_doubtful(now)
    }

    /// Has it end now.
    pub(crate) fn close(&self) {
        self.close.notify_one();
    }

    /// Places a call.
    pub(crate) async fn call(&self, call: &Call, deadline: Instant) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let pending = {
            let mut calls = self.calls.lock();
            if let Some(reason) = &calls.closed {
                return Outcome::NotSent(reason.clone());
            }
            let id = calls.next_id;
            calls.next_id += 1;
            calls.used = Instant::now();
            calls.waiting.insert(id, Waiting { answer, partial: None });
            let within = deadline.saturating_duration_since(Instant::now());
            self.link.send(Kind::Call, id, call_begin(call, within), call.body.clone(), ());
            Pending { connection: self, id }
        };
        match timeout_at(deadline, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::Lost("the connection ended".to_owned()),
            Err(_) => match pending.give_up() {
                Some(Withdrawn::Unsent | Withdrawn::Begun) => {
                    Outcome::NotSent("it did not take the call in time".to_owned())
                }
                Some(Withdrawn::Gone) | None => Outcome::TimedOut,
            },
        }
    }

    /// Runs the connection to its end. Calls that wait then are told.
    pub(crate) async fn drive(&self, reader: FrameReader<impl AsyncRead + AsyncWrite + Unpin>) -> End {
        let (reading, writing) = reader.split();
        let end = tokio::select! {
            broken = self.read(reading) => End::Broken(broken.to_string()),
            error = self.link.write(writing) => End::Broken(error.to_string()),
            () = self.link.keep_alive(|| !self.calls.lock().waiting.is_empty()) => End::Silent,
            () = self.until_idle() => End::Idle,
            () = self.close.notified() => End::Idle,
        };
        let reason = match &end {
            End::Broken(reason) => reason,
            End::Silent => "it gives no sign of life",
            End::Idle => "it was closed on this side",
        };
        self.fail(reason);
        end
    }

    /// Tells those that wait that no answer will come.
    fn fail(&self, reason: &str) {
        let waiting = {
            let mut calls = self.calls.lock();
            calls.closed = Some(reason.to_owned());
            std::mem::take(&mut calls.waiting)
        };
        for (id, waiting) in waiting {
            let outcome = match self.link.withdraw(id) {
                Withdrawn::Unsent | Withdrawn::Begun => Outcome::NotSent(reason.to_owned()),
                Withdrawn::Gone => Outcome::Lost(reason.to_owned()),
            };
            // Who has stopped waiting needs no answer.
            drop(waiting.answer.send(outcome));
        }
    }

    /// Ends when nobody has used the connection for so long that it may go.
    async fn until_idle(&self) {
        loop {
            let due = {
                let mut calls = self.calls.lock();
                let due = calls.used + self.idle_max;
                match Instant::now() < due {
                    true => due,
                    false if calls.waiting.is_empty() => {
                        calls.closed = Some("it was closed on this side".to_owned());
                        return;
                    }
                    false => Instant::now() + self.idle_max,
                }
            };
            sleep_until(due).await;
        }
    }

    async fn read(&self, mut reader: FrameReader<impl AsyncRead + Unpin>) -> Broken {
        loop {
            let header = match reader.next().await {
                Ok(header) => header,
                Err(error) => return error.into(),
            };
            self.link.heard(&header);
            if let Err(broken) = self.take(&header, reader.payload()) {
                return broken;
            }
        }
    }

    fn take(&self, header: &Header, payload: &[u8]) -> Result<(), Broken> {
        match header.kind {
            Kind::Reply => self.begin_reply(header, payload)?,
            Kind::More => {
                let mut calls = self.calls.lock();
                // Of a call that was given up, it may be anything.
                let Some(waiting) = calls.waiting.get_mut(&header.id) else { return Ok(()) };
                let Some((partial, _)) = &mut waiting.partial else {
                    return Err(Broken::Unexpected(Kind::More));
                };
                partial.add(payload)?;
                if header.is_last {
                    calls.end_reply(header.id)?;
                }
            }
            Kind::Ping => self.link.send_frame(Kind::Pong, header.id),
            Kind::Pong | Kind::Unknown(_) => {}
            Kind::Goodbye => self.calls.lock().closed = Some("the node is stopping".to_owned()),
            other => return Err(Broken::Unexpected(other)),
        }
        Ok(())
    }

    fn begin_reply(&self, header: &Header, payload: &[u8]) -> Result<(), Broken> {
        let prelude = Prelude::of_reply(payload)?;
        let mut calls = self.calls.lock();
        let Some(waiting) = calls.waiting.get_mut(&header.id) else { return Ok(()) };
        if waiting.partial.is_some() {
            return Err(Broken::Unexpected(Kind::Reply));
        }
        // The node may answer before it has all of the call, which it then does not need.
        if self.link.withdraw(header.id) == Withdrawn::Begun {
            self.link.send_frame(Kind::Cancel, header.id);
        }
        let Some(held) = self.incoming.take_now(prelude.bytes()) else {
            self.link.send_frame(Kind::Cancel, header.id);
            let reason = format!("there is no room for an answer of {} bytes", prelude.bytes());
            if let Some(waiting) = calls.waiting.remove(&header.id) {
                drop(waiting.answer.send(Outcome::Lost(reason)));
            }
            return Ok(());
        };
        waiting.partial = Some((Partial::begin(prelude, payload)?, held));
        if header.is_last {
            calls.end_reply(header.id)?;
        }
        Ok(())
    }
}

impl Calls {
    fn end_reply(&mut self, id: u64) -> Result<(), MessageError> {
        let Some(Waiting { answer, partial: Some((partial, _)) }) = self.waiting.remove(&id) else {
            return Ok(());
        };
        let (status, reply) = partial.end()?.into_reply();
        drop(answer.send(Outcome::Answered(status, reply)));
        Ok(())
    }
}

/// A call that waits; dropped before it has its answer, it is given up.
struct Pending<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Pending<'_> {
    /// Stops waiting; what had become of the call, if it had no answer.
    fn give_up(&self) -> Option<Withdrawn> {
        let mut calls = self.connection.calls.lock();
        calls.waiting.remove(&self.id)?;
        let withdrawn = self.connection.link.withdraw(self.id);
        if withdrawn != Withdrawn::Unsent {
            self.connection.link.send_frame(Kind::Cancel, self.id);
        }
        Some(withdrawn)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}
