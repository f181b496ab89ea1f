//! A shard of this node, for which its other owners stand in: what turns out damaged here while a query reads it is read from one
//! of them, and nothing else is.
//!
//! ```text
//!   blocks of a series   [ here ][ here ][ damaged here: rows of its times from elsewhere ][ here ] ...
//!   that end too early   [ here ][ here ][ what has not been handed out yet from elsewhere      ...
//! ```
//!
//! Blocks of a scan do not overlap, so that rows are neither repeated nor left out. An owner stands in only if it vouches for all
//! that was acknowledged: what it has of those times is all that was known here when the query began, and maybe more. Damage
//! is found block by block, and what a block is replaced by is asked for with one question or a few, whatever the query is about:
//! the next query goes elsewhere as a whole.
//!
//! Who can stand in is asked once, when damage shows for the first time. If nobody can, the damage is what the query fails with.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use skywatch_model::{FieldType, RowBlock, TimeRange};
use skywatch_storage::{
    BlockStats, BlockStream, End, Order, ReadError, ReadErrorClass, ScanBlock, ScanCost, ScanRequest,
    Scanner, SeriesRef, SeriesSketch, SeriesStamp, ShardRead, SpanStats, TagPredicate, WindowStats,
};

use crate::{
    Asking,
    remote::{RemoteScanner, RemoteShard, join},
};

type Tags = Vec<(Arc<str>, Arc<str>)>;
/// Owners that can stand in, or why there are none.
type StandIns = dyn Fn() -> Result<Asking, String> + Send + Sync;

/// See the module's header.
pub struct BackedShard {
    here: Arc<dyn ShardRead>,
    stand_ins: Box<StandIns>,
    elsewhere: OnceLock<Option<RemoteShard>>,
}

impl fmt::Debug for BackedShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackedShard").field("here", &self.here).finish_non_exhaustive()
    }
}

impl BackedShard {
    /// A snapshot of this node. `stand_ins` tells which other owners hold all of the shard, when one is needed.
    pub fn new(
        here: Arc<dyn ShardRead>,
        stand_ins: impl Fn() -> Result<Asking, String> + Send + Sync + 'static,
    ) -> Self {
        Self { here, stand_ins: Box::new(stand_ins), elsewhere: OnceLock::new() }
    }

    /// The shard where it is whole, asked for because of this damage.
    fn elsewhere(&self, damage: &ReadError) -> Option<&RemoteShard> {
        let find = || match (self.stand_ins)() {
            Ok(mut asking) => {
                tracing::warn!(%damage, shard = asking.shard, "what is damaged is read from another owner");
                // What is missing has a better reason than that nobody else answers.
                asking.reading.allows_partial = false;
                Some(RemoteShard::new(asking, self.here.time_range()))
            }
            Err(reason) => {
                tracing::error!(%damage, %reason, "no other owner can stand in for what is damaged");
                None
            }
        };
        self.elsewhere.get_or_init(find).as_ref()
    }
}

impl ShardRead for BackedShard {
    fn time_range(&self) -> TimeRange {
        self.here.time_range()
    }

    fn is_remote(&self) -> bool {
        self.here.is_remote()
    }

    fn expect(&self, measurement: &str) {
        self.here.expect(measurement);
    }

    fn expect_series(&self, measurement: &str, predicate: &TagPredicate) {
        self.here.expect_series(measurement, predicate);
    }

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        self.here.measurements()
    }

    fn fields(&self, measurement: &str) -> Result<Vec<(Arc<str>, FieldType)>, ReadError> {
        self.here.fields(measurement)
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.here.tag_keys(measurement)
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.here.tag_values(measurement, key)
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        self.here.select_series(measurement, predicate)
    }

    fn series_stamp(&self) -> Option<SeriesStamp> {
        self.here.series_stamp()
    }

    fn find_series(&self, measurement: &str, keys: &[&str]) -> Result<Vec<Option<SeriesRef>>, ReadError> {
        self.here.find_series(measurement, keys)
    }

    fn count_series(&self, measurement: &str, predicate: &TagPredicate) -> Result<u64, ReadError> {
        self.here.count_series(measurement, predicate)
    }

    fn series_sketch(&self) -> Result<Option<SeriesSketch>, ReadError> {
        self.here.series_sketch()
    }

    fn tag_value_count(&self, measurement: &str, key: &str) -> Result<u64, ReadError> {
        self.here.tag_value_count(measurement, key)
    }

    fn series_tags(&self, series: SeriesRef) -> Tags {
        self.here.series_tags(series)
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        self.here.series_key(series)
    }

    fn tag_values_of(&self, series: SeriesRef, keys: &[Arc<str>]) -> Vec<Arc<str>> {
        self.here.tag_values_of(series, keys)
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        Ok(Box::new(BackedScanner {
            shard: self,
            here: self.here.scanner(request)?,
            measurement: request.measurement.to_owned(),
            fields: request.fields.to_vec(),
            elsewhere: OnceLock::new(),
        }))
    }
}

struct BackedScanner<'a> {
    shard: &'a BackedShard,
    here: Box<dyn Scanner + 'a>,
    measurement: String,
    fields: Vec<Arc<str>>,
    /// What reads the same fields of the shard that stands in.
    elsewhere: OnceLock<RemoteScanner<'a>>,
}

impl<'a> BackedScanner<'a> {
    /// What another owner has of a series, in the place of what is damaged here; the damage itself if nobody can be asked, and
    /// any error that is none.
    fn replace(
        &self,
        damage: ReadError,
        series: SeriesRef,
        range: TimeRange,
        order: Order,
    ) -> Result<Replacement<'_>, ReadError> {
        match damage.class() {
            ReadErrorClass::Damage => {}
            ReadErrorClass::Absence | ReadErrorClass::Stopped => return Err(damage),
        }
        let Some(shard) = self.shard.elsewhere(&damage) else { return Err(damage) };
        let request = ScanRequest::new(&self.measurement, &self.fields);
        let scanner = self.elsewhere.get_or_init(|| RemoteScanner::new(shard, &request));
        let series = shard.series_named(&self.shard.here.series_key(series));
        match scanner.scan(series, range, order) {
            Ok(stream) => Ok(Replacement { damage: Some(damage), stream }),
            Err(error) => Err(refused(&mut Some(damage), error)),
        }
    }

    /// The rows that another owner has of a series in a range.
    fn rows(&self, damage: ReadError, series: SeriesRef, range: TimeRange) -> Result<RowBlock, ReadError> {
        let mut replacement = self.replace(damage, series, range, Order::Ascending)?;
        let mut all = RowBlock::default();
        while let Some(rows) = replacement.next_rows()? {
            join(&mut all, rows);
        }
        Ok(all)
    }
}

impl Scanner for BackedScanner<'_> {
    fn scan(
        &self,
        series: SeriesRef,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + '_>, ReadError> {
        let (here, elsewhere) = match self.here.scan(series, range, order) {
            Ok(stream) => (Some(stream), None),
            Err(error) => (None, Some(self.replace(error, series, range, order)?)),
        };
        Ok(Box::new(BackedStream { scanner: self, series, rest: range, order, here, elsewhere }))
    }
}

/// What is read elsewhere in the place of what is damaged here.
struct Replacement<'a> {
    /// What is told if it cannot be read there either.
    damage: Option<ReadError>,
    stream: Box<dyn BlockStream + 'a>,
}

impl Replacement<'_> {
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        self.stream.next_block().map_err(|error| refused(&mut self.damage, error))
    }

    fn next_rows(&mut self) -> Result<Option<RowBlock>, ReadError> {
        let damage = &mut self.damage;
        let block = match self.stream.next_block() {
            Ok(block) => block,
            Err(error) => return Err(refused(damage, error)),
        };
        // Rows that have come are decoded.
        block.map(|block| block.decode()).transpose()
    }
}

/// What is told where others could not help: the damage, unless the query does not want to know any more.
fn refused(damage: &mut Option<ReadError>, error: ReadError) -> ReadError {
    match error.class() {
        ReadErrorClass::Stopped => error,
        ReadErrorClass::Damage | ReadErrorClass::Absence => {
            tracing::error!(%error, "no other owner could stand in for what is damaged");
            damage.take().unwrap_or(error)
        }
    }
}

struct BackedStream<'s, 'a> {
    scanner: &'s BackedScanner<'a>,
    series: SeriesRef,
    /// What has not been handed out yet of the range asked for.
    rest: TimeRange,
    order: Order,
    here: Option<Box<dyn BlockStream + 's>>,
    /// Since the stream of this node has failed.
    elsewhere: Option<Replacement<'s>>,
}

impl BlockStream for BackedStream<'_, '_> {
    fn cost(&self) -> ScanCost {
        self.here.as_ref().map(|stream| stream.cost()).unwrap_or_default()
    }

    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        let Self { scanner, series, order, .. } = *self;
        if self.elsewhere.is_none()
            && let Some(here) = &mut self.here
        {
            match here.next_block() {
                Ok(None) => return Ok(None),
                Ok(Some(block)) => {
                    self.rest = after(self.rest, block.time_range(), order);
                    return Ok(Some(Box::new(BackedBlock { scanner, series, block })));
                }
                Err(error) => {
                    self.elsewhere = Some(scanner.replace(error, series, self.rest, order)?);
                }
            }
        }
        match &mut self.elsewhere {
            Some(replacement) => replacement.next_block(),
            None => Ok(None),
        }
    }
}

/// What is left of a range after a block of it.
fn after(range: TimeRange, block: TimeRange, order: Order) -> TimeRange {
    match order {
        Order::Ascending => TimeRange::new(block.end.saturating_add(1), range.end),
        Order::Descending => TimeRange::new(range.start, block.start.saturating_sub(1)),
    }
}

/// A block of this node; its rows are another owner's if they cannot be read here.
struct BackedBlock<'s, 'a> {
    scanner: &'s BackedScanner<'a>,
    series: SeriesRef,
    block: Box<dyn ScanBlock + 's>,
}

impl ScanBlock for BackedBlock<'_, '_> {
    fn time_range(&self) -> TimeRange {
        self.block.time_range()
    }

    fn stats(&self, field_index: usize) -> Option<&BlockStats> {
        self.block.stats(field_index)
    }

    fn lacks(&self, field_index: usize) -> bool {
        self.block.lacks(field_index)
    }

    fn spans(&self, field_index: usize) -> Option<&[SpanStats]> {
        self.block.spans(field_index)
    }

    fn summary(&self, field_index: usize) -> Option<WindowStats<'_>> {
        self.block.summary(field_index)
    }

    fn end_row(&self, end: End) -> Option<RowBlock> {
        self.block.end_row(end)
    }

    fn decode_within(&self, range: TimeRange) -> Result<RowBlock, ReadError> {
        self.block
            .decode_within(range)
            .or_else(|error| self.scanner.rows(error, self.series, self.block.time_range().intersect(range)))
    }
}
