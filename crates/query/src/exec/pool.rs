//! A bounded number of extra threads for all queries of a node, and tasks whose results keep their order.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::{Condvar, Mutex};

use crate::QueryError;

/// Results of one task that may wait to be taken.
const QUEUED_PER_TASK_MAX: usize = 4;
/// Tasks that may run ahead of the one whose results are being taken, per thread.
const TASKS_AHEAD_PER_THREAD: usize = 3;

/// Threads that queries may start.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: usize,
    free: AtomicUsize,
}

impl Pool {
    pub(crate) const fn new(threads: usize) -> Self {
        Self { threads, free: AtomicUsize::new(threads) }
    }

    /// Threads there are, busy or not; at least 1.
    pub(crate) const fn threads(&self) -> usize {
        if self.threads == 0 { 1 } else { self.threads }
    }

    /// Takes up to `wanted` free threads.
    fn acquire(&self, wanted: usize) -> Permits<'_> {
        // Nothing is published through the counter.
        let before = self
            .free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| Some(free - free.min(wanted)));
        let taken = before.unwrap_or(0).min(wanted);
        Permits { pool: self, taken }
    }
}

struct Permits<'a> {
    pool: &'a Pool,
    taken: usize,
}

impl Drop for Permits<'_> {
    fn drop(&mut self) {
        self.pool.free.fetch_add(self.taken, Ordering::Relaxed);
    }
}

/// A task: gets its number and emits results in order.
type Work<'a, I> =
    dyn Fn(usize, &mut dyn FnMut(I) -> Result<(), QueryError>) -> Result<(), QueryError> + Sync + 'a;

/// Runs tasks `0..tasks`, on extra threads as far as there are any, and hands their results to `consume` on this
/// thread: those of task 0 in the order emitted, then those of task 1, and so on. Memory is bounded: tasks wait
/// when they are too far ahead. The first error in that order ends everything.
pub(super) fn ordered<I: Send>(
    pool: &Pool,
    tasks: usize,
    work: &Work<'_, I>,
    consume: &mut dyn FnMut(I) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    run_tasks(pool, if tasks < 2 { 0 } else { tasks.min(pool.threads) }, tasks, work, consume)
}

/// Runs one task on an extra thread, if there is one, while this thread consumes what it emits.
pub(super) fn beside<I: Send>(
    pool: &Pool,
    work: &Work<'_, I>,
    consume: &mut dyn FnMut(I) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    run_tasks(pool, 1, 1, work, consume)
}

fn run_tasks<I: Send>(
    pool: &Pool,
    threads: usize,
    tasks: usize,
    work: &Work<'_, I>,
    consume: &mut dyn FnMut(I) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let permits = pool.acquire(threads);
    if permits.taken == 0 {
        return (0..tasks).try_for_each(|task| work(task, consume));
    }
    let shared = Shared {
        state: Mutex::new(State { next: 0, first: 0, queues: VecDeque::new(), stop: false }),
        changed: Condvar::new(),
        tasks,
        ahead: permits.taken * TASKS_AHEAD_PER_THREAD,
    };
    std::thread::scope(|scope| {
        for _ in 0..permits.taken {
            scope.spawn(|| shared.work(work));
        }
        let result = shared.consume(consume);
        shared.stop();
        result
    })
}

struct Shared<I> {
    state: Mutex<State<I>>,
    changed: Condvar,
    tasks: usize,
    ahead: usize,
}

struct State<I> {
    /// Next task to start.
    next: usize,
    /// Task of the first queue: the one being consumed.
    first: usize,
    /// Results of tasks from `first` on.
    queues: VecDeque<Queue<I>>,
    /// Nobody takes results any more.
    stop: bool,
}

struct Queue<I> {
    items: VecDeque<I>,
    outcome: Option<Result<(), QueryError>>,
}

impl<I: Send> Shared<I> {
    fn work(&self, work: &Work<'_, I>) {
        while let Some(task) = self.claim() {
            let mut finished = Finish { shared: self, task, outcome: Some(Err(interrupted())) };
            let outcome = work(task, &mut |item| self.push(task, item));
            finished.outcome = Some(outcome);
        }
    }

    /// The next task, once it is not too far ahead.
    fn claim(&self) -> Option<usize> {
        let mut state = self.state.lock();
        while !state.stop && state.next < self.tasks && state.next >= state.first + self.ahead {
            self.changed.wait(&mut state);
        }
        if state.stop || state.next >= self.tasks {
            return None;
        }
        state.next += 1;
        state.queues.push_back(Queue { items: VecDeque::new(), outcome: None });
        Some(state.next - 1)
    }

    fn push(&self, task: usize, item: I) -> Result<(), QueryError> {
        let mut state = self.state.lock();
        loop {
            if state.stop {
                return Err(interrupted());
            }
            let position = task - state.first;
            if state.queues[position].items.len() < QUEUED_PER_TASK_MAX {
                state.queues[position].items.push_back(item);
                self.changed.notify_all();
                return Ok(());
            }
            self.changed.wait(&mut state);
        }
    }

    fn consume(&self, consume: &mut dyn FnMut(I) -> Result<(), QueryError>) -> Result<(), QueryError> {
        let mut state = self.state.lock();
        while state.first < self.tasks {
            let Some(queue) = state.queues.front_mut() else {
                self.changed.wait(&mut state);
                continue;
            };
            if let Some(item) = queue.items.pop_front() {
                self.changed.notify_all();
                parking_lot::MutexGuard::unlocked(&mut state, || consume(item))?;
            } else if let Some(outcome) = queue.outcome.take() {
                state.queues.pop_front();
                state.first += 1;
                self.changed.notify_all();
                outcome?;
            } else {
                self.changed.wait(&mut state);
            }
        }
        Ok(())
    }

    fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }
}

const fn interrupted() -> QueryError {
    QueryError::Interrupted(crate::Interrupt::Killed)
}

/// Marks a task as finished however it ends, so that a panic is not waited for.
struct Finish<'a, I> {
    shared: &'a Shared<I>,
    task: usize,
    outcome: Option<Result<(), QueryError>>,
}

impl<I> Drop for Finish<'_, I> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if let Some(position) = self.task.checked_sub(state.first)
            && let Some(queue) = state.queues.get_mut(position)
        {
            queue.outcome = self.outcome.take();
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_errors_their_place() {
        let pool = Pool::new(3);
        let mut seen = Vec::new();
        let work = |task: usize, emit: &mut dyn FnMut(usize) -> Result<(), QueryError>| {
            (0..task % 7).try_for_each(|item| emit(task * 10 + item))
        };
        ordered(&pool, 50, &work, &mut |item| {
            seen.push(item);
            Ok(())
        })
        .expect("no task fails");
        let wanted: Vec<usize> =
            (0..50).flat_map(|task| (0..task % 7).map(move |item| task * 10 + item)).collect();
        assert_eq!(seen, wanted);
        assert_eq!(pool.free.load(Ordering::Relaxed), 3);

        let mut seen = 0;
        let work = |task: usize, emit: &mut dyn FnMut(usize) -> Result<(), QueryError>| {
            if task == 5 { Err(QueryError::DatabaseRequired) } else { emit(task) }
        };
        let error = ordered(&pool, 50, &work, &mut |_| {
            seen += 1;
            Ok(())
        });
        assert!(matches!(error, Err(QueryError::DatabaseRequired)));
        assert_eq!(seen, 5);
    }

    #[test]
    fn a_consumer_that_fails_stops_the_tasks() {
        let pool = Pool::new(2);
        let work = |task: usize, emit: &mut dyn FnMut(usize) -> Result<(), QueryError>| {
            (0..1000).try_for_each(|_| emit(task))
        };
        let error = ordered(&pool, 1000, &work, &mut |_| Err(QueryError::Closed(crate::SinkClosed)));
        assert!(matches!(error, Err(QueryError::Closed(_))));
    }
}
