//! `influx`: line protocol, read by the model's parser.

use skywatch_model::line::{self, ParseOptions, PointBatch, Precision};
use skywatch_model::series;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::{Metric, Value};
use crate::parser::{Defaults, ParseError, Parser};

/// The parser.
#[derive(Debug, Clone)]
struct Influx {
    precision: Precision,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Parser>, ConfigError> {
    section.without_effect("influx_parser_type", "there is one parser of line protocol");
    let precision = match section.duration("influx_timestamp_precision")?.unwrap_or(1) {
        0 | 1 => Precision::Nanosecond,
        1_000 => Precision::Microsecond,
        1_000_000 => Precision::Millisecond,
        1_000_000_000 => Precision::Second,
        _ => {
            let reason = "must be one of \"1ns\", \"1us\", \"1ms\", \"1s\"";
            return Err(section.bad("influx_timestamp_precision", reason));
        }
    };
    Ok(Box::new(Influx { precision }))
}

impl Parser for Influx {
    fn parse(
        &mut self,
        data: &[u8],
        defaults: &Defaults<'_>,
        out: &mut Vec<Metric>,
    ) -> Result<(), ParseError> {
        parse_lines(data, self.precision, defaults.now_ns, out)
    }

    fn fresh(&self) -> Box<dyn Parser> {
        Box::new(self.clone())
    }
}

/// Parses lines whose times are in `precision`; those without one are of `now_ns`, nanoseconds since the Unix epoch.
/// Good lines are kept; the error is the first bad one's and says how many there are.
pub(crate) fn parse_lines(
    data: &[u8],
    precision: Precision,
    now_ns: i64,
    out: &mut Vec<Metric>,
) -> Result<(), ParseError> {
    let mut batch = PointBatch::new();
    let errors = line::parse(data, ParseOptions { precision, default_time_ns: now_ns }, &mut batch);
    out.reserve(batch.len());
    for point in batch.points() {
        let (measurement, tags) = series::parse_key(point.series_key());
        let mut metric = Metric::new(measurement.into_owned(), point.time());
        for (key, value) in tags {
            metric.set_tag(key.into_owned(), value.into_owned());
        }
        for (key, value) in point.fields() {
            metric.set_field(key.to_owned(), Value(value.to_owned()));
        }
        out.push(metric);
    }
    match errors.first() {
        None => Ok(()),
        Some(first) => {
            let others = match batch.rejected() {
                0 | 1 => String::new(),
                more => format!(" (and {} further bad lines)", more - 1),
            };
            Err(ParseError::at_line(first.line as usize, format!("{first}{others}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;
    use crate::processors::testing::lines;

    fn parse(options: &str, data: &str) -> (Vec<String>, Result<(), ParseError>) {
        let mut section = section_for_tests(options);
        let mut parser = build(&mut section, &Context::default()).expect("valid");
        let mut out = Vec::new();
        let defaults = Defaults { name: "unused".into(), now_ns: 7_000_000_000 };
        let result = parser.parse(data.as_bytes(), &defaults, &mut out);
        (lines(&out), result)
    }

    #[test]
    fn every_type_and_the_time_of_arrival() {
        let (lines, result) = parse("", "m,b=2,a=x\\ y i=1i,u=2u,f=0.5,s=\"t\",b=true 42\nn x=1\n");
        assert_eq!(result, Ok(()));
        assert_eq!(lines, ["m,a=x\\ y,b=2 i=1i,u=2u,f=0.5,s=\"t\",b=true 42", "n x=1 7000000000"]);
    }

    #[test]
    fn good_lines_are_kept_and_bad_ones_counted() {
        let (lines, result) = parse("", "m x=1 1\nm\nm x= 2\nm x=2 2\n");
        assert_eq!(lines, ["m x=1 1", "m x=2 2"]);
        let error = result.expect_err("two bad lines");
        assert_eq!(error.line, Some(2));
        assert!(
            error.reason.contains("unable to parse 'm'") && error.reason.contains("1 further bad lines"),
            "{error}"
        );
    }

    #[test]
    fn times_in_other_units() {
        assert_eq!(parse("influx_timestamp_precision = '1ms'", "m x=1 5").0, ["m x=1 5000000"]);
        let mut section = section_for_tests("influx_timestamp_precision = '2ms'");
        assert!(build(&mut section, &Context::default()).is_err());
    }
}
