//! `kafka`: a message for each metric.
//!
//! A write sends its records in [`rounds`], waits for the brokers' word on each of them, and says what became of each
//! metric: only those that were not acknowledged are written again, only one that is too large is refused, and a
//! refused one costs no other. At the deadline of a write all that has no answer is taken back at once, so that nothing
//! of it is sent behind the agent's back after something newer.

mod options;
mod record;
mod rounds;
mod template;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;
use skywatch_kafka_connection::ClientEvents;
use tokio::time::Instant;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::output::{Batch, Fates, Output, OutputFuture, WriteOutcome};
use crate::serializer::Serializer;
use crate::serializers;
use options::Options;
use record::{Record, record};
use rounds::{RoundSize, Rounds};

/// How long a write may take.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// How long a first answer of the cluster may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The output.
struct Kafka {
    options: Options,
    serializer: Box<dyn Serializer>,
    round_size: RoundSize,
    /// Made with the first write, since files of certificates may come later.
    client: Option<Client>,
}

/// A client of librdkafka and what it says.
#[derive(Clone)]
struct Client {
    producer: FutureProducer<ClientEvents>,
    events: ClientEvents,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Acknowledged,
    TooLarge(String),
    Refused(String),
    /// To be sent again, and whether by another client, since this one is broken.
    Kept {
        reason: String,
        broken: bool,
    },
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("brokers", &self.options.client.brokers).finish_non_exhaustive()
    }
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Output>, ConfigError> {
    let options = Options::from_section(section)?;
    let serializer = serializers::from_section(section, context)?;
    let round_size = RoundSize::new(options.max_message_bytes);
    Ok(Box::new(Kafka { options, serializer, round_size, client: None }))
}

impl Output for Kafka {
    fn connect(&mut self) -> OutputFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let client = self.client()?;
            let asked = client.clone();
            let answer = tokio::task::spawn_blocking(move || {
                asked.producer.client().fetch_metadata(None, CONNECT_MAX).map(drop)
            });
            match answer.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(client.events.take_last().unwrap_or_else(|| error.to_string())),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn write(&mut self, batch: Batch) -> OutputFuture<'_, WriteOutcome> {
        Box::pin(async move { self.write_batch(&batch).await })
    }
}

impl Kafka {
    fn client(&mut self) -> Result<Client, String> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let (events, _) = self.options.client.events();
        let producer = self
            .options
            .producer_config()
            .create_with_context(events.clone())
            .map_err(|error| format!("cannot make a Kafka client: {error}"))?;
        Ok(self.client.insert(Client { producer, events }).clone())
    }

    async fn write_batch(&mut self, batch: &[Arc<Metric>]) -> WriteOutcome {
        let client = match self.client() {
            Ok(client) => client,
            Err(reason) => return WriteOutcome::Retry { reason, after: None },
        };
        client.events.take_last();
        let mut fates = Fates::default();
        let mut records = Vec::with_capacity(batch.len());
        for (index, metric) in batch.iter().enumerate() {
            match record(&self.options, &*self.serializer, index, metric) {
                Ok(record) => records.push(record),
                Err(why) => fates.rejected.push((index, why)),
            }
        }
        let sizes: Vec<usize> = records.iter().map(Record::bytes).collect();
        let mut rounds = Rounds::new(&sizes, &mut self.round_size);
        let deadline = Instant::now() + WRITE_MAX;
        let mut broken = false;
        while let Some(round) = rounds.next() {
            let sent: Vec<&Record> = round.iter().map(|&at| &records[at]).collect();
            let mut too_large = Vec::new();
            let mut refusal = String::new();
            for (&at, fate) in round.iter().zip(client.send(&sent, deadline).await) {
                match fate {
                    Fate::Acknowledged => {}
                    Fate::TooLarge(reason) => {
                        too_large.push(at);
                        refusal = reason;
                    }
                    Fate::Refused(reason) => fates.rejected.push((records[at].index, reason)),
                    Fate::Kept { reason, broken: by_client } => {
                        broken |= by_client;
                        fates.kept.push(records[at].index);
                        fates.reason = reason;
                    }
                }
            }
            if let Some(alone) = rounds.sent(&round, &too_large) {
                fates.rejected.push((records[alone].index, refusal));
            }
            if !fates.kept.is_empty() {
                fates.kept.extend(rounds.rest().map(|at| records[at].index));
                break;
            }
        }
        if broken {
            // The next write makes another; nothing of this one is outstanding.
            self.client = None;
        }
        fates.kept.sort_unstable();
        fates.rejected.sort_unstable();
        if let Some(trouble) = client.events.take_last().filter(|_| !fates.kept.is_empty()) {
            fates.reason = format!("{}: {trouble}", fates.reason);
        }
        match (fates.kept.is_empty(), fates.rejected.is_empty()) {
            (true, true) => WriteOutcome::Stored,
            _ => WriteOutcome::Each(fates),
        }
    }
}

impl Client {
    /// Sends records and waits for what becomes of each, at most until the deadline.
    async fn send(&self, records: &[&Record], deadline: Instant) -> Vec<Fate> {
        let answers = records.iter().map(|record| {
            let mut message = FutureRecord::<String, Vec<u8>>::to(&record.topic).payload(&record.payload);
            message.key = record.key.as_ref();
            message.timestamp = record.time_ms;
            if !record.headers.is_empty() {
                message.headers = Some(headers(&record.headers));
            }
            self.producer.send_result(message).map_err(|(error, _)| fate(&error))
        });
        // All are in the client's queue before the first is waited for.
        let answers: Vec<_> = answers.collect();
        let answers = join_all(answers.into_iter().map(|answer| async move {
            match answer {
                Err(fate) => fate,
                Ok(delivery) => match delivery.await {
                    Ok(Ok(_)) => Fate::Acknowledged,
                    Ok(Err((error, _))) => fate(&error),
                    Err(_) => Fate::Kept { reason: "the Kafka client ended".to_owned(), broken: true },
                },
            }
        }));
        tokio::pin!(answers);
        match tokio::time::timeout_at(deadline, &mut answers).await {
            Ok(fates) => fates,
            Err(_) => {
                let producer = self.producer.clone();
                let purged = tokio::task::spawn_blocking(move || {
                    producer.purge(PurgeConfig::default().queue().inflight());
                });
                purged.await.ok();
                answers.await
            }
        }
    }
}

fn headers(pairs: &[(String, String)]) -> OwnedHeaders {
    pairs.iter().fold(OwnedHeaders::new_with_capacity(pairs.len()), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value.as_bytes()) })
    })
}

/// What an error says about the one record it is about.
fn fate(error: &KafkaError) -> Fate {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code();
    match code {
        Some(Code::MessageSizeTooLarge) => Fate::TooLarge(error_text(code, error)),
        Some(Code::InvalidTimestamp | Code::InvalidRecord | Code::InvalidTopic) => {
            Fate::Refused(error_text(code, error))
        }
        Some(Code::PurgeQueue | Code::PurgeInflight) => Fate::Kept {
            reason: format!("no acknowledgement within {} s", WRITE_MAX.as_secs()),
            broken: false,
        },
        _ => Fate::Kept { reason: error_text(code, error), broken: code == Some(Code::Fatal) },
    }
}

fn error_text(code: Option<RDKafkaErrorCode>, error: &KafkaError) -> String {
    code.map_or_else(|| error.to_string(), |code| code.to_string())
}

#[cfg(test)]
mod tests;
