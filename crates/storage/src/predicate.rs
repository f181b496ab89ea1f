//! Predicates on tags as bytes: the same in the log, in the manifest and between nodes. Layout in `docs/formats/wal.md`.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::{
    TagPredicate,
    wire::{Malformed, Reader, put_bytes, put_varint},
};

const ALL: u8 = 0;
const NONE: u8 = 1;
const EQUAL: u8 = 2;
const MATCHES: u8 = 3;
const NOT: u8 = 4;
const AND: u8 = 5;
const OR: u8 = 6;

/// A regular expression that was small enough once must be so when it is read back.
const REGEX_BYTES_MAX: usize = 256 << 20;

/// Compiles the pattern of a regular expression that was written down after it had been compiled. Whoever wrote it has found it
/// small enough, so that the bound here is far above any of theirs.
pub fn compile_regex(pattern: &str) -> Result<Arc<Regex>, Malformed> {
    let regex = RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build();
    regex.map(Arc::new).map_err(|_| Malformed("unreadable regular expression"))
}

impl TagPredicate {
    /// How deep it is nested; 1 for one that has no other inside.
    pub fn depth(&self) -> usize {
        1 + match self {
            Self::Not(inner) => inner.depth(),
            Self::And(inner) | Self::Or(inner) => inner.iter().map(Self::depth).max().unwrap_or(0),
            Self::All | Self::None | Self::Equal { .. } | Self::Matches { .. } => 0,
        }
    }

    /// Appends what [`Self::decode`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let list = |out: &mut Vec<u8>, kind: u8, inner: &[Self]| {
            out.push(kind);
            put_varint(out, inner.len() as u64);
            inner.iter().for_each(|inner| inner.encode(out));
        };
        match self {
            Self::All => out.push(ALL),
            Self::None => out.push(NONE),
            Self::Equal { key, value } => {
                out.push(EQUAL);
                put_bytes(out, key.as_bytes());
                put_bytes(out, value.as_bytes());
            }
            Self::Matches { key, regex } => {
                out.push(MATCHES);
                put_bytes(out, key.as_bytes());
                put_bytes(out, regex.as_str().as_bytes());
            }
            Self::Not(inner) => {
                out.push(NOT);
                inner.encode(out);
            }
            Self::And(inner) => list(out, AND, inner),
            Self::Or(inner) => list(out, OR, inner),
        }
    }

    /// Reads a predicate in which so many are nested at most: each is worked through by recursion.
    pub fn decode(reader: &mut Reader<'_>, nested_max: usize) -> Result<Self, Malformed> {
        let inner = |reader: &mut Reader<'_>| {
            let below = nested_max.checked_sub(1).ok_or(Malformed("predicate is nested too deeply"))?;
            Self::decode(reader, below)
        };
        let list = |reader: &mut Reader<'_>| -> Result<Vec<Self>, Malformed> {
            let count = reader.count(1)?;
            (0..count).map(|_| inner(reader)).collect()
        };
        Ok(match reader.u8()? {
            ALL => Self::All,
            NONE => Self::None,
            EQUAL => Self::Equal { key: reader.str()?.into(), value: reader.str()?.into() },
            MATCHES => Self::Matches { key: reader.str()?.into(), regex: compile_regex(reader.str()?)? },
            NOT => Self::Not(Box::new(inner(reader)?)),
            AND => Self::And(list(reader)?),
            OR => Self::Or(list(reader)?),
            _ => return Err(Malformed("unknown kind of predicate")),
        })
    }
}
