//! Shard groups that cover the same times: one that was cut short holds what had been written beyond the cut, and the groups
//! that were made for that time hold what has been written there since. A query sees every point once:
//!
//! ```text
//!   group 7   [=========|·········)   cut at |, with points beyond it
//!   group 9             [=========)   made afterwards
//!
//!   read as   [ 7      )[ 7 and 9 )   where both have a value the younger group's counts
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use parking_lot::Mutex;
use skywatch_meta::ShardGroup;
use skywatch_model::{Column, FieldType, FieldValue, RowBlock, TimeRange, Values};
use skywatch_storage::{
    BlockStats, BlockStream, Order, ReadError, ScanBlock, ScanRequest, Scanner, SeriesRef, SeriesSketch,
    ShardRead, TagPredicate,
};

type Shards = Vec<Arc<dyn ShardRead>>;
type Tags = Vec<(Arc<str>, Arc<str>)>;

/// What is read of one group: the groups of one call are sorted by their beginnings.
pub(crate) struct GroupShards {
    /// Its number: the greater, the younger.
    pub(crate) id: u64,
    /// The times it was made for.
    pub(crate) range: TimeRange,
    /// First time after what it takes since it was cut, if it was.
    pub(crate) cut_ns: Option<i64>,
    /// Those that hold something.
    pub(crate) shards: Shards,
}

impl GroupShards {
    pub(crate) fn new(group: &ShardGroup, shards: Shards) -> Self {
        let cut_ns = (group.cut_end_ns() < group.end_ns).then(|| group.cut_end_ns());
        Self { id: group.id, range: TimeRange::new(group.start_ns, group.end_ns - 1), cut_ns, shards }
    }
}

/// The shards of groups, of which every series lies in at most one at any time.
pub(crate) fn apart(groups: Vec<GroupShards>) -> Shards {
    let mut found = Shards::new();
    let mut together: Vec<GroupShards> = Vec::new();
    for group in groups {
        let is_apart = together.iter().all(|earlier| !earlier.range.overlaps(group.range));
        if is_apart {
            join(std::mem::take(&mut together), &mut found);
        }
        together.push(group);
    }
    join(together, &mut found);
    found
}

/// Groups whose times overlap, one way or another.
fn join(mut groups: Vec<GroupShards>, found: &mut Shards) {
    let filled = groups.iter().filter(|group| !group.shards.is_empty()).count();
    let cut = groups.iter().filter_map(|group| group.cut_ns).min();
    let Some(from) = cut.filter(|_| filled > 1) else {
        found.extend(groups.into_iter().flat_map(|group| group.shards));
        return;
    };
    let end = groups.iter().map(|group| group.range.end).max().unwrap_or(from);
    groups.sort_by_key(|group| std::cmp::Reverse(group.id));
    let mut parts = Vec::new();
    for group in groups {
        for shard in group.shards {
            let before = group.range.intersect(TimeRange::new(i64::MIN, from.saturating_sub(1)));
            if !before.is_empty() {
                found.push(Arc::new(Clipped { shard: Arc::clone(&shard), range: before }));
            }
            parts.push(shard);
        }
    }
    let known = Mutex::default();
    found.push(Arc::new(Joined { range: TimeRange::new(from, end), parts, known }));
}

/// A shard, and no more of it than a range.
#[derive(Debug)]
struct Clipped {
    shard: Arc<dyn ShardRead>,
    range: TimeRange,
}

impl ShardRead for Clipped {
    fn time_range(&self) -> TimeRange {
        self.range
    }

    fn is_remote(&self) -> bool {
        self.shard.is_remote()
    }

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        self.shard.measurements()
    }

    fn fields(&self, measurement: &str) -> Result<Vec<(Arc<str>, FieldType)>, ReadError> {
        self.shard.fields(measurement)
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.shard.tag_keys(measurement)
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.shard.tag_values(measurement, key)
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        self.shard.select_series(measurement, predicate)
    }

    fn find_series(&self, measurement: &str, keys: &[&str]) -> Result<Vec<Option<SeriesRef>>, ReadError> {
        self.shard.find_series(measurement, keys)
    }

    fn count_series(&self, measurement: &str, predicate: &TagPredicate) -> Result<u64, ReadError> {
        self.shard.count_series(measurement, predicate)
    }

    fn series_sketch(&self) -> Result<Option<SeriesSketch>, ReadError> {
        self.shard.series_sketch()
    }

    fn tag_value_count(&self, measurement: &str, key: &str) -> Result<u64, ReadError> {
        self.shard.tag_value_count(measurement, key)
    }

    fn series_tags(&self, series: SeriesRef) -> Tags {
        self.shard.series_tags(series)
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        self.shard.series_key(series)
    }

    fn tag_values_of(&self, series: SeriesRef, keys: &[Arc<str>]) -> Vec<Arc<str>> {
        self.shard.tag_values_of(series, keys)
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        let ranges = inside(request.ranges, self.range);
        let scanner = self.shard.scanner(&ScanRequest { ranges: &ranges, ..*request })?;
        Ok(Box::new(ClippedScanner { scanner, range: self.range }))
    }
}

fn inside(ranges: &[TimeRange], range: TimeRange) -> Vec<TimeRange> {
    ranges.iter().map(|wanted| wanted.intersect(range)).collect()
}

struct ClippedScanner<'a> {
    scanner: Box<dyn Scanner + 'a>,
    range: TimeRange,
}

impl Scanner for ClippedScanner<'_> {
    fn scan(
        &self,
        series: SeriesRef,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + '_>, ReadError> {
        let range = range.intersect(self.range);
        if range.is_empty() { Ok(Box::new(Nothing)) } else { self.scanner.scan(series, range, order) }
    }
}

struct Nothing;

impl BlockStream for Nothing {
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        Ok(None)
    }
}

/// Several shards as one: those of the youngest group first.
struct Joined {
    range: TimeRange,
    parts: Shards,
    known: Mutex<Known>,
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined")
            .field("range", &self.range)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

/// Series that were asked for; a [`SeriesRef`] is a place among them.
#[derive(Debug, Default)]
struct Known {
    series: Vec<Arc<JoinedSeries>>,
    by_key: HashMap<Arc<str>, u32>,
}

#[derive(Debug)]
struct JoinedSeries {
    key: Arc<str>,
    /// The parts that have it, youngest first, and what they call it.
    places: Vec<(usize, SeriesRef)>,
}

impl Joined {
    fn series(&self, series: SeriesRef) -> Arc<JoinedSeries> {
        Arc::clone(&self.known.lock().series[series.0 as usize])
    }

    /// What all parts have together, sorted.
    fn union<T: Ord>(
        &self,
        of: impl Fn(&dyn ShardRead) -> Result<Vec<T>, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let mut all = BTreeSet::new();
        for part in &self.parts {
            all.extend(of(&**part)?);
        }
        Ok(all.into_iter().collect())
    }
}

impl ShardRead for Joined {
    fn time_range(&self) -> TimeRange {
        self.range
    }

    fn is_remote(&self) -> bool {
        self.parts.iter().any(|part| part.is_remote())
    }

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        self.union(|part| part.measurements())
    }

    /// A field that has another type since is there with both.
    fn fields(&self, measurement: &str) -> Result<Vec<(Arc<str>, FieldType)>, ReadError> {
        self.union(|part| part.fields(measurement))
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.union(|part| part.tag_keys(measurement))
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.union(|part| part.tag_values(measurement, key))
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        let mut found: BTreeMap<Arc<str>, Vec<(usize, SeriesRef)>> = BTreeMap::new();
        for (place, part) in self.parts.iter().enumerate() {
            // Tags decide, and they are the same everywhere.
            for series in part.select_series(measurement, predicate)? {
                found.entry(part.series_key(series)).or_default().push((place, series));
            }
        }
        let mut known = self.known.lock();
        let mut chosen = Vec::with_capacity(found.len());
        for (key, places) in found {
            let next = known.series.len() as u32;
            let number = *known.by_key.entry(Arc::clone(&key)).or_insert(next);
            if number == next {
                known.series.push(Arc::new(JoinedSeries { key, places }));
            }
            chosen.push(SeriesRef(number));
        }
        Ok(chosen)
    }

    fn series_tags(&self, series: SeriesRef) -> Tags {
        let series = self.series(series);
        series.places.first().map(|(part, own)| self.parts[*part].series_tags(*own)).unwrap_or_default()
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        Arc::clone(&self.series(series).key)
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        let ranges = inside(request.ranges, self.range);
        let all = request.series.map(|series| series());
        let scanner = |(place, part): (usize, &'a Arc<dyn ShardRead>)| {
            let own = |series: &SeriesRef| {
                let series = self.series(*series);
                series.places.iter().find(|(part, _)| *part == place).map(|(_, own)| *own)
            };
            let own = || all.iter().flatten().filter_map(own).collect();
            let series: Option<&dyn Fn() -> Vec<SeriesRef>> = if all.is_some() { Some(&own) } else { None };
            let request = ScanRequest { ranges: &ranges, series, ..*request };
            // A row may owe some of its values to another part: only all of it can satisfy a condition.
            part.scanner(&match request.conditions {
                None => request,
                Some(_) => ScanRequest { conditions: None, summary: None, rows: None, ..request },
            })
        };
        let scanners = self.parts.iter().enumerate().map(scanner).collect::<Result<_, _>>()?;
        Ok(Box::new(JoinedScanner { shard: self, scanners }))
    }
}

struct JoinedScanner<'a> {
    shard: &'a Joined,
    scanners: Vec<Box<dyn Scanner + 'a>>,
}

impl Scanner for JoinedScanner<'_> {
    fn scan(
        &self,
        series: SeriesRef,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + '_>, ReadError> {
        let range = range.intersect(self.shard.range);
        if range.is_empty() {
            return Ok(Box::new(Nothing));
        }
        let series = self.shard.series(series);
        let scan = |(part, own): &(usize, SeriesRef)| self.scanners[*part].scan(*own, range, order);
        if let [only] = series.places.as_slice() {
            return scan(only);
        }
        // Nearly always there is nothing beyond the cut in the group that was cut.
        let mut filled = Vec::new();
        for place in &series.places {
            if scan(place)?.next_block()?.is_some() {
                filled.push(place);
            }
        }
        match filled.as_slice() {
            [] => Ok(Box::new(Nothing)),
            [only] => scan(only),
            several => {
                let sources = several.iter().map(|place| Ok(Source { stream: scan(place)?, rows: None }));
                let sources = sources.collect::<Result<Vec<_>, ReadError>>()?;
                Ok(Box::new(Merged { sources, order, ready: VecDeque::new() }))
            }
        }
    }
}

/// One part's rows of a series.
struct Source<'a> {
    stream: Box<dyn BlockStream + 'a>,
    /// The next ones.
    rows: Option<RowBlock>,
}

impl Source<'_> {
    /// Reads on unless there are rows.
    fn fill(&mut self) -> Result<(), ReadError> {
        while self.rows.is_none() {
            let Some(block) = self.stream.next_block()? else { return Ok(()) };
            self.rows = Some(block.decode()?).filter(|rows| !rows.times.is_empty());
        }
        Ok(())
    }

    /// Takes the rows up to a time, or from it on if the order descends.
    fn take(&mut self, bound: i64, order: Order) -> RowBlock {
        let Some(rows) = self.rows.take() else { return RowBlock::default() };
        let (all, place) = (
            rows.times.len(),
            match order {
                Order::Ascending => rows.times.partition_point(|time| *time <= bound),
                Order::Descending => rows.times.partition_point(|time| *time < bound),
            },
        );
        let (low, high) = (slice(&rows, 0..place), slice(&rows, place..all));
        let (taken, rest) = match order {
            Order::Ascending => (low, high),
            Order::Descending => (high, low),
        };
        self.rows = Some(rest).filter(|rest| !rest.times.is_empty());
        taken
    }
}

fn slice(rows: &RowBlock, range: std::ops::Range<usize>) -> RowBlock {
    let column = |column: &Option<Column>| column.as_ref().map(|column| column.slice(range.clone()));
    RowBlock { columns: rows.columns.iter().map(column).collect(), times: rows.times[range.clone()].to_vec() }
}

/// Rows of several parts, the youngest first; where several have a value of one time, the first one's counts.
struct Merged<'a> {
    sources: Vec<Source<'a>>,
    order: Order,
    ready: VecDeque<RowBlock>,
}

impl BlockStream for Merged<'_> {
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        while self.ready.is_empty() {
            self.sources.iter_mut().try_for_each(Source::fill)?;
            let held = self.sources.iter().filter_map(|source| source.rows.as_ref());
            // Up to here nothing is still to come from anybody.
            let bound = match self.order {
                Order::Ascending => held.filter_map(|rows| rows.times.last()).min(),
                Order::Descending => held.filter_map(|rows| rows.times.first()).max(),
            };
            let Some(bound) = bound.copied() else { return Ok(None) };
            let taken: Vec<RowBlock> =
                self.sources.iter_mut().map(|source| source.take(bound, self.order)).collect();
            self.ready = merge(&taken).into();
            if self.order == Order::Descending {
                self.ready.make_contiguous().reverse();
            }
        }
        Ok(self.ready.pop_front().map(|rows| Box::new(Rows(rows)) as Box<dyn ScanBlock>))
    }
}

/// One block, or several where a field has two types.
fn merge(sources: &[RowBlock]) -> Vec<RowBlock> {
    let fields = sources.iter().map(|rows| rows.columns.len()).max().unwrap_or(0);
    let mut places = vec![0; sources.len()];
    let mut blocks: Vec<RowBlock> = Vec::new();
    loop {
        let next = sources.iter().zip(&places).filter_map(|(rows, place)| rows.times.get(*place)).min();
        let Some(time) = next.copied() else { return blocks };
        let mut row: Vec<Option<FieldValue>> = vec![None; fields];
        for (rows, place) in sources.iter().zip(&mut places) {
            if rows.times.get(*place) != Some(&time) {
                continue;
            }
            for (value, column) in row.iter_mut().zip(&rows.columns) {
                if value.is_none() {
                    *value = column.as_ref().and_then(|column| column.get(*place));
                }
            }
            *place += 1;
        }
        let fits = |block: &&mut RowBlock| {
            row.iter().zip(&block.columns).all(|(value, column)| match (value, column) {
                (Some(value), Some(column)) => value.field_type() == column.values.field_type(),
                _ => true,
            })
        };
        match blocks.last_mut().filter(fits) {
            Some(block) => push(block, time, row),
            None => {
                let mut block = RowBlock { times: Vec::new(), columns: vec![None; fields] };
                push(&mut block, time, row);
                blocks.push(block);
            }
        }
    }
}

fn push(block: &mut RowBlock, time: i64, row: Vec<Option<FieldValue>>) {
    let rows = block.times.len();
    block.times.push(time);
    for (column, value) in block.columns.iter_mut().zip(row) {
        match (column.as_mut(), value) {
            (Some(column), Some(value)) => column.append(Column::of_one(value)),
            (Some(column), None) => column.pad(rows + 1),
            (None, Some(value)) => {
                let mut made = Column { values: Values::empty(value.field_type()), valid: None };
                made.pad(rows);
                made.append(Column::of_one(value));
                *column = Some(made);
            }
            (None, None) => {}
        }
    }
}

/// Rows that have been decoded.
struct Rows(RowBlock);

impl ScanBlock for Rows {
    fn time_range(&self) -> TimeRange {
        let times = &self.0.times;
        TimeRange::new(times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(-1))
    }

    fn stats(&self, _: usize) -> Option<&BlockStats> {
        None
    }

    fn decode_within(&self, range: TimeRange) -> Result<RowBlock, ReadError> {
        Ok(self.0.clone().within(range))
    }
}

#[cfg(test)]
mod tests;
