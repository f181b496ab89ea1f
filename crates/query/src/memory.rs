//! A shard in memory: what subqueries answer into, and what tests read from.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, OnceLock},
};

use skywatch_model::{Bitmap, Column, FieldType, FieldValue, RowBlock, TimeRange, Values, series};
use skywatch_storage::{
    BlockStats, BlockStream, End, Order, ReadError, ScanBlock, ScanRequest, Scanner, SeriesRef, ShardRead,
    SpanStats, Sum, TagPredicate,
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
    statistics: MemoryStatistics,
    /// Whether a scan gives every row, whatever times it asks for.
    whole: bool,
}

/// What the blocks of a [`MemoryShard`] tell without being decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryStatistics {
    /// Statistics of whole blocks.
    pub blocks: bool,
    /// Statistics of parts of blocks, of this width of time in nanoseconds; 0 gives none.
    pub span_ns: i64,
    /// Rows at the ends of blocks.
    pub end_rows: bool,
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
    columns: Vec<MemoryColumn>,
}

#[derive(Debug)]
struct MemoryColumn {
    name: Arc<str>,
    column: Column,
    stats: OnceLock<Vec<Option<BlockStats>>>,
    spans: OnceLock<Vec<Vec<SpanStats>>>,
}

impl MemoryShard {
    /// A shard without data for `range`, with blocks of `block_rows` rows (at least 1).
    pub fn new(range: TimeRange, block_rows: usize, statistics: MemoryStatistics) -> Self {
        let block_rows = block_rows.max(1);
        Self {
            range,
            measurements: BTreeMap::new(),
            series: Vec::new(),
            block_rows,
            statistics,
            whole: false,
        }
    }

    /// A shard for the answer of a subquery. The times asked for were settled when the answer was made; a window of it
    /// may begin before them.
    pub(crate) fn for_answer(block_rows: usize) -> Self {
        Self { whole: true, ..Self::new(TimeRange::ALL, block_rows, MemoryStatistics::default()) }
    }

    /// Says what type a field has of which no value may be there.
    pub(crate) fn declare(&mut self, field: &Arc<str>, field_type: FieldType) {
        for known in self.measurements.values_mut() {
            known.fields.entry(Arc::clone(field)).or_insert(field_type);
        }
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
                kept.push(MemoryColumn { name, column, stats: OnceLock::new(), spans: OnceLock::new() });
            }
        }
        known.tag_keys.extend(tags.iter().map(|(key, _)| Arc::clone(key)));
        let series = SeriesRef(self.series.len() as u32);
        // The key leaves empty tags out, by which an answer is ordered too.
        let position = known.series.partition_point(|other| {
            let other = &self.series[other.0 as usize];
            if self.whole { *other.tags < *tags } else { other.key.as_ref() < key.as_str() }
        });
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

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        Ok(self.measurements.keys().cloned().collect())
    }

    fn fields(&self, measurement: &str) -> Result<Vec<(Arc<str>, FieldType)>, ReadError> {
        let fields = self.measurements.get(measurement).map(|known| &known.fields);
        let fields = fields.into_iter().flatten();
        Ok(fields.map(|(name, field_type)| (Arc::clone(name), *field_type)).collect())
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        let known = self.measurements.get(measurement);
        Ok(known.into_iter().flat_map(|known| known.tag_keys.iter().cloned()).collect())
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        let series = self.measurements.get(measurement).into_iter().flat_map(|known| &known.series);
        let values: BTreeSet<Arc<str>> = series
            .filter_map(|series| self.series(*series).tags.iter().find(|(tag, _)| &**tag == key))
            .map(|(_, value)| Arc::clone(value))
            .collect();
        Ok(values.into_iter().collect())
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        let series = self.measurements.get(measurement).into_iter().flat_map(|known| &known.series);
        Ok(series.copied().filter(|series| tags_match(predicate, &self.series(*series).tags)).collect())
    }

    fn series_tags(&self, series: SeriesRef) -> Vec<(Arc<str>, Arc<str>)> {
        self.series(series).tags.to_vec()
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        Arc::clone(&self.series(series).key)
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        Ok(Box::new(MemoryScanner { shard: self, fields: request.fields.into() }))
    }
}

struct MemoryScanner<'a> {
    shard: &'a MemoryShard,
    fields: Box<[Arc<str>]>,
}

impl Scanner for MemoryScanner<'_> {
    fn scan(
        &self,
        series: SeriesRef,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + '_>, ReadError> {
        let range = if self.shard.whole { TimeRange::ALL } else { range };
        let series = self.shard.series(series);
        let column = |name: &Arc<str>| series.columns.iter().find(|column| column.name == *name);
        let columns: Vec<Option<&MemoryColumn>> = self.fields.iter().map(column).collect();
        let start = series.times.partition_point(|time| *time < range.start);
        let end = series.times.partition_point(|time| *time <= range.end).max(start);
        Ok(Box::new(MemoryStream {
            series,
            columns: columns.into(),
            rows: start..end,
            block_rows: self.shard.block_rows,
            statistics: self.shard.statistics,
            whole: self.shard.whole,
            order,
        }))
    }
}

/// Rows still to come.
struct MemoryStream<'a> {
    series: &'a MemorySeries,
    columns: Arc<[Option<&'a MemoryColumn>]>,
    rows: Range<usize>,
    block_rows: usize,
    statistics: MemoryStatistics,
    whole: bool,
    order: Order,
}

impl BlockStream for MemoryStream<'_> {
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        while !self.rows.is_empty() {
            // Blocks begin at multiples of their length, wherever the scan begins.
            let number = match self.order {
                Order::Ascending => self.rows.start / self.block_rows,
                Order::Descending => (self.rows.end - 1) / self.block_rows,
            };
            let whole =
                number * self.block_rows..((number + 1) * self.block_rows).min(self.series.times.len());
            let rows = whole.start.max(self.rows.start)..whole.end.min(self.rows.end);
            match self.order {
                Order::Ascending => self.rows.start = rows.end,
                Order::Descending => self.rows.end = rows.start,
            }
            let has_values = |column: &&MemoryColumn| rows.clone().any(|row| column.column.is_valid(row));
            if self.whole || self.columns.iter().flatten().any(has_values) {
                let number = (rows == whole).then_some(number);
                return Ok(Some(Box::new(MemoryBlock {
                    times: &self.series.times,
                    columns: Arc::clone(&self.columns),
                    rows,
                    number,
                    block_rows: self.block_rows,
                    statistics: self.statistics,
                    whole: self.whole,
                })));
            }
        }
        Ok(None)
    }
}

struct MemoryBlock<'a> {
    times: &'a [i64],
    columns: Arc<[Option<&'a MemoryColumn>]>,
    rows: Range<usize>,
    /// Number of the block, if it is whole.
    number: Option<usize>,
    block_rows: usize,
    statistics: MemoryStatistics,
    /// Whether rows count that hold no value.
    whole: bool,
}

impl MemoryBlock<'_> {
    /// Whether a row holds a value that was asked for.
    fn has_value(&self, row: usize) -> bool {
        self.columns.iter().flatten().any(|column| column.column.is_valid(row))
    }

    fn pick(&self, rows: &[usize]) -> RowBlock {
        let times = rows.iter().map(|row| self.times[*row]).collect();
        let columns = self.columns.iter().map(|column| column.and_then(|column| pick(&column.column, rows)));
        RowBlock { times, columns: columns.collect() }
    }
}

impl ScanBlock for MemoryBlock<'_> {
    fn time_range(&self) -> TimeRange {
        TimeRange::new(self.times[self.rows.start], self.times[self.rows.end - 1])
    }

    fn stats(&self, field_index: usize) -> Option<&BlockStats> {
        let number = self.number.filter(|_| self.statistics.blocks)?;
        self.columns[field_index]?.stats(self.times, self.block_rows)[number].as_ref()
    }

    fn spans(&self, field_index: usize) -> Option<&[SpanStats]> {
        let number = self.number.filter(|_| self.statistics.span_ns > 0)?;
        let spans = self.columns[field_index]?.spans(self.times, self.block_rows, self.statistics.span_ns);
        Some(spans[number].as_slice()).filter(|spans| !spans.is_empty())
    }

    fn end_row(&self, end: End) -> Option<RowBlock> {
        let mut rows = self.rows.clone().filter(|row| self.has_value(*row));
        let row = match end {
            End::First => rows.next(),
            End::Last => rows.next_back(),
        };
        row.filter(|_| self.statistics.end_rows).map(|row| self.pick(&[row]))
    }

    fn decode_within(&self, range: TimeRange) -> Result<RowBlock, ReadError> {
        let dense = self.whole || self.columns.iter().flatten().any(|column| column.column.valid.is_none());
        let rows: Vec<usize> = self.rows.clone().filter(|row| dense || self.has_value(*row)).collect();
        Ok(self.pick(&rows).within(range))
    }
}

impl MemoryColumn {
    /// Statistics of every block, made when first asked for.
    fn stats(&self, times: &[i64], block_rows: usize) -> &[Option<BlockStats>] {
        self.stats.get_or_init(|| {
            let rows: Vec<usize> = (0..times.len()).collect();
            rows.chunks(block_rows).map(|rows| stats(times, &self.column, rows)).collect()
        })
    }

    /// Statistics of the parts of every block, made when first asked for.
    fn spans(&self, times: &[i64], block_rows: usize, span_ns: i64) -> &[Vec<SpanStats>] {
        self.spans.get_or_init(|| {
            let rows: Vec<usize> = (0..times.len()).collect();
            let span = |rows: &[usize]| {
                let stats = stats(times, &self.column, rows)?;
                Some(SpanStats {
                    count: stats.count,
                    first: stats.first,
                    last: stats.last,
                    min: stats.min.map(|(_, value)| value),
                    max: stats.max.map(|(_, value)| value),
                    sum: stats.sum,
                })
            };
            let parts = |rows: &[usize]| {
                let is_together =
                    |a: &usize, b: &usize| times[*a].div_euclid(span_ns) == times[*b].div_euclid(span_ns);
                rows.chunk_by(is_together).filter_map(span).collect()
            };
            rows.chunks(block_rows).map(parts).collect()
        })
    }
}

/// The values of those rows; `None` if there are none.
fn pick(column: &Column, rows: &[usize]) -> Option<Column> {
    let valid = column.valid.as_ref().map(|valid| {
        let mut picked = Bitmap::default();
        rows.iter().for_each(|row| picked.push(valid.get(*row)));
        picked
    });
    let values = match &column.values {
        Values::Float(values) => Values::Float(rows.iter().map(|row| values[*row]).collect()),
        Values::Integer(values) => Values::Integer(rows.iter().map(|row| values[*row]).collect()),
        Values::Unsigned(values) => Values::Unsigned(rows.iter().map(|row| values[*row]).collect()),
        Values::String(values) => Values::String(rows.iter().map(|row| Arc::clone(&values[*row])).collect()),
        Values::Boolean(values) => Values::Boolean(rows.iter().map(|row| values[*row]).collect()),
    };
    match valid.as_ref().map(Bitmap::count_set) {
        Some(0) => None,
        Some(count) if count < rows.len() => Some(Column { values, valid }),
        _ => Some(Column { values, valid: None }),
    }
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
