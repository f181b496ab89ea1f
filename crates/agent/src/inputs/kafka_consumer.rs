//! `kafka_consumer`: metrics out of Kafka's topics, as a member of a consumer group.
//!
//! ```text
//!  broker -> client -> take: parse, note in the ledger -> outbox -> agent -> outputs
//!                            ledger <- delivered <---------------------------'
//!                              '-> store the offset -> the client commits it, once a second
//! ```
//!
//! An offset is stored only when no output holds anything of its message, or of one before it, any longer: a consumer
//! that is killed, or loses a partition to another, leaves nothing out, and repeats what was in flight. So many messages
//! may be in flight and no more; while they are, nothing is taken, and after a while the partitions are paused, so that
//! the client can still be asked for news of its group, and stays a member however long the outputs are down.

mod ledger;
mod message;
mod options;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::types::RDKafkaErrorCode;
use skywatch_kafka_connection::ClientEvents;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::agent::wall_clock_ns;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::GatherError;
use crate::metric::Metric;
use crate::parser::Parser;
use crate::parsers;
use crate::service::{Feed, Service, ServiceFuture};
use ledger::{Ledger, Position};
use message::{Message, metrics};
use options::Options;

/// How long nothing is taken before the partitions are paused. Longer than a flush takes, since what a client has
/// fetched of a paused partition is fetched again.
const FULL_BEFORE_PAUSE: Duration = Duration::from_secs(20);
/// How often the topics are compared with `topic_regexps`.
const TOPICS_EVERY: Duration = Duration::from_secs(30);
/// How soon again when there was no answer, and how long one may take.
const TOPICS_RETRY: Duration = Duration::from_secs(3);
/// How long the same trouble is not told of again.
const TROUBLE_AGAIN: Duration = Duration::from_secs(60);
/// How long leaving the group may take.
const LEAVE_MAX: Duration = Duration::from_secs(4);

type Client = Arc<StreamConsumer<ClientEvents>>;

/// The input.
struct KafkaConsumer {
    options: Options,
    parser: Box<dyn Parser>,
}

impl fmt::Debug for KafkaConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConsumer").field("options", &self.options).finish_non_exhaustive()
    }
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Service>, ConfigError> {
    let options = Options::from_section(section)?;
    Ok(Box::new(KafkaConsumer { options, parser: parsers::from_section(section, context, "influx")? }))
}

impl Service for KafkaConsumer {
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a> {
        Box::pin(self.consume(feed))
    }
}

impl KafkaConsumer {
    async fn consume(&mut self, feed: &mut Feed) -> Result<(), GatherError> {
        let brokers = self.options.client.brokers.join(", ");
        let failed =
            |error: KafkaError| GatherError::Service { service: brokers.clone(), reason: error.to_string() };
        let (events, mut troubles) = self.options.client.events();
        let client: Client =
            Arc::new(self.options.consumer_config().create_with_context(events).map_err(failed)?);
        let (topics_found, mut topics) = mpsc::channel(1);
        let watcher = if self.options.topic_regexps.is_empty() {
            subscribe(&client, &self.options.topics).map_err(failed)?;
            None
        } else {
            let patterns = self.options.topic_regexps.clone();
            Some(tokio::spawn(watch_topics(
                Arc::clone(&client),
                self.options.topics.clone(),
                patterns,
                topics_found,
            )))
        };
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let hand = tokio::spawn(hand_on(outgoing, feed.clone()));
        let (deliveries, mut delivered) = mpsc::unbounded_channel();
        let mut told = Told::default();
        let mut taker = Taker {
            options: &self.options,
            parser: &mut *self.parser,
            client: &client,
            ledger: Ledger::default(),
            outbox,
            deliveries,
            full_since: None,
            paused: false,
        };
        let result = loop {
            tokio::select! {
                biased;
                () = feed.stopped() => break Ok(()),
                Some(position) = delivered.recv() => taker.delivered(&position),
                Some(reason) = troubles.recv() => {
                    if told.is_new(&reason) {
                        taker.tell(&brokers, reason);
                    }
                }
                Some(topics) = topics.recv() => {
                    if let Err(error) = subscribe(&client, &topics) {
                        taker.tell(&brokers, error.to_string());
                    }
                }
                () = wait(taker.pause_at()) => taker.pause(),
                received = client.recv(), if taker.has_room() || taker.paused => match received {
                    Ok(message) => taker.take(&message),
                    Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => break Err(failed(error)),
                    Err(error) => {
                        if told.is_new(&error.to_string()) {
                            taker.tell(&brokers, error.to_string());
                        }
                    }
                },
            }
        };
        // From here on nothing counts as delivered: the agent may end with metrics that no output took.
        drop(taker);
        hand.abort();
        if let Some(watcher) = watcher {
            watcher.abort();
        }
        // The last one commits what was stored and leaves the group, which waits for a broker.
        tokio::time::timeout(LEAVE_MAX, tokio::task::spawn_blocking(move || drop(client))).await.ok();
        result
    }
}

/// What goes from the consumer to the agent. Its queue is bounded by the messages that may be in flight.
enum Outgoing {
    Metrics(Vec<Metric>, Position, mpsc::UnboundedSender<Position>),
    Trouble(GatherError),
}

/// Hands on what was taken, in order, however long the agent is busy.
async fn hand_on(mut outgoing: mpsc::UnboundedReceiver<Outgoing>, feed: Feed) {
    while let Some(next) = outgoing.recv().await {
        match next {
            Outgoing::Metrics(metrics, position, deliveries) => {
                // Nobody listens any more once the consumer has ended.
                feed.send_tracked(metrics, move || drop(deliveries.send(position))).await;
            }
            Outgoing::Trouble(error) => feed.report(error).await,
        }
    }
}

/// Takes messages, and keeps account of them.
struct Taker<'a> {
    options: &'a Options,
    parser: &'a mut dyn Parser,
    client: &'a Client,
    ledger: Ledger,
    outbox: mpsc::UnboundedSender<Outgoing>,
    deliveries: mpsc::UnboundedSender<Position>,
    full_since: Option<Instant>,
    paused: bool,
}

impl Taker<'_> {
    fn has_room(&self) -> bool {
        self.ledger.in_flight() < self.options.max_undelivered
    }

    fn pause_at(&self) -> Option<Instant> {
        self.full_since.filter(|_| !self.paused).map(|since| since + FULL_BEFORE_PAUSE)
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let position = self.ledger.take(message.topic(), message.partition(), message.offset());
        let headers: Vec<(&str, &[u8])> = message
            .headers()
            .map(|headers| {
                headers.iter().map(|header| (header.key, header.value.unwrap_or_default())).collect()
            })
            .unwrap_or_default();
        let taken = Message {
            topic: message.topic(),
            payload: message.payload().unwrap_or_default(),
            headers: &headers,
            time_ms: message.timestamp().to_millis(),
        };
        let (metrics, problem) =
            metrics(&taken, &self.options.shape, self.options.max_message_len, self.parser, wall_clock_ns());
        if let Some(reason) = problem {
            let place = format!(
                "topic {}, partition {}, offset {}",
                position.topic, position.partition, position.offset
            );
            self.tell(&place, reason);
        }
        if metrics.is_empty() {
            // It will never be readable, so it counts as consumed.
            self.delivered(&position);
        } else {
            // The other end lives as long as this.
            self.outbox.send(Outgoing::Metrics(metrics, position, self.deliveries.clone())).ok();
        }
        if !self.has_room() {
            self.full_since.get_or_insert_with(Instant::now);
            if self.paused {
                // A partition that came with a rebalance is not paused with the others.
                self.pause();
            }
        }
    }

    fn delivered(&mut self, position: &Position) {
        if let Some(last) = self.ledger.delivered(position)
            && let Err(error) = self.client.store_offset(&position.topic, position.partition, last)
        {
            // The partition is another's now, who reads it again from the last commit.
            tracing::debug!("kafka_consumer: {}/{}: {error}", position.topic, position.partition);
        }
        if self.has_room() {
            self.full_since = None;
            if self.paused {
                self.set_paused(false);
            }
        }
    }

    fn pause(&mut self) {
        self.set_paused(true);
        // While waiting is a good time to forget what was lost to others.
        if let Ok(assigned) = self.client.assignment() {
            self.ledger.retain(|topic, partition| assigned.find_partition(topic, partition).is_some());
        }
        if self.has_room() {
            self.full_since = None;
            self.set_paused(false);
        }
    }

    fn set_paused(&mut self, paused: bool) {
        let done = self.client.assignment().and_then(|assigned| match paused {
            true => self.client.pause(&assigned),
            false => self.client.resume(&assigned),
        });
        if let Err(error) = done {
            tracing::debug!("kafka_consumer: cannot pause or resume: {error}");
        }
        self.paused = paused;
    }

    fn tell(&self, service: &str, reason: String) {
        let error = GatherError::Service { service: service.to_owned(), reason };
        self.outbox.send(Outgoing::Trouble(error)).ok();
    }
}

/// Remembers the last trouble, so that a broker that is away is not told of at every try.
#[derive(Default)]
struct Told(Option<(String, Instant)>);

impl Told {
    fn is_new(&mut self, reason: &str) -> bool {
        let now = Instant::now();
        if self.0.as_ref().is_some_and(|(last, at)| last == reason && now - *at < TROUBLE_AGAIN) {
            return false;
        }
        self.0 = Some((reason.to_owned(), now));
        true
    }
}

fn subscribe(client: &Client, topics: &[String]) -> Result<(), KafkaError> {
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    client.subscribe(&topics)
}

/// Finds the topics that match, again and again, and sends them when they have changed.
async fn watch_topics(
    client: Client,
    fixed: Vec<String>,
    patterns: Vec<regex::Regex>,
    found: mpsc::Sender<Vec<String>>,
) {
    let mut known = Vec::new();
    loop {
        let asked = Arc::clone(&client);
        let listed = tokio::task::spawn_blocking(move || {
            let metadata = asked.fetch_metadata(None, TOPICS_RETRY)?;
            Ok::<_, KafkaError>(
                metadata.topics().iter().map(|topic| topic.name().to_owned()).collect::<Vec<_>>(),
            )
        });
        let Ok(Ok(names)) = listed.await else {
            // The reason is among the client's troubles.
            sleep(TOPICS_RETRY).await;
            continue;
        };
        // Kafka keeps its own accounts in topics of such names.
        let matching = names
            .into_iter()
            .filter(|name| !name.starts_with("__") && patterns.iter().any(|pattern| pattern.is_match(name)));
        let mut topics: Vec<String> = fixed.iter().cloned().chain(matching).collect();
        topics.sort_unstable();
        topics.dedup();
        if topics != known && !topics.is_empty() {
            known.clone_from(&topics);
            if found.send(topics).await.is_err() {
                return;
            }
        }
        sleep(TOPICS_EVERY).await;
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
