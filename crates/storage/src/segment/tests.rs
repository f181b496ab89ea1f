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
    write_long(&mut writer);
    writer.finish().unwrap()
}

const MINUTE: i64 = 60_000_000_000;

/// Rows every ten seconds, or not quite, around 1970; the walk is the same each time.
fn long_times(rows: usize, jitter: u64) -> Vec<i64> {
    let off = |row: usize| (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % (jitter + 1);
    (0..rows).map(|row| row as i64 * MINUTE / 6 - 55 * MINUTE + off(row) as i64).collect()
}

fn walk(rows: usize) -> Vec<i64> {
    let mut state = 7u64;
    let mut value = 50;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value += (state >> 33) as i64 % 3 - 1;
        value
    };
    (0..rows).map(step).collect()
}

/// Series long enough to have statistics by parts: every type, regular and not, with gaps and without.
fn write_long(writer: &mut SegmentWriter) {
    writer.begin_measurement(
        &"walks".into(),
        vec![
            field(5, "bool", FieldType::Boolean),
            field(6, "decimal", FieldType::Float),
            field(7, "float", FieldType::Float),
            field(8, "int", FieldType::Integer),
            field(9, "text", FieldType::String),
            field(10, "uint", FieldType::Unsigned),
        ],
    );
    let walk = walk(900);
    for (id, jitter) in [(20, 0), (21, 999_999)] {
        writer.begin_series(SeriesId(id), &format!("walks,n={id}"));
        let nulls: Vec<usize> =
            (0..900).filter(|row| id == 21 && (row % 7 == 3 || (330..700).contains(row))).collect();
        let floats = |of: fn(i64) -> f64| Values::Float(walk.iter().map(|value| of(*value)).collect());
        let columns = vec![
            column(Values::Boolean(walk.iter().map(|value| value % 2 == 0).collect()), &nulls),
            column(floats(|value| value as f64 / 100.0), &nulls),
            column(floats(|value| (value as f64).sqrt()), &[]),
            column(Values::Integer(walk.clone()), &nulls),
            column(Values::String(walk.iter().map(|value| value.to_string().into()).collect()), &[]),
            column(Values::Unsigned(walk.iter().map(|value| *value as u64 + (u64::MAX / 2)).collect()), &[]),
        ];
        writer.block(&Rows { times: long_times(900, jitter), columns, versions: Versions::SETTLED }).unwrap();
        writer.end_series().unwrap();
    }
}

/// Rows and statistics of the blocks of a series.
type Dump = Vec<(String, u32, Vec<Rows>, Vec<Option<crate::BlockStats>>)>;

/// Blocks of a series.
fn blocks<'a>(
    segment: &'a Segment,
    measurement: &str,
    series: SeriesId,
    wanted: &[Option<FieldId>],
) -> Result<Vec<BlockHead<'a>>, ReadError> {
    let mut blocks = Vec::new();
    if let Some(columns) = segment.columns(measurement, wanted) {
        columns.blocks(series, TimeRange::ALL, &mut blocks)?;
    }
    Ok(blocks)
}

/// Checks what the parts of a block say against its rows, over ranges that cut parts and that do not.
fn check_spans(block: &BlockHead<'_>, rows: &Rows) {
    let (first, last) = (rows.times[0], rows.times[rows.times.len() - 1]);
    let hour = 60 * MINUTE;
    let edges =
        [first, first.div_euclid(hour) * hour + hour, (last.div_euclid(hour)) * hour, first + 1, last];
    for (start, end) in edges.iter().flat_map(|start| edges.iter().map(move |end| (*start, *end))) {
        let range = TimeRange::new(start, if end == last { last } else { end - 1 });
        for (index, column) in rows.columns.iter().enumerate() {
            let (Some(spans), Some(column)) = (block.spans(index, range), column) else { continue };
            let values = (0..rows.times.len()).filter_map(|row| Some((rows.times[row], column.get(row)?)));
            let mut inside = values.filter(|(time, _)| range.contains(*time)).peekable();
            for span in spans {
                let mut of_part = Vec::new();
                while let Some(cell) = inside.next_if(|(time, _)| *time <= span.last.0) {
                    of_part.push(cell);
                }
                assert_eq!(span.count as usize, of_part.len());
                assert_eq!((Some(&span.first), Some(&span.last)), (of_part.first(), of_part.last()));
                assert_eq!(span.first.0.div_euclid(hour), span.last.0.div_euclid(hour), "aligned");
                let compare = |a: &FieldValue, b: &FieldValue| match (a, b) {
                    (FieldValue::Float(a), FieldValue::Float(b)) => a.total_cmp(b),
                    (FieldValue::Integer(a), FieldValue::Integer(b)) => a.cmp(b),
                    (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => a.cmp(b),
                    _ => std::cmp::Ordering::Equal,
                };
                if let (Some(min), Some(max)) = (&span.min, &span.max) {
                    let values = || of_part.iter().map(|(_, value)| value);
                    assert_eq!(Some(min), values().min_by(|a, b| compare(a, b)));
                    assert_eq!(Some(max), values().max_by(|a, b| compare(a, b)));
                }
                let values = of_part.iter().map(|(_, value)| value);
                match span.sum {
                    crate::Sum::Float(sum) => {
                        let add = |sum: f64, value: &FieldValue| match value {
                            FieldValue::Float(value) => sum + value,
                            _ => panic!("no float"),
                        };
                        assert_eq!(values.fold(0.0, add).to_bits(), sum.to_bits());
                    }
                    crate::Sum::Integer(sum) => {
                        let number = |value: &FieldValue| match value {
                            FieldValue::Integer(value) => *value,
                            _ => panic!("no integer"),
                        };
                        assert_eq!(values.map(number).fold(0i64, i64::wrapping_add), sum);
                    }
                    crate::Sum::Unsigned(sum) => {
                        let number = |value: &FieldValue| match value {
                            FieldValue::Unsigned(value) => *value,
                            _ => panic!("no unsigned"),
                        };
                        assert_eq!(values.map(number).fold(0u64, u64::wrapping_add), sum);
                    }
                    crate::Sum::None => assert!(span.min.is_none()),
                }
            }
            assert_eq!(inside.next(), None, "parts hold everything in the range");
        }
    }
}

fn dump(segment: &Segment) -> Result<Dump, ReadError> {
    let mut dump = Vec::new();
    for measurement in segment.measurements() {
        let wanted: Vec<_> = measurement.fields.iter().map(|field| Some(field.id)).collect();
        let mut index = 0;
        while let Some(series) = segment.series_at(measurement, index) {
            index += 1;
            let blocks = blocks(segment, &measurement.name, series, &wanted)?;
            let decode = |block| segment.decode(block, TimeRange::ALL, true);
            let rows: Vec<Rows> = blocks.iter().map(decode).collect::<Result<_, _>>()?;
            blocks.iter().zip(&rows).for_each(|(block, rows)| check_spans(block, rows));
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
    assert_eq!(
        (meta.rows, meta.cells, meta.series, meta.range),
        (13 + 1800, 25 + 1800 * 6 - 3 * 446, 5, TimeRange::new(-55 * MINUTE, long_times(900, 999_999)[899]))
    );
    let segment = open(&fs, path).unwrap();
    assert_eq!(segment.meta(), &meta);
    let keys: Vec<_> = segment.keys().unwrap().into_iter().map(|it| (it.id.0, it.key.to_string())).collect();
    assert_eq!(
        keys,
        [
            (2, "cpu,host=a".into()),
            (9, "cpu,host=b".into()),
            (1, "text".into()),
            (20, "walks,n=20".into()),
            (21, "walks,n=21".into())
        ]
    );
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
    let wanted = [Some(FieldId(1)), None, Some(FieldId(0)), Some(FieldId(99))];
    let found = blocks(&segment, "cpu", SeriesId(2), &wanted).unwrap();
    let rows = segment.decode(&found[0], TimeRange::ALL, false).unwrap();
    let types: Vec<_> =
        rows.columns.iter().map(|column| column.as_ref().map(|it| it.values.field_type())).collect();
    assert_eq!(types, [Some(FieldType::Boolean), None, Some(FieldType::Float), None]);
    assert!(blocks(&segment, "cpu", SeriesId(3), &wanted).unwrap().is_empty());
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
        let mut bytes = whole.clone();
        bytes[index] ^= 1 << (index % 8);
        fs.overwrite(path, bytes).unwrap();
        match open(&fs, path) {
            Err(OpenError::Damaged { path: file, .. }) => assert_eq!(file, path),
            Err(error) => panic!("flip at {index}: {error}"),
            Ok(segment) => {
                match verify(&segment) {
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

fn golden(fs: &SimFs, name: &str) -> (PathBuf, Segment) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    fs.create(Path::new(name)).unwrap();
    fs.overwrite(Path::new(name), std::fs::read(&path).unwrap()).unwrap();
    let segment = open(fs, Path::new(name)).unwrap();
    (path, segment)
}

/// What the parts of four hours of ten integers every ten seconds cost.
#[test]
fn parts_are_small() {
    let fs = SimFs::default();
    let mut writer = SegmentWriter::create(&fs, Path::new("s"), 3).unwrap();
    let fields = (0..10).map(|id| field(id, &format!("f{id}"), FieldType::Integer)).collect();
    writer.begin_measurement(&"m".into(), fields);
    writer.begin_series(SeriesId(0), "m");
    let rows = 1440;
    let mut state = 1u64;
    let mut walk = |_| {
        let mut value = 50.0f64;
        let step = |_| {
            let mut uniform = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 53) as f64
            };
            value = (value + (0..12).map(|_| uniform()).sum::<f64>() - 6.0).clamp(0.0, 100.0);
            value as i64
        };
        column(Values::Integer((0..rows).map(step).collect()), &[])
    };
    let columns = (0..10).map(&mut walk).collect();
    let times = (0..rows).map(|row| row * 10_000_000_000).collect();
    writer.block(&Rows { times, columns, versions: Versions::SETTLED }).unwrap();
    writer.end_series().unwrap();
    let meta = writer.finish().unwrap();
    let segment = open(&fs, Path::new("s")).unwrap();
    let wanted: Vec<_> = (0..10).map(|id| Some(FieldId(id))).collect();
    let block = &blocks(&segment, "m", SeriesId(0), &wanted).unwrap()[0];
    let spans: usize =
        block.fields.iter().flatten().map(|field| 1 + field.cell.spans.map_or(0, <[u8]>::len)).sum();
    let per_value = spans as f64 / meta.cells as f64;
    assert!((0.01..0.02).contains(&per_value), "{per_value} bytes a value");
}

/// Several bytes at once, and pieces of the file in the wrong place.
#[test]
fn garbage_in_a_file_is_reported_or_harmless() {
    let fs = SimFs::default();
    let path = Path::new("s");
    write_sample(&fs, path);
    let whole = fs.read(path).unwrap();
    let good = dump(&open(&fs, path).unwrap()).unwrap();
    let mut state = 3u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for round in 0..1500 {
        let mut bytes = whole.clone();
        let (at, len) = (below(whole.len()), 1 + below(64));
        let end = (at + len).min(whole.len());
        if round % 2 == 0 {
            bytes[at..end].iter_mut().for_each(|byte| *byte = below(256) as u8);
        } else {
            let from = below(whole.len() - (end - at));
            bytes.copy_within(from..from + (end - at), at);
        }
        let is_same = bytes == whole;
        fs.overwrite(path, bytes).unwrap();
        let Ok(segment) = open(&fs, path) else {
            assert!(!is_same);
            continue;
        };
        assert_eq!(verify(&segment).is_ok(), is_same, "round {round} at {at}");
        assert_eq!(segment.is_damaged(), !is_same);
        if let Ok(found) = dump(&segment) {
            assert_eq!(found, good, "round {round} at {at}");
        }
    }
}

/// Files of earlier versions must stay readable. What is written today must be the same bytes as in the latest. If
/// this fails because the format changed: raise its version, keep reading the old one, and add a golden file for the
/// new one. If only a compressor's output changed, add a file and keep this one as read-only.
#[test]
fn the_format_is_the_documented_one() {
    let fs = SimFs::default();
    write_sample(&fs, Path::new("s"));
    let written = fs.read(Path::new("s")).unwrap();
    let latest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/segment-v2.seg");
    if std::env::var_os("SKYWATCH_WRITE_GOLDEN").is_some() {
        std::fs::write(&latest, &written).unwrap();
    }
    let today = dump(&open(&fs, Path::new("s")).unwrap()).unwrap();
    let (path, segment) = golden(&fs, "segment-v2.seg");
    assert_eq!(dump(&segment).unwrap(), today);
    assert!(written == std::fs::read(&path).unwrap(), "the bytes of a segment have changed");
    let (_, segment) = golden(&fs, "segment-v1.seg");
    assert_eq!(dump(&segment).unwrap(), today[..3], "version 1 had no long series in its sample");
}

#[test]
fn long_blocks_have_statistics_by_parts() {
    let fs = SimFs::default();
    write_sample(&fs, Path::new("s"));
    let segment = open(&fs, Path::new("s")).unwrap();
    let wanted: Vec<_> = (5..=10).map(|id| Some(FieldId(id))).collect();
    let of = |id| blocks(&segment, "walks", SeriesId(id), &wanted).unwrap();
    for (id, with_nulls) in [(20, 3), (21, 2)] {
        let block = &of(id)[0];
        let counts: Vec<Option<usize>> =
            (0..6).map(|index| block.spans(index, TimeRange::ALL).map(<[_]>::len)).collect();
        let nulls = Some(with_nulls);
        assert_eq!(counts, [nulls, nulls, Some(3), nulls, None, Some(3)], "series {id}");
        let second_hour = TimeRange::new(0, 60 * MINUTE - 1);
        assert_eq!(block.spans(2, second_hour).unwrap().len(), 1);
        assert!(block.spans(2, TimeRange::new(1_000_000, 60 * MINUTE - 1)).is_none(), "cut");
    }
    let short = blocks(&segment, "cpu", SeriesId(2), &[Some(FieldId(0))]).unwrap();
    assert!(short[0].spans(0, TimeRange::ALL).is_none(), "nothing to gain");
}

#[test]
fn a_later_format_is_named_not_misread() {
    let fs = SimFs::default();
    let path = Path::new("s");
    write_sample(&fs, path);
    let mut bytes = fs.read(path).unwrap();
    bytes[8] = 3;
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs.overwrite(path, bytes).unwrap();
    assert!(matches!(open(&fs, path), Err(OpenError::TooNew { found: 3, supported: 2, .. })));
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
    verify(&segment).unwrap();
    let dump = dump(&segment).unwrap();
    assert_eq!(dump[0].2.len(), 120);
    let last = dump[0].2[119].columns[0].as_ref().unwrap().get(63);
    assert_eq!(last, Some(FieldValue::String(text(120 * 64 - 1))));
}

proptest! {
    #[test]
    fn entries_of_noise_are_refused_without_a_panic(noise: Vec<u8>, version in 1u32..=2) {
        let types = [FieldType::Float, FieldType::String, FieldType::Integer];
        let places = [Some(0), Some(1), Some(2)];
        let wanted =
            entry::Wanted { version, types: &types, places: &places, width: 3, range: TimeRange::ALL };
        let mut blocks = Vec::new();
        let Ok(mut entry) = entry::Entry::new(&noise) else { return Ok(()) };
        while let Ok(true) = entry.next_run(&wanted, &mut blocks) {}
        prop_assert!(blocks.len() <= noise.len());
        for block in &blocks {
            let found = (0..3).filter(|index| block.stats(*index).is_some() && block.spans(*index, TimeRange::ALL).is_some());
            prop_assert!(found.count() <= 3);
        }
    }

    #[test]
    fn parts_say_what_their_rows_say(
        steps in prop::collection::vec(1u64..1 << 34, 300..700),
        base in -1i64 << 40..1i64 << 40,
        words: Vec<i64>,
        exponent in 0i32..5,
    ) {
        let mut time = base;
        let times: Vec<i64> = steps.iter().map(|step| { time += *step as i64; time }).collect();
        let word = |row: usize| words.get(row % words.len().max(1)).copied().unwrap_or(row as i64);
        let rows = 0..times.len();
        let nulls: Vec<usize> = rows.clone().filter(|row| word(*row) % 5 == 0).collect();
        let decimal = |row: usize| (word(row) % 100_000) as f64 / 10f64.powi(exponent);
        let columns = vec![
            column(Values::Integer(rows.clone().map(word).collect()), &nulls),
            column(Values::Float(rows.clone().map(decimal).collect()), &[]),
            column(Values::Float(rows.clone().map(|row| word(row) as f64 * 0.1).collect()), &nulls),
            column(Values::Unsigned(rows.clone().map(|row| word(row) as u64).collect()), &[]),
            column(Values::Boolean(rows.map(|row| word(row) % 2 == 0).collect()), &nulls),
        ];
        let types = [FieldType::Integer, FieldType::Float, FieldType::Float, FieldType::Unsigned, FieldType::Boolean];
        let fs = SimFs::default();
        let mut writer = SegmentWriter::create(&fs, Path::new("s"), 3).unwrap();
        let fields = types.iter().enumerate().map(|(id, kind)| field(id as u32, &format!("f{id}"), *kind));
        writer.begin_measurement(&"m".into(), fields.collect());
        writer.begin_series(SeriesId(0), "m");
        let wide = 8 * 3600 * 1_000_000_000;
        writer.block(&Rows { times: times.clone(), columns, versions: Versions::SETTLED }).unwrap();
        writer.end_series().unwrap();
        writer.finish().unwrap();
        let segment = open(&fs, Path::new("s")).unwrap();
        let wanted: Vec<_> = (0..5).map(|id| Some(FieldId(id))).collect();
        let block = &blocks(&segment, "m", SeriesId(0), &wanted).unwrap()[0];
        let all = segment.decode(block, TimeRange::ALL, false).unwrap();
        check_spans(block, &all);
        if times[times.len() - 1] - times[0] > wide {
            prop_assert!(block.spans(1, TimeRange::ALL).is_some());
        }
        // Rows of a part of the block are those of the whole.
        let (start, end) = (times.len() / 3, times.len() / 2);
        let part = segment.decode(block, TimeRange::new(times[start], times[end]), false).unwrap();
        let sliced = crate::scan::slice(&all, start, end + 1);
        prop_assert_eq!(part, sliced);
    }
}

/// The first damage.
fn verify(segment: &Segment) -> Result<(), ReadError> {
    let mut first = None;
    segment.verify(&mut |damage| {
        first.get_or_insert(damage);
    });
    first.map_or(Ok(()), Err)
}
