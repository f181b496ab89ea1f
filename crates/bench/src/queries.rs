//! The suite's query types for the cpu-only case, which the devops case shares.
//!
//! A query of a type asks about a random window and random hosts; the same number gives the same query. Where
//! the data spans less time than a window should, the window is all of it. A [`Question`] is one query in no
//! language; [`influxql`] and [`metricsql`] word it.

mod influxql;
pub(crate) mod metricsql;

use std::ops::Range;

use crate::{
    dataset::{CPU_FIELDS, Shape},
    http::Request,
    process::Kind,
    random::Random,
};

const HOUR_NS: i64 = 3_600_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;
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
        Self::DoubleGroupby { metrics: CPU_FIELDS.len() },
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
    pub(crate) fn question(self, shape: &Shape, number: u64) -> Question {
        let mut random = Random::new(shape.seed ^ 0x5157_4552_4945_5321, number);
        let (hosts, hours) = match self {
            Self::SingleGroupby { hosts, hours, .. } => (hosts, hours),
            Self::CpuMaxAll { hosts } => (hosts, 8),
            Self::HighCpu { all_hosts: false } => (1, 12),
            Self::DoubleGroupby { .. } | Self::HighCpu { all_hosts: true } => (0, 12),
            Self::Lastpoint | Self::GroupbyOrderbyLimit => (0, 1),
        };
        Question {
            query: self,
            hosts: choose_hosts(&mut random, shape, hosts),
            window_ns: window(&mut random, shape, hours),
            data_ns: shape.times(),
            step_ns: shape.step_ns,
        }
    }
}

/// One query in no language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) query: QueryType,
    /// The hosts asked about; all if there are none.
    hosts: Vec<u64>,
    /// The time asked about.
    window_ns: Range<i64>,
    data_ns: Range<i64>,
    step_ns: i64,
}

impl Question {
    /// The question as the server understands it.
    pub(crate) fn request(&self, kind: Kind) -> Request {
        match kind {
            Kind::Skywatch | Kind::Influxdb => influxql::request(self),
            Kind::VictoriaMetrics => metricsql::request(self),
        }
    }

    /// The fields asked about.
    pub(crate) fn fields(&self) -> &'static [&'static str] {
        match self.query {
            QueryType::SingleGroupby { metrics, .. } | QueryType::DoubleGroupby { metrics } => {
                &CPU_FIELDS[..metrics]
            }
            QueryType::GroupbyOrderbyLimit => &CPU_FIELDS[..1],
            QueryType::CpuMaxAll { .. } | QueryType::Lastpoint | QueryType::HighCpu { .. } => &CPU_FIELDS,
        }
    }

    /// Length of the windows in which values are aggregated, if they are.
    pub(crate) fn grouping_ns(&self) -> Option<i64> {
        match self.query {
            QueryType::SingleGroupby { .. } | QueryType::GroupbyOrderbyLimit => Some(MINUTE_NS),
            QueryType::CpuMaxAll { .. } | QueryType::DoubleGroupby { .. } => Some(HOUR_NS),
            QueryType::Lastpoint | QueryType::HighCpu { .. } => None,
        }
    }

    /// The starts of the windows, in which values are aggregated, that the time asked about touches: first and last.
    fn groups_ns(&self, grouping_ns: i64) -> (i64, i64) {
        let last = floor(self.window_ns.end - 1, grouping_ns);
        let first = match self.query {
            QueryType::GroupbyOrderbyLimit => {
                (last - 4 * grouping_ns).max(floor(self.data_ns.start, grouping_ns))
            }
            _ => floor(self.window_ns.start, grouping_ns),
        };
        (first, last)
    }

    /// Times whose values are the same in every language. MetricsQL cannot cut the first and the last window of an
    /// aggregation short where the time asked about begins or ends inside them; the others are the same.
    pub(crate) fn comparable_ns(&self) -> Range<i64> {
        let Some(grouping_ns) = self.grouping_ns() else { return i64::MIN..i64::MAX };
        let end = floor(self.window_ns.end.min(self.data_ns.end), grouping_ns);
        // The data ends with the window it is in: nothing comes after it that a window could wrongly include.
        let end = if self.window_ns.end >= self.data_ns.end { i64::MAX } else { end };
        match self.query {
            QueryType::GroupbyOrderbyLimit => i64::MIN..end,
            _ => self.window_ns.start..end,
        }
    }
}

/// The greatest multiple of `unit` that is not above `time`.
const fn floor(time: i64, unit: i64) -> i64 {
    time.div_euclid(unit) * unit
}

/// `count` different hosts, as many as there are at most.
fn choose_hosts(random: &mut Random, shape: &Shape, count: usize) -> Vec<u64> {
    let mut chosen = Vec::new();
    while chosen.len() < count.min(shape.hosts as usize) {
        let host = random.below(u64::from(shape.hosts));
        if !chosen.contains(&host) {
            chosen.push(host);
        }
    }
    chosen
}

/// A window of so many hours inside the data.
fn window(random: &mut Random, shape: &Shape, hours: i64) -> Range<i64> {
    let times = shape.times();
    let room_ms = (times.end - times.start - hours * HOUR_NS) / MILLISECOND_NS;
    if room_ms <= 0 {
        return times;
    }
    let start = times.start + random.below(room_ms as u64) as i64 * MILLISECOND_NS;
    start..start + hours * HOUR_NS
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::dataset::{UseCase, Values};

    /// A day of twenty hosts.
    pub(crate) const SHAPE: Shape = Shape {
        use_case: UseCase::CpuOnly,
        written: Values::Integer,
        hosts: 20,
        step_ns: 10_000_000_000,
        span_ns: 24 * HOUR_NS,
        rows_per_batch: 1,
        seed: 1,
    };

    /// A question with nothing random in it: from 00:00:30 to 00:03:30 on the data's first day.
    pub(crate) fn question(query: QueryType) -> Question {
        let start = SHAPE.times().start;
        Question {
            query,
            hosts: match query {
                QueryType::SingleGroupby { hosts, .. } | QueryType::CpuMaxAll { hosts } => {
                    (3..3 + hosts as u64).collect()
                }
                QueryType::HighCpu { all_hosts: false } => vec![3],
                _ => Vec::new(),
            },
            window_ns: start + MINUTE_NS / 2..start + 7 * MINUTE_NS / 2,
            data_ns: SHAPE.times(),
            step_ns: SHAPE.step_ns,
        }
    }

    #[test]
    fn names_are_distinct_and_those_of_the_suite() {
        let mut names = QueryType::ALL.map(QueryType::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), QueryType::ALL.len());
    }

    #[test]
    fn the_same_number_asks_the_same() {
        for query in QueryType::ALL {
            let [first, again, other] = [3, 3, 4].map(|number| query.question(&SHAPE, number));
            assert_eq!(first, again);
            assert_ne!(first.window_ns, other.window_ns);
        }
        let question = QueryType::SingleGroupby { metrics: 5, hosts: 8, hours: 1 }.question(&SHAPE, 3);
        assert_eq!((question.fields().len(), question.hosts.len()), (5, 8));
        let few = Shape { hosts: 2, ..SHAPE };
        assert_eq!(QueryType::CpuMaxAll { hosts: 8 }.question(&few, 3).hosts.len(), 2);
    }

    #[test]
    fn windows_lie_inside_the_data() {
        let mut random = Random::new(1, 1);
        for _ in 0..100 {
            let Range { start, end } = window(&mut random, &SHAPE, 8);
            assert!(SHAPE.times().start <= start && end <= SHAPE.times().end && end - start == 8 * HOUR_NS);
        }
        assert_eq!(window(&mut random, &SHAPE, 48), SHAPE.times());
    }

    #[test]
    fn windows_that_begin_and_end_inside_the_time_asked_about_are_comparable() {
        let start = SHAPE.times().start;
        let max = question(QueryType::SingleGroupby { metrics: 1, hosts: 1, hours: 1 });
        assert_eq!(max.groups_ns(MINUTE_NS), (start, start + 3 * MINUTE_NS));
        assert_eq!(max.comparable_ns(), start + MINUTE_NS / 2..start + 3 * MINUTE_NS);
        let latest = question(QueryType::GroupbyOrderbyLimit);
        assert_eq!(latest.groups_ns(MINUTE_NS), (start, start + 3 * MINUTE_NS));
        assert_eq!(latest.comparable_ns(), i64::MIN..start + 3 * MINUTE_NS);
        let all = Question { window_ns: SHAPE.times(), ..max };
        assert_eq!(all.comparable_ns(), start..i64::MAX);
        assert_eq!(question(QueryType::HighCpu { all_hosts: true }).comparable_ns(), i64::MIN..i64::MAX);
    }
}
