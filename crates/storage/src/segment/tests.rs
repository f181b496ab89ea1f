//! Segments written, read back, and damaged.

use std::{path::Path, sync::Arc};

use proptest::prelude::*;
use skywatch_model::{Bitmap, Column, FieldType, FieldValue, TimeRange, Values, Version};

use super::*;
use crate::{
    OpenError, ReadError,
    fs::{Fs, SimFs},
    merge::{Rows, Versions},
    rows::SeriesId,
};

fn field(id: u32, name: &str, field_type: FieldType) -> SegmentField {
    SegmentField { id: FieldId(id), name: name.into(), field_type }
}

fn column(values: Values, nulls: &[usize]) -> Option<Column> {
    let mut valid = Bitmap::filled(values.len(), true);
    nulls.iter().for_each(|row| valid.set(*row, false));
    Some(Column { values, valid: (!nulls.is_empty()).then_some(valid) })
}

/// Everything a segment can hold, small: all types, gaps, regular and irregular times, every kind of versions.
fn write_sample(fs: &SimFs, path: &Path) -> SegmentMeta {
    let mut writer = SegmentWriter::create(fs, path, 3).unwrap();
    writer.begin_measurement(
        &"cpu".into(),
        vec![
            field(0, "idle", FieldType::Float),
            field(4, "n", FieldType::Integer),
            field(1, "up", FieldType::Boolean),
        ],
    );
    writer.begin_series(SeriesId(2), "cpu,host=a");
    let block = |times: Vec<i64>, columns, versions| Rows { times, columns, versions };
    writer
        .block(&block(
            vec![10, 20, 30, 40],
            vec![
                column(Values::Float(vec![1.5, 0.0, -2.25, 7.0]), &[1]),
                column(Values::Integer(vec![5, 5, 5, 5]), &[]),
                column(Values::Boolean(vec![true, false, true, true]), &[]),
            ],
            Versions::SETTLED,
        ))
        .unwrap();
    writer
        .block(&block(
            vec![55, 61, 70],
            vec![column(Values::Float(vec![1e300, std::f64::consts::PI, -0.0]), &[]), None, None],
            Versions::Uniform(Version(77)),
        ))
        .unwrap();
    writer.end_series().unwrap();
    writer.begin_series(SeriesId(9), "cpu,host=b");
    writer
        .block(&block(
            vec![-5, 0, 5],
            vec![
                column(Values::Float(vec![1.0, 2.0, 3.0]), &[]),
                column(Values::Integer(vec![i64::MIN, 0, i64::MAX]), &[1]),
                None,
            ],
            Versions::Cells(vec![
                vec![Version(5), Version(6), Version(7)],
                vec![Version(9), Version(0), Version(9)],
                vec![],
            ]),
        ))
        .unwrap();
    writer.end_series().unwrap();
    writer.begin_measurement(
        &"text".into(),
        vec![field(2, "count", FieldType::Unsigned), field(3, "state", FieldType::String)],
    );
    writer.begin_series(SeriesId(1), "text");
    let text = |text: &[&str]| Values::String(text.iter().map(|text| Arc::from(*text)).collect());
    writer
        .block(&block(
            vec![1, 2, 4],
            vec![
                column(Values::Unsigned(vec![u64::MAX, 1, 2]), &[]),
                column(
                    text(&["running", "stopped", "running, and more than a few bytes of it to compress"]),
                    &[],
                ),
            ],
            Versions::Rows(vec![Version(3), Version(1), Version(2)]),
        ))
        .unwrap();
    writer.end_series().unwrap();
    writer.finish().unwrap()
}

type Dump = Vec<(String, u32, Vec<Rows>, Vec<Option<crate::BlockStats>>)>;

fn dump(segment: &Segment) -> Result<Dump, ReadError> {
    let mut dump = Vec::new();
    for measurement in segment.measurements() {
        let wanted: Vec<_> = measurement.fields.iter().map(|field| Some(field.id)).collect();
        let mut index = 0;
        while let Some(series) = segment.series_at(measurement, index) {
            index += 1;
            let blocks = segment.blocks(measurement, series, &wanted)?;
            let rows = blocks.iter().map(|block| segment.decode(block, true)).collect::<Result<_, _>>()?;
            let stats = blocks
                .iter()
                .flat_map(|block| (0..wanted.len()).map(|index| block.stats(index).cloned()))
                .collect();
            dump.push((measurement.name.to_string(), series.0, rows, stats));
        }
    }
    Ok(dump)
}

fn open(fs: &SimFs, path: &Path) -> Result<Segment, OpenError> {
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    Segment::open(&fs, path, 3)
}

#[test]
fn what_is_written_is_read() {
    let fs = SimFs::default();
    let path = Path::new("s");
    let meta = write_sample(&fs, path);
    assert_eq!((meta.rows, meta.cells, meta.series, meta.range), (13, 25, 3, TimeRange::new(-5, 70)));
    let segment = open(&fs, path).unwrap();
    assert_eq!(segment.meta(), &meta);
    let keys: Vec<_> = segment.keys().unwrap().into_iter().map(|it| (it.id.0, it.key.to_string())).collect();
    assert_eq!(keys, [(2, "cpu,host=a".into()), (9, "cpu,host=b".into()), (1, "text".into())]);
    let dump = dump(&segment).unwrap();
    let (_, _, rows, stats) = &dump[0];
    assert_eq!(rows[0].times, [10, 20, 30, 40]);
    assert_eq!(rows[0].columns[0].as_ref().unwrap().get(1), None);
    assert_eq!(rows[0].columns[0].as_ref().unwrap().get(2), Some(FieldValue::Float(-2.25)));
    assert_eq!(rows[0].columns[2].as_ref().unwrap().values, Values::Boolean(vec![true, false, true, true]));
    assert_eq!(rows[1].times, [55, 61, 70]);
    assert_eq!(rows[1].columns[1], None);
    assert_eq!(rows[1].versions, Versions::Uniform(Version(77)));
    let idle = stats[0].as_ref().unwrap();
    assert_eq!((idle.count, idle.sum), (3, crate::Sum::Float(6.25)));
    assert_eq!((&idle.first, &idle.last), (&(10, FieldValue::Float(1.5)), &(40, FieldValue::Float(7.0))));
    assert_eq!(idle.min, Some((30, FieldValue::Float(-2.25))));
    assert_eq!(idle.max, Some((40, FieldValue::Float(7.0))));
    assert_eq!(stats[4], None, "absent fields have no statistics");
    let (_, _, rows, _) = &dump[1];
    assert_eq!(rows[0].versions.get(1, 2), Version(9));
    assert_eq!(rows[0].versions.get(0, 1), Version(6));
    let (_, _, rows, _) = &dump[2];
    assert_eq!(rows[0].versions, Versions::Rows(vec![Version(3), Version(1), Version(2)]));
    assert_eq!(rows[0].columns[1].as_ref().unwrap().get(1), Some(FieldValue::String("stopped".into())));
}

#[test]
fn only_wanted_fields_are_returned_in_the_order_asked() {
    let fs = SimFs::default();
    let path = Path::new("s");
    write_sample(&fs, path);
    let segment = open(&fs, path).unwrap();
    let measurement = segment.measurement("cpu").unwrap();
    let wanted = [Some(FieldId(1)), None, Some(FieldId(0)), Some(FieldId(99))];
    let blocks = segment.blocks(measurement, SeriesId(2), &wanted).unwrap();
    let rows = segment.decode(&blocks[0], false).unwrap();
    let types: Vec<_> =
        rows.columns.iter().map(|column| column.as_ref().map(|it| it.values.field_type())).collect();
    assert_eq!(types, [Some(FieldType::Boolean), None, Some(FieldType::Float), None]);
    assert!(segment.blocks(measurement, SeriesId(3), &wanted).unwrap().is_empty());
    assert!(segment.measurement("nothing").is_none());
}

#[test]
fn every_flipped_byte_is_reported_with_the_file_and_never_panics() {
    let fs = SimFs::default();
    let path = Path::new("dir/s");
    fs.create_dir_all(Path::new("dir")).unwrap();
    write_sample(&fs, path);
    let whole = fs.read(path).unwrap();
    let good = dump(&open(&fs, path).unwrap()).unwrap();
    for index in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[index] ^= bit;
            fs.overwrite(path, bytes).unwrap();
            match open(&fs, path) {
                Err(OpenError::Damaged { path: file, .. }) => assert_eq!(file, path),
                Err(error) => panic!("flip at {index}: {error}"),
                Ok(segment) => {
                    match segment.verify() {
                        Err(ReadError::Corrupt { file, offset, .. }) => {
                            assert_eq!(file, "dir/s");
                            assert!(offset as usize <= index, "flip at {index} reported at {offset}");
                        }
                        other => panic!("flip at {index} went unnoticed: {other:?}"),
                    }
                    // What a query returns is right or an error; never wrong.
                    if let Ok(found) = dump(&segment) {
                        assert_eq!(found, good, "flip at {index}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_truncation_is_reported() {
    let fs = SimFs::default();
    let path = Path::new("s");
    write_sample(&fs, path);
    let whole = fs.read(path).unwrap();
    for len in 0..whole.len() {
        fs.overwrite(path, whole[..len].to_vec()).unwrap();
        assert!(matches!(open(&fs, path), Err(OpenError::Damaged { .. })), "cut to {len} bytes");
    }
}

/// The file that the first release wrote must stay readable, and what is written today must be the same bytes. If
/// this fails because the format changed: raise its version, keep reading the old one, and add a golden file for the
/// new one. If only a compressor's output changed, add a file and keep this one as read-only.
#[test]
fn the_format_is_the_documented_one() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/segment-v1.seg");
    let fs = SimFs::default();
    write_sample(&fs, Path::new("s"));
    let written = fs.read(Path::new("s")).unwrap();
    if std::env::var_os("SKYWATCH_WRITE_GOLDEN").is_some() {
        std::fs::write(&golden, &written).unwrap();
    }
    fs.create(Path::new("golden")).unwrap();
    fs.overwrite(Path::new("golden"), std::fs::read(&golden).unwrap()).unwrap();
    let kept = dump(&open(&fs, Path::new("golden")).unwrap()).unwrap();
    assert_eq!(kept, dump(&open(&fs, Path::new("s")).unwrap()).unwrap());
    assert!(written == std::fs::read(&golden).unwrap(), "the bytes of a segment have changed");
}

#[test]
fn a_later_format_is_named_not_misread() {
    let fs = SimFs::default();
    let path = Path::new("s");
    write_sample(&fs, path);
    let mut bytes = fs.read(path).unwrap();
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs.overwrite(path, bytes).unwrap();
    assert!(matches!(open(&fs, path), Err(OpenError::TooNew { found: 2, supported: 1, .. })));
}

#[test]
fn a_long_series_takes_several_blocks_and_runs() {
    let fs = SimFs::default();
    let path = Path::new("s");
    let mut writer = SegmentWriter::create(&fs, path, 3).unwrap();
    writer.begin_measurement(&"m".into(), vec![field(0, "text", FieldType::String)]);
    writer.begin_series(SeriesId(0), "m");
    let rows_per_block = 64;
    let text = |row: usize| {
        Arc::from(
            format!("{:x}", (row as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
                .repeat(80),
        )
    };
    for block in 0..120 {
        let start = block * rows_per_block;
        let times = (start..start + rows_per_block).map(|time| time as i64).collect();
        let values = (start..start + rows_per_block).map(text).collect();
        let columns = vec![column(Values::String(values), &[])];
        writer.block(&Rows { times, columns, versions: Versions::SETTLED }).unwrap();
    }
    writer.end_series().unwrap();
    let meta = writer.finish().unwrap();
    assert_eq!(meta.rows, 120 * 64);
    let segment = open(&fs, path).unwrap();
    segment.verify().unwrap();
    let dump = dump(&segment).unwrap();
    assert_eq!(dump[0].2.len(), 120);
    let last = dump[0].2[119].columns[0].as_ref().unwrap().get(63);
    assert_eq!(last, Some(FieldValue::String(text(120 * 64 - 1))));
}

proptest! {
    #[test]
    fn entries_of_noise_are_refused_without_a_panic(noise: Vec<u8>) {
        let types = [FieldType::Float, FieldType::String, FieldType::Integer];
        let wanted = [Some(0), Some(1), Some(2)];
        if let Ok(blocks) = entry::parse(&noise, &types, &wanted, 3) {
            prop_assert!(blocks.len() <= noise.len());
        }
    }
}
