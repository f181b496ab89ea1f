//! Reads one line exactly: every escape, every oddity, every reason to refuse it. Speed is [`super::fast`]'s.
//!
//! Each step checks what follows from left to right, so that of several faults the first is reported, as
//! InfluxDB does for all but a few lines that are wrong in two ways.

use std::cmp::Ordering;

use super::{
    GoNumberProblem, PointBatch, Reason,
    batch::{ShapeField, Span, Value, WrittenTag, field_key_length},
    lines::skip_whitespace,
    number,
    parse::LineContext,
};
use crate::series::{self, MAX_KEY_LENGTH};

/// Reads the line `text[start..]` (no line feed at its end, something in it, no whitespace at its start) into
/// `batch`; on an error the batch is as before.
pub(super) fn parse_line(
    text: &str,
    start: usize,
    line: u32,
    context: LineContext,
    batch: &mut PointBatch<'_>,
) -> Result<(), Reason> {
    let mark = batch.mark();
    let read = Line { text, bytes: text.as_bytes(), context }.read(start, line, batch);
    if read.is_err() {
        batch.rollback(mark);
    }
    read
}

/// Reads the key `text[start..end]` of a new series, `end` being where [`Line::read_key`] would end it or the
/// end of the text, and adds it to the batch.
pub(super) fn add_series(
    text: &str,
    start: usize,
    end: usize,
    table_hash: u64,
    batch: &mut PointBatch<'_>,
) -> Option<u32> {
    // One byte more than the key: without the space that ends it, it would not be complete.
    let text = text.get(..=end)?;
    let context = LineContext { unit_ns: 1, default_time: 0 };
    let line = Line { text, bytes: text.as_bytes(), context };
    let key = line.read_key(start, batch).ok()?;
    (key.end == end).then(|| line.insert_series(start, key, table_hash, batch))
}

/// A line and where it lies.
#[derive(Clone, Copy)]
struct Line<'t> {
    /// The body up to the end of the line.
    text: &'t str,
    bytes: &'t [u8],
    context: LineContext,
}

/// Where the parts of a key end; its tags are in the batch's scratch.
#[derive(Clone, Copy)]
struct Key {
    measurement_end: usize,
    end: usize,
    has_escapes: bool,
    /// Whether the tags were in order as written.
    is_sorted: bool,
}

impl Line<'_> {
    fn read(self, start: usize, line: u32, batch: &mut PointBatch<'_>) -> Result<(), Reason> {
        let key = self.read_key(start, batch)?;
        let table_hash = batch.hash_text(&self.text[start..key.end]);
        let series = match batch.find_series(&self.text[start..key.end], table_hash) {
            Some(series) => series,
            None => self.insert_series(start, key, table_hash, batch),
        };
        let fields_end = self.read_fields(key.end - start, skip_whitespace(self.bytes, key.end), batch)?;
        let time = self.read_time(skip_whitespace(self.bytes, fields_end))?;
        batch.finish_point(series, time, line);
        Ok(())
    }

    /// Reads measurement and tags, which an unescaped space ends.
    fn read_key(self, start: usize, batch: &mut PointBatch<'_>) -> Result<Key, Reason> {
        let measurement_end = match self.find_unescaped(start, |byte| matches!(byte, b',' | b' ')) {
            _ if self.bytes.get(start) == Some(&b',') => return Err(Reason::MissingMeasurement),
            None => return Err(Reason::MissingFields),
            Some(end) => end,
        };
        batch.scratch.tags.clear();
        let mut end = measurement_end;
        while self.bytes[end] == b',' {
            end = self.read_tag(end + 1, batch)?;
        }
        let has_escapes = memchr::memchr(b'\\', &self.bytes[start..end]).is_some();
        let is_sorted = self.sort_tags(has_escapes, batch)?;
        if end - start > MAX_KEY_LENGTH {
            return Err(Reason::KeyTooLong { length: end - start });
        }
        Ok(Key { measurement_end, end, has_escapes, is_sorted })
    }

    /// Reads the tag at `start`; returns where the comma or space after it is.
    fn read_tag(self, start: usize, batch: &mut PointBatch<'_>) -> Result<usize, Reason> {
        if matches!(self.bytes.get(start), None | Some(b' ' | b',' | b'=')) {
            return Err(Reason::MissingTagKey);
        }
        let ends_key = |byte| matches!(byte, b' ' | b',' | b'=');
        let key_end = self.find_unescaped(start, ends_key).ok_or(Reason::MissingTagValue)?;
        if self.bytes[key_end] != b'=' {
            return Err(Reason::MissingTagValue);
        }
        let value_start = key_end + 1;
        if matches!(self.bytes.get(value_start), None | Some(b' ' | b',')) {
            return Err(Reason::MissingTagValue);
        }
        // InfluxDB does not look at the first byte of a value again: it may be an equals sign.
        let end = self.find_unescaped(value_start + 1, ends_key).ok_or(Reason::MissingFields)?;
        if self.bytes[end] == b'=' {
            return Err(Reason::InvalidTagFormat);
        }
        batch.scratch.tags.push(WrittenTag { start, key_end, end });
        Ok(end)
    }

    /// Sorts the scratch tags by their unescaped keys; returns whether they were sorted already.
    fn sort_tags(self, has_escapes: bool, batch: &mut PointBatch<'_>) -> Result<bool, Reason> {
        let order = |a: &WrittenTag, b: &WrittenTag| {
            let (a, b) = (a.key(self.text), b.key(self.text));
            if has_escapes { compare_unescaped(a, b) } else { a.cmp(b) }
        };
        let tags = &mut batch.scratch.tags;
        if tags.is_sorted_by(|a, b| order(a, b) == Ordering::Less) {
            return Ok(true);
        }
        tags.sort_unstable_by(order);
        let has_duplicates = tags.windows(2).any(|pair| order(&pair[0], &pair[1]) == Ordering::Equal);
        if has_duplicates { Err(Reason::DuplicateTags) } else { Ok(false) }
    }

    /// Adds the series whose key was read last.
    fn insert_series(self, start: usize, key: Key, table_hash: u64, batch: &mut PointBatch<'_>) -> u32 {
        let written = Span::body(start, key.end);
        let is_canonical = key.is_sorted
            && !key.has_escapes
            && !batch.scratch.tags.iter().any(|tag| tag.value(self.text).starts_with('='));
        let measurement = self.name(start, key.measurement_end, batch);
        let canonical =
            if is_canonical { written } else { self.append_canonical(measurement, key.has_escapes, batch) };
        batch.insert_series(written, table_hash, canonical, measurement)
    }

    /// Appends the canonical key of the measurement and the sorted scratch tags to the arena.
    fn append_canonical(self, measurement: Span, has_escapes: bool, batch: &mut PointBatch<'_>) -> Span {
        let tags = std::mem::take(&mut batch.scratch.tags);
        let key = batch.append_from(measurement, |key, measurement| {
            series::append_measurement(key, measurement);
            for tag in &tags {
                let (tag_key, value) = (tag.key(self.text), tag.value(self.text));
                if has_escapes || value.starts_with('=') {
                    let unescape = |text| series::unescape(text, series::is_special_in_tag);
                    series::append_tag(key, &unescape(tag_key), &unescape(value));
                } else {
                    key.extend([",", tag_key, "=", value]);
                }
            }
        });
        batch.scratch.tags = tags;
        key
    }

    /// Reads the fields at `start`; returns where they end. `key_length` is that of measurement and tags.
    fn read_fields(
        self,
        key_length: usize,
        start: usize,
        batch: &mut PointBatch<'_>,
    ) -> Result<usize, Reason> {
        batch.scratch.fields.clear();
        let mut too_long = None;
        let mut at = start;
        loop {
            let key_end = self.find_field_key_end(at)?;
            let length = field_key_length(key_length, key_end - at);
            if length > MAX_KEY_LENGTH {
                too_long = too_long.or(Some(length));
            }
            let name = self.name(at, key_end, batch);
            let (value, end) = self.read_value(key_end + 1, batch)?;
            batch.scratch.fields.push(ShapeField { name, field_type: value.field_type() });
            batch.push_value(value);
            at = end;
            if self.bytes.get(at) != Some(&b',') {
                break;
            }
            at += 1;
        }
        too_long.map_or(Ok(at), |length| Err(Reason::KeyTooLong { length }))
    }

    fn find_field_key_end(self, start: usize) -> Result<usize, Reason> {
        if self.bytes.get(start) == Some(&b'=') {
            return Err(Reason::MissingFieldKey);
        }
        if matches!(self.bytes.get(start), Some(b',' | b' ')) {
            return Err(Reason::InvalidFieldFormat);
        }
        match self.find_unescaped(start, |byte| matches!(byte, b'=' | b',' | b' ')) {
            Some(end) if self.bytes[end] == b'=' => Ok(end),
            Some(_) | None => Err(Reason::InvalidFieldFormat),
        }
    }

    /// The measurement or field key `start..end` without its escapes.
    fn name(self, start: usize, end: usize, batch: &mut PointBatch<'_>) -> Span {
        let text = &self.text[start..end];
        if text.contains('\\') {
            batch.append(|arena| series::append_unescaped(arena, text, is_special_in_name))
        } else {
            Span::body(start, end)
        }
    }

    /// Reads the value at `start`; returns it with where it ends.
    fn read_value(self, start: usize, batch: &mut PointBatch<'_>) -> Result<(Value, usize), Reason> {
        let first = match self.bytes.get(start) {
            None | Some(b',' | b' ') => return Err(Reason::MissingFieldValue),
            Some(&first) => first,
        };
        if first == b'"' {
            let string = find_string_end(&self.bytes[start + 1..]).ok_or(Reason::UnbalancedQuotes)?;
            let end = start + 1 + string.length;
            let after = end + 1;
            if !matches!(self.bytes.get(after), None | Some(b',' | b' ')) {
                return Err(Reason::InvalidFieldFormat);
            }
            return Ok((Value::String(string_span(self.text, start + 1, string, batch)), after));
        }
        let rest = &self.bytes[start..];
        let end = start + memchr::memchr2(b',', b' ', rest).unwrap_or(rest.len());
        let text = &self.text[start..end];
        let value =
            if number::begins_number(first) { number::read_number(text) } else { number::read_boolean(text) };
        Ok((value?, end))
    }

    /// Reads the timestamp at `start`, or takes the default if there is none.
    fn read_time(self, start: usize) -> Result<i64, Reason> {
        let rest = &self.text[start..];
        let (digits, after) = rest.split_once(' ').unwrap_or((rest, ""));
        if digits.is_empty() {
            return Ok(self.context.default_time);
        }
        if !digits.strip_prefix('-').unwrap_or(digits).bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Reason::BadTimestamp);
        }
        let time: i64 = digits.parse().map_err(|_| {
            let problem =
                if digits == "-" { GoNumberProblem::InvalidSyntax } else { GoNumberProblem::OutOfRange };
            Reason::UnreadableTimestamp { digits: digits.to_owned(), problem }
        })?;
        let time = self.context.to_ns(time).ok_or(Reason::TimeOutOfRange)?;
        if after.bytes().any(|byte| byte != b' ') {
            return Err(Reason::TrailingText);
        }
        Ok(time)
    }

    /// The first byte from `start` on for which `is_wanted` holds and which has no backslash before it. The
    /// byte at `start` counts as escaped when the one before it is a backslash, wherever that belongs.
    fn find_unescaped(self, start: usize, is_wanted: impl Fn(u8) -> bool) -> Option<usize> {
        (start..self.bytes.len())
            .find(|&at| is_wanted(self.bytes[at]) && (at == 0 || self.bytes[at - 1] != b'\\'))
    }
}

impl LineContext {
    /// A timestamp of the body in nanoseconds, if it is in range.
    pub(super) fn to_ns(self, time: i64) -> Option<i64> {
        let time = time.checked_mul(self.unit_ns)?;
        (crate::MIN_TIME..=crate::MAX_TIME).contains(&time).then_some(time)
    }
}

/// Whether a byte is escaped by a backslash in a measurement or field key as written. A canonical series key
/// escapes fewer, see [`crate::series`].
const fn is_special_in_name(byte: u8) -> bool {
    matches!(byte, b',' | b'"' | b' ' | b'=')
}

/// Compares tag keys without their escapes.
fn compare_unescaped(a: &str, b: &str) -> Ordering {
    series::unescape(a, series::is_special_in_tag).cmp(&series::unescape(b, series::is_special_in_tag))
}

/// The content of a string field.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuotedString {
    /// Bytes before the closing quote.
    pub(super) length: usize,
    has_escapes: bool,
}

/// Like [`find_string_end`], but `None` if there is a line feed inside.
pub(super) fn find_string_end_on_line(rest: &[u8]) -> Option<QuotedString> {
    let mut at = 0;
    let mut has_escapes = false;
    loop {
        at += memchr::memchr3(b'"', b'\\', b'\n', rest.get(at..)?)?;
        match rest[at] {
            b'"' => return Some(QuotedString { length: at, has_escapes }),
            b'\n' => return None,
            _ if rest.get(at + 1) == Some(&b'\n') => return None,
            _ => {
                has_escapes = true;
                at += 2;
            }
        }
    }
}

/// Finds the end of the string whose opening quote stands before `rest`.
fn find_string_end(rest: &[u8]) -> Option<QuotedString> {
    let mut at = 0;
    let mut has_escapes = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', rest.get(at..)?)?;
        if rest[at] == b'"' {
            return Some(QuotedString { length: at, has_escapes });
        }
        has_escapes = true;
        at += 2;
    }
}

/// The content of the string that begins at `start`, without its escapes.
pub(super) fn string_span(
    text: &str,
    start: usize,
    string: QuotedString,
    batch: &mut PointBatch<'_>,
) -> Span {
    if !string.has_escapes {
        return Span::body(start, start + string.length);
    }
    let text = &text[start..start + string.length];
    batch.append(|arena| append_unescaped_string(arena, text))
}

/// Unlike in names, escapes pair up from the left: `\\"` is an escaped backslash and a quote.
fn append_unescaped_string(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        rest = &escape[1..];
        if let Some(escaped @ ('"' | '\\')) = rest.chars().next() {
            out.push(escaped);
            rest = &rest[1..];
        } else {
            out.push('\\');
        }
    }
    out.push_str(rest);
}
