//! Every cell that a shard has, with its version, as it is after everything has been merged and every delete applied.

use std::{ops::ControlFlow, sync::Arc};

use skywatch_model::{FieldType, TimeRange, series::parse_measurement};

use super::{SegmentSlot, Shard, snapshot::Snapshot};
use crate::{
    Order, ReadError, TagPredicate,
    cells::Cursor,
    digest::SeriesClasses,
    index::{select, select_ids},
    merge::Rows,
    rows::{FieldId, SeriesId},
};

/// Which cells are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) times: TimeRange,
    pub(super) classes: SeriesClasses,
    /// Nothing up to and including this; then series come in order, else in any.
    pub(super) after: Option<Option<&'a Cursor>>,
}

/// A series and its fields, in the order of the columns.
#[derive(Debug)]
pub(super) struct Series<'a> {
    pub(super) key: &'a Arc<str>,
    pub(super) fields: &'a [(Arc<str>, FieldType)],
}

impl Shard {
    /// What can be read, without the segments of which something cannot.
    pub(super) fn take_readable_snapshot(&self) -> Snapshot {
        let mut snapshot = self.take_snapshot();
        if !snapshot.segments.iter().all(SegmentSlot::is_intact) {
            snapshot.segments = snapshot.segments.iter().filter(|slot| slot.is_intact()).cloned().collect();
        }
        snapshot
    }
}

impl Snapshot {
    /// Calls `each` with rows of one series after the other, in order of time and each time once, until it breaks.
    pub(super) fn survey(
        &self,
        wanted: Wanted<'_>,
        mut each: impl FnMut(&Series<'_>, Rows) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let after = wanted.after.flatten();
        let first = after.map(|cursor| parse_measurement(&cursor.series));
        let names = self.index.read().measurement_names(self.bounds);
        for name in names.iter().filter(|name| first.as_ref().is_none_or(|first| ***name >= **first)) {
            let (fields, ids): (_, Box<[Option<FieldId>]>) = {
                // At one moment, since a name may get another number, and another type with it.
                let index = self.index.read();
                let fields = index.fields_of(name, self.bounds);
                let ids = fields.iter().map(|(field, _)| index.find_field(name, field)).collect();
                (fields, ids)
            };
            let scanner = self.scanner_of(name, ids);
            for id in self.series_of(name, wanted) {
                let Some(key) = self.index.read().series_key(id) else { continue };
                if !wanted.classes.contain(&key) {
                    continue;
                }
                let mut times = wanted.times;
                if let Some(after) = after.filter(|after| *after.series == *key) {
                    let Some(next) = after.time.checked_add(1) else { continue };
                    times.start = times.start.max(next);
                }
                if times.is_empty() {
                    continue;
                }
                let series = Series { key: &key, fields: &fields };
                let mut scan = scanner.scan_of(id, times, Order::Ascending)?;
                while let Some(rows) = scan.next_versioned()? {
                    if each(&series, rows).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Series of a measurement from the cursor on.
    fn series_of(&self, measurement: &str, wanted: Wanted<'_>) -> Vec<SeriesId> {
        let Some(after) = wanted.after else {
            let ids = select_ids(&self.index, measurement, &TagPredicate::All, self.bounds);
            return ids.into_iter().map(SeriesId).collect();
        };
        let mut series = select(&self.index, measurement, &TagPredicate::All, self.bounds);
        if let Some(after) = after {
            let is_done = |id: &SeriesId| {
                let key = self.index.read().series_key(*id);
                key.is_none_or(|key| *key < *after.series)
            };
            series.drain(..series.partition_point(is_done));
        }
        series
    }
}
