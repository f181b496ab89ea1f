//! What two digests say about what has to travel. Pure.

use std::collections::{BTreeMap, BTreeSet};

use skywatch_model::TimeRange;
use skywatch_storage::{ClassDigests, SERIES_CLASSES, SeriesClasses, ShardDigest, TimeBucket};

/// Where two owners differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Difference {
    /// They do not remember the same deletes.
    pub(super) deletes: bool,
    /// Buckets of which they do not have the same cells, as far as both can say what they have.
    pub(super) buckets: BTreeSet<TimeBucket>,
}

impl Difference {
    pub(super) fn is_none(&self) -> bool {
        !self.deletes && self.buckets.is_empty()
    }
}

/// Where two owners differ.
pub(super) fn compare(mine: &ShardDigest, theirs: &ShardDigest) -> Difference {
    let either = mine.times.keys().chain(theirs.times.keys());
    let differs = |bucket: &&TimeBucket| {
        mine.times.get(bucket) != theirs.times.get(bucket)
            && !mine.is_unknown(**bucket)
            && !theirs.is_unknown(**bucket)
    };
    let buckets = either.filter(differs).copied().collect();
    Difference { deletes: mine.deletes != theirs.deletes, buckets }
}

/// Cells that travel together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portion {
    pub(super) times: TimeRange,
    pub(super) classes: SeriesClasses,
    /// About how many cells the other has of it; 0 if that is not known.
    pub(super) cells: u64,
}

impl Portion {
    /// Every series of some times.
    pub(super) const fn whole(times: TimeRange) -> Self {
        Self { times, classes: SeriesClasses::ALL, cells: 0 }
    }

    /// Times with about so many cells each. Cells that were written together then arrive together, of all series, and are
    /// stored so: series by series every row would be a write of its own.
    pub(super) fn slices(self, cells: u64) -> impl Iterator<Item = TimeRange> {
        let TimeRange { start, end } = self.times;
        let span = end.abs_diff(start);
        let count = self.cells.div_ceil(cells.max(1)).clamp(1, span.max(1));
        let begin = move |number: u64| start.wrapping_add_unsigned((span / count) * number);
        (0..count).map(move |number| {
            TimeRange::new(begin(number), if number + 1 == count { end } else { begin(number + 1) - 1 })
        })
    }
}

type Classes = BTreeMap<TimeBucket, ClassDigests>;

/// What to fetch: classes in which they have cells and I have not the same. Buckets that follow one another travel
/// together if they lack the same classes.
pub(super) fn portions(mine: &Classes, theirs: &Classes) -> Vec<Portion> {
    let none = ClassDigests::default();
    let mut portions: Vec<Portion> = Vec::new();
    for (bucket, theirs) in theirs {
        let mine = mine.get(bucket).unwrap_or(&none);
        let is_wanted = |class: &usize| theirs[*class].count > 0 && theirs[*class] != mine[*class];
        let classes = (0..SERIES_CLASSES).filter(is_wanted).fold(0u32, |all, class| all | 1 << class);
        if classes == 0 {
            continue;
        }
        let cells: u64 = (0..SERIES_CLASSES).filter(is_wanted).map(|class| theirs[class].count).sum();
        let (classes, range) = (SeriesClasses(classes), bucket.range());
        match portions.last_mut() {
            Some(last) if last.classes == classes && last.times.end.checked_add(1) == Some(range.start) => {
                last.times.end = range.end;
                last.cells += cells;
            }
            _ => portions.push(Portion { times: range, classes, cells }),
        }
    }
    portions
}

/// Whether I have cells in a class that they have not, or have otherwise.
pub(super) fn lacks_mine(mine: &Classes, theirs: &Classes) -> bool {
    let none = ClassDigests::default();
    mine.iter().any(|(bucket, mine)| {
        let theirs = theirs.get(bucket).unwrap_or(&none);
        mine.iter().zip(theirs).any(|(mine, theirs)| mine.count > 0 && mine != theirs)
    })
}

#[cfg(test)]
mod tests {
    use skywatch_storage::Digest;

    use super::*;

    fn digest(sum: u128) -> Digest {
        Digest { sum, count: 1 }
    }

    fn shard(buckets: &[(i64, u128)], unknown: &[TimeRange]) -> ShardDigest {
        let times = buckets.iter().map(|(bucket, sum)| (TimeBucket(*bucket), digest(*sum))).collect();
        ShardDigest { times, unknown: unknown.to_vec(), ..ShardDigest::default() }
    }

    fn classes(buckets: &[(i64, &[(usize, u128)])]) -> Classes {
        let of = |sums: &[(usize, u128)]| {
            let mut classes = ClassDigests::default();
            sums.iter().for_each(|(class, sum)| classes[*class] = digest(*sum));
            classes
        };
        buckets.iter().map(|(bucket, sums)| (TimeBucket(*bucket), of(sums))).collect()
    }

    #[test]
    fn buckets_differ_where_either_has_other_cells_and_both_know() {
        let mine = shard(&[(1, 1), (2, 2), (3, 3), (5, 5)], &[TimeBucket(9).range()]);
        let theirs = shard(&[(1, 1), (2, 9), (4, 4), (5, 6), (9, 9)], &[TimeBucket(5).range()]);
        let difference = compare(&mine, &theirs);
        assert_eq!(difference.buckets, [2, 3, 4].map(TimeBucket).into());
        assert!(!difference.deletes && compare(&mine, &mine).is_none());
        let other = ShardDigest { deletes: digest(1), ..mine.clone() };
        assert!(compare(&mine, &other).deletes);
    }

    #[test]
    fn only_classes_that_they_have_travel_and_neighbours_together() {
        let mine = classes(&[(1, &[(0, 1), (4, 4)]), (3, &[(0, 1)]), (7, &[(2, 2)])]);
        let theirs = classes(&[
            (1, &[(0, 2), (3, 3)]),
            (2, &[(0, 2), (3, 3)]),
            (3, &[(0, 1)]),
            (4, &[(0, 5), (3, 5)]),
            (7, &[(2, 2)]),
        ]);
        let lacking = SeriesClasses(1 | 1 << 3);
        let range =
            |from: i64, to: i64| TimeRange::new(TimeBucket(from).range().start, TimeBucket(to).range().end);
        assert_eq!(
            portions(&mine, &theirs),
            [
                Portion { times: range(1, 2), classes: lacking, cells: 4 },
                Portion { times: range(4, 4), classes: lacking, cells: 2 }
            ]
        );
        assert_eq!(portions(&theirs, &theirs), []);
        let slices = |times: TimeRange, cells| {
            let portion = Portion { times, classes: lacking, cells };
            portion.slices(10).map(|times| (times.start, times.end)).collect::<Vec<_>>()
        };
        assert_eq!(slices(TimeRange::new(-5, 25), 30), [(-5, 4), (5, 14), (15, 25)]);
        assert_eq!(slices(TimeRange::new(0, 1), 1000), [(0, 1)]);
        assert_eq!(slices(TimeRange::new(7, 7), 1000), [(7, 7)]);
        assert_eq!(slices(TimeRange::ALL, 0), [(TimeRange::ALL.start, TimeRange::ALL.end)]);
        assert_eq!(slices(TimeRange::ALL, 20).len(), 2);
        assert!(lacks_mine(&mine, &theirs), "class 4 of bucket 1");
        assert!(!lacks_mine(&classes(&[(3, &[(0, 1)])]), &theirs));
    }
}
