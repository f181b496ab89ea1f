//! One connection of another node: its calls, received, answered, given up.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout_at},
};

use super::listener::{Server, told_to_stop};
use crate::{
    Failure, FailureKind, Reply,
    budget::Held,
    link::Link,
    wire::{
        frame::{Header, Kind},
        message::{MessageError, Partial, Prelude, Status, Whole, failure_head, reply_begin, too_long},
        reader::{FrameReader, ReadError},
    },
};

/// How often a stopping server looks whether all is done.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a call takes of the server while it is under way.
type Place = OwnedSemaphorePermit;

/// What an answer keeps until it is written.
type Companion = (Option<Place>, Option<Held>);

#[derive(Debug)]
struct Answering {
    server: Arc<Server>,
    link: Link<Companion>,
    calls: Mutex<HashMap<u64, Call>>,
    is_stopping: AtomicBool,
}

/// A call by what has become of it.
#[derive(Debug)]
enum Call {
    Arriving(Arriving),
    Answering(AbortHandle),
}

#[derive(Debug)]
struct Arriving {
    partial: Partial,
    deadline: Instant,
    held: Held,
    place: Place,
}

/// Why reading ends, in words.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("{0}")]
    Message(#[from] MessageError),
    #[error("{0:?} has no place here")]
    Unexpected(Kind),
}

/// Answers the calls of a connection until it ends, or the server stops.
pub(crate) async fn answer(
    server: &Arc<Server>,
    reader: FrameReader<impl AsyncRead + AsyncWrite + Unpin>,
    stop: watch::Receiver<bool>,
) {
    let answering = Arc::new(Answering {
        server: Arc::clone(server),
        link: Link::new(server.options.patience, Arc::clone(&server.options.counters.traffic)),
        calls: Mutex::default(),
        is_stopping: AtomicBool::new(false),
    });
    let _given_up = GiveUp(Arc::clone(&answering));
    let (reading, writing) = reader.split();
    tokio::select! {
        broken = answering.read(reading) => match broken {
            Broken::Read(ReadError::Ended | ReadError::Io(_)) => {}
            other => tracing::warn!(error = %other, "a connection between nodes was broken off"),
        },
        error = answering.link.write(writing) => tracing::debug!(%error, "a node cannot be answered"),
        () = answering.link.keep_alive(|| !answering.calls.lock().is_empty()) => {
            tracing::debug!("a node that had connected gives no sign of life");
        }
        () = answering.drain(stop) => {}
    }
}

/// Gives all calls up when the connection ends, or is cut off.
struct GiveUp(Arc<Answering>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        for call in std::mem::take(&mut *self.0.calls.lock()).into_values() {
            self.0.give_up(&call);
        }
    }
}

impl Answering {
    fn give_up(&self, call: &Call) {
        if let Call::Answering(task) = call {
            task.abort();
        }
        self.server.options.counters.given_up.fetch_add(1, Relaxed);
    }

    /// Ends when the server has been told to stop and all that was taken is answered.
    async fn drain(&self, mut stop: watch::Receiver<bool>) {
        told_to_stop(&mut stop).await;
        self.is_stopping.store(true, Relaxed);
        self.link.send_frame(Kind::Goodbye, 0);
        while !(self.calls.lock().is_empty() && self.link.is_quiet()) {
            sleep(LOOK_EVERY).await;
        }
    }

    async fn read(self: &Arc<Self>, mut reader: FrameReader<impl AsyncRead + Unpin>) -> Broken {
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

    fn take(self: &Arc<Self>, header: &Header, payload: &[u8]) -> Result<(), Broken> {
        match header.kind {
            Kind::Call => self.begin(header, payload),
            Kind::More => self.go_on(header, payload),
            Kind::Cancel => {
                if let Some(call) = self.calls.lock().remove(&header.id) {
                    self.give_up(&call);
                }
                // Of an answer that is on its way the rest is of no use.
                self.link.withdraw(header.id);
                Ok(())
            }
            Kind::Ping => {
                self.link.send_frame(Kind::Pong, header.id);
                Ok(())
            }
            Kind::Pong | Kind::Unknown(_) => Ok(()),
            other => Err(Broken::Unexpected(other)),
        }
    }

    fn begin(self: &Arc<Self>, header: &Header, payload: &[u8]) -> Result<(), Broken> {
        let prelude = Prelude::of_call(payload)?;
        let mut calls = self.calls.lock();
        if calls.contains_key(&header.id) {
            return Err(Broken::Unexpected(Kind::Call));
        }
        if self.is_stopping.load(Relaxed) {
            let failure = Failure::new(FailureKind::Unavailable, "the node is stopping");
            self.say_no(header.id, Status::NotTaken, &failure);
            return Ok(());
        }
        let Ok(place) = Arc::clone(&self.server.places).try_acquire_owned() else {
            let calls = self.server.options.calls_max;
            self.turn_away(header.id, &format!("{calls} other calls are being answered"));
            return Ok(());
        };
        let Some(held) = self.server.incoming.take_now(prelude.bytes()) else {
            let most = self.server.options.bytes_in_flight_max;
            self.turn_away(header.id, &format!("other calls take up {most} bytes"));
            return Ok(());
        };
        let deadline = Instant::now() + prelude.within();
        let arriving = Arriving { partial: Partial::begin(prelude, payload)?, deadline, held, place };
        let call = match header.is_last {
            true => self.start(header.id, arriving)?,
            false => Call::Arriving(arriving),
        };
        calls.insert(header.id, call);
        Ok(())
    }

    fn go_on(self: &Arc<Self>, header: &Header, payload: &[u8]) -> Result<(), Broken> {
        let mut calls = self.calls.lock();
        match calls.remove(&header.id) {
            // Turned away or given up: the rest may still come.
            None => return Ok(()),
            Some(Call::Answering(_)) => return Err(Broken::Unexpected(Kind::More)),
            Some(Call::Arriving(mut arriving)) => {
                arriving.partial.add(payload)?;
                let call = match header.is_last {
                    true => self.start(header.id, arriving)?,
                    false => Call::Arriving(arriving),
                };
                calls.insert(header.id, call);
            }
        }
        Ok(())
    }

    /// Has a call answered that has arrived as a whole. Called with the calls locked, so that it cannot end unseen.
    fn start(self: &Arc<Self>, id: u64, arriving: Arriving) -> Result<Call, MessageError> {
        let Arriving { partial, deadline, held, place } = arriving;
        let call = partial.end().and_then(Whole::into_call)?;
        let counters = &self.server.options.counters;
        counters.calls.fetch_add(1, Relaxed);
        counters.in_flight.fetch_add(1, Relaxed);
        let mut unanswered = Unanswered { answering: Arc::clone(self), id, place: Some(place) };
        let task = tokio::spawn(async move {
            let server = Arc::clone(&unanswered.answering.server);
            let outcome = timeout_at(deadline, server.router.answer(call)).await;
            drop(held);
            // Out of time, the caller has given up by itself.
            let Ok(outcome) = outcome else { return unanswered.forget() };
            let bytes = outcome.as_ref().map_or(0, |reply| reply.head.len() + reply.body.len());
            let (outcome, held) = match server.outgoing.take(bytes, deadline).await {
                Some(held) => (outcome, Some(held)),
                None => (Err(Failure::new(FailureKind::Unavailable, "other answers leave no room")), None),
            };
            unanswered.answer(outcome, held);
        });
        Ok(Call::Answering(task.abort_handle()))
    }

    fn turn_away(&self, id: u64, why: &str) {
        self.server.options.counters.overloaded.fetch_add(1, Relaxed);
        let failure = Failure::new(FailureKind::Unavailable, format!("the node is overloaded: {why}"));
        self.say_no(id, Status::Failed, &failure);
    }

    fn say_no(&self, id: u64, status: Status, failure: &Failure) {
        let begin = reply_begin(status, &failure_head(failure), 0);
        self.link.send(Kind::Reply, id, begin, Bytes::new(), (None, None));
    }
}

/// A call that a handler has; dropped without an answer, because the handler panicked, the caller is told.
struct Unanswered {
    answering: Arc<Answering>,
    id: u64,
    place: Option<Place>,
}

impl Unanswered {
    /// Ends the call without an answer.
    fn forget(&self) {
        self.answering.calls.lock().remove(&self.id);
    }

    fn answer(&mut self, outcome: Result<Reply, Failure>, held: Option<Held>) {
        if self.answering.calls.lock().remove(&self.id).is_none() {
            return;
        }
        let outcome = outcome.and_then(|reply| match too_long(0, reply.head.len(), reply.body.len()) {
            None => Ok(reply),
            Some(text) => Err(Failure::internal(format!("the answer cannot be sent: {text}"))),
        });
        let (status, head, body) = match outcome {
            Ok(reply) => (Status::Done, reply.head, reply.body),
            Err(failure) => (Status::Failed, failure_head(&failure).into(), Bytes::new()),
        };
        let begin = reply_begin(status, &head, body.len());
        self.answering.link.send(Kind::Reply, self.id, begin, body, (self.place.take(), held));
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.answering.server.options.counters.in_flight.fetch_sub(1, Relaxed);
        if std::thread::panicking() {
            self.answer(Err(Failure::internal("the handler of the call failed")), None);
        }
    }
}
