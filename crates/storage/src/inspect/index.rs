//! What an index file holds.

use parking_lot::RwLock;
use serde::Serialize;

use crate::{
    TagPredicate,
    fs::FileBytes,
    index::{Index, IndexFileError, IndexFileMeta, count_series, tag_value_count},
};

/// An index file, or all of a shard's, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexDescription {
    /// Series.
    pub series: u64,
    /// By measurement.
    pub measurements: Vec<IndexedMeasurement>,
    /// Tag keys over all measurements, those with the most values first.
    pub tags: Vec<TagDescription>,
}

/// A measurement in an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexedMeasurement {
    /// Its name.
    pub name: String,
    /// Its series.
    pub series: u64,
    /// Fields with their types.
    pub fields: Vec<String>,
}

/// A tag key of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TagDescription {
    /// The measurement.
    pub measurement: String,
    /// The key.
    pub key: String,
    /// How many values it has.
    pub values: u64,
}

/// Reads a file by itself. On an error, where in the file, and what is wrong.
pub(super) fn read(bytes: FileBytes) -> Result<(Index, IndexFileMeta), (u64, String)> {
    Index::of_file(bytes).map_err(|error| explain(&error))
}

/// Adds the next file of a shard. Errors are as those of [`read`].
pub(super) fn add(index: &mut Index, bytes: FileBytes) -> Result<(), (u64, String)> {
    index.load(bytes).map(drop).map_err(|error| explain(&error))
}

fn explain(error: &IndexFileError) -> (u64, String) {
    match error {
        IndexFileError::Damaged { offset, reason } => (*offset, reason.to_string()),
        IndexFileError::TooNew { found, supported } => {
            (0, format!("format version {found}, this release reads up to {supported}"))
        }
    }
}

pub(super) fn describe(index: Index) -> IndexDescription {
    let (bounds, series) = (index.bounds(), index.series_count());
    let names = index.measurement_names(bounds);
    let lock = RwLock::new(index);
    let mut measurements = Vec::new();
    let mut tags = Vec::new();
    for name in names {
        let keys = lock.read().tag_keys(&name, bounds);
        for key in keys {
            let values = tag_value_count(&lock, &name, &key, bounds);
            tags.push(TagDescription { measurement: name.to_string(), key: key.to_string(), values });
        }
        let fields = lock.read().fields_of(&name, bounds);
        measurements.push(IndexedMeasurement {
            name: name.to_string(),
            series: count_series(&lock, &name, &TagPredicate::All, bounds),
            fields: fields.iter().map(|(field, kind)| format!("{field} {}", kind.name())).collect(),
        });
    }
    tags.sort_by(|a, b| b.values.cmp(&a.values).then_with(|| a.key.cmp(&b.key)));
    IndexDescription { series, measurements, tags }
}
