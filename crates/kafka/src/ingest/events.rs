//! What a member of a group is told: of its partitions, and of their lag.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use skywatch_kafka_connection::ClientEvents;

use super::statistics::{Counters, PartitionLag};
use crate::statistics::add;

/// A partition of a topic.
pub(super) type Place = (String, u32);

/// Listens to the consumer.
pub(super) struct MemberEvents {
    events: ClientEvents,
    counters: Arc<Counters>,
    group: Mutex<Group>,
}

#[derive(Debug, Default)]
struct Group {
    /// Next offsets of partitions, everything before which is stored, that are not committed yet.
    done: BTreeMap<Place, u64>,
    /// Partitions that were taken away since that was last asked.
    revoked: BTreeSet<Place>,
}

impl MemberEvents {
    pub(super) fn of(events: ClientEvents, counters: Arc<Counters>) -> Self {
        Self { events, counters, group: Mutex::default() }
    }

    /// Everything of a partition before an offset is stored.
    pub(super) fn done(&self, place: Place, next: u64) {
        self.group.lock().done.insert(place, next);
    }

    /// Whether a partition was taken away since this was last asked about any.
    pub(super) fn take_revoked(&self, place: &Place) -> bool {
        std::mem::take(&mut self.group.lock().revoked).contains(place)
    }

    /// The latest trouble since it was last asked for.
    pub(super) fn take_last(&self) -> Option<String> {
        self.events.take_last()
    }

    /// Commits what is done.
    pub(super) fn commit<C: Consumer<Self>>(&self, consumer: &C, mode: CommitMode) {
        let done = std::mem::take(&mut self.group.lock().done);
        if done.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in &done {
            let partition = i32::try_from(*partition).unwrap_or(i32::MAX);
            let offset = Offset::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
            if let Err(error) = list.add_partition_offset(topic, partition, offset) {
                tracing::debug!(%error, topic, partition, "an offset cannot be committed");
            }
        }
        if let Err(error) = consumer.commit(&list, mode) {
            // What is not committed is read once more, which changes nothing. The next commit takes it along.
            tracing::debug!(%error, "offsets are not committed yet");
            let mut group = self.group.lock();
            for (place, next) in done {
                group.done.entry(place).or_insert(next);
            }
        }
    }
}

impl ClientContext for MemberEvents {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        let mut lags: Vec<PartitionLag> = Vec::new();
        for topic in statistics.topics.values() {
            let fetched = topic.partitions.values().filter(|partition| partition.fetch_state == "active");
            lags.extend(fetched.filter_map(|partition| {
                let end = u64::try_from(partition.hi_offset).ok()?;
                // A group that is new has committed nothing; then what has been read counts.
                let at = u64::try_from(partition.committed_offset.max(partition.app_offset)).unwrap_or(0);
                Some(PartitionLag {
                    topic: topic.topic.clone(),
                    partition: u32::try_from(partition.partition).ok()?,
                    lag: end.saturating_sub(at),
                })
            }));
        }
        lags.sort_unstable();
        *self.counters.partitions.lock() = lags;
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.events.generate_oauth_token(config)
    }
}

impl ConsumerContext for MemberEvents {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        add(&self.counters.rebalances, 1);
        let Rebalance::Revoke(partitions) = rebalance else { return };
        // Whoever gets them goes on where this member has come to.
        self.commit(consumer, CommitMode::Sync);
        let mut group = self.group.lock();
        for element in partitions.elements() {
            let partition = u32::try_from(element.partition()).unwrap_or(u32::MAX);
            let place = (element.topic().to_owned(), partition);
            group.done.remove(&place);
            group.revoked.insert(place);
        }
    }
}
