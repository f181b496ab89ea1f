//! What a reader hears of the ends of its partitions, also of idle ones.
//!
//! librdkafka knows the end of each partition from every answer to a fetch, and tells all of them twice a second. An end is
//! news only if the broker has answered since it was told before: a broker that went silent says nothing about now.

use std::collections::HashMap;

use parking_lot::Mutex;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use skywatch_kafka_connection::ClientEvents;

/// Listens to the consumer of one reader.
pub(super) struct ReaderEvents {
    events: ClientEvents,
    topic: String,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Broker -> how many answers it had given when it was told of before.
    answers: HashMap<i32, u64>,
    /// Partition -> its end, until somebody takes them.
    ends: Vec<(u32, u64)>,
}

impl ReaderEvents {
    pub(super) fn of(events: ClientEvents, topic: String) -> Self {
        Self { events, topic, heard: Mutex::default() }
    }

    /// Ends that were told of since this was last asked.
    pub(super) fn heard(&self) -> Vec<(u32, u64)> {
        std::mem::take(&mut self.heard.lock().ends)
    }

    /// The latest trouble since it was last asked for.
    pub(super) fn take_last(&self) -> Option<String> {
        self.events.take_last()
    }
}

impl Heard {
    fn hear(&mut self, statistics: &Statistics, topic: &str) {
        let mut answered = HashMap::new();
        for broker in statistics.brokers.values().filter(|broker| broker.nodeid >= 0) {
            let before = self.answers.insert(broker.nodeid, broker.rx).unwrap_or(0);
            answered.insert(broker.nodeid, broker.state == "UP" && broker.rx > before);
        }
        let Some(topic) = statistics.topics.get(topic) else { return };
        self.ends = topic
            .partitions
            .values()
            .filter(|partition| partition.fetch_state == "active")
            .filter(|partition| answered.get(&partition.broker) == Some(&true))
            .filter_map(|partition| {
                Some((u32::try_from(partition.partition).ok()?, u64::try_from(partition.hi_offset).ok()?))
            })
            .collect();
        self.ends.sort_unstable();
    }
}

impl ClientContext for ReaderEvents {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.heard.lock().hear(&statistics, &self.topic);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // That a partition ends is no trouble, and told by the poll as well.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.events.error(error, reason);
        }
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.events.generate_oauth_token(config)
    }
}

impl ConsumerContext for ReaderEvents {}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::{Broker, Partition, Topic};

    use super::*;

    fn told(answers: u64, state: &str, ends: &[(i32, i64)]) -> Statistics {
        let broker = Broker { nodeid: 1, rx: answers, state: state.to_owned(), ..Broker::default() };
        let partition = |&(partition, hi_offset): &(i32, i64)| {
            let fetch_state = "active".to_owned();
            (partition, Partition { partition, hi_offset, broker: 1, fetch_state, ..Partition::default() })
        };
        let topic = Topic { partitions: ends.iter().map(partition).collect(), ..Topic::default() };
        Statistics {
            brokers: [("b".to_owned(), broker)].into(),
            topics: [("t".to_owned(), topic)].into(),
            ..Statistics::default()
        }
    }

    #[test]
    fn ends_are_news_only_from_a_broker_that_has_answered() {
        let mut heard = Heard::default();
        let mut hear = |answers, state, ends: &[(i32, i64)]| {
            heard.ends.clear();
            heard.hear(&told(answers, state, ends), "t");
            heard.ends.clone()
        };
        assert_eq!(hear(5, "UP", &[(1, 7), (0, 3)]), [(0, 3), (1, 7)]);
        assert_eq!(hear(6, "UP", &[(0, 3)]), [(0, 3)], "an idle partition is told of again");
        assert_eq!(hear(6, "UP", &[(0, 3)]), [], "nothing came");
        assert_eq!(hear(7, "DOWN", &[(0, 3)]), []);
        assert_eq!(hear(8, "UP", &[(0, -1001), (1, 9)]), [(1, 9)], "one that has told no end yet");
    }
}
