//! Aggregates and selectors as mergeable partial states, one state per window.
//!
//! A [`Kernel`] holds the states of one function call for consecutive windows. Each window is fed runs of rows, or
//! [`Statistics`] in their place, in the order of the query; kernels that saw other series are merged in, and all is
//! finished into [`Points`]. What a function needs lies in one [`State`] type; [`function::find`] is the table of functions.

mod basic;
mod collect;
mod extreme;
pub(crate) mod function;
mod integral;
mod native;
mod ranked;
mod sample;

use std::{any::Any, fmt::Debug, marker::PhantomData, ops::Range};

use skywatch_model::{Column, FieldType, FieldValue, RowBlock};
use skywatch_storage::{BlockStats, SpanStats, Sum, WindowPoint, WindowStats};

pub(crate) use extreme::{PointTime, SelectorConfig};
pub(crate) use native::{Native, Number};

/// Values that accompany a selected point: the other fields and tags of its row.
pub(crate) type Aux = Option<Box<[Option<FieldValue>]>>;

/// Where the values beside a selected point come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuxSource<'a> {
    /// For each accompanying value.
    pub(crate) columns: &'a [AuxColumn],
    /// The rows.
    pub(crate) block: &'a RowBlock,
}

/// Where one accompanying value comes from.
#[derive(Debug, Clone)]
pub(crate) enum AuxColumn {
    /// Column of the block.
    Field(usize),
    /// The same for the whole series.
    Const(Option<FieldValue>),
}

impl AuxSource<'_> {
    /// The values of one row; `None` when the query asks for none, so that nothing is allocated.
    fn row(&self, row: usize) -> Aux {
        if self.columns.is_empty() {
            return None;
        }
        let value = |column: &AuxColumn| match column {
            AuxColumn::Field(index) => self.block.columns[*index].as_ref().and_then(|column| column.get(row)),
            AuxColumn::Const(value) => value.clone(),
        };
        Some(self.columns.iter().map(value).collect())
    }
}

/// Rows of one series within one window.
#[derive(Debug, Clone)]
pub(crate) struct Run<'a> {
    /// Times of the whole block.
    pub(crate) times: &'a [i64],
    /// The argument's column of the whole block.
    pub(crate) column: &'a Column,
    /// Which rows of it.
    pub(crate) rows: Range<usize>,
    /// For selectors.
    pub(crate) aux: AuxSource<'a>,
    /// Whose rows they are.
    pub(crate) member: MemberId,
}

/// One series of a group, among those of its group and among all that a query reads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MemberId {
    /// Its place in the group, in the order of shards and series keys.
    pub(crate) place: usize,
    /// The same for no other series of any shard.
    pub(crate) unique: u64,
}

/// What is known, without decoding them, of the values of one field in a block or in a part of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statistics<'a> {
    /// Type of the values.
    pub(crate) field_type: FieldType,
    /// Number of values, at least 1.
    pub(crate) count: u64,
    /// Some time among theirs.
    pub(crate) time: i64,
    /// Earliest value, where that is known.
    pub(crate) first: Option<(i64, &'a FieldValue)>,
    /// Latest value, where that is known.
    pub(crate) last: Option<(i64, &'a FieldValue)>,
    /// Smallest value, and the earliest time it occurs where that is known.
    pub(crate) min: Option<(Option<i64>, &'a FieldValue)>,
    /// Greatest value, and the earliest time it occurs where that is known.
    pub(crate) max: Option<(Option<i64>, &'a FieldValue)>,
    /// Sum of the values; floats were added in order of time, beginning with zero.
    pub(crate) sum: Sum,
    /// Whether they were added latest first.
    pub(crate) latest_first: bool,
}

impl<'a> Statistics<'a> {
    /// Of a whole block.
    pub(crate) fn of_block(stats: &'a BlockStats) -> Self {
        let point = |point: &'a (i64, FieldValue)| (point.0, &point.1);
        let extreme =
            |point: &'a Option<(i64, FieldValue)>| point.as_ref().map(|(time, value)| (Some(*time), value));
        Self {
            field_type: stats.first.1.field_type(),
            count: stats.count,
            time: stats.first.0,
            first: Some(point(&stats.first)),
            last: Some(point(&stats.last)),
            min: extreme(&stats.min),
            max: extreme(&stats.max),
            sum: stats.sum,
            latest_first: false,
        }
    }

    /// Of a part of a block.
    pub(crate) fn of_span(span: &'a SpanStats) -> Self {
        Self {
            field_type: span.first.1.field_type(),
            count: span.count,
            time: span.first.0,
            first: Some((span.first.0, &span.first.1)),
            last: Some((span.last.0, &span.last.1)),
            min: span.min.as_ref().map(|value| (None, value)),
            max: span.max.as_ref().map(|value| (None, value)),
            sum: span.sum,
            latest_first: false,
        }
    }

    /// Of a window of a summary that was asked for in the order of the query, which may be latest first.
    pub(crate) fn of_window(windows: WindowStats<'a>, index: usize, latest_first: bool) -> Self {
        let point =
            |points: &'a [WindowPoint]| points.get(index)?.as_ref().map(|(time, value)| (*time, value));
        let extreme = |points| point(points).map(|(time, value)| (Some(time), value));
        Self {
            field_type: windows.field_type,
            count: windows.counts[index],
            time: windows.times[index].start,
            first: point(windows.first),
            last: point(windows.last),
            min: extreme(windows.min),
            max: extreme(windows.max),
            sum: windows.sums.get(index).copied().unwrap_or(Sum::None),
            latest_first,
        }
    }
}

/// What one call answered: points by time, ascending except where a function says otherwise.
#[derive(Debug, Default)]
pub(crate) struct Points {
    /// Time of each point: its own for selectors, else that of the window it belongs to.
    pub(crate) times: Vec<i64>,
    /// Value of each point; `None` only where a function answers null.
    pub(crate) values: Vec<Option<FieldValue>>,
    /// Accompanying values of each point; empty if the query asks for none.
    pub(crate) aux: Vec<Aux>,
}

impl Points {
    /// Makes room for that many points.
    pub(crate) fn reserve(&mut self, points: usize) {
        self.times.reserve(points);
        self.values.reserve(points);
        self.aux.reserve(points);
    }

    fn push(&mut self, time: i64, value: Option<FieldValue>, aux: Aux) {
        self.times.push(time);
        self.values.push(value);
        self.aux.push(aux);
    }
}

/// The states of one call for consecutive windows.
pub(crate) trait Kernel: Send + Debug {
    /// Opens the next window.
    fn push_window(&mut self);

    /// Takes rows of a window, which follow those it has seen in the order of the query.
    fn update(&mut self, window: usize, run: &Run<'_>);

    /// Takes values of a window from their statistics, in the place of their rows. False, and nothing taken, if the
    /// answer could then differ in anything from that of the rows.
    fn update_statistics(&mut self, window: usize, statistics: &Statistics<'_>) -> bool;

    /// Forgets all windows.
    fn clear(&mut self);

    /// Merges window `other_index` of a kernel of the same call into own window `index`. What `other` saw comes
    /// later in the order of series and shards.
    fn merge(&mut self, index: usize, other: &mut dyn Kernel, other_index: usize);

    /// Moves window `other_index` of a kernel of the same call to the end of this one.
    fn append(&mut self, other: &mut dyn Kernel, other_index: usize);

    /// An empty kernel of the same call.
    fn fresh(&self) -> Box<dyn Kernel>;

    /// Adds the points of all windows, which begin at `starts`, and forgets the windows. Points of aggregates get the
    /// start of their window as their time.
    fn finish(&mut self, starts: &[i64], out: &mut Points);

    /// Bytes held beyond the fixed size of the states.
    fn heap_bytes(&self) -> usize;

    /// For `merge` and `append`.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// The partial state of one window for values of type `T`.
pub(crate) trait State<T: Native>: Default + Debug + Send + 'static {
    /// What the call is parametrised with.
    type Config: Clone + Debug + Send + Sync + 'static;

    /// Takes rows, in the order of the query.
    fn update(&mut self, values: &[T], run: &Run<'_>, config: &Self::Config);

    /// Takes values by their statistics; false, and nothing taken, if they do not suffice.
    fn update_statistics(&mut self, statistics: &Statistics<'_>, config: &Self::Config) -> bool;

    /// Merges the state of a later series or shard.
    fn merge(&mut self, other: Self, config: &Self::Config);

    /// Adds what the window answers.
    fn finish(self, window_start: i64, config: &Self::Config, out: &mut Points);

    /// Adds what consecutive windows answer, where one depends on its neighbours.
    fn finish_all(windows: Vec<Self>, starts: &[i64], config: &Self::Config, out: &mut Points) {
        for (window, start) in windows.into_iter().zip(starts) {
            window.finish(*start, config, out);
        }
    }

    /// Bytes held beyond the fixed size.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// The kernel made of states `S` over values of type `T`.
#[derive(Debug)]
struct States<T: Native, S: State<T>> {
    windows: Vec<S>,
    config: S::Config,
    native: PhantomData<fn() -> T>,
}

/// A kernel of states `S` over values of type `T`.
fn kernel<T: Native, S: State<T>>(config: S::Config) -> Box<dyn Kernel> {
    Box::new(States::<T, S> { windows: Vec::new(), config, native: PhantomData })
}

impl<T: Native, S: State<T>> States<T, S> {
    fn take(other: &mut dyn Kernel, index: usize) -> S {
        match other.as_any().downcast_mut::<Self>() {
            Some(other) => std::mem::take(&mut other.windows[index]),
            None => {
                debug_assert!(false, "kernels of different calls are never merged");
                S::default()
            }
        }
    }
}

impl<T: Native, S: State<T>> Kernel for States<T, S> {
    fn push_window(&mut self) {
        self.windows.push(S::default());
    }

    fn update(&mut self, window: usize, run: &Run<'_>) {
        // A column of another type is one that a cast could not save: it counts as absent.
        if let Some(values) = T::slice(&run.column.values) {
            self.windows[window].update(values, run, &self.config);
        }
    }

    fn update_statistics(&mut self, window: usize, statistics: &Statistics<'_>) -> bool {
        statistics.field_type == T::TYPE && self.windows[window].update_statistics(statistics, &self.config)
    }

    fn clear(&mut self) {
        self.windows.clear();
    }

    fn merge(&mut self, index: usize, other: &mut dyn Kernel, other_index: usize) {
        let other = Self::take(other, other_index);
        self.windows[index].merge(other, &self.config);
    }

    fn append(&mut self, other: &mut dyn Kernel, other_index: usize) {
        self.windows.push(Self::take(other, other_index));
    }

    fn fresh(&self) -> Box<dyn Kernel> {
        kernel::<T, S>(self.config.clone())
    }

    fn finish(&mut self, starts: &[i64], out: &mut Points) {
        S::finish_all(std::mem::take(&mut self.windows), starts, &self.config, out);
    }

    fn heap_bytes(&self) -> usize {
        self.windows.iter().map(State::heap_bytes).sum()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Run<'_> {
    /// Rows of the run that hold a value.
    fn valid_rows(&self) -> impl Iterator<Item = usize> {
        self.rows.clone().filter(|row| self.column.is_valid(*row))
    }

    /// Whether every row of the run holds a value.
    const fn is_dense(&self) -> bool {
        self.column.valid.is_none()
    }

    /// Number of rows that hold a value.
    fn count(&self) -> usize {
        if self.is_dense() { self.rows.len() } else { self.valid_rows().count() }
    }
}
