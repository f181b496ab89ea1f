//! A batch of points, laid out so that neither filling nor reading it allocates per point.
//!
//! ```text
//! points:  time | series ordinal | shape ordinal | first value | line
//! series:  key | hash | measurement                      one entry per distinct key as written
//! shapes:  measurement | fields: (name, type)...         one entry per distinct list of fields
//! values:  one u64 per field, read by the type its shape gives it
//! ```
//!
//! Texts are spans of the body, or of `arena` where they do not stand in the body as they are.
//! Series and shapes are found once per batch, not once per point: whoever stores a batch can look each of
//! them up once and index by ordinal.

use std::{fmt, hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::{FieldType, MAX_TIME, MIN_TIME, series, value::FieldRef};

/// Set in the start of a span that lies in the arena.
const IN_ARENA: u32 = 1 << 31;

/// A piece of the body or of the arena.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// `start..end` of the body. Both are below [`PointBatch::MAX_TEXT`], checked once for the whole body.
    pub(super) const fn body(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end < IN_ARENA as usize);
        Self { start: start as u32, length: (end - start) as u32 }
    }

    /// What is rewritten of a body is never twice as long as the body, so it fits too.
    const fn arena(start: usize, end: usize) -> Self {
        assert!(start <= end && end < IN_ARENA as usize);
        Self { start: start as u32 | IN_ARENA, length: (end - start) as u32 }
    }

    /// Whether the text stands in the body as it is.
    pub(super) const fn is_in_body(self) -> bool {
        self.start & IN_ARENA == 0
    }

    /// As a value of a string field.
    const fn to_bits(self) -> u64 {
        (self.start as u64) << 32 | self.length as u64
    }

    const fn from_bits(bits: u64) -> Self {
        Self { start: (bits >> 32) as u32, length: bits as u32 }
    }
}

#[derive(Debug, Clone, Copy)]
struct Point {
    time: i64,
    series: u32,
    shape: u32,
    first_value: u32,
    line: u32,
}

/// A distinct series key as written.
#[derive(Debug, Clone, Copy)]
struct Series {
    /// As written in the body, which is what the table is searched by.
    written: Span,
    /// Hash of `written` in this batch's table.
    table_hash: u64,
    /// The canonical key.
    key: Span,
    measurement: Span,
    /// FNV-1a 64 of `key`; set when parsing ends.
    fnv: u64,
    /// Shape of the series' latest point: the best guess at that of its next.
    latest_shape: u32,
}

/// A distinct list of fields of a measurement.
#[derive(Debug, Clone, Copy)]
struct Shape {
    table_hash: u64,
    measurement: Span,
    first_field: u32,
    fields: u32,
}

/// Name and type of a field of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShapeField {
    pub(super) name: Span,
    pub(super) field_type: FieldType,
}

/// The text that body spans point into.
#[derive(Debug, Clone)]
pub(super) enum Body<'a> {
    /// The caller's, as it is.
    Borrowed(&'a str),
    /// A copy without the lines that are not UTF-8. Shared, so that the parser can read it while it fills the
    /// batch.
    Repaired(Arc<str>),
}

impl Body<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Repaired(text) => text,
        }
    }
}

/// Points in the order they were written. Reusable: [`PointBatch::clear`] and [`PointBatch::recycle`] keep the
/// allocations.
pub struct PointBatch<'a> {
    body: Body<'a>,
    arena: String,
    points: Vec<Point>,
    values: Vec<u64>,
    series: Vec<Series>,
    series_table: HashTable<u32>,
    shapes: Vec<Shape>,
    shape_fields: Vec<ShapeField>,
    shape_table: HashTable<u32>,
    /// Measurement to the shape found last for it.
    measurement_table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    rejected: u64,
    pub(super) scratch: Scratch,
}

/// Working memory of the parser, kept with the batch so that it is allocated once.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Fields of the line being read.
    pub(super) fields: Vec<ShapeField>,
    /// Tags of the line being read.
    pub(super) tags: Vec<WrittenTag>,
    text: String,
}

/// Where a tag stands in the body: `start..key_end` is its key, an equals sign and its value up to `end` follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrittenTag {
    pub(super) start: usize,
    pub(super) key_end: usize,
    pub(super) end: usize,
}

impl WrittenTag {
    /// The key as written.
    pub(super) fn key(self, body: &str) -> &str {
        &body[self.start..self.key_end]
    }

    /// The value as written.
    pub(super) fn value(self, body: &str) -> &str {
        &body[self.key_end + 1..self.end]
    }
}

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
    /// A name or key that cannot be written as line protocol: it ends in a backslash, or has a line feed that no
    /// backslash escapes.
    #[error("name cannot be written as line protocol: it ends in a backslash or contains a line feed")]
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

fn resolve<'t>(body: &'t Body<'_>, arena: &'t str, span: Span) -> &'t str {
    let (text, start) =
        if span.is_in_body() { (body.text(), span.start) } else { (arena, span.start & !IN_ARENA) };
    &text[start as usize..start as usize + span.length as usize]
}

impl<'a> PointBatch<'a> {
    /// The most text a batch holds, in bytes, counting the body and what had to be rewritten each for itself.
    pub const MAX_TEXT: usize = 1 << 29;

    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Lines refused by the latest [`super::parse`], also those beyond the errors it returned.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Point `index`; panics past the end.
    pub fn point(&self, index: usize) -> PointRef<'_> {
        PointRef { batch: self, point: self.points[index] }
    }

    /// The points in order.
    pub fn points(&self) -> impl ExactSizeIterator<Item = PointRef<'_>> + DoubleEndedIterator + Clone {
        self.points.iter().map(|&point| PointRef { batch: self, point })
    }

    /// Number of series ordinals: [`PointRef::series_ordinal`] is below it. Two ordinals are of the same series
    /// only if a body spells its tags in different orders.
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// The canonical key of a series ordinal; panics past the end.
    pub fn series_key(&self, ordinal: u32) -> &str {
        self.text(self.series[ordinal as usize].key)
    }

    /// FNV-1a 64 of the canonical key of a series ordinal; panics past the end.
    pub fn series_hash(&self, ordinal: u32) -> u64 {
        self.series[ordinal as usize].fnv
    }

    /// Number of shape ordinals: [`PointRef::shape_ordinal`] is below it.
    pub fn shape_count(&self) -> usize {
        self.shapes.len()
    }

    /// The shape with this ordinal; panics past the end.
    pub fn shape(&self, ordinal: u32) -> ShapeRef<'_> {
        ShapeRef { batch: self, shape: self.shapes[ordinal as usize] }
    }

    /// Forgets the points, keeps the allocations.
    pub fn clear(&mut self) {
        self.body = Body::Borrowed("");
        self.arena.clear();
        self.points.clear();
        self.values.clear();
        self.series.clear();
        self.series_table.clear();
        self.shapes.clear();
        self.shape_fields.clear();
        self.shape_table.clear();
        self.measurement_table.clear();
        self.rejected = 0;
    }

    /// The same batch, empty, free to hold another body.
    pub fn recycle<'b>(mut self) -> PointBatch<'b> {
        self.clear();
        PointBatch {
            body: Body::Borrowed(""),
            arena: self.arena,
            points: self.points,
            values: self.values,
            series: self.series,
            series_table: self.series_table,
            shapes: self.shapes,
            shape_fields: self.shape_fields,
            shape_table: self.shape_table,
            measurement_table: self.measurement_table,
            hasher: self.hasher,
            rejected: 0,
            scratch: self.scratch,
        }
    }

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
        if !is_writable(series_key) {
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

/// What the parser does to a batch.
impl<'a> PointBatch<'a> {
    /// Takes the text that body spans point into.
    pub(super) fn set_body(&mut self, body: Body<'a>) {
        assert!(body.text().len() <= Self::MAX_TEXT && self.points.is_empty());
        self.body = body;
    }

    /// Ends the reading of a body of which `rejected` lines were refused.
    pub(super) fn finish(&mut self, rejected: u64) {
        self.rejected = rejected;
        self.hash_series();
    }

    pub(super) fn text(&self, span: Span) -> &str {
        resolve(&self.body, &self.arena, span)
    }

    pub(super) fn hash_text(&self, text: &str) -> u64 {
        self.hasher.hash_one(text.as_bytes())
    }

    /// The series whose key was written as `written`.
    pub(super) fn find_series(&self, written: &str, table_hash: u64) -> Option<u32> {
        let is_it = |&ordinal: &u32| {
            let series = &self.series[ordinal as usize];
            series.table_hash == table_hash && self.text(series.written) == written
        };
        self.series_table.find(table_hash, is_it).copied()
    }

    /// Appends what `write` writes to the arena.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let start = self.arena.len();
        write(&mut self.arena);
        Span::arena(start, self.arena.len())
    }

    /// Appends text made from other text of the batch.
    pub(super) fn append_from(&mut self, from: Span, write: impl FnOnce(&mut String, &str)) -> Span {
        let mut made = std::mem::take(&mut self.scratch.text);
        made.clear();
        write(&mut made, self.text(from));
        let span = self.append(|arena| arena.push_str(&made));
        self.scratch.text = made;
        span
    }

    /// Adds a series that [`Self::find_series`] did not find.
    pub(super) fn insert_series(
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

    /// The shape found last for a measurement; `u32::MAX` if there is none.
    fn latest_shape_of(&self, measurement: Span) -> u32 {
        let measurement = self.text(measurement);
        if let Some(point) = self.points.last()
            && self.text(self.shapes[point.shape as usize].measurement) == measurement
        {
            return point.shape;
        }
        let hash = self.hash_text(measurement);
        let is_it = |&shape: &u32| self.text(self.shapes[shape as usize].measurement) == measurement;
        self.measurement_table.find(hash, is_it).copied().unwrap_or(u32::MAX)
    }

    fn set_latest_shape(&mut self, measurement: Span, shape: u32) {
        let hash = self.hash_text(self.text(measurement));
        let Self { measurement_table, shapes, body, arena, hasher, .. } = self;
        let text = |shape: u32| resolve(body, arena, shapes[shape as usize].measurement);
        let wanted = resolve(body, arena, measurement);
        measurement_table
            .entry(hash, |&known| text(known) == wanted, |&known| hasher.hash_one(text(known).as_bytes()))
            .and_modify(|known| *known = shape)
            .or_insert(shape);
    }

    /// The shape that the next point of `series` most likely has. `None` if there is no guess.
    pub(super) fn expected_shape(&self, series: u32) -> Option<ExpectedShape> {
        let ordinal = self.series[series as usize].latest_shape;
        let shape = self.shapes.get(ordinal as usize)?;
        Some(ExpectedShape { ordinal, first_field: shape.first_field, fields: shape.fields })
    }

    pub(super) fn expected_field(&self, shape: ExpectedShape, position: u32) -> ShapeField {
        self.shape_fields[(shape.first_field + position) as usize]
    }

    /// Makes the first `count` fields of `shape` the scratch's.
    pub(super) fn take_expected_fields(&mut self, shape: ExpectedShape, count: u32) {
        let (first, count) = (shape.first_field as usize, count as usize);
        self.scratch.fields.clear();
        self.scratch.fields.extend_from_slice(&self.shape_fields[first..first + count]);
    }

    fn shape_fields(&self, shape: Shape) -> &[ShapeField] {
        &self.shape_fields[shape.first_field as usize..][..shape.fields as usize]
    }

    pub(super) fn push_value(&mut self, value: Value) {
        self.values.push(value.bits());
    }

    /// Completes the point whose fields are in `scratch.fields` and whose values were pushed.
    pub(super) fn finish_point(&mut self, series: u32, time: i64, line: u32) {
        self.keep_last_of_repeated_fields();
        let measurement = self.series[series as usize].measurement;
        let shape = self.find_or_insert_shape(measurement);
        self.set_latest_shape(measurement, shape);
        self.finish_point_of_shape(series, shape, time, line);
    }

    /// Completes a point whose values were pushed in the order of `shape`'s fields.
    pub(super) fn finish_point_of_shape(&mut self, series: u32, shape: u32, time: i64, line: u32) {
        let first_value = self.values.len() - self.shapes[shape as usize].fields as usize;
        self.series[series as usize].latest_shape = shape;
        self.points.push(Point { time, series, shape, first_value: first_value as u32, line });
    }

    fn keep_last_of_repeated_fields(&mut self) {
        if !self.has_repeated_fields() {
            return;
        }
        let count = self.scratch.fields.len();
        let first_value = self.values.len() - count;
        let mut last = std::collections::HashMap::new();
        for (at, field) in self.scratch.fields.iter().enumerate() {
            last.insert(self.text(field.name), at);
        }
        let kept: Vec<bool> = self
            .scratch
            .fields
            .iter()
            .enumerate()
            .map(|(at, field)| last[self.text(field.name)] == at)
            .collect();
        let mut keeps = kept.iter();
        self.scratch.fields.retain(|_| *keeps.next().unwrap_or(&true));
        let mut keeps = std::iter::repeat_n(&true, first_value).chain(&kept);
        self.values.retain(|_| *keeps.next().unwrap_or(&true));
    }

    fn has_repeated_fields(&self) -> bool {
        let fields = &self.scratch.fields;
        if fields.len() <= 32 {
            let names = |at| self.text(fields[at as usize].name);
            return (1..fields.len() as u32).any(|at| (0..at).any(|earlier| names(earlier) == names(at)));
        }
        let mut names = std::collections::HashSet::with_capacity(fields.len());
        !fields.iter().all(|field| names.insert(self.text(field.name)))
    }

    fn find_or_insert_shape(&mut self, measurement: Span) -> u32 {
        let table_hash = self.hash_shape(measurement);
        let is_it = |&ordinal: &u32| {
            let shape = self.shapes[ordinal as usize];
            shape.table_hash == table_hash && self.is_shape(shape, measurement)
        };
        if let Some(&shape) = self.shape_table.find(table_hash, is_it) {
            return shape;
        }
        let ordinal = self.shapes.len() as u32;
        let first_field = self.shape_fields.len() as u32;
        self.shape_fields.extend_from_slice(&self.scratch.fields);
        let fields = self.scratch.fields.len() as u32;
        self.shapes.push(Shape { table_hash, measurement, first_field, fields });
        let shapes = &self.shapes;
        self.shape_table.insert_unique(table_hash, ordinal, |&ordinal| shapes[ordinal as usize].table_hash);
        ordinal
    }

    fn is_shape(&self, shape: Shape, measurement: Span) -> bool {
        let fields = self.shape_fields(shape);
        fields.len() == self.scratch.fields.len()
            && self.text(shape.measurement) == self.text(measurement)
            && fields
                .iter()
                .zip(&self.scratch.fields)
                .all(|(a, b)| a.field_type == b.field_type && self.text(a.name) == self.text(b.name))
    }

    fn hash_shape(&self, measurement: Span) -> u64 {
        let first = self.hasher.hash_one(self.text(measurement));
        self.scratch.fields.iter().fold(first, |hash, field| {
            self.hasher.hash_one((hash, self.text(field.name), field.field_type as u8))
        })
    }

    /// Computes the FNV hashes of the series added since the batch was cleared.
    fn hash_series(&mut self) {
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
    pub(super) fn mark(&self) -> Mark {
        Mark { values: self.values.len(), arena: self.arena.len(), series: self.series.len() }
    }

    /// Undoes what was added since `mark` by a point that was not finished.
    pub(super) fn rollback(&mut self, mark: Mark) {
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

/// A guess at the fields of a point.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedShape {
    pub(super) ordinal: u32,
    first_field: u32,
    pub(super) fields: u32,
}

/// State of a batch between two points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    values: usize,
    arena: usize,
    series: usize,
}

/// A value just read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    String(Span),
    Boolean(bool),
}

impl Value {
    pub(super) const fn field_type(self) -> FieldType {
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

/// Whether a name or key does not end in a backslash and has an odd number of them before each line feed.
fn is_writable(name: &str) -> bool {
    let backslashes_before =
        |at: usize| name.as_bytes()[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
    !name.ends_with('\\')
        && memchr::memchr_iter(b'\n', name.as_bytes()).all(|at| backslashes_before(at) % 2 == 1)
}

/// The length InfluxDB limits: series key, separator, field key.
pub(super) const fn field_key_length(series_key: usize, field_key: usize) -> usize {
    series_key + 4 + field_key
}

impl Default for PointBatch<'_> {
    fn default() -> Self {
        Self {
            body: Body::Borrowed(""),
            arena: String::new(),
            points: Vec::new(),
            values: Vec::new(),
            series: Vec::new(),
            series_table: HashTable::new(),
            shapes: Vec::new(),
            shape_fields: Vec::new(),
            shape_table: HashTable::new(),
            measurement_table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            rejected: 0,
            scratch: Scratch::default(),
        }
    }
}

impl fmt::Debug for PointBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.points()).finish()
    }
}

/// One point of a batch.
#[derive(Clone, Copy)]
pub struct PointRef<'b> {
    batch: &'b PointBatch<'b>,
    point: Point,
}

impl<'b> PointRef<'b> {
    /// The canonical series key, see [`crate::series`].
    pub fn series_key(&self) -> &'b str {
        self.batch.series_key(self.point.series)
    }

    /// FNV-1a 64 of the series key.
    pub fn series_hash(&self) -> u64 {
        self.batch.series_hash(self.point.series)
    }

    /// Position of the series in the batch: equal ordinals, equal series. See [`PointBatch::series_count`].
    pub fn series_ordinal(&self) -> u32 {
        self.point.series
    }

    /// The measurement, unescaped.
    pub fn measurement(&self) -> &'b str {
        self.batch.text(self.batch.series[self.point.series as usize].measurement)
    }

    /// Nanoseconds since the epoch, within [`MIN_TIME`]..=[`MAX_TIME`].
    pub fn time(&self) -> i64 {
        self.point.time
    }

    /// Line of the body it was on, 1-based; 0 for a point that was pushed.
    pub fn line(&self) -> u32 {
        self.point.line
    }

    /// Position of the point's list of fields in the batch: equal ordinals, same measurement, field names and
    /// types in the same order.
    pub fn shape_ordinal(&self) -> u32 {
        self.point.shape
    }

    /// Names and types of the fields.
    pub fn shape(&self) -> ShapeRef<'b> {
        ShapeRef { batch: self.batch, shape: self.batch.shapes[self.point.shape as usize] }
    }

    /// Names, unescaped, and values of the fields; at least one, names distinct.
    pub fn fields(&self) -> Fields<'b> {
        let shape = self.batch.shapes[self.point.shape as usize];
        let values = &self.batch.values[self.point.first_value as usize..][..shape.fields as usize];
        Fields { batch: self.batch, fields: self.batch.shape_fields(shape).iter().zip(values) }
    }
}

impl fmt::Debug for PointRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.series_key())?;
        f.debug_map().entries(self.fields()).finish()?;
        write!(f, " {}", self.time())
    }
}

/// See [`PointRef::fields`].
#[derive(Clone)]
pub struct Fields<'b> {
    batch: &'b PointBatch<'b>,
    fields: std::iter::Zip<std::slice::Iter<'b, ShapeField>, std::slice::Iter<'b, u64>>,
}

impl<'b> Iterator for Fields<'b> {
    type Item = (&'b str, FieldRef<'b>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (field, &bits) = self.fields.next()?;
        let value = match field.field_type {
            FieldType::Float => FieldRef::Float(f64::from_bits(bits)),
            FieldType::Integer => FieldRef::Integer(bits.cast_signed()),
            FieldType::Unsigned => FieldRef::Unsigned(bits),
            FieldType::String => FieldRef::String(self.batch.text(Span::from_bits(bits))),
            FieldType::Boolean => FieldRef::Boolean(bits != 0),
        };
        Some((self.batch.text(field.name), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.fields.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_> {}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

/// A measurement and an ordered list of field names and types that points of a batch share.
#[derive(Clone, Copy)]
pub struct ShapeRef<'b> {
    batch: &'b PointBatch<'b>,
    shape: Shape,
}

impl<'b> ShapeRef<'b> {
    /// The measurement, unescaped.
    pub fn measurement(&self) -> &'b str {
        self.batch.text(self.shape.measurement)
    }

    /// Names, unescaped, and types; at least one, names distinct.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&'b str, FieldType)> + use<'b> {
        let batch = self.batch;
        batch.shape_fields(self.shape).iter().map(move |field| (batch.text(field.name), field.field_type))
    }
}

impl fmt::Debug for ShapeRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.measurement())?;
        f.debug_map().entries(self.fields()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(batch.point(1).line(), 0);
        assert_eq!(batch.points().next_back().map(|point| point.series_ordinal()), Some(0));
    }
}
