//! A log in memory, for tests and simulations: with the limits and the faults of a real one.
//!
//! Every node has a [link](MemoryLog::link) of its own to the log, which can be cut by itself, and whose appends can come to
//! any end that a real one's can: lost, landed unheard, landed in part, landed twice.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use skywatch_model::WallClock;

use super::{AppendError, LogReader, NewRecord, Position, Read, ReadError, Record, WriteLog};

/// When a client is told to try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What becomes of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing lands, and the producer does not know.
    Lost,
    /// Everything lands, and the producer does not know.
    Unheard,
    /// So many records land, and the producer does not know.
    Part(usize),
    /// Everything lands twice.
    Twice,
}

#[derive(Debug, Default)]
struct Partition {
    /// The offset of the first record that is kept.
    first: u64,
    records: VecDeque<Record>,
}

impl Partition {
    fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }
}

#[derive(Debug, Default)]
struct State {
    partitions: Vec<Partition>,
    is_away: bool,
    set_aside: Vec<(Position, String)>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    grown: Condvar,
    body_bytes_max: usize,
    latency: Duration,
    clock: Arc<dyn WallClock>,
}

#[derive(Debug, Default)]
struct Link {
    is_cut: AtomicBool,
    fates: Mutex<VecDeque<Fate>>,
}

/// See the module's header.
#[derive(Debug)]
pub struct MemoryLog {
    shared: Arc<Shared>,
    link: Arc<Link>,
}

impl MemoryLog {
    /// An empty log. Appending takes `latency`.
    pub fn new(partitions: u32, body_bytes_max: usize, latency: Duration, clock: Arc<dyn WallClock>) -> Self {
        let state = State::default();
        let shared =
            Shared { state: Mutex::new(state), grown: Condvar::new(), body_bytes_max, latency, clock };
        let log = Self { shared: Arc::new(shared), link: Arc::default() };
        log.grow(partitions);
        log
    }

    /// The same log, reached by another way.
    #[must_use]
    pub fn link(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), link: Arc::default() }
    }

    /// The same log by the same way.
    #[must_use]
    pub fn same_link(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), link: Arc::clone(&self.link) }
    }

    /// Whether the log is out of reach by this way.
    pub fn cut(&self, is_cut: bool) {
        self.link.is_cut.store(is_cut, Ordering::SeqCst);
        self.shared.grown.notify_all();
    }

    /// Whether the log is out of reach for everybody.
    pub fn stop(&self, is_away: bool) {
        self.shared.state.lock().is_away = is_away;
        self.shared.grown.notify_all();
    }

    /// What becomes of the next append by this way that has none yet.
    pub fn will(&self, fate: Fate) {
        self.link.fates.lock().push_back(fate);
    }

    /// Lets it have so many partitions, if it has fewer.
    pub fn grow(&self, partitions: u32) {
        let mut state = self.shared.state.lock();
        let count = state.partitions.len().max(partitions as usize);
        state.partitions.resize_with(count, Partition::default);
    }

    /// Gives up what is before an offset.
    pub fn expire(&self, before: Position) {
        let mut state = self.shared.state.lock();
        let Some(partition) = state.partitions.get_mut(before.partition as usize) else { return };
        while partition.first < before.offset && partition.records.pop_front().is_some() {
            partition.first += 1;
        }
    }

    /// Appends what somebody else produced.
    pub fn put(&self, partition: u32, body: impl Into<Bytes>) -> Position {
        self.shared.push(&mut self.shared.state.lock(), &NewRecord { partition, body: body.into() })
    }

    /// Every record that is kept of a partition.
    pub fn records(&self, partition: u32) -> Vec<Record> {
        let state = self.shared.state.lock();
        state
            .partitions
            .get(partition as usize)
            .map_or_else(Vec::new, |it| it.records.iter().cloned().collect())
    }

    /// What was put where somebody will look at it, and why.
    pub fn all_set_aside(&self) -> Vec<(Position, String)> {
        self.shared.state.lock().set_aside.clone()
    }

    fn is_out_of_reach(&self) -> bool {
        self.link.is_cut.load(Ordering::SeqCst) || self.shared.state.lock().is_away
    }

    fn check_reach(&self) -> Result<(), ReadError> {
        if self.is_out_of_reach() {
            Err(ReadError::Unavailable("no broker answers".to_owned()))
        } else {
            Ok(())
        }
    }
}

impl Shared {
    fn push(&self, state: &mut State, record: &NewRecord) -> Position {
        let partition = &mut state.partitions[record.partition as usize];
        let position = Position { partition: record.partition, offset: partition.end() };
        let appended_ms = self.clock.now_ms();
        partition.records.push_back(Record { position, appended_ms, key: None, body: record.body.clone() });
        self.grown.notify_all();
        position
    }

    async fn wait(&self) {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency / 2).await;
        }
    }
}

#[async_trait]
impl WriteLog for MemoryLog {
    fn partitions(&self) -> u32 {
        self.shared.state.lock().partitions.len() as u32
    }

    fn body_bytes_max(&self) -> usize {
        self.shared.body_bytes_max
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>, AppendError> {
        let too_large = records.iter().find(|record| record.body.len() > self.shared.body_bytes_max);
        if let Some(record) = too_large {
            let (bytes, most) = (record.body.len(), self.shared.body_bytes_max);
            return Err(AppendError::Refused(format!("a record of {bytes} bytes, {most} are the most")));
        }
        let known = self.partitions();
        if let Some(record) = records.iter().find(|record| record.partition >= known) {
            return Err(AppendError::Refused(format!("there is no partition {}", record.partition)));
        }
        let reason = "no broker of the log answers".to_owned();
        if self.is_out_of_reach() {
            return Err(AppendError::Unavailable { reason, retry_after: RETRY_AFTER });
        }
        let in_doubt = || AppendError::InDoubt { reason: reason.clone(), retry_after: RETRY_AFTER };
        self.shared.wait().await;
        if self.is_out_of_reach() {
            return Err(in_doubt());
        }
        let fate = self.link.fates.lock().pop_front();
        let landing = match fate {
            Some(Fate::Lost) => 0,
            Some(Fate::Part(count)) => count.min(records.len()),
            Some(Fate::Unheard | Fate::Twice) | None => records.len(),
        };
        let positions: Vec<Position> = {
            let mut state = self.shared.state.lock();
            let mut land = || -> Vec<Position> {
                records.iter().take(landing).map(|record| self.shared.push(&mut state, record)).collect()
            };
            let first = land();
            if fate == Some(Fate::Twice) { land() } else { first }
        };
        self.shared.wait().await;
        match fate {
            Some(Fate::Lost | Fate::Unheard | Fate::Part(_)) => Err(in_doubt()),
            Some(Fate::Twice) | None if self.is_out_of_reach() => Err(in_doubt()),
            Some(Fate::Twice) | None => Ok(positions),
        }
    }

    async fn ends(&self) -> Result<Vec<Position>, ReadError> {
        self.shared.wait().await;
        self.check_reach()?;
        let ends = {
            let state = self.shared.state.lock();
            let ends = (0..).zip(&state.partitions);
            ends.map(|(partition, it)| Position { partition, offset: it.end() }).collect()
        };
        self.shared.wait().await;
        self.check_reach()?;
        Ok(ends)
    }

    async fn set_aside(&self, record: &Record, reason: &str) -> Result<(), AppendError> {
        self.shared.wait().await;
        if self.is_out_of_reach() {
            let reason = "no broker of the log answers".to_owned();
            return Err(AppendError::Unavailable { reason, retry_after: RETRY_AFTER });
        }
        self.shared.state.lock().set_aside.push((record.position, reason.to_owned()));
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn LogReader>, ReadError> {
        Ok(Box::new(MemoryReader { log: self.same_link(), next: BTreeMap::new() }))
    }
}

/// Reads a [`MemoryLog`].
#[derive(Debug)]
struct MemoryReader {
    log: MemoryLog,
    next: BTreeMap<u32, u64>,
}

impl LogReader for MemoryReader {
    fn assign(&mut self, from: &[Position]) -> Result<(), ReadError> {
        self.next = from.iter().map(|position| (position.partition, position.offset)).collect();
        Ok(())
    }

    fn poll(&mut self, patience: Duration, bytes: usize) -> Result<Read, ReadError> {
        self.log.check_reach()?;
        let mut state = self.log.shared.state.lock();
        let has_more = |state: &State| {
            let is_behind = |(partition, next): (&u32, &u64)| {
                state.partitions.get(*partition as usize).is_some_and(|it| it.end() > *next)
            };
            self.next.iter().any(is_behind)
        };
        if !patience.is_zero() && !has_more(&state) {
            self.log.shared.grown.wait_for(&mut state, patience);
        }
        let mut read = Read::default();
        let mut left = bytes.max(1);
        for (&partition, next) in &mut self.next {
            let Some(kept) = state.partitions.get(partition as usize) else { continue };
            read.ends.push(Position { partition, offset: kept.end() });
            if *next < kept.first {
                let wanted = Position { partition, offset: *next };
                read.problems.push((partition, ReadError::Expired { wanted, first: kept.first }));
                continue;
            }
            for record in kept.records.iter().skip((*next - kept.first) as usize) {
                if left == 0 {
                    break;
                }
                left = left.saturating_sub(record.body.len().max(1));
                *next += 1;
                read.records.push(record.clone());
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use skywatch_model::SystemClock;

    use super::*;

    fn log() -> MemoryLog {
        MemoryLog::new(2, 8, Duration::ZERO, Arc::new(SystemClock))
    }

    fn record(partition: u32, body: &'static str) -> NewRecord {
        NewRecord { partition, body: body.into() }
    }

    fn bodies(log: &MemoryLog, partition: u32) -> Vec<Bytes> {
        log.records(partition).into_iter().map(|record| record.body).collect()
    }

    #[tokio::test]
    async fn partitions_keep_what_they_get_in_order() {
        let log = log();
        let records = vec![record(1, "a"), record(0, "b"), record(1, "c")];
        let positions = log.append(records).await.unwrap();
        let places: Vec<_> = positions.iter().map(|at| (at.partition, at.offset)).collect();
        assert_eq!(places, [(1, 0), (0, 0), (1, 1)]);
        assert_eq!(bodies(&log, 1), ["a", "c"]);
        let refused = log.append(vec![record(0, "more than 8")]).await;
        assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
        assert!(matches!(log.append(vec![record(2, "x")]).await, Err(AppendError::Refused(_))));
    }

    #[tokio::test]
    async fn what_is_in_doubt_may_have_landed() {
        let log = log();
        for fate in [Fate::Lost, Fate::Unheard, Fate::Part(1)] {
            log.will(fate);
            let told = log.append(vec![record(0, "a"), record(0, "b")]).await;
            assert!(matches!(told, Err(AppendError::InDoubt { .. })), "{told:?}");
        }
        assert_eq!(bodies(&log, 0), ["a", "b", "a"]);
        log.will(Fate::Twice);
        assert_eq!(log.append(vec![record(1, "c")]).await.unwrap()[0].offset, 1);
        assert_eq!(bodies(&log, 1), ["c", "c"]);
    }

    #[tokio::test]
    async fn a_way_that_is_cut_is_cut_for_itself_only() {
        let log = log();
        let other = log.link();
        other.cut(true);
        let told = other.append(vec![record(0, "a")]).await;
        assert!(matches!(told, Err(AppendError::Unavailable { .. })), "{told:?}");
        assert!(other.ends().await.is_err());
        log.append(vec![record(0, "a")]).await.unwrap();
        other.cut(false);
        let mut reader = other.reader().unwrap();
        reader.assign(&[Position { partition: 0, offset: 0 }]).unwrap();
        let read = reader.poll(Duration::ZERO, 100).unwrap();
        assert_eq!((read.records.len(), read.ends[0].offset), (1, 1));
        assert!(reader.poll(Duration::ZERO, 100).unwrap().records.is_empty(), "only once");
    }

    #[test]
    fn what_has_expired_is_told() {
        let log = log();
        for body in ["a", "b", "c"] {
            log.put(0, body);
        }
        log.expire(Position { partition: 0, offset: 2 });
        let mut reader = log.reader().unwrap();
        let wanted = Position { partition: 0, offset: 1 };
        reader.assign(&[wanted]).unwrap();
        let read = reader.poll(Duration::ZERO, 100).unwrap();
        assert_eq!(read.problems, [(0, ReadError::Expired { wanted, first: 2 })]);
        reader.assign(&[Position { partition: 0, offset: 2 }]).unwrap();
        assert_eq!(reader.poll(Duration::ZERO, 100).unwrap().records[0].body, "c");
    }
}
