//! A number of bytes as people write it: `1g`, `512m`, `64k`, or plain bytes.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// Units are powers of 1024: `k`, `m`, `g`, `t`, in either case, with or without `b` or `ib` after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct ByteSize(pub(crate) u64);

/// In a configuration file: a number of bytes, or text with a unit.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a size such as \"1g\", \"512m\" or a number of bytes")]
enum Written {
    Bytes(u64),
    Text(String),
}

/// The text is no size.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no size: expected a number of bytes, or one with a unit such as 512m or 1g")]
pub(crate) struct BadByteSize(String);

impl FromStr for ByteSize {
    type Err = BadByteSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadByteSize(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let shift = match &lower[digits.len()..] {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(bad()),
        };
        let number: u64 = digits.trim_end().parse().map_err(|_| bad())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(bad)
    }
}

impl TryFrom<Written> for ByteSize {
    type Error = BadByteSize;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "t"), (30, "g"), (20, "m"), (10, "k")] {
            if self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, shown) in [
            ("1g", 1 << 30, "1g"),
            ("512m", 512 << 20, "512m"),
            (" 64 KiB ", 64 << 10, "64k"),
            ("2TB", 2 << 40, "2t"),
            ("1000", 1000, "1000"),
            ("0", 0, "0"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown), "{text}");
        }
        for bad in ["", "g", "1.5g", "-1", "1x", "99999999999g", "1gg"] {
            let error = bad.parse::<ByteSize>().unwrap_err().to_string();
            assert!(error.contains("512m"), "{error}");
        }
    }
}
