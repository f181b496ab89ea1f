//! Accounting for the memory of unflushed rows.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Memory shared by the memtables of a store; given back when a memtable goes.
#[derive(Debug, Default)]
pub(crate) struct MemoryGauge(AtomicU64);

impl MemoryGauge {
    /// Bytes held by all memtables.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A part of what a gauge shows; dropped with the memory it stands for.
#[derive(Debug)]
pub(super) struct Charge {
    gauge: Arc<MemoryGauge>,
    bytes: u64,
}

impl Charge {
    pub(super) fn new(gauge: &Arc<MemoryGauge>, bytes: usize) -> Self {
        let mut charge = Self { gauge: Arc::clone(gauge), bytes: 0 };
        charge.set(bytes);
        charge
    }

    pub(super) fn set(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes >= self.bytes {
            self.gauge.0.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.gauge.0.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) const fn gauge(&self) -> &Arc<MemoryGauge> {
        &self.gauge
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}
