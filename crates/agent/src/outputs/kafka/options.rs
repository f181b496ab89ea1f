//! The options of the `kafka` output.

use rdkafka::config::ClientConfig;

use super::record::HeaderTemplate;
use super::template::Template;
use crate::config::{ConfigError, Section};
use crate::net::kafka::KafkaOptions;

/// How long records gather before a batch is sent; a round is in the client's queue long before.
const LINGER_MS: &str = "10";
/// What a batch has besides its records, and a margin.
const BATCH_BYTES: usize = 1024;
/// librdkafka's own bounds of a message.
const MESSAGE_BYTES: std::ops::RangeInclusive<usize> = 100..=999_000_000;

/// What `[[outputs.kafka]]` sets.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) client: KafkaOptions,
    /// Empty where a tag must name it.
    pub(super) topic: String,
    pub(super) topic_tag: Option<String>,
    pub(super) exclude_topic_tag: bool,
    pub(super) suffix: Suffix,
    pub(super) routing_tag: Option<String>,
    pub(super) routing: Routing,
    pub(super) headers: Vec<HeaderTemplate>,
    /// Whether a record has the metric's time, or that of its sending.
    pub(super) metric_time: bool,
    pub(super) max_message_bytes: usize,
    compression: &'static str,
    idempotent: bool,
    acks: &'static str,
    retries: usize,
}

/// What is appended to the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Suffix {
    None,
    Measurement { separator: String },
    Tags { keys: Vec<String>, separator: String },
}

/// The key of a record whose metric lacks the routing tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Routing {
    None,
    Random,
    Fixed(String),
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let text =
            |section: &mut Section, key| Ok::<_, ConfigError>(section.string(key)?.filter(|t| !t.is_empty()));
        let client = KafkaOptions::for_librdkafka(section)?;
        let topic = text(section, "topic")?.unwrap_or_default();
        let topic_tag = text(section, "topic_tag")?;
        if topic.is_empty() && topic_tag.is_none() {
            return Err(section.bad("topic", "name a topic, or a tag by topic_tag that does"));
        }
        let routing = match text(section, "routing_key")?.as_deref() {
            None => Routing::None,
            Some("random") => Routing::Random,
            Some(key) => Routing::Fixed(key.to_owned()),
        };
        let compression = match section.integer("compression_codec")?.unwrap_or(0) {
            0 => "none",
            1 => "gzip",
            2 => "snappy",
            3 => "lz4",
            4 => "zstd",
            other => {
                let reason = format!("{other} is none of 0 (none), 1 (gzip), 2 (snappy), 3 (lz4), 4 (zstd)");
                return Err(section.bad("compression_codec", reason));
            }
        };
        let acks = match section.integer("required_acks")?.unwrap_or(-1) {
            0 => "0",
            1 => "1",
            -1 => "all",
            other => {
                let reason =
                    format!("{other} is none of 0 (none), 1 (the leader), -1 (all in-sync replicas)");
                return Err(section.bad("required_acks", reason));
            }
        };
        let retries = section.count("max_retry")?.unwrap_or(3);
        let idempotent = section.boolean("idempotent_writes")?.unwrap_or(false);
        if idempotent && acks != "all" {
            return Err(section.bad("idempotent_writes", "needs required_acks = -1"));
        }
        if idempotent && retries == 0 {
            return Err(section.bad("idempotent_writes", "needs a max_retry of 1 at least"));
        }
        let max_message_bytes = section.size("max_message_bytes")?.map_or(1_000_000, |bytes| bytes as usize);
        if !MESSAGE_BYTES.contains(&max_message_bytes) {
            let reason = format!(
                "{max_message_bytes} is not within {} and {}",
                MESSAGE_BYTES.start(),
                MESSAGE_BYTES.end()
            );
            return Err(section.bad("max_message_bytes", reason));
        }
        let metric_time = match section.string("producer_timestamp")?.as_deref() {
            None | Some("" | "metric") => true,
            Some("now") => false,
            Some(other) => {
                let reason = format!("{other:?} is neither \"metric\" nor \"now\"");
                return Err(section.bad("producer_timestamp", reason));
            }
        };
        let mut headers = Vec::new();
        for (name, value) in section.string_table("headers")?.unwrap_or_default() {
            let template =
                Template::parse(&value).map_err(|why| section.bad("headers", format!("{name}: {why}")))?;
            headers.push((name, template));
        }
        Ok(Self {
            client,
            topic,
            topic_tag,
            exclude_topic_tag: section.boolean("exclude_topic_tag")?.unwrap_or(false),
            suffix: suffix(section)?,
            routing_tag: text(section, "routing_tag")?,
            routing,
            headers,
            metric_time,
            max_message_bytes,
            compression,
            idempotent,
            acks,
            retries,
        })
    }

    /// What librdkafka is told.
    pub(super) fn producer_config(&self) -> ClientConfig {
        let mut config = self.client.client_config();
        let batch = (self.max_message_bytes + BATCH_BYTES).to_string();
        config
            .set("linger.ms", LINGER_MS)
            .set("message.max.bytes", &batch)
            .set("batch.size", &batch)
            .set("batch.num.messages", "1000000")
            .set("queue.buffering.max.messages", "0")
            .set("compression.codec", self.compression)
            .set("enable.idempotence", self.idempotent.to_string())
            .set("acks", self.acks)
            .set("message.send.max.retries", self.retries.to_string())
            .set("request.timeout.ms", "8000")
            // A write has its own deadline, at which all that is left is taken back at once.
            .set("message.timeout.ms", "0")
            // With more, a batch that is sent again may come behind one that was sent after it.
            .set("max.in.flight.requests.per.connection", if self.idempotent { "5" } else { "1" })
            // The original's: the same key goes to the same partition whichever of the two agents sends.
            .set("partitioner", "fnv1a_random");
        config
    }
}

fn suffix(section: &mut Section) -> Result<Suffix, ConfigError> {
    let read = section.sections("topic_suffix", |table| {
        let method = table.string("method")?.unwrap_or_default();
        let keys = table.strings("keys")?.unwrap_or_default();
        let separator = table.string("separator")?.unwrap_or_default();
        match method.as_str() {
            "" => Ok(Suffix::None),
            "measurement" => Ok(Suffix::Measurement { separator }),
            "tags" => Ok(Suffix::Tags { keys, separator }),
            other => Err(table.bad("method", format!("{other:?} is neither \"measurement\" nor \"tags\""))),
        }
    })?;
    Ok(read.into_iter().next_back().unwrap_or(Suffix::None))
}
