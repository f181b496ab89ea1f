//! A memtable becomes a segment.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use parking_lot::RwLock;
use rustc_hash::FxHashSet;
use skywatch_model::TimeRange;

use crate::{
    fs::{Fs, FsError},
    index::Index,
    memtable::{MemTable, MemView},
    merge::merge,
    rows::FieldId,
    segment::{BLOCK_ROWS, SegmentField, SegmentMeta, SegmentWriter},
    tombstone::{Place, Tombstones, mask},
    wal::FieldDefinition,
};

/// Writes what is not deleted of `table`, which takes no more rows, to the file of segment `number`. The caller syncs the directory.
pub(crate) fn write_segment(
    fs: &dyn Fs,
    path: &Path,
    number: u64,
    table: &MemTable,
    index: &RwLock<Index>,
    (tombstones, keep_versions): (&Tombstones, bool),
) -> Result<SegmentMeta, FsError> {
    table.close_all();
    let view = table.view();
    let mut writer = SegmentWriter::create(fs, path, number)?;
    let contents = contents(&view, &index.read());
    for (name, Contents { mut fields, chunks }) in contents {
        fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let ids: Vec<Option<FieldId>> = fields.iter().map(|field| Some(field.id)).collect();
        let scan = view.scan_of(chunks, &ids);
        writer.begin_measurement(&name, fields);
        for series in scan.series() {
            let (is_retired, key) = {
                let index = index.read();
                (index.is_retired(series), index.series_key(series))
            };
            if is_retired {
                continue;
            }
            let Some(key) = key else {
                unreachable!("series {series:?} was written without a key");
            };
            let masks = tombstones.of_series(series, TimeRange::ALL, || Some(Arc::clone(&key)));
            let masks = masks.at(Place::Memory, TimeRange::ALL);
            let pieces = scan.rows(series, TimeRange::ALL, BLOCK_ROWS).into_iter();
            let with_versions = keep_versions || !masks.is_empty();
            let block = |rows| merge(vec![mask(scan.gather(&rows, with_versions), &masks)], keep_versions);
            let mut blocks = pieces.map(block).filter(|block| !block.times.is_empty()).peekable();
            if blocks.peek().is_none() {
                continue;
            }
            writer.begin_series(series, &key);
            for block in blocks {
                writer.block(&block)?;
            }
            writer.end_series()?;
        }
    }
    writer.finish()
}

/// What a memtable has of a measurement.
#[derive(Default)]
struct Contents {
    fields: Vec<SegmentField>,
    /// Positions of its chunks in the view.
    chunks: Vec<usize>,
}

/// By measurement, in order of the names.
fn contents(view: &MemView, index: &Index) -> BTreeMap<Arc<str>, Contents> {
    let mut contents: BTreeMap<Arc<str>, Contents> = BTreeMap::new();
    let mut seen = FxHashSet::default();
    for (chunk, layout) in view.layouts().enumerate() {
        // A field that is not known was retired.
        let mut fields = layout.fields.iter().filter_map(|id| index.field(*id));
        let Some(first) = fields.clone().next() else { continue };
        let contents = contents.entry(Arc::clone(&first.measurement)).or_default();
        contents.chunks.push(chunk);
        for field in fields.by_ref().filter(|field| seen.insert(field.id)) {
            let FieldDefinition { id, name, field_type, .. } = field;
            let field = SegmentField { id: *id, name: Arc::clone(name), field_type: *field_type };
            contents.fields.push(field);
        }
    }
    contents
}
