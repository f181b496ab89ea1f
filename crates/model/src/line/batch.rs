//! A batch of points, laid out so that neither filling nor reading it allocates per point.
//!
//! ```text
//! points:  time | series ordinal | shape ordinal | first value | line
//! series:  key | hash | measurement                      one entry per distinct key as written
//! shapes:  measurement | fields: (name, type)...         one entry per distinct list of fields
//! values:  one u64 per field, read by the type its shape gives it
//! ```
//!
//! [`read`] hands out what is in it, [`push`] fills it from values; for the parser, [`build`] adds series and points,
//! and [`shapes`] finds or guesses lists of fields. Texts are spans ([`text`]) of the body, or of `arena` where they do
//! not stand in the body as they are. Series and shapes are found once per batch, not once per point: whoever stores
//! a batch can look each of them up once and index by ordinal.

mod build;
mod push;
mod read;
mod shapes;
mod text;

use std::fmt;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::FieldType;
use text::resolve;

pub(super) use build::{Mark, Value};
pub use push::PushError;
pub use read::{FieldValues, Fields, PointRef, ShapeRef};
pub(super) use text::{Body, Span};

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

    /// Bytes of memory that the points take, the text they point into included.
    pub fn size_bytes(&self) -> usize {
        size_of_val(&*self.points)
            + size_of_val(&*self.values)
            + size_of_val(&*self.series)
            + size_of_val(&*self.shape_fields)
            + self.body.text().len()
            + self.arena.len()
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
