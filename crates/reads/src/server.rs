//! An owner's answers for its shards.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use skywatch_model::{Column, RowBlock, TimeRange};
use skywatch_rpc::{Failure, FailureKind, Router};
use skywatch_storage::{
    Order, ReadError, ScanRequest, Scanner, SeriesRef, ShardRead, TagPredicate,
    wire::{Reader, put_varint},
};

use crate::{
    summary::summarise,
    wire::{
        PAGE_BYTES, SCAN, SCHEMA, SERIES, ScanQuestion, SchemaAnswer, SchemaQuestion, SeriesAnswer,
        SeriesQuestion, pack, put_rows, put_summary, put_texts, refusal, take_texts, unpack, wanted_of,
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
    let (schemas, series, scans) = (Arc::clone(&source), Arc::clone(&source), source);
    Router::new()
        .on(SCHEMA, move |question: SchemaQuestion, _: Bytes| {
            let source = Arc::clone(&schemas);
            async move { offload(Box::new(|| schema(&*source, &question))) }
        })
        .on(SERIES, move |question: SeriesQuestion, _: Bytes| {
            let source = Arc::clone(&series);
            async move { offload(Box::new(|| series_keys(&*source, &question))) }
        })
        .on(SCAN, move |question: ScanQuestion, body: Bytes| {
            let source = Arc::clone(&scans);
            async move { offload(Box::new(|| scan(&*source, &question, &body))) }
        })
}

/// Runs what blocks where it may.
pub type Offload = fn(Box<dyn FnOnce() -> Answered + '_>) -> Answered;

/// Head and body of an answer.
pub type Answered = Result<(serde_json::Value, Bytes), Failure>;

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn failure(error: ReadError) -> Failure {
    // Damage is this owner's: another one may have the data whole.
    Failure::internal(match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
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
    if let Some(shard) = source.snapshot(question.shard)? {
        let all = shard.select_series(&question.measurement, &TagPredicate::All).map_err(failure)?;
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
    Ok((head(&SeriesAnswer { more })?, pack(&body)?))
}

/// For each series asked for: whether there is more of it than is here, then its rows or statistics.
fn scan(source: &dyn ShardSource, question: &ScanQuestion, body: &[u8]) -> Answered {
    let body = unpack(body).map_err(refusal)?;
    let mut reader = Reader::new(&body);
    let keys = take_texts(&mut reader).and_then(|keys| reader.finish().map(|()| keys)).map_err(refusal)?;
    if let Some(summary) = &question.summary
        && (summary.wanted.len() != question.fields.len()
            || summary.windows.is_some_and(|(every, _)| every < 1))
    {
        return Err(Failure::new(FailureKind::Invalid, "a summary of other fields, or without windows"));
    }
    let mut out = Vec::new();
    let fields: Vec<Arc<str>> = question.fields.iter().map(|name| name.as_str().into()).collect();
    match source.snapshot(question.shard)? {
        None => keys.iter().for_each(|_| empty(question, &mut out)),
        Some(shard) => {
            let found = shard.find_series(&question.measurement, &keys).map_err(failure)?;
            let request = ScanRequest::new(&question.measurement, &fields);
            let scanner = shard.scanner(&request).map_err(failure)?;
            for series in found {
                match series {
                    None => empty(question, &mut out),
                    Some(series) => one(&*scanner, series, question, &mut out).map_err(failure)?,
                }
            }
        }
    }
    Ok((serde_json::Value::Null, pack(&out)?))
}

fn empty(question: &ScanQuestion, out: &mut Vec<u8>) {
    match &question.summary {
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

fn one(
    scanner: &dyn Scanner,
    series: SeriesRef,
    question: &ScanQuestion,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let range = TimeRange::new(question.start, question.end);
    if let Some(summary) = &question.summary {
        let wanted: Vec<_> = summary.wanted.iter().map(|bits| wanted_of(*bits)).collect();
        let found = summarise(scanner, series, range, summary.regular(), &wanted)?;
        for (windows, wanted) in found.fields.iter().zip(wanted) {
            put_summary(out, windows, wanted);
        }
        return Ok(());
    }
    let order = if question.descending { Order::Descending } else { Order::Ascending };
    let mut stream = scanner.scan(series, range, order)?;
    let mut rows_left = usize::try_from(question.rows).unwrap_or(usize::MAX).max(1);
    while let Some(block) = stream.next_block()? {
        if rows_left == 0 || out.len() >= PAGE_BYTES {
            out.push(MORE);
            return Ok(());
        }
        let rows = block.decode()?;
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
