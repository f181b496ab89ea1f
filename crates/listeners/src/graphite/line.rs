//! Lines, and the points they become.

use skywatch_model::{
    MAX_TIME, MIN_TIME,
    line::{FieldRef, PointBatch, PushError},
};

use super::template::{ApplyError, TemplateError, Templates, parse_tags};
use crate::number::parse_float;

/// The field of names whose template names none.
const FIELD: &str = "value";

/// Seconds around all times that can be stored.
const SECONDS_MIN: f64 = -1e10;
const SECONDS_MAX: f64 = 1e10;

/// Why a line is no point; worded as InfluxDB does.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Neither two nor three words.
    #[error("received {0:?} which doesn't have required fields")]
    Words(String),
    /// The value is no number.
    #[error("field \"{name}\" value: strconv.ParseFloat: parsing {value:?}: {problem}")]
    Value {
        /// Name of the metric.
        name: String,
        /// What stands there.
        value: String,
        /// `invalid syntax` or `value out of range`
        problem: &'static str,
    },
    /// NaN: left out in silence.
    #[error("field \"{0}\" value: \"NaN\" is unsupported")]
    NotANumber(String),
    /// Infinite.
    #[error("field \"{name}\" value: \"{sign}Inf\" is unsupported")]
    Infinite {
        /// Name of the metric.
        name: String,
        /// `+` or `-`
        sign: char,
    },
    /// The time is no number.
    #[error("field \"{name}\" time: strconv.ParseFloat: parsing {time:?}: invalid syntax")]
    Time {
        /// Name of the metric.
        name: String,
        /// What stands there.
        time: String,
    },
    /// The time cannot be stored.
    #[error("timestamp out of range")]
    TimeOutOfRange,
    /// The template does not fit.
    #[error("{0}")]
    Template(String),
    /// The point cannot be stored.
    #[error(transparent)]
    Point(#[from] PushError),
    /// Not UTF-8.
    #[error("received a line that is not UTF-8")]
    NotUtf8,
}

/// Reads lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parser {
    templates: Templates,
    tags: Vec<(String, String)>,
}

impl Parser {
    /// A parser with these templates, tags of every point (`name=value`), and separator of what is joined.
    pub fn new(templates: &[String], tags: &[String], separator: &str) -> Result<Self, TemplateError> {
        let separator = if separator.is_empty() { "." } else { separator };
        Ok(Self {
            templates: Templates::new(templates, separator)?,
            tags: parse_tags(tags.iter().map(String::as_str))?,
        })
    }

    /// Adds the point of a line, which came at `now_ns`. A blank line is an error; callers pass over them.
    pub fn parse(&self, line: &[u8], now_ns: i64, batch: &mut PointBatch<'_>) -> Result<(), LineError> {
        let line = std::str::from_utf8(line).map_err(|_| LineError::NotUtf8)?.trim();
        let mut words = line.split_whitespace();
        let (Some(name), Some(value), time, None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(LineError::Words(line.to_owned()));
        };
        let template = self.templates.of(name);
        let named = template
            .apply(name, &self.tags)
            .map_err(|error: ApplyError| LineError::Template(error.to_string()))?;
        let value = parse_value(name, value)?;
        let time_ns = match time {
            None => now_ns,
            Some(time) => parse_time(name, time)?.unwrap_or(now_ns),
        };
        let field = if named.field.is_empty() { FIELD } else { &named.field };
        batch.push(&named.series_key, time_ns, [(field, FieldRef::Float(value))])?;
        Ok(())
    }
}

fn parse_value(name: &str, text: &str) -> Result<f64, LineError> {
    let value = parse_float(text).ok_or_else(|| LineError::Value {
        name: name.to_owned(),
        value: text.to_owned(),
        problem: "invalid syntax",
    })?;
    if value.is_nan() {
        return Err(LineError::NotANumber(name.to_owned()));
    }
    if value.is_finite() {
        return Ok(value);
    }
    // A number with too many digits, or "inf" itself.
    if text.bytes().any(|byte| byte.is_ascii_digit()) {
        let value = text.to_owned();
        return Err(LineError::Value { name: name.to_owned(), value, problem: "value out of range" });
    }
    Err(LineError::Infinite { name: name.to_owned(), sign: if value > 0.0 { '+' } else { '-' } })
}

/// Seconds with a fraction, as nanoseconds; -1 means now, which is `None`.
fn parse_time(name: &str, text: &str) -> Result<Option<i64>, LineError> {
    let seconds =
        parse_float(text).ok_or_else(|| LineError::Time { name: name.to_owned(), time: text.to_owned() })?;
    if seconds == -1.0 {
        return Ok(None);
    }
    if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
        return Err(LineError::TimeOutOfRange);
    }
    // Whole seconds and the fraction apart, so that neither costs the other digits.
    let whole = i128::from(seconds.trunc() as i64) * 1_000_000_000;
    match i64::try_from(whole + i128::from((seconds.fract() * 1e9) as i64)) {
        Ok(time_ns) if (MIN_TIME..=MAX_TIME).contains(&time_ns) => Ok(Some(time_ns)),
        _ => Err(LineError::TimeOutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 7;

    fn parser(templates: &[&str], tags: &[&str], separator: &str) -> Parser {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Parser::new(&owned(templates), &owned(tags), separator).unwrap()
    }

    fn point(parser: &Parser, line: &str) -> String {
        let mut batch = PointBatch::new();
        match parser.parse(line.as_bytes(), NOW, &mut batch) {
            Ok(()) => format!("{:?}", batch.point(0)),
            Err(error) => error.to_string(),
        }
    }

    /// As InfluxDB 1.6.7 takes them.
    #[test]
    fn lines_without_templates() {
        let parser = parser(&[], &[], "");
        for (line, expected) in [
            ("a.b.c 1 1600000000", "a.b.c {\"value\": Float(1.0)} 1600000000000000000"),
            ("a.b.d 2.5 1600000000.5", "a.b.d {\"value\": Float(2.5)} 1600000000500000000"),
            ("a 1e3", "a {\"value\": Float(1000.0)} 7"),
            ("m 1 -1", "m {\"value\": Float(1.0)} 7"),
            ("  sp.ace\t 4   1600000000  \r", "sp.ace {\"value\": Float(4.0)} 1600000000000000000"),
            ("c,d=e 1 1600000000", "c\\,d=e {\"value\": Float(1.0)} 1600000000000000000"),
            ("y inf 1600000000", "field \"y\" value: \"+Inf\" is unsupported"),
            ("bad", "received \"bad\" which doesn't have required fields"),
            ("z abc 1", "field \"z\" value: strconv.ParseFloat: parsing \"abc\": invalid syntax"),
            ("q 1 xyz", "field \"q\" time: strconv.ParseFloat: parsing \"xyz\": invalid syntax"),
            ("n 1 2 3", "received \"n 1 2 3\" which doesn't have required fields"),
            ("big 1 1e30", "timestamp out of range"),
            ("hex 0x10 1", "field \"hex\" value: strconv.ParseFloat: parsing \"0x10\": invalid syntax"),
            (
                "large 1e999 1",
                "field \"large\" value: strconv.ParseFloat: parsing \"1e999\": value out of range",
            ),
        ] {
            assert_eq!(point(&parser, line), expected, "{line}");
        }
        let mut batch = PointBatch::new();
        let error = parser.parse(b"x NaN 1", NOW, &mut batch).unwrap_err();
        assert_eq!(error, LineError::NotANumber("x".to_owned()));
    }

    /// As InfluxDB 1.6.7 takes them.
    #[test]
    fn names_take_their_template() {
        let parser = parser(
            &[
                "servers.* .host.measurement*",
                "servers.local.cpu .h.measurement.field",
                "stats.* .host.measurement.field* k=v,region=eu",
                "*.mid.* a.b.measurement",
                "dup.* host.host.measurement",
                "twof.* field.field.measurement",
                "both.* measurement*.field*",
            ],
            &["region=us", "host=def"],
            "_",
        );
        for (name, expected) in [
            ("servers.h1.cpu.load", "cpu_load,host=h1,region=us {\"value\": "),
            ("servers.local.cpu.user", "cpu,h=local,host=def,region=us {\"user\": "),
            ("servers.local.mem.user", "servers.local.mem.user,host=def,region=us {\"value\": "),
            ("servers.h1", "servers.h1,host=h1,region=us {\"value\": "),
            ("servers", "servers,host=def,region=us {\"value\": "),
            ("stats.h.m.f.g", "m,host=h,k=v,region=eu {\"f_g\": "),
            ("stats.h..f", "stats.h..f,host=h,k=v,region=eu {\"f\": "),
            ("zz.mid.yy.more", "yy,a=zz,b=mid,host=def,region=us {\"value\": "),
            ("dup.dup2.m", "m,host=dup_dup2,region=us {\"value\": "),
            ("other.thing", "other.thing,host=def,region=us {\"value\": "),
            ("twof.a.b.c", "'field' can only be used once in each template: \"twof.a.b.c\""),
            (
                "both.a.b",
                "either 'field*' or 'measurement*' can be used in each template (but not both together): \
                 \"measurement*_field*\"",
            ),
        ] {
            let made = point(&parser, &format!("{name} 1 1600000000"));
            assert!(made.starts_with(expected), "{name}: {made}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in any::<Vec<u8>>(), template in "\\PC{0,20}", name in "[a-z.*]{0,12}") {
            if let Ok(parser) = Parser::new(&[template], &[], "_") {
                drop(parser.parse(&line, NOW, &mut PointBatch::new()));
                drop(parser.parse(format!("{name} 1 2").as_bytes(), NOW, &mut PointBatch::new()));
            }
        }
    }
}
