//! What is particular to a log: its file header, and how large a record may be. Layout in `docs/formats/wal.md`.

pub(super) use crate::frame::{FRAME_HEADER_LEN, begin, end, find_frames};
use crate::wire::{Malformed, Reader};

pub(super) const FILE_MAGIC: [u8; 8] = *b"SKYWWAL\n";
/// 2 adds the records of deletes. Files of version 1 have none and are read alike.
pub(super) const FILE_VERSION: u32 = 2;
const FILE_VERSION_MIN: u32 = 1;
/// magic 8, version 4, sequence 8, CRC-32C 4.
pub(super) const FILE_HEADER_LEN: usize = 24;

/// Greatest body of a frame.
pub(crate) const MAX_BODY_LEN: usize = 256 << 20;

pub(super) fn file_header(sequence: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(FILE_HEADER_LEN);
    header.extend_from_slice(&FILE_MAGIC);
    header.extend_from_slice(&FILE_VERSION.to_le_bytes());
    header.extend_from_slice(&sequence.to_le_bytes());
    crate::wire::put_crc(&mut header, 0);
    header
}

/// What the header of a log file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    Valid,
    /// A later release's.
    TooNew(u32),
    /// Not one of this file.
    Damaged,
}

pub(super) fn read_file_header(bytes: &[u8], sequence: u64) -> Header {
    let read = || -> Result<(u32, u64), Malformed> {
        let mut reader = Reader::new(bytes);
        let mut header = Reader::new(crate::wire::check_crc(reader.take(FILE_HEADER_LEN)?)?);
        if header.array()? != FILE_MAGIC {
            return Err(Malformed("no log file"));
        }
        Ok((header.u32()?, header.u64()?))
    };
    match read() {
        Ok((version, _)) if version > FILE_VERSION => Header::TooNew(version),
        Ok((version, found)) if version >= FILE_VERSION_MIN && found == sequence => Header::Valid,
        Ok(_) | Err(_) => Header::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_name_their_file() {
        let header = file_header(7);
        assert_eq!(header.len(), FILE_HEADER_LEN);
        assert_eq!(read_file_header(&header, 7), Header::Valid);
        assert_eq!(read_file_header(&header, 8), Header::Damaged);
        assert_eq!(read_file_header(&header[..20], 7), Header::Damaged);
        let mut newer = header[..20].to_vec();
        newer[8] = 9;
        crate::wire::put_crc(&mut newer, 0);
        assert_eq!(read_file_header(&newer, 7), Header::TooNew(9));
    }
}
