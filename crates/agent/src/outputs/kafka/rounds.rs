//! In which portions the records of a write are sent.
//!
//! A broker refuses a batch of records as a whole when it is larger than its topic takes, and nobody tells a client how
//! large that is. So records are sent in rounds that are no larger than one batch, one round after the other. What a
//! round did not get through because of its size is halved and sent again before anything that follows it, until the
//! record at fault stands alone. The order of the records of a partition is kept by that: all of them in a round share
//! a batch, and share its fate.

use std::collections::VecDeque;

/// Records of a round, at most.
const RECORDS_MAX: usize = 10_000;
/// After this many rounds that got through, rounds that were made smaller are doubled again.
const GROW_AFTER: u32 = 256;

/// How large rounds are, over all writes of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoundSize {
    most: usize,
    now: usize,
    passed: u32,
}

impl RoundSize {
    pub(super) fn new(most: usize) -> Self {
        Self { most, now: most, passed: 0 }
    }

    fn refused(&mut self, bytes: usize) {
        self.passed = 0;
        self.now = self.now.min(bytes.div_ceil(2)).max(1);
    }

    fn passed(&mut self) {
        self.passed += 1;
        if self.passed >= GROW_AFTER {
            self.passed = 0;
            self.now = self.now.saturating_mul(2).min(self.most);
        }
    }
}

/// The rounds of one write.
#[derive(Debug)]
pub(super) struct Rounds<'a> {
    /// The size of each record.
    sizes: &'a [usize],
    size: &'a mut RoundSize,
    /// Records not sent yet, in order.
    waiting: VecDeque<usize>,
    /// Rounds to be sent before those.
    halves: VecDeque<Vec<usize>>,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(sizes: &'a [usize], size: &'a mut RoundSize) -> Self {
        Self { sizes, size, waiting: (0..sizes.len()).collect(), halves: VecDeque::new() }
    }

    /// The next round, as indices of records; none when all is sent.
    pub(super) fn next(&mut self) -> Option<Vec<usize>> {
        if let Some(half) = self.halves.pop_front() {
            return Some(half);
        }
        let mut round = Vec::new();
        let mut bytes = 0;
        while let Some(&record) = self.waiting.front() {
            bytes += self.sizes[record];
            if !round.is_empty() && (bytes > self.size.now || round.len() == RECORDS_MAX) {
                break;
            }
            round.push(record);
            self.waiting.pop_front();
        }
        (!round.is_empty()).then_some(round)
    }

    /// The round was sent, and these of its records were refused for their size. Returns the one that will never pass,
    /// if it was alone.
    pub(super) fn sent(&mut self, round: &[usize], too_large: &[usize]) -> Option<usize> {
        match too_large {
            [] => {
                self.size.passed();
                None
            }
            [alone] if round.len() == 1 => Some(*alone),
            refused => {
                self.size.refused(round.iter().map(|&record| self.sizes[record]).sum());
                let (first, second) = refused.split_at(refused.len().div_ceil(2));
                for half in [second, first].into_iter().filter(|half| !half.is_empty()) {
                    self.halves.push_front(half.to_vec());
                }
                None
            }
        }
    }

    /// All that is not sent, when the write ends early.
    pub(super) fn rest(self) -> impl Iterator<Item = usize> {
        self.halves.into_iter().flatten().chain(self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that takes batches of at most `limit` bytes; returns what it stored, in order, and what never passed.
    fn send(sizes: &[usize], size: &mut RoundSize, limit: usize) -> (Vec<usize>, Vec<usize>, usize) {
        let mut rounds = Rounds::new(sizes, size);
        let (mut stored, mut refused, mut sent) = (Vec::new(), Vec::new(), 0);
        while let Some(round) = rounds.next() {
            sent += 1;
            assert!(sent < 1000, "it ends");
            let fits = round.iter().map(|&record| sizes[record]).sum::<usize>() <= limit;
            if fits {
                stored.extend(&round);
                assert_eq!(rounds.sent(&round, &[]), None);
            } else {
                refused.extend(rounds.sent(&round, &round));
            }
        }
        (stored, refused, sent)
    }

    #[test]
    fn one_too_large_costs_only_itself_and_order_is_kept() {
        let mut sizes = vec![100; 50];
        sizes[17] = 5000;
        sizes[49] = 1001;
        let mut size = RoundSize::new(1_000_000);
        let (stored, refused, _) = send(&sizes, &mut size, 1000);
        assert_eq!(refused, [17, 49]);
        let expected: Vec<usize> = (0..50).filter(|record| ![17, 49].contains(record)).collect();
        assert_eq!(stored, expected);
    }

    #[test]
    fn later_rounds_are_smaller_and_grow_again() {
        let sizes = vec![100; 64];
        let mut size = RoundSize::new(6400);
        let (_, _, first) = send(&sizes, &mut size, 1600);
        assert!(size.now <= 1600, "{size:?}");
        let (stored, _, second) = send(&sizes, &mut size, 1600);
        assert_eq!(stored.len(), 64);
        assert!(second < first, "{second} rounds after {first}");
        for _ in 0..GROW_AFTER {
            size.passed();
        }
        assert!(size.now > 1600 / 2, "{size:?}");
    }

    #[test]
    fn all_is_one_round_where_it_fits_and_the_rest_is_known_when_it_ends() {
        let sizes = [10, 10, 10, 10];
        let mut size = RoundSize::new(20);
        let mut rounds = Rounds::new(&sizes, &mut size);
        assert_eq!(rounds.next(), Some(vec![0, 1]));
        assert_eq!(rounds.sent(&[0, 1], &[1]), None);
        assert_eq!(rounds.rest().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
