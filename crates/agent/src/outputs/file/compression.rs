//! How what is appended is compressed: each batch by itself, since such parts may stand one after the other.

use std::io::{self, Write};

use flate2::Compression as Level;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::config::{ConfigError, Section};

/// `compression_algorithm` with its level.
#[derive(Debug, Clone, Copy)]
pub(super) enum Compression {
    None,
    Zstd(i32),
    Gzip(Level),
    Zlib(Level),
}

impl Compression {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let level = section.integer("compression_level")?.filter(|&level| level != -1);
        let algorithm = section.string("compression_algorithm")?;
        let most = if algorithm.as_deref() == Some("zstd") { 22 } else { 9 };
        if let Some(level) = level.filter(|level| !(0..=most).contains(level)) {
            let reason = format!("{level} is not between 0 and {most}; -1 is the algorithm's own default");
            return Err(section.bad("compression_level", reason));
        }
        let deflate = level.map_or(Level::default(), |level| Level::new(u32::try_from(level).unwrap_or(6)));
        Ok(match algorithm.as_deref() {
            None | Some("") => Self::None,
            // Its own default is called 0.
            Some("zstd") => Self::Zstd(level.and_then(|level| i32::try_from(level).ok()).unwrap_or(0)),
            Some("gzip") => Self::Gzip(deflate),
            Some("zlib") => Self::Zlib(deflate),
            Some(other) => {
                let reason = format!("{other:?} is none of zstd, gzip, zlib");
                return Err(section.bad("compression_algorithm", reason));
            }
        })
    }

    pub(super) fn apply(self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes),
            Self::Zstd(level) => zstd::encode_all(&bytes[..], level),
            Self::Gzip(level) => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(&bytes)?;
                encoder.finish()
            }
            Self::Zlib(level) => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(&bytes)?;
                encoder.finish()
            }
        }
    }
}
