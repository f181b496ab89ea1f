//! Checksums made right again, so that damage reaches the decoders behind them.
//!
//! Where they are is known without the crates that write the files: a CRC-32C stands behind what it covers, in a frame's
//! header (`docs/formats/wal.md`) or in the first line of a text.

use std::ops::Range;

/// Where a format has its checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// It has none.
    None,
    /// Behind the bytes that they cover, which may hold others: looked for in good input.
    Behind,
    /// A header of 20 bytes and its checksum, then frames: magic, length, checksum of length and body, body.
    Frames,
    /// Eight hexadecimal digits at the end of the first line, of all that follows it.
    FirstLine,
}

const FRAME_MAGIC: [u8; 4] = [0xd5, b'S', b'W', 0xa9];
const FRAME_HEADER_LEN: usize = 12;
const FILE_HEADER_LEN: usize = 24;
const DIGITS: usize = 8;

impl Checksums {
    /// What the checksums behind them cover, inner ones first.
    ///
    /// Every range of the input is tried: with files of some kilobytes that is soon done, and two of them agree by
    /// chance once in hundreds of files, which does no harm.
    pub(crate) fn covered(self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        if self == Self::Behind {
            let table = byte_table();
            for start in 0..bytes.len() {
                let mut crc = u32::MAX;
                for (end, window) in (start + 1..).zip(bytes[start..].windows(5)) {
                    crc = table[usize::from(crc as u8 ^ window[0])] ^ (crc >> 8);
                    if (!crc).to_le_bytes() == window[1..] {
                        ranges.push(start..end);
                    }
                }
            }
        }
        ranges.sort_by_key(|range| range.end);
        ranges
    }

    /// Puts them right; `covered` are the ranges of those that stand behind.
    pub(crate) fn seal(self, bytes: &mut [u8], covered: &[Range<usize>]) {
        match self {
            Self::None => {}
            Self::Behind => covered.iter().for_each(|range| seal_behind(bytes, range)),
            Self::Frames => seal_frames(bytes),
            Self::FirstLine => seal_first_line(bytes),
        }
    }
}

/// CRC-32C of each byte, for the search alone: it wants the sums of all beginnings of a range.
fn byte_table() -> [u32; 256] {
    std::array::from_fn(|byte| {
        (0..8).fold(byte as u32, |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

fn seal_behind(bytes: &mut [u8], covered: &Range<usize>) {
    let crc = crc32c::crc32c(&bytes[covered.clone()]).to_le_bytes();
    if let Some(place) = bytes.get_mut(covered.end..covered.end + 4) {
        place.copy_from_slice(&crc);
    }
}

/// A frame ends where the next begins.
fn seal_frames(bytes: &mut [u8]) {
    if bytes.len() >= FILE_HEADER_LEN {
        seal_behind(bytes, &(0..FILE_HEADER_LEN - 4));
    }
    let mut starts: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, word)| *word == FRAME_MAGIC).map(|(at, _)| at).collect();
    starts.push(bytes.len());
    for pair in starts.windows(2) {
        let Some((header, body)) = bytes[pair[0]..pair[1]].split_at_mut_checked(FRAME_HEADER_LEN) else {
            continue;
        };
        let length = (body.len() as u32).to_le_bytes();
        header[4..8].copy_from_slice(&length);
        header[8..].copy_from_slice(&crc32c::crc32c_append(crc32c::crc32c(&length), body).to_le_bytes());
    }
}

fn seal_first_line(bytes: &mut [u8]) {
    if let Some(line) = bytes.iter().position(|byte| *byte == b'\n')
        && line >= DIGITS
    {
        let digits = format!("{:08x}", crc32c::crc32c(&bytes[line + 1..]));
        bytes[line - DIGITS..line].copy_from_slice(digits.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(checksums: Checksums, bytes: &[u8]) -> Vec<u8> {
        let mut copy = bytes.to_vec();
        checksums.seal(&mut copy, &checksums.covered(bytes));
        copy
    }

    fn with_crc(bytes: &[u8]) -> Vec<u8> {
        [bytes, &crc32c::crc32c(bytes).to_le_bytes()].concat()
    }

    #[test]
    fn nested_checksums_are_found_and_put_right_from_the_inside() {
        let good = with_crc(&[b"head".as_slice(), &with_crc(b"inner"), &with_crc(b"other")].concat());
        let covered = Checksums::Behind.covered(&good);
        assert_eq!(covered, [4..9, 13..18, 0..22]);
        let mut bad = good.clone();
        bad[5] ^= 1;
        Checksums::Behind.seal(&mut bad, &covered);
        assert_eq!(Checksums::Behind.covered(&bad), covered);
        assert_ne!(bad, good);
        assert_eq!(sealed(Checksums::Behind, &good), good);
    }

    #[test]
    fn nothing_is_too_short() {
        for checksums in [Checksums::None, Checksums::Behind, Checksums::Frames, Checksums::FirstLine] {
            for length in 0..40 {
                let bytes: Vec<u8> = FRAME_MAGIC.iter().cycle().take(length).copied().collect();
                assert_eq!(sealed(checksums, &bytes).len(), length);
                assert_eq!(sealed(checksums, &vec![b'\n'; length]).len(), length);
            }
        }
    }
}
