//! Messages: what a frame of kind `Call` or `Reply` begins, and `More` goes on with.
//!
//! ```text
//!   call:   prelude | method | head | body        reply:   prelude | head | body
//! ```
//!
//! A prelude begins with its own length, so that a later release can append to it what this one passes over.

use std::{borrow::Cow, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{Call, Failure, Reply};

/// Most bytes of a head: a catalogue has room in it.
pub const HEAD_BYTES_MAX: usize = 64 << 20;

/// Most bytes of a body.
pub const BODY_BYTES_MAX: usize = 256 << 20;

const CALL_PRELUDE: u16 = 16;
const REPLY_PRELUDE: u16 = 12;

/// Why a message cannot be taken. All of these are the other side's fault, and end the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("a message does not begin as one")]
    Prelude,
    #[error("a message is too long: {head} bytes of head and {body} of body")]
    TooLong { head: usize, body: usize },
    #[error("a message of {announced} bytes ended after {arrived}")]
    Length { announced: usize, arrived: usize },
    #[error("the name of a method is no text")]
    Method,
}

/// Whether the call was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It was; the head is that of the answer.
    Done,
    /// The handler says no; the head is a [`Failure`].
    Failed,
    /// No handler has seen it; the head is a [`Failure`] that says why.
    NotTaken,
}

/// How long the parts of a message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prelude {
    /// Its own length and that of the method, whose place is after it.
    skip: usize,
    /// Where the method begins.
    method: usize,
    head: usize,
    body: usize,
    /// Of calls: how long the caller waits, in milliseconds. Of replies: the status.
    word: u32,
}

impl Prelude {
    fn read(kind_length: u16, payload: &[u8]) -> Result<(usize, &[u8]), MessageError> {
        let length = payload.first_chunk().map(|bytes| u16::from_le_bytes(*bytes)).unwrap_or_default();
        match payload.get(2..usize::from(length)) {
            Some(rest) if length >= kind_length => Ok((usize::from(length), rest)),
            _ => Err(MessageError::Prelude),
        }
    }

    /// That of a call, at the beginning of the payload.
    pub(crate) fn of_call(payload: &[u8]) -> Result<Self, MessageError> {
        let (method, mut rest) = Self::read(CALL_PRELUDE, payload)?;
        let name = usize::from(rest.get_u16_le());
        let word = rest.get_u32_le();
        let (head, body) = (rest.get_u32_le() as usize, rest.get_u32_le() as usize);
        Self { skip: method + name, method, head, body, word }.checked()
    }

    /// That of a reply.
    pub(crate) fn of_reply(payload: &[u8]) -> Result<Self, MessageError> {
        let (method, mut rest) = Self::read(REPLY_PRELUDE, payload)?;
        let word = u32::from(rest.get_u16_le());
        let (head, body) = (rest.get_u32_le() as usize, rest.get_u32_le() as usize);
        Self { skip: method, method, head, body, word }.checked()
    }

    const fn checked(self) -> Result<Self, MessageError> {
        if self.head > HEAD_BYTES_MAX || self.body > BODY_BYTES_MAX {
            return Err(MessageError::TooLong { head: self.head, body: self.body });
        }
        Ok(self)
    }

    /// Bytes of the whole message.
    pub(crate) const fn bytes(&self) -> usize {
        self.skip + self.head + self.body
    }

    /// Of a call: how long the caller waits.
    pub(crate) fn within(&self) -> Duration {
        Duration::from_millis(self.word.into())
    }
}

/// A message of which a part has arrived.
#[derive(Debug)]
pub(crate) struct Partial {
    prelude: Prelude,
    bytes: BytesMut,
}

impl Partial {
    /// Begins with the first frame's payload.
    pub(crate) fn begin(prelude: Prelude, payload: &[u8]) -> Result<Self, MessageError> {
        let mut partial = Self { prelude, bytes: BytesMut::with_capacity(prelude.bytes()) };
        partial.add(payload)?;
        Ok(partial)
    }

    /// Goes on with another's.
    pub(crate) fn add(&mut self, payload: &[u8]) -> Result<(), MessageError> {
        let (announced, arrived) = (self.prelude.bytes(), self.bytes.len() + payload.len());
        if arrived > announced {
            return Err(MessageError::Length { announced, arrived });
        }
        self.bytes.put_slice(payload);
        Ok(())
    }

    /// Ends, the last frame having been added.
    pub(crate) fn end(self) -> Result<Whole, MessageError> {
        let (announced, arrived) = (self.prelude.bytes(), self.bytes.len());
        if arrived < announced {
            return Err(MessageError::Length { announced, arrived });
        }
        Ok(Whole { prelude: self.prelude, bytes: self.bytes.freeze() })
    }
}

/// A message all of which has arrived.
#[derive(Debug)]
pub(crate) struct Whole {
    prelude: Prelude,
    bytes: Bytes,
}

impl Whole {
    fn parts(&self) -> (Bytes, Bytes) {
        let body_at = self.prelude.skip + self.prelude.head;
        (self.bytes.slice(self.prelude.skip..body_at), self.bytes.slice(body_at..))
    }

    /// As a call.
    pub(crate) fn into_call(self) -> Result<Call, MessageError> {
        let method = std::str::from_utf8(&self.bytes[self.prelude.method..self.prelude.skip])
            .map_err(|_| MessageError::Method)?;
        let method = Cow::Owned(method.to_owned());
        let (head, body) = self.parts();
        Ok(Call { method, head, body })
    }

    /// As a reply.
    pub(crate) fn into_reply(self) -> (Status, Reply) {
        let status = match self.prelude.word {
            0 => Status::Done,
            2 => Status::NotTaken,
            // What a later release may say is no "done" in any case.
            _ => Status::Failed,
        };
        let (head, body) = self.parts();
        (status, Reply { head, body })
    }
}

/// The beginning of a call, up to its body.
pub(crate) fn call_begin(call: &Call, within: Duration) -> Bytes {
    let mut out = BytesMut::with_capacity(usize::from(CALL_PRELUDE) + call.method.len() + call.head.len());
    out.put_u16_le(CALL_PRELUDE);
    out.put_u16_le(call.method.len() as u16);
    out.put_u32_le(u32::try_from(within.as_millis()).unwrap_or(u32::MAX));
    out.put_u32_le(call.head.len() as u32);
    out.put_u32_le(call.body.len() as u32);
    out.put_slice(call.method.as_bytes());
    out.put_slice(&call.head);
    out.freeze()
}

/// The beginning of a reply, up to its body.
pub(crate) fn reply_begin(status: Status, head: &[u8], body_bytes: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(usize::from(REPLY_PRELUDE) + head.len());
    out.put_u16_le(REPLY_PRELUDE);
    out.put_u16_le(match status {
        Status::Done => 0,
        Status::Failed => 1,
        Status::NotTaken => 2,
    });
    out.put_u32_le(head.len() as u32);
    out.put_u32_le(body_bytes as u32);
    out.put_slice(head);
    out.freeze()
}

/// A "no" as the head of a reply.
pub(crate) fn failure_head(failure: &Failure) -> Vec<u8> {
    serde_json::to_vec(failure).unwrap_or_default()
}

/// What keeps a message of these sizes from being sent, in words.
pub(crate) fn too_long(method_bytes: usize, head_bytes: usize, body_bytes: usize) -> Option<String> {
    let limits = [
        ("name of the method", method_bytes, usize::from(u16::MAX) / 2),
        ("head", head_bytes, HEAD_BYTES_MAX),
        ("body", body_bytes, BODY_BYTES_MAX),
    ];
    let (what, bytes, most) = limits.into_iter().find(|(_, bytes, most)| bytes > most)?;
    Some(format!("its {what} has {bytes} bytes, where {most} are the most"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn calls_arrive_in_pieces_of_any_size(
            method in "[a-z.]{0,40}", head in prop::collection::vec(any::<u8>(), 0..200),
            body in prop::collection::vec(any::<u8>(), 0..400), piece in 1_usize..100, within in any::<u32>(),
        ) {
            let call = Call { method: method.into(), head: head.into(), body: body.into() };
            let within = Duration::from_millis(within.into());
            let bytes = [call_begin(&call, within), call.body.clone()].concat();
            let first = piece.max(usize::from(CALL_PRELUDE)).min(bytes.len());
            let prelude = Prelude::of_call(&bytes[..first]).expect("a prelude");
            prop_assert_eq!((prelude.bytes(), prelude.within()), (bytes.len(), within));
            let mut partial = Partial::begin(prelude, &bytes[..first]).expect("no longer than announced");
            for piece in bytes[first..].chunks(piece) {
                partial.add(piece).expect("no longer than announced");
            }
            prop_assert_eq!(partial.end().and_then(Whole::into_call), Ok(call));
        }

        #[test]
        fn replies_are_read_as_written(
            head in prop::collection::vec(any::<u8>(), 0..200), body in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            for status in [Status::Done, Status::Failed, Status::NotTaken] {
                let bytes = [&reply_begin(status, &head, body.len())[..], &body].concat();
                let partial = Partial::begin(Prelude::of_reply(&bytes).expect("a prelude"), &bytes);
                let reply = partial.and_then(Partial::end).expect("a reply").into_reply();
                prop_assert_eq!(reply, (status, Reply { head: head.clone().into(), body: body.clone().into() }));
            }
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            for prelude in [Prelude::of_call(&bytes), Prelude::of_reply(&bytes)] {
                // What announces more than arrives is not given memory here: the budget comes first.
                let Some(prelude) = prelude.ok().filter(|prelude| prelude.bytes() < 1 << 20) else { continue };
                if let Ok(whole) = Partial::begin(prelude, &bytes).and_then(Partial::end) {
                    drop(whole.into_call());
                }
            }
        }
    }

    #[test]
    fn a_message_is_as_long_as_it_says() {
        let call =
            Call { method: "m".into(), head: Bytes::from_static(b"1"), body: Bytes::from_static(b"body") };
        let bytes = [call_begin(&call, Duration::ZERO), call.body.clone()].concat();
        let prelude = Prelude::of_call(&bytes).unwrap();
        let short = Partial::begin(prelude, &bytes[..bytes.len() - 1]).unwrap().end();
        assert_eq!(short.unwrap_err(), MessageError::Length { announced: 22, arrived: 21 });
        let long = Partial::begin(prelude, &bytes).unwrap().add(b"x");
        assert_eq!(long, Err(MessageError::Length { announced: 22, arrived: 23 }));
    }

    #[test]
    fn a_longer_prelude_of_a_later_release_is_passed_over() {
        let mut bytes = reply_begin(Status::Done, b"{}", 0).to_vec();
        bytes[0] += 2;
        bytes.splice(12..12, [9, 9]);
        let partial = Partial::begin(Prelude::of_reply(&bytes).unwrap(), &bytes);
        let (status, reply) = partial.and_then(Partial::end).unwrap().into_reply();
        assert_eq!((status, &*reply.head), (Status::Done, &b"{}"[..]));
    }
}
