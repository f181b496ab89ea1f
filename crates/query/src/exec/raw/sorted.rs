//! The merge of series whose order among rows of one time is known: by sorting, batch after batch.
//!
//! ```text
//!   series a  [=========|......        each holds its next rows; up to the horizon, no series that goes on
//!   series b  [=========|...           can bring an earlier one
//!   series c  [=========]              <- the first block to end sets the horizon
//! ```
//!
//! The rows up to the horizon are sorted by time and rank and go out; then blocks that are used up are replaced.

use super::{Emit, Gather, Run, Stream, advance_all};
use crate::QueryError;

/// About how many rows are sorted at once: so that keys stay in the processor's caches and a stop is noticed soon.
const BATCH_ROWS: usize = 32 << 10;

/// Series merged by time and, at one time, by rank.
pub(super) struct Sorted<'a> {
    /// Those that have rows left, by rank; the other way round when the newest come first.
    streams: Vec<Stream<'a>>,
    /// Of the rows of a batch; kept for the next.
    keys: Vec<u128>,
}

impl<'a> Sorted<'a> {
    /// Before the first row; ranks are `0..streams.len()`.
    pub(super) fn new(run: &Run<'a>, streams: Vec<Stream<'a>>, ranks: &[u32]) -> Self {
        let mut ranked: Vec<(u32, Stream<'_>)> = ranks.iter().copied().zip(streams).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let mut streams: Vec<Stream<'_>> = ranked.into_iter().map(|(_, stream)| stream).collect();
        if !run.plan.ascending {
            streams.reverse();
        }
        Self { streams, keys: Vec::new() }
    }

    /// Merges a batch; false when there are no rows left.
    pub(super) fn step(
        &mut self,
        run: &Run<'a>,
        gather: &mut Gather<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<bool, QueryError> {
        let Self { streams, keys } = self;
        if streams.is_empty() {
            return Ok(false);
        }
        run.usage.cancel.check()?;
        let clock = Clock { ascending: run.plan.ascending };
        let ends = batch(streams, clock);
        keys.clear();
        for (index, (stream, end)) in streams.iter().zip(&ends).enumerate() {
            let index = (index as u128) << 32;
            let key = |row: usize| u128::from(clock.key(stream.block.times[row])) << 64 | index | row as u128;
            keys.extend((stream.row..*end).map(key));
        }
        run.usage.hold(keys.len() * size_of::<u128>())?;
        keys.sort_unstable();
        let picks = keys.iter().map(|key| ((*key >> 32) as u32, *key as u32));
        gather.scattered(streams, picks, emit)?;
        run.usage.release(keys.len() * size_of::<u128>());
        for (stream, end) in streams.iter_mut().zip(ends) {
            stream.row = end;
        }
        *streams = replaced(run, std::mem::take(streams))?;
        Ok(!streams.is_empty())
    }
}

/// Times as keys that ascend in the order of the query.
#[derive(Clone, Copy)]
struct Clock {
    ascending: bool,
}

impl Clock {
    const fn key(self, time: i64) -> u64 {
        let key = (time as u64) ^ (1 << 63);
        if self.ascending { key } else { !key }
    }
}

/// Up to which row each stream goes in the next batch.
fn batch(streams: &[Stream<'_>], clock: Clock) -> Vec<usize> {
    let last = |stream: &Stream<'_>| clock.key(stream.block.times[stream.block.times.len() - 1]);
    let mut horizon = streams.iter().filter(|stream| !stream.ended).map(last).min().unwrap_or(u64::MAX);
    loop {
        let end = |stream: &Stream<'_>| {
            stream.row + stream.block.times[stream.row..].partition_point(|time| clock.key(*time) <= horizon)
        };
        let ends: Vec<usize> = streams.iter().map(end).collect();
        let counts = streams.iter().zip(&ends).map(|(stream, end)| end - stream.row);
        let rows: usize = counts.clone().sum();
        let Some((longest, most)) = counts.enumerate().max_by_key(|(_, count)| *count) else { return ends };
        if rows <= BATCH_ROWS * 2 || most < 2 {
            return ends;
        }
        // Only as far as the longest one reaches with its share of a batch.
        let share = (most * BATCH_ROWS / rows).clamp(1, most - 1);
        horizon = clock.key(streams[longest].block.times[streams[longest].row + share - 1]);
    }
}

/// Replaces blocks that are used up; streams that have ended are left out. Keeps their order.
fn replaced<'a>(run: &Run<'a>, streams: Vec<Stream<'a>>) -> Result<Vec<Stream<'a>>, QueryError> {
    let is_used_up = |stream: &Stream<'_>| stream.row >= stream.block.times.len();
    if !streams.iter().any(is_used_up) {
        return Ok(streams);
    }
    let (used_up, rest): (Vec<_>, Vec<_>) =
        streams.into_iter().enumerate().partition(|(_, stream)| is_used_up(stream));
    let positions: rustc_hash::FxHashMap<usize, usize> =
        used_up.iter().map(|(position, stream)| (stream.member, *position)).collect();
    let advanced = advance_all(run, used_up.into_iter().map(|(_, stream)| stream).collect())?;
    let advanced = advanced.into_iter().map(|stream| (positions[&stream.member], stream));
    let mut streams: Vec<(usize, Stream<'a>)> = rest.into_iter().chain(advanced).collect();
    streams.sort_by_key(|(position, _)| *position);
    Ok(streams.into_iter().map(|(_, stream)| stream).collect())
}
