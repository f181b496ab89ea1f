//! A question about rows or statistics of some series, and what was found of them.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use skywatch_model::{RowBlock, TimeRange};
use skywatch_storage::{
    ReadError, WantedStats,
    wire::{Malformed, Reader},
};

use crate::{
    Asking,
    server::{ENDED, MORE, ROWS},
    windows::Windows,
    wire::{
        ConditionQuestion, PAGE_BYTES, SCAN, ScanAnswer, ScanQuestion, SelectionQuestion, SummaryQuestion,
        pack, put_conditions, put_texts, take_rows, unpack,
    },
};

/// What was fetched of some series.
pub(super) type Answer = Arc<Vec<Fetched>>;

/// What was fetched of one series.
#[derive(Debug)]
pub(super) enum Fetched {
    Rows {
        blocks: Vec<RowBlock>,
        /// Whether there are rows after these.
        more: bool,
    },
    /// Of all fields, from this one on in what was answered together.
    Windows(Arc<Windows>, usize),
}

/// Statistics that suffice.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) question: SummaryQuestion,
    pub(super) wanted: Vec<WantedStats>,
}

/// What is asked of some series.
pub(super) struct Fetch {
    /// Without what depends on the series.
    pub(super) question: ScanQuestion,
    pub(super) keys: Vec<Arc<str>>,
    /// Conditions on rows, and which of them each of the series has; empty if none has any.
    pub(super) conditions: Arc<[Arc<[u8]>]>,
    pub(super) of: Vec<Option<usize>>,
    pub(super) summary: Option<Arc<Summary>>,
}

impl Fetch {
    /// What was found of all of these series: where an owner leaves off, it is asked for the others.
    pub(super) async fn all(&self, asking: &Asking) -> Result<Answer, ReadError> {
        let (mut all, mut bytes): (Vec<Fetched>, usize) = (Vec::new(), 0);
        loop {
            let rest = &self.keys[all.len()..];
            let question = self.question(asking, all.len())?;
            let read = |answer: Option<ScanAnswer>, body: Bytes| {
                let body = unpack(&body).map_err(|error| error.0.to_owned())?;
                let found = take_answer(&question, answer, &body, rest.len(), self.summary.as_deref());
                Ok((found.map_err(|error| error.0.to_owned())?, body.len()))
            };
            let (found, size) = asking.answer(SCAN, &question, &packed_keys(asking, rest)?, &read).await?;
            all.extend(found);
            bytes += size;
            if all.len() == self.keys.len() {
                return Ok(Arc::new(all));
            }
            if bytes >= PAGE_BYTES && self.summary.is_none() {
                // What is left is read when it comes to that.
                all.resize_with(self.keys.len(), || Fetched::Rows { blocks: Vec::new(), more: true });
                return Ok(Arc::new(all));
            }
        }
    }

    /// What is asked of the series from one of them on; in words that owners of earlier releases know, where there are any.
    fn question(&self, asking: &Asking, first: usize) -> Result<ScanQuestion, ReadError> {
        let summary = self.summary.as_ref().map(|summary| summary.question.clone());
        let of = self.of.get(first..).unwrap_or_default();
        let is_known =
            of.windows(2).all(|pair| pair[0] == pair[1]) && !(summary.is_some() && self.question.descending);
        let mut question = self.question.clone();
        match of.first().copied().flatten() {
            None if is_known => question.summary = summary,
            Some(condition) if is_known => {
                question.condition =
                    Some(ConditionQuestion { rows: self.conditions[condition].to_vec(), summary });
            }
            _ => {
                question.selection =
                    Some(SelectionQuestion { conditions: self.packed_conditions(asking, of)?, summary });
            }
        }
        Ok(question)
    }

    /// The conditions of some of the series.
    fn packed_conditions(&self, asking: &Asking, of: &[Option<usize>]) -> Result<Vec<u8>, ReadError> {
        let (mut all, mut places) = (Vec::new(), HashMap::new());
        let mut place = |condition: usize| {
            *places.entry(condition).or_insert_with(|| {
                all.push(&*self.conditions[condition]);
                all.len() - 1
            })
        };
        let of: Vec<Option<usize>> = of.iter().map(|condition| condition.map(&mut place)).collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        put_conditions(&mut out, &all, &of);
        packed(asking, &out).map(|packed| packed.to_vec())
    }
}

/// The keys of series, as they are asked for.
pub(super) fn packed_keys(asking: &Asking, keys: &[Arc<str>]) -> Result<Bytes, ReadError> {
    let mut body = Vec::new();
    put_texts(&mut body, keys.iter().map(|key| &**key));
    packed(asking, &body)
}

fn packed(asking: &Asking, bytes: &[u8]) -> Result<Bytes, ReadError> {
    pack(bytes).map_err(|error| ReadError::Unreachable {
        shard: asking.shard,
        reason: error.to_string(),
        advice: "this is a defect of Skywatch".to_owned(),
    })
}

/// Of so many series asked for, those that an answer is about.
fn take_answer(
    question: &ScanQuestion,
    answer: Option<ScanAnswer>,
    body: &[u8],
    asked: usize,
    summary: Option<&Summary>,
) -> Result<Vec<Fetched>, Malformed> {
    let is_told = question.condition.is_some() || question.selection.is_some();
    // Who does not know conditions has sent all rows of all series.
    let count = match answer {
        None => asked,
        Some(ScanAnswer { series }) => {
            let count = usize::try_from(series).unwrap_or(usize::MAX);
            if count > asked || (count == 0 && asked > 0) {
                return Err(Malformed("another number of series than were asked for"));
            }
            count
        }
    };
    let summary = summary.filter(|_| !is_told || answer.is_some());
    let mut reader = Reader::new(body);
    let all = match summary {
        None => {
            let range = TimeRange::new(question.start, question.end);
            let one = |_| take_fetched(&mut reader, question.fields.len(), range);
            (0..count).map(one).collect::<Result<_, _>>()?
        }
        Some(summary) => {
            let mut windows = Windows::default();
            for _ in 0..count {
                summary.wanted.iter().try_for_each(|wanted| windows.take(&mut reader, *wanted))?;
            }
            let (windows, fields) = (Arc::new(windows), summary.wanted.len());
            (0..count).map(|series| Fetched::Windows(Arc::clone(&windows), series * fields)).collect()
        }
    };
    reader.finish().map(|()| all)
}

fn take_fetched(reader: &mut Reader<'_>, fields: usize, range: TimeRange) -> Result<Fetched, Malformed> {
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
