//! The options of the `kafka` input.

use std::time::Duration;

use super::points::Detail;
use super::requests::Topic;
use crate::config::{ConfigError, Section};
use crate::filter::glob::Globs;
use crate::net::kafka::KafkaOptions;
use crate::net::stream::HostPort;

/// What `[[inputs.kafka]]` sets.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) client: KafkaOptions,
    pub(super) addresses: Vec<HostPort>,
    /// For each broker.
    pub(super) timeout: Duration,
    pub(super) log_dirs: bool,
    pub(super) detail: Detail,
    topics: Choice,
    groups: Choice,
    internal_topics: bool,
}

/// Which names are taken.
#[derive(Debug)]
struct Choice {
    include: Option<Globs>,
    exclude: Option<Globs>,
}

impl Choice {
    fn takes(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|globs| globs.matches(name))
            && !self.exclude.as_ref().is_some_and(|globs| globs.matches(name))
    }
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let client = KafkaOptions::from_section(section)?;
        let addresses = client
            .brokers
            .iter()
            .map(|broker| HostPort::parse(broker, Some(9092)).map_err(|why| section.bad("brokers", why)))
            .collect::<Result<_, _>>()?;
        let timeout =
            Duration::from_nanos(section.duration("timeout")?.unwrap_or(5_000_000_000).unsigned_abs());
        if timeout < Duration::from_millis(10) {
            return Err(section.bad("timeout", "must be 10ms at least"));
        }
        Ok(Self {
            client,
            addresses,
            timeout,
            log_dirs: section.boolean("log_dirs")?.unwrap_or(true),
            detail: Detail { partitions: section.boolean("partitions")?.unwrap_or(true) },
            topics: Choice {
                include: globs(section, "topic_include")?,
                exclude: globs(section, "topic_exclude")?,
            },
            groups: Choice {
                include: globs(section, "group_include")?,
                exclude: globs(section, "group_exclude")?,
            },
            internal_topics: section.boolean("internal_topics")?.unwrap_or(false),
        })
    }

    pub(super) fn takes_topic(&self, topic: &Topic) -> bool {
        (self.internal_topics || !topic.internal) && self.topics.takes(&topic.name)
    }

    pub(super) fn takes_group(&self, group: &str) -> bool {
        self.groups.takes(group)
    }
}

fn globs(section: &mut Section, key: &'static str) -> Result<Option<Globs>, ConfigError> {
    match section.strings(key)?.filter(|patterns| !patterns.is_empty()) {
        None => Ok(None),
        Some(patterns) => Globs::compile(&patterns, "").map(Some).map_err(|why| section.bad(key, why)),
    }
}
