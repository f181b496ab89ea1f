//! A log line of the agent as text, in Telegraf's form, or as a JSON object. Pure.

use std::fmt::{self, Write as _};

use jiff::{Timestamp, tz::TimeZone};
use tracing::{Event, Level, field::Visit};

/// What a line tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) level: Level,
    /// The plugin it is about, as in `inputs.cpu::alias`.
    pub(super) plugin: Option<String>,
    pub(super) message: String,
}

impl Record {
    /// Of an event. The agent begins a message about a plugin with the plugin's name and a colon.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut words = Words::default();
        event.record(&mut words);
        Self::new(*event.metadata().level(), words.message + &words.fields)
    }

    fn new(level: Level, message: String) -> Self {
        match split_plugin(&message) {
            Some((plugin, rest)) => Self { level, plugin: Some(plugin.to_owned()), message: rest.to_owned() },
            None => Self { level, plugin: None, message },
        }
    }

    /// `2026-01-02T03:04:05Z E! [inputs.cpu::alias] message`; a message never makes a second line.
    pub(super) fn text(&self, time: Timestamp, zone: Option<&TimeZone>) -> String {
        let letter = match self.level {
            Level::ERROR => 'E',
            Level::WARN => 'W',
            Level::INFO => 'I',
            Level::DEBUG => 'D',
            Level::TRACE => 'T',
        };
        let mut line = format!("{} {letter}! ", rfc3339(time, zone));
        if let Some(plugin) = &self.plugin {
            line.push('[');
            line.push_str(plugin);
            line.push_str("] ");
        }
        for c in self.message.chars() {
            match c {
                '\n' => line.push_str("\\n"),
                '\t' => line.push('\t'),
                c if c.is_control() => line.extend(c.escape_default()),
                c => line.push(c),
            }
        }
        line.push('\n');
        line
    }

    /// The same as a JSON object, its message under `message_key`.
    pub(super) fn json(&self, time: Timestamp, zone: Option<&TimeZone>, message_key: &str) -> String {
        let mut object = serde_json::Map::new();
        object.insert("time".to_owned(), rfc3339(time, zone).into());
        object.insert("level".to_owned(), self.level.as_str().into());
        if let Some(plugin) = &self.plugin {
            let (name, alias) =
                plugin.split_once("::").map_or((plugin.as_str(), None), |(n, a)| (n, Some(a)));
            let (category, name) = name.split_once('.').unwrap_or(("", name));
            object.insert("category".to_owned(), category.into());
            object.insert("plugin".to_owned(), name.into());
            if let Some(alias) = alias {
                object.insert("alias".to_owned(), alias.into());
            }
        }
        object.insert(message_key.to_owned(), self.message.clone().into());
        format!("{}\n", serde_json::Value::Object(object))
    }
}

fn rfc3339(time: Timestamp, zone: Option<&TimeZone>) -> String {
    let zoned = time.to_zoned(zone.cloned().unwrap_or(TimeZone::UTC));
    let offset = if zoned.offset().is_zero() { "Z".to_owned() } else { zoned.strftime("%:z").to_string() };
    format!("{}{offset}", zoned.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// The plugin that a message begins with, and what it says about it.
fn split_plugin(message: &str) -> Option<(&str, &str)> {
    let name_end = message.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))?;
    let (kind, name) = message.get(..name_end)?.split_once('.')?;
    if !["inputs", "processors", "aggregators", "outputs"].contains(&kind)
        || name.is_empty()
        || name.contains('.')
    {
        return None;
    }
    let rest = message.get(name_end..)?;
    let end = match rest.strip_prefix("::") {
        // An alias may hold anything; the first colon and space after it end it.
        Some(alias) => name_end + 2 + alias.find(": ")?,
        None => name_end,
    };
    Some((message.get(..end)?, message.get(end..)?.strip_prefix(": ")?))
}

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
        written.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> Timestamp {
        "2026-01-02T03:04:05.678Z".parse().unwrap()
    }

    #[test]
    fn lines_have_telegrafs_form() {
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        for (message, zone, want) in [
            ("inputs.cpu::one: no answer", None, "2026-01-02T03:04:05Z E! [inputs.cpu::one] no answer\n"),
            ("outputs.influxdb: a: b", None, "2026-01-02T03:04:05Z E! [outputs.influxdb] a: b\n"),
            ("stopping", Some(&zone), "2026-01-02T08:34:05+05:30 E! stopping\n"),
            ("telegraf.conf:3: inputs.x", None, "2026-01-02T03:04:05Z E! telegraf.conf:3: inputs.x\n"),
            ("inputs.cpu is late", None, "2026-01-02T03:04:05Z E! inputs.cpu is late\n"),
            ("two\nlines\x1b[0m", None, "2026-01-02T03:04:05Z E! two\\nlines\\u{1b}[0m\n"),
        ] {
            assert_eq!(Record::new(Level::ERROR, message.to_owned()).text(time(), zone), want);
        }
    }

    #[test]
    fn structured_lines() {
        let record = Record::new(Level::WARN, "inputs.cpu::one: say \"x\"\n".to_owned());
        let object: serde_json::Value = serde_json::from_str(&record.json(time(), None, "message")).unwrap();
        let want = serde_json::json!({
            "time": "2026-01-02T03:04:05Z", "level": "WARN", "category": "inputs", "plugin": "cpu", "alias": "one",
            "message": "say \"x\"\n",
        });
        assert_eq!(object, want);
    }
}
