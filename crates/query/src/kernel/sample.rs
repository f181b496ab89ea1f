//! `sample(field, n)`: n points of a window, each set of n as likely as any other.
//!
//! Every point draws a number; the n points with the smallest ones are the sample. The number is a hash of a seed and
//! of which point it is, so that it does not matter which thread sees a point, or when: samples of parts merge into
//! the very sample of the whole, and the same seed gives the same sample.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::{Aux, Native, Points, Run, State, Statistics};

/// What `sample` is parametrised with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SampleConfig {
    /// How many points are wanted.
    pub(crate) size: usize,
    /// What the draw depends on besides the points.
    pub(crate) seed: u64,
}

/// A point that is drawn so far.
#[derive(Debug)]
struct Drawn<T> {
    number: u64,
    time: i64,
    value: T,
    /// How many points the state had drawn before this one.
    arrival: usize,
    aux: Aux,
}

impl<T> Ord for Drawn<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.number, self.arrival).cmp(&(other.number, other.arrival))
    }
}

impl<T> PartialOrd for Drawn<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Drawn<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Drawn<T> {}

/// The sample of what was seen so far; the greatest number on top.
#[derive(Debug)]
pub(super) struct Sampled<T> {
    drawn: BinaryHeap<Drawn<T>>,
    arrivals: usize,
}

impl<T> Default for Sampled<T> {
    fn default() -> Self {
        Self { drawn: BinaryHeap::new(), arrivals: 0 }
    }
}

impl<T: Native> Sampled<T> {
    fn offer(&mut self, number: u64, size: usize, point: impl FnOnce() -> (i64, T, Aux)) {
        let full = self.drawn.len() >= size;
        if full && self.drawn.peek().is_none_or(|last| last.number <= number) {
            return;
        }
        if full {
            self.drawn.pop();
        }
        let (time, value, aux) = point();
        self.drawn.push(Drawn { number, time, value, arrival: self.arrivals, aux });
        self.arrivals += 1;
    }
}

impl<T: Native> State<T> for Sampled<T> {
    type Config = SampleConfig;

    fn update(&mut self, values: &[T], run: &Run<'_>, config: &SampleConfig) {
        // Only the answer of a subquery has several rows of one time in a series.
        let (mut last, mut same) = (None, 0);
        for row in run.valid_rows() {
            let time = run.times[row];
            same = if last == Some(time) { same + 1 } else { 0 };
            last = Some(time);
            let number = draw(config.seed, run.member.unique, time, same);
            self.offer(number, config.size, || (time, values[row].clone(), run.aux.row(row)));
        }
    }

    fn update_statistics(&mut self, _: &Statistics<'_>, _: &SampleConfig) -> bool {
        false
    }

    fn merge(&mut self, other: Self, config: &SampleConfig) {
        let mut later = other.drawn.into_vec();
        later.sort_by_key(|drawn| drawn.arrival);
        for drawn in later {
            self.offer(drawn.number, config.size, || (drawn.time, drawn.value, drawn.aux));
        }
    }

    fn finish(self, _: i64, _: &SampleConfig, out: &mut Points) {
        let mut points = self.drawn.into_vec();
        let order = |a: &Drawn<T>, b: &Drawn<T>| {
            a.time.cmp(&b.time).then_with(|| a.value.order(&b.value)).then(a.arrival.cmp(&b.arrival))
        };
        points.sort_by(order);
        for point in points {
            out.push(point.time, Some(point.value.into_value()), point.aux);
        }
    }

    fn heap_bytes(&self) -> usize {
        let aux =
            self.drawn.peek().and_then(|drawn| drawn.aux.as_ref()).map_or(0, |aux| size_of_val::<[_]>(aux));
        self.drawn.len() * (size_of::<Drawn<T>>() + aux)
    }
}

/// The number that a point draws: `SplitMix64`'s mixing, once for each thing that tells points apart.
fn draw(seed: u64, series: u64, time: i64, same: u64) -> u64 {
    [series, time as u64, same].into_iter().fold(mix(seed), |state, part| mix(state ^ part))
}

const fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: u64 = 20;
    const SIZE: usize = 5;

    /// The times that a draw takes out of 20 points of each of `series` series.
    fn sample(seed: u64, series: u64) -> Vec<(i64, u64)> {
        let mut whole = Sampled::<u64>::default();
        for series in 0..series {
            let mut part = Sampled::<u64>::default();
            for time in 0..POINTS as i64 {
                let number = draw(seed, series, time, 0);
                part.offer(number, SIZE, || (time, series, None));
            }
            whole.merge(part, &SampleConfig { size: SIZE, seed });
        }
        let mut out = Points::default();
        whole.finish(0, &SampleConfig { size: SIZE, seed }, &mut out);
        let series = out.values.iter().flatten().filter_map(u64::from_value);
        out.times.iter().copied().zip(series).collect()
    }

    #[test]
    fn a_seed_gives_one_sample_and_another_seed_another() {
        assert_eq!(sample(1, 3), sample(1, 3));
        assert_ne!(sample(1, 3), sample(2, 3));
        assert_eq!(sample(7, 4).len(), SIZE);
    }

    #[test]
    fn every_point_is_as_likely_as_any_other() {
        const SEEDS: u64 = 4000;
        let mut taken = [[0u32; POINTS as usize]; 3];
        for seed in 0..SEEDS {
            for (time, series) in sample(seed, 3) {
                taken[series as usize][time as usize] += 1;
            }
        }
        // 5 of 60 points are taken 4000 times: each about 333 times, with a deviation of about 17.
        for count in taken.iter().flatten() {
            assert!((250..420).contains(count), "a point is taken {count} times: {taken:?}");
        }
    }
}
