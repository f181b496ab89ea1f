//! The Kafka that writes may go through.

/// Who keeps Kafka's own records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaMode {
    /// ZooKeeper nodes, as up to Kafka 3.
    ZooKeeper,
    /// Kafka's own controllers.
    KRaft,
}

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Who keeps its records.
    pub mode: KafkaMode,
    /// Its release, such as `3.5.2`.
    pub version: String,
    /// Where it is unpacked on brokers and ZooKeeper nodes.
    pub directory: String,
    /// Where it keeps its logs.
    pub data: String,
    /// Partitions of the topic of writes.
    pub partitions: u32,
    /// Copies of every record.
    pub replication: u32,
    /// How many copies have to be there for a write to be acknowledged.
    pub min_in_sync: u32,
    /// For how many hours records are kept.
    pub retention_hours: u32,
}

impl Kafka {
    /// The first number of the release.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.version.split('.').next().and_then(|first| first.parse().ok()).unwrap_or(0)
    }
}
