//! `[[kafka-ingest]]`: line protocol out of Kafka's topics. How the brokers are reached is what `[kafka]` says, unless a
//! section says otherwise.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;
use skywatch_cluster::Consistency;
use skywatch_kafka::{IngestConfig, Pattern, Routing};
use skywatch_model::line::Precision;

use super::go_duration::GoDuration;
use super::kafka::{KafkaSection, connecting_section};
use crate::byte_size::ByteSize;

/// What members of a group are silent for before others take over.
const SESSION: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(1_800);
const READ_AHEAD_MIN: u64 = 1 << 20;

/// Unit of the timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PrecisionName(Precision);

impl TryFrom<String> for PrecisionName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Precision::parse(&text).map(Self);
        known.ok_or_else(|| format!("{text:?} is no precision: use n, u, ms, s, m or h"))
    }
}

/// How many owners must have a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ConsistencyName(Consistency);

impl TryFrom<String> for ConsistencyName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("{text:?} is no level: use any, one, quorum or all"))
    }
}

/// A regular expression over names of topics.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct TopicPattern(Pattern);

impl TryFrom<String> for TopicPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Pattern::new(&text).map(Self)
    }
}

/// What the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DataFormat {
    /// Line protocol.
    Influx,
}

/// Where a group begins that has committed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Beginning {
    /// With what is there already.
    #[default]
    Oldest,
    /// With what comes from now on.
    Newest,
}

connecting_section! {
    /// One `[[kafka-ingest]]` as written.
    IngestSection {
        enabled: Option<bool>,
        topics: Vec<String>,
        consumer_group: Option<String>,
        offset: Beginning,
        session_timeout: Option<GoDuration>,
        database: String,
        retention_policy: String,
        topic_pattern: Option<TopicPattern>,
        database_tag: Option<String>,
        retention_policy_tag: Option<String>,
        keep_routing_tags: bool,
        database_header: Option<String>,
        retention_policy_header: Option<String>,
        create_database: bool,
        precision: Option<PrecisionName>,
        consistency: Option<ConsistencyName>,
        data_format: Option<DataFormat>,
        dead_letter_topic: Option<String>,
        read_ahead: Option<ByteSize>,
    }
}

/// Every section that is not switched off.
pub(super) fn merge(sections: &[IngestSection], kafka: &KafkaSection) -> Result<Vec<IngestConfig>> {
    let enabled = sections.iter().enumerate().filter(|(_, section)| section.enabled != Some(false));
    enabled.map(|(index, section)| section.config(index + 1, kafka)).collect()
}

impl IngestSection {
    fn config(&self, number: usize, kafka: &KafkaSection) -> Result<IngestConfig> {
        let title = format!("[[kafka-ingest]] number {number}:");
        let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        let Some(connection) = self.connection().or(&kafka.connection()).build(&title)? else {
            bail!("{title} brokers are missing: name them here or in [kafka]");
        };
        if self.topics.is_empty() || self.topics.iter().any(|topic| topic.trim().is_empty()) {
            bail!("{title} topics are missing: names, or regular expressions that begin with ^");
        }
        let routing = Routing {
            database: self.database.clone(),
            policy: self.retention_policy.clone(),
            topic_pattern: self.topic_pattern.clone().map(|pattern| pattern.0),
            database_tag: named(&self.database_tag),
            policy_tag: named(&self.retention_policy_tag),
            keep_tags: self.keep_routing_tags,
            database_header: named(&self.database_header),
            policy_header: named(&self.retention_policy_header),
        };
        let names_database = !routing.database.is_empty()
            || routing.topic_pattern.is_some()
            || routing.database_tag.is_some()
            || routing.database_header.is_some();
        if !names_database {
            bail!(
                "{title} database is missing: name one, or say what names it (topic-pattern, database-tag, database-header)"
            );
        }
        let session_timeout = self.session_timeout.map_or(Duration::from_secs(10), |time| time.0);
        if !SESSION.contains(&session_timeout) {
            bail!(
                "{title} session-timeout is {session_timeout:?}: between {:?} and {:?}",
                SESSION.start(),
                SESSION.end()
            );
        }
        let read_ahead = self.read_ahead.map_or(32 << 20, |size| size.0);
        if read_ahead < READ_AHEAD_MIN {
            bail!("{title} read-ahead is {read_ahead}: at least {READ_AHEAD_MIN}");
        }
        // There is only the one; another would be refused where it stands.
        let DataFormat::Influx = self.data_format.unwrap_or(DataFormat::Influx);
        let mut dead_letters = kafka.topic()?;
        dead_letters.dead_letter =
            named(&self.dead_letter_topic).unwrap_or_else(|| "skywatch-dead-letter".to_owned());
        Ok(IngestConfig {
            connection,
            topics: self.topics.clone(),
            group: named(&self.consumer_group).unwrap_or_else(|| "skywatch".to_owned()),
            from_beginning: self.offset == Beginning::Oldest,
            session_timeout,
            routing,
            create_database: self.create_database,
            precision: self.precision.map_or(Precision::Nanosecond, |name| name.0),
            consistency: self.consistency.map_or(Consistency::One, |name| name.0),
            read_ahead_bytes: read_ahead as usize,
            dead_letters,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skywatch_cluster::Consistency;
    use skywatch_kafka::{Mechanism, Pattern};
    use skywatch_model::line::Precision;

    use crate::config::tests::{settings, settings_error};

    #[test]
    fn every_key_is_read_and_the_connection_is_that_of_kafka_unless_said_otherwise() {
        let ingests = settings(
            r#"[kafka]
            brokers = ["a:9092"]
            sasl-mechanism = "SCRAM-SHA-256"
            sasl-username = "u"
            sasl-password = "p"
            [[kafka-ingest]]
            topics = ["telegraf", "^metrics-.*"]
            database = "telegraf"
            [[kafka-ingest]]
            enabled = false
            [[kafka-ingest]]
            brokers = ["b:9092"]
            sasl-username = "other"
            topics = ["t"]
            consumer-group = "g"
            offset = "newest"
            session-timeout = "6s"
            retention-policy = "week"
            topic-pattern = "^metrics-(?<database>.+)$"
            database-tag = "db"
            retention-policy-tag = "rp"
            keep-routing-tags = true
            database-header = "h"
            retention-policy-header = "i"
            create-database = true
            precision = "ms"
            consistency = "quorum"
            data-format = "influx"
            dead-letter-topic = "d"
            read-ahead = "4m""#,
        )
        .ingests;
        assert_eq!(ingests.len(), 2);
        let (first, second) = (&ingests[0], &ingests[1]);
        assert_eq!((first.connection.brokers[0].as_str(), first.group.as_str()), ("a:9092", "skywatch"));
        assert_eq!((first.precision, first.consistency), (Precision::Nanosecond, Consistency::One));
        assert!(first.from_beginning && !first.create_database);
        assert_eq!(first.dead_letters.dead_letter, "skywatch-dead-letter");
        let sasl = second.connection.sasl.clone().expect("inherited");
        assert_eq!((sasl.mechanism, sasl.username.as_str()), (Mechanism::ScramSha256, "other"));
        assert_eq!(second.connection.brokers, ["b:9092"]);
        assert_eq!((second.session_timeout, second.read_ahead_bytes), (Duration::from_secs(6), 4 << 20));
        assert_eq!((second.precision, second.consistency), (Precision::Millisecond, Consistency::Quorum));
        assert_eq!(second.routing.topic_pattern, Some(Pattern::new("^metrics-(?<database>.+)$").unwrap()));
        assert_eq!((second.routing.policy.as_str(), second.routing.keep_tags), ("week", true));
        assert_eq!(second.dead_letters.dead_letter, "d");
    }

    #[test]
    fn mistakes_name_the_section_the_key_and_what_would_do() {
        for (text, parts) in [
            ("topics = [\"t\"]\ndatabase = \"d\"", &["number 1: brokers are missing"][..]),
            ("brokers = [\"a\"]\ndatabase = \"d\"", &["number 1: topics are missing"]),
            ("brokers = [\"a\"]\ntopics = [\"t\"]", &["database is missing", "topic-pattern, database-tag"]),
            ("precision = \"x\"", &["line 2", "\"x\" is no precision"]),
            ("consistency = \"most\"", &["line 2", "any, one, quorum or all"]),
            ("data-format = \"json\"", &["line 2", "json", "influx"]),
            ("topic-pattern = \"^a(.*)$\"", &["line 2", "no group named database"]),
            ("offset = \"now\"", &["line 2", "oldest"]),
            ("topic = \"t\"", &["line 2", "topic", "topics"]),
            (
                "brokers = [\"a\"]\ntopics = [\"t\"]\ndatabase = \"d\"\nsession-timeout = \"1ms\"",
                &["session-timeout is 1ms", "1s"],
            ),
        ] {
            let error = settings_error(&format!("[[kafka-ingest]]\n{text}"));
            for part in parts {
                assert!(error.contains(part), "{text}: {part:?} is not in {error}");
            }
        }
    }
}
