//! Records there and back.

use proptest::prelude::*;
use skywatch_model::FieldType;

use super::*;

/// One row: group, series, time, seed of its values.
type Row = (usize, u32, i64, i64);

fn layouts() -> Vec<Arc<Layout>> {
    let layout = |fields: &[(u32, FieldType)]| {
        Arc::new(Layout {
            fields: fields.iter().map(|(id, _)| FieldId(*id)).collect(),
            types: fields.iter().map(|(_, field_type)| *field_type).collect(),
        })
    };
    vec![
        layout(&[(0, FieldType::Float), (1, FieldType::Integer)]),
        layout(&[(900, FieldType::String)]),
        layout(&[(3, FieldType::Boolean), (4, FieldType::Unsigned), (0, FieldType::Float)]),
    ]
}

fn row_set(rows: &[Row]) -> RowSet {
    let layouts = layouts();
    let mut set = RowSet::default();
    set.version = Version(1 << 40);
    for (group, series, time, seed) in rows {
        let (number, group) = set.group_for(&layouts[*group]);
        group.series.push(SeriesId(*series));
        group.times.push(*time);
        for column in &mut group.columns {
            match column {
                Buffer::Float(values) => {
                    values.push(if seed % 3 == 0 {
                        f64::from_bits(*seed as u64)
                    } else {
                        *seed as f64 / 4.0
                    });
                }
                Buffer::Integer(values) => values.push(*seed),
                Buffer::Unsigned(values) => values.push(*seed as u64),
                Buffer::Boolean(values) => values.push(seed % 2 == 0),
                Buffer::String(values) => values.push(&seed.to_string()),
            }
        }
        set.add_rows(number, 1);
    }
    set
}

/// The rows in order of arrival, values as text that tells all floats apart.
fn flat(set: &RowSet) -> Vec<String> {
    let mut next = vec![0; set.groups().len()];
    let mut flat = Vec::new();
    for run in set.runs() {
        let group = &set.groups()[run.group as usize];
        for _ in 0..run.rows {
            let row = next[run.group as usize];
            next[run.group as usize] += 1;
            let values: Vec<String> = group
                .columns
                .iter()
                .map(|column| match column {
                    Buffer::Float(values) => format!("{:x}", values[row].to_bits()),
                    Buffer::Integer(values) => values[row].to_string(),
                    Buffer::Unsigned(values) => values[row].to_string(),
                    Buffer::Boolean(values) => values[row].to_string(),
                    Buffer::String(values) => values.get(row).to_owned(),
                })
                .collect();
            flat.push(format!(
                "{:?} {:?} {} {values:?}",
                group.layout.fields, group.series[row], group.times[row]
            ));
        }
    }
    flat
}

fn bodies(frames: &[u8]) -> Vec<Record> {
    let found = frame::find_frames(frames, 0);
    assert_eq!((found.end, found.damaged.len()), (frames.len(), 0));
    found.bodies.into_iter().map(|body| Record::decode(&frames[body]).unwrap()).collect()
}

fn decode_rows(frames: &[u8]) -> RowSet {
    match bodies(frames).as_slice() {
        [Record::Rows(payload)] => RowDecoder::default().decode(payload).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0usize..3, any::<u32>(), any::<i64>(), any::<i64>()), 1..60)
}

proptest! {
    #[test]
    fn rows_come_back_in_order(rows in rows()) {
        let set = row_set(&rows);
        set.check();
        let mut encoder = Encoder::default();
        let decoded = decode_rows(encoder.rows(&set).unwrap());
        prop_assert_eq!(decoded.version, set.version);
        prop_assert_eq!(flat(&decoded), flat(&set));
    }

    #[test]
    fn a_reused_set_writes_only_its_new_rows(first in rows(), second in rows()) {
        let mut set = row_set(&first);
        set.clear();
        prop_assert!(set.is_empty());
        let fresh = row_set(&second);
        for (group, series, time, seed) in &second {
            let one = row_set(&[(*group, *series, *time, *seed)]);
            let (number, target) = set.group_for(&layouts()[*group]);
            let source = one.groups().iter().find(|group| group.len() > 0).unwrap();
            target.series.extend(&source.series);
            target.times.extend(&source.times);
            for (column, more) in target.columns.iter_mut().zip(&source.columns) {
                column.extend(more, 0..source.len());
            }
            set.add_rows(number, 1);
        }
        prop_assert_eq!(flat(&set), flat(&fresh));
    }

    #[test]
    fn noise_is_refused_without_a_panic(noise: Vec<u8>) {
        if let Ok(Record::Rows(payload)) = Record::decode(&noise) {
            drop(RowDecoder::default().decode(&payload));
        }
        drop(RowDecoder::default().decode(&noise));
    }

    #[test]
    fn damaged_rows_are_refused_or_consistent(rows in rows(), at: prop::sample::Index, bit in 0u8..8) {
        let mut payload = Vec::new();
        put_rows(&row_set(&rows), &mut payload, &mut Vec::new());
        let index = at.index(payload.len());
        payload[index] ^= 1 << bit;
        if let Ok(decoded) = RowDecoder::default().decode(&payload) {
            decoded.check();
        }
    }
}

#[test]
fn definitions_come_back() {
    let series = vec![SeriesDefinition { id: SeriesId(5), key: "cpu,host=a".into() }];
    let fields = vec![FieldDefinition {
        id: FieldId(9),
        measurement: "cpu".into(),
        name: "idle".into(),
        field_type: FieldType::Boolean,
    }];
    let mut encoder = Encoder::default();
    let records = bodies(encoder.definitions(&series, &fields).unwrap());
    match records.as_slice() {
        [Record::Series(read_series), Record::Fields(read_fields)] => {
            assert_eq!((read_series, read_fields), (&series, &fields));
        }
        other => panic!("{other:?}"),
    }
    assert!(encoder.definitions(&[], &[]).unwrap().is_empty());
}

#[test]
fn a_batch_of_ordinary_points_takes_about_a_byte_a_value() {
    let layout = layouts().swap_remove(0);
    let mut set = RowSet::default();
    for row in 0..5000u32 {
        let (number, group) = set.group_for(&layout);
        group.series.push(SeriesId(row % 1000));
        group.times.push(1_600_000_000_000_000_000 + i64::from(row / 1000) * 10_000_000_000);
        match group.columns.as_mut_slice() {
            [Buffer::Float(floats), Buffer::Integer(integers)] => {
                floats.push(f64::from(row.wrapping_mul(2_654_435_761) >> 25) / 2.0);
                integers.push(i64::from(row.wrapping_mul(40_503) % 100));
            }
            other => panic!("{other:?}"),
        }
        set.add_rows(number, 1);
    }
    let mut encoder = Encoder::default();
    let len = encoder.rows(&set).unwrap().len();
    assert!(len < 13_000, "{len} bytes for 10,000 values");
}
