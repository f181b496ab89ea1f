//! A shard in memory: what subqueries answer into, and what tests read from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use skywatch_model::{Bitmap, Column, FieldType, FieldValue, RowBlock, TimeRange, Values, series};
use skywatch_storage::{
    BlockStats, BlockStream, Order, ReadError, ScanBlock, ScanRequest, SeriesRef, ShardRead, Sum,
    TagPredicate,
};

use crate::plan::tags_match;

type Tags = Arc<[(Arc<str>, Arc<str>)]>;

/// An immutable shard held in memory. Its blocks hold a fixed number of rows.
#[derive(Debug)]
pub struct MemoryShard {
    range: TimeRange,
    measurements: BTreeMap<Arc<str>, MemoryMeasurement>,
    series: Vec<MemorySeries>,
    block_rows: usize,
    with_stats: bool,
}

#[derive(Debug, Default)]
struct MemoryMeasurement {
    fields: BTreeMap<Arc<str>, FieldType>,
    tag_keys: BTreeSet<Arc<str>>,
    /// Sorted by key once built.
    series: Vec<SeriesRef>,
}

#[derive(Debug)]
struct MemorySeries {
    key: Arc<str>,
    tags: Tags,
    times: Vec<i64>,
    columns: Vec<(Arc<str>, Column)>,
}

impl MemoryShard {
    /// A shard without data for `range`, with blocks of `block_rows` rows (at least 1).
    pub fn new(range: TimeRange, block_rows: usize, with_stats: bool) -> Self {
        let block_rows = block_rows.max(1);
        Self { range, measurements: BTreeMap::new(), series: Vec::new(), block_rows, with_stats }
    }

    /// Adds a series: tags sorted by key, times ascending, columns as long as `times`. A field that has another
    /// type in an earlier series is dropped. A series may be added once only.
    pub fn add_series(
        &mut self,
        measurement: &Arc<str>,
        tags: Tags,
        times: Vec<i64>,
        columns: Vec<(Arc<str>, Column)>,
    ) {
        let key = series::make_key(measurement, tags.iter().map(|(key, value)| (&**key, &**value)));
        let known = self.measurements.entry(Arc::clone(measurement)).or_default();
        let mut kept = Vec::with_capacity(columns.len());
        for (name, column) in columns {
            let field_type = column.values.field_type();
            if *known.fields.entry(Arc::clone(&name)).or_insert(field_type) == field_type {
                kept.push((name, column));
            }
        }
        known.tag_keys.extend(tags.iter().map(|(key, _)| Arc::clone(key)));
        let series = SeriesRef(self.series.len() as u32);
        let position =
            known.series.partition_point(|other| self.series[other.0 as usize].key.as_ref() < key.as_str());
        known.series.insert(position, series);
        self.series.push(MemorySeries { key: key.into(), tags, times, columns: kept });
    }

    fn series(&self, series: SeriesRef) -> &MemorySeries {
        &self.series[series.0 as usize]
    }
}

impl ShardRead for MemoryShard {
    fn time_range(&self) -> TimeRange {
        self.range
    }

    fn measurements(&self) -> Vec<Arc<str>> {
        self.measurements.keys().cloned().collect()
    }

    fn fields(&self, measurement: &str) -> Vec<(Arc<str>, FieldType)> {
        let fields = self.measurements.get(measurement).map(|known| &known.fields);
        fields.into_iter().flatten().map(|(name, field_type)| (Arc::clone(name), *field_type)).collect()
    }

    fn tag_keys(&self, measurement: &str) -> Vec<Arc<str>> {
        self.measurements
            .get(measurement)
            .into_iter()
            .flat_map(|known| known.tag_keys.iter().cloned())
            .collect()
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Vec<Arc<str>> {
        let series = self.measurements.get(measurement).into_iter().flat_map(|known| &known.series);
        let values: BTreeSet<Arc<str>> = series
            .filter_map(|series| self.series(*series).tags.iter().find(|(tag, _)| &**tag == key))
            .map(|(_, value)| Arc::clone(value))
            .collect();
        values.into_iter().collect()
    }

    fn select_series(&self, measurement: &str, predicate: &TagPredicate) -> Vec<SeriesRef> {
        let series = self.measurements.get(measurement).into_iter().flat_map(|known| &known.series);
        series.copied().filter(|series| tags_match(predicate, &self.series(*series).tags)).collect()
    }

    fn series_tags(&self, series: SeriesRef) -> Vec<(Arc<str>, Arc<str>)> {
        self.series(series).tags.to_vec()
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        Arc::clone(&self.series(series).key)
    }

    fn scan<'a>(&'a self, request: ScanRequest<'_>) -> Result<Box<dyn BlockStream + 'a>, ReadError> {
        let series = self.series(request.series);
        let column =
            |name: &Arc<str>| series.columns.iter().find(|(own, _)| own == name).map(|(_, column)| column);
        let columns: Vec<Option<&Column>> = request.fields.iter().map(column).collect();
        let has_value = |row: usize| columns.iter().flatten().any(|column| column.is_valid(row));
        let rows: Vec<usize> = (0..series.times.len())
            .filter(|row| request.range.contains(series.times[*row]) && has_value(*row))
            .collect();
        let mut blocks: Vec<MemoryBlock<'a>> = rows
            .chunks(self.block_rows)
            .map(|rows| MemoryBlock::new(&series.times, &columns, rows.to_vec(), self.with_stats))
            .collect();
        if request.order == Order::Ascending {
            blocks.reverse();
        }
        Ok(Box::new(MemoryStream { blocks }))
    }
}

/// Blocks still to come, the next one last.
struct MemoryStream<'a> {
    blocks: Vec<MemoryBlock<'a>>,
}

impl BlockStream for MemoryStream<'_> {
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        Ok(self.blocks.pop().map(|block| Box::new(block) as Box<dyn ScanBlock>))
    }
}

struct MemoryBlock<'a> {
    times: &'a [i64],
    columns: Vec<Option<&'a Column>>,
    rows: Vec<usize>,
    stats: Vec<Option<BlockStats>>,
}

impl<'a> MemoryBlock<'a> {
    fn new(times: &'a [i64], columns: &[Option<&'a Column>], rows: Vec<usize>, with_stats: bool) -> Self {
        let columns = columns.to_vec();
        let stats = columns.iter().map(|column| match column {
            Some(column) if with_stats => stats(times, column, &rows),
            _ => None,
        });
        Self { times, stats: stats.collect(), columns, rows }
    }
}

impl ScanBlock for MemoryBlock<'_> {
    fn time_range(&self) -> TimeRange {
        TimeRange::new(self.times[self.rows[0]], self.times[self.rows[self.rows.len() - 1]])
    }

    fn stats(&self, field_index: usize) -> Option<&BlockStats> {
        self.stats[field_index].as_ref()
    }

    fn decode(&self) -> Result<RowBlock, ReadError> {
        let times = self.rows.iter().map(|row| self.times[*row]).collect();
        let columns = self.columns.iter().map(|column| column.and_then(|column| pick(column, &self.rows)));
        Ok(RowBlock { times, columns: columns.collect() })
    }
}

/// The values of those rows; `None` if there are none.
fn pick(column: &Column, rows: &[usize]) -> Option<Column> {
    let mut valid = Bitmap::default();
    rows.iter().for_each(|row| valid.push(column.is_valid(*row)));
    let values = match &column.values {
        Values::Float(values) => Values::Float(rows.iter().map(|row| values[*row]).collect()),
        Values::Integer(values) => Values::Integer(rows.iter().map(|row| values[*row]).collect()),
        Values::Unsigned(values) => Values::Unsigned(rows.iter().map(|row| values[*row]).collect()),
        Values::String(values) => Values::String(rows.iter().map(|row| Arc::clone(&values[*row])).collect()),
        Values::Boolean(values) => Values::Boolean(rows.iter().map(|row| values[*row]).collect()),
    };
    let count = valid.count_set();
    (count > 0).then_some(Column { values, valid: (count < rows.len()).then_some(valid) })
}

fn stats(times: &[i64], column: &Column, rows: &[usize]) -> Option<BlockStats> {
    let points: Vec<(i64, FieldValue)> =
        rows.iter().filter_map(|row| column.get(*row).map(|value| (times[*row], value))).collect();
    let numeric = !matches!(column.values, Values::String(_) | Values::Boolean(_));
    let extreme = |wanted: std::cmp::Ordering| {
        points
            .iter()
            .cloned()
            .reduce(|best, point| if order(&point.1, &best.1) == wanted { point } else { best })
    };
    Some(BlockStats {
        count: points.len() as u64,
        first: points.first()?.clone(),
        last: points.last()?.clone(),
        min: extreme(std::cmp::Ordering::Less).filter(|_| numeric),
        max: extreme(std::cmp::Ordering::Greater).filter(|_| numeric),
        sum: sum(&points),
    })
}

fn order(a: &FieldValue, b: &FieldValue) -> std::cmp::Ordering {
    match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => a.total_cmp(b),
        (FieldValue::Integer(a), FieldValue::Integer(b)) => a.cmp(b),
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    }
}

fn sum(points: &[(i64, FieldValue)]) -> Sum {
    points.iter().fold(Sum::None, |sum, (_, value)| match (sum, value) {
        (Sum::None, FieldValue::Float(value)) => Sum::Float(*value),
        (Sum::None, FieldValue::Integer(value)) => Sum::Integer(*value),
        (Sum::None, FieldValue::Unsigned(value)) => Sum::Unsigned(*value),
        (Sum::Float(sum), FieldValue::Float(value)) => Sum::Float(sum + value),
        (Sum::Integer(sum), FieldValue::Integer(value)) => Sum::Integer(sum.wrapping_add(*value)),
        (Sum::Unsigned(sum), FieldValue::Unsigned(value)) => Sum::Unsigned(sum.wrapping_add(*value)),
        (sum, _) => sum,
    })
}
