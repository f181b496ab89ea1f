//! Reads lines of the usual shape quickly: most lines resemble an earlier one.
//!
//! - A key that was read before is recognised as a whole; its tags are not looked at again.
//! - The fields most likely are those of the series' latest point, in the same order; so each expected name is
//!   compared rather than searched for.
//! - Everything it does not like (escapes in field keys, line feeds in strings, odd spacing, any error) is
//!   left to [`super::careful`], which never disagrees about a line that is accepted here.

use super::{
    PointBatch,
    batch::{Mark, ShapeField, Span, Value},
    careful, number,
    parse::LineContext,
};

/// Longest key and field key read here; together they are below the limit that only `careful` checks.
const KEY_MAX: usize = 32_768;
const FIELD_KEY_MAX: usize = 32_000;

/// Reads the line at `start` (something in it, no whitespace at its start) into `batch` and returns where the
/// next one begins; `None`, and the batch as before, if `careful` has to read it.
pub(super) fn parse_line(
    text: &str,
    start: usize,
    line: u32,
    context: LineContext,
    batch: &mut PointBatch<'_>,
) -> Option<usize> {
    let mark = batch.mark();
    let next = Cursor { text, bytes: text.as_bytes(), at: start, context }.read_line(line, batch);
    if next.is_none() {
        rollback(batch, mark);
    }
    next
}

#[cold]
fn rollback(batch: &mut PointBatch<'_>, mark: Mark) {
    batch.rollback(mark);
}

/// What ended a field.
#[derive(PartialEq, Eq)]
enum After {
    Comma,
    Space,
    Line,
}

/// A position in the body.
struct Cursor<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    context: LineContext,
}

impl Cursor<'_> {
    fn read_line(mut self, line: u32, batch: &mut PointBatch<'_>) -> Option<usize> {
        let series = self.read_key(batch)?;
        if matches!(self.bytes.get(self.at), None | Some(b' ' | b'\t' | 0)) {
            return None;
        }
        let (shape, after) = self.read_fields(series, batch)?;
        let time = if after == After::Space { self.read_time()? } else { self.context.default_time };
        match shape {
            Some(shape) => batch.finish_point_of_shape(series, shape, time, line),
            None => batch.finish_point(series, time, line),
        }
        Some(self.at)
    }

    /// Reads the key and the space after it.
    fn read_key(&mut self, batch: &mut PointBatch<'_>) -> Option<u32> {
        let start = self.at;
        let end = self.find_key_end()?;
        if end - start > KEY_MAX {
            return None;
        }
        self.at = end + 1;
        let written = &self.text[start..end];
        let table_hash = batch.hash_text(written);
        match batch.find_series(written, table_hash) {
            Some(series) => Some(series),
            None => careful::add_series(self.text, start, end, table_hash, batch),
        }
    }

    /// The next space without a backslash before it; `None` if the line ends first.
    fn find_key_end(&self) -> Option<usize> {
        let mut at = self.at;
        loop {
            at += memchr::memchr2(b' ', b'\n', &self.bytes[at..])?;
            if self.bytes[at] == b'\n' {
                return None;
            }
            if self.bytes[at - 1] != b'\\' {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Reads the fields, as long as possible as those of the series' latest point. Returns the shape if they
    /// are exactly those; otherwise they are in the scratch.
    fn read_fields(&mut self, series: u32, batch: &mut PointBatch<'_>) -> Option<(Option<u32>, After)> {
        let Some(guess) = batch.expected_shape(series) else {
            batch.scratch.fields.clear();
            return Some((None, self.read_other_fields(batch)?));
        };
        for position in 0..guess.fields {
            let expected = batch.expected_field(guess, position);
            // A name that does not stand in the body as it is was written with escapes; the same text without
            // them would be something else.
            if !expected.name.is_in_body() || !self.skip_name(batch.text(expected.name)) {
                batch.take_expected_fields(guess, position);
                return Some((None, self.read_other_fields(batch)?));
            }
            let value = self.read_value(batch)?;
            batch.push_value(value);
            let after = self.read_after()?;
            let is_last = position + 1 == guess.fields;
            if value.field_type() != expected.field_type || (after == After::Comma) == is_last {
                batch.take_expected_fields(guess, position);
                let name = expected.name;
                batch.scratch.fields.push(ShapeField { name, field_type: value.field_type() });
                let after = if after == After::Comma { self.read_other_fields(batch)? } else { after };
                return Some((None, after));
            }
            if is_last {
                return Some((Some(guess.ordinal), after));
            }
        }
        None
    }

    /// Reads the fields from here on into the scratch, whatever they are.
    fn read_other_fields(&mut self, batch: &mut PointBatch<'_>) -> Option<After> {
        loop {
            let name = self.read_name()?;
            let value = self.read_value(batch)?;
            batch.push_value(value);
            batch.scratch.fields.push(ShapeField { name, field_type: value.field_type() });
            let after = self.read_after()?;
            if after != After::Comma {
                return Some(after);
            }
        }
    }

    /// Moves past `name` and an equals sign if they are next.
    fn skip_name(&mut self, name: &str) -> bool {
        let rest = &self.bytes[self.at..];
        let is_next = rest.get(name.len()) == Some(&b'=') && rest.starts_with(name.as_bytes());
        if is_next {
            self.at += name.len() + 1;
        }
        is_next
    }

    /// Moves past a field key and its equals sign.
    fn read_name(&mut self) -> Option<Span> {
        let start = self.at;
        let is_end = |byte: &u8| matches!(byte, b'=' | b',' | b' ' | b'\\' | b'\n' | b'\t' | 0);
        let length = self.bytes[start..].iter().take(FIELD_KEY_MAX).position(is_end)?;
        let end = start + length;
        if length == 0 || self.bytes[end] != b'=' {
            return None;
        }
        self.at = end + 1;
        Some(Span::body(start, end))
    }

    fn read_value(&mut self, batch: &mut PointBatch<'_>) -> Option<Value> {
        let rest = &self.bytes[self.at..];
        match rest.first()? {
            b'"' => self.read_string(batch),
            b'0'..=b'9' | b'-' | b'.' => match number::read_simple(rest) {
                Some((value, length)) => {
                    self.at += length;
                    Some(value)
                }
                None => number::read_number(self.read_token()).ok(),
            },
            _ => number::read_boolean(self.read_token()).ok(),
        }
    }

    /// Reads a string on one line.
    fn read_string(&mut self, batch: &mut PointBatch<'_>) -> Option<Value> {
        let start = self.at + 1;
        let string = careful::find_string_end_on_line(&self.bytes[start..])?;
        self.at = start + string.length + 1;
        Some(Value::String(careful::string_span(self.text, start, string, batch)))
    }

    /// Reads up to what can follow a value.
    fn read_token(&mut self) -> &str {
        let start = self.at;
        let rest = &self.bytes[start..];
        let is_end = |byte: &u8| matches!(byte, b',' | b' ' | b'\n' | b'\r');
        self.at += rest.iter().position(is_end).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    /// Moves past what follows a value.
    fn read_after(&mut self) -> Option<After> {
        let after = match self.bytes.get(self.at) {
            Some(b',') => After::Comma,
            Some(b' ') => After::Space,
            _ => {
                self.read_line_end()?;
                return Some(After::Line);
            }
        };
        self.at += 1;
        Some(after)
    }

    fn read_line_end(&mut self) -> Option<()> {
        match &self.bytes[self.at..] {
            [] => {}
            [b'\n', ..] => self.at += 1,
            [b'\r', b'\n', ..] => self.at += 2,
            _ => return None,
        }
        Some(())
    }

    /// Reads the timestamp and the end of the line.
    fn read_time(&mut self) -> Option<i64> {
        let is_negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(is_negative);
        let (time, digits) = number::read_digits(&self.bytes[self.at..], 0);
        // Nineteen digits may exceed `i64`, never `u64`.
        if digits == 0 || digits > 19 {
            return None;
        }
        self.at += digits;
        self.read_line_end()?;
        let time = i64::try_from(time).ok()?;
        self.context.to_ns(if is_negative { -time } else { time })
    }
}
