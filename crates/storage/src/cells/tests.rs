//! Batches there and back.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn column(kind: FieldType, numbers: &[u8], valid: &[bool]) -> Column {
    let numbers = numbers.iter();
    let values = match kind {
        FieldType::Float => Values::Float(numbers.map(|it| f64::from(*it) - 0.5).collect()),
        FieldType::Integer => Values::Integer(numbers.map(|it| i64::from(*it) - 128).collect()),
        FieldType::Unsigned => Values::Unsigned(numbers.map(|it| u64::from(*it) << 56).collect()),
        FieldType::String => Values::String(numbers.map(|it| format!("s{it}").into()).collect()),
        FieldType::Boolean => Values::Boolean(numbers.map(|it| it % 2 == 0).collect()),
    };
    let rows = valid.len();
    let picks = valid.iter().enumerate().map(|(row, valid)| valid.then_some((0, row)));
    let whole = Column { values, valid: None };
    gather(&[Some(&whole)], picks).unwrap_or_else(|| {
        assert_eq!(whole.values.len(), rows);
        whole.clone()
    })
}

fn kind() -> impl Strategy<Value = FieldType> {
    use FieldType::{Boolean, Float, Integer, String, Unsigned};
    prop::sample::select(vec![Float, Integer, Unsigned, String, Boolean])
}

fn piece() -> impl Strategy<Value = Piece> {
    (
        1usize..6,
        prop::collection::vec((kind(), any::<[u8; 6]>(), any::<[bool; 6]>()), 1..4),
        0u8..3,
        any::<bool>(),
    )
        .prop_map(|(rows, fields, versions, is_regular)| {
            let columns = fields
                .iter()
                .map(|(kind, numbers, valid)| Some(column(*kind, &numbers[..rows], &valid[..rows])));
            let version = |row: usize| Version(1 + row as u64 * 7);
            let versions = match versions {
                0 => Versions::Uniform(Version(9)),
                1 => Versions::Rows((0..rows).map(version).collect()),
                _ => Versions::Cells(
                    (0..fields.len())
                        .map(|column| (0..rows).map(|row| version(row * column)).collect())
                        .collect(),
                ),
            };
            let time = |row: i64| if is_regular { row * 10 - 7 } else { row * row * 3 + row };
            let columns = columns.collect();
            Piece {
                key: "m,host=a".into(),
                fields: fields
                    .iter()
                    .enumerate()
                    .map(|(at, (kind, ..))| (format!("f{at}").into(), *kind))
                    .collect(),
                rows: Rows { times: (0..rows as i64).map(time).collect(), columns, versions },
            }
        })
}

fn bytes_of(batch: &CellBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn batches_come_back_from_bytes(pieces in prop::collection::vec(piece(), 0..4)) {
        let batch = CellBatch { pieces };
        let bytes = bytes_of(&batch);
        prop_assert_eq!(CellBatch::decode(&bytes), Ok(batch));
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1;
            prop_assert!(CellBatch::decode(&damaged).is_err(), "flip at {}", index);
        }
    }

    #[test]
    fn noise_under_a_good_checksum_never_panics(mut noise in prop::collection::vec(any::<u8>(), 0..64)) {
        noise.splice(0..0, [FORMAT, 0]);
        put_crc(&mut noise, 0);
        let _ignored = CellBatch::decode(&noise);
    }
}

#[test]
fn the_format_is_the_documented_one() {
    let text = Values::String(vec!["x".into(), Arc::default(), "y".into()]);
    let mut valid = Bitmap::filled(3, true);
    valid.set(1, false);
    let piece = Piece {
        key: "m,host=a".into(),
        fields: vec![("f".into(), FieldType::Float), ("s".into(), FieldType::String)],
        rows: Rows {
            times: vec![5, 15, 26],
            columns: vec![
                Some(Column { values: Values::Float(vec![0.5, -0.0, 3.25]), valid: None }),
                Some(Column { values: text, valid: Some(valid) }),
            ],
            versions: Versions::Rows(vec![Version(1 << 30), Version(3), Version(1 << 30)]),
        },
    };
    let regular = Piece {
        key: "n".into(),
        fields: vec![("i".into(), FieldType::Integer)],
        rows: Rows {
            times: vec![0, 10, 20],
            columns: vec![Some(Column { values: Values::Integer(vec![1, 2, 3]), valid: None })],
            versions: Versions::Uniform(Version(77)),
        },
    };
    let batch = CellBatch { pieces: vec![piece, regular] };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cells-v1.cells");
    let written = bytes_of(&batch);
    if std::env::var_os("SKYWATCH_WRITE_GOLDEN").is_some() {
        std::fs::write(&golden, &written).unwrap();
    }
    let kept = std::fs::read(&golden).unwrap();
    assert_eq!(CellBatch::decode(&kept), Ok(batch));
    assert!(written == kept, "the bytes of a batch of cells have changed");
}
