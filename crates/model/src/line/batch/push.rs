//! Filling a batch from values instead of text.

use super::{PointBatch, ShapeField, build::BLANKS, field_key_length};
use crate::{MAX_TIME, MIN_TIME, series, value::FieldRef};

/// Why [`PointBatch::push`] refused a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// A point needs a field.
    #[error("point without fields is unsupported")]
    NoFields,
    /// A field has no name.
    #[error("all fields must have non-empty names")]
    EmptyFieldName,
    /// A name or key that cannot be written as line protocol: it ends in a backslash, has a line feed that no backslash
    /// escapes, or begins like a comment or with blanks that a reader passes over.
    #[error(
        "name cannot be written as line protocol: it ends in a backslash, contains a line feed, or begins with a tab, \
         a NUL or #"
    )]
    Unwritable,
    /// NaN and infinities cannot be stored.
    #[error("NaN and infinite values are unsupported")]
    NotFinite,
    /// See [`crate::series::MAX_KEY_LENGTH`].
    #[error("max key length exceeded: {length} > {}", series::MAX_KEY_LENGTH)]
    KeyTooLong {
        /// The length found, in bytes.
        length: usize,
    },
    /// The key names no measurement.
    #[error("missing measurement")]
    NoMeasurement,
    /// The time is outside [`MIN_TIME`]..=[`MAX_TIME`].
    #[error("time outside range {MIN_TIME} - {MAX_TIME}")]
    TimeOutOfRange,
    /// The batch holds [`PointBatch::MAX_TEXT`] bytes of text.
    #[error("batch is full")]
    Full,
}

impl PointBatch<'_> {
    /// Appends a point that does not come from text. `series_key` is canonical (see [`crate::series`]), names
    /// are unescaped; all texts are copied. Of fields with the same name the last counts. [`PointRef::line`]
    /// is 0. On an error the batch is as before.
    pub fn push<'f>(
        &mut self,
        series_key: &str,
        time: i64,
        fields: impl IntoIterator<Item = (&'f str, FieldRef<'f>)>,
    ) -> Result<(), PushError> {
        let mark = self.mark();
        let pushed = self.push_fields(series_key, time, fields);
        if pushed.is_err() {
            self.rollback(mark);
        }
        pushed
    }

    fn push_fields<'f>(
        &mut self,
        series_key: &str,
        time: i64,
        fields: impl IntoIterator<Item = (&'f str, FieldRef<'f>)>,
    ) -> Result<(), PushError> {
        if !(MIN_TIME..=MAX_TIME).contains(&time) {
            return Err(PushError::TimeOutOfRange);
        }
        self.scratch.fields.clear();
        for (name, value) in fields {
            self.push_field(series_key, name, value)?;
        }
        if self.scratch.fields.is_empty() {
            return Err(PushError::NoFields);
        }
        // Every line begins with one that does not.
        if self.scratch.fields.iter().all(|field| self.text(field.name).starts_with(BLANKS)) {
            return Err(PushError::Unwritable);
        }
        let series = self.push_series(series_key)?;
        self.finish_point(series, time, 0);
        Ok(())
    }

    fn push_field(&mut self, series_key: &str, name: &str, value: FieldRef<'_>) -> Result<(), PushError> {
        let length = field_key_length(series_key.len(), name.len());
        if name.is_empty() {
            return Err(PushError::EmptyFieldName);
        }
        if length > series::MAX_KEY_LENGTH {
            return Err(PushError::KeyTooLong { length });
        }
        if !is_writable(name) {
            return Err(PushError::Unwritable);
        }
        let text_length = if let FieldRef::String(text) = value { text.len() } else { 0 };
        if self.arena.len() + name.len() + text_length > Self::MAX_TEXT {
            return Err(PushError::Full);
        }
        let value_bits = match value {
            FieldRef::Float(value) if !value.is_finite() => return Err(PushError::NotFinite),
            FieldRef::Float(value) => value.to_bits(),
            FieldRef::Integer(value) => value.cast_unsigned(),
            FieldRef::Unsigned(value) => value,
            FieldRef::String(text) => self.append(|arena| arena.push_str(text)).to_bits(),
            FieldRef::Boolean(value) => u64::from(value),
        };
        let position = self.scratch.fields.len();
        let known = self.latest_shape_field(position).filter(|&field| self.text(field.name) == name);
        let name = match known {
            Some(field) => field.name,
            None => self.append(|arena| arena.push_str(name)),
        };
        self.scratch.fields.push(ShapeField { name, field_type: value.field_type() });
        self.values.push(value_bits);
        Ok(())
    }

    /// The name of field `position` in the shape of the latest point: most likely the wanted text.
    fn latest_shape_field(&self, position: usize) -> Option<ShapeField> {
        let shape = self.shapes[self.points.last()?.shape as usize];
        self.shape_fields(shape).get(position).copied()
    }

    fn push_series(&mut self, series_key: &str) -> Result<u32, PushError> {
        let table_hash = self.hash_text(series_key);
        if let Some(series) = self.find_series(series_key, table_hash) {
            return Ok(series);
        }
        if !is_writable(series_key) || series_key.starts_with(BLANKS) || series_key.starts_with('#') {
            return Err(PushError::Unwritable);
        }
        if self.arena.len() + 2 * series_key.len() > Self::MAX_TEXT {
            return Err(PushError::Full);
        }
        let key = self.append(|arena| arena.push_str(series_key));
        let measurement = self.append(|arena| arena.push_str(&series::parse_measurement(series_key)));
        if measurement.length == 0 {
            return Err(PushError::NoMeasurement);
        }
        let series = self.insert_series(key, table_hash, key, measurement);
        self.series[series as usize].fnv = series::fnv1a64(series_key.as_bytes());
        Ok(series)
    }
}

/// Whether a name or key does not end in a backslash and has an odd number of them before each line feed.
fn is_writable(name: &str) -> bool {
    let backslashes_before =
        |at: usize| name.as_bytes()[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
    !name.ends_with('\\')
        && memchr::memchr_iter(b'\n', name.as_bytes()).all(|at| backslashes_before(at) % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_begins_with_a_tab_is_not_the_first() {
        let mut batch = PointBatch::new();
        let [one, two, three] = [1, 2, 3].map(FieldRef::Integer);
        batch.push("m", 5, [("\tv", one), ("a", one), ("\0w", two), ("a", three)]).expect("can be written");
        let mut line = String::new();
        batch.points().for_each(|point| point.append_line(&mut line));
        assert_eq!(line, "m a=3i,\tv=1i,\0w=2i 5\n");
    }

    #[test]
    fn pushed_points_are_checked_and_refused_ones_leave_nothing() {
        let mut batch = PointBatch::new();
        let one = [("v", FieldRef::Integer(1))];
        batch.push("m,a=1", 5, one).expect("a good point");
        let long = "x".repeat(series::MAX_KEY_LENGTH);
        let length = series::MAX_KEY_LENGTH + 5;
        for (key, time, field, error) in [
            ("m", 0, None, PushError::NoFields),
            ("m", 0, Some(("", FieldRef::Integer(1))), PushError::EmptyFieldName),
            ("m", 0, Some(("v", FieldRef::Float(f64::NAN))), PushError::NotFinite),
            ("m", 0, Some(("v", FieldRef::Float(f64::INFINITY))), PushError::NotFinite),
            ("m", 0, Some(("v\\", FieldRef::Integer(1))), PushError::Unwritable),
            ("m", 0, Some(("a\nb", FieldRef::Integer(1))), PushError::Unwritable),
            ("m,t=a\nb", 0, Some(one[0]), PushError::Unwritable),
            ("m\\", 0, Some(one[0]), PushError::Unwritable),
            ("\0m", 0, Some(one[0]), PushError::Unwritable),
            ("\tm,t=a", 0, Some(one[0]), PushError::Unwritable),
            ("#m", 0, Some(one[0]), PushError::Unwritable),
            ("m", 0, Some(("\0v", FieldRef::Integer(1))), PushError::Unwritable),
            ("m", 0, Some(("\tv", FieldRef::Integer(1))), PushError::Unwritable),
            ("", 0, Some(one[0]), PushError::NoMeasurement),
            (",t=a", 0, Some(one[0]), PushError::NoMeasurement),
            (&long, 0, Some(one[0]), PushError::KeyTooLong { length }),
            ("m", i64::MAX, Some(one[0]), PushError::TimeOutOfRange),
            ("m", i64::MIN + 1, Some(one[0]), PushError::TimeOutOfRange),
        ] {
            assert_eq!(batch.push(key, time, field), Err(error));
            assert_eq!((batch.len(), batch.series_count()), (1, 1));
        }
        batch.push("m,a=1", 6, [("v", FieldRef::String("x")), ("v", FieldRef::Boolean(true))]).expect("good");
        assert_eq!(format!("{batch:?}"), "[m,a=1 {\"v\": Integer(1)} 5, m,a=1 {\"v\": Boolean(true)} 6]");
        assert_eq!(batch.point(1).values().collect::<Vec<_>>(), [FieldRef::Boolean(true)]);
        assert_eq!(batch.point(1).line(), 0);
        assert_eq!(batch.points().next_back().map(|point| point.series_ordinal()), Some(0));
    }
}
