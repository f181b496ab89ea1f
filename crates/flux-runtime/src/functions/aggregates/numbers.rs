//! Columns of numbers, whatever their type.

use std::borrow::Cow;

use super::wrong_type;
use crate::{Cells, Column, Context, Error, Kind, Value, Values};

/// The cells of a column of numbers.
pub(super) enum Numbers<'c> {
    Int(Cow<'c, Cells<i64>>),
    Uint(Cow<'c, Cells<u64>>),
    Float(Cow<'c, Cells<f64>>),
}

impl<'c> Numbers<'c> {
    /// Those of a column, which has to be of numbers.
    pub(super) fn of(context: &Context<'_>, column: &'c Column) -> Result<Self, Error> {
        Ok(match column.values() {
            Values::Int(cells) => Self::Int(Cow::Borrowed(cells)),
            Values::Uint(cells) => Self::Uint(Cow::Borrowed(cells)),
            Values::Float(cells) => Self::Float(Cow::Borrowed(cells)),
            Values::Repeat { kind, value, rows } => match (kind, value) {
                (Kind::Int, Value::Int(value)) => Self::Int(repeated(*value, *rows)),
                (Kind::Int, _) => Self::Int(nulls(*rows)),
                (Kind::Uint, Value::Uint(value)) => Self::Uint(repeated(*value, *rows)),
                (Kind::Uint, _) => Self::Uint(nulls(*rows)),
                (Kind::Float, Value::Float(value)) => Self::Float(repeated(*value, *rows)),
                (Kind::Float, _) => Self::Float(nulls(*rows)),
                _ => return Err(wrong_type(context, column, "int, uint or float")),
            },
            _ => return Err(wrong_type(context, column, "int, uint or float")),
        })
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Int(cells) => cells.values.len(),
            Self::Uint(cells) => cells.values.len(),
            Self::Float(cells) => cells.values.len(),
        }
    }

    /// The number of a row, if it has one.
    pub(super) fn get(&self, row: usize) -> Option<f64> {
        match self {
            Self::Int(cells) => cells.get(row).map(|&value| value as f64),
            Self::Uint(cells) => cells.get(row).map(|&value| value as f64),
            Self::Float(cells) => cells.get(row).copied(),
        }
    }

    /// Every number that there is, in turn.
    pub(super) fn each(&self, mut take: impl FnMut(f64)) {
        match self {
            Self::Int(cells) => present(cells).for_each(|value| take(value as f64)),
            Self::Uint(cells) => present(cells).for_each(|value| take(value as f64)),
            Self::Float(cells) => present(cells).for_each(take),
        }
    }

    /// How many there are, and what they come to.
    pub(super) fn count_and_sum(&self) -> (usize, f64) {
        let (mut count, mut sum) = (0, 0.0);
        self.each(|value| {
            count += 1;
            sum += value;
        });
        (count, sum)
    }
}

/// Every value that there is.
pub(super) fn present<T: Copy>(cells: &Cells<T>) -> impl Iterator<Item = T> {
    cells.iter().flatten().copied()
}

/// The floating-point numbers of a column, which has to be of such.
pub(super) fn floats<'c>(context: &Context<'_>, column: &'c Column) -> Result<Cow<'c, Cells<f64>>, Error> {
    match Numbers::of(context, column) {
        Ok(Numbers::Float(cells)) => Ok(cells),
        _ => Err(wrong_type(context, column, "float; toFloat() makes it one")),
    }
}

fn repeated<'c, T: Clone>(value: T, rows: usize) -> Cow<'c, Cells<T>> {
    Cow::Owned(Cells::all(vec![value; rows]))
}

fn nulls<'c, T: Clone + Default>(rows: usize) -> Cow<'c, Cells<T>> {
    Cow::Owned(Cells { values: vec![T::default(); rows], valid: Some(vec![false; rows]) })
}
