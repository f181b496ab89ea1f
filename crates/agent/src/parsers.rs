//! The data formats that are read: one file each, and the table by which `data_format` finds them.

mod csv;
mod graphite;
pub(crate) mod influx;
mod json;
mod json_path;
mod json_v2;
mod logfmt;
pub(crate) mod prometheus;
mod scalar;
#[cfg(test)]
mod testing;
mod value;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::filter::glob::Globs;
use crate::parser::{ParseError, Parser};
use crate::registry::{self, Entry};

/// Every format there is.
pub const PARSERS: &[Entry<dyn Parser>] = &[
    Entry { name: "csv", build: csv::build },
    Entry { name: "graphite", build: graphite::build },
    Entry { name: "influx", build: influx::build },
    Entry { name: "json", build: json::build },
    Entry { name: "json_v2", build: json_v2::build },
    Entry { name: "logfmt", build: logfmt::build },
    // The same parser reads both texts.
    Entry { name: "openmetrics", build: prometheus::build },
    Entry { name: "prometheus", build: prometheus::build },
    Entry { name: "value", build: value::build },
];

/// A document that is read as a whole, at most.
const DOCUMENT_BYTES_MAX: usize = 256 << 20;

/// The parser that a plugin's table asks for by `data_format`, with its options.
pub(crate) fn from_section(
    section: &mut Section,
    context: &Context,
    default: &'static str,
) -> Result<Box<dyn Parser>, ConfigError> {
    registry::format(PARSERS, section, context, default)
}

/// An option that lists names or globs; none if it is absent or empty.
fn globs(section: &mut Section, key: &'static str) -> Result<Option<Globs>, ConfigError> {
    let patterns = section.strings(key)?.unwrap_or_default();
    if patterns.is_empty() {
        return Ok(None);
    }
    Globs::compile(&patterns, "").map(Some).map_err(|why| section.bad(key, why))
}

/// A document as text without its byte order mark; `None` if there is nothing in it.
fn document(data: &[u8]) -> Result<Option<&str>, ParseError> {
    if data.len() > DOCUMENT_BYTES_MAX {
        return Err(ParseError::new(format!("the document is larger than {DOCUMENT_BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(data)
        .map_err(|error| ParseError::new(format!("byte {} is not UTF-8", error.valid_up_to())))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    Ok((!text.is_empty()).then_some(text))
}

/// Hands on every line without its end. Lines before and after a bad one count; the error is the first one's and says
/// how many there are.
fn each_line(data: &[u8], mut read: impl FnMut(&str) -> Result<(), String>) -> Result<(), ParseError> {
    let mut faults = Faults::default();
    for (at, line) in data.split(|&byte| byte == b'\n').enumerate() {
        let read = match std::str::from_utf8(line) {
            Ok(line) => read(line.strip_suffix('\r').unwrap_or(line)),
            Err(_) => Err("the line is not UTF-8".to_owned()),
        };
        if let Err(reason) = read {
            faults.add(at + 1, reason);
        }
    }
    faults.result()
}

/// What is wrong with the lines of a document: the first fault, and the number of others.
#[derive(Debug, Default)]
struct Faults {
    first: Option<ParseError>,
    others: usize,
}

impl Faults {
    fn add(&mut self, line: usize, reason: String) {
        match self.first {
            None => self.first = Some(ParseError::at_line(line, reason)),
            Some(_) => self.others += 1,
        }
    }

    fn result(self) -> Result<(), ParseError> {
        match self.first {
            None => Ok(()),
            Some(mut first) => {
                if self.others > 0 {
                    first.reason.push_str(&format!(" (and {} further bad lines)", self.others));
                }
                Err(first)
            }
        }
    }
}
