//! The decoders of what comes from other nodes, for fuzzers.

use crate::wire::{
    frame::{HEADER_BYTES, decode},
    message::{Partial, Prelude, Whole},
};

/// Reads frames off the bytes for as long as they are good, and each as the beginning of a message.
pub fn frames(mut bytes: &[u8]) {
    while let Ok(Some(header)) = decode(bytes) {
        let payload = &bytes[HEADER_BYTES..HEADER_BYTES + header.length];
        message(payload);
        bytes = &bytes[HEADER_BYTES + header.length..];
    }
}

/// Reads a whole message, as a call and as a reply.
pub fn message(bytes: &[u8]) {
    // What announces more than arrives is not given memory here: on a connection the budget comes first.
    let fits = |prelude: &Prelude| prelude.bytes() <= bytes.len() + 1024;
    let whole = |prelude| Partial::begin(prelude, bytes).and_then(Partial::end);
    if let Ok(prelude) = Prelude::of_call(bytes)
        && fits(&prelude)
        && let Ok(call) = whole(prelude).and_then(Whole::into_call)
    {
        assert!(call.head.len() + call.body.len() <= bytes.len());
    }
    if let Ok(prelude) = Prelude::of_reply(bytes)
        && fits(&prelude)
        && let Ok(reply) = whole(prelude)
    {
        let (_, reply) = reply.into_reply();
        assert!(reply.head.len() + reply.body.len() <= bytes.len());
    }
}
