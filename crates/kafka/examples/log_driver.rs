//! Drives a log of Kafka for tests and for measuring; not installed.
//!
//! ```text
//! log_driver BROKERS TOPIC load OUT SECONDS WORKERS BYTES   appends without pause until standard input ends; what was
//!                                                           acknowledged goes to OUT
//! log_driver BROKERS TOPIC read OUT                         all records, to OUT
//! log_driver BROKERS TOPIC read-speed                       reads all records and throws them away
//! log_driver BROKERS TOPIC follow SECONDS                   reads from the end on; ends and trouble as they come
//! log_driver BROKERS TOPIC set-aside REASON                 the first record of partition 0
//! ```
//!
//! Lines of OUT are `id partition offset`; ids of one worker ascend. What there is to say goes to standard output as JSON.
//! Environment: `CA`, `SASL_USER`, `SASL_PASSWORD`, `SASL_MECHANISM`, `PARTITIONS`, `REPLICATION`, `BUFFER_BYTES`,
//! `DELIVERY_TIMEOUT_MS`, `COMPRESSION`, `LINGER_MS`, `MESSAGE_BYTES`, `RETENTION_MS`.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use skywatch_kafka::{Compression, Connection, KafkaLog, KafkaSettings, Mechanism, Sasl, Tls};
use skywatch_replication::log::{AppendError, NewRecord, Position, WriteLog};

type Done<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Bytes asked for at once.
const POLL_BYTES: usize = 4 << 20;

fn variable<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

fn settings(brokers: &str, topic: &str) -> KafkaSettings {
    let brokers = brokers.split(',').map(str::to_owned).collect();
    let mut connection = Connection::plain(brokers, "log_driver");
    connection.tls = variable("CA").map(|ca| Tls { ca: Some(ca), ..Tls::default() });
    connection.sasl = variable::<String>("SASL_USER").map(|username| Sasl {
        mechanism: variable("SASL_MECHANISM")
            .and_then(|name: String| Mechanism::from_name(&name))
            .unwrap_or(Mechanism::Plain),
        username,
        secret: variable("SASL_PASSWORD").unwrap_or_default(),
    });
    let mut settings = KafkaSettings::new(connection);
    settings.topic.name = topic.to_owned();
    settings.topic.dead_letter = format!("{topic}-dead-letter");
    settings.topic.replication = variable("REPLICATION");
    let (topic, producer) = (&mut settings.topic, &mut settings.producer);
    topic.partitions = variable("PARTITIONS").unwrap_or(topic.partitions);
    topic.message_bytes_max = variable("MESSAGE_BYTES").unwrap_or(topic.message_bytes_max);
    topic.retention = variable("RETENTION_MS").map_or(topic.retention, Duration::from_millis);
    producer.buffer_bytes = variable("BUFFER_BYTES").unwrap_or(producer.buffer_bytes);
    producer.delivery_timeout =
        variable("DELIVERY_TIMEOUT_MS").map_or(producer.delivery_timeout, Duration::from_millis);
    producer.linger = variable("LINGER_MS").map_or(producer.linger, Duration::from_millis);
    let compression = variable("COMPRESSION").and_then(|name: String| Compression::from_name(&name));
    producer.compression = compression.unwrap_or(producer.compression);
    settings
}

fn say(text: &str) -> Done<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

#[derive(Debug, Default)]
struct Load {
    acknowledged: u64,
    unavailable: u64,
    in_doubt: u64,
    refused: u64,
    slowest_unavailable: Duration,
    slowest_in_doubt: Duration,
    /// The first and the last append that failed, in milliseconds since the epoch.
    failed_ms: Option<(u128, u128)>,
    last_reason: String,
    lines: Vec<(u64, Position)>,
}

impl Load {
    fn failed(&mut self, first_ms: u128, last_ms: u128) {
        let (first, last) = self.failed_ms.unwrap_or((first_ms, last_ms));
        self.failed_ms = Some((first.min(first_ms), last.max(last_ms)));
    }
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

/// Set when standard input says something or ends.
static ENDS: AtomicBool = AtomicBool::new(false);

async fn worker(log: Arc<KafkaLog>, number: u64, until: Instant, bytes: usize) -> Load {
    let (mut load, mut id) = (Load::default(), number << 40);
    let partition = (number % u64::from(log.partitions())) as u32;
    while Instant::now() < until && !ENDS.load(Ordering::Relaxed) {
        let mut body = format!("{id} ").into_bytes();
        // Not all the same, or compression would make it nothing.
        let filling =
            (body.len()..bytes).map(|at| b'a' + ((id as usize ^ at.wrapping_mul(31) ^ (at >> 3)) % 23) as u8);
        body.extend(filling.collect::<Vec<_>>());
        let asked = Instant::now();
        match log.append(vec![NewRecord { partition, body: Bytes::from(body) }]).await {
            Ok(positions) => {
                load.acknowledged += 1;
                load.lines.extend(positions.into_iter().map(|position| (id, position)));
            }
            Err(error) => {
                load.last_reason = error.to_string();
                load.failed(now_ms(), now_ms());
                match error {
                    AppendError::Unavailable { .. } => {
                        load.unavailable += 1;
                        load.slowest_unavailable = load.slowest_unavailable.max(asked.elapsed());
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    AppendError::InDoubt { .. } => {
                        load.in_doubt += 1;
                        load.slowest_in_doubt = load.slowest_in_doubt.max(asked.elapsed());
                    }
                    _ => load.refused += 1,
                }
            }
        }
        id += 1;
    }
    load
}

async fn load(log: Arc<KafkaLog>, out: &str, seconds: f64, workers: u64, bytes: usize) -> Done<()> {
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(seconds);
    std::thread::spawn(|| {
        std::io::stdin().read_line(&mut String::new()).ok();
        ENDS.store(true, Ordering::Relaxed);
    });
    let working: Vec<_> =
        (0..workers).map(|number| tokio::spawn(worker(Arc::clone(&log), number, until, bytes))).collect();
    let (mut all, mut file) = (Load::default(), BufWriter::new(File::create(out)?));
    for worker in working {
        let load = worker.await?;
        all.acknowledged += load.acknowledged;
        all.unavailable += load.unavailable;
        all.in_doubt += load.in_doubt;
        all.refused += load.refused;
        all.slowest_unavailable = all.slowest_unavailable.max(load.slowest_unavailable);
        all.slowest_in_doubt = all.slowest_in_doubt.max(load.slowest_in_doubt);
        if let Some((first, last)) = load.failed_ms {
            all.failed(first, last);
        }
        if !load.last_reason.is_empty() {
            all.last_reason = load.last_reason;
        }
        for (id, position) in load.lines {
            writeln!(file, "{id} {} {}", position.partition, position.offset)?;
        }
    }
    file.flush()?;
    let took = begun.elapsed().as_secs_f64();
    let statistics = log.statistics().produced;
    say(&format!(
        "{{\"acknowledged\": {}, \"unavailable\": {}, \"in_doubt\": {}, \"refused\": {}, \"slowest_unavailable_ms\": {:.1}, \
         \"slowest_in_doubt_ms\": {:.1}, \"first_failed_ms\": {}, \"last_failed_ms\": {}, \
         \"mb_per_s\": {:.1}, \"records_per_s\": {:.0}, \"mean_latency_ms\": {:.2}, \"breaker_opened\": {}, \"reason\": {:?}}}",
        all.acknowledged,
        all.unavailable,
        all.in_doubt,
        all.refused,
        all.slowest_unavailable.as_secs_f64() * 1000.0,
        all.slowest_in_doubt.as_secs_f64() * 1000.0,
        all.failed_ms.map_or(0, |(first, _)| first),
        all.failed_ms.map_or(0, |(_, last)| last),
        statistics.bytes as f64 / took / 1e6,
        statistics.records as f64 / took,
        statistics.latency.sum.as_secs_f64() * 1000.0 / statistics.records.max(1) as f64,
        statistics.breaker_opened,
        all.last_reason
    ))
}

/// Reads everything up to the ends of now, and calls `each` with every record.
fn read_all(
    log: &dyn WriteLog,
    ends: Vec<Position>,
    mut each: impl FnMut(Position, &[u8]) -> Done<()>,
) -> Done<()> {
    let mut missing: BTreeMap<u32, u64> =
        ends.into_iter().filter(|end| end.offset > 0).map(|end| (end.partition, end.offset)).collect();
    let mut reader = log.reader()?;
    let starts: Vec<_> = missing.keys().map(|&partition| Position { partition, offset: 0 }).collect();
    reader.assign(&starts)?;
    while !missing.is_empty() {
        let read = match reader.poll(Duration::from_secs(1), POLL_BYTES) {
            Ok(read) => read,
            Err(error) => {
                say(&format!("{{\"trouble\": {:?}}}", error.to_string()))?;
                continue;
            }
        };
        if let Some((_, problem)) = read.problems.into_iter().next() {
            return Err(problem.into());
        }
        for record in read.records {
            each(record.position, &record.body)?;
            if missing.get(&record.position.partition).is_some_and(|end| record.position.offset + 1 >= *end) {
                missing.remove(&record.position.partition);
            }
        }
    }
    Ok(())
}

async fn read(log: Arc<KafkaLog>, out: Option<String>) -> Done<()> {
    let ends = log.ends().await?;
    tokio::task::spawn_blocking(move || {
        let mut file = out.map(File::create).transpose()?.map(BufWriter::new);
        let begun = Instant::now();
        read_all(&*log, ends, |position, body| {
            if let Some(file) = &mut file {
                let id = body.split(|&byte| byte == b' ').next().unwrap_or_default();
                writeln!(file, "{} {} {}", String::from_utf8_lossy(id), position.partition, position.offset)?;
            }
            Ok(())
        })?;
        if let Some(mut file) = file {
            file.flush()?;
        }
        let (took, read) = (begun.elapsed().as_secs_f64(), log.statistics().read);
        say(&format!(
            "{{\"records\": {}, \"mb\": {:.1}, \"mb_per_s\": {:.1}, \"seconds\": {took:.2}}}",
            read.records,
            read.bytes as f64 / 1e6,
            read.bytes as f64 / took / 1e6
        ))
    })
    .await?
}

async fn follow(log: Arc<KafkaLog>, seconds: f64) -> Done<()> {
    let ends = log.ends().await?;
    tokio::task::spawn_blocking(move || {
        let mut reader = log.reader()?;
        reader.assign(&ends)?;
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < until {
            match reader.poll(Duration::from_millis(700), POLL_BYTES) {
                Ok(read) => say(&format!(
                    "{{\"records\": {}, \"ends\": {:?}, \"problems\": {:?}}}",
                    read.records.len(),
                    read.ends.iter().map(|end| [u64::from(end.partition), end.offset]).collect::<Vec<_>>(),
                    read.problems.iter().map(|(_, problem)| problem.to_string()).collect::<Vec<_>>()
                ))?,
                Err(error) => say(&format!("{{\"trouble\": {:?}}}", error.to_string()))?,
            }
        }
        Ok(())
    })
    .await?
}

async fn set_aside(log: Arc<KafkaLog>, reason: &str) -> Done<()> {
    let reading = Arc::clone(&log);
    let record = tokio::task::spawn_blocking(move || -> Done<_> {
        let mut reader = reading.reader()?;
        reader.assign(&[Position { partition: 0, offset: 0 }])?;
        loop {
            let read = reader.poll(Duration::from_secs(10), 1)?;
            if let Some(record) = read.records.into_iter().next() {
                return Ok(record);
            }
        }
    })
    .await??;
    Ok(log.set_aside(&record, reason).await?)
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Done<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [brokers, topic, rest @ ..] = words.as_slice() else {
        return Err("see the head of the source".into());
    };
    let log = KafkaLog::open(settings(brokers, topic)).await?;
    match rest {
        ["load", out, seconds, workers, bytes] => {
            load(log, out, seconds.parse()?, workers.parse()?, bytes.parse()?).await
        }
        ["read", out] => read(log, Some((*out).to_owned())).await,
        ["read-speed"] => read(log, None).await,
        ["follow", seconds] => follow(log, seconds.parse()?).await,
        ["set-aside", reason] => set_aside(log, reason).await,
        ["open"] => say(&format!(
            "{{\"partitions\": {}, \"body_bytes_max\": {}}}",
            log.partitions(),
            log.body_bytes_max()
        )),
        _ => Err("see the head of the source".into()),
    }
}
