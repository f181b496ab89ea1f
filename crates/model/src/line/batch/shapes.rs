//! Distinct lists of fields: guessed from the series' last point, found, or added.

use std::hash::BuildHasher;

use super::{PointBatch, Shape, ShapeField, Span, resolve};

/// A guess at the fields of a point.
#[derive(Debug, Clone, Copy)]
pub(in crate::line) struct ExpectedShape {
    pub(in crate::line) ordinal: u32,
    first_field: u32,
    pub(in crate::line) fields: u32,
}

impl PointBatch<'_> {
    /// The shape found last for a measurement; `u32::MAX` if there is none.
    pub(super) fn latest_shape_of(&self, measurement: Span) -> u32 {
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

    pub(super) fn set_latest_shape(&mut self, measurement: Span, shape: u32) {
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
    pub(in crate::line) fn expected_shape(&self, series: u32) -> Option<ExpectedShape> {
        let ordinal = self.series[series as usize].latest_shape;
        let shape = self.shapes.get(ordinal as usize)?;
        Some(ExpectedShape { ordinal, first_field: shape.first_field, fields: shape.fields })
    }

    pub(in crate::line) fn expected_field(&self, shape: ExpectedShape, position: u32) -> ShapeField {
        self.shape_fields[(shape.first_field + position) as usize]
    }

    /// Makes the first `count` fields of `shape` the scratch's.
    pub(in crate::line) fn take_expected_fields(&mut self, shape: ExpectedShape, count: u32) {
        let (first, count) = (shape.first_field as usize, count as usize);
        self.scratch.fields.clear();
        self.scratch.fields.extend_from_slice(&self.shape_fields[first..first + count]);
    }

    pub(super) fn shape_fields(&self, shape: Shape) -> &[ShapeField] {
        &self.shape_fields[shape.first_field as usize..][..shape.fields as usize]
    }

    pub(super) fn keep_last_of_repeated_fields(&mut self) {
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

    pub(super) fn has_repeated_fields(&self) -> bool {
        let fields = &self.scratch.fields;
        if fields.len() <= 32 {
            let names = |at| self.text(fields[at as usize].name);
            return (1..fields.len() as u32).any(|at| (0..at).any(|earlier| names(earlier) == names(at)));
        }
        let mut names = std::collections::HashSet::with_capacity(fields.len());
        !fields.iter().all(|field| names.insert(self.text(field.name)))
    }

    pub(super) fn find_or_insert_shape(&mut self, measurement: Span) -> u32 {
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

    pub(super) fn is_shape(&self, shape: Shape, measurement: Span) -> bool {
        let fields = self.shape_fields(shape);
        fields.len() == self.scratch.fields.len()
            && self.text(shape.measurement) == self.text(measurement)
            && fields
                .iter()
                .zip(&self.scratch.fields)
                .all(|(a, b)| a.field_type == b.field_type && self.text(a.name) == self.text(b.name))
    }

    pub(super) fn hash_shape(&self, measurement: Span) -> u64 {
        let first = self.hasher.hash_one(self.text(measurement));
        self.scratch.fields.iter().fold(first, |hash, field| {
            self.hasher.hash_one((hash, self.text(field.name), field.field_type as u8))
        })
    }
}
