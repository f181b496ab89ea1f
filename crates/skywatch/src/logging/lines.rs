//! Log lines for programs: logfmt and JSON, with InfluxDB's names for time, level and message.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{Event, Level, Subscriber, field::Visit};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// A form of lines.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lines {
    Logfmt,
    Json,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = format!("{:.6}", Timestamp::now());
        writer.write_str(&self.line(&time, *metadata.level(), metadata.target(), fields))
    }
}

impl Lines {
    fn line(self, time: &str, level: Level, target: &str, fields: Fields) -> String {
        let known = [("ts", time), ("lvl", name(level)), ("msg", &fields.message), ("target", target)];
        let known = known.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
        let all = known.chain(fields.others);
        match self {
            Self::Json => format!("{}\n", Value::Object(all.collect::<Map<_, _>>())),
            Self::Logfmt => logfmt(all),
        }
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

fn logfmt(fields: impl Iterator<Item = (String, Value)>) -> String {
    let mut line = String::new();
    for (name, value) in fields {
        if !line.is_empty() {
            line.push(' ');
        }
        line += &match value {
            Value::String(text) if is_plain(&text) => format!("{name}={text}"),
            // JSON's rules for quotes and escapes are logfmt's.
            value => format!("{name}={value}"),
        };
    }
    line.push('\n');
    line
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '=')
}

/// What an event tells.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Vec<(String, Value)>,
}

impl Fields {
    fn add(&mut self, field: &tracing::field::Field, value: Value) {
        self.others.push((field.name().to_owned(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            _ => self.add(field, text.into()),
        }
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            message: "cannot \"open\"\nit".to_owned(),
            others: vec![("shard".to_owned(), 7.into()), ("path".to_owned(), "/a b".into())],
        }
    }

    #[test]
    fn a_line_is_one_line_with_its_fields() {
        let time = "2026-01-02T03:04:05.000006Z";
        assert_eq!(
            Lines::Logfmt.line(time, Level::WARN, "skywatch_storage", fields()),
            "ts=2026-01-02T03:04:05.000006Z lvl=warn msg=\"cannot \\\"open\\\"\\nit\" target=skywatch_storage shard=7 path=\"/a b\"\n"
        );
        let line = Lines::Json.line(time, Level::ERROR, "t", fields());
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!((&object["lvl"], &object["shard"]), (&"error".into(), &7.into()));
        assert_eq!(object["msg"], "cannot \"open\"\nit");
    }
}
