//! Frames around records in files that are appended to, and the search for them in damaged files. Layout in
//! `docs/formats/wal.md`.

use std::ops::Range;

use crate::wire::{Malformed, Reader};

const FRAME_MAGIC: [u8; 4] = [0xd5, b'S', b'W', 0xa9];
/// What a frame costs besides its body: magic 4, length 4, CRC-32C 4.
pub const FRAME_HEADER_LEN: usize = 12;

/// Leaves room for a frame's header; [`end`] fills it in.
pub fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_LEN]);
    start
}

/// Closes the frame begun at `start`.
pub fn end(out: &mut [u8], start: usize) {
    let len = (out.len() - start - FRAME_HEADER_LEN) as u32;
    let frame = &mut out[start..];
    frame[0..4].copy_from_slice(&FRAME_MAGIC);
    frame[4..8].copy_from_slice(&len.to_le_bytes());
    let crc = checksum(&len.to_le_bytes(), &frame[FRAME_HEADER_LEN..]);
    frame[8..12].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(len: &[u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(len), body)
}

/// The body of the frame at `offset`, if there is a whole, undamaged one.
fn frame_at(bytes: &[u8], offset: usize) -> Option<Range<usize>> {
    let mut reader = Reader::new(bytes.get(offset..)?);
    let read = |reader: &mut Reader<'_>| -> Result<Option<usize>, Malformed> {
        let magic: [u8; 4] = reader.array()?;
        let len: [u8; 4] = reader.array()?;
        let crc = reader.u32()?;
        let body = reader.take(u32::from_le_bytes(len) as usize)?;
        Ok((magic == FRAME_MAGIC && checksum(&len, body) == crc).then_some(body.len()))
    };
    let len = read(&mut reader).ok()??;
    let start = offset + FRAME_HEADER_LEN;
    Some(start..start + len)
}

/// What a log file holds, by position.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Frames {
    /// Bodies of undamaged frames.
    pub bodies: Vec<Range<usize>>,
    /// Bytes that belong to no frame although frames follow.
    pub damaged: Vec<Range<usize>>,
    /// Where the last frame ends; anything beyond is a torn tail.
    pub end: usize,
}

/// Finds every frame from `offset` on. After a damaged one it looks for the next by its magic.
pub fn find_frames(bytes: &[u8], mut offset: usize) -> Frames {
    let mut frames = Frames { end: offset, ..Frames::default() };
    let finder = memchr::memmem::Finder::new(&FRAME_MAGIC);
    while offset < bytes.len() {
        if let Some(body) = frame_at(bytes, offset) {
            if offset > frames.end {
                frames.damaged.push(frames.end..offset);
            }
            offset = body.end;
            frames.end = offset;
            frames.bodies.push(body);
        } else {
            let Some(distance) = bytes.get(offset + 1..).and_then(|rest| finder.find(rest)) else {
                break;
            };
            offset += 1 + distance;
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bodies: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for body in bodies {
            let start = begin(&mut out);
            out.extend_from_slice(body);
            end(&mut out, start);
        }
        out
    }

    fn bodies(bytes: &[u8]) -> Vec<&[u8]> {
        find_frames(bytes, 0).bodies.into_iter().map(|range| &bytes[range]).collect()
    }

    #[test]
    fn frames_are_found_again() {
        let bytes = file(&[b"one", b"", b"three"]);
        assert_eq!(bodies(&bytes), [b"one".as_slice(), b"", b"three"]);
        assert_eq!(find_frames(&bytes, 0).end, bytes.len());
    }

    #[test]
    fn a_torn_tail_is_cut_at_any_byte() {
        let bytes = file(&[b"first", b"second"]);
        let first = FRAME_HEADER_LEN + 5;
        for len in first..bytes.len() {
            let frames = find_frames(&bytes[..len], 0);
            assert_eq!(
                (frames.bodies.len(), frames.end, frames.damaged.len()),
                (1, first, 0),
                "cut at {len}"
            );
        }
    }

    #[test]
    fn every_flipped_byte_loses_one_frame_and_no_other() {
        let whole = file(&[b"first", b"second", b"third"]);
        for index in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[index] ^= 0x10;
            let frames = find_frames(&bytes, 0);
            assert_eq!(frames.bodies.len(), 2, "flip at {index}");
            let in_last = index >= whole.len() - FRAME_HEADER_LEN - 5;
            assert_eq!(frames.damaged.len(), usize::from(!in_last), "flip at {index}");
        }
    }
}
