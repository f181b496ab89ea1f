//! Admission: so many at once, so many waiting, and not for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use skywatch_storage::{Consumer, Exhausted, MemoryBudget, Reservation};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout, timeout_at},
};

/// A door that lets a bounded number through.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    places_max: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
    patience: Duration,
    queue_full: AtomicU64,
    timed_out: AtomicU64,
}

/// Why somebody was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnedAway {
    /// Too many wait already.
    #[error("request throttled, queue full")]
    QueueFull,
    /// No place came free in time.
    #[error("request throttled, exceeds timeout")]
    Timeout,
}

impl Gate {
    /// A gate with `places_max` places (at least one) and `waiting_max` more in the queue.
    pub(crate) fn new(places_max: usize, waiting_max: usize, patience: Duration) -> Self {
        let places_max = places_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            waiting: AtomicUsize::new(0),
            waiting_max,
            patience,
            queue_full: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
        }
    }

    /// Waits for a place, in order of arrival. The place is free again when the permit is dropped.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, TurnedAway> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::join(&self.waiting, self.waiting_max).inspect_err(|_| {
            self.queue_full.fetch_add(1, Ordering::Relaxed);
        })?;
        match timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => {
                self.timed_out.fetch_add(1, Ordering::Relaxed);
                Err(TurnedAway::Timeout)
            }
        }
    }

    /// Requests turned away so far, by reason.
    pub(crate) fn turned_away(&self) -> [(&'static str, u64); 2] {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [("queue full", count(&self.queue_full)), ("timeout", count(&self.timed_out))]
    }

    /// Places taken.
    pub(crate) fn inside(&self) -> usize {
        self.places_max - self.places.available_permits()
    }

    /// Requests in the queue.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until nobody is inside.
    pub(crate) async fn wait_empty(&self) {
        let all = u32::try_from(self.places_max).unwrap_or(u32::MAX);
        drop(self.places.acquire_many(all).await);
    }
}

/// One place in the queue, given back on drop: the waiting request may be dropped with its connection.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(waiting: &'a AtomicUsize, max: usize) -> Result<Self, TurnedAway> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(waiting);
        if before < max { Ok(place) } else { Err(TurnedAway::QueueFull) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Memory of request bodies, waited for in order of arrival.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    budget: Arc<MemoryBudget>,
    /// Held by the request that is next.
    turn: Mutex<()>,
    patience: Duration,
}

/// How often the request that is next looks whether there is room.
const RECHECK: Duration = Duration::from_millis(5);

impl BodyMemory {
    /// The share of bodies in `budget`.
    pub(crate) fn new(budget: Arc<MemoryBudget>, patience: Duration) -> Self {
        Self { budget, turn: Mutex::new(()), patience }
    }

    /// Most bytes that bodies may take together now.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.budget.limit_bytes(Consumer::Bodies)
    }

    /// Nothing yet, to be grown.
    pub(crate) fn empty(&self) -> Reservation {
        self.budget.empty(Consumer::Bodies)
    }

    /// Waits for `bytes`, in order of arrival.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<Reservation, Exhausted> {
        let deadline = Instant::now() + self.patience;
        let reserve = || self.budget.reserve(Consumer::Bodies, bytes as u64);
        let Ok(_turn) = timeout_at(deadline, self.turn.lock()).await else { return reserve() };
        loop {
            match reserve() {
                Err(full) if !full.is_hopeless() && Instant::now() < deadline => sleep(RECHECK).await,
                outcome => return outcome,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_and_impatient() {
        let gate = Arc::new(Gate::new(1, 1, Duration::from_secs(5)));
        let inside = gate.enter().await.unwrap();
        let second = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter().await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert_eq!((gate.inside(), gate.waiting()), (1, 1));
        assert_eq!(gate.enter().await.map(drop), Err(TurnedAway::QueueFull));
        assert_eq!(second.await.unwrap(), Err(TurnedAway::Timeout));
        assert_eq!(gate.waiting(), 0);
        drop(inside);
        assert!(gate.enter().await.is_ok());
    }

    #[tokio::test]
    async fn a_waiter_that_leaves_is_not_counted() {
        let gate = Gate::new(1, 1, Duration::from_secs(5));
        let _inside = gate.enter().await.unwrap();
        assert!(timeout(Duration::from_millis(1), gate.enter()).await.is_err());
        assert_eq!(gate.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_wait_for_memory_in_turn() {
        // Bodies have an eighth of it.
        let budget = Arc::new(MemoryBudget::new(8 * (10 << 10)));
        let memory = Arc::new(BodyMemory::new(Arc::clone(&budget), Duration::from_secs(1)));
        let first = memory.reserve(8 << 10).await.unwrap();
        let waiter = tokio::spawn({
            let memory = Arc::clone(&memory);
            async move { memory.reserve(8 << 10).await }
        });
        tokio::task::yield_now().await;
        // It is small enough, but another came before it.
        let late = timeout(Duration::from_millis(500), memory.reserve(1 << 10)).await;
        assert!(late.is_err(), "nobody overtakes");
        drop(first);
        let second = waiter.await.unwrap().unwrap();
        let full = memory.reserve(4 << 10).await.unwrap_err();
        assert_eq!((full.consumer, full.used_bytes), (Consumer::Bodies, 8 << 10));
        drop(second);
        assert_eq!(budget.used_bytes_total(), 0);
    }
}
