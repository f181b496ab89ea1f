//! One budget of memory for everything that grows with load.
//!
//! Whoever is about to hold bytes on behalf of a write, a query or the store's own work takes them from here first and
//! gives them back afterwards. The budget is divided, so that none of its consumers can starve the others:
//!
//! ```text
//! total ─┬─ index      what it needs, at most half; full, new series are refused and known ones go on
//!        └─ the rest ─┬─ memtables    5/16  rows not in a segment yet, those being flushed included
//!                     ├─ queries      4/16  intermediate values, decoded blocks, pieces of answers
//!                     ├─ batches      3/16  line protocol parsed and not stored yet
//!                     ├─ bodies       2/16  bodies of requests as received, and unpacked
//!                     ├─ maintenance  1/16  working memory of flushes and merges
//!                     └─ answers      1/16  encoded answers that clients have not taken yet
//! ```
//!
//! A consumer that holds nothing may take more than its share in one piece if the whole budget has room: one large
//! request is possible where many are not. What is counted are estimates from above of what is really allocated; code,
//! stacks, the allocator's own slack and pages of mapped files come on top.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

/// What memory is held for. See the module's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Consumer {
    /// Series, tags and fields of all shards.
    Index,
    /// Rows that are in no segment yet.
    Memtables,
    /// Intermediate values of queries.
    Queries,
    /// Parsed points on their way to a shard.
    Batches,
    /// Bodies of requests.
    Bodies,
    /// Flushes and merges.
    Maintenance,
    /// Encoded answers on their way to clients.
    Answers,
}

/// Parts that the budget is divided into, less what the index holds.
const PARTS: u64 = 16;

impl Consumer {
    /// Every consumer.
    pub const ALL: [Self; 7] = [
        Self::Index,
        Self::Memtables,
        Self::Queries,
        Self::Batches,
        Self::Bodies,
        Self::Maintenance,
        Self::Answers,
    ];

    /// Its name in metrics and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Memtables => "memtables",
            Self::Queries => "queries",
            Self::Batches => "batches",
            Self::Bodies => "bodies",
            Self::Maintenance => "maintenance",
            Self::Answers => "answers",
        }
    }

    /// Its part of what the index leaves, in sixteenths.
    const fn parts(self) -> u64 {
        match self {
            Self::Index => 0,
            Self::Memtables => 5,
            Self::Queries => 4,
            Self::Batches => 3,
            Self::Bodies => 2,
            Self::Maintenance | Self::Answers => 1,
        }
    }
}

const _: () = {
    let (mut sum, mut index) = (0, 0);
    while index < Consumer::ALL.len() {
        sum += Consumer::ALL[index].parts();
        index += 1;
    }
    assert!(sum == PARTS, "the shares make up the whole");
};

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "memory for {} is full: {used_bytes} of {limit_bytes} bytes are taken and {wanted_bytes} more are needed \
     (memory-budget is {total_bytes})",
    consumer.name()
)]
pub struct Exhausted {
    /// Whose share is used up.
    pub consumer: Consumer,
    /// Bytes asked for.
    pub wanted_bytes: u64,
    /// Bytes the consumer holds.
    pub used_bytes: u64,
    /// Its share now.
    pub limit_bytes: u64,
    /// The whole budget.
    pub total_bytes: u64,
}

impl Exhausted {
    /// Whether waiting cannot help: the request is larger than all that could ever be free.
    pub const fn is_hopeless(&self) -> bool {
        self.wanted_bytes > self.total_bytes / 2
    }
}

/// What one consumer does.
#[derive(Debug, Default)]
struct Account {
    /// Most it may hold whatever its share; 0 for no such bound.
    ceiling_bytes: u64,
    used_bytes: AtomicU64,
    refused: AtomicU64,
}

/// See the module's header. Shared by a whole process.
#[derive(Debug)]
pub struct MemoryBudget {
    total_bytes: u64,
    accounts: [Account; Consumer::ALL.len()],
    /// Number of threads waiting for bytes; they are woken when some come back.
    waiting: Mutex<usize>,
    freed: Condvar,
}

impl MemoryBudget {
    /// A budget of that many bytes.
    pub fn new(total_bytes: u64) -> Self {
        Self { total_bytes, accounts: Default::default(), waiting: Mutex::new(0), freed: Condvar::new() }
    }

    /// A budget that is never exhausted, for tools and tests.
    pub fn unlimited() -> Self {
        Self::new(u64::MAX / PARTS)
    }

    /// Keeps a consumer below `bytes` even where its share is larger.
    #[must_use]
    pub fn with_ceiling(mut self, consumer: Consumer, bytes: u64) -> Self {
        self.accounts[consumer as usize].ceiling_bytes = bytes;
        self
    }

    /// The whole of it.
    pub const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Bytes that a consumer holds.
    pub fn used_bytes(&self, consumer: Consumer) -> u64 {
        self.accounts[consumer as usize].used_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that all of them hold.
    pub fn used_bytes_total(&self) -> u64 {
        self.accounts.iter().map(|account| account.used_bytes.load(Ordering::Relaxed)).sum()
    }

    /// Most bytes that a consumer may hold now.
    pub fn limit_bytes(&self, consumer: Consumer) -> u64 {
        let index_max = self.total_bytes / 2;
        let share = match consumer {
            Consumer::Index => index_max,
            _ => {
                let rest = self.total_bytes - self.used_bytes(Consumer::Index).min(index_max);
                rest / PARTS * consumer.parts()
            }
        };
        match self.accounts[consumer as usize].ceiling_bytes {
            0 => share,
            ceiling => share.min(ceiling),
        }
    }

    /// How often a consumer was refused since the start.
    pub fn refused(&self, consumer: Consumer) -> u64 {
        self.accounts[consumer as usize].refused.load(Ordering::Relaxed)
    }

    /// Takes bytes if there is room.
    pub fn reserve(self: &Arc<Self>, consumer: Consumer, bytes: u64) -> Result<Reservation, Exhausted> {
        self.try_take(consumer, bytes).inspect_err(|_| self.count_refusal(consumer))?;
        Ok(Reservation { budget: Arc::clone(self), consumer, bytes })
    }

    /// As [`Self::reserve`], for one who will wait: it counts as no refusal.
    pub(crate) fn reserve_now(
        self: &Arc<Self>,
        consumer: Consumer,
        bytes: u64,
    ) -> Result<Reservation, Exhausted> {
        self.try_take(consumer, bytes)?;
        Ok(Reservation { budget: Arc::clone(self), consumer, bytes })
    }

    /// As [`Self::reserve`], waiting for others to give bytes back, until `patience` is over or `give_up` says so.
    pub fn reserve_within(
        self: &Arc<Self>,
        consumer: Consumer,
        bytes: u64,
        patience: Duration,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Reservation, Exhausted> {
        /// How often `give_up` is asked.
        const RECHECK: Duration = Duration::from_millis(20);
        let deadline = Instant::now() + patience;
        loop {
            match self.try_take(consumer, bytes) {
                Ok(()) => return Ok(Reservation { budget: Arc::clone(self), consumer, bytes }),
                Err(exhausted) => {
                    let now = Instant::now();
                    if now >= deadline || exhausted.is_hopeless() || give_up() {
                        self.count_refusal(consumer);
                        return Err(exhausted);
                    }
                    let mut waiting = self.waiting.lock();
                    *waiting += 1;
                    self.freed.wait_until(&mut waiting, deadline.min(now + RECHECK));
                    *waiting -= 1;
                }
            }
        }
    }

    /// An account without bytes, to be grown.
    pub fn empty(self: &Arc<Self>, consumer: Consumer) -> Reservation {
        Reservation { budget: Arc::clone(self), consumer, bytes: 0 }
    }

    /// Counts bytes that are held already, room or not.
    pub(crate) fn charge(&self, consumer: Consumer, bytes: u64) {
        self.accounts[consumer as usize].used_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives bytes back.
    pub(crate) fn discharge(&self, consumer: Consumer, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let before = self.accounts[consumer as usize].used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{} gives back what it never took", consumer.name());
        if *self.waiting.lock() > 0 {
            self.freed.notify_all();
        }
    }

    fn try_take(&self, consumer: Consumer, bytes: u64) -> Result<(), Exhausted> {
        let limit_bytes = self.limit_bytes(consumer);
        let others = self.used_by_others(consumer);
        let fits = |used: u64| {
            let after = used.saturating_add(bytes);
            let has_room = after.saturating_add(others) <= self.total_bytes;
            (has_room && (after <= limit_bytes || used == 0)).then_some(after)
        };
        self.accounts[consumer as usize]
            .used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(drop)
            .map_err(|used_bytes| Exhausted {
                consumer,
                wanted_bytes: bytes,
                used_bytes,
                limit_bytes,
                total_bytes: self.total_bytes,
            })
    }

    /// What the others hold. An index beyond its half counts as half: it was recovered with a smaller budget, and the
    /// others go on.
    fn used_by_others(&self, consumer: Consumer) -> u64 {
        let used = |other: &Consumer| match other {
            Consumer::Index => self.used_bytes(Consumer::Index).min(self.total_bytes / 2),
            other => self.used_bytes(*other),
        };
        Consumer::ALL.iter().filter(|other| **other != consumer).map(used).sum()
    }

    fn count_refusal(&self, consumer: Consumer) {
        self.accounts[consumer as usize].refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Bytes taken from a [`MemoryBudget`], given back on drop.
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    consumer: Consumer,
    bytes: u64,
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("consumer", &self.consumer).field("bytes", &self.bytes).finish()
    }
}

impl Reservation {
    /// Where they were taken from.
    pub(crate) const fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// Bytes covered.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it cover `bytes` in all, without waiting: two that each hold half and wait for more would do so for
    /// ever. On an error it covers what it did.
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            self.budget
                .try_take(self.consumer, more)
                .inspect_err(|_| self.budget.count_refusal(self.consumer))?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Gives back what is above `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.bytes -= less;
        self.budget.discharge(self.consumer, less);
    }

    /// Makes it cover exactly `bytes`, which are held already, room or not.
    pub(crate) fn set(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.budget.charge(self.consumer, bytes - self.bytes);
            self.bytes = bytes;
        } else {
            self.shrink_to(bytes);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.discharge(self.consumer, self.bytes);
    }
}

#[cfg(test)]
mod tests;
