//! What waits to be sent on a connection, and in which order.
//!
//! Frames of the connection itself go first. Messages take turns, a frame each, so that a short one never waits for the
//! end of a long one.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::frame::{Kind, PAYLOAD_BYTES_MAX, encode};

/// Bytes that are written at once.
const BATCH_BYTES: usize = 128 * 1024;

/// Messages and frames to be sent. Each message brings something along that is handed back when it is done.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    frames: VecDeque<(Kind, u64)>,
    messages: VecDeque<Message<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Message<T> {
    kind: Kind,
    id: u64,
    /// Prelude, method, head.
    begin: Bytes,
    body: Bytes,
    sent: usize,
    companion: T,
}

impl<T> Message<T> {
    fn bytes(&self) -> usize {
        self.begin.len() + self.body.len()
    }

    /// Appends its next frame; whether that was the last.
    fn encode_next(&mut self, out: &mut BytesMut) -> bool {
        let end = self.bytes().min(self.sent + PAYLOAD_BYTES_MAX);
        let of_begin = &self.begin[self.sent.min(self.begin.len())..end.min(self.begin.len())];
        let body_at = |position: usize| position.saturating_sub(self.begin.len());
        let of_body = &self.body[body_at(self.sent)..body_at(end)];
        let kind = if self.sent == 0 { self.kind } else { Kind::More };
        let is_last = end == self.bytes();
        encode(kind, self.id, is_last, [of_begin, of_body], out);
        self.sent = end;
        is_last
    }
}

/// What had happened to a message that is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// Nothing.
    Unsent,
    /// A part of it is on its way.
    Begun,
    /// It was not there: all of it is on its way.
    Gone,
}

impl<T> Outbox<T> {
    /// Empty.
    pub(crate) const fn new() -> Self {
        Self { frames: VecDeque::new(), messages: VecDeque::new(), bytes: 0 }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.messages.is_empty()
    }

    /// Bytes of messages that wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A frame without payload.
    pub(crate) fn push_frame(&mut self, kind: Kind, id: u64) {
        self.frames.push_back((kind, id));
    }

    /// A message.
    pub(crate) fn push(&mut self, kind: Kind, id: u64, begin: Bytes, body: Bytes, companion: T) {
        self.bytes += begin.len() + body.len();
        self.messages.push_back(Message { kind, id, begin, body, sent: 0, companion });
    }

    /// Takes a message back.
    pub(crate) fn withdraw(&mut self, id: u64) -> Withdrawn {
        let at = self.messages.iter().position(|message| message.id == id);
        let Some(message) = at.and_then(|at| self.messages.remove(at)) else { return Withdrawn::Gone };
        self.bytes -= message.bytes() - message.sent;
        if message.sent == 0 { Withdrawn::Unsent } else { Withdrawn::Begun }
    }

    /// Appends the next frames; `done` gets the companions of the messages that end with them.
    pub(crate) fn fill(&mut self, out: &mut BytesMut, done: &mut Vec<T>) {
        while out.len() < BATCH_BYTES {
            if let Some((kind, id)) = self.frames.pop_front() {
                encode(kind, id, true, [&[], &[]], out);
                continue;
            }
            let Some(mut message) = self.messages.pop_front() else { return };
            let before = message.sent;
            let is_last = message.encode_next(out);
            self.bytes -= message.sent - before;
            if is_last { done.push(message.companion) } else { self.messages.push_back(message) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::{HEADER_BYTES, decode};

    fn drain(outbox: &mut Outbox<u64>, done: &mut Vec<u64>) -> Vec<(Kind, u64, usize, bool)> {
        let (mut out, mut frames) = (BytesMut::new(), Vec::new());
        while !outbox.is_empty() {
            outbox.fill(&mut out, done);
            while let Some(header) = decode(&out).expect("a good frame") {
                frames.push((header.kind, header.id, header.length, header.is_last));
                drop(out.split_to(HEADER_BYTES + header.length));
            }
        }
        frames
    }

    #[test]
    fn a_short_message_does_not_wait_for_the_end_of_a_long_one() {
        let (mut outbox, mut done) = (Outbox::new(), Vec::new());
        outbox.push(Kind::Call, 1, Bytes::from_static(b"12"), vec![0; 2 * PAYLOAD_BYTES_MAX].into(), 1);
        outbox.push(Kind::Call, 2, Bytes::from_static(b"12"), Bytes::new(), 2);
        outbox.push_frame(Kind::Ping, 9);
        let frames = drain(&mut outbox, &mut done);
        assert_eq!(
            frames,
            [
                (Kind::Ping, 9, 0, true),
                (Kind::Call, 1, PAYLOAD_BYTES_MAX, false),
                (Kind::Call, 2, 2, true),
                (Kind::More, 1, PAYLOAD_BYTES_MAX, false),
                (Kind::More, 1, 2, true),
            ]
        );
        assert_eq!((done, outbox.bytes()), (vec![2, 1], 0));
    }

    #[test]
    fn what_is_withdrawn_is_not_sent() {
        let mut outbox = Outbox::new();
        outbox.push(Kind::Call, 1, Bytes::from_static(b"1"), vec![0; 3 * PAYLOAD_BYTES_MAX].into(), 1);
        outbox.push(Kind::Call, 2, Bytes::from_static(b"2"), vec![0; 3 * PAYLOAD_BYTES_MAX].into(), 2);
        assert_eq!(outbox.withdraw(2), Withdrawn::Unsent);
        outbox.fill(&mut BytesMut::new(), &mut Vec::new());
        assert_eq!(outbox.withdraw(1), Withdrawn::Begun);
        assert_eq!((outbox.withdraw(1), outbox.bytes()), (Withdrawn::Gone, 0));
        assert!(outbox.is_empty());
    }
}
