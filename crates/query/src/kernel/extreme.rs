//! `min`, `max`, `first`, `last`: selectors that keep one point and the row it stands in.

use std::{cmp::Ordering, fmt::Debug, marker::PhantomData};

use skywatch_model::FieldValue;

use super::{Aux, Native, Points, Run, State, Statistics};

/// How a selected point's time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PointTime {
    /// Its own: a lone selector without GROUP BY time.
    Own,
    /// That of its window.
    Window,
}

/// What a selector is parametrised with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SelectorConfig {
    /// See [`PointTime`].
    pub(crate) time: PointTime,
    /// Whether other columns of the row are wanted; statistics do not know them.
    pub(crate) with_aux: bool,
}

/// Which of two points is selected.
pub(super) trait Choice: Debug + Default + Send + 'static {
    /// Whether `(time, value)` takes the place of `best`.
    fn prefers<T: Native>(time: i64, value: &T, best: (i64, &T)) -> bool;

    /// The point that it selects, and its time where that is known.
    fn of_statistics<'a>(statistics: &Statistics<'a>) -> Option<(Option<i64>, &'a FieldValue)>;

    /// The one row to look at in a run without nulls whose times are these, in either order; `None` means all.
    fn shortcut(times: &[i64]) -> Option<usize>;
}

/// `min`: smallest value, then earliest time.
#[derive(Debug, Default)]
pub(super) struct Min;
/// `max`: greatest value, then earliest time.
#[derive(Debug, Default)]
pub(super) struct Max;
/// `first`: earliest time, then greatest value (of booleans false).
#[derive(Debug, Default)]
pub(super) struct First;
/// `last`: latest time, then greatest value.
#[derive(Debug, Default)]
pub(super) struct Last;

impl Choice for Min {
    fn prefers<T: Native>(time: i64, value: &T, best: (i64, &T)) -> bool {
        match value.order(best.1) {
            Ordering::Less => true,
            Ordering::Equal => time < best.0,
            Ordering::Greater => false,
        }
    }

    fn of_statistics<'a>(statistics: &Statistics<'a>) -> Option<(Option<i64>, &'a FieldValue)> {
        statistics.min
    }

    fn shortcut(_: &[i64]) -> Option<usize> {
        None
    }
}

impl Choice for Max {
    fn prefers<T: Native>(time: i64, value: &T, best: (i64, &T)) -> bool {
        match value.order(best.1) {
            Ordering::Greater => true,
            Ordering::Equal => time < best.0,
            Ordering::Less => false,
        }
    }

    fn of_statistics<'a>(statistics: &Statistics<'a>) -> Option<(Option<i64>, &'a FieldValue)> {
        statistics.max
    }

    fn shortcut(_: &[i64]) -> Option<usize> {
        None
    }
}

impl Choice for First {
    fn prefers<T: Native>(time: i64, value: &T, best: (i64, &T)) -> bool {
        time < best.0 || (time == best.0 && value.is_rather_first(best.1))
    }

    fn of_statistics<'a>(statistics: &Statistics<'a>) -> Option<(Option<i64>, &'a FieldValue)> {
        statistics.first.map(|(time, value)| (Some(time), value))
    }

    fn shortcut(times: &[i64]) -> Option<usize> {
        end_of(times, false)
    }
}

impl Choice for Last {
    fn prefers<T: Native>(time: i64, value: &T, best: (i64, &T)) -> bool {
        time > best.0 || (time == best.0 && value.order(best.1) == Ordering::Greater)
    }

    fn of_statistics<'a>(statistics: &Statistics<'a>) -> Option<(Option<i64>, &'a FieldValue)> {
        statistics.last.map(|(time, value)| (Some(time), value))
    }

    fn shortcut(times: &[i64]) -> Option<usize> {
        end_of(times, true)
    }
}

/// Position of the earliest or latest time, if it occurs once: only rows out of a subquery repeat times.
fn end_of(times: &[i64], latest: bool) -> Option<usize> {
    let last = times.len().checked_sub(1)?;
    if last == 0 {
        return Some(0);
    }
    let descending = times[0] > times[last];
    let (position, neighbour) = if latest == descending { (0, 1) } else { (last, last - 1) };
    (times[position] != times[neighbour]).then_some(position)
}

/// The point selected so far.
#[derive(Debug)]
pub(super) struct Selected<T, C> {
    best: Option<(i64, T, Aux)>,
    choice: PhantomData<C>,
}

impl<T, C> Default for Selected<T, C> {
    fn default() -> Self {
        Self { best: None, choice: PhantomData }
    }
}

impl<T: Native, C: Choice> State<T> for Selected<T, C> {
    type Config = SelectorConfig;

    fn update(&mut self, values: &[T], run: &Run<'_>, _: &SelectorConfig) {
        let mut chosen: Option<usize> = None;
        let mut look = |row: usize| {
            let best = match (&chosen, &self.best) {
                (Some(row), _) => Some((run.times[*row], &values[*row])),
                (None, Some((time, value, _))) => Some((*time, value)),
                (None, None) => None,
            };
            if best.is_none_or(|best| C::prefers(run.times[row], &values[row], best)) {
                chosen = Some(row);
            }
        };
        match C::shortcut(&run.times[run.rows.clone()]) {
            Some(offset) if run.is_dense() => look(run.rows.start + offset),
            _ => run.valid_rows().for_each(&mut look),
        }
        if let Some(row) = chosen {
            self.best = Some((run.times[row], values[row].clone(), run.aux.row(row)));
        }
    }

    fn update_statistics(&mut self, statistics: &Statistics<'_>, config: &SelectorConfig) -> bool {
        if config.with_aux {
            return false;
        }
        let Some((time, value)) = C::of_statistics(statistics) else { return false };
        let time = match time {
            Some(time) => time,
            // The two zeros are equal and yet read differently: between them the time decides.
            None if config.time == PointTime::Own || *value == FieldValue::Float(0.0) => return false,
            // Between other equal values nothing that shows depends on it.
            None => statistics.time,
        };
        let Some(value) = T::from_value(value) else { return false };
        if self.best.as_ref().is_none_or(|best| C::prefers(time, &value, (best.0, &best.1))) {
            self.best = Some((time, value, None));
        }
        true
    }

    fn merge(&mut self, other: Self, _: &SelectorConfig) {
        let Some(other) = other.best else { return };
        if self.best.as_ref().is_none_or(|best| C::prefers(other.0, &other.1, (best.0, &best.1))) {
            self.best = Some(other);
        }
    }

    fn finish(self, window_start: i64, config: &SelectorConfig, out: &mut Points) {
        if let Some((time, value, aux)) = self.best {
            let time = if config.time == PointTime::Own { time } else { window_start };
            out.push(time, Some(value.into_value()), aux);
        }
    }
}
