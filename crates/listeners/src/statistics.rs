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
    /// Points that cannot be stored.
    pub points_invalid: AtomicU64,
    /// OpenTSDB's.
    pub http_connections: AtomicU64,
    pub telnet_active: AtomicU64,
    pub telnet_handled: AtomicU64,
    pub bad_lines: AtomicU64,
    pub bad_times: AtomicU64,
    pub bad_tags: AtomicU64,
    pub bad_floats: AtomicU64,
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
            points_invalid: AtomicU64::new(0),
            http_connections: AtomicU64::new(0),
            telnet_active: AtomicU64::new(0),
            telnet_handled: AtomicU64::new(0),
            bad_lines: AtomicU64::new(0),
            bad_times: AtomicU64::new(0),
            bad_tags: AtomicU64::new(0),
            bad_floats: AtomicU64::new(0),
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
        let sent = [
            ("batchesTx", value(&self.batches_written)),
            ("pointsTx", value(&self.points_written)),
            ("batchesTxFail", value(&self.batches_failed)),
        ];
        let received = [
            ("pointsRx", value(&self.points_received)),
            ("bytesRx", value(&self.bytes_received)),
            ("pointsParseFail", value(&self.parse_failures)),
        ];
        let connections = [
            ("connsActive", value(&self.connections_active)),
            ("connsHandled", value(&self.connections_handled)),
        ];
        let invalid = ("droppedPointsInvalid", value(&self.points_invalid));
        let unread = ("readFail", value(&self.read_failures));
        let statistic = statistic.values(sent);
        statistics.push(match self.name {
            "graphite" => statistic
                .values(received)
                .values(connections)
                .values([("pointsNaNFail", value(&self.not_a_number))]),
            "opentsdb" => statistic.values(connections).values([
                invalid,
                ("httpConnsHandled", value(&self.http_connections)),
                ("tlBadFloat", value(&self.bad_floats)),
                ("tlBadLine", value(&self.bad_lines)),
                ("tlBadTag", value(&self.bad_tags)),
                ("tlBadTime", value(&self.bad_times)),
                ("tlBytesRx", value(&self.bytes_received)),
                ("tlConnsActive", value(&self.telnet_active)),
                ("tlConnsHandled", value(&self.telnet_handled)),
                ("tlPointsRx", value(&self.points_received)),
                ("tlReadErr", value(&self.read_failures)),
            ]),
            "collectd" => statistic.values(received).values([unread, invalid]),
            _ => statistic.values(received).values([unread]),
        });
    }
}
