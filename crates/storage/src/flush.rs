//! A memtable becomes a segment.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use parking_lot::RwLock;
use skywatch_model::TimeRange;

use crate::{
    fs::{Fs, FsError},
    index::Index,
    memtable::{MemTable, MemView},
    merge::merge,
    rows::{FieldId, SeriesId},
    segment::{BLOCK_ROWS, SegmentField, SegmentMeta, SegmentWriter},
};

/// Writes all of `table` to the file of segment `number`. The caller syncs the directory.
pub(crate) fn write_segment(
    fs: &dyn Fs,
    path: &Path,
    number: u64,
    table: &Arc<MemTable>,
    index: &RwLock<Index>,
    keep_versions: bool,
) -> Result<SegmentMeta, FsError> {
    let view = table.view();
    let mut writer = SegmentWriter::create(fs, path, number)?;
    for (name, mut contents) in contents(table, &index.read()) {
        contents.series.sort_unstable_by_key(|(id, _)| *id);
        contents.fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let ids: Vec<FieldId> = contents.fields.iter().map(|field| field.id).collect();
        writer.begin_measurement(&name, contents.fields);
        for (id, key) in contents.series {
            writer.begin_series(id, &key);
            write_series(&mut writer, &view, id, &ids, keep_versions)?;
            writer.end_series()?;
        }
    }
    writer.finish()
}

fn write_series(
    writer: &mut SegmentWriter,
    view: &MemView,
    series: SeriesId,
    fields: &[FieldId],
    keep_versions: bool,
) -> Result<(), FsError> {
    let rows = view.series_rows(series, TimeRange::ALL);
    let present = view.fields(&rows);
    let wanted: Vec<Option<FieldId>> =
        fields.iter().map(|id| present.binary_search(id).is_ok().then_some(*id)).collect();
    for piece in rows.pieces(BLOCK_ROWS) {
        writer.block(&merge(vec![view.gather(&piece, &wanted)], keep_versions))?;
    }
    Ok(())
}

/// What a memtable has of a measurement.
#[derive(Default)]
struct Contents {
    series: Vec<(SeriesId, Arc<str>)>,
    fields: Vec<SegmentField>,
}

/// By measurement, in order of the names.
fn contents(table: &MemTable, index: &Index) -> BTreeMap<Arc<str>, Contents> {
    let mut contents: BTreeMap<Arc<str>, Contents> = BTreeMap::new();
    for id in table.series() {
        let (Some(measurement), Some(key)) = (index.measurement_of(id), index.series_key(id)) else {
            unreachable!("series {id:?} was written without a key");
        };
        contents.entry(Arc::clone(&measurement.name)).or_default().series.push((id, Arc::clone(key)));
    }
    for id in table.fields() {
        let Some(field) = index.field(id) else {
            unreachable!("field {id:?} was written without a name");
        };
        let name = Arc::clone(&field.name);
        let field_of = contents.entry(Arc::clone(&field.measurement)).or_default();
        field_of.fields.push(SegmentField { id, name, field_type: field.field_type });
    }
    contents
}
