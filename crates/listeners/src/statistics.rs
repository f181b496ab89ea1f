//! What a listener counts, under InfluxDB's names.

use std::sync::atomic::{AtomicU64, Ordering};

use skywatch_monitor::{Selection, Statistic, StatisticsSource};

/// Counters of one listener.
#[derive(Debug)]
pub(crate) struct Counters {
    name: &'static str,
    tags: Vec<(&'static str, String)>,
    pub points_received: AtomicU64,
    pub bytes_received: AtomicU64,
    pub parse_failures: AtomicU64,
    /// Graphite's NaN, which is left out in silence.
    pub not_a_number: AtomicU64,
    pub read_failures: AtomicU64,
    pub batches_written: AtomicU64,
    pub points_written: AtomicU64,
    pub batches_failed: AtomicU64,
    pub connections_active: AtomicU64,
    pub connections_handled: AtomicU64,
}

impl Counters {
    pub(crate) fn new(name: &'static str, tags: Vec<(&'static str, String)>) -> Self {
        Self {
            name,
            tags,
            points_received: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            parse_failures: AtomicU64::new(0),
            not_a_number: AtomicU64::new(0),
            read_failures: AtomicU64::new(0),
            batches_written: AtomicU64::new(0),
            points_written: AtomicU64::new(0),
            batches_failed: AtomicU64::new(0),
            connections_active: AtomicU64::new(0),
            connections_handled: AtomicU64::new(0),
        }
    }
}

/// One more, or some.
pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl StatisticsSource for Counters {
    fn collect(&self, _selection: Selection<'_>, statistics: &mut Vec<Statistic>) {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut statistic = Statistic::new(self.name);
        for (key, tag) in &self.tags {
            statistic = statistic.tag(key, tag.clone());
        }
        let statistic = statistic.values([
            ("pointsRx", value(&self.points_received)),
            ("bytesRx", value(&self.bytes_received)),
            ("pointsParseFail", value(&self.parse_failures)),
            ("batchesTx", value(&self.batches_written)),
            ("pointsTx", value(&self.points_written)),
            ("batchesTxFail", value(&self.batches_failed)),
        ]);
        statistics.push(match self.name {
            "graphite" => statistic.values([
                ("pointsNaNFail", value(&self.not_a_number)),
                ("connsActive", value(&self.connections_active)),
                ("connsHandled", value(&self.connections_handled)),
            ]),
            _ => statistic.values([("readFail", value(&self.read_failures))]),
        });
    }
}
