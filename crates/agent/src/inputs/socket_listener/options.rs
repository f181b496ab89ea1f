//! The options of `socket_listener`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::framing::{Framing, LengthField};
use crate::config::{ConfigError, Section};
use crate::inputs::listener_options::{bytes, socket_mode};
use crate::net::address::Address;

/// Connections at a time where the configuration says nothing.
const CONNECTIONS_MAX: usize = 4096;
/// Bytes of one message.
const MESSAGE_MAX: usize = 16 << 20;

/// What `[[inputs.socket_listener]]` sets, besides TLS and the data format.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) address: Address,
    pub(super) socket_mode: Option<u32>,
    pub(super) connections_max: usize,
    /// How long a connection may be silent.
    pub(super) read_timeout: Option<Duration>,
    /// Bytes the kernel keeps for datagrams; 0 is its own number.
    pub(super) read_buffer: usize,
    /// Zero switches it off.
    pub(super) keep_alive: Option<Duration>,
    pub(super) encoding: String,
    pub(super) unpacked_max: usize,
    pub(super) message_max: usize,
    /// Empty allows everybody.
    allowed_sources: Vec<IpAddr>,
    pub(super) framing: Framing,
    /// Times are those of arrival.
    pub(super) receive_time: bool,
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let address = section.string("service_address")?.unwrap_or_default();
        let address = Address::parse(&address).map_err(|why| section.bad("service_address", why))?;
        section.without_effect("max_parallel_parsers", "every connection is parsed by itself");
        if section.string("multicast_source")?.is_some_and(|source| !source.is_empty()) {
            return Err(section.bad("multicast_source", "multicast is not supported"));
        }
        let encoding = section.string("content_encoding")?.unwrap_or_default();
        if !matches!(encoding.as_str(), "" | "identity" | "gzip" | "zlib" | "zstd") {
            let reason = format!("{encoding:?} is none of identity, gzip, zlib, zstd");
            return Err(section.bad("content_encoding", reason));
        }
        let receive_time = match section.string("time_source")?.as_deref() {
            None | Some("" | "metric") => false,
            Some("receive_time") => true,
            Some(other) => {
                let reason = format!("{other:?} is neither \"metric\" nor \"receive_time\"");
                return Err(section.bad("time_source", reason));
            }
        };
        let allowed = section.strings("allowed_sources")?.unwrap_or_default();
        let allowed_sources = allowed
            .iter()
            .map(|text| {
                text.parse().map_err(|_| section.bad("allowed_sources", format!("{text:?} is no address")))
            })
            .collect::<Result<_, _>>()?;
        let period = |nanos: i64| Duration::from_nanos(nanos.unsigned_abs());
        Ok(Self {
            address,
            socket_mode: socket_mode(section)?,
            connections_max: section
                .count("max_connections")?
                .filter(|most| *most > 0)
                .unwrap_or(CONNECTIONS_MAX),
            read_timeout: section.duration("read_timeout")?.filter(|nanos| *nanos > 0).map(period),
            read_buffer: bytes(section, "read_buffer_size")?.unwrap_or(0),
            keep_alive: section.duration("keep_alive_period")?.map(period),
            encoding,
            unpacked_max: bytes(section, "max_decompression_size")?
                .filter(|size| *size > 0)
                .unwrap_or(500 << 20),
            message_max: MESSAGE_MAX,
            allowed_sources,
            framing: framing(section)?,
            receive_time,
        })
    }

    /// Whether a peer may send.
    pub(super) fn allows(&self, peer: SocketAddr) -> bool {
        self.allowed_sources.is_empty() || self.allowed_sources.contains(&peer.ip())
    }
}

fn framing(section: &mut Section) -> Result<Framing, ConfigError> {
    let strategy = section.string("splitting_strategy")?.unwrap_or_default();
    let delimiter = section.string("splitting_delimiter")?.unwrap_or_default();
    let length = section.count("splitting_length")?.unwrap_or(0);
    let field = section.sections("splitting_length_field", |field| {
        let big_endian = match field.string("endianness")?.as_deref() {
            None | Some("" | "be") => true,
            Some("le") => false,
            Some(other) => {
                return Err(field.bad("endianness", format!("{other:?} is neither \"be\" nor \"le\"")));
            }
        };
        let bytes = field.count("bytes")?.unwrap_or(0);
        if !matches!(bytes, 1 | 2 | 4 | 8) {
            return Err(field.bad("bytes", format!("{bytes} is none of 1, 2, 4, 8")));
        }
        Ok(LengthField {
            offset: field.count("offset")?.unwrap_or(0),
            bytes,
            big_endian,
            header: field.count("header_length")?.unwrap_or(0),
        })
    })?;
    match strategy.as_str() {
        "" | "newline" => Ok(Framing::Delimiter(b"\n".to_vec())),
        "null" => Ok(Framing::Delimiter(b"\0".to_vec())),
        "delimiter" => match decode_delimiter(&delimiter) {
            Some(bytes) if !bytes.is_empty() => Ok(Framing::Delimiter(bytes)),
            _ => Err(section.bad("splitting_delimiter", "a delimiter is needed, as \"\\n\" or \"x1F2A\"")),
        },
        "fixed length" if length > 0 => Ok(Framing::Fixed(length)),
        "fixed length" => Err(section.bad("splitting_length", "a length above zero is needed")),
        "variable length" => match field.into_iter().next() {
            Some(field) if field.header >= field.offset + field.bytes => Ok(Framing::Variable(field)),
            Some(_) => {
                Err(section.bad("splitting_length_field", "header_length does not hold the length field"))
            }
            None => Err(section.bad("splitting_length_field", "say where the length is")),
        },
        other => {
            let known = "newline, null, delimiter, fixed length, variable length";
            Err(section.bad("splitting_strategy", format!("{other:?} is none of {known}")))
        }
    }
}

/// A delimiter as text, or after an `x` in hexadecimal digits.
fn decode_delimiter(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix(['x', 'X']).or_else(|| text.strip_prefix("0x")) {
        Some(digits) if digits.len() % 2 == 0 && !digits.is_empty() && digits.is_ascii() => {
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
        }
        _ => Some(text.as_bytes().to_vec()),
    }
}
