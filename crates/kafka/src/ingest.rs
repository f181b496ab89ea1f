//! Line protocol out of Kafka's topics: what agents and Telegraf produce there is stored, and its offset committed when it is.
//!
//! ```text
//! brokers ─> group member ─> records of a partition ─ parse, route ─> batches by target ─> IngestSink (the node)
//!                 ^                        └── what cannot be stored ─> dead letters          │
//!                 └────────────────────── commit ────────────────────────────────────────────┘
//! ```
//!
//! Whatever is read again, after a crash or by another member of the group, is stored again with the same version
//! ([`version_of`]), which changes nothing. A record that cannot be stored is set aside, or the lines of it that cannot, and
//! never holds up others; what the node has no room for now is tried again in its place.

mod batch;
mod events;
mod member;
mod routing;
mod sink;
mod statistics;
mod version;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use skywatch_cluster::Consistency;
use skywatch_kafka_connection::Connection;
use skywatch_model::line::Precision;
use tokio::runtime::Handle;

pub use routing::{Pattern, Routing};
pub use sink::IngestSink;
pub use statistics::{IngestStatistics, PartitionLag};
pub use version::version_of;

use crate::dead_letters::DeadLetters;
use crate::settings::{ProducerSettings, TopicSettings};
use member::Member;
use statistics::Counters;

/// What is read, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestConfig {
    /// The brokers.
    pub connection: Connection,
    /// Names of topics; those that begin with `^` are regular expressions.
    pub topics: Vec<String>,
    /// The consumer group whose member this node is.
    pub group: String,
    /// Whether a group that is new reads what is there already, or only what comes.
    pub from_beginning: bool,
    /// How long a member may be silent before others take over its partitions.
    pub session_timeout: Duration,
    /// Which database and retention policy.
    pub routing: Routing,
    /// Whether a database that is missing is made.
    pub create_database: bool,
    /// Unit of the timestamps.
    pub precision: Precision,
    /// How many owners must have a point.
    pub consistency: Consistency,
    /// Bytes of records that may be read in advance, about.
    pub read_ahead_bytes: usize,
    /// The topic for what cannot be stored; its `dead_letter` is the name.
    pub dead_letters: TopicSettings,
}

/// Why ingestion does not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The settings, or files they name, are wrong.
    #[error("cannot make a Kafka client for group {group}: {source}")]
    Client {
        /// The consumer group.
        group: String,
        /// What librdkafka says.
        source: rdkafka::error::KafkaError,
    },
    /// The system has no thread to give.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// One member of a consumer group, on a thread of its own.
pub struct Ingest {
    group: String,
    counters: Arc<Counters>,
    dead_letters: Arc<DeadLetters>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Ingest {
    /// Begins to read. Whether the brokers can be reached is found out by doing so, and told in the log.
    pub fn start(
        config: IngestConfig,
        sink: Arc<dyn IngestSink>,
        runtime: Handle,
    ) -> Result<Self, IngestError> {
        let (counters, stop) = (Arc::<Counters>::default(), Arc::<AtomicBool>::default());
        let settings = ProducerSettings::default();
        let dead_letters =
            Arc::new(DeadLetters::of(config.connection.clone(), &config.dead_letters, &settings));
        let group = config.group.clone();
        let mut member = Member::join(config, Arc::clone(&counters))
            .map_err(|source| IngestError::Client { group: group.clone(), source })?;
        let (letters, stopping) = (Arc::clone(&dead_letters), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("kafka-ingest".to_owned())
            .spawn(move || member.run(&*sink, &letters, &runtime, &stopping))
            .map_err(IngestError::Thread)?;
        Ok(Self { group, counters, dead_letters, stop, thread: Mutex::new(Some(thread)) })
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What it has done since it began.
    pub fn statistics(&self) -> IngestStatistics {
        self.counters.read(self.dead_letters.count())
    }

    /// Ends it: what is being written is finished and committed. Blocks.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!(group = self.group, "reading line protocol from Kafka panicked");
        }
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.stop();
    }
}
