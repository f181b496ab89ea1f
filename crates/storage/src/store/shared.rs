//! What the shards of a store share: the door for writes, and the bell of the background threads.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::{Consumer, Reservation, StoreOptions, WriteError, compaction::Bucket};

/// When a refused writer may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// What compaction has written lately.
    pub(crate) compacted: Bucket,
    /// How many memtables are being written to disk.
    flushing: AtomicUsize,
    stopping: AtomicBool,
    bell: Mutex<Bell>,
    flush_wanted: Condvar,
    compaction_wanted: Condvar,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct Bell {
    flush: bool,
    compact: bool,
    stopped: bool,
}

/// See [`Shared::begin_flush`].
#[derive(Debug)]
pub(crate) struct Flushing<'a>(&'a AtomicUsize);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Lets a write of about `bytes` in, or holds it back while memory is full, but not for long. What it returns is
    /// kept until the points are in a memtable, which counts them from then on.
    pub(crate) fn admit(&self, options: &StoreOptions, bytes: u64) -> Result<Reservation, WriteError> {
        let memory = &options.memory;
        if let Ok(admitted) = memory.reserve_now(Consumer::Memtables, bytes) {
            return Ok(admitted);
        }
        self.wake_flusher();
        let stopped = || self.bell.lock().stopped;
        memory.reserve_within(Consumer::Memtables, bytes, options.overload_wait, &stopped).map_err(|full| {
            if full.is_hopeless() {
                return WriteError::TooLarge { bytes, limit_bytes: full.total_bytes / 2 };
            }
            WriteError::Overloaded {
                retry_after: RETRY_AFTER,
                used_bytes: full.used_bytes,
                budget_bytes: full.limit_bytes,
            }
        })
    }

    /// Whether there is memory for new series.
    pub(crate) fn has_room_for_series(&self, options: &StoreOptions) -> bool {
        options.memory.used_bytes(Consumer::Index) < options.memory.limit_bytes(Consumer::Index)
    }

    /// Holds a write with new series back until a flush has written some to a file, but not for long.
    pub(crate) fn wait_for_series(&self, options: &StoreOptions) -> Result<(), WriteError> {
        let memory = &options.memory;
        self.wake_flusher();
        let stopped = || self.bell.lock().stopped;
        let room = memory.reserve_within(Consumer::Index, 1, options.overload_wait, &stopped);
        room.map(drop).map_err(|full| WriteError::TooManyNewSeries {
            retry_after: RETRY_AFTER,
            used_bytes: full.used_bytes,
            budget_bytes: full.limit_bytes,
        })
    }

    /// Asks for a look at what is due.
    pub(crate) fn wake_flusher(&self) {
        self.bell.lock().flush = true;
        self.flush_wanted.notify_one();
    }

    /// A memtable is gone, and there is one more segment.
    pub(crate) fn memory_freed(&self) {
        self.want_compaction();
    }

    /// Asks the compaction thread for another look.
    pub(crate) fn want_compaction(&self) {
        self.bell.lock().compact = true;
        self.compaction_wanted.notify_one();
    }

    /// Says that a memtable is being written to disk, until the guard is dropped.
    pub(crate) fn begin_flush(&self) -> Flushing<'_> {
        self.flushing.fetch_add(1, Ordering::Relaxed);
        Flushing(&self.flushing)
    }

    /// Whether memtables are being written to disk.
    pub(crate) fn is_flushing(&self) -> bool {
        self.flushing.load(Ordering::Relaxed) > 0
    }

    /// Whether [`Self::stop`] has been called.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends all waits here.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.lock().stopped = true;
        self.flush_wanted.notify_all();
        self.compaction_wanted.notify_all();
        self.stopped.notify_all();
    }

    /// Waits for [`Self::wake_flusher`] or until `patience` is over; whether to go on.
    pub(crate) fn wait_for_flush(&self, patience: Duration) -> bool {
        let mut bell = self.bell.lock();
        if !bell.flush && !bell.stopped {
            self.flush_wanted.wait_for(&mut bell, patience);
        }
        bell.flush = false;
        !bell.stopped
    }

    /// As [`Self::wait_for_flush`], for compaction.
    pub(crate) fn wait_for_compaction(&self, patience: Duration) -> bool {
        let mut bell = self.bell.lock();
        if !bell.compact && !bell.stopped {
            self.compaction_wanted.wait_for(&mut bell, patience);
        }
        bell.compact = false;
        !bell.stopped
    }

    /// Waits out `pause`; whether to go on.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let deadline = Instant::now() + pause;
        let mut bell = self.bell.lock();
        while !bell.stopped && !self.stopped.wait_until(&mut bell, deadline).timed_out() {}
        !bell.stopped
    }
}
