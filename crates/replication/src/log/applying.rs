//! Applying the log: records come partition by partition in order, go to the shards that this node owns, many with one sync,
//! and when they are durable it is noted how far that is.
//!
//! ```text
//! read ── sort by shard ── apply (shards side by side) ── progress ── set aside what no shard takes ── note on disk
//! ```
//!
//! Nothing is ever skipped that might be applied later: where a shard has no room the reader waits, where a disk is bad it waits
//! for somebody to look, and the node is not ready. What can never be applied, on any owner, is set aside by one of them: a
//! record that no node of this cluster wrote, or points that do not fit their shard. Applying a record again changes nothing,
//! so that a crash between applying and noting it costs time and no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use skywatch_meta::{Catalogue, NodeId, Shard};
use skywatch_storage::{ErrorClass, ShardId};
use tokio::time::Instant;

use super::{LogPath, LogReader, Position, ReadError, Record, sending::MAGIC};
use crate::{
    offload,
    operation::{Operation, decode, is_delete, peek},
    owner::ApplyError,
    standing::TRUST,
};

/// How long to wait before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a record may name a shard that a current catalogue does not know, before it is taken for nonsense.
const UNKNOWN_LIMIT: Duration = Duration::from_secs(10);

/// Whether a record deletes.
fn deletes(record: &Record) -> bool {
    record.body.strip_prefix(MAGIC.as_slice()).is_some_and(is_delete)
}

/// Records in their order, in pieces of which none but the first of a piece deletes.
fn cut_at_deletes(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut pieces: Vec<Vec<Record>> = Vec::new();
    for record in records {
        match pieces.last_mut() {
            Some(piece) if !deletes(&record) => piece.push(record),
            _ => pieces.push(vec![record]),
        }
    }
    pieces
}

/// A record that a shard of this node is to take, and one that none ever will.
#[derive(Debug, Default)]
struct Sorted {
    by_shard: BTreeMap<u64, Vec<Record>>,
    refused: Vec<(Record, Arc<str>, bool)>,
}

/// Where a record belongs.
enum Place {
    /// To a shard that is here.
    Here(u64),
    /// To others, or to a shard that was dropped.
    Elsewhere,
    /// The catalogue has not given out that shard yet.
    Ahead(u64),
    /// Nowhere, ever; why.
    Nowhere(Arc<str>),
}

/// What became of the records of one shard.
type Taken = Result<(u64, Vec<(Record, Arc<str>)>), ApplyError>;

impl LogPath {
    /// Applies what comes until the future is dropped.
    pub async fn run(&self) {
        loop {
            match self.log.reader() {
                Ok(mut reader) => {
                    self.must_assign.store(true, Ordering::SeqCst);
                    let error = self.read_on(&mut *reader).await;
                    tracing::error!(log = self.name, %error, "reading the log ended; it is begun anew");
                    self.progress.lock().note(None, &error.to_string());
                }
                Err(error) => {
                    tracing::error!(log = self.name, %error, "the log cannot be read; it is tried again");
                    self.progress.lock().note(None, &error.to_string());
                }
            }
            tokio::time::sleep(PAUSE * 5).await;
        }
    }

    async fn read_on(&self, reader: &mut dyn LogReader) -> ReadError {
        let mut seen = None;
        let mut kept_at = Instant::now();
        let mut touched = BTreeSet::new();
        loop {
            let index = self.catalogues.index();
            if seen != Some(index) || self.must_assign.load(Ordering::SeqCst) {
                if let Err(error) = self.assign(reader) {
                    return error;
                }
                seen = Some(index);
            }
            let settings = &self.settings;
            let read = match offload(|| reader.poll(settings.patience, settings.batch_bytes)) {
                Ok(read) => read,
                Err(ReadError::Unavailable(_)) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return error,
            };
            {
                let mut progress = self.progress.lock();
                read.ends.iter().for_each(|end| progress.know_end(*end));
            }
            for (partition, problem) in &read.problems {
                match problem {
                    ReadError::Expired { .. } => self.lacks(problem),
                    other => self.progress.lock().note(Some(*partition), &other.to_string()),
                }
            }
            let is_idle = read.records.is_empty();
            if !is_idle {
                for segment in cut_at_deletes(read.records) {
                    self.seal_refusals(&segment, &mut touched).await;
                    touched.extend(self.take_in(segment).await);
                }
            }
            if kept_at.elapsed() >= settings.keep_every {
                self.keep(&mut touched);
                kept_at = Instant::now();
            }
            if is_idle {
                tokio::time::sleep(settings.idle).await;
            }
        }
    }

    /// Reads the partitions in which this node owns something.
    fn assign(&self, reader: &mut dyn LogReader) -> Result<(), ReadError> {
        self.must_assign.store(false, Ordering::SeqCst);
        let wanted = self.wanted(&self.catalogues.current());
        let from: Vec<Position> = {
            let mut progress = self.progress.lock();
            progress.follow(&wanted);
            progress.next().into_iter().map(|(partition, offset)| Position { partition, offset }).collect()
        };
        // Who waits for a place may have been told of it before this node knew that it has reached it.
        self.reached.send_modify(|count| *count += 1);
        reader.assign(&from)
    }

    /// The partitions in which this node owns a shard, and from where on it needs each if it has not begun yet.
    ///
    /// Nothing of a shard is before its group's beginning. And whatever had been applied when it was last noted was applied
    /// before any shard came that has been made since.
    pub(super) fn wanted(&self, catalogue: &Catalogue) -> Vec<Position> {
        let known = self.positions.known();
        let ends = self.ends.lock().clone();
        let mut starts: BTreeMap<u32, u64> = BTreeMap::new();
        let policies = catalogue.databases().iter().flat_map(|database| &database.retention_policies);
        for group in policies.flat_map(skywatch_meta::RetentionPolicy::live_shard_groups) {
            for ((partition, shard), start) in (0..).zip(&group.shards).zip(&group.log_starts) {
                if !shard.is_owned_by(self.me) {
                    continue;
                }
                // What came before a new owner is copied to it.
                let end = ends.get(partition as usize).copied().unwrap_or(0);
                let is_joining = shard.joining.contains(&self.me);
                let start = if is_joining { (*start).max(end) } else { *start };
                let first = starts.entry(partition).or_insert(start);
                *first = start.min(*first);
            }
        }
        let place = |(partition, start): (u32, u64)| {
            let offset = known.get(&partition).copied().unwrap_or(0).max(start);
            Position { partition, offset }
        };
        starts.into_iter().map(place).collect()
    }

    /// The log does not keep what this node needs next. Its shards may lack something until they have been compared, and
    /// it goes on with what there is.
    pub(super) fn lacks(&self, problem: &ReadError) {
        let ReadError::Expired { wanted, first } = *problem else { return };
        let partition = wanted.partition;
        self.counters.expired.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            log = self.name,
            %problem,
            "this node has been away for longer than the log keeps records; its shards are compared with other owners"
        );
        let catalogue = self.catalogues.current();
        let policies = catalogue.databases().iter().flat_map(|database| &database.retention_policies);
        for group in policies.flat_map(skywatch_meta::RetentionPolicy::live_shard_groups) {
            let place = partition as usize;
            let (Some(shard), Some(start)) = (group.shards.get(place), group.log_starts.get(place)) else {
                continue;
            };
            // Nothing of a group is before its beginning.
            if !shard.is_owned_by(self.me) || (*start >= first && wanted.offset < first) {
                continue;
            }
            let Some(doubts) = self.doubts.get() else { continue };
            if let Err(error) = doubts.add(shard.id) {
                // It is found again: the position stays where it is.
                tracing::error!(shard = shard.id, %error, "cannot be noted to lack something; it is tried again");
                self.progress.lock().note(Some(partition), &error.to_string());
                return;
            }
        }
        self.progress.lock().skip_to(partition, first);
        self.must_assign.store(true, Ordering::SeqCst);
    }

    /// What could not be applied stays so: a delete may take a field away together with its type, and points that did not fit
    /// it would fit if they were applied once more afterwards. So before a delete it is noted that they have been looked at.
    async fn seal_refusals(&self, segment: &[Record], touched: &mut BTreeSet<u64>) {
        let begins_with_delete = segment.first().is_some_and(deletes);
        while begins_with_delete && self.has_refused.load(Ordering::SeqCst) && !self.keep(touched) {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Applies records of several partitions, each in order. Returns when they are durable here; and the shards that they
    /// went to.
    async fn take_in(&self, records: Vec<Record>) -> BTreeSet<u64> {
        let records: Vec<Record> = {
            let progress = self.progress.lock();
            let is_next = |at: Position| progress.get(at.partition).is_some_and(|it| it.next <= at.offset);
            records.into_iter().filter(|record| is_next(record.position)).collect()
        };
        let mut reached: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let (mut bytes, count) = (0, records.len() as u64);
        for record in &records {
            bytes += record.body.len() as u64;
            let place = reached.entry(record.position.partition).or_default();
            *place = ((record.position.offset + 1).max(place.0), record.appended_ms.max(place.1));
        }
        if self.settings.keeps_too_early {
            let mut next = self.progress.lock().next();
            next.extend(reached.iter().map(|(partition, (offset, _))| (*partition, *offset)));
            drop(self.positions.keep(&next));
            tokio::time::sleep(PAUSE).await;
        }
        let Sorted { by_shard, mut refused } = self.sort(records).await;
        let touched: BTreeSet<u64> = by_shard.keys().copied().collect();
        let mut waiting = by_shard;
        while !waiting.is_empty() {
            waiting = self.apply(waiting, &mut refused).await;
        }
        self.counters.records.fetch_add(count, Ordering::Relaxed);
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        if !refused.is_empty() {
            self.has_refused.store(true, Ordering::SeqCst);
        }
        for (record, reason, _) in &refused {
            self.remember_refusal(record.position, reason);
        }
        {
            let mut progress = self.progress.lock();
            for (partition, (next, appended_ms)) in reached {
                progress.reach(partition, next, appended_ms);
            }
        }
        self.reached.send_modify(|count| *count += 1);
        self.set_aside(refused).await;
        touched
    }

    async fn sort(&self, records: Vec<Record>) -> Sorted {
        let mut sorted = Sorted::default();
        let mut catalogue = self.catalogues.current();
        for record in records {
            let mut unknown_since = None;
            loop {
                match self.place_of(&catalogue, &record) {
                    Place::Here(shard) => sorted.by_shard.entry(shard).or_default().push(record),
                    Place::Elsewhere => {}
                    Place::Nowhere(reason) => {
                        let is_mine = self.looks_after(&catalogue, record.position.partition);
                        sorted.refused.push((record, reason, is_mine));
                    }
                    Place::Ahead(shard) => {
                        let since = *unknown_since.get_or_insert_with(Instant::now);
                        let is_current = self.catalogues.age().is_some_and(|age| age < TRUST);
                        if is_current && since.elapsed() > UNKNOWN_LIMIT {
                            let reason = format!("it is for shard {shard}, which was never given out");
                            let is_mine = self.looks_after(&catalogue, record.position.partition);
                            sorted.refused.push((record, reason.into(), is_mine));
                            break;
                        }
                        self.progress.lock().note(
                            Some(record.position.partition),
                            "the catalogue is waited for: the meta nodes have not told of a new shard yet",
                        );
                        self.catalogues.reach(self.catalogues.index() + 1, PAUSE).await;
                        catalogue = self.catalogues.current();
                        continue;
                    }
                }
                break;
            }
        }
        sorted
    }

    fn place_of(&self, catalogue: &Catalogue, record: &Record) -> Place {
        let foreign = || Place::Nowhere("it was not produced by a node of this cluster".into());
        let Some(operation) = record.body.strip_prefix(MAGIC.as_slice()) else { return foreign() };
        let Ok(heading) = peek(record.body.slice_ref(operation)) else { return foreign() };
        let id = heading.shard;
        let Some(shard) = catalogue.live_shard(id) else {
            let is_dropped = id <= catalogue.shard_id_last();
            return if is_dropped { Place::Elsewhere } else { Place::Ahead(id) };
        };
        match LogPath::partition_of(catalogue, id) {
            Some(partition) if partition == record.position.partition => {
                if shard.is_owned_by(self.me) {
                    Place::Here(id)
                } else {
                    Place::Elsewhere
                }
            }
            Some(partition) => {
                Place::Nowhere(format!("shard {id} is written through partition {partition}").into())
            }
            None => Place::Nowhere(format!("shard {id} is not written through the log").into()),
        }
    }

    /// Whether it is this node that sets aside what no shard of a partition takes: the lowest of those who read it.
    fn looks_after(&self, catalogue: &Catalogue, partition: u32) -> bool {
        let policies = catalogue.databases().iter().flat_map(|database| &database.retention_policies);
        let groups = policies.flat_map(skywatch_meta::RetentionPolicy::live_shard_groups);
        let shards =
            groups.filter(|group| group.is_logged()).filter_map(|it| it.shards.get(partition as usize));
        shards.flat_map(Shard::whole_owners).min() == Some(self.me)
    }

    /// Applies records to their shards, and returns those that have to be tried again.
    async fn apply(
        &self,
        by_shard: BTreeMap<u64, Vec<Record>>,
        refused: &mut Vec<(Record, Arc<str>, bool)>,
    ) -> BTreeMap<u64, Vec<Record>> {
        let catalogue = self.catalogues.current();
        let work: Vec<(u64, Vec<Record>)> = by_shard.into_iter().collect();
        let taken = offload(|| self.apply_side_by_side(&catalogue, &work));
        let mut again = BTreeMap::new();
        for ((shard, records), taken) in work.into_iter().zip(taken) {
            match taken {
                Ok((points, rejected)) => {
                    self.counters.points.fetch_add(points, Ordering::Relaxed);
                    let first = catalogue.live_shard(shard).and_then(|it| it.whole_owners().next());
                    let is_mine = first == Some(self.me);
                    refused.extend(rejected.into_iter().map(|(record, reason)| (record, reason, is_mine)));
                }
                Err(ApplyError::Gone(_)) => {}
                Err(error) => {
                    self.tell_trouble(shard, &records, &error);
                    again.insert(shard, records);
                }
            }
        }
        if !again.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        again
    }

    fn tell_trouble(&self, shard: u64, records: &[Record], error: &ApplyError) {
        let Some(partition) = records.first().map(|record| record.position.partition) else { return };
        let is_fatal = match error {
            ApplyError::Write(error) => error.class() == ErrorClass::Fatal,
            _ => true,
        };
        let known = self.progress.lock().get(partition).is_some_and(|it| it.trouble.is_some());
        if is_fatal && !known {
            tracing::error!(shard, partition, %error, "the log is not applied any further: a shard takes nothing");
        }
        self.progress.lock().note(Some(partition), &format!("shard {shard}: {error}"));
    }

    /// One result for each shard.
    fn apply_side_by_side(&self, catalogue: &Catalogue, work: &[(u64, Vec<Record>)]) -> Vec<Taken> {
        let threads = self.settings.threads.min(work.len());
        if threads < 2 {
            return work.iter().map(|(shard, records)| self.apply_to(catalogue, *shard, records)).collect();
        }
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<(usize, Taken)>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some((shard, records)) = work.get(number) else { return };
                        let taken = self.apply_to(catalogue, *shard, records);
                        results.lock().push((number, taken));
                    }
                });
            }
        });
        let mut results = results.into_inner();
        results.sort_by_key(|(number, _)| *number);
        results.into_iter().map(|(_, taken)| taken).collect()
    }

    fn apply_to(&self, catalogue: &Catalogue, shard: u64, records: &[Record]) -> Taken {
        let mut rejected = Vec::new();
        let mut operations: Vec<(usize, Operation)> = Vec::with_capacity(records.len());
        for (number, record) in records.iter().enumerate() {
            let body = record.body.get(MAGIC.len()..).unwrap_or_default();
            match decode(body) {
                Ok(operation) => operations.push((number, operation)),
                Err(error) => rejected.push((record.clone(), error.to_string().into())),
            }
        }
        let read: Vec<&Operation> = operations.iter().map(|(_, operation)| operation).collect();
        let reports = self.owner.apply_in_order(catalogue, shard, &read)?;
        let mut points = 0;
        for ((number, _), report) in operations.iter().zip(reports) {
            points += report.written;
            if let Some((_, reason)) = report.rejected.first() {
                let count = report.rejected.len();
                let reason = if report.written > 0 || count > 1 {
                    format!("{count} of its {} points: {reason}", report.written + count as u64).into()
                } else {
                    Arc::clone(reason)
                };
                rejected.push((records[*number].clone(), reason));
            }
        }
        Ok((points, rejected))
    }

    /// Puts what no shard takes where somebody will look at it. That the log does not take it holds nothing up.
    async fn set_aside(&self, refused: Vec<(Record, Arc<str>, bool)>) {
        let mine = refused.iter().filter(|(.., is_mine)| *is_mine);
        let tries = mine.map(|(record, reason, _)| async move {
            let Position { partition, offset } = record.position;
            tracing::warn!(log = self.name, partition, offset, %reason, "a record cannot be applied and is set aside");
            self.counters.set_aside.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = self.log.set_aside(record, reason).await {
                self.counters.set_aside_failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(log = self.name, partition, offset, %error, "a record that cannot be applied could not be set aside either; it stays in the log as long as that keeps it");
            }
        });
        futures_util::future::join_all(tries).await;
    }

    /// Notes on disk how far everything is applied; whether that could be done.
    fn keep(&self, touched: &mut BTreeSet<u64>) -> bool {
        let next = self.progress.lock().next();
        if next.is_empty() {
            return true;
        }
        let kept = offload(|| {
            for shard in touched.iter() {
                // One that is gone was dropped.
                if let Some(shard) = self.owner.store().shard(ShardId(*shard)) {
                    shard.sync_log().map_err(|error| error.to_string())?;
                }
            }
            self.positions.keep(&next).map_err(|error| error.to_string())
        });
        match kept {
            Ok(()) => {
                touched.clear();
                self.has_refused.store(false, Ordering::SeqCst);
                true
            }
            Err(error) => {
                tracing::error!(
                    log = self.name,
                    error,
                    "it cannot be noted how far the log is applied; a restart applies more of it again"
                );
                false
            }
        }
    }

    /// Notes on disk how far everything is applied, when the node stops.
    pub fn close(&self) {
        let shards = self.owner.store().shards();
        let mut all: BTreeSet<u64> = shards.iter().map(|shard| shard.id().0).collect();
        let _was_kept = self.keep(&mut all);
    }

    /// The owners of a shard that are asked to apply a delete before it is answered.
    pub fn settling_owners(shard: &Shard) -> Vec<NodeId> {
        shard.whole_owners().collect()
    }
}
