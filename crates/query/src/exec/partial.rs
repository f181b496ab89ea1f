//! Aggregates of some series, by window: what workers, shards and (later) nodes send each other.

use std::cmp::Ordering;

use super::Usage;
use crate::{
    QueryError,
    kernel::{Kernel, Points},
    plan::CallPlan,
};

/// About what the state of one call in one window takes.
const BYTES_PER_STATE: usize = 32;

/// States of every call for consecutive windows, in the order of the query.
#[derive(Debug)]
pub(super) struct Partial {
    /// Start of each window.
    windows: Vec<i64>,
    ascending: bool,
    /// One per call; `None` for calls whose argument does not exist.
    kernels: Vec<Option<Box<dyn Kernel>>>,
    /// Bytes counted in the query's usage on behalf of this partial.
    held: usize,
}

impl Partial {
    /// Without windows.
    pub(super) fn new(calls: &[CallPlan], ascending: bool) -> Self {
        let kernel = |call: &CallPlan| {
            call.argument.and_then(|(_, field_type)| (call.function.kernel)(field_type, call.config.clone()))
        };
        Self { windows: Vec::new(), ascending, kernels: calls.iter().map(kernel).collect(), held: 0 }
    }

    /// Position of the window that starts at `start`: the newest one, or a new one. Starts follow the order of the
    /// query.
    pub(super) fn open(&mut self, start: i64) -> usize {
        match self.windows.last() {
            Some(last) if *last == start => return self.windows.len() - 1,
            Some(last) => {
                debug_assert!((*last < start) == self.ascending, "window {start} after {last}");
            }
            None => {}
        }
        self.windows.push(start);
        self.kernels.iter_mut().flatten().for_each(|kernel| kernel.push_window());
        self.windows.len() - 1
    }

    /// The kernel of a call.
    pub(super) fn kernel(&mut self, call: usize) -> Option<&mut (dyn Kernel + 'static)> {
        self.kernels[call].as_deref_mut()
    }

    /// Counts what is held here now against the query's memory.
    pub(super) fn account(&mut self, usage: &Usage<'_>) -> Result<(), QueryError> {
        let states: usize = self.kernels.iter().flatten().map(|kernel| kernel.heap_bytes()).sum();
        let bytes = states + self.windows.len() * (8 + BYTES_PER_STATE * self.kernels.len());
        match bytes.checked_sub(self.held) {
            Some(more) => usage.hold(more)?,
            None => usage.release(self.held - bytes),
        }
        self.held = bytes;
        Ok(())
    }

    /// Takes all of `later`, which comes later in the order of series and shards, and leaves it without windows.
    pub(super) fn merge(&mut self, later: &mut Self) {
        self.held += std::mem::take(&mut later.held);
        if later.windows.is_empty() {
            return;
        }
        if self.windows.is_empty() {
            std::mem::swap(&mut self.windows, &mut later.windows);
            std::mem::swap(&mut self.kernels, &mut later.kernels);
            return;
        }
        if self.windows == later.windows {
            for (own, other) in self.kernels.iter_mut().zip(&mut later.kernels) {
                if let (Some(own), Some(other)) = (own, other) {
                    (0..self.windows.len()).for_each(|index| own.merge(index, other.as_mut(), index));
                }
            }
        } else {
            self.interleave(later);
        }
        later.clear();
    }

    fn clear(&mut self) {
        self.windows.clear();
        self.kernels.iter_mut().flatten().for_each(|kernel| kernel.clear());
    }

    fn interleave(&mut self, later: &mut Self) {
        let steps = steps(&self.windows, &later.windows, self.ascending);
        for (own, other) in self.kernels.iter_mut().zip(&mut later.kernels) {
            let (Some(own), Some(other)) = (own, other) else { continue };
            let mut merged = own.fresh();
            for (index, step) in steps.iter().enumerate() {
                match *step {
                    Step::Own(own_index) => merged.append(own.as_mut(), own_index),
                    Step::Other(other_index) => merged.append(other.as_mut(), other_index),
                    Step::Both(own_index, other_index) => {
                        merged.append(own.as_mut(), own_index);
                        merged.merge(index, other.as_mut(), other_index);
                    }
                }
            }
            *own = merged;
        }
        let start = |step: &Step| match *step {
            Step::Own(index) | Step::Both(index, _) => self.windows[index],
            Step::Other(index) => later.windows[index],
        };
        self.windows = steps.iter().map(start).collect();
    }

    /// What each call answers. Windows without an answer give no points. Leaves it as new.
    pub(super) fn finish(&mut self, usage: &Usage<'_>) -> Vec<Points> {
        let windows = &self.windows;
        let finish = |kernel: &mut Option<Box<dyn Kernel>>| {
            let mut points = Points::default();
            let Some(kernel) = kernel else { return points };
            points.reserve(windows.len());
            kernel.finish(windows, &mut points);
            points
        };
        let points = self.kernels.iter_mut().map(finish).collect();
        usage.release(std::mem::take(&mut self.held));
        self.clear();
        points
    }
}

/// Where a window of a merge comes from.
#[derive(Debug, Clone, Copy)]
enum Step {
    Own(usize),
    Other(usize),
    Both(usize, usize),
}

fn steps(own: &[i64], other: &[i64], ascending: bool) -> Vec<Step> {
    let mut steps = Vec::with_capacity(own.len().max(other.len()));
    let (mut i, mut j) = (0, 0);
    while i < own.len() || j < other.len() {
        let order = match (own.get(i), other.get(j)) {
            (Some(left), Some(right)) if ascending => left.cmp(right),
            (Some(left), Some(right)) => right.cmp(left),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        steps.push(match order {
            Ordering::Less => Step::Own(i),
            Ordering::Greater => Step::Other(j),
            Ordering::Equal => Step::Both(i, j),
        });
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
    }
    steps
}
