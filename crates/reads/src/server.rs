//! An owner's answers for its shards.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use skywatch_model::{Column, RowBlock, TimeRange};
use skywatch_query::RowFilter;
use skywatch_rpc::{Failure, FailureKind, Router};
use skywatch_storage::{
    End, Order, ReadError, ReadErrorClass, ScanBlock, ScanRequest, Scanner, SeriesRef, ShardRead,
    wire::{Malformed, Reader, put_varint},
};

use crate::{
    predicate,
    summary::Summariser,
    windows::{Readable, Writer},
    wire::{
        COST, CostAnswer, CostQuestion, PAGE_BYTES, SCAN, SCHEMA, SERIES, ScanAnswer, ScanQuestion,
        SchemaAnswer, SchemaQuestion, SeriesAnswer, SeriesCost, SeriesQuestion, SummaryQuestion, pack,
        put_rows, put_texts, refusal, take_conditions, take_texts, unpack, wanted_of,
    },
};

/// The shards of a node.
pub trait ShardSource: Send + Sync + fmt::Debug + 'static {
    /// A snapshot of a shard of which this node holds everything; else [`FailureKind::Incomplete`], or
    /// [`FailureKind::NotFound`] for one it does not own. `None` of one that nothing was written to yet.
    fn snapshot(&self, shard: u64) -> Result<Option<Arc<dyn ShardRead>>, Failure>;
}

/// Answers calls to read the shards of `source`. `offload` runs what blocks.
pub fn router(source: Arc<dyn ShardSource>, offload: Offload) -> Router {
    router_within(source, offload, FILTERED_VALUES_PER_CALL)
}

/// Values that are looked at for a condition in one call, about: what is left is for the next one, so that a call takes no
/// longer than callers wait.
const FILTERED_VALUES_PER_CALL: u64 = 64 << 20;

/// As [`router`], with another bound on what one call looks at for a condition.
pub fn router_within(source: Arc<dyn ShardSource>, offload: Offload, filtered_values: u64) -> Router {
    let (schemas, series, costs, scans) =
        (Arc::clone(&source), Arc::clone(&source), Arc::clone(&source), source);
    Router::new()
        .on(SCHEMA, move |question: SchemaQuestion, _: Bytes| {
            let source = Arc::clone(&schemas);
            async move { offload(Box::new(|| schema(&*source, &question))) }
        })
        .on(SERIES, move |question: SeriesQuestion, _: Bytes| {
            let source = Arc::clone(&series);
            async move { offload(Box::new(|| series_keys(&*source, &question))) }
        })
        .on(COST, move |question: CostQuestion, body: Bytes| {
            let source = Arc::clone(&costs);
            async move { offload(Box::new(|| cost(&*source, &question, &body))) }
        })
        .on(SCAN, move |question: ScanQuestion, body: Bytes| {
            let source = Arc::clone(&scans);
            async move { offload(Box::new(|| scan(&*source, &question, &body, filtered_values))) }
        })
}

/// Runs what blocks where it may.
pub type Offload = fn(Box<dyn FnOnce() -> Answered + '_>) -> Answered;

/// Head and body of an answer.
pub type Answered = Result<(serde_json::Value, Bytes), Failure>;

fn failure(error: ReadError) -> Failure {
    let kind = match error.class() {
        // This owner's: another one may have the data whole.
        ReadErrorClass::Damage => FailureKind::Damaged,
        ReadErrorClass::Absence | ReadErrorClass::Stopped => FailureKind::Internal,
    };
    match std::error::Error::source(&error) {
        Some(cause) => Failure::new(kind, format!("{error}: {cause}")),
        None => Failure::new(kind, error),
    }
}

fn head(answer: &impl serde::Serialize) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(answer).map_err(Failure::internal)
}

fn schema(source: &dyn ShardSource, question: &SchemaQuestion) -> Answered {
    let mut answer = SchemaAnswer::default();
    if let Some(shard) = source.snapshot(question.shard)? {
        let texts = |texts: Vec<Arc<str>>| texts.iter().map(ToString::to_string).collect();
        match &question.measurement {
            None => answer.measurements = texts(shard.measurements().map_err(failure)?),
            Some(name) => {
                // Before anything else is looked at, so that it never stands for more than there was.
                answer.stamp = shard.series_stamp().map(|stamp| stamp.0);
                let fields = shard.fields(name).map_err(failure)?;
                answer.fields = fields.iter().map(|(name, kind)| (name.to_string(), *kind as u8)).collect();
                answer.tag_keys = texts(shard.tag_keys(name).map_err(failure)?);
            }
        }
    }
    Ok((head(&answer)?, Bytes::new()))
}

fn series_keys(source: &dyn ShardSource, question: &SeriesQuestion) -> Answered {
    let mut keys: Vec<Arc<str>> = Vec::new();
    let mut more = false;
    let predicate = predicate::decode(&question.predicate).map_err(refusal)?;
    let (mut stamp, mut unchanged) = (None, false);
    if let Some(shard) = source.snapshot(question.shard)? {
        // Before the series are selected, so that it never stands for more than there were.
        stamp = shard.series_stamp().map(|stamp| stamp.0);
        unchanged = stamp.is_some() && stamp == question.remembered;
        let all = match unchanged {
            true => Vec::new(),
            false => shard.select_series(&question.measurement, &predicate).map_err(failure)?,
        };
        let first = question
            .after
            .as_deref()
            .map_or(0, |after| all.partition_point(|series| &*shard.series_key(*series) <= after));
        let mut bytes = 0;
        for series in &all[first..] {
            if bytes >= PAGE_BYTES {
                more = true;
                break;
            }
            let key = shard.series_key(*series);
            bytes += key.len() + 2;
            keys.push(key);
        }
    }
    let mut body = Vec::new();
    put_texts(&mut body, keys.iter().map(|key| &**key));
    Ok((head(&SeriesAnswer { more, stamp, unchanged })?, pack(&body)?))
}

/// What each series asked for would read; nothing of one that is not here.
fn cost(source: &dyn ShardSource, question: &CostQuestion, body: &[u8]) -> Answered {
    let body = unpack(body).map_err(refusal)?;
    let keys = take_keys(&body)?;
    let fields: Vec<Arc<str>> = question.fields.iter().map(|name| name.as_str().into()).collect();
    let mut answer = CostAnswer::default();
    if let Some(shard) = source.snapshot(question.shard)? {
        let range = TimeRange::new(question.start, question.end);
        let request = ScanRequest::new(&question.measurement, &fields);
        let scanner = shard.scanner(&request).map_err(failure)?;
        for series in shard.find_series(&question.measurement, &keys).map_err(failure)? {
            let cost = match series {
                None => SeriesCost::default(),
                Some(series) => scanner.scan(series, range, Order::Ascending).map_err(failure)?.cost().into(),
            };
            answer.costs.push(cost);
        }
    }
    Ok((head(&answer)?, Bytes::new()))
}

fn take_keys(body: &[u8]) -> Result<Vec<&str>, Failure> {
    let mut reader = Reader::new(body);
    take_texts(&mut reader).and_then(|keys| reader.finish().map(|()| keys)).map_err(refusal)
}

/// For each series asked for: whether there is more of it than is here, then its rows or statistics.
fn scan(source: &dyn ShardSource, question: &ScanQuestion, body: &[u8], work_max: u64) -> Answered {
    let body = unpack(body).map_err(refusal)?;
    let keys = take_keys(&body)?;
    let wanted = Wanted::of(question, keys.len())?;
    let mut out = Vec::new();
    let mut answered = keys.len();
    let fields: Vec<Arc<str>> = question.fields.iter().map(|name| name.as_str().into()).collect();
    match source.snapshot(question.shard)? {
        None => keys.iter().for_each(|_| empty(question, wanted.summary, &mut out)),
        Some(shard) => {
            let found = shard.find_series(&question.measurement, &keys).map_err(failure)?;
            let request = ScanRequest::new(&question.measurement, &fields);
            let scanner = shard.scanner(&request).map_err(failure)?;
            let mut work = Work::of(fields.len());
            let mut summariser = wanted.summary.map(|summary| {
                let of_fields = summary.wanted.iter().map(|bits| wanted_of(*bits));
                Summariser::new(summary.regular(), wanted.order, of_fields)
            });
            let readable =
                |summary: &SummaryQuestion| Readable { repeats: summary.repeats, short: summary.short };
            let mut writer = Writer::new(wanted.summary.map(readable).unwrap_or_default());
            let range = TimeRange::new(question.start, question.end);
            for (place, series) in found.into_iter().enumerate() {
                if place > 0 && wanted.is_divisible && work.done >= work_max {
                    answered = place;
                    break;
                }
                let filter = wanted.filters.of(place);
                match (series, &mut summariser) {
                    (None, _) => empty(question, wanted.summary, &mut out),
                    (Some(series), None) => {
                        rows(&*scanner, series, question, filter, &mut work, &mut out).map_err(failure)?;
                    }
                    (Some(series), Some(summariser)) => {
                        let found = summariser.series(&*scanner, series, range, filter, &mut work);
                        found
                            .map_err(failure)?
                            .for_each(|(wanted, windows)| writer.put(&mut out, windows, wanted));
                    }
                }
            }
        }
    }
    let answer = wanted.is_divisible.then_some(ScanAnswer { series: answered as u64 });
    Ok((head(&answer)?, pack(&out)?))
}

/// What is wanted of the series of a scan.
struct Wanted<'a> {
    filters: Filters,
    summary: Option<&'a SummaryQuestion>,
    order: Order,
    /// Whether whoever asks knows that an answer may be about the first of the series only.
    is_divisible: bool,
}

impl<'a> Wanted<'a> {
    fn of(question: &'a ScanQuestion, series: usize) -> Result<Self, Failure> {
        let fields = question.fields.len();
        let order = if question.descending { Order::Descending } else { Order::Ascending };
        let (filters, summary, order) = match (&question.selection, &question.condition) {
            (Some(selection), _) => {
                let filters = Filters::by_series(&selection.conditions, series, fields);
                (filters.map_err(refusal)?, selection.summary.as_ref(), order)
            }
            // Before there were selections, statistics were of what ascends, whatever the order of rows.
            (None, Some(condition)) => {
                let filter = RowFilter::decode(&condition.rows, fields).map_err(refusal)?;
                (Filters { all: vec![filter], of: None }, condition.summary.as_ref(), Order::Ascending)
            }
            (None, None) => (Filters::default(), question.summary.as_ref(), Order::Ascending),
        };
        if let Some(summary) = summary
            && (summary.wanted.len() != fields || summary.windows.is_some_and(|(every, _)| every < 1))
        {
            return Err(Failure::new(FailureKind::Invalid, "a summary of other fields, or without windows"));
        }
        let is_divisible = question.selection.is_some() || question.condition.is_some();
        Ok(Self { filters, summary, order, is_divisible })
    }
}

/// Conditions of series.
#[derive(Debug, Default)]
struct Filters {
    all: Vec<RowFilter>,
    /// Of each series; without, the first is that of all.
    of: Option<Vec<Option<usize>>>,
}

impl Filters {
    /// As they were packed for so many series.
    fn by_series(packed: &[u8], series: usize, fields: usize) -> Result<Self, Malformed> {
        if packed.is_empty() {
            return Ok(Self::default());
        }
        let bytes = unpack(packed)?;
        let (all, of) = take_conditions(&mut Reader::new(&bytes), series)?;
        Ok(Self { all: RowFilter::decode_all(all, fields)?, of: Some(of) })
    }

    fn of(&self, series: usize) -> Option<&RowFilter> {
        match &self.of {
            None => self.all.first(),
            Some(of) => self.all.get(of.get(series).copied().flatten()?),
        }
    }
}

/// How much reading took.
#[derive(Debug)]
pub(crate) struct Work {
    /// Values that were decoded, and blocks that were not.
    done: u64,
    fields: u64,
}

impl Work {
    /// Reading so many fields.
    pub(crate) const fn of(fields: usize) -> Self {
        Self { done: 0, fields: fields as u64 }
    }

    /// The rows of a block that satisfy a condition, if there is one.
    pub(crate) fn rows(
        &mut self,
        block: &dyn ScanBlock,
        filter: Option<&RowFilter>,
    ) -> Result<RowBlock, ReadError> {
        self.done += 1;
        if filter.is_some_and(|filter| filter.excludes(block)) {
            return Ok(RowBlock::default());
        }
        let rows = self.rows_within(block, TimeRange::ALL)?;
        Ok(match filter {
            None => rows,
            Some(filter) => filter.apply(rows),
        })
    }

    /// Values that were decoded, and blocks that were.
    #[cfg(test)]
    pub(crate) const fn done(&self) -> u64 {
        self.done
    }

    /// Those rows of a block that lie in a range of time.
    pub(crate) fn rows_within(
        &mut self,
        block: &dyn ScanBlock,
        range: TimeRange,
    ) -> Result<RowBlock, ReadError> {
        let rows = block.decode_within(range)?;
        self.done += rows.times.len() as u64 * self.fields;
        Ok(rows)
    }
}

fn empty(question: &ScanQuestion, summary: Option<&SummaryQuestion>, out: &mut Vec<u8>) {
    match summary {
        None => out.push(ENDED),
        Some(_) => question.fields.iter().for_each(|_| put_varint(out, 0)),
    }
}

/// A series has no more rows than those before.
pub(crate) const ENDED: u8 = 0;
/// Rows follow.
pub(crate) const ROWS: u8 = 1;
/// A series has more rows, to be asked for.
pub(crate) const MORE: u8 = 2;

fn rows(
    scanner: &dyn Scanner,
    series: SeriesRef,
    question: &ScanQuestion,
    filter: Option<&RowFilter>,
    work: &mut Work,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let range = TimeRange::new(question.start, question.end);
    let order = if question.descending { Order::Descending } else { Order::Ascending };
    let mut stream = scanner.scan(series, range, order)?;
    let mut rows_left = usize::try_from(question.rows).unwrap_or(usize::MAX).max(1);
    while let Some(block) = stream.next_block()? {
        if rows_left == 0 || out.len() >= PAGE_BYTES {
            out.push(MORE);
            return Ok(());
        }
        // The one row that is wanted may be known without its block being decoded.
        let end = if question.descending { End::Last } else { End::First };
        if rows_left == 1
            && filter.is_none()
            && let Some(row) = block.end_row(end)
        {
            out.push(ROWS);
            put_rows(out, &row);
            out.push(MORE);
            return Ok(());
        }
        let rows = work.rows(block.as_ref(), filter)?;
        if rows.times.is_empty() {
            continue;
        }
        let kept = rows.times.len().min(rows_left);
        rows_left -= kept;
        out.push(ROWS);
        if kept == rows.times.len() {
            put_rows(out, &rows);
        } else {
            put_rows(out, &cut(&rows, kept, question.descending));
            out.push(MORE);
            return Ok(());
        }
    }
    out.push(ENDED);
    Ok(())
}

/// The first rows in the order asked for; rows of a block ascend in either.
fn cut(rows: &RowBlock, kept: usize, descending: bool) -> RowBlock {
    let len = rows.times.len();
    let range = if descending { len - kept..len } else { 0..kept };
    let column = |column: &Option<Column>| column.as_ref().map(|column| column.slice(range.clone()));
    RowBlock { columns: rows.columns.iter().map(column).collect(), times: rows.times[range.clone()].to_vec() }
}
