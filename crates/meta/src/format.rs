//! The catalogue as bytes: what a single server keeps on disk, and meta nodes as their snapshots.
//!
//! ```text
//! skywatch catalogue 3 crc32c=0a1b2c3d\n      format version; checksum of all that follows
//! { "databases": [...], ... }\n                the catalogue as JSON, one line
//! ```
//!
//! Equal catalogues give equal bytes, on every release that knows their feature level (`level.rs`). What is added to the
//! catalogue later raises that level, not the version, which stands for the frame and for records that mean something else.

use serde::Deserialize;

use crate::{Catalogue, level::FEATURE_LEVEL};

const FORMAT_VERSION: &str = "3";
/// Formats that are read: version 1 knew no users, continuous queries and subscriptions, version 2 no cluster.
const FORMAT_VERSIONS_READ: [&str; 3] = ["1", "2", FORMAT_VERSION];

/// Why bytes are not a catalogue that this release can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are not what was written.
    #[error("the catalogue is damaged: {0}")]
    Corrupt(String),
    /// A later release wrote them.
    #[error("it has format version {0}, this release reads {FORMAT_VERSION}: use a newer skywatch")]
    Version(String),
    /// The cluster has gone on to what a later release knows.
    #[error("it is of feature level {level}, this release knows {known}: use a newer skywatch")]
    Level {
        /// The catalogue's level.
        level: u32,
        /// The highest level of this release.
        known: u32,
    },
}

impl Catalogue {
    /// The catalogue with a version and a checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).expect("records of strings and numbers always encode");
        json.push(b'\n');
        let mut bytes = header(&json).into_bytes();
        bytes.extend_from_slice(&json);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote, of this release or an earlier one. What is returned is consistent.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let corrupt = |reason: &str| DecodeError::Corrupt(reason.to_owned());
        let header_end =
            bytes.iter().position(|&byte| byte == b'\n').ok_or_else(|| corrupt("it has no header line"))?;
        let header =
            std::str::from_utf8(&bytes[..header_end]).map_err(|_| corrupt("its header line is not text"))?;
        let (version, checksum) = header
            .strip_prefix("skywatch catalogue ")
            .and_then(|rest| rest.split_once(" crc32c="))
            .ok_or_else(|| DecodeError::Corrupt(format!("its header line is {header:?}")))?;
        if !FORMAT_VERSIONS_READ.contains(&version) {
            return Err(DecodeError::Version(version.into()));
        }
        let json = &bytes[header_end + 1..];
        let found = checksum_of(json);
        if found != checksum {
            return Err(DecodeError::Corrupt(format!("checksum {found}, expected {checksum}")));
        }
        // The level is looked at by itself: what it stands for may be nothing that this release can read.
        parse::<CatalogueLevel>(json)?.check()?;
        let catalogue: Self = parse(json)?;
        catalogue.check().map_err(DecodeError::Corrupt)?;
        Ok(catalogue)
    }
}

/// What is read of a catalogue's JSON before the rest, which may be of a later release.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct CatalogueLevel {
    #[serde(default)]
    feature_level: u32,
}

impl CatalogueLevel {
    /// The level of a catalogue that could be read.
    pub const fn of(catalogue: &Catalogue) -> Self {
        Self { feature_level: catalogue.feature_level() }
    }

    /// Refuses what this release does not know all of.
    pub const fn check(self) -> Result<(), DecodeError> {
        if self.feature_level > FEATURE_LEVEL {
            return Err(DecodeError::Level { level: self.feature_level, known: FEATURE_LEVEL });
        }
        Ok(())
    }
}

fn parse<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(json).map_err(|error| DecodeError::Corrupt(error.to_string()))
}

fn header(json: &[u8]) -> String {
    format!("skywatch catalogue {FORMAT_VERSION} crc32c={}\n", checksum_of(json))
}

fn checksum_of(json: &[u8]) -> String {
    format!("{:08x}", crc32c::crc32c(json))
}

#[cfg(test)]
mod tests;
