//! [`LogReader`] over a topic of Kafka: partitions are assigned by offset, and nothing is committed to Kafka.
//!
//! librdkafka fetches in advance into one queue of bounded bytes, and finds new leaders by itself. What is heard of the
//! ends of partitions comes from there too: see [`heard`].

mod heard;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode as Code;
use skywatch_kafka_connection::{ClientEvents, Connection};
use skywatch_replication::log::{LogReader, Position, Read, ReadError, Record};

use crate::settings::KafkaSettings;
use crate::statistics::{ReadCounters, add};
use crate::topic::ANSWER_MAX;
use crate::trouble::Trouble;
use crate::watch::list;
use heard::ReaderEvents;

/// One fetch asks a broker for so much of a partition, at most; and for as much in all.
const PARTITION_FETCH_BYTES: usize = 4 << 20;
const FETCH_BYTES: usize = 16 << 20;
/// What a record takes besides its body, about.
const RECORD_BYTES: usize = 64;
/// How often librdkafka tells how far partitions go.
const TELL_EVERY_MS: &str = "500";

/// See the module's header.
pub struct KafkaReader {
    topic: String,
    consumer: BaseConsumer<ReaderEvents>,
    /// Partitions that are read, and the next offset of each.
    assigned: BTreeMap<u32, u64>,
    counters: Arc<ReadCounters>,
    trouble: Trouble,
}

impl fmt::Debug for KafkaReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaReader")
            .field("topic", &self.topic)
            .field("assigned", &self.assigned)
            .finish_non_exhaustive()
    }
}

/// What librdkafka is told of reading: bounds of memory, and no waiting where there is something to fetch.
pub(crate) fn fetching(connection: &Connection, read_ahead_bytes: usize) -> ClientConfig {
    let mut config = connection.client_config();
    let read_ahead_kb = (read_ahead_bytes / 1024).clamp(1024, 2_097_151);
    let fetch = FETCH_BYTES.min(read_ahead_bytes.max(1 << 20));
    config
        .set("queued.max.messages.kbytes", read_ahead_kb.to_string())
        .set("queued.min.messages", "1000000")
        .set("fetch.message.max.bytes", PARTITION_FETCH_BYTES.min(fetch).to_string())
        .set("fetch.max.bytes", fetch.to_string())
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "200")
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("enable.auto.commit", "false")
        .set("allow.auto.create.topics", "false")
        .set("socket.timeout.ms", "10000");
    config
}

impl KafkaReader {
    pub(crate) fn open(settings: &KafkaSettings, counters: Arc<ReadCounters>) -> Result<Self, ReadError> {
        let mut config = fetching(&settings.connection, settings.read_ahead_bytes);
        config
            // librdkafka wants a group, which has no members and keeps no offsets.
            .set("group.id", "skywatch-reader")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("statistics.interval.ms", TELL_EVERY_MS);
        let topic = settings.topic.name.clone();
        let (events, _) = ClientEvents::of(&settings.connection);
        let consumer = config
            .create_with_context(ReaderEvents::of(events, topic.clone()))
            .map_err(|error| ReadError::Refused(format!("cannot make a Kafka client: {error}")))?;
        let trouble = Trouble::with(format!("topic {topic} cannot be read"));
        Ok(Self { topic, consumer, assigned: BTreeMap::new(), counters, trouble })
    }

    /// What an error that librdkafka told means for the partitions that are read.
    fn note(&mut self, error: &KafkaError, read: &mut Read) -> Option<String> {
        if let KafkaError::PartitionEOF(partition) = error {
            self.trouble.ends();
            let partition = u32::try_from(*partition).unwrap_or(u32::MAX);
            if let Some(&offset) = self.assigned.get(&partition) {
                read.ends.push(Position { partition, offset });
            }
            return None;
        }
        add(&self.counters.errors, 1);
        let code = error.rdkafka_error_code();
        if matches!(code, Some(Code::AutoOffsetReset | Code::OffsetOutOfRange)) {
            read.problems.extend(self.misplaced());
            return None;
        }
        let told = self.consumer.context().take_last();
        let reason = told.unwrap_or_else(|| code.map_or_else(|| error.to_string(), |code| code.to_string()));
        match code {
            Some(Code::TopicAuthorizationFailed | Code::UnknownTopic | Code::UnknownTopicOrPartition) => {
                let refused = ReadError::Refused(format!("topic {} cannot be read: {reason}", self.topic));
                self.trouble.begins(&reason);
                read.problems.extend(self.assigned.keys().map(|&partition| (partition, refused.clone())));
                None
            }
            _ => Some(reason),
        }
    }

    /// Partitions whose next offset is not there: librdkafka tells that there are some, and not which.
    fn misplaced(&self) -> Vec<(u32, ReadError)> {
        let mut misplaced = Vec::new();
        for (&partition, &offset) in &self.assigned {
            let number = i32::try_from(partition).unwrap_or(i32::MAX);
            let wanted = Position { partition, offset };
            match self.consumer.fetch_watermarks(&self.topic, number, ANSWER_MAX) {
                Ok((first, _)) if u64::try_from(first).is_ok_and(|first| first > offset) => {
                    misplaced.push((partition, ReadError::Expired { wanted, first: first.unsigned_abs() }));
                }
                Ok((_, end)) if u64::try_from(end).is_ok_and(|end| end < offset) => {
                    let reason = format!(
                        "partition {partition} of topic {} ends at offset {end}, and {offset} is wanted: the topic was made \
                         anew, or has lost records",
                        self.topic
                    );
                    misplaced.push((partition, ReadError::Refused(reason)));
                }
                // It is another one, or the brokers cannot be asked: then reading it fails once more.
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, partition, "cannot ask where a partition begins"),
            }
        }
        misplaced
    }
}

impl LogReader for KafkaReader {
    fn assign(&mut self, from: &[Position]) -> Result<(), ReadError> {
        let wanted: BTreeMap<u32, u64> = from.iter().map(|at| (at.partition, at.offset)).collect();
        let undisturbed =
            |partition: &u32, offset: &u64, there: &BTreeMap<u32, u64>| there.get(partition) == Some(offset);
        let gone: Vec<(u32, Offset)> = self
            .assigned
            .iter()
            .filter(|(partition, offset)| !undisturbed(partition, offset, &wanted))
            .map(|(&partition, _)| (partition, Offset::Invalid))
            .collect();
        let new: Vec<(u32, Offset)> = wanted
            .iter()
            .filter(|(partition, offset)| !undisturbed(partition, offset, &self.assigned))
            .map(|(&partition, &offset)| {
                (partition, Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX)))
            })
            .collect();
        let refused = |error: KafkaError| ReadError::Refused(format!("cannot assign partitions: {error}"));
        if !gone.is_empty() {
            let list = list(&self.topic, gone.into_iter()).map_err(refused)?;
            self.consumer.incremental_unassign(&list).map_err(refused)?;
        }
        if !new.is_empty() {
            let list = list(&self.topic, new.into_iter()).map_err(refused)?;
            self.consumer.incremental_assign(&list).map_err(refused)?;
        }
        self.assigned = wanted;
        Ok(())
    }

    fn poll(&mut self, patience: Duration, bytes: usize) -> Result<Read, ReadError> {
        let mut read = Read::default();
        let (mut taken, mut trouble) = (0, None);
        let until = Instant::now() + patience;
        while taken < bytes {
            let is_empty = read == Read::default() && trouble.is_none();
            // Once there is something, only what is there already comes with it.
            let wait =
                if is_empty { until.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            let error = match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    if let Some(record) = record(&message, &mut self.assigned) {
                        taken += record.body.len() + RECORD_BYTES;
                        read.records.push(record);
                    }
                    continue;
                }
                Some(Err(error)) => error,
            };
            trouble = self.note(&error, &mut read).or(trouble);
        }
        let context = Arc::clone(self.consumer.context());
        for (partition, offset) in context.heard() {
            if let Some(&next) = self.assigned.get(&partition) {
                // What has been read is certainly there, whenever that was told.
                read.ends.push(Position { partition, offset: offset.max(next) });
            }
        }
        if !read.records.is_empty() || !read.ends.is_empty() {
            add(&self.counters.records, read.records.len() as u64);
            add(&self.counters.bytes, read.records.iter().map(|record| record.body.len() as u64).sum());
            if trouble.is_none() {
                self.trouble.ends();
            }
            return Ok(read);
        }
        match trouble {
            Some(reason) => {
                self.trouble.begins(&reason);
                if read.problems.is_empty() { Err(ReadError::Unavailable(reason)) } else { Ok(read) }
            }
            None => Ok(read),
        }
    }
}

/// A message as it is handed on, if it is the next of its partition or a later one.
fn record(message: &BorrowedMessage<'_>, assigned: &mut BTreeMap<u32, u64>) -> Option<Record> {
    let partition = u32::try_from(message.partition()).ok()?;
    let offset = u64::try_from(message.offset()).ok()?;
    // What was on its way before another place was assigned is not wanted any longer.
    let next = assigned.get_mut(&partition).filter(|next| **next <= offset)?;
    *next = offset + 1;
    Some(Record {
        position: Position { partition, offset },
        appended_ms: message.timestamp().to_millis().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
        key: message.key().map(Bytes::copy_from_slice),
        body: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    })
}
