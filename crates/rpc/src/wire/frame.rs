//! Frames: a header with a checksum, and up to 64 KiB of payload with another.
//!
//! Long messages travel in many frames, so that short ones find their place in between.

use bytes::{BufMut, BytesMut};

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 24;

/// Most bytes of a payload.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

const LAST: u8 = 1;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Who connects: the first frame of a connection.
    Hello,
    /// What the node wants to see proved.
    Challenge,
    /// The proof of who connects.
    Proof,
    /// The proof of the node: calls may follow.
    Accepted,
    /// The node refuses the connection.
    Refused,
    /// The beginning of a call.
    Call,
    /// The beginning of an answer.
    Reply,
    /// More of either.
    More,
    /// The caller has given up.
    Cancel,
    /// Are you there?
    Ping,
    /// I am.
    Pong,
    /// The node is about to stop: what it has is answered, nothing more is taken.
    Goodbye,
    /// One of a later release, to be passed over.
    Unknown(u8),
}

impl Kind {
    const KNOWN: [(u8, Self); 12] = [
        (1, Self::Hello),
        (2, Self::Challenge),
        (3, Self::Proof),
        (4, Self::Accepted),
        (5, Self::Refused),
        (16, Self::Call),
        (17, Self::Reply),
        (18, Self::More),
        (19, Self::Cancel),
        (20, Self::Ping),
        (21, Self::Pong),
        (22, Self::Goodbye),
    ];

    fn to_byte(self) -> u8 {
        match self {
            Self::Unknown(byte) => byte,
            known => Self::KNOWN.iter().find(|(_, kind)| *kind == known).map_or(0, |(byte, _)| *byte),
        }
    }

    fn from_byte(byte: u8) -> Self {
        Self::KNOWN.iter().find(|(known, _)| *known == byte).map_or(Self::Unknown(byte), |(_, kind)| *kind)
    }
}

/// A frame without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// What it is.
    pub kind: Kind,
    /// The call that it belongs to; 0 for those of the connection.
    pub id: u64,
    /// Whether it ends its message.
    pub is_last: bool,
    /// Bytes of payload.
    pub length: usize,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("what arrived is no frame of ours, or was damaged on its way (checksum of the header)")]
    Header,
    #[error("a frame of {0} bytes is longer than any may be")]
    TooLong(usize),
    #[error("a frame was damaged on its way (checksum of its {0} bytes)")]
    Payload(usize),
}

/// Appends a frame.
pub(crate) fn encode(kind: Kind, id: u64, is_last: bool, parts: [&[u8]; 2], out: &mut BytesMut) {
    let length = parts[0].len() + parts[1].len();
    assert!(length <= PAYLOAD_BYTES_MAX, "a frame of {length} bytes");
    let begin = out.len();
    out.reserve(HEADER_BYTES + length);
    out.put_u32_le(length as u32);
    out.put_u8(kind.to_byte());
    out.put_u8(if is_last { LAST } else { 0 });
    out.put_u16_le(0);
    out.put_u64_le(id);
    out.put_u32_le(crc32c::crc32c_append(crc32c::crc32c(parts[0]), parts[1]));
    let checksum = crc32c::crc32c(&out[begin..]);
    out.put_u32_le(checksum);
    out.put_slice(parts[0]);
    out.put_slice(parts[1]);
}

/// The frame at the beginning of the bytes, if it is there as a whole; its payload follows the header.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if crc32c::crc32c(&header[..20]) != number(20) {
        return Err(FrameError::Header);
    }
    let length = number(0) as usize;
    if length > PAYLOAD_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    let Some(payload) = bytes[HEADER_BYTES..].get(..length) else { return Ok(None) };
    if crc32c::crc32c(payload) != number(16) {
        return Err(FrameError::Payload(length));
    }
    let id = u64::from(number(8)) | u64::from(number(12)) << 32;
    Ok(Some(Header { kind: Kind::from_byte(header[4]), id, is_last: header[5] & LAST != 0, length }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: Kind, id: u64, is_last: bool, payload: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        let (head, tail) = payload.split_at(payload.len() / 2);
        encode(kind, id, is_last, [head, tail], &mut out);
        out
    }

    #[test]
    fn the_bytes_of_a_frame_are_those_of_the_page() {
        let bytes = frame(Kind::Ping, 7, true, b"ab");
        let expected = "020000001401000007000000000000003629a2e2";
        let hex: String = bytes[..20].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
        assert_eq!(&bytes[24..], b"ab");
    }

    proptest! {
        #[test]
        fn frames_are_read_as_written(
            kind in any::<u8>(), id in any::<u64>(), is_last in any::<bool>(),
            payload in prop::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>(),
        ) {
            let kind = Kind::from_byte(kind);
            let bytes = frame(kind, id, is_last, &payload);
            let header = Header { kind, id, is_last, length: payload.len() };
            prop_assert_eq!(decode(&bytes), Ok(Some(header)));
            prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())]), Ok(None));
        }

        #[test]
        fn a_damaged_frame_is_never_taken_for_a_good_one(
            payload in prop::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0..8_u32,
        ) {
            let mut bytes = frame(Kind::Call, 5, true, &payload);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&bytes));
        }
    }
}
