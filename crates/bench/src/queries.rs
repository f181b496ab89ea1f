//! The suite's query types for the cpu-only case, as InfluxQL.
//!
//! A query of a type asks about a random window and random hosts; the same number gives the same query. Where
//! the data spans less time than a window should, the window is all of it.

use crate::{
    dataset::{FIELDS, Shape},
    random::Random,
};

const HOUR_NS: i64 = 3_600_000_000_000;
const MILLISECOND_NS: i64 = 1_000_000;

/// A type of query. The numbers in the suite's names are metrics, hosts and hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryType {
    /// `max` of some metrics by minute, for some hosts together.
    SingleGroupby { metrics: usize, hosts: usize, hours: i64 },
    /// `max` of every metric by hour over 8 hours, for some hosts together.
    CpuMaxAll { hosts: usize },
    /// `mean` of some metrics by hour and host over 12 hours.
    DoubleGroupby { metrics: usize },
    /// The latest row of every host.
    Lastpoint,
    /// Rows with a busy processor in 12 hours, of one host or of all.
    HighCpu { all_hosts: bool },
    /// The last five minutes before a time, `max` by minute over all hosts.
    GroupbyOrderbyLimit,
}

impl QueryType {
    /// All of them, in the suite's order.
    pub(crate) const ALL: [Self; 15] = [
        Self::SingleGroupby { metrics: 1, hosts: 1, hours: 1 },
        Self::SingleGroupby { metrics: 1, hosts: 1, hours: 12 },
        Self::SingleGroupby { metrics: 1, hosts: 8, hours: 1 },
        Self::SingleGroupby { metrics: 5, hosts: 1, hours: 1 },
        Self::SingleGroupby { metrics: 5, hosts: 1, hours: 12 },
        Self::SingleGroupby { metrics: 5, hosts: 8, hours: 1 },
        Self::CpuMaxAll { hosts: 1 },
        Self::CpuMaxAll { hosts: 8 },
        Self::DoubleGroupby { metrics: 1 },
        Self::DoubleGroupby { metrics: 5 },
        Self::DoubleGroupby { metrics: FIELDS.len() },
        Self::Lastpoint,
        Self::HighCpu { all_hosts: false },
        Self::HighCpu { all_hosts: true },
        Self::GroupbyOrderbyLimit,
    ];

    /// The suite's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SingleGroupby { metrics: 1, hosts: 1, hours: 1 } => "single-groupby-1-1-1",
            Self::SingleGroupby { metrics: 1, hosts: 1, .. } => "single-groupby-1-1-12",
            Self::SingleGroupby { metrics: 1, .. } => "single-groupby-1-8-1",
            Self::SingleGroupby { hosts: 1, hours: 1, .. } => "single-groupby-5-1-1",
            Self::SingleGroupby { hosts: 1, .. } => "single-groupby-5-1-12",
            Self::SingleGroupby { .. } => "single-groupby-5-8-1",
            Self::CpuMaxAll { hosts: 1 } => "cpu-max-all-1",
            Self::CpuMaxAll { .. } => "cpu-max-all-8",
            Self::DoubleGroupby { metrics: 1 } => "double-groupby-1",
            Self::DoubleGroupby { metrics: 5 } => "double-groupby-5",
            Self::DoubleGroupby { .. } => "double-groupby-all",
            Self::Lastpoint => "lastpoint",
            Self::HighCpu { all_hosts: false } => "high-cpu-1",
            Self::HighCpu { all_hosts: true } => "high-cpu-all",
            Self::GroupbyOrderbyLimit => "groupby-orderby-limit",
        }
    }

    /// Query `number` of this type over data of this shape.
    pub(crate) fn text(self, shape: &Shape, number: u64) -> String {
        let mut random = Random::new(shape.seed ^ 0x5157_4552_4945_5321, number);
        match self {
            Self::SingleGroupby { metrics, hosts, hours } => format!(
                "SELECT {} FROM cpu WHERE {} AND {} GROUP BY time(1m)",
                select("max", metrics),
                hosts_clause(&mut random, shape, hosts),
                window_clause(&mut random, shape, hours),
            ),
            Self::CpuMaxAll { hosts } => format!(
                "SELECT {} FROM cpu WHERE {} AND {} GROUP BY time(1h)",
                select("max", FIELDS.len()),
                hosts_clause(&mut random, shape, hosts),
                window_clause(&mut random, shape, 8),
            ),
            Self::DoubleGroupby { metrics } => format!(
                "SELECT {} FROM cpu WHERE {} GROUP BY time(1h), hostname",
                select("mean", metrics),
                window_clause(&mut random, shape, 12),
            ),
            Self::Lastpoint => "SELECT * FROM cpu GROUP BY hostname ORDER BY time DESC LIMIT 1".to_owned(),
            Self::HighCpu { all_hosts: false } => format!(
                "SELECT * FROM cpu WHERE usage_user > 90.0 AND {} AND {}",
                hosts_clause(&mut random, shape, 1),
                window_clause(&mut random, shape, 12),
            ),
            Self::HighCpu { all_hosts: true } => format!(
                "SELECT * FROM cpu WHERE usage_user > 90.0 AND {}",
                window_clause(&mut random, shape, 12),
            ),
            Self::GroupbyOrderbyLimit => {
                let end = window(&mut random, shape, 1).1;
                format!(
                    "SELECT max(usage_user) FROM cpu WHERE time < '{}' GROUP BY time(1m) ORDER BY time DESC LIMIT 5",
                    rfc3339(end)
                )
            }
        }
    }
}

fn select(function: &str, metrics: usize) -> String {
    let calls: Vec<String> = FIELDS[..metrics].iter().map(|field| format!("{function}({field})")).collect();
    calls.join(", ")
}

/// `count` different hosts, as many as there are at most.
fn hosts_clause(random: &mut Random, shape: &Shape, count: usize) -> String {
    let mut chosen: Vec<u64> = Vec::new();
    while chosen.len() < count.min(shape.hosts as usize) {
        let host = random.below(u64::from(shape.hosts));
        if !chosen.contains(&host) {
            chosen.push(host);
        }
    }
    let clauses: Vec<String> = chosen.iter().map(|host| format!("hostname = 'host_{host}'")).collect();
    format!("({})", clauses.join(" OR "))
}

fn window_clause(random: &mut Random, shape: &Shape, hours: i64) -> String {
    let (start, end) = window(random, shape, hours);
    format!("time >= '{}' AND time < '{}'", rfc3339(start), rfc3339(end))
}

/// A window of so many hours inside the data.
fn window(random: &mut Random, shape: &Shape, hours: i64) -> (i64, i64) {
    let times = shape.times();
    let room_ms = (times.end - times.start - hours * HOUR_NS) / MILLISECOND_NS;
    if room_ms <= 0 {
        return (times.start, times.end);
    }
    let start = times.start + random.below(room_ms as u64) as i64 * MILLISECOND_NS;
    (start, start + hours * HOUR_NS)
}

fn rfc3339(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns))
        .map_or_else(|error| error.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape =
        Shape { hosts: 20, step_ns: 10_000_000_000, span_ns: 24 * HOUR_NS, rows_per_batch: 1, seed: 1 };

    #[test]
    fn names_are_distinct_and_those_of_the_suite() {
        let mut names = QueryType::ALL.map(QueryType::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), QueryType::ALL.len());
    }

    #[test]
    fn texts() {
        let text = QueryType::SingleGroupby { metrics: 5, hosts: 8, hours: 1 }.text(&SHAPE, 3);
        assert_eq!(text, QueryType::SingleGroupby { metrics: 5, hosts: 8, hours: 1 }.text(&SHAPE, 3));
        assert_eq!(text.matches("max(").count(), 5);
        assert_eq!(text.matches("hostname = 'host_").count(), 8);
        assert!(text.ends_with("' GROUP BY time(1m)"));
        assert_ne!(text, QueryType::SingleGroupby { metrics: 5, hosts: 8, hours: 1 }.text(&SHAPE, 4));
        let all = QueryType::DoubleGroupby { metrics: FIELDS.len() }.text(&SHAPE, 0);
        assert!(
            all.starts_with("SELECT mean(usage_user), ") && all.ends_with(" GROUP BY time(1h), hostname")
        );
    }

    #[test]
    fn windows_lie_inside_the_data() {
        let mut random = Random::new(1, 1);
        for _ in 0..100 {
            let (start, end) = window(&mut random, &SHAPE, 8);
            assert!(SHAPE.times().start <= start && end <= SHAPE.times().end && end - start == 8 * HOUR_NS);
        }
        assert_eq!(window(&mut random, &SHAPE, 48), (SHAPE.times().start, SHAPE.times().end));
        assert_eq!(rfc3339(SHAPE.times().start), "2016-01-01T00:00:00Z");
        assert_eq!(rfc3339(SHAPE.times().start + 1_500_000_000), "2016-01-01T00:00:01.5Z");
    }
}
