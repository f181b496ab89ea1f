//! One member of a consumer group: reads, has records stored, commits.
//!
//! Records of a partition are stored in their order; the next batch is read when the one before is stored. While the node has
//! no room the partitions are paused and the brokers still answered, so that the member stays one however long that takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use skywatch_cluster::{PointsRequest, WriteError};
use skywatch_kafka_connection::ClientEvents;
use skywatch_model::line::PointBatch;
use skywatch_model::{Version, wall_clock_ns};
use skywatch_replication::log::AppendError;
use tokio::runtime::Handle;

use super::IngestConfig;
use super::batch::{Incoming, Prepared, TargetBatch, prepare};
use super::events::{MemberEvents, Place};
use super::routing::Target;
use super::sink::IngestSink;
use super::statistics::Counters;
use super::version::version_of;
use crate::dead_letters::{DeadLetters, SetAside};
use crate::reader::fetching;
use crate::statistics::add;
use crate::trouble::Trouble;

/// Bytes and records that are stored at once, at most; and how long is waited for the first.
const BATCH_BYTES: usize = 2 << 20;
const BATCH_RECORDS: usize = 20_000;
const PATIENCE: Duration = Duration::from_millis(200);
/// How often is committed.
const COMMIT_EVERY: Duration = Duration::from_millis(250);
/// How long the node is left alone when it has no room, at first and at most.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// See the module's header.
pub(super) struct Member {
    config: IngestConfig,
    consumer: BaseConsumer<MemberEvents>,
    counters: Arc<Counters>,
    reading: Trouble,
    writing: Trouble,
    /// Read while the partitions were paused: of those that were given then.
    early: Vec<Incoming>,
    committed: Instant,
}

/// Whom a member works for.
struct Work<'a> {
    sink: &'a dyn IngestSink,
    letters: &'a DeadLetters,
    runtime: &'a Handle,
    stop: &'a AtomicBool,
}

/// Why the records of a partition are left to whoever reads them next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The partition was taken away.
    Revoked,
    /// The process ends.
    Stopping,
}

impl Member {
    pub(super) fn join(config: IngestConfig, counters: Arc<Counters>) -> KafkaResult<Self> {
        let (events, _) = ClientEvents::of(&config.connection);
        let mut client = fetching(&config.connection, config.read_ahead_bytes);
        let session_ms = config.session_timeout.as_millis();
        client
            .set("group.id", &config.group)
            .set("auto.offset.reset", if config.from_beginning { "earliest" } else { "latest" })
            .set("enable.auto.offset.store", "false")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session_ms.to_string())
            .set("heartbeat.interval.ms", (session_ms / 4).clamp(200, 3_000).to_string())
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("statistics.interval.ms", "1000");
        let consumer: BaseConsumer<_> =
            client.create_with_context(MemberEvents::of(events, Arc::clone(&counters)))?;
        let topics: Vec<&str> = config.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let group = &config.group;
        Ok(Self {
            reading: Trouble::with(format!("line protocol cannot be read from Kafka (group {group})")),
            writing: Trouble::with(format!("line protocol from Kafka waits (group {group})")),
            consumer,
            counters,
            config,
            early: Vec::new(),
            committed: Instant::now(),
        })
    }

    /// Reads and stores until it is told to stop.
    pub(super) fn run(
        &mut self,
        sink: &dyn IngestSink,
        letters: &DeadLetters,
        runtime: &Handle,
        stop: &AtomicBool,
    ) {
        let work = Work { sink, letters, runtime, stop };
        while !stop.load(Ordering::Acquire) {
            for (place, records) in by_partition(self.read()) {
                // What was taken away before this is known to the consumer, which hands out no more of it.
                self.consumer.context().take_revoked(&place);
                match self.store(&work, &place, &records) {
                    Ok(()) => self.done(place, &records),
                    Err(Left::Revoked) => {}
                    Err(Left::Stopping) => break,
                }
            }
            self.commit_sometimes();
        }
        self.consumer.context().clone().commit(&self.consumer, CommitMode::Sync);
        self.consumer.unsubscribe();
    }

    /// What is there; waits for something a little.
    fn read(&mut self) -> Vec<Incoming> {
        let mut records = std::mem::take(&mut self.early);
        let mut bytes = 0;
        while bytes < BATCH_BYTES && records.len() < BATCH_RECORDS {
            let wait = if records.is_empty() { PATIENCE } else { Duration::ZERO };
            let error = match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let record = incoming(&message, &self.config);
                    bytes += record.body.len();
                    records.push(record);
                    continue;
                }
                Some(Err(error)) => error,
            };
            self.note(&error);
        }
        if !records.is_empty() {
            self.reading.ends();
            add(&self.counters.records, records.len() as u64);
            add(&self.counters.bytes, records.iter().map(|record| record.body.len() as u64).sum());
        }
        records
    }

    fn note(&self, error: &KafkaError) {
        add(&self.counters.errors, 1);
        let told = self.consumer.context().take_last();
        self.reading.begins(&told.unwrap_or_else(|| error.to_string()));
    }

    /// Has records of one partition stored, and what cannot be stored set aside.
    fn store(&mut self, work: &Work<'_>, place: &Place, records: &[Incoming]) -> Result<(), Left> {
        let Prepared { batches, mut poison, bad_lines } =
            prepare(records, &self.config.routing, self.config.precision);
        add(&self.counters.bad_lines, bad_lines);
        for batch in &batches {
            self.store_batch(work, place, records, batch, &mut poison)?;
        }
        if !poison.is_empty() {
            self.set_aside(work, place, &poison)?;
        }
        self.writing.ends();
        Ok(())
    }

    fn store_batch(
        &mut self,
        work: &Work<'_>,
        place: &Place,
        records: &[Incoming],
        batch: &TargetBatch,
        poison: &mut Vec<(SetAside, String)>,
    ) -> Result<(), Left> {
        let Some(reason) = self.write(work, place, records, batch)? else { return Ok(()) };
        if let [only] = batch.records.as_slice() {
            let record = &records[*only];
            poison.push((record.set_aside(record.body.clone()), reason));
            return Ok(());
        }
        // Something in it is refused for good: each record by itself, to know which.
        for &index in &batch.records {
            let record = &records[index];
            let alone = prepare(std::slice::from_ref(record), &self.config.routing, self.config.precision);
            for batch in alone.batches.iter().filter(|alone| alone.target == batch.target) {
                if let Some(reason) = self.write(work, place, std::slice::from_ref(record), batch)? {
                    poison.push((record.set_aside(record.body.clone()), reason));
                }
            }
        }
        Ok(())
    }

    /// Writes a batch, as often as it takes. Why it, or a part of it, will never be stored, if that is so.
    fn write(
        &mut self,
        work: &Work<'_>,
        place: &Place,
        records: &[Incoming],
        batch: &TargetBatch,
    ) -> Result<Option<String>, Left> {
        let now_ns = wall_clock_ns();
        let now_ms = u64::try_from(now_ns / 1_000_000).unwrap_or(0);
        let latest = batch.records.iter().map(|&index| {
            let record = &records[index];
            version_of(record.appended_ms, record.offset, now_ms)
        });
        let version = latest.max().unwrap_or(Version::ZERO);
        let mut pause = PAUSE;
        loop {
            match self.write_once(work, &batch.target, &batch.batch, version) {
                Ok(points) => {
                    add(&self.counters.points, points);
                    add(&self.counters.batches, 1);
                    return Ok(None);
                }
                Err(Refusal::ForGood { reason, stored }) => {
                    add(&self.counters.points, stored);
                    return Ok(Some(reason));
                }
                Err(Refusal::ForNow(reason)) => {
                    add(&self.counters.retries, 1);
                    self.writing.begins(&reason);
                    self.wait(work, place, pause)?;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    fn write_once(
        &self,
        work: &Work<'_>,
        target: &Target,
        batch: &PointBatch<'_>,
        version: Version,
    ) -> Result<u64, Refusal> {
        let request = PointsRequest {
            database: &target.database,
            retention_policy: (!target.policy.is_empty()).then_some(&target.policy),
            received_at_ns: wall_clock_ns(),
            consistency: self.config.consistency,
        };
        let written = match work.sink.write(&request, batch, version) {
            Err(WriteError::DatabaseNotFound(_)) if self.config.create_database => {
                work.sink.ensure_database(&target.database).map_err(Refusal::ForNow)?;
                work.sink.write(&request, batch, version)
            }
            written => written,
        };
        written.map(|summary| summary.points).map_err(|error| {
            let reason = error.to_string();
            match error {
                WriteError::Partial { written, .. } => Refusal::ForGood { reason, stored: written },
                WriteError::DatabaseNotFound(_)
                | WriteError::RetentionPolicyNotFound(_)
                | WriteError::Unparsable(_)
                | WriteError::TooLarge { .. } => Refusal::ForGood { reason, stored: 0 },
                _ => Refusal::ForNow(reason),
            }
        })
    }

    /// Puts what cannot be stored where somebody will look at it.
    fn set_aside(
        &mut self,
        work: &Work<'_>,
        place: &Place,
        poison: &[(SetAside, String)],
    ) -> Result<(), Left> {
        let mut pause = PAUSE;
        loop {
            let reason = match work.runtime.block_on(work.letters.put(poison.to_vec())) {
                Ok(()) => return Ok(()),
                Err(AppendError::Refused(reason)) => {
                    add(&self.counters.lost, poison.len() as u64);
                    for (record, why) in poison {
                        tracing::error!(
                            topic = record.topic,
                            partition = record.partition,
                            offset = record.offset,
                            why,
                            reason,
                            "a record that cannot be stored cannot be set aside either"
                        );
                    }
                    return Ok(());
                }
                Err(error) => error.to_string(),
            };
            add(&self.counters.retries, 1);
            self.writing.begins(&reason);
            self.wait(work, place, pause)?;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits, and answers the brokers meanwhile.
    fn wait(&mut self, work: &Work<'_>, place: &Place, time: Duration) -> Result<(), Left> {
        let until = Instant::now() + time;
        self.paused(true);
        let mut left = None;
        while left.is_none() && Instant::now() < until {
            let wait = until.saturating_duration_since(Instant::now()).min(PATIENCE);
            let error = match self.consumer.poll(wait) {
                None => None,
                // Of a partition that was given only now, and is not paused.
                Some(Ok(message)) => {
                    let record = incoming(&message, &self.config);
                    self.early.push(record);
                    None
                }
                Some(Err(error)) => Some(error),
            };
            if let Some(error) = error {
                self.note(&error);
            }
            if self.consumer.context().take_revoked(place) {
                left = Some(Left::Revoked);
            } else if work.stop.load(Ordering::Acquire) {
                left = Some(Left::Stopping);
            }
            if self.early.len() >= BATCH_RECORDS {
                self.paused(true);
            }
        }
        self.paused(false);
        left.map_or(Ok(()), Err)
    }

    fn paused(&self, paused: bool) {
        let changed = self.consumer.assignment().and_then(|assignment| {
            if paused { self.consumer.pause(&assignment) } else { self.consumer.resume(&assignment) }
        });
        if let Err(error) = changed {
            tracing::debug!(%error, paused, "partitions cannot be paused or resumed");
        }
    }

    fn done(&self, place: Place, records: &[Incoming]) {
        if let Some(last) = records.last() {
            self.consumer.context().done(place, last.offset + 1);
        }
    }

    fn commit_sometimes(&mut self) {
        if self.committed.elapsed() >= COMMIT_EVERY {
            self.committed = Instant::now();
            self.consumer.context().commit(&self.consumer, CommitMode::Async);
        }
    }
}

/// Why a write did not succeed.
enum Refusal {
    /// It will later.
    ForNow(String),
    /// It never will, for as many points as were not stored.
    ForGood { reason: String, stored: u64 },
}

fn incoming(message: &BorrowedMessage<'_>, config: &IngestConfig) -> Incoming {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let wanted = headers.filter(|header| config.routing.wants_header(header.key));
    Incoming {
        topic: message.topic().to_owned(),
        partition: u32::try_from(message.partition()).unwrap_or(u32::MAX),
        offset: u64::try_from(message.offset()).unwrap_or(0),
        appended_ms: message.timestamp().to_millis().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
        key: message.key().map(Bytes::copy_from_slice),
        headers: wanted
            .map(|header| {
                let value = String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned();
                (header.key.to_owned(), value)
            })
            .collect(),
        body: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}

/// Records by partition, each partition's in their order.
fn by_partition(records: Vec<Incoming>) -> Vec<(Place, Vec<Incoming>)> {
    let mut partitions: Vec<(Place, Vec<Incoming>)> = Vec::new();
    for record in records {
        let is_its = |place: &Place| place.1 == record.partition && place.0 == record.topic;
        match partitions.iter_mut().find(|(place, _)| is_its(place)) {
            Some((_, records)) => records.push(record),
            None => partitions.push(((record.topic.clone(), record.partition), vec![record])),
        }
    }
    partitions
}
