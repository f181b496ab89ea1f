//! Topics: made when they are missing, judged when they are there.

mod judge;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use skywatch_kafka_connection::ClientEvents;

pub(crate) use judge::{FoundTopic, Judgement, judge};

use crate::settings::{BATCH_OVERHEAD_BYTES, TopicSettings};

/// How long the brokers may take for one answer.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long what was set aside is kept at least.
const SET_ASIDE_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often a topic that has just been made is asked for, and how often at most.
const APPEARS_EVERY: Duration = Duration::from_millis(100);
const APPEARS_TRIES: u32 = 50;

/// Why a topic cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TopicError {
    /// It may be when the brokers can be reached.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody has to do something.
    #[error("{0}")]
    Wrong(String),
}

pub(crate) type Admin = Arc<AdminClient<ClientEvents>>;

impl TopicSettings {
    /// What a topic with so many replicas is made with.
    pub(crate) fn config(&self, replication: u32) -> Vec<(&'static str, String)> {
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("min.insync.replicas", self.in_sync_min_of(replication).to_string()),
            ("retention.ms", self.retention.as_millis().to_string()),
            (
                "retention.bytes",
                self.retention_bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string()),
            ),
            ("max.message.bytes", self.message_bytes_max.to_string()),
            ("unclean.leader.election.enable", "false".to_owned()),
        ]
    }

    /// The topic for what is set aside from this one: room for its largest records and their headers.
    pub(crate) fn for_set_aside(&self) -> Self {
        Self {
            name: self.dead_letter.clone(),
            partitions: 1,
            retention: self.retention.max(SET_ASIDE_RETENTION),
            message_bytes_max: self.message_bytes_max + 4 * BATCH_OVERHEAD_BYTES,
            ..self.clone()
        }
    }
}

/// Makes a topic unless it is there, lets it grow, and says how it is.
pub(crate) async fn ensure(
    admin: &Admin,
    wanted: &TopicSettings,
    bootstrap: &str,
) -> Result<(FoundTopic, Judgement), TopicError> {
    let (mut found, brokers) = match find(admin, &wanted.name).await? {
        (Some(found), brokers) => (found, brokers),
        (None, brokers) => {
            create(admin, wanted, brokers).await?;
            (appeared(admin, wanted).await?, brokers)
        }
    };
    found.config = configuration(admin, &wanted.name).await?;
    let judgement = judge(wanted, &found, brokers, bootstrap);
    if !judgement.errors.is_empty() {
        return Err(TopicError::Wrong(judgement.errors.join("; ")));
    }
    if let Some(partitions) = judgement.grow_to {
        grow(admin, &wanted.name, partitions).await?;
        tracing::info!(topic = wanted.name, from = found.partitions, to = partitions, "the topic has grown");
        found.partitions = partitions;
    }
    Ok((found, judgement))
}

/// The topic, without its configuration, and how many brokers there are.
async fn find(admin: &Admin, topic: &str) -> Result<(Option<FoundTopic>, u32), TopicError> {
    // All topics: asking for one by name would make it, where brokers make topics by themselves.
    let asked = Arc::clone(admin);
    let metadata = tokio::task::spawn_blocking(move || asked.inner().fetch_metadata(None, ANSWER_MAX))
        .await
        .map_err(|error| TopicError::Unreachable(error.to_string()))?
        .map_err(|error| unreachable(admin, &error))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    let found = found.filter(|found| !found.partitions().is_empty()).map(|found| FoundTopic {
        partitions: found.partitions().len() as u32,
        replication: found.partitions().iter().map(|part| part.replicas().len() as u32).min().unwrap_or(0),
        ..FoundTopic::default()
    });
    Ok((found, metadata.brokers().len() as u32))
}

async fn create(admin: &Admin, wanted: &TopicSettings, brokers: u32) -> Result<(), TopicError> {
    let replication = wanted.replication_of(brokers);
    let config = wanted.config(replication);
    let topic = NewTopic::new(
        &wanted.name,
        i32::try_from(wanted.partitions).unwrap_or(i32::MAX),
        TopicReplication::Fixed(i32::try_from(replication).unwrap_or(i32::MAX)),
    );
    let topic = config.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    let results =
        admin.create_topics([&topic], &options()).await.map_err(|error| unreachable(admin, &error))?;
    for result in results {
        match result {
            Ok(_) => {
                tracing::info!(
                    topic = wanted.name,
                    partitions = wanted.partitions,
                    replication,
                    "topic made"
                );
            }
            // Another node was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => {
                let hint = match code {
                    RDKafkaErrorCode::InvalidReplicationFactor => format!(
                        ": there are {brokers} brokers, and [kafka] replication-factor asks for {replication}"
                    ),
                    RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed => {
                        ": let this user create it, or make it beforehand".to_owned()
                    }
                    _ => String::new(),
                };
                return Err(refusal(code, format!("topic {} cannot be made: {code}{hint}", wanted.name)));
            }
        }
    }
    Ok(())
}

/// A topic that was just made is not known to every broker at once.
async fn appeared(admin: &Admin, wanted: &TopicSettings) -> Result<FoundTopic, TopicError> {
    for _ in 0..APPEARS_TRIES {
        if let (Some(found), _) = find(admin, &wanted.name).await? {
            return Ok(found);
        }
        tokio::time::sleep(APPEARS_EVERY).await;
    }
    Err(TopicError::Unreachable(format!("topic {} was made and cannot be seen yet", wanted.name)))
}

/// What a topic is set to, defaults included.
pub(crate) async fn configuration(
    admin: &Admin,
    topic: &str,
) -> Result<BTreeMap<String, String>, TopicError> {
    let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options()).await;
    let described = described.map_err(|error| unreachable(admin, &error))?;
    let mut config = BTreeMap::new();
    for resource in described {
        let resource = resource.map_err(|code| {
            refusal(code, format!("the configuration of topic {topic} cannot be read: {code}"))
        })?;
        let entries = resource.entries.into_iter();
        config.extend(entries.filter_map(|entry| Some((entry.name, entry.value?))));
    }
    Ok(config)
}

/// How many replicas have to be in step, of what [`configuration`] found.
pub(crate) fn in_sync_min(config: &BTreeMap<String, String>) -> u32 {
    config.get("min.insync.replicas").and_then(|value| value.parse().ok()).unwrap_or(0)
}

async fn grow(admin: &Admin, topic: &str, partitions: u32) -> Result<(), TopicError> {
    let new = NewPartitions::new(topic, partitions as usize);
    let results =
        admin.create_partitions([&new], &options()).await.map_err(|error| unreachable(admin, &error))?;
    for result in results {
        match result {
            // `InvalidPartitions`: another node was faster.
            Ok(_) | Err((_, RDKafkaErrorCode::InvalidPartitions)) => {}
            Err((_, code)) => {
                let text = format!("topic {topic} cannot grow to {partitions} partitions: {code}");
                return Err(refusal(code, text));
            }
        }
    }
    Ok(())
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_MAX)).operation_timeout(Some(ANSWER_MAX))
}

fn unreachable(admin: &Admin, error: &KafkaError) -> TopicError {
    let code = error.rdkafka_error_code();
    let text = admin
        .inner()
        .context()
        .take_last()
        .unwrap_or_else(|| code.map_or_else(|| error.to_string(), |code| code.to_string()));
    TopicError::Unreachable(text)
}

fn refusal(code: RDKafkaErrorCode, text: String) -> TopicError {
    match code {
        RDKafkaErrorCode::RequestTimedOut
        | RDKafkaErrorCode::OperationTimedOut
        | RDKafkaErrorCode::BrokerTransportFailure
        | RDKafkaErrorCode::NotController
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::LeaderNotAvailable
        | RDKafkaErrorCode::NetworkException => TopicError::Unreachable(text),
        _ => TopicError::Wrong(text),
    }
}
