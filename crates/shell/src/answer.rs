//! Answers of `/query`, read document by document as they arrive.
//!
//! With `chunked=true` a server sends one JSON document a line, each with some rows of one series; without, one
//! document with everything. No more than one document is in memory.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize,
    de::{Deserializer, Error, Visitor},
};
use skywatch_client::{Client, ClientError, Response};

use crate::settings::Settings;

/// Longest document that is read. A chunk of 10,000 rows has a few megabytes.
const DOCUMENT_BYTES_MAX: usize = 1 << 30;

/// What is asked.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) text: &'a str,
    pub(crate) settings: &'a Settings,
    /// Unit of times; `None` for dates.
    pub(crate) epoch: Option<&'static str>,
    pub(crate) chunked: bool,
}

/// One document.
#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    #[serde(default)]
    pub(crate) results: Vec<StatementResult>,
    pub(crate) error: Option<String>,
}

/// What a document says about one statement.
#[derive(Debug, Deserialize)]
pub(crate) struct StatementResult {
    #[serde(default)]
    pub(crate) series: Vec<Series>,
    #[serde(default)]
    pub(crate) messages: Vec<Message>,
    pub(crate) error: Option<String>,
    /// Whether more documents about the statement follow.
    #[serde(default)]
    pub(crate) partial: bool,
}

/// Rows of a series.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Series {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) columns: Vec<String>,
    #[serde(default)]
    pub(crate) values: Vec<Vec<Cell>>,
    /// Whether more rows of the series follow.
    #[serde(default)]
    pub(crate) partial: bool,
}

/// What the server has to say beside rows.
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    pub(crate) level: String,
    pub(crate) text: String,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

impl Cell {
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::Unsigned(_) | Self::Float(_))
    }
}

/// As the server wrote it, without quotes; nothing for null.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Float(value) if *value == 0.0 || (1e-6..1e21).contains(&value.abs()) => {
                write!(f, "{value}")
            }
            Self::Float(value) => {
                let text = format!("{value:e}");
                f.write_str(&if text.contains("e-") { text } else { text.replace('e', "e+") })
            }
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CellVisitor;
        impl Visitor<'_> for CellVisitor {
            type Value = Cell;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of a row")
            }
            fn visit_unit<E: Error>(self) -> Result<Cell, E> {
                Ok(Cell::Null)
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Cell, E> {
                Ok(Cell::Boolean(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Cell, E> {
                Ok(Cell::Integer(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Cell, E> {
                Ok(i64::try_from(value).map_or(Cell::Unsigned(value), Cell::Integer))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Cell, E> {
                Ok(Cell::Float(value))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Cell, E> {
                Ok(Cell::Text(value.to_owned()))
            }
            fn visit_string<E: Error>(self, value: String) -> Result<Cell, E> {
                Ok(Cell::Text(value))
            }
        }
        deserializer.deserialize_any(CellVisitor)
    }
}

/// Asks; the answer is still to be read.
pub(crate) async fn ask(client: &Client, question: &Question<'_>) -> Result<Response, ClientError> {
    let settings = question.settings;
    let chunk_size = settings.chunk_size.map(|rows| rows.to_string());
    let parameters: Vec<(&str, &str)> = [
        ("db", Some(settings.database.as_str()).filter(|name| !name.is_empty())),
        ("rp", Some(settings.policy.as_str()).filter(|name| !name.is_empty())),
        ("epoch", question.epoch),
        ("chunked", question.chunked.then_some("true")),
        ("chunk_size", chunk_size.as_deref().filter(|_| question.chunked)),
        ("pretty", settings.pretty.then_some("true")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    // The statement may be too long for a URL; the rest must be there, as InfluxDB looks for `pretty` nowhere else.
    let request = client
        .post("query")
        .query(&parameters)
        .header("Accept", "application/json")
        .form(&[("q", question.text)]);
    client.send_checked(request).await
}

/// The documents of an answer.
#[derive(Debug)]
pub(crate) struct Documents<'c> {
    client: &'c Client,
    response: Response,
    buffer: Vec<u8>,
    /// No line feed is before it.
    searched: usize,
    ended: bool,
}

impl<'c> Documents<'c> {
    pub(crate) fn new(client: &'c Client, response: Response) -> Self {
        Self { client, response, buffer: Vec::new(), searched: 0, ended: false }
    }

    /// The next one; `None` when there are no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Document>, ClientError> {
        loop {
            let line_feed = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n');
            if let Some(at) = line_feed {
                let rest = self.buffer.split_off(self.searched + at + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                if !line.trim_ascii().is_empty() {
                    return self.parse(&line).map(Some);
                }
                continue;
            }
            if self.ended {
                let line = std::mem::take(&mut self.buffer);
                self.searched = 0;
                return if line.trim_ascii().is_empty() { Ok(None) } else { self.parse(&line).map(Some) };
            }
            self.searched = self.buffer.len();
            match self.client.next_piece(&mut self.response).await? {
                Some(piece) => self.buffer.extend_from_slice(piece.as_ref()),
                None => self.ended = true,
            }
            if self.buffer.len() > DOCUMENT_BYTES_MAX {
                return Err(self.not_influxdb("a part of the answer has more than a gigabyte".to_owned()));
            }
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Document, ClientError> {
        serde_json::from_slice(line)
            .map_err(|error| self.not_influxdb(format!("its JSON is not a query result ({error})")))
    }

    fn not_influxdb(&self, reason: String) -> ClientError {
        ClientError::NotInfluxDb { server: self.client.server(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_the_server_wrote_them() {
        for text in [
            "1",
            "-9223372036854775808",
            "18446744073709551615",
            "1.5",
            "1e+300",
            "1e-7",
            "0.000001",
            "true",
            "0",
        ] {
            assert_eq!(serde_json::from_str::<Cell>(text).unwrap().to_string(), text);
        }
        assert_eq!(serde_json::from_str::<Cell>("\"a\\nb\"").unwrap().to_string(), "a\nb");
        assert_eq!(serde_json::from_str::<Cell>("null").unwrap().to_string(), "");
        assert!(serde_json::from_str::<Cell>("[]").is_err());
    }
}
