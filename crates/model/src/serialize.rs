//! Points as line protocol text: for other servers as Telegraf writes it ([`append_point`]), and for Skywatch
//! itself without loss ([`PointRef::append_line`], [`append_rows`]).
//!
//! Telegraf's form differs from the lossless one where not every receiver follows the protocol to the letter:
//! unsigned values are written as integers unless asked otherwise, and control characters in names and tags
//! become letters (`\n`, `\t`, `\r`, `\f`), which no receiver turns back.

use std::{fmt::Write as _, sync::Arc};

use crate::{
    FieldValue, RowBlock,
    line::{FieldRef, PointBatch, PointRef},
    series,
};

/// A point to be written. Texts are unescaped.
#[derive(Debug, Clone, Copy)]
pub struct PointParts<'a, K, V, N> {
    /// Must not be empty.
    pub measurement: &'a str,
    /// In any order. Those with an empty key or value are left out.
    pub tags: &'a [(K, V)],
    /// At least one must be writable: NaN and infinities are left out, as are fields without a name.
    pub fields: &'a [(N, FieldRef<'a>)],
    /// Nanoseconds since the epoch; `None` leaves it to the receiver.
    pub time_ns: Option<i64>,
}

/// Telegraf's `influx_*` options of the serializer, with its defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SerializeOptions {
    /// Write unsigned values with the suffix `u`, which an InfluxDB 1.x refuses; otherwise as integers, values
    /// too large for them as the largest.
    pub uint_support: bool,
    /// Write fields sorted by name instead of as given.
    pub sort_fields: bool,
    /// Split lines longer than so many bytes, line feed included; `None` for no limit.
    pub max_line_bytes: Option<usize>,
}

/// Why a point cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SerializeError {
    /// The measurement is empty.
    #[error("metric has no name")]
    NoMeasurement,
    /// There is no field, or none that can be written.
    #[error("metric {measurement} has no serializable fields")]
    NoFields {
        /// Of which measurement.
        measurement: String,
    },
    /// A line with this field alone is longer than the limit.
    #[error("metric {measurement}: a line with field {field} alone is longer than {limit} bytes")]
    LineTooLong {
        /// Of which measurement.
        measurement: String,
        /// The first such field.
        field: String,
        /// The limit.
        limit: usize,
    },
}

/// Appends a point as one line (several if it has to be split), each with its line feed. On an error `out` is
/// as before.
pub fn append_point<K: AsRef<str>, V: AsRef<str>, N: AsRef<str>>(
    out: &mut String,
    point: &PointParts<'_, K, V, N>,
    options: SerializeOptions,
) -> Result<(), SerializeError> {
    let mark = out.len();
    let appended = try_append_point(out, point, options);
    if appended.is_err() {
        out.truncate(mark);
    }
    appended
}

fn try_append_point<K: AsRef<str>, V: AsRef<str>, N: AsRef<str>>(
    out: &mut String,
    point: &PointParts<'_, K, V, N>,
    options: SerializeOptions,
) -> Result<(), SerializeError> {
    let measurement = || point.measurement.to_owned();
    let head_start = out.len();
    append_head(out, point)?;
    let head = head_start..out.len();
    let tail = point.time_ns.map_or("\n".to_owned(), |time| format!(" {time}\n"));
    let limit = options.max_line_bytes.unwrap_or(usize::MAX);
    let mut line_start = head_start;
    let mut has_field = false;
    for (name, value) in in_order(point.fields, options.sort_fields) {
        let before = out.len();
        out.push(if has_field { ',' } else { ' ' });
        if !append_field(out, name, value, options.uint_support) {
            out.truncate(before);
            continue;
        }
        if has_field && out.len() - line_start + tail.len() > limit {
            let field = out.split_off(before);
            out.push_str(&tail);
            line_start = out.len();
            out.extend_from_within(head.clone());
            out.push(' ');
            out.push_str(&field[1..]);
        }
        if out.len() - line_start + tail.len() > limit {
            return Err(SerializeError::LineTooLong {
                measurement: measurement(),
                field: name.to_owned(),
                limit,
            });
        }
        has_field = true;
    }
    if !has_field {
        return Err(SerializeError::NoFields { measurement: measurement() });
    }
    out.push_str(&tail);
    Ok(())
}

/// Fields in the order in which to write them.
fn in_order<'f, N: AsRef<str>>(
    fields: &'f [(N, FieldRef<'f>)],
    sorted: bool,
) -> impl Iterator<Item = (&'f str, FieldRef<'f>)> {
    let mut fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_ref(), *value)).collect();
    if sorted {
        fields.sort_by_key(|&(name, _)| name);
    }
    fields.into_iter()
}

/// Appends measurement and tags.
fn append_head<K: AsRef<str>, V: AsRef<str>, N>(
    out: &mut String,
    point: &PointParts<'_, K, V, N>,
) -> Result<(), SerializeError> {
    let measurement = trim(point.measurement);
    if measurement.is_empty() {
        return Err(SerializeError::NoMeasurement);
    }
    append_name(out, measurement, series::is_special_in_measurement);
    let mut tags: Vec<(&str, &str)> =
        point.tags.iter().map(|(key, value)| (trim(key.as_ref()), trim(value.as_ref()))).collect();
    tags.sort_by_key(|&(key, _)| key);
    for (key, value) in tags {
        if !key.is_empty() && !value.is_empty() {
            out.push(',');
            append_name(out, key, series::is_special_in_tag);
            out.push('=');
            append_name(out, value, series::is_special_in_tag);
        }
    }
    Ok(())
}

/// A backslash at the end would escape what follows.
fn trim(text: &str) -> &str {
    text.trim_end_matches('\\')
}

/// Appends a name or tag value with the escapes of line protocol and Telegraf's letters for control characters.
fn append_name(out: &mut String, text: &str, is_special: fn(u8) -> bool) {
    for character in text.chars() {
        match character {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{c}' => out.push_str("\\f"),
            _ => {
                if u8::try_from(character).is_ok_and(is_special) {
                    out.push('\\');
                }
                out.push(character);
            }
        }
    }
}

/// Appends `name=value`; returns false, with `out` in any state, if it cannot be written.
fn append_field(out: &mut String, name: &str, value: FieldRef<'_>, uint_support: bool) -> bool {
    let name = trim(name);
    if name.is_empty() {
        return false;
    }
    append_name(out, name, series::is_special_in_tag);
    out.push('=');
    match value {
        FieldRef::Float(value) if !value.is_finite() => return false,
        FieldRef::Unsigned(value) if !uint_support => {
            append_value(out, FieldRef::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
        }
        value => append_value(out, value),
    }
    true
}

/// Appends a value so that it is read back as it is. Floats get their shortest decimal form, no exponent.
fn append_value(out: &mut String, value: FieldRef<'_>) {
    let written = match value {
        FieldRef::Float(value) => write!(out, "{value}"),
        FieldRef::Integer(value) => write!(out, "{value}i"),
        FieldRef::Unsigned(value) => write!(out, "{value}u"),
        FieldRef::Boolean(value) => write!(out, "{value}"),
        FieldRef::String(text) => {
            out.push('"');
            series::append_escaped(out, text, |byte| matches!(byte, b'"' | b'\\'));
            out.push('"');
            Ok(())
        }
    };
    debug_assert!(written.is_ok(), "a String takes everything");
}

impl PointRef<'_> {
    /// Appends the point as a line with nanoseconds and a line feed, from which [`crate::line::parse`] reads
    /// the same point again.
    pub fn append_line(&self, out: &mut String) {
        append_lossless_key(out, self.series_key());
        let mut separator = ' ';
        for (name, value) in self.fields() {
            out.push(separator);
            append_lossless_name(out, name, series::is_special_in_tag);
            out.push('=');
            append_value(out, value);
            separator = ',';
        }
        let written = writeln!(out, " {}", self.time());
        debug_assert!(written.is_ok(), "a String takes everything");
    }
}

/// Appends rows of a series, given by its canonical key, as lines as of [`PointRef::append_line`]; a name for each of their columns.
/// Rows without a value are left out.
pub fn append_rows(out: &mut String, key: &str, fields: &[Arc<str>], rows: &RowBlock) {
    let mut batch = PointBatch::new();
    let mut values: Vec<(&str, FieldValue)> = Vec::with_capacity(fields.len());
    for (row, time) in rows.times.iter().enumerate() {
        values.clear();
        let cells = fields.iter().zip(&rows.columns);
        values.extend(cells.filter_map(|(name, column)| Some((&**name, column.as_ref()?.get(row)?))));
        if !values.is_empty() {
            let pushed = batch.push(key, *time, values.iter().map(|(name, value)| (*name, value.as_ref())));
            debug_assert!(pushed.is_ok(), "what was stored can be written");
        }
    }
    batch.points().for_each(|point| point.append_line(out));
}

/// A canonical key is nearly as it must be written; only a measurement with a backslash before `"` or `=`
/// would be read differently in a line.
fn append_lossless_key(out: &mut String, key: &str) {
    if memchr::memchr(b'\\', key.as_bytes()).is_none() {
        return out.push_str(key);
    }
    let measurement = series::parse_measurement(key);
    append_lossless_name(out, &measurement, series::is_special_in_measurement);
    let mut escaped = String::new();
    series::append_measurement(&mut escaped, &measurement);
    out.push_str(&key[escaped.len()..]);
}

/// Escapes what `is_special` names, and quotes and equals signs where a backslash before them would otherwise
/// be taken for an escape.
fn append_lossless_name(out: &mut String, text: &str, is_special: fn(u8) -> bool) {
    let mut previous = 0;
    for character in text.chars() {
        let byte = u8::try_from(character).unwrap_or(0);
        if is_special(byte) || (previous == b'\\' && matches!(byte, b'"' | b'=')) {
            out.push('\\');
        }
        out.push(character);
        previous = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(
        measurement: &str,
        tags: &[(&str, &str)],
        fields: &[(&str, FieldRef<'_>)],
        options: SerializeOptions,
    ) -> Result<String, SerializeError> {
        let mut out = "before\n".to_owned();
        let parts = PointParts { measurement, tags, fields, time_ns: Some(1_500_000_000_000_000_000) };
        let appended = append_point(&mut out, &parts, options);
        let rest = out.strip_prefix("before\n").expect("what was there stays").to_owned();
        assert!(appended.is_ok() || rest.is_empty());
        appended.map(|()| rest)
    }

    #[test]
    fn every_type_and_escape() {
        let fields = [
            ("usage idle", FieldRef::Float(91.5)),
            ("whole", FieldRef::Float(1.0)),
            ("huge", FieldRef::Float(1e21)),
            ("count", FieldRef::Integer(-3)),
            ("big", FieldRef::Unsigned(u64::MAX)),
            ("up", FieldRef::Boolean(true)),
            ("text", FieldRef::String("a \"quoted\" C:\\ and\nnew line")),
            ("nan", FieldRef::Float(f64::NAN)),
        ];
        let tags = [("rack", "r,1"), ("host", "a b="), ("empty", ""), ("path", "C:\\\\"), ("tab", "x\ty\n")];
        assert_eq!(
            line("my cpu,x=1", &tags, &fields, SerializeOptions::default()).as_deref(),
            Ok("my\\ cpu\\,x=1,host=a\\ b\\=,path=C:,rack=r\\,1,tab=x\\ty\\n usage\\ idle=91.5,whole=1,\
                huge=1000000000000000000000,count=-3i,big=9223372036854775807i,up=true,\
                text=\"a \\\"quoted\\\" C:\\\\ and\nnew line\" 1500000000000000000\n")
        );
        let options = SerializeOptions { uint_support: true, sort_fields: true, max_line_bytes: None };
        let fields = [("b", FieldRef::Unsigned(7)), ("a", FieldRef::Integer(1))];
        assert_eq!(line("m", &[], &fields, options).as_deref(), Ok("m a=1i,b=7u 1500000000000000000\n"));
    }

    #[test]
    fn points_without_a_name_or_fields_are_refused() {
        let one = [("v", FieldRef::Integer(1))];
        let options = SerializeOptions::default();
        assert_eq!(line("", &[], &one, options), Err(SerializeError::NoMeasurement));
        let none = [("v", FieldRef::Float(f64::INFINITY)), ("", FieldRef::Integer(1))];
        assert_eq!(
            line("m", &[], &none, options).map_err(|error| error.to_string()),
            Err("metric m has no serializable fields".to_owned())
        );
    }

    #[test]
    fn long_lines_are_split_between_fields() {
        let fields = [("a", FieldRef::Integer(1)), ("b", FieldRef::Integer(2)), ("c", FieldRef::Integer(3))];
        let one_field = "m,t=x a=1i 1500000000000000000\n".len();
        let split = |limit| {
            let options = SerializeOptions { max_line_bytes: Some(limit), ..Default::default() };
            line("m", &[("t", "x")], &fields, options)
        };
        let end = " 1500000000000000000\n";
        assert_eq!(split(one_field), Ok(format!("m,t=x a=1i{end}m,t=x b=2i{end}m,t=x c=3i{end}")));
        assert_eq!(split(one_field + 5), Ok(format!("m,t=x a=1i,b=2i{end}m,t=x c=3i{end}")));
        assert_eq!(split(one_field + 10), Ok(format!("m,t=x a=1i,b=2i,c=3i{end}")));
        let error = split(one_field - 1).expect_err("no field fits");
        assert!(matches!(&error, SerializeError::LineTooLong { field, .. } if field == "a"), "{error}");
    }
}
