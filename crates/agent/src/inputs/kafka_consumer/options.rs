//! The options of the `kafka_consumer` input.

use rdkafka::config::ClientConfig;
use regex::Regex;

use crate::config::{ConfigError, Section};
use crate::go_regex;
use crate::net::kafka::KafkaOptions;

/// What `[[inputs.kafka_consumer]]` sets.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) client: KafkaOptions,
    pub(super) topics: Vec<String>,
    pub(super) topic_regexps: Vec<Regex>,
    pub(super) group: String,
    pub(super) shape: Shape,
    /// Bytes of a message; 0 takes any.
    pub(super) max_message_len: usize,
    pub(super) max_undelivered: usize,
    from_oldest: bool,
    strategy: &'static str,
    fetch_bytes: Option<u64>,
    fetch_bytes_min: Option<u64>,
    fetch_bytes_max: Option<u64>,
}

/// What a message adds to its metrics.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) topic_tag: Option<String>,
    pub(super) header_tags: Vec<String>,
    pub(super) name_header: Option<String>,
    /// Whether a metric has the message's time instead of its own.
    pub(super) message_time: bool,
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let text =
            |section: &mut Section, key| Ok::<_, ConfigError>(section.string(key)?.filter(|t| !t.is_empty()));
        let client = KafkaOptions::for_librdkafka(section)?;
        let topics = section.strings("topics")?.unwrap_or_default();
        if let Some(topic) = topics.iter().find(|topic| topic.is_empty() || topic.starts_with('^')) {
            return Err(section.bad("topics", format!("{topic:?} is no name of a topic; see topic_regexps")));
        }
        let topic_regexps = section
            .strings("topic_regexps")?
            .unwrap_or_default()
            .iter()
            .map(|pattern| go_regex::compile(pattern).map_err(|why| section.bad("topic_regexps", why)))
            .collect::<Result<Vec<_>, _>>()?;
        if topics.is_empty() && topic_regexps.is_empty() {
            return Err(section.bad("topics", "name at least one topic, or a pattern in topic_regexps"));
        }
        let message_time = match section.string("timestamp_source")?.as_deref() {
            None | Some("" | "metric") => false,
            Some("inner") => true,
            Some("outer") => {
                let reason = "the client does not show the times of batches; \"inner\" is a message's own";
                return Err(section.bad("timestamp_source", reason));
            }
            Some(other) => {
                return Err(
                    section.bad("timestamp_source", format!("{other:?} is none of metric, inner, outer"))
                );
            }
        };
        let from_oldest = match section.string("offset")?.as_deref() {
            None | Some("" | "oldest") => true,
            Some("newest") => false,
            Some(other) => {
                return Err(section.bad("offset", format!("{other:?} is neither \"oldest\" nor \"newest\"")));
            }
        };
        let strategy = match section.string("balance_strategy")?.as_deref() {
            None | Some("" | "range") => "range",
            Some("roundrobin") => "roundrobin",
            Some("cooperative-sticky") => "cooperative-sticky",
            Some("sticky") => {
                let reason = "the client has range, roundrobin and cooperative-sticky; all members of a group must agree";
                return Err(section.bad("balance_strategy", format!("\"sticky\" is not supported: {reason}")));
            }
            Some(other) => {
                let reason = format!("{other:?} is none of range, roundrobin, cooperative-sticky");
                return Err(section.bad("balance_strategy", reason));
            }
        };
        match section.string("connection_strategy")?.as_deref() {
            None | Some("" | "startup" | "defer") => {}
            Some(other) => {
                let reason = format!("{other:?} is neither \"startup\" nor \"defer\"");
                return Err(section.bad("connection_strategy", reason));
            }
        }
        let max_undelivered = section.count("max_undelivered_messages")?.unwrap_or(1000);
        if max_undelivered == 0 {
            return Err(section.bad("max_undelivered_messages", "must be 1 at least"));
        }
        section.without_effect(
            "max_processing_time",
            "a message that outputs take long over keeps its partition's others waiting, and nothing else",
        );
        Ok(Self {
            client,
            topics,
            topic_regexps,
            group: text(section, "consumer_group")?
                .unwrap_or_else(|| "telegraf_metrics_consumers".to_owned()),
            shape: Shape {
                topic_tag: text(section, "topic_tag")?,
                header_tags: section.strings("msg_headers_as_tags")?.unwrap_or_default(),
                name_header: text(section, "msg_header_as_metric_name")?,
                message_time,
            },
            max_message_len: section.count("max_message_len")?.unwrap_or(0),
            max_undelivered,
            from_oldest,
            strategy,
            fetch_bytes: section.size("consumer_fetch_default")?.filter(|&bytes| bytes > 0),
            fetch_bytes_min: section.size("consumer_fetch_min")?.filter(|&bytes| bytes > 0),
            fetch_bytes_max: section.size("consumer_fetch_max")?.filter(|&bytes| bytes > 0),
        })
    }

    /// What librdkafka is told. Offsets are committed by it, and are those that were stored after a delivery.
    pub(super) fn consumer_config(&self) -> ClientConfig {
        let mut config = self.client.client_config();
        config
            .set("group.id", &self.group)
            .set("auto.offset.reset", if self.from_oldest { "earliest" } else { "latest" })
            .set("partition.assignment.strategy", self.strategy)
            .set("enable.auto.offset.store", "false")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "1000")
            .set("session.timeout.ms", "10000")
            // A topic that is made later is seen this soon.
            .set("topic.metadata.refresh.interval.ms", "10000")
            // What is fetched ahead is bounded; the default would be as many megabytes for each partition.
            .set("queued.min.messages", "1000")
            .set("queued.max.messages.kbytes", "16384");
        for (key, value) in [
            ("max.partition.fetch.bytes", self.fetch_bytes),
            ("fetch.min.bytes", self.fetch_bytes_min),
            ("fetch.max.bytes", self.fetch_bytes_max),
        ] {
            if let Some(value) = value {
                config.set(key, value.to_string());
            }
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;

    fn options(text: &str) -> Result<Options, String> {
        let text = format!("brokers = ['b:9092']\n{text}");
        Options::from_section(&mut section_for_tests(&text)).map_err(|error| error.to_string())
    }

    #[test]
    fn options_reach_the_client() {
        let config = options(
            "topics = ['a']\nconsumer_group = 'g'\noffset = 'newest'\nbalance_strategy = 'roundrobin'\n\
             consumer_fetch_default = '2MB'\nmax_processing_time = '100ms'\nconnection_strategy = 'defer'",
        )
        .expect("valid")
        .consumer_config();
        for (key, value) in [
            ("group.id", "g"),
            ("auto.offset.reset", "latest"),
            ("partition.assignment.strategy", "roundrobin"),
            ("max.partition.fetch.bytes", "2000000"),
            ("enable.auto.offset.store", "false"),
        ] {
            assert_eq!(config.get(key), Some(value), "{key}");
        }
        config.create_native_config().expect("the client knows every one of them");
        let default = options("topics = ['a']").expect("valid").consumer_config();
        assert_eq!(default.get("group.id"), Some("telegraf_metrics_consumers"));
        assert_eq!(default.get("auto.offset.reset"), Some("earliest"));
    }

    #[test]
    fn bad_options_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "name at least one topic"),
            ("topics = ['^a']", "see topic_regexps"),
            ("topic_regexps = ['(']", "missing closing )"),
            ("topics = ['a']\ntimestamp_source = 'outer'", "\"inner\" is a message's own"),
            ("topics = ['a']\noffset = 'first'", "neither \"oldest\" nor \"newest\""),
            ("topics = ['a']\nbalance_strategy = 'sticky'", "\"sticky\" is not supported"),
            ("topics = ['a']\nconnection_strategy = 'now'", "neither \"startup\" nor \"defer\""),
            ("topics = ['a']\nmax_undelivered_messages = 0", "must be 1 at least"),
        ] {
            let error = options(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
