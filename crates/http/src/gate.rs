//! Admission: so many at once, so many waiting, and not for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// A door that lets a bounded number through.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    places_max: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
    patience: Duration,
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
        }
    }

    /// Waits for a place, in order of arrival. The place is free again when the permit is dropped.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, TurnedAway> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::join(&self.waiting, self.waiting_max)?;
        match timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(TurnedAway::Timeout),
        }
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

/// Bytes that request bodies may take together, counted in KiB.
#[derive(Debug, Clone)]
pub(crate) struct ByteBudget {
    kib: Arc<Semaphore>,
    patience: Duration,
}

/// Bytes taken from a [`ByteBudget`], given back on drop.
#[derive(Debug)]
pub(crate) struct Reserved {
    budget: ByteBudget,
    permit: Option<OwnedSemaphorePermit>,
    kib: u32,
}

impl ByteBudget {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize, patience: Duration) -> Self {
        let kib = bytes.div_ceil(1024).clamp(1, Semaphore::MAX_PERMITS);
        Self { kib: Arc::new(Semaphore::new(kib)), patience }
    }

    /// Nothing yet, to be grown.
    pub(crate) fn empty(&self) -> Reserved {
        Reserved { budget: self.clone(), permit: None, kib: 0 }
    }

    /// Waits for `bytes`, in order of arrival.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<Reserved, TurnedAway> {
        let kib = to_kib(bytes);
        match timeout(self.patience, Arc::clone(&self.kib).acquire_many_owned(kib)).await {
            Ok(Ok(permit)) => Ok(Reserved { budget: self.clone(), permit: Some(permit), kib }),
            Ok(Err(_)) | Err(_) => Err(TurnedAway::Timeout),
        }
    }
}

impl Reserved {
    /// Bytes covered.
    pub(crate) const fn bytes(&self) -> usize {
        self.kib as usize * 1024
    }

    /// Makes it cover `bytes` in all, without waiting: two that each hold half and wait for more would do so for
    /// ever.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), TurnedAway> {
        let wanted = to_kib(bytes);
        if wanted <= self.kib {
            return Ok(());
        }
        let more = Arc::clone(&self.budget.kib)
            .try_acquire_many_owned(wanted - self.kib)
            .map_err(|_| TurnedAway::QueueFull)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        self.kib = wanted;
        Ok(())
    }
}

fn to_kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
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
    async fn bytes_come_back() {
        let budget = ByteBudget::new(10 << 10, Duration::from_secs(1));
        let mut first = budget.reserve(4 << 10).await.unwrap();
        let second = budget.reserve(4 << 10).await.unwrap();
        assert_eq!(first.grow_to(7 << 10), Err(TurnedAway::QueueFull));
        assert_eq!(first.grow_to(6 << 10), Ok(()));
        assert_eq!(budget.reserve(1).await.map(drop), Err(TurnedAway::Timeout));
        drop((first, second));
        assert!(budget.reserve(10 << 10).await.is_ok());
    }
}
