//! Cutting sources that overlap where they do not: most overlap by little, as files that were filled one after the other by
//! several clients do, or in places, as where points came late. What lies outside need be neither merged nor decoded.
//!
//! ```text
//!   older block    [ part | part | part ]         [ part | part ]
//!   younger block                [ part ]  [ part ]              [ part | part ]
//!   pieces         [ older's    ][merged][ younger's ][ older's ][ younger's   ]
//! ```
//!
//! A block is cut between its parts alone (`segment/spans.rs`), so that it still has statistics of each.

use std::collections::VecDeque;

use skywatch_model::TimeRange;

use super::{Source, Sources};

/// What can be read without regard to the rest: sources, and the range in which they are to be read.
pub(super) type Piece<'a> = (Sources<'a>, TimeRange);

/// Pieces that a cluster is cut into at most: each reads its blocks anew. Of one that would need more, all between the first and
/// the last is merged.
const PIECES_MAX: usize = 16;

/// Pieces of sources that overlap, oldest source first; the pieces ascend in time and together are all of them.
pub(super) fn cut(sources: Vec<Source<'_>>) -> VecDeque<Piece<'_>> {
    let parts: Vec<Vec<TimeRange>> = sources.iter().map(Source::parts).collect();
    let stretches = bounded(stretches(&parts));
    let mut sources: Vec<Option<Source<'_>>> = sources.into_iter().map(|it| Some(it.shared())).collect();
    let piece = |Stretch { range, of }: Stretch| {
        let mut taken: Vec<Source<'_>> = match of {
            Some(index) => take(&mut sources[index]).into_iter().collect(),
            None => {
                let is_inside = |parts: &Vec<TimeRange>| parts.iter().any(|part| part.overlaps(range));
                let inside = sources.iter_mut().zip(&parts).filter(|(_, parts)| is_inside(parts));
                inside.filter_map(|(source, _)| take(source)).collect()
            }
        };
        match taken.len() {
            0 => None,
            1 => taken.pop().map(|source| (Sources::Alone(source), range)),
            _ => Some((Sources::Overlapping(taken), range)),
        }
    };
    stretches.into_iter().filter_map(piece).collect()
}

/// The source: a block as often as it is wanted, another, which has but one part, once.
fn take<'a>(source: &mut Option<Source<'a>>) -> Option<Source<'a>> {
    source.as_ref().and_then(Source::again).or_else(|| source.take())
}

/// A range with parts of one source, or of several that have to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    range: TimeRange,
    /// The only source that has parts in it.
    of: Option<usize>,
}

/// Where parts of sources lie, in order of time: those that overlap, directly or through others, in one stretch, as are those of
/// one source between which there is nothing of another. No part lies in two.
fn stretches(parts: &[Vec<TimeRange>]) -> Vec<Stretch> {
    let of_source = |(index, parts): (usize, &Vec<TimeRange>)| {
        parts.iter().map(|range| Stretch { range: *range, of: Some(index) }).collect::<Vec<_>>()
    };
    let mut all: Vec<Stretch> = parts.iter().enumerate().flat_map(of_source).collect();
    all.sort_by_key(|stretch| stretch.range.start);
    let mut apart: Vec<Stretch> = Vec::new();
    for next in all {
        match apart.last_mut().filter(|last| next.range.start <= last.range.end) {
            Some(last) => {
                last.range = last.range.hull(next.range);
                last.of = last.of.filter(|of| next.of == Some(*of));
            }
            None => apart.push(next),
        }
    }
    let mut joined: Vec<Stretch> = Vec::new();
    for next in apart {
        match joined.last_mut().filter(|last| last.of == next.of) {
            Some(last) => last.range = last.range.hull(next.range),
            None => joined.push(next),
        }
    }
    joined
}

/// At most so many as there may be.
fn bounded(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    let len = stretches.len();
    if len > PIECES_MAX {
        let range = stretches[1].range.hull(stretches[len - 2].range);
        stretches.splice(1..len - 1, [Stretch { range, of: None }]);
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ends: &[(i64, i64)]) -> Vec<TimeRange> {
        ends.iter().map(|(start, end)| TimeRange::new(*start, *end)).collect()
    }

    fn of(parts: &[&[(i64, i64)]]) -> Vec<(i64, i64, Option<usize>)> {
        let parts: Vec<_> = parts.iter().map(|parts| ranges(parts)).collect();
        stretches(&parts).iter().map(|it| (it.range.start, it.range.end, it.of)).collect()
    }

    #[test]
    fn only_parts_that_overlap_are_merged() {
        assert_eq!(
            of(&[&[(0, 9), (10, 19)], &[(15, 25), (30, 39)]]),
            [(0, 9, Some(0)), (10, 25, None), (30, 39, Some(1))]
        );
        assert_eq!(of(&[&[(0, 9)], &[(10, 19)]]), [(0, 9, Some(0)), (10, 19, Some(1))]);
        assert_eq!(of(&[&[(0, 10)], &[(10, 19)]]), [(0, 19, None)]);
        assert_eq!(of(&[&[(0, 9), (20, 29)]]), [(0, 29, Some(0))], "of one alone");
    }

    #[test]
    fn what_came_late_is_taken_from_where_it_is() {
        let (older, younger) = ([(0, 9), (10, 15), (20, 29), (30, 39)], [(16, 19), (40, 49), (50, 59)]);
        assert_eq!(
            of(&[&older, &younger]),
            [(0, 15, Some(0)), (16, 19, Some(1)), (20, 39, Some(0)), (40, 59, Some(1))]
        );
        assert_eq!(of(&[&[(0, 99)], &[(10, 19)], &[(50, 59), (90, 120)]]), [(0, 120, None)]);
    }

    #[test]
    fn where_there_would_be_many_all_between_the_ends_is_merged() {
        let every_other =
            |offset: i64| (0..20).map(|at| TimeRange::new(at * 10 + offset, at * 10 + offset + 4)).collect();
        let all = stretches(&[every_other(0), every_other(5)]);
        assert_eq!(all.len(), 40);
        let (first, last) = (all[0], all[39]);
        assert_eq!(bounded(all), [first, Stretch { range: TimeRange::new(5, 194), of: None }, last]);
        let few = stretches(&[ranges(&[(0, 1), (20, 21)]), ranges(&[(10, 11), (30, 31)])]);
        assert_eq!(bounded(few.clone()), few);
    }
}
