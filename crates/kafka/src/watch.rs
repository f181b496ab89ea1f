//! Looks after the topic of a log: makes and judges it once the brokers can be reached, and notices when it grows.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use skywatch_kafka_connection::ClientEvents;
use skywatch_replication::log::{Position, ReadError};

use crate::producer::Inquiry;
use crate::settings::{BATCH_OVERHEAD_BYTES, KafkaSettings, TopicSettings};
use crate::topic::{ANSWER_MAX, Admin, TopicError, configuration, ensure, in_sync_min};
use crate::trouble::Trouble;

/// How often a topic that has not been seen yet is asked for.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often it is asked whether it has grown, and how many replicas have to be in step.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long a client is listened to that has not said what is the matter.
const MATTER_MAX: Duration = Duration::from_millis(500);

/// See the module's header.
pub(crate) struct Watch {
    topic: TopicSettings,
    bootstrap: String,
    admin: Admin,
    /// Asks about partitions, and reads none.
    asker: BaseConsumer<ClientEvents>,
    seen: Mutex<Seen>,
    /// How many replicas have to be in step; 0 while nobody knows.
    in_sync_min: Arc<AtomicU32>,
    trouble: Trouble,
}

/// What is known of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) partitions: u32,
    pub(crate) body_bytes_max: usize,
    pub(crate) standing: Standing,
}

/// Whether the topic can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can.
    Good,
    /// Nobody knows: the brokers have not answered yet.
    Unknown(String),
    /// It cannot, until somebody mends it.
    Wrong(String),
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("topic", &self.topic)
            .field("seen", &*self.seen.lock())
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// Makes the clients, asks once, and goes on asking from a task of its own. Fails where somebody has to do something.
    pub(crate) async fn open(settings: &KafkaSettings) -> Result<Arc<Self>, WatchError> {
        let config = settings.connection.client_config();
        let (events, _) = ClientEvents::of(&settings.connection);
        let admin = config.create_with_context(events).map_err(WatchError::Client)?;
        let (events, _) = ClientEvents::of(&settings.connection);
        let mut config = settings.connection.client_config();
        config.set("group.id", "skywatch-watch").set("enable.auto.commit", "false");
        let asker = config.create_with_context(events).map_err(WatchError::Client)?;
        let topic = settings.topic.clone();
        let seen = Seen {
            partitions: topic.partitions,
            body_bytes_max: topic.message_bytes_max.saturating_sub(BATCH_OVERHEAD_BYTES),
            standing: Standing::Unknown("its brokers have not answered yet".to_owned()),
        };
        let watch = Arc::new(Self {
            trouble: Trouble::with(format!("the topic {} cannot be made sure of", topic.name)),
            topic,
            bootstrap: settings.connection.brokers.join(","),
            admin: Arc::new(admin),
            asker,
            seen: Mutex::new(seen),
            in_sync_min: Arc::default(),
        });
        watch.make_sure().await;
        if let Standing::Wrong(reason) = watch.seen().standing {
            return Err(WatchError::Topic(reason));
        }
        tokio::spawn(look_after(Arc::downgrade(&watch)));
        Ok(watch)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.seen.lock().partitions
    }

    /// For a producer that writes to the topic.
    pub(crate) fn inquiry(&self) -> Inquiry {
        Inquiry {
            admin: Arc::clone(&self.admin),
            topic: self.topic.name.clone(),
            in_sync_min: Arc::clone(&self.in_sync_min),
        }
    }

    /// Asks how many replicas have to be in step: whoever lowers that in an emergency wants it to count.
    async fn look_in_sync(&self) {
        if let Ok(config) = configuration(&self.admin, &self.topic.name).await {
            self.in_sync_min.store(in_sync_min(&config), Ordering::Relaxed);
        }
    }

    /// Makes the topic unless it is there, and judges it.
    async fn make_sure(self: &Arc<Self>) {
        match ensure(&self.admin, &self.topic, &self.bootstrap).await {
            Ok((found, judgement)) => {
                for warning in &judgement.warnings {
                    tracing::warn!("{warning}");
                }
                self.trouble.ends();
                self.in_sync_min.store(in_sync_min(&found.config), Ordering::Relaxed);
                let mut seen = self.seen.lock();
                seen.partitions = found.partitions;
                seen.body_bytes_max = judgement.body_bytes_max;
                seen.standing = Standing::Good;
            }
            Err(TopicError::Unreachable(reason)) => {
                // The other client says what is the matter; this one only that something is.
                let asked = Arc::clone(self);
                let told = tokio::task::spawn_blocking(move || asked.matter()).await.ok().flatten();
                let reason = told.unwrap_or(reason);
                self.trouble.begins(&reason);
                self.seen.lock().standing = Standing::Unknown(reason);
            }
            Err(TopicError::Wrong(reason)) => {
                self.trouble.begins(&reason);
                self.seen.lock().standing = Standing::Wrong(reason);
            }
        }
    }

    /// What keeps the client from the brokers, as far as it has said. Blocks.
    fn matter(&self) -> Option<String> {
        let until = Instant::now() + MATTER_MAX;
        loop {
            let patience = until.saturating_duration_since(Instant::now());
            let said_something = self.asker.poll(patience).is_some();
            let matter = self.asker.context().take_last();
            if matter.is_some() || !said_something {
                return matter;
            }
        }
    }

    /// Asks how many partitions there are. Blocks.
    fn look(&self) {
        // What the client has to say is taken from it, or it would pile up; and told by others.
        while self.asker.poll(Duration::ZERO).is_some() {}
        let Ok(metadata) = self.asker.fetch_metadata(Some(&self.topic.name), ANSWER_MAX) else { return };
        let found = metadata.topics().iter().find(|found| found.name() == self.topic.name);
        let count = found.map_or(0, |found| found.partitions().len() as u32);
        let mut seen = self.seen.lock();
        if count > seen.partitions {
            tracing::info!(
                topic = self.topic.name,
                from = seen.partitions,
                to = count,
                "the topic has grown"
            );
            seen.partitions = count;
        }
    }

    /// The places after the last records of these partitions. Blocks.
    pub(crate) fn ends(&self, partitions: impl Iterator<Item = u32>) -> Result<Vec<Position>, ReadError> {
        Ok(self
            .bounds(partitions, Offset::End)?
            .into_iter()
            .map(|(partition, offset)| Position { partition, offset })
            .collect())
    }

    fn bounds(
        &self,
        partitions: impl Iterator<Item = u32>,
        bound: Offset,
    ) -> Result<Vec<(u32, u64)>, ReadError> {
        let wanted = list(&self.topic.name, partitions.map(|partition| (partition, bound)))
            .map_err(|error| self.unavailable(&error))?;
        let found =
            self.asker.offsets_for_times(wanted, ANSWER_MAX).map_err(|error| self.unavailable(&error))?;
        let mut bounds = Vec::new();
        for element in found.elements() {
            element.error().map_err(|error| self.unavailable(&error))?;
            let partition = u32::try_from(element.partition()).unwrap_or(u32::MAX);
            match element.offset() {
                Offset::Offset(offset) => bounds.push((partition, u64::try_from(offset).unwrap_or(0))),
                other => {
                    let reason = format!("partition {partition} has no such offset: {other:?}");
                    return Err(ReadError::Unavailable(reason));
                }
            }
        }
        Ok(bounds)
    }

    fn unavailable(&self, error: &KafkaError) -> ReadError {
        let last = self.asker.context().take_last();
        ReadError::Unavailable(last.unwrap_or_else(|| error.to_string()))
    }
}

/// Why a topic cannot be looked after.
#[derive(Debug)]
pub(crate) enum WatchError {
    Client(KafkaError),
    Topic(String),
}

async fn look_after(watch: Weak<Watch>) {
    let mut looked = Instant::now();
    loop {
        tokio::time::sleep(RETRY_EVERY).await;
        let Some(watch) = watch.upgrade() else { return };
        if watch.seen().standing != Standing::Good {
            watch.make_sure().await;
            continue;
        }
        if looked.elapsed() < LOOK_EVERY {
            continue;
        }
        looked = Instant::now();
        watch.look_in_sync().await;
        if tokio::task::spawn_blocking(move || watch.look()).await.is_err() {
            tracing::error!("looking after a topic panicked");
        }
    }
}

/// Partitions of a topic and where in each.
pub(crate) fn list(
    topic: &str,
    places: impl Iterator<Item = (u32, Offset)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in places {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        list.add_partition_offset(topic, partition, offset)?;
    }
    Ok(list)
}
