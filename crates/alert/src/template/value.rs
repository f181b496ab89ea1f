//! What templates compute with.

use std::collections::BTreeMap;

use jiff::Zoned;

use super::functions::format_number;

/// A value of a template. Maps are sorted by key, as Go prints and ranges over them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// A field or label that is not there.
    Missing,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A number that prints as a text of its own (`$value`).
    Quantity(f64, String),
    /// An instant, as its method `Format` wants it.
    Moment(Zoned),
    /// Named values that print as a text of their own (`$values.B`).
    Printed(String, BTreeMap<String, Value>),
    /// A list.
    List(Vec<Value>),
    /// Named values.
    Map(BTreeMap<String, Value>),
}

impl Value {
    pub(crate) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    pub(crate) fn texts(entries: &BTreeMap<String, String>) -> Self {
        Self::map(entries.iter().map(|(key, value)| (key.clone(), Self::Text(value.clone()))))
    }

    /// An instant in UTC.
    pub(crate) fn moment(at: crate::Time) -> Self {
        match jiff::Timestamp::from_millisecond(at.millis()) {
            Ok(at) => Self::Moment(at.to_zoned(jiff::tz::TimeZone::UTC)),
            Err(_) => Self::Text(at.to_iso()),
        }
    }

    /// Go's truth: empty texts, lists and maps, zero and nothing are false.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Missing => false,
            Self::Bool(value) => *value,
            Self::Number(value) | Self::Quantity(value, _) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Moment(_) | Self::Printed(..) => true,
        }
    }

    /// The value as a number; texts are parsed.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value) | Self::Quantity(value, _) => Some(*value),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Printed(_, fields) => fields.get("Value")?.number(),
            Self::Missing | Self::Bool(_) | Self::Moment(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A field: a key of a map, or one of the methods that lists of alerts and sets of labels have.
    pub(crate) fn field(&self, name: &str) -> Self {
        match self {
            Self::Map(entries) => match entries.get(name) {
                Some(value) => value.clone(),
                None => method_of_map(entries, name),
            },
            Self::Printed(_, fields) => fields.get(name).cloned().unwrap_or(Self::Missing),
            Self::Moment(at) => match name {
                "UTC" => Self::Moment(at.with_time_zone(jiff::tz::TimeZone::UTC)),
                "Unix" => Self::Number(at.timestamp().as_second() as f64),
                _ => Self::Missing,
            },
            // Of the pairs that `SortedPairs` makes.
            Self::List(items) if name == "Names" || name == "Values" => {
                let of_pair = name.trim_end_matches('s');
                Self::List(items.iter().map(|item| item.field(of_pair)).collect())
            }
            Self::List(items) if name == "Firing" || name == "Resolved" => {
                let status = name.to_lowercase();
                let is = |item: &&Self| item.field("Status") == Self::Text(status.clone());
                Self::List(items.iter().filter(is).cloned().collect())
            }
            _ => Self::Missing,
        }
    }

    /// As `{{ x }}` prints it.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Missing => "[no value]".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => format_number(*value),
            Self::Text(text) | Self::Quantity(_, text) | Self::Printed(text, _) => text.clone(),
            Self::Moment(at) => format!("{:.3}", at.timestamp()),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::to_text).collect::<Vec<_>>().join(" "))
            }
            Self::Map(entries) => {
                let pairs: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{key}:{}", value.to_text())).collect();
                format!("map[{}]", pairs.join(" "))
            }
        }
    }
}

fn method_of_map(entries: &BTreeMap<String, Value>, name: &str) -> Value {
    match name {
        "SortedPairs" => Value::List(
            entries
                .iter()
                .map(|(key, value)| {
                    Value::map([("Name", Value::Text(key.clone())), ("Value", value.clone())])
                })
                .collect(),
        ),
        "Names" => Value::List(entries.keys().cloned().map(Value::Text).collect()),
        "Values" => Value::List(entries.values().cloned().collect()),
        _ => Value::Missing,
    }
}
