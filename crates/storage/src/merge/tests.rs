use super::*;

fn floats(values: &[Option<f64>]) -> Option<Column> {
    let mut valid = Bitmap::filled(values.len(), true);
    for (index, value) in values.iter().enumerate() {
        valid.set(index, value.is_some());
    }
    let values = values.iter().map(|value| value.unwrap_or_default()).collect();
    Some(Column { values: Values::Float(values), valid: Some(valid) })
}

#[test]
fn dropping_empty_rows_leaves_the_gaps_of_the_others() {
    let rows = Rows {
        times: vec![0, 3, 4, 9],
        columns: vec![
            floats(&[Some(1.0), Some(2.0), None, None]),
            floats(&[Some(5.0), None, Some(6.0), None]),
            floats(&[None; 4]),
            None,
        ],
        versions: Versions::SETTLED,
    };
    let kept = rows.without_empty_rows();
    assert_eq!(kept.times, [0, 3, 4]);
    let cells = |column: usize| -> Vec<_> {
        let column = kept.columns[column].as_ref().unwrap();
        (0..3).map(|row| column.get(row)).collect()
    };
    let float = |value| Some(skywatch_model::FieldValue::Float(value));
    assert_eq!(cells(0), [float(1.0), float(2.0), None]);
    assert_eq!(cells(1), [float(5.0), None, float(6.0)]);
    assert_eq!(&kept.columns[2..], [None, None]);
}
