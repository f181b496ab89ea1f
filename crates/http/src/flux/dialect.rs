//! How a client wants its tables written.

use serde::Deserialize;

use crate::response::Failure;

/// How the client wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Whether names of columns are told.
    pub(crate) header: bool,
    /// Between cells.
    pub(crate) delimiter: char,
    pub(crate) annotations: Annotations,
    /// What annotations begin with.
    pub(crate) comment_prefix: String,
    /// Whether the type of times says that they have nanoseconds; they always do.
    pub(crate) nanoseconds: bool,
}

/// What is told of columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Annotations {
    pub(crate) datatype: bool,
    pub(crate) group: bool,
    pub(crate) default: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: ',',
            annotations: Annotations::default(),
            comment_prefix: "#".to_owned(),
            nanoseconds: false,
        }
    }
}

/// A dialect as a client sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct AskedDialect {
    header: Option<bool>,
    delimiter: Option<String>,
    annotations: Vec<String>,
    comment_prefix: Option<String>,
    date_time_format: Option<String>,
}

impl Dialect {
    /// As a client asks for it.
    pub(crate) fn of(asked: &AskedDialect) -> Result<Self, Failure> {
        let refused = |text: String| Failure::bad_request(format!("invalid dialect: {text}"));
        let mut annotations = Annotations::default();
        for annotation in &asked.annotations {
            match annotation.as_str() {
                "datatype" => annotations.datatype = true,
                "group" => annotations.group = true,
                "default" => annotations.default = true,
                other => return Err(refused(format!("unknown annotation {other:?}"))),
            }
        }
        let delimiter = match asked.delimiter.as_deref() {
            None | Some("") => ',',
            Some(text) => {
                let mut characters = text.chars();
                match (characters.next(), characters.next()) {
                    (Some(one), None) if !matches!(one, '"' | '\r' | '\n') => one,
                    _ => return Err(refused(format!("delimiter {text:?} is not one character"))),
                }
            }
        };
        let comment_prefix = match asked.comment_prefix.as_deref() {
            None => "#".to_owned(),
            Some(text) if text.chars().count() <= 1 => text.to_owned(),
            Some(text) => return Err(refused(format!("commentPrefix {text:?} is more than one character"))),
        };
        let nanoseconds = match asked.date_time_format.as_deref() {
            None | Some("" | "RFC3339") => false,
            Some("RFC3339Nano") => true,
            Some(other) => return Err(refused(format!("unknown dateTimeFormat {other:?}"))),
        };
        Ok(Self { header: asked.header.unwrap_or(true), delimiter, annotations, comment_prefix, nanoseconds })
    }
}
