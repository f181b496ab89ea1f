//! Transformations: functions from points to points (`derivative`, `moving_average`, `holt_winters` ...).
//!
//! ```text
//!   rows of a field, or what an aggregate answered  -> points in the order of the query -> [Transform] -> points
//! ```
//!
//! Each is a state machine fed runs of points in the order of the query; what it answers to a point goes out at that
//! point's time, at once, so that any number of rows streams through. Only predictions wait for the last point.
//! [`function::find`] is the table of functions; one file holds one family.

mod accumulate;
mod change;
pub(crate) mod function;
mod holt_winters;
mod kaufman;
mod momentum;
mod nelder_mead;
mod smooth;

use std::{fmt::Debug, marker::PhantomData, ops::Range};

use skywatch_model::{Column, FieldType, Values};

use crate::{QueryError, exec::Usage, kernel::Native};

/// Points of one type in the order of the query. Several may share a time.
#[derive(Debug)]
pub(crate) struct PointRun {
    /// Their times.
    pub(crate) times: Vec<i64>,
    /// As many values. Only an aggregate that nothing transforms has nulls among them.
    pub(crate) column: Column,
}

impl PointRun {
    /// Without points.
    pub(crate) fn new(field_type: FieldType) -> Self {
        Self { times: Vec::new(), column: Column { values: Values::empty(field_type), valid: None } }
    }

    /// Number of points.
    pub(crate) const fn len(&self) -> usize {
        self.times.len()
    }

    /// Some of the points.
    pub(crate) fn slice(&self, points: Range<usize>) -> Self {
        Self { times: self.times[points.clone()].to_vec(), column: self.column.slice(points) }
    }

    /// These points, then those.
    pub(crate) fn followed_by(mut self, later: Self) -> Self {
        self.times.extend(later.times);
        self.column.append(later.column);
        self
    }
}

/// The state of one transformation of one series of points.
pub(crate) trait Transform: Debug {
    /// Takes points, of which rows without a value are none, and adds what they make it answer.
    fn feed(&mut self, times: &[i64], column: &Column, out: &mut PointRun);

    /// Adds what it answers after the last point.
    fn finish(&mut self, _usage: &Usage<'_>, _out: &mut PointRun) -> Result<(), QueryError> {
        Ok(())
    }

    /// Bytes held beyond its fixed size.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// A transformation that answers each point at once.
trait Machine<T>: Debug {
    /// Type of its answers.
    type Out: Native;

    /// What it answers to the next point.
    fn push(&mut self, time: i64, value: T) -> Option<Self::Out>;

    /// Bytes held beyond its fixed size.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// A machine fed with columns of `T`.
#[derive(Debug)]
struct Streaming<T, M> {
    machine: M,
    native: PhantomData<fn(T)>,
}

/// A transformation of values of type `T` by a machine.
fn streaming<T: Native, M: Machine<T> + 'static>(machine: M) -> Box<dyn Transform> {
    Box::new(Streaming { machine, native: PhantomData })
}

impl<T: Native, M: Machine<T>> Transform for Streaming<T, M> {
    fn feed(&mut self, times: &[i64], column: &Column, out: &mut PointRun) {
        let (Some(values), Some(answers)) =
            (T::slice(&column.values), M::Out::vec_mut(&mut out.column.values))
        else {
            debug_assert!(false, "a transformation of {:?} fed another type", T::TYPE);
            return;
        };
        for (row, (time, value)) in times.iter().zip(values).enumerate() {
            if column.is_valid(row)
                && let Some(answer) = self.machine.push(*time, value.clone())
            {
                out.times.push(*time);
                answers.push(answer);
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        self.machine.heap_bytes()
    }
}
