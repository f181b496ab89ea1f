//! What a log is told: where it is, what its topic should be like, how much may wait.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use skywatch_kafka_connection::Connection;

/// What a batch of records has besides them, and a margin.
pub(crate) const BATCH_OVERHEAD_BYTES: usize = 1024;

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// The brokers.
    pub connection: Connection,
    /// The topic, and the one for what cannot be applied.
    pub topic: TopicSettings,
    /// How records are sent.
    pub producer: ProducerSettings,
    /// Bytes of records that a reader may hold in advance, about.
    pub read_ahead_bytes: usize,
}

/// What a topic should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// Its name.
    pub name: String,
    /// Name of the topic for records that cannot be applied.
    pub dead_letter: String,
    /// How many partitions it should have at least.
    pub partitions: u32,
    /// On how many brokers each partition is; as many as there are, three at most, unless it is given.
    pub replication: Option<u32>,
    /// How many of them have a record before it is acknowledged; 2 of three or more, 1 of fewer, unless it is given.
    pub in_sync_min: Option<u32>,
    /// How long records are kept.
    pub retention: Duration,
    /// How many bytes of them in each partition; no bound without it.
    pub retention_bytes: Option<u64>,
    /// The largest batch of records, in bytes.
    pub message_bytes_max: usize,
}

/// How records are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerSettings {
    /// How batches are compressed.
    pub compression: Compression,
    /// How long a record waits for others to go with it.
    pub linger: Duration,
    /// Bytes of records that may wait for the brokers.
    pub buffer_bytes: usize,
    /// How long an acknowledgement is waited for. The record goes on being tried: giving it up could double another.
    pub delivery_timeout: Duration,
    /// When clients are asked to try again.
    pub retry_after: Duration,
}

/// How batches of records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip: understood by everybody, and slow.
    Gzip,
    /// LZ4: the fastest.
    #[default]
    Lz4,
    /// Zstandard: the smallest.
    Zstd,
}

impl Compression {
    const ALL: [Self; 4] = [Self::None, Self::Gzip, Self::Lz4, Self::Zstd];

    /// As Kafka names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The inverse of [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| compression.name() == name)
    }
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self::named("skywatch-writes")
    }
}

impl TopicSettings {
    /// A topic of this name, otherwise as nothing else is said.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            dead_letter: format!("{name}-dead-letter"),
            partitions: 6,
            replication: None,
            in_sync_min: None,
            retention: Duration::from_secs(7 * 24 * 3600),
            retention_bytes: None,
            message_bytes_max: 1 << 20,
        }
    }

    /// On how many of so many brokers each partition is to be.
    pub(crate) fn replication_of(&self, brokers: u32) -> u32 {
        self.replication.unwrap_or_else(|| brokers.clamp(1, 3))
    }

    /// How many of so many replicas have to have a record.
    pub(crate) fn in_sync_min_of(&self, replication: u32) -> u32 {
        self.in_sync_min.unwrap_or(if replication >= 3 { 2 } else { 1 })
    }
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            linger: Duration::from_millis(5),
            buffer_bytes: 64 << 20,
            delivery_timeout: Duration::from_secs(10),
            retry_after: Duration::from_secs(5),
        }
    }
}

impl KafkaSettings {
    /// Reached by this connection, otherwise as nothing else is said.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            topic: TopicSettings::default(),
            producer: ProducerSettings::default(),
            read_ahead_bytes: 32 << 20,
        }
    }
}

impl ProducerSettings {
    /// What librdkafka is told. Whatever it repeats by itself is appended once, and in order.
    pub(crate) fn client_config(&self, connection: &Connection, message_bytes_max: usize) -> ClientConfig {
        let mut config = connection.client_config();
        let timeout_ms = self.delivery_timeout.as_millis();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", self.compression.name())
            .set("linger.ms", self.linger.as_millis().to_string())
            .set("message.max.bytes", message_bytes_max.to_string())
            // Never: once a record has been given up, librdkafka begins a new epoch, in which brokers do not know the
            // records again that were on their way, and append them twice.
            .set("message.timeout.ms", "0")
            // A broker that hangs is left for the next leader within the time of a record.
            .set("socket.timeout.ms", timeout_ms.clamp(1_000, 10_000).to_string())
            .set("request.timeout.ms", timeout_ms.clamp(1_000, 5_000).to_string())
            .set("retry.backoff.ms", "100")
            .set("topic.metadata.refresh.interval.ms", "30000")
            // `Buffer` bounds what waits; librdkafka counts a record's own overhead besides.
            .set("queue.buffering.max.kbytes", (self.buffer_bytes / 512).clamp(1024, 2_097_151).to_string())
            .set("queue.buffering.max.messages", "10000000");
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_are_named_as_kafka_names_them() {
        for compression in Compression::ALL {
            assert_eq!(Compression::from_name(compression.name()), Some(compression));
        }
        assert_eq!(Compression::from_name("LZ4"), None);
    }

    #[test]
    fn replicas_follow_from_the_brokers_there_are() {
        let topic = TopicSettings::default();
        let wanted = |brokers| {
            let replication = topic.replication_of(brokers);
            (replication, topic.in_sync_min_of(replication))
        };
        assert_eq!([wanted(1), wanted(2), wanted(3), wanted(9)], [(1, 1), (2, 1), (3, 2), (3, 2)]);
        let told = TopicSettings { replication: Some(5), in_sync_min: Some(3), ..topic.clone() };
        assert_eq!((told.replication_of(1), told.in_sync_min_of(5)), (5, 3));
    }
}
