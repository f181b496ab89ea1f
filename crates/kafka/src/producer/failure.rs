//! What an error of librdkafka means for the one record it is about.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

/// Why a record was not, or may not have been, appended; in words for the client. Later ones are worse.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// It never left.
    NotSent(String),
    /// The brokers may have it.
    Lost(String),
    /// As before, and they took too long.
    TimedOut(String),
    /// As before, and the client is of no use any longer.
    Broken(String),
    /// It will never be taken.
    Refused(String),
}

impl Failure {
    pub(super) fn of(error: &KafkaError) -> Self {
        let code = error.rdkafka_error_code();
        let text = code.map_or_else(|| error.to_string(), |code| code.to_string());
        match code {
            Some(Code::QueueFull) => Self::NotSent("no more records may wait for Kafka".to_owned()),
            Some(Code::PurgeQueue) => {
                Self::NotSent("the Kafka client ended before the record was sent".to_owned())
            }
            Some(Code::Fatal) => Self::Broken(format!("the Kafka client broke: {text}")),
            Some(
                Code::MessageSizeTooLarge
                | Code::InvalidMessageSize
                | Code::InvalidTimestamp
                | Code::InvalidRecord
                | Code::InvalidTopic
                | Code::UnknownPartition
                | Code::UnknownTopic
                | Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::PolicyViolation
                | Code::UnsupportedForMessageFormat,
            ) => Self::Refused(format!("Kafka refuses the record: {text}")),
            _ => Self::Lost(format!("Kafka did not acknowledge the record: {text}")),
        }
    }

    /// What is told of two records that failed.
    pub(super) fn worse_of(self, other: Self) -> Self {
        if self >= other { self } else { other }
    }
}
