//! What a metric becomes in Kafka: its topic, key, headers and time, as the options have it.

use std::sync::Arc;

use crate::metric::Metric;
use crate::serializer::Serializer;

use super::options::{Options, Routing, Suffix};
use super::template::Template;

/// What a record costs besides its key, payload and headers.
const RECORD_BYTES: usize = 36;
/// What a header costs besides its name and value.
const HEADER_BYTES: usize = 10;
/// Kafka's longest name of a topic.
const TOPIC_BYTES_MAX: usize = 249;

/// A record to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Which metric of the batch it is.
    pub(super) index: usize,
    pub(super) topic: String,
    pub(super) key: Option<String>,
    pub(super) payload: Vec<u8>,
    pub(super) headers: Vec<(String, String)>,
    /// Milliseconds since the Unix epoch; without it, the time it is sent.
    pub(super) time_ms: Option<i64>,
}

impl Record {
    /// Its size, as it counts for `max_message_bytes`.
    pub(super) fn bytes(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_BYTES).sum();
        RECORD_BYTES + self.key.as_ref().map_or(0, String::len) + self.payload.len() + headers
    }
}

/// The record of a metric, or why there can be none.
pub(super) fn record(
    options: &Options,
    serializer: &dyn Serializer,
    index: usize,
    metric: &Arc<Metric>,
) -> Result<Record, String> {
    let named = options.topic_tag.as_deref().and_then(|tag| metric.tag_value(tag));
    let topic = suffixed(named.unwrap_or(&options.topic), &options.suffix, metric);
    check_topic(&topic)?;
    let key = match &options.routing {
        Routing::None => None,
        Routing::Random => Some(random_key()),
        Routing::Fixed(key) => Some(key.clone()),
    };
    let routed = options.routing_tag.as_deref().and_then(|tag| metric.tag_value(tag));
    let headers =
        options.headers.iter().map(|(name, template)| (name.clone(), template.render(metric))).collect();
    let mut payload = Vec::with_capacity(128);
    match options.topic_tag.as_deref().filter(|_| options.exclude_topic_tag && named.is_some()) {
        Some(tag) => {
            let mut shown = metric.as_ref().clone();
            shown.remove_tag(tag);
            serializer.metric(&shown, &mut payload)
        }
        None => serializer.metric(metric, &mut payload),
    }
    .map_err(|why| why.to_string())?;
    let time_ms = (options.metric_time && metric.time_ns >= 0).then_some(metric.time_ns / 1_000_000);
    let record = Record { index, topic, key: routed.map(str::to_owned).or(key), payload, headers, time_ms };
    if record.bytes() > options.max_message_bytes {
        return Err(format!(
            "a message of {} bytes is larger than max_message_bytes, {}",
            record.bytes(),
            options.max_message_bytes
        ));
    }
    Ok(record)
}

fn suffixed(topic: &str, suffix: &Suffix, metric: &Metric) -> String {
    match suffix {
        Suffix::None => topic.to_owned(),
        Suffix::Measurement { separator } => format!("{topic}{separator}{}", metric.name),
        Suffix::Tags { keys, separator } => {
            let values =
                keys.iter().filter_map(|key| metric.tag_value(key)).filter(|value| !value.is_empty());
            std::iter::once(topic).chain(values).collect::<Vec<_>>().join(separator)
        }
    }
}

/// What Kafka would refuse, told here for one metric alone.
fn check_topic(topic: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty() {
        Err("no topic: the metric lacks the tag of topic_tag, and there is no topic".to_owned())
    } else if topic.len() > TOPIC_BYTES_MAX || topic == "." || topic == ".." || !topic.chars().all(legal) {
        Err(format!(
            "{topic:?} is no name of a topic: up to {TOPIC_BYTES_MAX} of a-z, A-Z, 0-9, '.', '_' and '-'"
        ))
    } else {
        Ok(())
    }
}

/// A random UUID (version 4), as the original's `routing_key = "random"`.
fn random_key() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let (a, rest) = hex.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// A header's name and the template of its value.
pub(super) type HeaderTemplate = (String, Template);
