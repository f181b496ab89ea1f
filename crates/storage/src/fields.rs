//! Which fields a shard lists, as its owners tell each other.
//!
//! A measurement keeps its fields as long as it has series, so that a field may be listed of which no cell is left, and its type
//! counts for what is written next. Cells alone do not say so to an owner that was not there when it was written.

use std::sync::Arc;

use skywatch_model::FieldType;

use crate::{
    digest::{Digest, hash_bytes},
    wal::take_type,
    wire::{Malformed, Reader, put_bytes},
};

/// A field of a measurement that has series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedField {
    /// Its measurement.
    pub measurement: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its type in the shard.
    pub field_type: FieldType,
}

impl ListedField {
    /// Appends what [`Self::decode`] reads. Layout in `docs/formats/cells.md`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.measurement.as_bytes());
        put_bytes(out, self.name.as_bytes());
        out.push(self.field_type as u8);
    }

    /// Reads a field.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (measurement, name) = (reader.str()?.into(), reader.str()?.into());
        Ok(Self { measurement, name, field_type: take_type(reader)? })
    }

    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        hash_bytes(&bytes)
    }
}
