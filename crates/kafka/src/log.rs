//! [`WriteLog`] over a topic of Kafka.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use skywatch_replication::log::{AppendError, LogReader, NewRecord, Position, ReadError, Record, WriteLog};

use crate::dead_letters::{DeadLetters, SetAside};
use crate::producer::{Outgoing, Producer};
use crate::reader::KafkaReader;
use crate::settings::{BATCH_OVERHEAD_BYTES, KafkaSettings};
use crate::statistics::{LogStatistics, ReadCounters};
use crate::watch::{Seen, Standing, Watch, WatchError};

/// Why a log does not open. That its brokers cannot be reached is no reason: it opens, and answers when they can.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The settings, or files they name, are wrong.
    #[error("cannot make a Kafka client: {0}")]
    Client(#[source] rdkafka::error::KafkaError),
    /// The topic cannot be used as it is.
    #[error("{0}")]
    Topic(String),
}

/// A log that is a topic of Kafka. See the crate's header.
#[derive(Debug)]
pub struct KafkaLog {
    settings: KafkaSettings,
    watch: Arc<Watch>,
    /// Made once the topic is known, since it is told the largest batch that fits.
    producer: OnceLock<Arc<Producer>>,
    dead_letters: DeadLetters,
    read: Arc<ReadCounters>,
}

impl KafkaLog {
    /// Opens it: makes the topic unless it is there, judges it, and tells in the log what should be mended.
    pub async fn open(settings: KafkaSettings) -> Result<Arc<Self>, OpenError> {
        let watch = Watch::open(&settings).await.map_err(|error| match error {
            WatchError::Client(error) => OpenError::Client(error),
            WatchError::Topic(reason) => OpenError::Topic(reason),
        })?;
        let dead_letters = DeadLetters::of(settings.connection.clone(), &settings.topic, &settings.producer);
        let producer = OnceLock::new();
        Ok(Arc::new(Self { settings, watch, producer, dead_letters, read: Arc::default() }))
    }

    /// What it has done since it was opened.
    pub fn statistics(&self) -> LogStatistics {
        LogStatistics {
            produced: self.producer.get().map(|producer| producer.statistics()).unwrap_or_default(),
            read: self.read.read(),
            set_aside: self.dead_letters.count(),
        }
    }

    /// Waits until what was handed over has been acknowledged, at most for a while. Blocks.
    pub fn flush(&self) {
        if let Some(producer) = self.producer.get() {
            producer.flush();
        }
    }

    /// The topic as it is known, if it can be written to.
    fn usable(&self) -> Result<Seen, AppendError> {
        let seen = self.watch.seen();
        match seen.standing {
            Standing::Good => Ok(seen),
            Standing::Unknown(reason) => Err(AppendError::Unavailable {
                reason: format!(
                    "Kafka at {} has not told of topic {} yet: {reason}",
                    self.settings.connection.brokers.join(", "),
                    self.settings.topic.name
                ),
                retry_after: self.settings.producer.retry_after,
            }),
            Standing::Wrong(reason) => Err(AppendError::Refused(reason)),
        }
    }

    fn producer(&self, seen: &Seen) -> Result<&Arc<Producer>, AppendError> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let message_bytes_max = seen.body_bytes_max + BATCH_OVERHEAD_BYTES;
        let inquiry = self.watch.inquiry();
        let (connection, settings) = (&self.settings.connection, &self.settings.producer);
        let made = Producer::open(connection, settings, message_bytes_max, inquiry)
            .map_err(|error| AppendError::Refused(error.to_string()))?;
        // Of two that are made at once, one is dropped unused.
        Ok(self.producer.get_or_init(|| Arc::new(made)))
    }
}

#[async_trait]
impl WriteLog for KafkaLog {
    fn partitions(&self) -> u32 {
        self.watch.partitions()
    }

    fn body_bytes_max(&self) -> usize {
        self.watch.seen().body_bytes_max
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>, AppendError> {
        let seen = self.usable()?;
        for record in &records {
            if record.body.len() > seen.body_bytes_max {
                return Err(AppendError::Refused(format!(
                    "a record of {} bytes is larger than the {} that topic {} takes",
                    record.body.len(),
                    seen.body_bytes_max,
                    self.settings.topic.name
                )));
            }
            if record.partition >= seen.partitions {
                return Err(AppendError::Refused(format!(
                    "topic {} has {} partitions, and none with the number {}",
                    self.settings.topic.name, seen.partitions, record.partition
                )));
            }
        }
        let topic = &self.settings.topic.name;
        let outgoing = records.into_iter().map(|record| Outgoing {
            topic,
            partition: Some(record.partition),
            key: None,
            body: record.body,
            headers: Vec::new(),
        });
        let delivered = self.producer(&seen)?.send(outgoing.collect()).await?;
        Ok(delivered
            .into_iter()
            .map(|delivered| Position { partition: delivered.partition, offset: delivered.offset })
            .collect())
    }

    async fn ends(&self) -> Result<Vec<Position>, ReadError> {
        let seen = self.watch.seen();
        match seen.standing {
            Standing::Good => {}
            Standing::Unknown(reason) => return Err(ReadError::Unavailable(reason)),
            Standing::Wrong(reason) => return Err(ReadError::Refused(reason)),
        }
        let watch = Arc::clone(&self.watch);
        tokio::task::spawn_blocking(move || watch.ends(0..seen.partitions))
            .await
            .map_err(|error| ReadError::Unavailable(error.to_string()))?
    }

    async fn set_aside(&self, record: &Record, reason: &str) -> Result<(), AppendError> {
        let set_aside = SetAside {
            topic: self.settings.topic.name.clone(),
            partition: record.position.partition,
            offset: record.position.offset,
            timestamp_ms: record.appended_ms,
            key: record.key.clone(),
            body: record.body.clone(),
        };
        self.dead_letters.put(vec![(set_aside, reason.to_owned())]).await
    }

    fn reader(&self) -> Result<Box<dyn LogReader>, ReadError> {
        Ok(Box::new(KafkaReader::open(&self.settings, Arc::clone(&self.read))?))
    }
}
