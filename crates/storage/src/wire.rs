//! The primitives every format of this crate is made of: little-endian fixed integers, LEB128 varints, zigzag,
//! length-prefixed bytes, and a reader that never reads past its end and never panics.

/// Why bytes could not be decoded. The caller adds the file and the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(
    /// What is wrong.
    pub &'static str,
);

/// LEB128: seven bits a byte, low bits first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small numbers of either sign as small ones without.
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The reverse of [`zigzag`].
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A varint of the zigzagged value.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// A varint of the length, then the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends the CRC-32C of `out[from..]`, little-endian.
pub fn put_crc(out: &mut Vec<u8>, from: usize) {
    let crc = crc32c::crc32c(&out[from..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The bytes before the four that end `bytes`, if those are their CRC-32C.
pub fn check_crc(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(Malformed("too short for a checksum"))?;
    if crc32c::crc32c(body) == u32::from_le_bytes(*crc) {
        Ok(body)
    } else {
        Err(Malformed("checksum differs"))
    }
}

/// Reads from the front of a slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not yet read.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// An error unless everything has been read.
    pub const fn finish(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes left over")) }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed("ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed("ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// The reverse of [`put_varint`].
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed("varint exceeds 64 bits"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("varint exceeds 64 bits"))
    }

    /// The reverse of [`put_signed`].
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        self.varint().map(unzigzag)
    }

    /// A varint of at most 32 bits.
    pub fn varint_u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| Malformed("number exceeds 32 bits"))
    }

    /// A count of things of at least `bytes_each` bytes that are still to come, so that a damaged count cannot
    /// make the caller reserve more memory than the input is long.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize, Malformed> {
        let count = self.varint()?;
        let most = (self.rest.len() / bytes_each.max(1)) as u64;
        if count <= most { Ok(count as usize) } else { Err(Malformed("count exceeds the input")) }
    }

    /// The reverse of [`put_bytes`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.count(1)?;
        self.take(len)
    }

    /// As [`Self::bytes`], and valid UTF-8.
    pub fn str(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip(unsigned: u64, signed: i64, text: String) {
            let mut out = Vec::new();
            put_varint(&mut out, unsigned);
            put_signed(&mut out, signed);
            put_bytes(&mut out, text.as_bytes());
            put_crc(&mut out, 0);
            let mut reader = Reader::new(check_crc(&out).unwrap());
            prop_assert_eq!(reader.varint(), Ok(unsigned));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.str(), Ok(text.as_str()));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn noise_never_panics(noise: Vec<u8>) {
            let mut reader = Reader::new(&noise);
            while reader.remaining() > 0 {
                let before = reader.remaining();
                let _ignored = (reader.clone().varint(), reader.clone().str(), reader.clone().count(3));
                let _ignored = reader.u8();
                prop_assert!(reader.remaining() < before);
            }
        }
    }

    #[test]
    fn varints_are_bounded() {
        assert_eq!(Reader::new(&[0xff; 9]).varint(), Err(Malformed("ends too early")));
        assert_eq!(Reader::new(&[0xff; 10]).varint(), Err(Malformed("varint exceeds 64 bits")));
        assert_eq!(Reader::new(&[5, 0]).count(2), Err(Malformed("count exceeds the input")));
    }
}
