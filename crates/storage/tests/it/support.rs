//! Cells in, cells out.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use skywatch_model::{Column, FieldValue, RowBlock, TimeRange, Version, line::PointBatch};
use skywatch_storage::{
    BlockStats, End, Order, ReadError, ScanBlock, ScanRequest, Shard, ShardId, ShardRead, SpanStats, Store,
    StoreOptions, Sum, TagPredicate, WriteError, WriteReport, fs::SimFs,
};

/// Series key, field name, time.
pub(crate) type CellKey = (String, String, i64);
pub(crate) type Cells = BTreeMap<CellKey, FieldValue>;

pub(crate) const DIR: &str = "data";
pub(crate) const SHARD: ShardId = ShardId(7);

/// Nothing happens unasked.
pub(crate) fn manual() -> StoreOptions {
    StoreOptions { background: false, overload_wait: Duration::from_millis(1), ..StoreOptions::default() }
}

pub(crate) fn open(fs: &SimFs, options: StoreOptions) -> Store {
    try_open(fs, options).unwrap()
}

pub(crate) fn try_open(fs: &SimFs, options: StoreOptions) -> Result<Store, skywatch_storage::OpenError> {
    Store::open_on(Arc::new(fs.clone()), Path::new(DIR), options)
}

pub(crate) fn shard(store: &Store) -> Arc<Shard> {
    store.create_shard(SHARD, TimeRange::ALL).unwrap()
}

/// One point: series key, time, fields.
pub(crate) type Point = (String, i64, Vec<(String, FieldValue)>);

pub(crate) fn batch(points: &[Point]) -> PointBatch<'static> {
    let mut batch = PointBatch::new();
    for (key, time, fields) in points {
        batch.push(key, *time, fields.iter().map(|(name, value)| (name.as_str(), value.as_ref()))).unwrap();
    }
    batch
}

pub(crate) fn write(shard: &Shard, points: &[Point], version: u64) -> Result<WriteReport, WriteError> {
    let batch = batch(points);
    let all: Vec<u32> = (0..batch.len() as u32).collect();
    shard.write(&batch, &all, Version(version))
}

/// `value` of series `series`.
pub(crate) fn simple(series: u32, time: i64, value: f64) -> Point {
    (format!("m,host=h{series}"), time, vec![("value".to_owned(), FieldValue::Float(value))])
}

/// Everything in a snapshot, and every statistic checked against the rows it claims to describe.
pub(crate) fn cells(snapshot: &dyn ShardRead) -> Result<Cells, ReadError> {
    cells_in(snapshot, TimeRange::ALL, Order::Ascending)
}

pub(crate) fn cells_in(snapshot: &dyn ShardRead, range: TimeRange, order: Order) -> Result<Cells, ReadError> {
    cells_of(snapshot, range, order, |_| true)
}

/// As [`cells_in`], asking only for fields that are wanted, and for one that nobody has.
pub(crate) fn cells_of(
    snapshot: &dyn ShardRead,
    range: TimeRange,
    order: Order,
    wanted: impl Fn(&str) -> bool,
) -> Result<Cells, ReadError> {
    let mut cells = Cells::new();
    for measurement in snapshot.measurements()? {
        let fields = snapshot.fields(&measurement)?.into_iter().map(|(name, _)| name);
        let names: Vec<Arc<str>> =
            ["nobody has this".into()].into_iter().chain(fields.filter(|name| wanted(name))).collect();
        for series in snapshot.select_series(&measurement, &TagPredicate::All)? {
            let key = snapshot.series_key(series);
            let scanner = snapshot.scanner(&ScanRequest::new(&measurement, &names))?;
            let mut scan = scanner.scan(series, range, order)?;
            let mut last: Option<TimeRange> = None;
            while let Some(block) = scan.next_block()? {
                let here = block.time_range();
                assert!(range.covers(here), "{here:?} outside {range:?}");
                if let Some(last) = last {
                    let ascends =
                        if order == Order::Ascending { last.end < here.start } else { here.end < last.start };
                    assert!(ascends, "{here:?} after {last:?} in {order:?}");
                }
                last = Some(here);
                let rows = block.decode()?;
                assert!(rows.times.windows(2).all(|pair| pair[0] < pair[1]), "times ascend");
                assert!(rows.times.iter().all(|time| here.contains(*time)), "rows lie within their block");
                for (index, name) in names.iter().enumerate() {
                    let values: Vec<(i64, FieldValue)> = rows
                        .times
                        .iter()
                        .enumerate()
                        .filter_map(|(row, time)| Some((*time, rows.columns[index].as_ref()?.get(row)?)))
                        .collect();
                    assert!(!block.lacks(index) || values.is_empty(), "{name} is there");
                    check_stats(block.stats(index), &values);
                    check_spans(block.spans(index), &values);
                    for (time, value) in values {
                        cells.insert((key.to_string(), name.to_string(), time), value);
                    }
                }
                check_ends(&*block, &rows);
                for row in 0..rows.times.len() {
                    assert!(
                        rows.columns.iter().flatten().any(|column| column.is_valid(row)),
                        "a row without a value"
                    );
                }
            }
        }
    }
    Ok(cells)
}

/// The parts hold the values, in order, and nothing else.
fn check_spans(spans: Option<&[SpanStats]>, values: &[(i64, FieldValue)]) {
    let Some(spans) = spans else { return };
    let mut rest = values;
    for span in spans {
        let (part, after) = rest.split_at(span.count as usize);
        rest = after;
        let extreme = |of: &Option<FieldValue>| {
            let value = of.clone()?;
            part.iter().find(|(_, it)| *it == value).cloned()
        };
        let stats = BlockStats {
            count: span.count,
            first: span.first.clone(),
            last: span.last.clone(),
            min: extreme(&span.min),
            max: extreme(&span.max),
            sum: span.sum,
        };
        check_stats(Some(&stats), part);
    }
    assert!(rest.is_empty(), "values outside the parts");
}

/// A row known without decoding is that of the decoded rows.
fn check_ends(block: &dyn ScanBlock, rows: &RowBlock) {
    for (end, row) in [(End::First, 0), (End::Last, rows.times.len().wrapping_sub(1))] {
        let Some(known) = block.end_row(end) else { continue };
        assert_eq!(known.times, rows.times[row..=row], "{end:?}");
        assert_eq!(known.columns.len(), rows.columns.len());
        for (known, column) in known.columns.iter().zip(&rows.columns) {
            let value = |column: &Option<Column>, row| column.as_ref().and_then(|it: &Column| it.get(row));
            assert_eq!(value(known, 0), value(column, row), "{end:?}");
        }
    }
}

fn check_stats(stats: Option<&BlockStats>, values: &[(i64, FieldValue)]) {
    let Some(stats) = stats else { return };
    assert_eq!(stats.count, values.len() as u64);
    assert_eq!(Some(&stats.first), values.first());
    assert_eq!(Some(&stats.last), values.last());
    let sum = values.iter().fold(Sum::None, |sum, (_, value)| match (sum, value) {
        (Sum::None, FieldValue::Float(value)) => Sum::Float(0.0 + value),
        (Sum::None, FieldValue::Integer(value)) => Sum::Integer(*value),
        (Sum::None, FieldValue::Unsigned(value)) => Sum::Unsigned(*value),
        (Sum::Float(sum), FieldValue::Float(value)) => Sum::Float(sum + value),
        (Sum::Integer(sum), FieldValue::Integer(value)) => Sum::Integer(sum.wrapping_add(*value)),
        (Sum::Unsigned(sum), FieldValue::Unsigned(value)) => Sum::Unsigned(sum.wrapping_add(*value)),
        (sum, _) => sum,
    });
    assert_eq!(stats.sum, sum);
    let number = |value: &FieldValue| match value {
        FieldValue::Float(value) => Some(*value),
        FieldValue::Integer(value) => Some(*value as f64),
        FieldValue::Unsigned(value) => Some(*value as f64),
        FieldValue::String(_) | FieldValue::Boolean(_) => None,
    };
    let extreme = |better: fn(f64, f64) -> bool| {
        values.iter().fold(None::<&(i64, FieldValue)>, |best, cell| match best {
            None => number(&cell.1).map(|_| cell),
            Some(best) if number(&cell.1) > None && better(number(&cell.1)?, number(&best.1)?) => Some(cell),
            Some(best) => Some(best),
        })
    };
    assert_eq!(stats.min.as_ref(), extreme(|a, b| a < b));
    assert_eq!(stats.max.as_ref(), extreme(|a, b| a > b));
}

/// What the points say, later ones winning.
pub(crate) fn expected<'a>(points: impl IntoIterator<Item = &'a Point>) -> Cells {
    let mut cells = Cells::new();
    for (key, time, fields) in points {
        for (name, value) in fields {
            cells.insert((key.clone(), name.clone(), *time), value.clone());
        }
    }
    cells
}
