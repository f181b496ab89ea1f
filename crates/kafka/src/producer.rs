//! Sends records, and says what became of each.
//!
//! ```text
//! send ─ buffer ─ breaker ─> librdkafka ─> brokers
//!   │               └─── inquiry ─────────────┤
//!   └──────── answer <── delivery <───────────┘
//! ```
//!
//! What the breaker turns away was not handed over: it is not appended. What was handed over before that is in doubt.
//!
//! The producer is idempotent: whatever librdkafka sends again by itself is appended once and in order. A record that was
//! waited for too long keeps its room in the buffer and is appended when the brokers are back. A producer that has broken (which librdkafka
//! calls fatal) is replaced; what it held has failed by then.

mod breaker;
mod buffer;
mod delivery;
mod failure;
mod inquiry;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ThreadedProducer};
use skywatch_kafka_connection::{ClientEvents, Connection};
use skywatch_replication::log::AppendError;
use tokio::sync::oneshot;

pub use breaker::BreakerState;
use breaker::Key;
use buffer::{Buffer, Room};
use delivery::{Delivered, Pending, ProducerEvents, Shared};
use failure::Failure;
pub(crate) use inquiry::Inquiry;

use crate::settings::ProducerSettings;
use crate::statistics::{ProduceStatistics, add, get};

/// A producer cannot be made: the settings or the files they name are wrong.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a Kafka producer: {0}")]
pub struct ProducerError(#[source] KafkaError);

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    /// Any one without it.
    pub(crate) partition: Option<u32>,
    pub(crate) key: Option<Bytes>,
    pub(crate) body: Bytes,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// See the module's header.
pub struct Producer {
    config: ClientConfig,
    settings: ProducerSettings,
    shared: Arc<Shared>,
    current: Mutex<Generation>,
    restarts: AtomicU64,
}

/// One client of librdkafka.
#[derive(Clone)]
struct Generation {
    number: u64,
    client: Arc<ThreadedProducer<ProducerEvents>>,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Producer {
    /// Makes one for a topic; whether the brokers can be reached is found out by sending.
    pub(crate) fn open(
        connection: &Connection,
        settings: &ProducerSettings,
        message_bytes_max: usize,
        inquiry: Inquiry,
    ) -> Result<Self, ProducerError> {
        let config = settings.client_config(connection, message_bytes_max);
        let (events, _) = ClientEvents::of(connection);
        let buffer = Buffer::of(settings.buffer_bytes);
        let shared = Arc::new(Shared::new(events, buffer, &connection.brokers, &inquiry.topic));
        let current = Mutex::new(Generation { number: 0, client: client(&config, &shared)? });
        tokio::spawn(inquiry::inquire(inquiry, Arc::downgrade(&shared)));
        Ok(Self { config, settings: settings.clone(), shared, current, restarts: AtomicU64::new(0) })
    }

    /// Sends records, and returns where each is once the brokers have acknowledged all of them. Those of a partition are
    /// appended in their order.
    pub(crate) async fn send(&self, records: Vec<Outgoing<'_>>) -> Result<Vec<Delivered>, AppendError> {
        let deadline = tokio::time::Instant::now() + self.settings.delivery_timeout;
        let keys: Vec<Key> = records.iter().map(|record| record.partition).collect();
        let rooms = self.admitted(&records, &keys, deadline).await.map_err(|reason| {
            add(&self.shared.counters.unavailable, records.len() as u64);
            self.unavailable(reason)
        })?;
        let generation = self.current.lock().clone();
        let mut answers = Vec::with_capacity(records.len());
        for (record, room) in records.into_iter().zip(rooms) {
            let (answer, answered) = oneshot::channel();
            let key = record.partition;
            let pending = Box::new(Pending { answer, room, since: Instant::now(), key });
            answers.push(answered);
            self.shared.handed_over(key);
            if let Err(error) = hand_over(&generation.client, &record, pending) {
                // What was handed over before it is on its way, and is waited for.
                self.shared.answered(key, false);
                let (answer, answered) = oneshot::channel();
                answer.send(Err(Failure::of(&error))).ok();
                answers.pop();
                answers.push(answered);
                break;
            }
        }
        let mut delivered = Vec::with_capacity(answers.len());
        let mut failed: Option<Failure> = None;
        for answer in self.answers(answers, &keys, deadline).await {
            match answer {
                Ok(position) => delivered.push(position),
                Err(failure) => {
                    failed = Some(failed.map_or(failure.clone(), |first| first.worse_of(failure)));
                }
            }
        }
        let Some(failure) = failed else { return Ok(delivered) };
        if matches!(failure, Failure::Broken(_)) {
            self.replace(generation.number);
        }
        Err(self.told(failure, !delivered.is_empty()))
    }

    /// Room for records once they may be handed over; in words, why there is none, or they may not.
    async fn admitted(
        &self,
        records: &[Outgoing<'_>],
        keys: &[Key],
        deadline: tokio::time::Instant,
    ) -> Result<Vec<Room>, String> {
        let buffer = &self.shared.buffer;
        let rooms = buffer
            .room(records.iter().map(|record| record.body.len()))
            .ok_or_else(|| format!("{} bytes wait for Kafka, and no more may", buffer.held()))?;
        match tokio::time::timeout_at(deadline, self.shared.admitted(keys)).await {
            Ok(admitted) => admitted.map(|()| rooms),
            Err(_) => Err("Kafka was away and came back again for as long as a write may wait".to_owned()),
        }
    }

    /// What became of records that were handed over, as far as it is worth waiting for.
    async fn answers(
        &self,
        answers: Vec<oneshot::Receiver<Result<Delivered, Failure>>>,
        keys: &[Key],
        deadline: tokio::time::Instant,
    ) -> Vec<Result<Delivered, Failure>> {
        let ended = || Err(Failure::Broken("the Kafka client ended".to_owned()));
        let mut stuck = std::pin::pin!(tokio::time::timeout_at(deadline, self.shared.stuck(keys)));
        // Why nobody waits any longer: it is known to be of no use, or has taken too long.
        let mut given_up: Option<Result<String, ()>> = None;
        let mut became = Vec::with_capacity(answers.len());
        for (mut answered, &key) in answers.into_iter().zip(keys) {
            if given_up.is_none() {
                tokio::select! {
                    biased;
                    answer = &mut answered => {
                        became.push(answer.unwrap_or_else(|_| ended()));
                        continue;
                    }
                    reason = &mut stuck => given_up = Some(reason.map_err(|_| ())),
                }
            }
            became.push(match (answered.try_recv(), &given_up) {
                (Ok(answer), _) => answer,
                (Err(_), Some(Ok(reason))) => Err(self.shared.given_up(reason)),
                (Err(_), _) => Err(self.shared.timed_out(key)),
            });
        }
        became
    }

    /// What it has done since it was made.
    pub fn statistics(&self) -> ProduceStatistics {
        let (counters, breaker) = (&self.shared.counters, self.shared.breaker());
        ProduceStatistics {
            records: get(&counters.records),
            bytes: get(&counters.bytes),
            unavailable: get(&counters.unavailable),
            in_doubt: get(&counters.in_doubt),
            refused: get(&counters.refused),
            buffered_bytes: self.shared.buffer.held() as u64,
            buffer_bytes: self.shared.buffer.max() as u64,
            restarts: get(&self.restarts),
            breaker: breaker.0,
            breaker_opened: breaker.1,
            latency: counters.latency.read(),
        }
    }

    fn unavailable(&self, reason: String) -> AppendError {
        AppendError::Unavailable { reason, retry_after: self.settings.retry_after }
    }

    fn told(&self, failure: Failure, others_delivered: bool) -> AppendError {
        let retry_after = self.settings.retry_after;
        match failure {
            Failure::Refused(reason) => AppendError::Refused(reason),
            Failure::NotSent(reason) if !others_delivered => AppendError::Unavailable { reason, retry_after },
            Failure::NotSent(reason)
            | Failure::TimedOut(reason)
            | Failure::Lost(reason)
            | Failure::Broken(reason) => AppendError::InDoubt { reason, retry_after },
        }
    }

    /// Makes a new client in the place of the one with this number, once.
    fn replace(&self, broken: u64) {
        let mut current = self.current.lock();
        if current.number != broken {
            return;
        }
        match client(&self.config, &self.shared) {
            Ok(client) => {
                tracing::warn!("Kafka: the producer broke and was begun anew");
                self.restarts.fetch_add(1, Ordering::Relaxed);
                let old = std::mem::replace(&mut *current, Generation { number: broken + 1, client });
                // Ending it joins a thread.
                std::thread::spawn(move || drop(old));
            }
            Err(error) => {
                tracing::error!(%error, "a broken producer cannot be begun anew; it is tried again");
            }
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let client = Arc::clone(&self.current.lock().client);
        // Ending it joins a thread, which must not be one of the runtime's.
        std::thread::spawn(move || drop(client));
    }
}

fn client(
    config: &ClientConfig,
    shared: &Arc<Shared>,
) -> Result<Arc<ThreadedProducer<ProducerEvents>>, ProducerError> {
    use rdkafka::config::FromClientConfigAndContext;
    let events = ProducerEvents::of(Arc::clone(shared));
    Ok(Arc::new(ThreadedProducer::from_config_and_context(config, events).map_err(ProducerError)?))
}

fn hand_over(
    client: &ThreadedProducer<ProducerEvents>,
    record: &Outgoing<'_>,
    pending: Box<Pending>,
) -> Result<(), KafkaError> {
    let mut message = BaseRecord::<[u8], [u8], Box<Pending>>::with_opaque_to(record.topic, pending);
    message.payload = Some(&record.body);
    message.key = record.key.as_deref();
    message.partition = record.partition.map(|partition| i32::try_from(partition).unwrap_or(i32::MAX));
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        message.headers = Some(record.headers.iter().fold(headers, |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_bytes()) })
        }));
    }
    client.send(message).map_err(|(error, _)| error)
}

/// How long a flush may take when a producer ends in order.
pub(crate) const FLUSH_MAX: Duration = Duration::from_secs(5);

impl Producer {
    /// Waits until nothing waits for the brokers, at most for a while. Blocks.
    pub(crate) fn flush(&self) {
        use rdkafka::producer::Producer as _;
        let client = Arc::clone(&self.current.lock().client);
        if let Err(error) = client.flush(FLUSH_MAX) {
            tracing::warn!(%error, "records are lost that waited for Kafka; none was acknowledged");
        }
    }
}
