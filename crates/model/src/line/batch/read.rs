//! Reading a batch.

use std::fmt;

use super::{Point, PointBatch, Shape, ShapeField, Span};
use crate::{FieldType, value::FieldRef};

/// One point of a batch.
#[derive(Clone, Copy)]
pub struct PointRef<'b> {
    pub(super) batch: &'b PointBatch<'b>,
    pub(super) point: Point,
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
        Fields { values: self.values() }
    }

    /// Values of the fields, in the order of [`Self::shape`]. Names are not looked at.
    #[inline]
    pub fn values(&self) -> FieldValues<'b> {
        let shape = self.batch.shapes[self.point.shape as usize];
        let values = &self.batch.values[self.point.first_value as usize..][..shape.fields as usize];
        FieldValues { batch: self.batch, fields: self.batch.shape_fields(shape).iter().zip(values) }
    }
}

impl fmt::Debug for PointRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.series_key())?;
        f.debug_map().entries(self.fields()).finish()?;
        write!(f, " {}", self.time())
    }
}

/// See [`PointRef::values`].
#[derive(Clone)]
pub struct FieldValues<'b> {
    batch: &'b PointBatch<'b>,
    fields: std::iter::Zip<std::slice::Iter<'b, ShapeField>, std::slice::Iter<'b, u64>>,
}

impl<'b> FieldValues<'b> {
    #[inline]
    fn next_field(&mut self) -> Option<(ShapeField, FieldRef<'b>)> {
        let (field, &bits) = self.fields.next()?;
        let value = match field.field_type {
            FieldType::Float => FieldRef::Float(f64::from_bits(bits)),
            FieldType::Integer => FieldRef::Integer(bits.cast_signed()),
            FieldType::Unsigned => FieldRef::Unsigned(bits),
            FieldType::String => FieldRef::String(self.batch.text(Span::from_bits(bits))),
            FieldType::Boolean => FieldRef::Boolean(bits != 0),
        };
        Some((*field, value))
    }
}

impl<'b> Iterator for FieldValues<'b> {
    type Item = FieldRef<'b>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_field().map(|(_, value)| value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.fields.size_hint()
    }
}

impl ExactSizeIterator for FieldValues<'_> {}

impl fmt::Debug for FieldValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// See [`PointRef::fields`].
#[derive(Clone)]
pub struct Fields<'b> {
    values: FieldValues<'b>,
}

impl<'b> Iterator for Fields<'b> {
    type Item = (&'b str, FieldRef<'b>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (field, value) = self.values.next_field()?;
        Some((self.values.batch.text(field.name), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values.size_hint()
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
    pub(super) batch: &'b PointBatch<'b>,
    pub(super) shape: Shape,
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
