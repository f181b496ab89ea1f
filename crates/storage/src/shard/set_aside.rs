//! Points that a shard gives up without having been told to delete them, kept as text: they may have been acknowledged.
//!
//! ```text
//! <shard>/set-aside/field-<number>.lp
//!
//! # Points of shard 7 whose field "v" of measurement "m" is float here: it has given way to older points, which have it as integer.
//! m,host=a v=0.5 1500000000000000000
//! ```
//!
//! Nothing reads these files again but people; they go with their shard. A file is whole or not there.

use std::{path::PathBuf, sync::Arc};

use skywatch_model::{FieldType, TimeRange, serialize::append_rows};

use super::{Shard, snapshot::Snapshot};
use crate::{
    MaintenanceError, Order, ScanRequest, ShardRead, TagPredicate,
    fs::{FsError, Replacement},
    wal::FieldDefinition,
};

/// Where they are, in the directory of the shard.
const DIRECTORY: &str = "set-aside";
const SUFFIX: &str = ".lp";

impl Shard {
    /// Keeps all points of a field that gives way to another type, durably; where, or `None` of a field without points.
    pub(super) fn set_aside(
        &self,
        snapshot: &Snapshot,
        field: &FieldDefinition,
        other: FieldType,
    ) -> Result<Option<PathBuf>, MaintenanceError> {
        let FieldDefinition { id, measurement, name, field_type, .. } = field;
        let dir = self.dir.join(DIRECTORY);
        // A number is not given twice: a file of that name is of an attempt that was cut short before the field was retired.
        let path = dir.join(format!("field-{}{SUFFIX}", id.0));
        let mut text = format!(
            "# Points of shard {} whose field {name:?} of measurement {measurement:?} is {} here: it has given way to older \
             points, which have it as {}.\n",
            self.id,
            field_type.name(),
            other.name()
        );
        let names = [Arc::from(&**name)];
        let scanner = snapshot.scanner(&ScanRequest::new(measurement, &names))?;
        let mut file = None;
        for series in snapshot.select_series(measurement, &TagPredicate::All)? {
            let key = snapshot.series_key(series);
            let mut blocks = scanner.scan(series, TimeRange::ALL, Order::Ascending)?;
            while let Some(block) = blocks.next_block()? {
                let rows = block.decode()?;
                if rows.times.is_empty() {
                    continue;
                }
                append_rows(&mut text, &key, &names, &rows);
                if file.is_none() {
                    self.fs.create_dir_all(&dir).map_err(FsError::on("create", &dir))?;
                    file = Some(Replacement::begin(&*self.fs, &path)?);
                }
                if let Some(file) = &file {
                    file.append(text.as_bytes())?;
                }
                text.clear();
            }
        }
        let Some(file) = file else { return Ok(None) };
        file.finish()?;
        Ok(Some(path))
    }

    /// How many fields there are of which points were kept.
    pub(super) fn set_aside_files(&self) -> u64 {
        let entries = self.fs.list(&self.dir.join(DIRECTORY)).unwrap_or_default();
        entries.iter().filter(|entry| entry.name.ends_with(SUFFIX)).count() as u64
    }
}
