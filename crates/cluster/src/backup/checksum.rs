//! The checksum that tells files apart and finds damage: XXH3 with 64 bits, written as sixteen hexadecimal digits.
//!
//! A CRC would not do, though the files have CRCs inside: that of bytes followed by their own CRC is the same whatever
//! the bytes, and manifests end so.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// See the module's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Checksum(u64);

impl Checksum {
    /// Of bytes that are all there.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

/// A text that is no checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a checksum of sixteen hexadecimal digits")]
pub struct NoChecksum(String);

impl FromStr for Checksum {
    type Err = NoChecksum;

    fn from_str(text: &str) -> Result<Self, NoChecksum> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(Self).ok_or_else(|| NoChecksum(text.to_owned()))
    }
}

impl TryFrom<String> for Checksum {
    type Error = NoChecksum;

    fn try_from(text: String) -> Result<Self, NoChecksum> {
        text.parse()
    }
}

/// Computes a [`Checksum`] of bytes that come piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(Xxh3);

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.finish()).finish()
    }
}

impl Hasher {
    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes so far.
    pub fn finish(&self) -> Checksum {
        Checksum(self.0.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_in_pieces_and_as_text_and_for_ever() {
        let mut hasher = Hasher::default();
        b"skywatch".chunks(3).for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), Checksum::of(b"skywatch"));
        // XXH3's own value for no bytes.
        assert_eq!(Checksum::of(b"").to_string(), "2d06800538d394c2");
        assert_eq!("2d06800538d394c2".parse(), Ok(Checksum::of(b"")));
        for bad in ["", "2d06800538d394c", "2D06800538D394C2", "+d06800538d394c2", "2d06800538d394c2a"] {
            assert!(bad.parse::<Checksum>().is_err(), "{bad}");
        }
    }
}
