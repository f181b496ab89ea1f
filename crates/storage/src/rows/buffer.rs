//! The values of one field, one per row, appended and copied in bulk.

use std::{ops::Range, sync::Arc};

use skywatch_model::{FieldType, Values};

/// Strings one after the other.
#[derive(Debug, Default)]
pub(crate) struct TextBuffer {
    ends: Vec<u32>,
    bytes: String,
}

impl TextBuffer {
    pub(crate) fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        assert!(self.bytes.len() <= u32::MAX as usize, "strings of one buffer exceed 4 GiB");
        self.ends.push(self.bytes.len() as u32);
    }

    pub(crate) fn get(&self, index: usize) -> &str {
        &self.bytes[self.start(index)..self.ends[index] as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    fn extend(&mut self, other: &Self, rows: Range<usize>) {
        let (from, to) = (other.start(rows.start), other.start(rows.end));
        let base = self.bytes.len();
        self.bytes.push_str(&other.bytes[from..to]);
        assert!(self.bytes.len() <= u32::MAX as usize, "strings of one buffer exceed 4 GiB");
        self.ends.extend(other.ends[rows].iter().map(|end| (*end as usize - from + base) as u32));
    }

    fn picked(&self, rows: &[u32]) -> Self {
        let texts = || rows.iter().map(|row| self.get(*row as usize));
        let mut picked = Self {
            ends: Vec::with_capacity(rows.len()),
            bytes: String::with_capacity(texts().map(str::len).sum()),
        };
        texts().for_each(|text| picked.push(text));
        picked
    }

    fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
    }
}

/// See the module's header.
#[derive(Debug)]
pub(crate) enum Buffer {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Unsigned(Vec<u64>),
    String(TextBuffer),
    Boolean(Vec<bool>),
}

impl Buffer {
    pub(crate) fn new(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Float => Self::Float(Vec::new()),
            FieldType::Integer => Self::Integer(Vec::new()),
            FieldType::Unsigned => Self::Unsigned(Vec::new()),
            FieldType::String => Self::String(TextBuffer::default()),
            FieldType::Boolean => Self::Boolean(Vec::new()),
        }
    }

    pub(crate) const fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::Unsigned(_) => FieldType::Unsigned,
            Self::String(_) => FieldType::String,
            Self::Boolean(_) => FieldType::Boolean,
        }
    }

    /// Appends `rows` of `other`, which is of the same type.
    pub(crate) fn extend(&mut self, other: &Self, rows: Range<usize>) {
        match (self, other) {
            (Self::Float(values), Self::Float(more)) => values.extend_from_slice(&more[rows]),
            (Self::Integer(values), Self::Integer(more)) => values.extend_from_slice(&more[rows]),
            (Self::Unsigned(values), Self::Unsigned(more)) => values.extend_from_slice(&more[rows]),
            (Self::Boolean(values), Self::Boolean(more)) => values.extend_from_slice(&more[rows]),
            (Self::String(values), Self::String(more)) => values.extend(more, rows),
            (values, more) => unreachable!("a field has one type: {values:?} and {more:?}"),
        }
    }

    /// Makes room for `rows` more rows, and no more than that.
    pub(crate) fn reserve(&mut self, rows: usize) {
        match self {
            Self::Float(values) => values.reserve_exact(rows),
            Self::Integer(values) => values.reserve_exact(rows),
            Self::Unsigned(values) => values.reserve_exact(rows),
            Self::Boolean(values) => values.reserve_exact(rows),
            Self::String(values) => values.ends.reserve_exact(rows),
        }
    }

    /// The values of these rows, in this order.
    pub(crate) fn picked(&self, rows: &[u32]) -> Self {
        let indices = rows.iter().map(|row| *row as usize);
        match self {
            Self::Float(values) => Self::Float(indices.map(|row| values[row]).collect()),
            Self::Integer(values) => Self::Integer(indices.map(|row| values[row]).collect()),
            Self::Unsigned(values) => Self::Unsigned(indices.map(|row| values[row]).collect()),
            Self::Boolean(values) => Self::Boolean(indices.map(|row| values[row]).collect()),
            Self::String(values) => Self::String(values.picked(rows)),
        }
    }

    /// Appends the values of `rows` to `values`, which are of the same type.
    pub(crate) fn append_to(&self, rows: Range<usize>, values: &mut Values) {
        match (values, self) {
            (Values::Float(values), Self::Float(from)) => values.extend_from_slice(&from[rows]),
            (Values::Integer(values), Self::Integer(from)) => values.extend_from_slice(&from[rows]),
            (Values::Unsigned(values), Self::Unsigned(from)) => values.extend_from_slice(&from[rows]),
            (Values::Boolean(values), Self::Boolean(from)) => values.extend_from_slice(&from[rows]),
            (Values::String(values), Self::String(from)) => {
                for text in rows.map(|row| from.get(row)) {
                    // Neighbours are often equal; share them.
                    match values.last() {
                        Some(last) if **last == *text => values.push(Arc::clone(last)),
                        Some(_) | None => values.push(text.into()),
                    }
                }
            }
            (values, from) => unreachable!("a field has one type: {values:?} and {from:?}"),
        }
    }

    /// Appends row `row` of `other`, which is of the same type.
    pub(super) fn push_from(&mut self, other: &Self, row: usize) {
        self.extend(other, row..row + 1);
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Float(values) => values.clear(),
            Self::Integer(values) => values.clear(),
            Self::Unsigned(values) => values.clear(),
            Self::Boolean(values) => values.clear(),
            Self::String(values) => values.clear(),
        }
    }

    /// Bytes of its strings; 0 for other types.
    pub(crate) fn text_bytes(&self) -> usize {
        if let Self::String(values) = self { values.bytes.len() } else { 0 }
    }

    /// Bytes allocated.
    pub(crate) fn capacity_bytes(&self) -> usize {
        match self {
            Self::Float(values) => values.capacity() * 8,
            Self::Integer(values) => values.capacity() * 8,
            Self::Unsigned(values) => values.capacity() * 8,
            Self::Boolean(values) => values.capacity(),
            Self::String(values) => values.bytes.capacity() + values.ends.capacity() * 4,
        }
    }
}
