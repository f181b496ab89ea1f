//! A bounded queue of copies and the task that empties it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
};

use crate::destination::Destination;

/// Bytes that may wait in one lane. A copy that is larger alone passes while nothing else waits.
const QUEUED_BYTES_MAX: usize = 32 << 20;

/// What was written, once for all destinations.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) database: String,
    pub(crate) retention_policy: String,
    /// Lines of line protocol with nanoseconds.
    pub(crate) lines: Bytes,
    /// Where each line ends, behind its line feed. A text may have line feeds of its own.
    pub(crate) line_ends: Vec<usize>,
}

impl Copy {
    pub(crate) fn points(&self) -> u64 {
        self.line_ends.len() as u64
    }

    /// Each line without its line feed.
    pub(crate) fn each_line(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.line_ends.iter().copied());
        starts.zip(&self.line_ends).map(|(start, end)| &self.lines[start..end - 1])
    }
}

/// Totals over all lanes there have ever been.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) create_failures: AtomicU64,
    pub(crate) points_written: AtomicU64,
    pub(crate) write_failures: AtomicU64,
}

/// What all lanes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) http: reqwest::Client,
    pub(crate) totals: Totals,
    /// Copies on their way at once in one lane, at least 1.
    pub(crate) concurrency: usize,
    /// Copies that may wait in one lane, at least 1.
    pub(crate) buffer: usize,
    /// Becomes true when the server stops: lanes finish what they have.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Destinations that take turns. Dropping it drops what waits in it.
#[derive(Debug)]
pub(crate) struct Lane {
    sender: mpsc::Sender<Arc<Copy>>,
    queued_bytes: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Lane {
    /// Starts the task of a lane among `tasks`.
    pub(crate) fn start(
        destinations: Vec<Arc<Destination>>,
        shared: &Arc<Shared>,
        tasks: &mut JoinSet<()>,
        runtime: &tokio::runtime::Handle,
    ) -> Self {
        let (sender, copies) = mpsc::channel(shared.buffer);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let work = Work { destinations, shared: Arc::clone(shared), queued_bytes: Arc::clone(&queued_bytes) };
        let task = tasks.spawn_on(work.run(copies), runtime);
        Self { sender, queued_bytes, task }
    }

    /// Queues a copy unless the lane is full; never waits.
    pub(crate) fn offer(&self, copy: &Arc<Copy>) -> bool {
        let bytes = copy.lines.len();
        let before = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before == 0 || before + bytes <= QUEUED_BYTES_MAX;
        let taken = has_room && self.sender.try_send(Arc::clone(copy)).is_ok();
        if !taken {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        taken
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // When the server stops, the task outlives the lane to finish what it has.
        if !self.sender.is_closed() {
            self.task.abort();
        }
    }
}

struct Work {
    destinations: Vec<Arc<Destination>>,
    shared: Arc<Shared>,
    queued_bytes: Arc<AtomicUsize>,
}

impl Work {
    async fn run(self, mut copies: mpsc::Receiver<Arc<Copy>>) {
        let mut closing = self.shared.closing.clone();
        let mut under_way = JoinSet::new();
        let mut turn = 0;
        loop {
            let has_slot = under_way.len() < self.shared.concurrency;
            tokio::select! {
                copy = copies.recv(), if has_slot => match copy {
                    Some(copy) => {
                        let (destinations, shared) = (self.destinations.clone(), Arc::clone(&self.shared));
                        let queued = Arc::clone(&self.queued_bytes);
                        let first = turn;
                        turn = (turn + 1) % self.destinations.len().max(1);
                        under_way.spawn(async move {
                            deliver(&destinations, first, &shared, &copy).await;
                            queued.fetch_sub(copy.lines.len(), Ordering::Relaxed);
                        });
                    }
                    None => break,
                },
                Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
                _ = closing.wait_for(|closing| *closing), if !copies.is_closed() => copies.close(),
            }
        }
        while under_way.join_next().await.is_some() {}
    }
}

/// Offers a copy to each destination in turn, from `first` on, until one takes it.
async fn deliver(destinations: &[Arc<Destination>], first: usize, shared: &Shared, copy: &Copy) {
    let (before, from) = destinations.split_at(first.min(destinations.len()));
    for destination in from.iter().chain(before) {
        if destination.deliver(&shared.http, copy).await {
            shared.totals.points_written.fetch_add(copy.points(), Ordering::Relaxed);
            return;
        }
    }
    shared.totals.write_failures.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(buffer: usize) -> Arc<Shared> {
        // Nothing closes them: their tasks do not come to run.
        let (_, closing) = watch::channel(false);
        let http = reqwest::Client::new();
        Arc::new(Shared { http, totals: Totals::default(), concurrency: 1, buffer, closing })
    }

    fn copy(bytes: usize) -> Arc<Copy> {
        let lines = Bytes::from(vec![b'x'; bytes]);
        Arc::new(Copy { database: "db".into(), retention_policy: "rp".into(), lines, line_ends: vec![bytes] })
    }

    /// The task of a lane on this runtime does not run while the test does not wait.
    #[tokio::test]
    async fn a_lane_is_bounded_in_copies_and_in_bytes() {
        let (mut tasks, runtime) = (JoinSet::new(), tokio::runtime::Handle::current());
        let lane = Lane::start(Vec::new(), &shared(2), &mut tasks, &runtime);
        let taken: Vec<bool> = (0..3).map(|_| lane.offer(&copy(10))).collect();
        assert_eq!(taken, [true, true, false], "the third finds two waiting");

        let lane = Lane::start(Vec::new(), &shared(100), &mut tasks, &runtime);
        assert!(lane.offer(&copy(QUEUED_BYTES_MAX + 1)), "nothing else waits");
        assert!(!lane.offer(&copy(1)));

        let lane = Lane::start(Vec::new(), &shared(100), &mut tasks, &runtime);
        let taken: Vec<bool> = (0..3).map(|_| lane.offer(&copy(QUEUED_BYTES_MAX / 2))).collect();
        assert_eq!(taken, [true, true, false]);
    }

    #[test]
    fn lines_are_told_apart_by_where_they_end() {
        let text = "m s=\"a\nb\" 1\nm v=1 2\n";
        let copy = Copy {
            database: "db".into(),
            retention_policy: "rp".into(),
            lines: Bytes::from_static(text.as_bytes()),
            line_ends: vec![12, text.len()],
        };
        let lines: Vec<&[u8]> = copy.each_line().collect();
        assert_eq!(lines, [&b"m s=\"a\nb\" 1"[..], &b"m v=1 2"[..]]);
        assert_eq!(copy.points(), 2);
    }
}
