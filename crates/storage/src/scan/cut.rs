//! Cutting sources that overlap where they do not: most overlap by little, as files that were filled one after the other by
//! several clients do, and what lies outside need be neither merged nor decoded.
//!
//! ```text
//!   older block    [ part | part | part | part ]
//!   younger block                     [ part | part | part ]
//!   pieces         [ of the older  ][  merged  ][ younger's ]
//! ```
//!
//! A block is cut between its parts alone (`segment/spans.rs`), so that it still has statistics of each.

use std::collections::VecDeque;

use skywatch_model::TimeRange;

use super::{Source, Sources};

/// What can be read without regard to the rest: sources, and the range in which they are to be read.
pub(super) type Piece<'a> = (Sources<'a>, TimeRange);

/// Pieces of sources that overlap, oldest source first; the pieces ascend in time and together are all of them.
pub(super) fn cut(sources: Vec<Source<'_>>) -> VecDeque<Piece<'_>> {
    let shared = shared(sources.iter().map(Source::time_range).collect());
    let parts: Vec<Vec<TimeRange>> = sources.iter().map(Source::parts).collect();
    let mut alone: Vec<(TimeRange, usize)> = Vec::new();
    for (index, parts) in parts.iter().enumerate() {
        alone.extend(apart(parts, &shared).into_iter().map(|range| (range, index)));
    }
    alone.sort_by_key(|(range, _)| range.start);
    let mut sources: Vec<Slot<'_>> =
        sources.into_iter().zip(parts).map(|(source, parts)| Slot { source: Some(source), parts }).collect();
    let mut pieces = VecDeque::new();
    let mut from = i64::MIN;
    for (range, index) in alone {
        pieces.extend(rest(&mut sources, TimeRange::new(from, range.start.saturating_sub(1))));
        pieces.extend(sources[index].take().map(|source| (Sources::Alone(source), range)));
        from = range.end.saturating_add(1);
    }
    pieces.extend(rest(&mut sources, TimeRange::new(from, i64::MAX)));
    pieces
}

/// A source that has not been taken, and where it may be cut.
struct Slot<'a> {
    source: Option<Source<'a>>,
    parts: Vec<TimeRange>,
}

impl<'a> Slot<'a> {
    /// The source: a block as often as it is wanted, another once.
    fn take(&mut self) -> Option<Source<'a>> {
        let again = self.source.as_ref().and_then(Source::again);
        again.or_else(|| self.source.take())
    }

    /// The source, if any of it may be in a range.
    fn within(&mut self, range: TimeRange) -> Option<Source<'a>> {
        if self.parts.iter().any(|part| part.overlaps(range)) { self.take() } else { None }
    }
}

/// Where two or more of these ranges are, in order of time.
fn shared(mut ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    ranges.sort_by_key(|range| range.start);
    let mut shared: Vec<TimeRange> = Vec::new();
    let mut end = None;
    for range in ranges {
        if let Some(end) = end.filter(|end| range.start <= *end) {
            let both = TimeRange::new(range.start, range.end.min(end));
            match shared.last_mut().filter(|last| both.start <= last.end) {
                Some(last) => last.end = last.end.max(both.end),
                None => shared.push(both),
            }
        }
        end = end.max(Some(range.end));
    }
    shared
}

/// Runs of parts of one source that share no time, nor the time between them, with another.
fn apart(parts: &[TimeRange], shared: &[TimeRange]) -> Vec<TimeRange> {
    // Those that end before the part begins.
    let before = |part: &TimeRange| shared.partition_point(|range| range.end < part.start);
    let mut runs: Vec<TimeRange> = Vec::new();
    let mut run_before = None;
    for part in parts {
        let place = before(part);
        if shared.get(place).is_some_and(|range| range.start <= part.end) {
            run_before = None;
            continue;
        }
        match runs.last_mut().filter(|_| run_before == Some(place)) {
            Some(run) => run.end = part.end,
            None => runs.push(*part),
        }
        run_before = Some(place);
    }
    runs
}

/// What of the sources lies in a range between pieces of blocks alone, if there is anything. Only blocks lie on both sides of
/// such a piece: other sources are taken out.
fn rest<'a>(sources: &mut [Slot<'a>], range: TimeRange) -> Option<Piece<'a>> {
    let mut taken: Vec<_> = sources.iter_mut().filter_map(|slot| slot.within(range)).collect();
    match taken.len() {
        0 => None,
        1 => taken.pop().map(|source| (Sources::Alone(source), range)),
        _ => Some((Sources::Overlapping(taken), range)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ends: &[(i64, i64)]) -> Vec<TimeRange> {
        ends.iter().map(|(start, end)| TimeRange::new(*start, *end)).collect()
    }

    #[test]
    fn times_that_two_have() {
        let shared = |ends: &[(i64, i64)]| shared(ranges(ends));
        assert_eq!(shared(&[(0, 9), (10, 19)]), ranges(&[]));
        assert_eq!(shared(&[(0, 10), (10, 19)]), ranges(&[(10, 10)]));
        assert_eq!(shared(&[(15, 30), (0, 100), (10, 20)]), ranges(&[(10, 30)]));
        assert_eq!(
            shared(&[(0, 100), (10, 20), (30, 40), (90, 200)]),
            ranges(&[(10, 20), (30, 40), (90, 100)])
        );
    }

    #[test]
    fn parts_that_nothing_else_touches() {
        let parts = ranges(&[(0, 9), (10, 19), (20, 29), (40, 49)]);
        assert_eq!(apart(&parts, &[]), ranges(&[(0, 49)]));
        assert_eq!(apart(&parts, &ranges(&[(29, 60)])), ranges(&[(0, 19)]));
        assert_eq!(apart(&parts, &ranges(&[(12, 13)])), ranges(&[(0, 9), (20, 49)]));
        assert_eq!(
            apart(&parts, &ranges(&[(32, 35)])),
            ranges(&[(0, 29), (40, 49)]),
            "something lies between them"
        );
        assert_eq!(apart(&parts, &ranges(&[(0, 49)])), ranges(&[]));
    }
}
