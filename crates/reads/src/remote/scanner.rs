//! Rows and statistics of series on other nodes, for one scan.
//!
//! Series are read many at a time, in the order in which they will be scanned; of each of them so much that all are bounded, and
//! what is left of one is read by itself when it comes to that. Several such pages are on their way at once, from before the
//! first is needed: the owner works with several threads, of many shards together, while this node reads its own.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_model::TimeRange;
use skywatch_storage::{BlockStream, Order, ReadError, ScanCost, ScanRequest, Scanner, SeriesRef};

use super::{
    RemoteShard,
    fetch::{Answer, Fetch, Summary, packed_keys},
    stream::RemoteStream,
};
use crate::{
    promise::Promise,
    wire::{COST, CostAnswer, CostQuestion, ScanQuestion, SummaryQuestion, bits_of},
};

/// Series that are asked for at once.
const SERIES_PER_CALL: usize = 256;
/// Rows that are asked for at once, of all series together.
pub(super) const ROWS_PER_CALL: u64 = 64 << 10;
/// Windows that are asked for at once, of all fields of all series together; and most of those of one series.
const WINDOWS_PER_CALL: u64 = 256 << 10;
/// Series whose costs are asked for at once.
const COSTS_PER_CALL: usize = 4_096;
/// Series that are asked for at least at once, though an owner that is asked several times at once works with several
/// threads; and about how many calls these shall be.
const SERIES_PER_CALL_MIN: usize = 128;
const CALLS_WANTED: usize = 4;
/// Answers of statistics, and of rows, that are on their way before they are needed.
const SUMMARIES_AHEAD: usize = 3;
const ROWS_AHEAD: usize = 1;
/// Answers that a scanner keeps.
const ANSWERS_KEPT: usize = 6;

/// Which rows of the series of a scan count.
struct SeriesConditions {
    all: Arc<[Arc<[u8]>]>,
    /// Of each series, in the order in which they will be scanned; without, the first is that of all.
    of: Option<Vec<Option<u32>>>,
}

impl SeriesConditions {
    /// That of a series. Where it is not known, all rows are asked for: who reads them applies it too.
    fn of(&self, place: usize) -> Option<usize> {
        match &self.of {
            None => Some(0),
            Some(of) => of.get(place).copied().flatten().map(|condition| condition as usize),
        }
    }
}

/// What an answer is about: a range, whether descending, and which of the series.
type AnswerKey = (i64, i64, bool, usize);

pub(crate) struct RemoteScanner<'a> {
    pub(super) shard: &'a RemoteShard,
    measurement: String,
    fields: Vec<String>,
    /// The series that will be scanned.
    order: Vec<SeriesRef>,
    places: HashMap<SeriesRef, usize>,
    ranges: Vec<TimeRange>,
    rows: Option<u64>,
    summary: Option<Arc<Summary>>,
    conditions: Option<SeriesConditions>,
    /// The newest last; some before anybody needs them.
    answers: Mutex<VecDeque<(AnswerKey, Arc<Promise<Answer>>)>>,
    /// By range and series, as they were asked for.
    costs: Mutex<HashMap<(i64, i64, SeriesRef), ScanCost>>,
}

impl fmt::Debug for RemoteScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteScanner").field("shard", self.shard).finish_non_exhaustive()
    }
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
            range,
            rest: Some(range),
            descending,
            answer: None,
            place: 0,
            next: 0,
            rows: self.rows.unwrap_or(ROWS_PER_CALL),
        };
        if range.intersect(self.shard.range).is_empty() || self.shard.is_lost() {
            stream.rest = None;
            return Ok(Box::new(stream));
        }
        if let Some(place) = self.places.get(&series).filter(|_| self.ranges.contains(&range)) {
            let per_call = self.series_per_call(range);
            let answer = self.answer((range.start, range.end, descending, place / per_call), per_call);
            match self.shard.or_nothing(answer.map(Some), || None)? {
                Some(answer) => stream.take(answer, place % per_call),
                None => stream.rest = None,
            }
        }
        Ok(Box::new(stream))
    }
}

impl<'a> RemoteScanner<'a> {
    /// Of what is asked for all at once.
    pub(crate) fn new(shard: &'a RemoteShard, request: &ScanRequest<'_>) -> Self {
        let order = request.series.map(|series| series()).unwrap_or_default();
        let places = order.iter().enumerate().map(|(place, series)| (*series, place)).collect();
        let summary = request.summary.map(|summary| Summary {
            question: SummaryQuestion {
                windows: summary.windows.map(|windows| (windows.every, windows.offset)),
                wanted: summary.wanted.iter().map(|wanted| bits_of(*wanted)).collect(),
                repeats: true,
                short: true,
            },
            wanted: summary.wanted.to_vec(),
        });
        Self {
            shard,
            measurement: request.measurement.to_owned(),
            fields: request.fields.iter().map(ToString::to_string).collect(),
            order,
            places,
            ranges: request.ranges.to_vec(),
            rows: request.rows,
            summary: summary.map(Arc::new),
            conditions: request.conditions.map(|conditions| SeriesConditions {
                all: conditions.all.iter().map(|condition| condition.as_slice().into()).collect(),
                of: conditions.of.map(|of| of()),
            }),
            answers: Mutex::default(),
            costs: Mutex::default(),
        }
    }

    /// Number of the fields that are read.
    pub(super) fn fields(&self) -> usize {
        self.fields.len()
    }

    /// What a scan would read where the shard is; fetched with that of its neighbours.
    pub(super) fn cost(&self, series: SeriesRef, range: TimeRange) -> Result<ScanCost, ReadError> {
        let mut costs = self.costs.lock();
        if let Some(known) = costs.get(&(range.start, range.end, series)) {
            return Ok(known.clone());
        }
        let all = self.shard.neighbours(series);
        let place = all.iter().position(|known| *known == series).unwrap_or(0);
        let first = place - place % COSTS_PER_CALL;
        let asked = &all[first..(first + COSTS_PER_CALL).min(all.len())];
        let question = CostQuestion {
            shard: self.shard.asking.shard,
            measurement: self.measurement.clone(),
            fields: self.fields.clone(),
            start: range.start,
            end: range.end,
        };
        let read = |answer: CostAnswer, _: Bytes| Ok(answer.costs);
        let keys = self.shard.keys_of(asked);
        let found =
            self.shard.asking.ask(COST, &question, &packed_keys(&self.shard.asking, &keys)?, &read)?;
        for (series, cost) in asked.iter().zip(found) {
            costs.insert((range.start, range.end, *series), cost.into());
        }
        Ok(costs.get(&(range.start, range.end, series)).cloned().unwrap_or_default())
    }

    /// The summary that suffices for a scan, unless rows are less.
    fn summary(&self, range: TimeRange) -> Option<&Arc<Summary>> {
        let windows = self.windows(range);
        self.summary.as_ref().filter(|_| windows <= WINDOWS_PER_CALL)
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

    fn series_per_call(&self, range: TimeRange) -> usize {
        match self.summary(range) {
            Some(_) => {
                let fitting = WINDOWS_PER_CALL / self.windows(range).max(1);
                let fitting = usize::try_from(fitting).unwrap_or(usize::MAX).clamp(1, 4 * SERIES_PER_CALL);
                fitting.min(self.order.len().div_ceil(CALLS_WANTED).max(SERIES_PER_CALL_MIN))
            }
            None => SERIES_PER_CALL,
        }
    }

    /// Asks for the first series.
    pub(super) fn begin(&self, range: TimeRange, descending: bool) {
        if !range.intersect(self.shard.range).is_empty() && !self.order.is_empty() {
            let per_call = self.series_per_call(range);
            drop(self.promised((range.start, range.end, descending, 0), per_call));
        }
    }

    fn answer(&self, key: AnswerKey, per_call: usize) -> Result<Answer, ReadError> {
        let promise = self.promised(key, per_call);
        promise.wait().inspect_err(|_| self.answers.lock().retain(|(known, _)| *known != key))
    }

    /// The answer to come, and those that will be needed next asked for.
    fn promised(&self, key: AnswerKey, per_call: usize) -> Arc<Promise<Answer>> {
        let (start, end, descending, chunk) = key;
        let ahead = match self.summary(TimeRange::new(start, end)) {
            Some(_) => SUMMARIES_AHEAD,
            None => ROWS_AHEAD,
        };
        let chunks = self.order.len().div_ceil(per_call);
        let mut answers = self.answers.lock();
        let mut wanted = None;
        for chunk in chunk..(chunk + 1 + ahead).min(chunks.max(chunk + 1)) {
            let key = (start, end, descending, chunk);
            let promise = match answers.iter().find(|(known, _)| *known == key) {
                Some((_, promise)) => Arc::clone(promise),
                None => {
                    let promise = Arc::new(self.begin_chunk(key, per_call));
                    answers.push_back((key, Arc::clone(&promise)));
                    promise
                }
            };
            wanted.get_or_insert(promise);
        }
        let wanted = wanted.unwrap_or_else(|| Arc::new(self.begin_chunk(key, per_call)));
        while answers.len() > ANSWERS_KEPT {
            answers.pop_front();
        }
        wanted
    }

    fn begin_chunk(&self, key: AnswerKey, per_call: usize) -> Promise<Answer> {
        let (start, end, descending, chunk) = key;
        let first = (chunk * per_call).min(self.order.len());
        let asked = first..(first + per_call).min(self.order.len());
        let series = &self.order[asked.clone()];
        let of = match &self.conditions {
            None => Vec::new(),
            Some(conditions) => asked.map(|place| conditions.of(place)).collect(),
        };
        let range = TimeRange::new(start, end);
        let rows = match self.rows {
            Some(rows) => rows,
            None => (ROWS_PER_CALL / series.len().max(1) as u64).max(256),
        };
        self.fetch((series, of), range, descending, rows, self.summary(range))
    }

    /// Rows of one series that nothing has been asked about ahead.
    pub(super) fn fetch_rows(
        &self,
        series: SeriesRef,
        range: TimeRange,
        descending: bool,
        rows: u64,
    ) -> Result<Answer, ReadError> {
        let place = || self.places.get(&series).copied();
        let of = self.conditions.as_ref().map(|conditions| conditions.of(place().unwrap_or(usize::MAX)));
        self.fetch((&[series], of.into_iter().collect()), range, descending, rows, None).wait()
    }

    /// Of some series, and the conditions of each.
    fn fetch(
        &self,
        (series, of): (&[SeriesRef], Vec<Option<usize>>),
        range: TimeRange,
        descending: bool,
        rows: u64,
        summary: Option<&Arc<Summary>>,
    ) -> Promise<Answer> {
        let question = ScanQuestion {
            shard: self.shard.asking.shard,
            measurement: self.measurement.clone(),
            fields: self.fields.clone(),
            start: range.start,
            end: range.end,
            descending,
            rows,
            summary: None,
            condition: None,
            selection: None,
        };
        let keys = self.shard.keys_of(series);
        let all = self.conditions.as_ref().map(|conditions| Arc::clone(&conditions.all));
        let fetch =
            Fetch { question, keys, conditions: all.unwrap_or_default(), of, summary: summary.cloned() };
        let asking = self.shard.asking.clone();
        Promise::new(|keeper| {
            let task = async move { keeper.keep(fetch.all(&asking).await) };
            self.shard.asking.runtime.spawn(task).abort_handle()
        })
    }
}
