//! A shard on other nodes.
//!
//! What a query asks about the schema is fetched once and kept. Series are read many at a time, in the order in which they
//! will be scanned; of each of them so much that all are bounded, and what is left of one is read by itself when it comes
//! to that.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_model::{FieldType, RowBlock, TimeRange, series};
use skywatch_query::tags_match;
use skywatch_storage::{
    BlockStream, Order, ReadError, ScanBlock, ScanRequest, Scanner, SeriesRef, ShardRead, TagPredicate,
    WantedStats, WindowStats,
    wire::{Malformed, Reader},
};

use crate::{
    Asking,
    server::{ENDED, MORE, ROWS},
    wire::{
        SCAN, SCHEMA, SERIES, ScanQuestion, SchemaAnswer, SchemaQuestion, SeriesAnswer, SeriesQuestion,
        SummaryQuestion, bits_of, pack, put_texts, take_rows, take_summary, take_texts, type_of, unpack,
    },
};

/// Series that are asked for at once.
const SERIES_PER_CALL: usize = 256;
/// Rows that are asked for at once, of all series together.
const ROWS_PER_CALL: u64 = 64 << 10;
/// Windows that are asked for at once, of all fields of all series together; and most of those of one series.
const WINDOWS_PER_CALL: u64 = 256 << 10;
/// Answers that a scanner keeps.
const ANSWERS_KEPT: usize = 6;

type Tags = Vec<(Arc<str>, Arc<str>)>;
type Fields = Vec<(Arc<str>, FieldType)>;

/// A shard that other nodes hold, for one query.
#[derive(Debug)]
pub struct RemoteShard {
    asking: Asking,
    range: TimeRange,
    measurements: OnceLock<Vec<Arc<str>>>,
    schemas: Mutex<HashMap<String, Arc<Schema>>>,
    series: Mutex<Series>,
}

#[derive(Debug)]
struct Schema {
    fields: Fields,
    tag_keys: Vec<Arc<str>>,
}

/// Series that have been fetched; a [`SeriesRef`] is a place among them.
#[derive(Debug, Default)]
struct Series {
    known: Vec<Arc<Known>>,
    /// Those of a measurement, by key.
    of: HashMap<String, Arc<[SeriesRef]>>,
}

#[derive(Debug)]
struct Known {
    key: Arc<str>,
    tags: Tags,
}

impl RemoteShard {
    /// The shard that `asking` is about, which is for this range of time.
    pub fn new(asking: Asking, range: TimeRange) -> Self {
        Self {
            asking,
            range,
            measurements: OnceLock::new(),
            schemas: Mutex::default(),
            series: Mutex::default(),
        }
    }

    fn schema_of(&self, measurement: Option<&str>) -> Result<SchemaAnswer, ReadError> {
        let measurement = measurement.map(str::to_owned);
        let question = SchemaQuestion { shard: self.asking.shard, measurement };
        self.asking.ask(SCHEMA, &question, &Bytes::new(), &|answer: SchemaAnswer, _| Ok(answer))
    }

    fn schema(&self, measurement: &str) -> Result<Arc<Schema>, ReadError> {
        if let Some(known) = self.schemas.lock().get(measurement) {
            return Ok(Arc::clone(known));
        }
        let answer = self.schema_of(Some(measurement))?;
        let field = |(name, number): (String, u8)| Some((Arc::from(name), type_of(number).ok()?));
        let fields = answer.fields.into_iter().map(field).collect::<Option<Fields>>();
        let fields = fields.ok_or_else(|| ReadError::Unreachable {
            shard: self.asking.shard,
            reason: format!("a field of {measurement} has a type that this release does not know"),
            advice: "run the same release on all nodes".to_owned(),
        })?;
        let tag_keys = answer.tag_keys.into_iter().map(Arc::from).collect();
        let schema = Arc::new(Schema { fields, tag_keys });
        self.schemas.lock().insert(measurement.to_owned(), Arc::clone(&schema));
        Ok(schema)
    }

    /// All series of a measurement, by key.
    fn all_series(&self, measurement: &str) -> Result<Arc<[SeriesRef]>, ReadError> {
        if let Some(known) = self.series.lock().of.get(measurement) {
            return Ok(Arc::clone(known));
        }
        let mut keys: Vec<Arc<str>> = Vec::new();
        loop {
            let after = keys.last().map(ToString::to_string);
            let question =
                SeriesQuestion { shard: self.asking.shard, measurement: measurement.to_owned(), after };
            let read = |answer: SeriesAnswer, body: Bytes| {
                let body = unpack(&body).map_err(|error| error.0.to_owned())?;
                let keys = take_texts(&mut Reader::new(&body)).map_err(|error| error.0.to_owned())?;
                Ok((answer.more, keys.into_iter().map(Arc::from).collect::<Vec<Arc<str>>>()))
            };
            let (more, page) = self.asking.ask(SERIES, &question, &Bytes::new(), &read)?;
            // What does not go on after the last key would go on for ever.
            let has_order = page.first().is_none_or(|first| keys.last().is_none_or(|last| last < first));
            let is_done = !more || page.is_empty() || !has_order;
            if has_order {
                keys.extend(page);
            }
            if is_done {
                break;
            }
        }
        let mut series = self.series.lock();
        if let Some(known) = series.of.get(measurement) {
            return Ok(Arc::clone(known));
        }
        let mut interned: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut intern = |text: &str| match interned.get(text) {
            Some(known) => Arc::clone(known),
            None => {
                let made: Arc<str> = text.into();
                interned.insert(Arc::clone(&made));
                made
            }
        };
        let first = series.known.len() as u32;
        let count = keys.len() as u32;
        for key in keys {
            let (_, tags) = series::parse_key(&key);
            let tags = tags.iter().map(|(key, value)| (intern(key), intern(value))).collect();
            series.known.push(Arc::new(Known { key, tags }));
        }
        let all: Arc<[SeriesRef]> = (first..first + count).map(SeriesRef).collect();
        series.of.insert(measurement.to_owned(), Arc::clone(&all));
        Ok(all)
    }

    fn known(&self, series: SeriesRef) -> Arc<Known> {
        Arc::clone(&self.series.lock().known[series.0 as usize])
    }
}

impl ShardRead for RemoteShard {
    fn time_range(&self) -> TimeRange {
        self.range
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        if let Some(known) = self.measurements.get() {
            return Ok(known.clone());
        }
        let names: Vec<Arc<str>> = self.schema_of(None)?.measurements.into_iter().map(Arc::from).collect();
        Ok(self.measurements.get_or_init(|| names).clone())
    }

    fn fields(&self, measurement: &str) -> Result<Fields, ReadError> {
        Ok(self.schema(measurement)?.fields.clone())
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        Ok(self.schema(measurement)?.tag_keys.clone())
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        let all = self.all_series(measurement)?;
        let series = self.series.lock();
        let tags = all.iter().flat_map(|known| &series.known[known.0 as usize].tags);
        let values: BTreeSet<Arc<str>> =
            tags.filter(|(tag, _)| &**tag == key).map(|(_, value)| Arc::clone(value)).collect();
        Ok(values.into_iter().collect())
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        let all = self.all_series(measurement)?;
        let series = self.series.lock();
        let is_wanted = |known: &SeriesRef| tags_match(predicate, &series.known[known.0 as usize].tags);
        Ok(all.iter().copied().filter(is_wanted).collect())
    }

    fn series_tags(&self, series: SeriesRef) -> Tags {
        self.known(series).tags.clone()
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        Arc::clone(&self.known(series).key)
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        let order = request.series.map(|series| series()).unwrap_or_default();
        let places = order.iter().enumerate().map(|(place, series)| (*series, place)).collect();
        let summary = request.summary.map(|summary| Summary {
            question: SummaryQuestion {
                windows: summary.windows.map(|windows| (windows.every, windows.offset)),
                wanted: summary.wanted.iter().map(|wanted| bits_of(*wanted)).collect(),
            },
            wanted: summary.wanted.to_vec(),
        });
        Ok(Box::new(RemoteScanner {
            shard: self,
            measurement: request.measurement.to_owned(),
            fields: request.fields.iter().map(ToString::to_string).collect(),
            order,
            places,
            ranges: request.ranges.to_vec(),
            rows: request.rows,
            summary,
            answers: Mutex::default(),
        }))
    }
}

#[derive(Debug)]
struct Summary {
    question: SummaryQuestion,
    wanted: Vec<WantedStats>,
}

/// What an answer is about: a range, whether descending, and which of the series.
type AnswerKey = (i64, i64, bool, usize);

struct RemoteScanner<'a> {
    shard: &'a RemoteShard,
    measurement: String,
    fields: Vec<String>,
    /// The series that will be scanned.
    order: Vec<SeriesRef>,
    places: HashMap<SeriesRef, usize>,
    ranges: Vec<TimeRange>,
    rows: Option<u64>,
    summary: Option<Summary>,
    /// The newest last. Whoever needs one that is being fetched waits for it.
    answers: Mutex<VecDeque<(AnswerKey, Slot)>>,
}

type Slot = Arc<Mutex<Option<Arc<Vec<Fetched>>>>>;

impl fmt::Debug for RemoteScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteScanner").field("shard", self.shard).finish_non_exhaustive()
    }
}

/// What was fetched of one series.
#[derive(Debug)]
enum Fetched {
    Rows {
        blocks: Vec<RowBlock>,
        /// Whether there are rows after these.
        more: bool,
    },
    /// By field.
    Windows(Vec<Vec<WindowStats>>),
}

impl Scanner for RemoteScanner<'_> {
    fn scan(
        &self,
        series: SeriesRef,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + '_>, ReadError> {
        let descending = order == Order::Descending;
        let mut stream = RemoteStream {
            scanner: self,
            series,
            rest: Some(range),
            descending,
            answer: None,
            place: 0,
            next: 0,
            rows: self.rows.unwrap_or(ROWS_PER_CALL),
        };
        if range.intersect(self.shard.range).is_empty() {
            stream.rest = None;
            return Ok(Box::new(stream));
        }
        if let Some(place) = self.places.get(&series).filter(|_| self.ranges.contains(&range)) {
            let per_call = self.series_per_call(range, descending);
            let answer = self.answer((range.start, range.end, descending, place / per_call), per_call)?;
            stream.take(answer, place % per_call);
        }
        Ok(Box::new(stream))
    }
}

impl RemoteScanner<'_> {
    /// The summary that suffices for a scan, unless rows are less.
    fn summary(&self, range: TimeRange, descending: bool) -> Option<&Summary> {
        let windows = self.windows(range);
        self.summary.as_ref().filter(|_| !descending && windows <= WINDOWS_PER_CALL)
    }

    /// Windows of all fields of one series.
    fn windows(&self, range: TimeRange) -> u64 {
        let range = range.intersect(self.shard.range);
        let each = match self.summary.as_ref().and_then(|summary| summary.question.windows) {
            Some((every, _)) => range.end.abs_diff(range.start) / every.unsigned_abs().max(1) + 2,
            None => 1,
        };
        each.saturating_mul(self.fields.len().max(1) as u64)
    }

    fn series_per_call(&self, range: TimeRange, descending: bool) -> usize {
        match self.summary(range, descending) {
            Some(_) => {
                let fitting = WINDOWS_PER_CALL / self.windows(range).max(1);
                usize::try_from(fitting).unwrap_or(usize::MAX).clamp(1, 4 * SERIES_PER_CALL)
            }
            None => SERIES_PER_CALL,
        }
    }

    fn answer(&self, key: AnswerKey, per_call: usize) -> Result<Arc<Vec<Fetched>>, ReadError> {
        let slot: Slot = {
            let mut answers = self.answers.lock();
            match answers.iter().find(|(known, _)| *known == key) {
                Some((_, slot)) => Arc::clone(slot),
                None => {
                    let slot = Slot::default();
                    answers.push_back((key, Arc::clone(&slot)));
                    while answers.len() > ANSWERS_KEPT {
                        answers.pop_front();
                    }
                    slot
                }
            }
        };
        let mut held = slot.lock();
        if let Some(answer) = &*held {
            return Ok(Arc::clone(answer));
        }
        let (start, end, descending, chunk) = key;
        let first = chunk * per_call;
        let series = &self.order[first..(first + per_call).min(self.order.len())];
        let range = TimeRange::new(start, end);
        let rows = match self.rows {
            Some(rows) => rows,
            None => (ROWS_PER_CALL / series.len().max(1) as u64).max(256),
        };
        let answer =
            Arc::new(self.fetch(series, range, descending, rows, self.summary(range, descending))?);
        *held = Some(Arc::clone(&answer));
        Ok(answer)
    }

    fn fetch(
        &self,
        series: &[SeriesRef],
        range: TimeRange,
        descending: bool,
        rows: u64,
        summary: Option<&Summary>,
    ) -> Result<Vec<Fetched>, ReadError> {
        let keys: Vec<Arc<str>> = series.iter().map(|series| self.shard.series_key(*series)).collect();
        let mut body = Vec::new();
        put_texts(&mut body, keys.iter().map(|key| &**key));
        let body = pack(&body).map_err(|error| ReadError::Unreachable {
            shard: self.shard.asking.shard,
            reason: error.to_string(),
            advice: "this is a defect of Skywatch".to_owned(),
        })?;
        let question = ScanQuestion {
            shard: self.shard.asking.shard,
            measurement: self.measurement.clone(),
            fields: self.fields.clone(),
            start: range.start,
            end: range.end,
            descending,
            rows,
            summary: summary.map(|summary| summary.question.clone()),
        };
        let read = |_: serde_json::Value, body: Bytes| {
            let body = unpack(&body).map_err(|error| error.0.to_owned())?;
            let mut reader = Reader::new(&body);
            let one = |_| take_fetched(&mut reader, self.fields.len(), summary, range);
            let all = (0..series.len()).map(one).collect::<Result<Vec<_>, _>>();
            all.and_then(|all| reader.finish().map(|()| all)).map_err(|error| error.0.to_owned())
        };
        self.shard.asking.ask(SCAN, &question, &body, &read)
    }
}

fn take_fetched(
    reader: &mut Reader<'_>,
    fields: usize,
    summary: Option<&Summary>,
    range: TimeRange,
) -> Result<Fetched, Malformed> {
    if let Some(summary) = summary {
        let windows = summary.wanted.iter().map(|wanted| take_summary(reader, *wanted));
        return Ok(Fetched::Windows(windows.collect::<Result<_, _>>()?));
    }
    let mut blocks = Vec::new();
    loop {
        match reader.u8()? {
            ENDED => return Ok(Fetched::Rows { blocks, more: false }),
            MORE => return Ok(Fetched::Rows { blocks, more: true }),
            ROWS => {
                let rows = take_rows(reader, fields)?;
                let is_inside = rows.times.iter().all(|time| range.contains(*time));
                if rows.times.is_empty() || !is_inside {
                    return Err(Malformed("rows that were not asked for"));
                }
                blocks.push(rows);
            }
            _ => return Err(Malformed("what is neither rows nor their end")),
        }
    }
}

/// Reads one series on.
struct RemoteStream<'a> {
    scanner: &'a RemoteScanner<'a>,
    series: SeriesRef,
    /// What is still to be asked for.
    rest: Option<TimeRange>,
    descending: bool,
    answer: Option<Arc<Vec<Fetched>>>,
    /// Which series of the answer.
    place: usize,
    /// The next block of it.
    next: usize,
    /// Rows to ask for.
    rows: u64,
}

impl RemoteStream<'_> {
    fn take(&mut self, answer: Arc<Vec<Fetched>>, place: usize) {
        self.rest = match (&answer[place], self.rest) {
            (Fetched::Rows { blocks, more: true }, Some(range)) => match blocks.last() {
                Some(last) if self.descending => {
                    let first = last.times.first().copied().unwrap_or(range.start);
                    Some(TimeRange::new(range.start, first.saturating_sub(1)))
                }
                Some(last) => {
                    let last = last.times.last().copied().unwrap_or(range.end);
                    Some(TimeRange::new(last.saturating_add(1), range.end))
                }
                None => Some(range),
            },
            _ => None,
        };
        self.rest = self.rest.filter(|rest| !rest.is_empty());
        (self.answer, self.place, self.next) = (Some(answer), place, 0);
    }
}

impl BlockStream for RemoteStream<'_> {
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        loop {
            if let Some(answer) = self.answer.clone() {
                let here = self.next;
                self.next += 1;
                match &answer[self.place] {
                    Fetched::Rows { blocks, .. } if here < blocks.len() => {
                        return Ok(Some(Box::new(RowsBlock { answer, place: self.place, index: here })));
                    }
                    Fetched::Windows(windows) if here == 0 => {
                        if let Some(range) = span_of(windows) {
                            let (scanner, series) = (self.scanner, self.series);
                            let block = WindowsBlock { scanner, series, answer, place: self.place, range };
                            return Ok(Some(Box::new(block)));
                        }
                    }
                    Fetched::Rows { .. } | Fetched::Windows(_) => {}
                }
                self.answer = None;
            }
            let Some(rest) = self.rest else { return Ok(None) };
            self.rows = self.rows.saturating_mul(4).clamp(64, ROWS_PER_CALL);
            let answer = self.scanner.fetch(&[self.series], rest, self.descending, self.rows, None)?;
            self.take(Arc::new(answer), 0);
        }
    }
}

fn span_of(windows: &[Vec<WindowStats>]) -> Option<TimeRange> {
    let all = windows.iter().flatten().map(|window| window.times);
    all.reduce(|a, b| TimeRange::new(a.start.min(b.start), a.end.max(b.end)))
}

/// Rows that were fetched.
struct RowsBlock {
    answer: Arc<Vec<Fetched>>,
    place: usize,
    index: usize,
}

impl RowsBlock {
    fn rows(&self) -> &RowBlock {
        static NONE: RowBlock = RowBlock { times: Vec::new(), columns: Vec::new() };
        match &self.answer[self.place] {
            Fetched::Rows { blocks, .. } => &blocks[self.index],
            Fetched::Windows(_) => &NONE,
        }
    }
}

impl ScanBlock for RowsBlock {
    fn time_range(&self) -> TimeRange {
        let times = &self.rows().times;
        TimeRange::new(times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(-1))
    }

    fn stats(&self, _: usize) -> Option<&skywatch_storage::BlockStats> {
        None
    }

    fn decode(&self) -> Result<RowBlock, ReadError> {
        Ok(self.rows().clone())
    }
}

/// Statistics that were fetched.
struct WindowsBlock<'a> {
    scanner: &'a RemoteScanner<'a>,
    series: SeriesRef,
    answer: Arc<Vec<Fetched>>,
    place: usize,
    range: TimeRange,
}

impl ScanBlock for WindowsBlock<'_> {
    fn time_range(&self) -> TimeRange {
        self.range
    }

    fn stats(&self, _: usize) -> Option<&skywatch_storage::BlockStats> {
        None
    }

    fn summary(&self, field_index: usize) -> Option<&[WindowStats]> {
        match &self.answer[self.place] {
            Fetched::Windows(windows) => windows.get(field_index).map(Vec::as_slice),
            Fetched::Rows { .. } => None,
        }
    }

    /// The rows themselves, should somebody want them after all.
    fn decode(&self) -> Result<RowBlock, ReadError> {
        let (mut all, mut rest) = (RowBlock::default(), Some(self.range));
        while let Some(range) = rest {
            let fetched = self.scanner.fetch(&[self.series], range, false, ROWS_PER_CALL, None)?;
            let Some(Fetched::Rows { blocks, more }) = fetched.into_iter().next() else { break };
            rest = blocks
                .last()
                .and_then(|last| last.times.last())
                .filter(|last| more && **last < range.end)
                .map(|last| TimeRange::new(*last + 1, range.end));
            for block in blocks {
                join(&mut all, block);
            }
        }
        Ok(all)
    }
}

/// Appends rows that come after those.
fn join(all: &mut RowBlock, more: RowBlock) {
    let (before, after) = (all.times.len(), all.times.len() + more.times.len());
    if before == 0 {
        *all = more;
        return;
    }
    all.times.extend(&more.times);
    for (own, column) in all.columns.iter_mut().zip(more.columns) {
        match (own.as_mut(), column) {
            (Some(own), Some(column)) => own.append(column),
            (Some(own), None) => own.pad(after),
            (None, Some(column)) => {
                let mut padded = skywatch_model::Column {
                    values: skywatch_model::Values::empty(column.values.field_type()),
                    valid: None,
                };
                padded.pad(before);
                padded.append(column);
                *own = Some(padded);
            }
            (None, None) => {}
        }
    }
}
