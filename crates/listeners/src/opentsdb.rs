//! OpenTSDB's points: lines of its telnet style, and the JSON of `/api/put`. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use skywatch_model::{
    line::{FieldRef, PointBatch, PushError},
    series::make_key,
};

use crate::number::parse_float;

/// Why a line is no point.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Not `put` and three words.
    #[error("malformed line: expected put <metric> <time> <value> <tag>=<value> ...")]
    Malformed,
    /// The time is no whole number.
    #[error("malformed time {0:?}")]
    Time(String),
    /// Neither seconds nor milliseconds.
    #[error("bad time {0:?}: must be 10 or 13 digits")]
    TimeDigits(String),
    /// The value is no number.
    #[error("bad float {0:?}")]
    Value(String),
    /// The point cannot be stored.
    #[error(transparent)]
    Point(#[from] PushError),
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A point, which was added; so many words after it are no tags and were left out.
    Point {
        /// See there.
        bad_tags: u64,
    },
    /// A question for the version.
    Version,
    /// Nothing.
    Blank,
}

/// The field of every point.
const FIELD: &str = "value";

/// Reads a line, and adds its point.
pub fn parse_line(line: &str, batch: &mut PointBatch<'_>) -> Result<Line, LineError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (metric, time, value, tags) = match words.as_slice() {
        [] => return Ok(Line::Blank),
        ["version"] => return Ok(Line::Version),
        ["put", metric, time, value, tags @ ..] => (*metric, *time, *value, tags),
        _ => return Err(LineError::Malformed),
    };
    let time_ns = parse_time(time)?;
    let value = parse_float(value).ok_or_else(|| LineError::Value(value.to_owned()))?;
    // Of tags with the same key the last counts.
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    let mut bad_tags = 0;
    for word in tags {
        match word.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => drop(known.insert(key, value)),
            _ => bad_tags += 1,
        }
    }
    batch.push(&make_key(metric, known), time_ns, [(FIELD, FieldRef::Float(value))])?;
    Ok(Line::Point { bad_tags })
}

/// Seconds or milliseconds, by the number of digits.
fn parse_time(text: &str) -> Result<i64, LineError> {
    let time: i64 = text.parse().map_err(|_| LineError::Time(text.to_owned()))?;
    match text.len() {
        // What overflows is out of range, as the batch will say.
        10 => Ok(time.saturating_mul(1_000_000_000)),
        13 => Ok(time.saturating_mul(1_000_000)),
        _ => Err(LineError::TimeDigits(text.to_owned())),
    }
}

/// Why a body is none of `/api/put`; worded as InfluxDB does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Nothing.
    #[error("peek error: EOF")]
    Empty,
    /// Neither a list nor an object.
    #[error("expected JSON array or hash")]
    NotJson,
    /// A list of something else.
    #[error("json array decode error")]
    List(#[source] serde_json::Error),
    /// An object of something else.
    #[error("json object decode error")]
    Object(#[source] serde_json::Error),
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct JsonPoint {
    metric: String,
    timestamp: i64,
    value: f64,
    tags: BTreeMap<String, String>,
}

impl Default for JsonPoint {
    fn default() -> Self {
        Self { metric: String::new(), timestamp: 0, value: 0.0, tags: BTreeMap::new() }
    }
}

/// Up to here times are seconds, from here on milliseconds.
const MILLISECONDS_FROM: i64 = 10_000_000_000;

/// Adds the points of a body, one or a list; tells how many cannot be stored.
pub fn parse_body(body: &[u8], batch: &mut PointBatch<'_>) -> Result<u64, BodyError> {
    let points: Vec<JsonPoint> = match body.trim_ascii_start().first() {
        None => return Err(BodyError::Empty),
        Some(b'[') => serde_json::from_slice(body).map_err(BodyError::List)?,
        Some(b'{') => vec![serde_json::from_slice(body).map_err(BodyError::Object)?],
        Some(_) => return Err(BodyError::NotJson),
    };
    let mut dropped = 0;
    for JsonPoint { metric, timestamp, value, tags } in points {
        let unit_ns = if timestamp < MILLISECONDS_FROM { 1_000_000_000 } else { 1_000_000 };
        let time_ns = timestamp.saturating_mul(unit_ns);
        if batch.push(&make_key(&metric, &tags), time_ns, [(FIELD, FieldRef::Float(value))]).is_err() {
            dropped += 1;
        }
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(batch: &PointBatch<'_>) -> Vec<String> {
        let mut text = String::new();
        batch.points().for_each(|point| point.append_line(&mut text));
        text.lines().map(str::to_owned).collect()
    }

    fn line(text: &str) -> Result<(Line, Vec<String>), LineError> {
        let mut batch = PointBatch::new();
        let line = parse_line(text, &mut batch)?;
        Ok((line, lines(&batch)))
    }

    #[test]
    fn lines_become_points() {
        for (text, bad_tags, point) in [
            (
                "put sys.cpu 1600000000 42.5 host=a cpu=0",
                0,
                "sys.cpu,cpu=0,host=a value=42.5 1600000000000000000",
            ),
            ("put  m\t1600000000123 -1e3 ", 0, "m value=-1000 1600000000123000000"),
            ("put m 1600000000 1 a=b=c x =y z= a=d", 3, "m,a=d value=1 1600000000000000000"),
            ("put a,b 1600000000 1 k=v\\ ", 0, "a\\,b,k=v value=1 1600000000000000000"),
        ] {
            let found = line(text).unwrap();
            assert_eq!(found, (Line::Point { bad_tags }, vec![point.to_owned()]), "{text}");
        }
        assert_eq!(line("version").unwrap().0, Line::Version);
        assert_eq!(line(" \r").unwrap().0, Line::Blank);
    }

    #[test]
    fn what_is_no_point_is_told() {
        let owned = str::to_owned;
        for (text, error) in [
            ("get m 1600000000 1", LineError::Malformed),
            ("put m 1600000000", LineError::Malformed),
            ("put m now 1", LineError::Time(owned("now"))),
            ("put m 160000000 1", LineError::TimeDigits(owned("160000000"))),
            ("put m 1600000000 one", LineError::Value(owned("one"))),
            ("put m 1600000000 NaN", LineError::Point(PushError::NotFinite)),
        ] {
            assert_eq!(line(text), Err(error), "{text}");
        }
    }

    #[test]
    fn bodies_are_one_point_or_several() {
        let body = |text: &str| {
            let mut batch = PointBatch::new();
            parse_body(text.as_bytes(), &mut batch).map(|dropped| (dropped, lines(&batch)))
        };
        let one = r#"{"metric":"m","timestamp":1600000000,"value":1.5,"tags":{"b":"2","a":"1"}}"#;
        assert_eq!(body(one).unwrap(), (0, vec!["m,a=1,b=2 value=1.5 1600000000000000000".to_owned()]));
        let several =
            format!("[{one}, {{\"metric\":\"n\",\"timestamp\":1600000000123,\"value\":2}}, {{\"value\":3}}]");
        let (dropped, points) = body(&several).unwrap();
        assert_eq!((dropped, points.len(), points[1].as_str()), (1, 2, "n value=2 1600000000123000000"));
        for (text, error) in [
            ("", "peek error: EOF"),
            ("x", "expected JSON array or hash"),
            ("[1]", "json array decode error"),
            ("{\"value\":\"x\"}", "json object decode error"),
        ] {
            assert_eq!(body(text).unwrap_err().to_string(), error);
        }
    }
}
