//! What is known of records that were handed over, and of whether more are taken: told by librdkafka, heard by who waits.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use parking_lot::Mutex;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use skywatch_kafka_connection::ClientEvents;
use tokio::sync::{Notify, oneshot, watch};

use super::breaker::{Breaker, BreakerState, Cause, Key, Told, Verdict};
use super::buffer::{Buffer, Room};
use super::failure::Failure;
use crate::statistics::{LatencyCounters, add};
use crate::trouble::Trouble;

/// Where a record was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

/// A record without an answer yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) answer: oneshot::Sender<Result<Delivered, Failure>>,
    /// Given back with the answer.
    pub(super) room: Room,
    pub(super) since: Instant,
    pub(super) key: Key,
}

/// What the clients of one producer share, one after the other.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) events: ClientEvents,
    pub(super) buffer: Arc<Buffer>,
    pub(super) counters: Counters,
    breaker: Mutex<Breaker>,
    /// Counts what may change what becomes of records.
    changes: watch::Sender<u64>,
    /// Somebody has to look what the matter is.
    pub(super) something_happened: Notify,
    trouble: Trouble,
    brokers: String,
    topic: String,
    /// Kept until the next one, since librdkafka does not repeat itself.
    last_reason: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) unavailable: AtomicU64,
    pub(super) in_doubt: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) latency: LatencyCounters,
}

impl Shared {
    pub(super) fn new(events: ClientEvents, buffer: Arc<Buffer>, brokers: &[String], topic: &str) -> Self {
        let brokers = brokers.join(", ");
        Self {
            events,
            buffer,
            counters: Counters::default(),
            breaker: Mutex::default(),
            changes: watch::Sender::new(0),
            something_happened: Notify::new(),
            trouble: Trouble::with(format!("Kafka at {brokers} takes no records")),
            brokers,
            topic: topic.to_owned(),
            last_reason: Mutex::new(None),
        }
    }

    /// Waits until it is known whether records for these partitions are taken; in words, why they are not.
    pub(super) async fn admitted(&self, keys: &[Key]) -> Result<(), String> {
        let mut changes = self.changes.subscribe();
        loop {
            match self.verdict(keys) {
                Verdict::Admit => return Ok(()),
                Verdict::TurnAway(key, cause) => return Err(self.words(key, cause)),
                Verdict::Hold => changes.changed().await.map_err(|error| error.to_string())?,
            }
        }
    }

    /// Waits until it is evident that records for these partitions, which were handed over, will not be acknowledged soon; in
    /// words, why.
    pub(super) async fn stuck(&self, keys: &[Key]) -> String {
        let mut changes = self.changes.subscribe();
        loop {
            match self.verdict(keys) {
                Verdict::TurnAway(key, cause) if cause.is_evident() => return self.words(key, cause),
                Verdict::TurnAway(..) | Verdict::Admit | Verdict::Hold => {
                    if changes.changed().await.is_err() {
                        return "the Kafka client ended".to_owned();
                    }
                }
            }
        }
    }

    fn verdict(&self, keys: &[Key]) -> Verdict {
        self.breaker.lock().verdict(Instant::now(), keys)
    }

    /// Evidence of an outage that has lasted turns records away.
    pub(super) fn ripen(&self) {
        let mut breaker = self.breaker.lock();
        let opens = breaker.ripen(Instant::now());
        let cause = breaker.cause();
        drop(breaker);
        let Some((key, cause)) = cause else { return };
        if opens {
            self.trouble.begins(&self.words(key, cause));
        }
        // Whoever is held back, or waits for a partition that has joined the others, looks for himself.
        self.changed();
    }

    pub(super) fn wonders(&self, now: Instant) -> bool {
        self.breaker.lock().wonders(now)
    }

    /// What the brokers said, if any answered.
    pub(super) fn told(&self, now: Instant, told: Option<Told>) {
        let mut breaker = self.breaker.lock();
        match told {
            Some(told) => breaker.told(now, &told),
            None => breaker.brokers_away(now),
        }
        let is_well = breaker.state() == BreakerState::Closed;
        drop(breaker);
        if is_well {
            self.well();
        }
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn well(&self) {
        if self.trouble.ends() {
            self.last_reason.lock().take();
        }
    }

    pub(super) fn handed_over(&self, key: Key) {
        self.breaker.lock().handed_over(Instant::now(), key);
    }

    /// A record waits no longer.
    pub(super) fn answered(&self, key: Key, is_acknowledged: bool) {
        let mut breaker = self.breaker.lock();
        let changed = breaker.answered(Instant::now(), key, is_acknowledged);
        let is_well = changed && breaker.state() == BreakerState::Closed;
        drop(breaker);
        if is_well {
            self.well();
        }
        if changed {
            self.changed();
        }
    }

    pub(super) fn breaker(&self) -> (BreakerState, u64) {
        let breaker = self.breaker.lock();
        (breaker.state(), breaker.opened())
    }

    /// What is wrong, as far as librdkafka has said.
    pub(super) fn last_reason(&self) -> Option<String> {
        let mut kept = self.last_reason.lock();
        if let Some(newer) = self.events.take_last() {
            *kept = Some(newer);
        }
        kept.clone()
    }

    fn out_of_reach(&self) -> String {
        let reason = self.last_reason().map_or_else(String::new, |reason| format!(": {reason}"));
        format!("Kafka at {} is out of reach{reason}", self.brokers)
    }

    fn words(&self, key: Key, cause: Cause) -> String {
        let partition = key.map_or_else(String::new, |number| format!("partition {number} of "));
        let topic = &self.topic;
        match cause {
            Cause::OutOfReach => self.out_of_reach(),
            Cause::NoLeader => format!("{partition}topic {topic} has no leader"),
            Cause::FewInSync { found, wanted } => format!(
                "{partition}topic {topic} has {found} replicas in step, and min.insync.replicas wants {wanted}"
            ),
            Cause::Unacknowledged => {
                let reason = self.last_reason().map_or_else(String::new, |reason| format!(": {reason}"));
                format!("{partition}topic {topic} does not acknowledge records{reason}")
            }
        }
    }

    fn delivered(&self, bytes: usize, since: Instant) {
        add(&self.counters.records, 1);
        add(&self.counters.bytes, bytes as u64);
        self.counters.latency.took(since.elapsed());
    }

    fn failed(&self, failure: &Failure) {
        match failure {
            Failure::Refused(_) => add(&self.counters.refused, 1),
            Failure::NotSent(_) => add(&self.counters.unavailable, 1),
            Failure::Lost(_) | Failure::Broken(_) | Failure::TimedOut(_) => add(&self.counters.in_doubt, 1),
        }
    }

    /// A record for this partition was waited for too long.
    pub(super) fn timed_out(&self, key: Key) -> Failure {
        add(&self.counters.in_doubt, 1);
        self.breaker.lock().timed_out(key);
        self.trouble.begins(&self.words(key, Cause::Unacknowledged));
        self.changed();
        let reason = self.last_reason().map_or_else(String::new, |reason| format!(": {reason}"));
        Failure::TimedOut(format!("Kafka did not acknowledge the record in time{reason}"))
    }

    /// A record is not waited for any longer, for this reason.
    pub(super) fn given_up(&self, reason: &str) -> Failure {
        add(&self.counters.in_doubt, 1);
        Failure::TimedOut(format!("the record was on its way when Kafka went away: {reason}"))
    }
}

/// Listens to one client of librdkafka.
pub(super) struct ProducerEvents {
    shared: Arc<Shared>,
}

impl ProducerEvents {
    pub(super) const fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl ClientContext for ProducerEvents {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.shared.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.shared.breaker.lock().brokers_away(Instant::now());
            self.shared.something_happened.notify_one();
        }
        self.shared.events.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.shared.events.generate_oauth_token(config)
    }
}

impl ProducerContext for ProducerEvents {
    type DeliveryOpaque = Box<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Box<Pending>) {
        let answer = match result {
            Ok(message) => {
                self.shared.delivered(message.payload().map_or(0, <[u8]>::len), pending.since);
                match (u32::try_from(message.partition()), u64::try_from(message.offset())) {
                    (Ok(partition), Ok(offset)) => Ok(Delivered { partition, offset }),
                    // The brokers had it already, of a try before, and no longer know where.
                    _ => Err(Failure::Lost("the record is stored, and Kafka does not say where".to_owned())),
                }
            }
            Err((error, _)) => {
                let failure = Failure::of(error);
                self.shared.failed(&failure);
                Err(failure)
            }
        };
        self.shared.answered(pending.key, result.is_ok());
        drop(pending.room);
        // Whoever asked may have given up.
        pending.answer.send(answer).ok();
    }
}
