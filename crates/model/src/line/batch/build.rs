//! What the parser does to a batch.

use std::hash::BuildHasher;

use super::{Body, Point, PointBatch, Series, Span, resolve};
use crate::{FieldType, series};

/// State of a batch between two points.
#[derive(Debug, Clone, Copy)]
pub(in crate::line) struct Mark {
    values: usize,
    arena: usize,
    series: usize,
}

/// A value just read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::line) enum Value {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    String(Span),
    Boolean(bool),
}

impl Value {
    pub(in crate::line) const fn field_type(self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::Unsigned(_) => FieldType::Unsigned,
            Self::String(_) => FieldType::String,
            Self::Boolean(_) => FieldType::Boolean,
        }
    }

    const fn bits(self) -> u64 {
        match self {
            Self::Float(value) => value.to_bits(),
            Self::Integer(value) => value.cast_unsigned(),
            Self::Unsigned(value) => value,
            Self::String(span) => span.to_bits(),
            Self::Boolean(value) => value as u64,
        }
    }
}

/// What a reader passes over before a key or the first field, and no backslash escapes.
pub(super) const BLANKS: [char; 2] = ['\t', '\0'];

impl<'a> PointBatch<'a> {
    /// Takes the text that body spans point into.
    pub(in crate::line) fn set_body(&mut self, body: Body<'a>) {
        assert!(body.text().len() <= Self::MAX_TEXT && self.points.is_empty());
        self.body = body;
    }

    /// Ends the reading of a body of which `rejected` lines were refused.
    pub(in crate::line) fn finish(&mut self, rejected: u64) {
        self.rejected = rejected;
        self.hash_series();
    }

    pub(in crate::line) fn text(&self, span: Span) -> &str {
        resolve(&self.body, &self.arena, span)
    }

    pub(in crate::line) fn hash_text(&self, text: &str) -> u64 {
        self.hasher.hash_one(text.as_bytes())
    }

    /// The series whose key was written as `written`.
    pub(in crate::line) fn find_series(&self, written: &str, table_hash: u64) -> Option<u32> {
        let is_it = |&ordinal: &u32| {
            let series = &self.series[ordinal as usize];
            series.table_hash == table_hash && self.text(series.written) == written
        };
        self.series_table.find(table_hash, is_it).copied()
    }

    /// Appends what `write` writes to the arena.
    pub(in crate::line) fn append(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let start = self.arena.len();
        write(&mut self.arena);
        Span::arena(start, self.arena.len())
    }

    /// Appends text made from other text of the batch.
    pub(in crate::line) fn append_from(&mut self, from: Span, write: impl FnOnce(&mut String, &str)) -> Span {
        let mut made = std::mem::take(&mut self.scratch.text);
        made.clear();
        write(&mut made, self.text(from));
        let span = self.append(|arena| arena.push_str(&made));
        self.scratch.text = made;
        span
    }

    /// Adds a series that [`Self::find_series`] did not find.
    pub(in crate::line) fn insert_series(
        &mut self,
        written: Span,
        table_hash: u64,
        key: Span,
        measurement: Span,
    ) -> u32 {
        let ordinal = self.series.len() as u32;
        let latest_shape = self.latest_shape_of(measurement);
        self.series.push(Series { written, table_hash, key, measurement, fnv: 0, latest_shape });
        let series = &self.series;
        self.series_table.insert_unique(table_hash, ordinal, |&ordinal| series[ordinal as usize].table_hash);
        ordinal
    }

    pub(in crate::line) fn push_value(&mut self, value: Value) {
        self.values.push(value.bits());
    }

    /// Completes the point whose fields are in `scratch.fields` and whose values were pushed.
    pub(in crate::line) fn finish_point(&mut self, series: u32, time: i64, line: u32) {
        self.keep_last_of_repeated_fields();
        self.put_readable_field_first();
        let measurement = self.series[series as usize].measurement;
        let shape = self.find_or_insert_shape(measurement);
        self.set_latest_shape(measurement, shape);
        self.finish_point_of_shape(series, shape, time, line);
    }

    /// Behind a comma a tab or NUL is part of a name, behind the key's space it is not: another field goes first.
    fn put_readable_field_first(&mut self) {
        let fields = &self.scratch.fields;
        let readable = fields.iter().position(|field| !self.text(field.name).starts_with(BLANKS));
        let position = readable.unwrap_or(0);
        if position > 0 {
            let values_start = self.values.len() - self.scratch.fields.len();
            self.scratch.fields[..=position].rotate_right(1);
            self.values[values_start..=values_start + position].rotate_right(1);
        }
    }

    /// Completes a point whose values were pushed in the order of `shape`'s fields.
    pub(in crate::line) fn finish_point_of_shape(&mut self, series: u32, shape: u32, time: i64, line: u32) {
        let first_value = self.values.len() - self.shapes[shape as usize].fields as usize;
        self.series[series as usize].latest_shape = shape;
        self.points.push(Point { time, series, shape, first_value: first_value as u32, line });
    }

    /// Computes the FNV hashes of the series added since the batch was cleared.
    pub(super) fn hash_series(&mut self) {
        let mut at = 0;
        while at + 4 <= self.series.len() {
            let keys = [0, 1, 2, 3].map(|next| self.text(self.series[at + next].key).as_bytes());
            let hashes = series::fnv1a64_x4(keys);
            for (series, fnv) in self.series[at..].iter_mut().zip(hashes) {
                series.fnv = fnv;
            }
            at += 4;
        }
        for at in at..self.series.len() {
            self.series[at].fnv = series::fnv1a64(self.text(self.series[at].key).as_bytes());
        }
    }

    /// Where a point begins, so that it can be undone.
    pub(in crate::line) fn mark(&self) -> Mark {
        Mark { values: self.values.len(), arena: self.arena.len(), series: self.series.len() }
    }

    /// Undoes what was added since `mark` by a point that was not finished.
    pub(in crate::line) fn rollback(&mut self, mark: Mark) {
        for ordinal in mark.series..self.series.len() {
            let table_hash = self.series[ordinal].table_hash;
            if let Ok(entry) = self.series_table.find_entry(table_hash, |&found| found as usize == ordinal) {
                entry.remove();
            }
        }
        self.series.truncate(mark.series);
        self.values.truncate(mark.values);
        self.arena.truncate(mark.arena);
    }
}
