//! What travels on a connection: frames, messages made of them, and the greeting. `docs/formats/calls.md` draws the bytes.
//!
//! All but [`reader`] is pure.

pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod message;
pub(crate) mod outbox;
pub(crate) mod reader;

/// The first byte of a connection that carries calls; any other means HTTP.
pub(crate) const CALLS: u8 = 2;

/// What follows it, so that a stranger's protocol with the same first byte is told from ours.
pub(crate) const MAGIC: [u8; 3] = *b"SKY";

/// The versions of the protocol spoken, oldest and newest.
pub(crate) const PROTOCOLS: (u16, u16) = (1, 1);
