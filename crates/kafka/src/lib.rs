//! Apache Kafka as the log that writes go through, and as a source of line protocol.
//!
//! ```text
//! KafkaLog ── append ──> Producer ── buffer, breaker ──> librdkafka ──> brokers
//!    ├─ ends ──> Watch (topic: made, judged, looked after)
//!    └─ reader ──> KafkaReader <── librdkafka <── brokers
//! ```
//!
//! Positions are Kafka's own offsets. Whoever reads keeps them with what it made of the records; no consumer group is
//! used for the log.

mod dead_letters;
mod ingest;
mod log;
mod producer;
mod reader;
mod settings;
mod statistics;
mod topic;
mod trouble;
mod watch;

pub use dead_letters::{DeadLetters, SetAside};
pub use ingest::{
    Ingest, IngestConfig, IngestError, IngestSink, IngestStatistics, PartitionLag, Pattern, Routing,
    version_of,
};
pub use log::{KafkaLog, OpenError};
pub use producer::{BreakerState, Producer, ProducerError};
pub use reader::KafkaReader;
pub use settings::{Compression, KafkaSettings, ProducerSettings, TopicSettings};
pub use skywatch_kafka_connection::{Connection, Mechanism, Sasl, Tls};
pub use statistics::{Latency, LogStatistics, ProduceStatistics, ReadStatistics};
