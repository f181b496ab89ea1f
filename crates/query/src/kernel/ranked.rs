//! `top(field, tag..., n)`, `bottom(field, tag..., n)`: the n best points of a window, or of the best of each tag set.
//!
//! A state keeps no more points than can be shown: n of them, or one for each tag set. Of equal values the earlier one
//! is better, and of equal times the one that the query comes to first.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
    marker::PhantomData,
    sync::Arc,
};

use skywatch_model::FieldValue;

use super::{
    Aux, AuxColumn, Native, Points, Run, State, Statistics,
    extreme::{Choice, Max, Min},
    native::Number,
};

/// What `top` and `bottom` are parametrised with.
#[derive(Debug, Clone)]
pub(crate) struct RankedConfig {
    /// How many points are wanted.
    pub(crate) size: usize,
    /// Which accompanying values are the tags whose sets compete; `None` if all points do. What stands among the
    /// arguments without being a tag has no values: without a key there is one set.
    pub(crate) keys: Option<Arc<[usize]>>,
}

/// Which of two values is better, and which selector finds the best one.
pub(super) trait Rank: Choice {
    /// `Less` if `a` is the better one.
    fn rank<T: Native>(a: &T, b: &T) -> Ordering;
}

impl Rank for Max {
    fn rank<T: Native>(a: &T, b: &T) -> Ordering {
        b.order(a)
    }
}

impl Rank for Min {
    fn rank<T: Native>(a: &T, b: &T) -> Ordering {
        a.order(b)
    }
}

/// A point that may be shown.
#[derive(Debug)]
struct Candidate<T, C> {
    time: i64,
    value: T,
    /// How many candidates the state had seen before this one.
    arrival: usize,
    aux: Aux,
    choice: PhantomData<C>,
}

impl<T: Native, C: Rank> Ord for Candidate<T, C> {
    /// The better one is the lesser one, so that the worst one is on top of a heap.
    fn cmp(&self, other: &Self) -> Ordering {
        C::rank(&self.value, &other.value)
            .then(self.time.cmp(&other.time))
            .then(self.arrival.cmp(&other.arrival))
    }
}

impl<T: Native, C: Rank> PartialOrd for Candidate<T, C> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Native, C: Rank> PartialEq for Candidate<T, C> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T: Native, C: Rank> Eq for Candidate<T, C> {}

/// Values of the tags that compete.
type TagSet = Box<[Option<Arc<str>>]>;

/// The best points seen so far.
#[derive(Debug)]
pub(super) struct Ranked<T, C> {
    /// The n best, the worst of them on top; unused where tag sets compete.
    best: BinaryHeap<Candidate<T, C>>,
    /// The best of each tag set.
    by_tags: BTreeMap<TagSet, Candidate<T, C>>,
    arrivals: usize,
}

impl<T: Native, C: Rank> Default for Ranked<T, C> {
    fn default() -> Self {
        Self { best: BinaryHeap::new(), by_tags: BTreeMap::new(), arrivals: 0 }
    }
}

impl<T: Native, C: Rank> Ranked<T, C> {
    /// Takes a candidate if it is one of the `size` best.
    fn offer(&mut self, time: i64, value: T, size: usize, aux: impl FnOnce() -> Aux) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        if self.best.len() < size {
            self.best.push(Candidate { time, value, arrival, aux: aux(), choice: PhantomData });
        } else if let Some(mut worst) = self.best.peek_mut()
            && C::prefers(time, &value, (worst.time, &worst.value))
        {
            *worst = Candidate { time, value, arrival, aux: aux(), choice: PhantomData };
        }
    }

    /// Takes a candidate if it is the best of its tag set.
    fn offer_of(&mut self, tags: TagSet, candidate: Candidate<T, C>) {
        use std::collections::btree_map::Entry;
        match self.by_tags.entry(tags) {
            Entry::Vacant(entry) => {
                entry.insert(candidate);
            }
            Entry::Occupied(mut entry) => {
                let best = (entry.get().time, &entry.get().value);
                if C::prefers(candidate.time, &candidate.value, best) {
                    entry.insert(candidate);
                }
            }
        }
    }

    /// The best of a run in which all rows have the same tags.
    fn best_of_run(values: &[T], run: &Run<'_>) -> Option<usize> {
        run.valid_rows().reduce(|best, row| {
            let preferred = C::prefers(run.times[row], &values[row], (run.times[best], &values[best]));
            if preferred { row } else { best }
        })
    }
}

impl<T: Number, C: Rank> State<T> for Ranked<T, C> {
    type Config = RankedConfig;

    fn update(&mut self, values: &[T], run: &Run<'_>, config: &RankedConfig) {
        let Some(keys) = &config.keys else {
            for row in run.valid_rows() {
                self.offer(run.times[row], values[row], config.size, || run.aux.row(row));
            }
            return;
        };
        if let Some(row) = Self::best_of_run(values, run) {
            let candidate = Candidate {
                time: run.times[row],
                value: values[row],
                arrival: self.by_tags.len(),
                aux: run.aux.row(row),
                choice: PhantomData,
            };
            self.offer_of(tag_set(run, keys), candidate);
        }
    }

    /// Where all places are taken, values of which even the best one is worse than all of them need not be read.
    fn update_statistics(&mut self, statistics: &Statistics<'_>, config: &RankedConfig) -> bool {
        let Some(worst) = self.best.peek().filter(|_| self.best.len() == config.size) else { return false };
        let best = C::of_statistics(statistics).and_then(|(_, value)| T::from_value(value));
        best.is_some_and(|best| C::rank(&best, &worst.value) == Ordering::Greater)
    }

    fn merge(&mut self, other: Self, config: &RankedConfig) {
        let mut later = other.best.into_vec();
        later.sort_by_key(|candidate| candidate.arrival);
        for candidate in later {
            self.offer(candidate.time, candidate.value, config.size, || candidate.aux);
        }
        for (tags, candidate) in other.by_tags {
            self.offer_of(tags, candidate);
        }
    }

    fn finish(mut self, _: i64, config: &RankedConfig, out: &mut Points) {
        for candidate in std::mem::take(&mut self.by_tags).into_values() {
            self.offer(candidate.time, candidate.value, config.size, || candidate.aux);
        }
        let mut best = self.best.into_sorted_vec();
        best.sort_by_key(|candidate| candidate.time);
        for candidate in best {
            out.push(candidate.time, Some(candidate.value.into_value()), candidate.aux);
        }
    }

    fn heap_bytes(&self) -> usize {
        let aux = |candidate: Option<&Candidate<T, C>>| {
            candidate.and_then(|candidate| candidate.aux.as_ref()).map_or(0, |aux| size_of_val::<[_]>(aux))
        };
        let candidate = size_of::<Candidate<T, C>>();
        let best = self.best.len() * (candidate + aux(self.best.peek()));
        let by_tags = self.by_tags.first_key_value().map_or(0, |(tags, first)| {
            self.by_tags.len() * (candidate + aux(Some(first)) + size_of_val::<[_]>(tags))
        });
        best + by_tags
    }
}

/// The values of the tags that compete, which are the same in every row of a run.
fn tag_set(run: &Run<'_>, keys: &[usize]) -> TagSet {
    let value = |key: &usize| match &run.aux.columns[*key] {
        AuxColumn::Const(Some(FieldValue::String(value))) => Some(Arc::clone(value)),
        AuxColumn::Const(_) | AuxColumn::Field(_) => None,
    };
    keys.iter().map(value).collect()
}
