//! Points that a shard gives up without having been told to delete them, kept as text: they may have been acknowledged.
//!
//! ```text
//! <shard>/set-aside/field-<number>.lp     a field's, that has given way to an older type
//! <shard>/set-aside/write-<version>.lp    a write's, that was acknowledged before an owner could refuse it
//!
//! # Points of shard 7 whose field "v" of measurement "m" is float here: it has given way to older points, which have it as integer.
//! m,host=a v=0.5 1500000000000000000
//! ```
//!
//! Nothing reads these files again but people; they go with their shard. A file is whole or not there.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use skywatch_model::{FieldType, TimeRange, Version, line::PointBatch, serialize::append_rows};

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
        // A number is not given twice: a file of that name is of an attempt that was cut short before the field was retired.
        let path = self.aside(&format!("field-{}", id.0));
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
                    file = Some(self.begin_aside(&path)?);
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

    /// Keeps points of a write (positions in `batch`) that were refused for this reason, though it had been acknowledged; durably.
    /// Done again with the same version, nothing changes.
    pub fn set_refused_aside(
        &self,
        batch: &PointBatch<'_>,
        points: &[u32],
        version: Version,
        reason: &str,
    ) -> Result<(), FsError> {
        let shard = self.id;
        let mut text = format!(
            "# Points of shard {shard} that were acknowledged while none of its owners could be asked, and are refused: {}\n",
            reason.replace('\n', " ")
        );
        points.iter().for_each(|point| batch.point(*point as usize).append_line(&mut text));
        let path = self.aside(&format!("write-{version}"));
        let file = self.begin_aside(&path)?;
        file.append(text.as_bytes())?;
        file.finish()?;
        tracing::error!(
            shard = shard.0, points = points.len(), reason, file = %path.display(),
            "points are refused that were acknowledged while no owner could be asked; they are kept in this file, as line protocol: \
             look whether they are needed, then remove the file"
        );
        Ok(())
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.dir.join(DIRECTORY).join(format!("{name}{SUFFIX}"))
    }

    /// Begins a file, in a directory that may not be there yet.
    fn begin_aside<'a>(&'a self, path: &'a Path) -> Result<Replacement<'a>, FsError> {
        let dir = self.dir.join(DIRECTORY);
        self.fs.create_dir_all(&dir).map_err(FsError::on("create", &dir))?;
        Replacement::begin(&*self.fs, path)
    }

    /// How many files there are of points that were kept.
    pub(super) fn set_aside_files(&self) -> u64 {
        let entries = self.fs.list(&self.dir.join(DIRECTORY)).unwrap_or_default();
        entries.iter().filter(|entry| entry.name.ends_with(SUFFIX)).count() as u64
    }
}
