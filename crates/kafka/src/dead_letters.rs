//! The topic for records that cannot be applied, where somebody will look at them: each with the reason, and where it was.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::admin::AdminClient;
use skywatch_kafka_connection::{ClientEvents, Connection};
use skywatch_replication::log::AppendError;
use tokio::sync::OnceCell;

use crate::producer::{Inquiry, Outgoing, Producer};
use crate::settings::{ProducerSettings, TopicSettings};
use crate::statistics::{add, get};
use crate::topic::{TopicError, ensure};

/// What is waited for at most: few are set aside, and slowly read.
const BUFFER_BYTES: usize = 8 << 20;
/// The longest reason that is kept.
const REASON_BYTES_MAX: usize = 1_000;

/// A record that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The topic it was in.
    pub topic: String,
    /// Its partition there.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// When it was appended there, in milliseconds since the epoch.
    pub timestamp_ms: u64,
    /// Its key, if it had one.
    pub key: Option<Bytes>,
    /// The record, or the part of it that cannot be applied.
    pub body: Bytes,
}

/// See the module's header. The topic is made with the first record.
#[derive(Debug)]
pub struct DeadLetters {
    connection: Connection,
    topic: TopicSettings,
    settings: ProducerSettings,
    producer: OnceCell<Producer>,
    count: AtomicU64,
}

impl DeadLetters {
    /// For records of this topic.
    pub fn of(connection: Connection, topic: &TopicSettings, settings: &ProducerSettings) -> Self {
        Self {
            connection,
            topic: topic.for_set_aside(),
            settings: ProducerSettings { buffer_bytes: BUFFER_BYTES, ..settings.clone() },
            producer: OnceCell::new(),
            count: AtomicU64::new(0),
        }
    }

    /// Name of the topic.
    pub fn topic(&self) -> &str {
        &self.topic.name
    }

    /// How many have been set aside.
    pub fn count(&self) -> u64 {
        get(&self.count)
    }

    /// Puts records there, and returns when the brokers have acknowledged all of them.
    pub async fn put(&self, records: Vec<(SetAside, String)>) -> Result<(), AppendError> {
        let producer = self.producer.get_or_try_init(|| self.open()).await?;
        let count = records.len() as u64;
        let outgoing = records.into_iter().map(|(record, reason)| self.outgoing(record, reason)).collect();
        producer.send(outgoing).await?;
        add(&self.count, count);
        Ok(())
    }

    fn outgoing(&self, record: SetAside, mut reason: String) -> Outgoing<'_> {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        Outgoing {
            topic: &self.topic.name,
            partition: None,
            headers: vec![
                ("reason", reason),
                ("topic", record.topic),
                ("partition", record.partition.to_string()),
                ("offset", record.offset.to_string()),
                ("timestamp", record.timestamp_ms.to_string()),
            ],
            key: record.key,
            body: record.body,
        }
    }

    async fn open(&self) -> Result<Producer, AppendError> {
        let unavailable = |reason: String| AppendError::Unavailable {
            reason,
            retry_after: self.settings.retry_after.max(Duration::from_secs(1)),
        };
        let (events, _) = ClientEvents::of(&self.connection);
        let admin: AdminClient<ClientEvents> = self
            .connection
            .client_config()
            .create_with_context(events)
            .map_err(|error| AppendError::Refused(format!("cannot make a Kafka client: {error}")))?;
        let (admin, bootstrap) = (Arc::new(admin), self.connection.brokers.join(","));
        let (_, judgement) = ensure(&admin, &self.topic, &bootstrap).await.map_err(|error| match error {
            TopicError::Unreachable(reason) => unavailable(reason),
            TopicError::Wrong(reason) => AppendError::Refused(reason),
        })?;
        for warning in &judgement.warnings {
            tracing::warn!("{warning}");
        }
        // Nobody looks whether how many replicas have to be in step is changed later.
        let inquiry = Inquiry { admin, topic: self.topic.name.clone(), in_sync_min: Arc::default() };
        Producer::open(&self.connection, &self.settings, self.topic.message_bytes_max, inquiry)
            .map_err(|error| AppendError::Refused(error.to_string()))
    }
}
