//! Durations as InfluxDB's configuration writes them: `"1h30m"`, `"100ms"`, `"0s"`.

use std::time::Duration;

use serde::Deserialize;

/// A duration in Go's notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(crate) struct GoDuration(pub(crate) Duration);

/// The text is no duration.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no duration: expected numbers with units, such as \"1m30s\", \"500ms\" or \"0s\"")]
pub(crate) struct BadDuration(String);

impl std::str::FromStr for GoDuration {
    type Err = BadDuration;

    fn from_str(text: &str) -> Result<Self, BadDuration> {
        skywatch_ctl::parse_go_duration(text).map(Self).ok_or_else(|| BadDuration(text.to_owned()))
    }
}

impl TryFrom<toml::Value> for GoDuration {
    type Error = BadDuration;

    fn try_from(written: toml::Value) -> Result<Self, BadDuration> {
        let text = match written {
            toml::Value::String(text) => text,
            // InfluxDB's sample writes a zero without quotes.
            other => other.to_string(),
        };
        text.parse()
    }
}
