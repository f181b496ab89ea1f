//! Accounting for the memory of unflushed rows.

use std::sync::Arc;

use crate::{Consumer, MemoryBudget, Reservation};

/// A part of the memtables' memory; dropped with what it stands for.
#[derive(Debug)]
pub(super) struct Charge(Reservation);

impl Charge {
    pub(super) fn new(budget: &Arc<MemoryBudget>, bytes: usize) -> Self {
        let mut charge = Self(budget.empty(Consumer::Memtables));
        charge.set(bytes);
        charge
    }

    pub(super) fn set(&mut self, bytes: usize) {
        self.0.set(bytes as u64);
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    pub(super) const fn budget(&self) -> &Arc<MemoryBudget> {
        self.0.budget()
    }
}
