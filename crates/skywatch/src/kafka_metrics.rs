//! What `/metrics` tells of Kafka.

use std::sync::Arc;

use skywatch_http::{Metrics, MetricsSource};
use skywatch_kafka::{BreakerState, Ingest, IngestStatistics, KafkaLog, Latency, ProduceStatistics};

/// The log that writes go through.
pub(crate) struct LogMetrics(pub(crate) Arc<KafkaLog>);

impl MetricsSource for LogMetrics {
    fn collect(&self, metrics: &mut Metrics) {
        let statistics = self.0.statistics();
        produced(&statistics.produced, metrics);
        let read = statistics.read;
        for (name, help, value) in [
            ("skywatch_kafka_read_records_total", "Records read from the log.", read.records),
            ("skywatch_kafka_read_bytes_total", "Bytes of records read from the log.", read.bytes),
            ("skywatch_kafka_read_errors_total", "Errors of reading that ended by themselves.", read.errors),
            ("skywatch_kafka_set_aside_total", "Records that could not be applied.", statistics.set_aside),
        ] {
            metrics.counter(name, help, &[], value);
        }
    }
}

fn produced(produced: &ProduceStatistics, metrics: &mut Metrics) {
    for (name, help, value) in [
        ("skywatch_kafka_produced_records_total", "Records acknowledged by Kafka.", produced.records),
        ("skywatch_kafka_produced_bytes_total", "Bytes of records acknowledged.", produced.bytes),
        ("skywatch_kafka_producer_restarts_total", "Producers that broke.", produced.restarts),
        (
            "skywatch_kafka_breaker_opened_total",
            "Times that Kafka was out of reach.",
            produced.breaker_opened,
        ),
    ] {
        metrics.counter(name, help, &[], value);
    }
    for (outcome, count) in [
        ("unavailable", produced.unavailable),
        ("in doubt", produced.in_doubt),
        ("refused", produced.refused),
    ] {
        let help = "Records without an acknowledgement.";
        metrics.counter("skywatch_kafka_produce_errors_total", help, &[("outcome", outcome)], count);
    }
    let is_open = u64::from(produced.breaker == BreakerState::Open);
    for (name, help, value) in [
        ("skywatch_kafka_buffered_bytes", "Bytes that wait for Kafka.", produced.buffered_bytes),
        ("skywatch_kafka_buffer_limit_bytes", "Bytes that may wait for Kafka.", produced.buffer_bytes),
        ("skywatch_kafka_breaker_open", "1 while writes are turned away at once.", is_open),
    ] {
        metrics.gauge(name, help, &[], value as f64);
    }
    let (buckets, sum) = seconds(&produced.latency);
    let help = "From handing a record over to its acknowledgement.";
    metrics.distribution("skywatch_kafka_delivery_seconds", help, &[], &buckets, sum);
}

fn seconds(latency: &Latency) -> (Vec<(f64, u64)>, f64) {
    let bound = |bound: Option<std::time::Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
    let buckets = latency.classes.iter().map(|&(upper, count)| (bound(upper), count));
    (buckets.collect(), latency.sum.as_secs_f64())
}

/// Line protocol out of Kafka's topics.
pub(crate) struct IngestMetrics(pub(crate) Arc<[Ingest]>);

impl MetricsSource for IngestMetrics {
    fn collect(&self, metrics: &mut Metrics) {
        for ingest in &*self.0 {
            ingested(ingest.group(), &ingest.statistics(), metrics);
        }
    }
}

fn ingested(group: &str, ingested: &IngestStatistics, metrics: &mut Metrics) {
    let group = ("group", group);
    for (name, help, value) in [
        ("skywatch_kafka_ingest_records_total", "Records of line protocol read.", ingested.records),
        ("skywatch_kafka_ingest_bytes_total", "Bytes of line protocol read.", ingested.bytes),
        ("skywatch_kafka_ingest_points_total", "Points of them that were stored.", ingested.points),
        ("skywatch_kafka_ingest_batches_total", "Writes in which they were.", ingested.batches),
        ("skywatch_kafka_ingest_bad_lines_total", "Lines that could not be parsed.", ingested.bad_lines),
        (
            "skywatch_kafka_ingest_set_aside_total",
            "Records that went to the dead-letter topic.",
            ingested.set_aside,
        ),
        ("skywatch_kafka_ingest_lost_total", "Records that the dead-letter topic refused.", ingested.lost),
        ("skywatch_kafka_ingest_retries_total", "Writes that had to be tried again.", ingested.retries),
        (
            "skywatch_kafka_ingest_rebalances_total",
            "Times that partitions were given or taken.",
            ingested.rebalances,
        ),
        (
            "skywatch_kafka_ingest_errors_total",
            "Errors of reading that ended by themselves.",
            ingested.errors,
        ),
    ] {
        metrics.counter(name, help, &[group], value);
    }
    for partition in &ingested.partitions {
        let number = partition.partition.to_string();
        let labels = [group, ("topic", partition.topic.as_str()), ("partition", number.as_str())];
        let help = "Records of a partition that this node reads and has not stored yet.";
        metrics.gauge("skywatch_kafka_ingest_lag", help, &labels, partition.lag as f64);
    }
}
