//! What a segment consists of, told from its entries; and reading all of it.

use serde::Serialize;
use skywatch_model::{FieldType, TimeRange};

use super::{
    entry::CRC_LEN,
    reader::{Measurement, Segment},
};
use crate::{ReadError, rows::SeriesId};

/// A segment in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SegmentDescription {
    /// The file.
    pub file: String,
    /// Version of its format.
    pub format_version: u32,
    /// Length.
    pub size_bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Values, over all fields.
    pub values: u64,
    /// Series.
    pub series: u64,
    /// Blocks.
    pub blocks: u64,
    /// Earliest time, nanoseconds.
    pub start_ns: i64,
    /// Latest time, nanoseconds.
    pub end_ns: i64,
    /// Bytes of timestamps and versions.
    pub time_bytes: u64,
    /// Bytes of series keys, tables, entries with statistics, header and trailer.
    pub overhead_bytes: u64,
    /// By type of field.
    pub columns: Vec<ColumnDescription>,
    /// By measurement.
    pub measurements: Vec<MeasurementDescription>,
}

/// Values of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ColumnDescription {
    /// The type.
    pub field_type: &'static str,
    /// Values.
    pub values: u64,
    /// Bytes they take, checksums included.
    pub bytes: u64,
    /// Bytes a value, to three places.
    pub bytes_per_value: String,
}

/// One measurement of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MeasurementDescription {
    /// Its name.
    pub name: String,
    /// Its series.
    pub series: u64,
    /// Rows.
    pub rows: u64,
    /// Blocks.
    pub blocks: u64,
    /// Fields with their types.
    pub fields: Vec<String>,
}

const TYPES: [FieldType; 5] =
    [FieldType::Float, FieldType::Integer, FieldType::Unsigned, FieldType::String, FieldType::Boolean];

impl Segment {
    /// Reads every entry, no values.
    pub(crate) fn describe(&self) -> Result<SegmentDescription, ReadError> {
        let meta = self.meta();
        let mut columns = TYPES.map(|field_type| (field_type, 0_u64, 0_u64));
        let (mut time_bytes, mut blocks_all) = (0, 0);
        let mut measurements = Vec::new();
        for measurement in self.measurements() {
            let (mut rows, mut blocks_here) = (0, 0);
            self.each_series(measurement, |series, wanted| {
                let mut blocks = Vec::new();
                wanted.blocks(series, TimeRange::ALL, &mut blocks)?;
                for block in &blocks {
                    rows += block.rows as u64;
                    blocks_here += 1;
                    time_bytes += block.time_bytes();
                    for field in block.fields.iter().flatten() {
                        let (_, values, bytes) = columns
                            .iter_mut()
                            .find(|(field_type, ..)| *field_type == field.field_type)
                            .expect("every type is in the table");
                        *values += field.cell.count as u64;
                        *bytes += field.cell.chunk.len + CRC_LEN;
                    }
                }
                Ok(())
            })?;
            blocks_all += blocks_here;
            measurements.push(MeasurementDescription {
                name: measurement.name.to_string(),
                series: self.series_of(measurement) as u64,
                rows,
                blocks: blocks_here,
                fields: measurement
                    .fields
                    .iter()
                    .map(|field| format!("{} {}", field.name, field.field_type.name()))
                    .collect(),
            });
        }
        let value_bytes: u64 = columns.iter().map(|(_, _, bytes)| bytes).sum();
        let used = columns.into_iter().filter(|(_, values, _)| *values > 0);
        Ok(SegmentDescription {
            file: self.path().display().to_string(),
            format_version: self.format_version(),
            size_bytes: meta.size_bytes,
            rows: meta.rows,
            values: meta.cells,
            series: meta.series,
            blocks: blocks_all,
            start_ns: meta.range.start,
            end_ns: meta.range.end,
            time_bytes,
            overhead_bytes: meta.size_bytes.saturating_sub(time_bytes + value_bytes),
            columns: used
                .map(|(field_type, values, bytes)| ColumnDescription {
                    field_type: field_type.name(),
                    values,
                    bytes,
                    bytes_per_value: format!("{:.3}", bytes as f64 / values as f64),
                })
                .collect(),
            measurements,
        })
    }

    /// Reads and checks everything there is, going on after damage.
    pub(crate) fn verify(&self, damage: &mut dyn FnMut(ReadError)) {
        if let Err(error) = self.keys() {
            damage(error);
        }
        let mut rows = 0;
        for measurement in self.measurements() {
            let visited = self.each_series(measurement, |series, wanted| {
                let mut blocks = Vec::new();
                if let Err(error) = wanted.blocks(series, TimeRange::ALL, &mut blocks) {
                    damage(error);
                }
                for block in &blocks {
                    match self.decode(block, TimeRange::ALL, true) {
                        Ok(decoded) => rows += decoded.times.len() as u64,
                        Err(error) => {
                            rows += block.rows as u64;
                            damage(error);
                        }
                    }
                }
                Ok(())
            });
            if let Err(error) = visited {
                damage(error);
            }
        }
        if rows != self.meta().rows {
            damage(ReadError::Corrupt {
                file: self.path().display().to_string(),
                offset: 0,
                reason: format!("it has {rows} rows, its trailer says {}", self.meta().rows),
            });
        }
    }

    fn each_series(
        &self,
        measurement: &Measurement,
        mut visit: impl FnMut(SeriesId, &super::reader::Columns<'_>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let all: Vec<_> = measurement.fields.iter().map(|field| Some(field.id)).collect();
        let Some(columns) = self.columns(&measurement.name, &all) else { return Ok(()) };
        for index in 0..self.series_of(measurement) {
            if let Some(series) = self.series_at(measurement, index) {
                visit(series, &columns)?;
            }
        }
        Ok(())
    }
}
