//! What can be chosen about questions and answers.

use std::{fmt, str::FromStr};

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// The server's JSON, unchanged.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// Line protocol: points that can be written again.
    Line,
}

/// How times are printed and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As dates.
    Rfc3339,
    /// Hours since 1970.
    Hours,
    /// Minutes.
    Minutes,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

/// When a row is printed as a list of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vertical {
    /// Never.
    Off,
    /// Always.
    On,
    /// When a table is wider than the terminal.
    Auto,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What statements are about; empty for none.
    pub database: String,
    /// Retention policy; empty for the default.
    pub policy: String,
    /// How answers are printed.
    pub format: Format,
    /// How times are printed, and read by `insert`.
    pub precision: Precision,
    /// Whether JSON is indented.
    pub pretty: bool,
    /// Whether answers come in chunks; `None` where that makes no difference to the reader.
    pub chunked: Option<bool>,
    /// Rows of a chunk; `None` leaves it to the server.
    pub chunk_size: Option<u32>,
    /// Write consistency of `insert`: `all`, `any`, `one` or `quorum`; a single server has no use for it.
    pub consistency: String,
    /// Whether to say how long a statement took.
    pub timing: bool,
    /// When a row is printed as a list.
    pub vertical: Vertical,
}

/// A word that names none of what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {there}")]
pub struct UnknownWord {
    word: String,
    there: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            database: String::new(),
            policy: String::new(),
            format: Format::Table,
            precision: Precision::Rfc3339,
            pretty: false,
            chunked: None,
            chunk_size: None,
            consistency: "all".to_owned(),
            timing: false,
            vertical: Vertical::Auto,
        }
    }
}

impl Precision {
    /// The unit of InfluxDB's `epoch` parameter; `None` for dates, which need none.
    pub(crate) fn epoch(self) -> Option<&'static str> {
        match self {
            Self::Rfc3339 => None,
            Self::Hours => Some("h"),
            Self::Minutes => Some("m"),
            Self::Seconds => Some("s"),
            Self::Milliseconds => Some("ms"),
            Self::Microseconds => Some("u"),
            Self::Nanoseconds => Some("ns"),
        }
    }

    /// The unit of times in line protocol.
    pub(crate) fn of_writes(self) -> &'static str {
        self.epoch().unwrap_or("ns")
    }
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            // `column` is what `influx` calls it.
            "table" | "column" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "line" => Ok(Self::Line),
            _ => Err(UnknownWord { word: word.to_owned(), there: "table (column), json, csv, line" }),
        }
    }
}

impl FromStr for Precision {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "rfc3339" => Ok(Self::Rfc3339),
            "h" => Ok(Self::Hours),
            "m" => Ok(Self::Minutes),
            "s" => Ok(Self::Seconds),
            "ms" => Ok(Self::Milliseconds),
            "u" | "us" | "µs" => Ok(Self::Microseconds),
            "ns" | "n" => Ok(Self::Nanoseconds),
            _ => Err(UnknownWord { word: word.to_owned(), there: "rfc3339, h, m, s, ms, u, ns" }),
        }
    }
}

impl FromStr for Vertical {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "off" => Ok(Self::Off),
            "on" => Ok(Self::On),
            "auto" => Ok(Self::Auto),
            _ => Err(UnknownWord { word: word.to_owned(), there: "on, off, auto" }),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Line => "line",
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.epoch().unwrap_or("rfc3339"))
    }
}

impl fmt::Display for Vertical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Auto => "auto",
        })
    }
}
