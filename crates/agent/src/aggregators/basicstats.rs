//! `basicstats`: count, extremes, mean, variance and changes of every field.

use crate::aggregator::Aggregator;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::field_value;
use crate::metric::{Key, Metric};
use crate::series::SeriesMap;

/// The aggregator.
#[derive(Debug)]
struct BasicStats {
    stats: Vec<Stat>,
    series: SeriesMap<Vec<(Key, Field)>>,
}

/// What is told of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stat {
    Count,
    Min,
    Max,
    Mean,
    Variance,
    Deviation,
    Sum,
    Last,
    First,
    Diff,
    NonNegativeDiff,
    Rate,
    NonNegativeRate,
    PercentChange,
    Interval,
}

/// Every statistic by its option, in the order in which they are written.
const STATS: [(&str, Stat); 15] = [
    ("count", Stat::Count),
    ("min", Stat::Min),
    ("max", Stat::Max),
    ("mean", Stat::Mean),
    ("s2", Stat::Variance),
    ("stdev", Stat::Deviation),
    ("sum", Stat::Sum),
    ("last", Stat::Last),
    ("first", Stat::First),
    ("diff", Stat::Diff),
    ("non_negative_diff", Stat::NonNegativeDiff),
    ("rate", Stat::Rate),
    ("non_negative_rate", Stat::NonNegativeRate),
    ("percent_change", Stat::PercentChange),
    ("interval", Stat::Interval),
];

/// How many of them, from the first on, there are without the option `stats`.
const DEFAULT_STATS: usize = 6;

/// A field's values so far. Mean and sum of squared deviations are kept as B. P. Welford's method does
/// (Technometrics 4, 1962), which does not lose digits to large values.
#[derive(Debug, Clone, Copy)]
struct Field {
    count: f64,
    min: f64,
    max: f64,
    sum: f64,
    mean: f64,
    squares: f64,
    first: (i64, f64),
    last: (i64, f64),
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Aggregator>, ConfigError> {
    let Some(names) = section.strings("stats")? else {
        let stats = STATS[..DEFAULT_STATS].iter().map(|(_, stat)| *stat).collect();
        return Ok(Box::new(BasicStats { stats, series: SeriesMap::default() }));
    };
    // Telegraf's own sample file calls it so; Telegraf then leaves it out.
    let names: Vec<_> =
        names.iter().map(|name| if name == "variance" { "s2" } else { name.as_str() }).collect();
    if let Some(unknown) = names.iter().find(|name| STATS.iter().all(|(known, _)| known != *name)) {
        let known = STATS.map(|(name, _)| name).join(", ");
        return Err(section.bad("stats", format!("{unknown:?} is none of {known}")));
    }
    let stats = STATS.iter().filter(|(name, _)| names.contains(name)).map(|(_, stat)| *stat).collect();
    Ok(Box::new(BasicStats { stats, series: SeriesMap::default() }))
}

impl Field {
    fn new(time_ns: i64, value: f64) -> Self {
        Self {
            count: 1.0,
            min: value,
            max: value,
            sum: value,
            mean: value,
            squares: 0.0,
            first: (time_ns, value),
            last: (time_ns, value),
        }
    }

    fn add(&mut self, time_ns: i64, value: f64) {
        self.count += 1.0;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
        let deviation = value - self.mean;
        self.mean += deviation / self.count;
        self.squares += deviation * (value - self.mean);
        self.last = (time_ns, value);
    }

    fn set(&self, metric: &mut Metric, key: &str, stat: Stat) {
        let float = match stat {
            Stat::Count => Some(("count", self.count)),
            Stat::Min => Some(("min", self.min)),
            Stat::Max => Some(("max", self.max)),
            Stat::Mean => Some(("mean", self.mean)),
            Stat::Sum => Some(("sum", self.sum)),
            Stat::Last => Some(("last", self.last.1)),
            Stat::First => Some(("first", self.first.1)),
            // The others compare values, so there must be two.
            _ if self.count < 2.0 => None,
            Stat::Variance => Some(("s2", self.variance())),
            Stat::Deviation => Some(("stdev", self.variance().sqrt())),
            Stat::Diff => Some(("diff", self.diff())),
            Stat::NonNegativeDiff => {
                Some(("non_negative_diff", self.diff())).filter(|(_, diff)| *diff >= 0.0)
            }
            Stat::Rate => self.rate().map(|rate| ("rate", rate)),
            Stat::NonNegativeRate => {
                self.rate().filter(|rate| *rate >= 0.0).map(|rate| ("non_negative_rate", rate))
            }
            Stat::PercentChange => Some(("percent_change", self.diff() / self.first.1 * 100.0)),
            Stat::Interval => {
                metric.set_field(format!("{key}_interval"), self.last.0 - self.first.0);
                None
            }
        };
        if let Some((name, value)) = float.filter(|(_, value)| value.is_finite()) {
            metric.set_field(format!("{key}_{name}"), value);
        }
    }

    /// Of a sample: divided by one less than the count.
    fn variance(&self) -> f64 {
        self.squares / (self.count - 1.0)
    }

    fn diff(&self) -> f64 {
        self.last.1 - self.first.1
    }

    fn rate(&self) -> Option<f64> {
        let seconds = (self.last.0 - self.first.0) as f64 / 1e9;
        (seconds != 0.0).then(|| self.diff() / seconds)
    }
}

impl Aggregator for BasicStats {
    fn add(&mut self, metric: &Metric) {
        let fields = self.series.entry(metric, Vec::new);
        for (key, value) in metric.fields() {
            let Some(number) = field_value::number(value) else { continue };
            match fields.iter_mut().find(|(known, _)| known == key) {
                Some((_, field)) => field.add(metric.time_ns, number),
                None => fields.push((key.clone(), Field::new(metric.time_ns, number))),
            }
        }
    }

    fn push(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        for entry in self.series.iter() {
            let mut metric = entry.metric(now_ns);
            for (key, field) in &entry.value {
                self.stats.iter().for_each(|stat| field.set(&mut metric, key, *stat));
            }
            if !metric.fields().is_empty() {
                out.push(metric);
            }
        }
    }

    fn reset(&mut self) {
        self.series.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{try_aggregator, window};
    use super::*;

    const S: i64 = 1_000_000_000;

    fn metrics() -> Vec<Metric> {
        [(1, 2.0), (2, 4.0), (5, 9.0)]
            .iter()
            .map(|(time, x)| Metric::new("m", time * S).field("x", *x).field("s", "text"))
            .collect()
    }

    #[test]
    fn the_default_statistics() {
        let mut stats = try_aggregator(build, "").expect("valid");
        assert_eq!(
            window(&mut *stats, &metrics(), 9),
            ["m x_count=3,x_min=2,x_max=9,x_mean=5,x_s2=13,x_stdev=3.605551275463989 9"]
        );
        assert_eq!(
            window(&mut *stats, &metrics()[..1], 9),
            ["m x_count=1,x_min=2,x_max=2,x_mean=2 9"],
            "one value has no variance"
        );
    }

    #[test]
    fn changes_compare_the_last_with_the_first() {
        let options = "stats=['sum','first','last','diff','non_negative_diff','rate','non_negative_rate','percent_change','interval']";
        let mut stats = try_aggregator(build, options).expect("valid");
        assert_eq!(
            window(&mut *stats, &metrics(), 9),
            [
                "m x_sum=15,x_last=9,x_first=2,x_diff=7,x_non_negative_diff=7,x_rate=1.75,x_non_negative_rate=1.75,x_percent_change=350,x_interval=4000000000i 9"
            ]
        );
        let falling = [metrics().remove(2), metrics().remove(0)];
        let lines = window(&mut *stats, &falling, 9);
        assert!(lines[0].contains("x_diff=-7,x_rate="), "nothing that must not be negative: {lines:?}");
    }

    #[test]
    fn an_unknown_statistic_is_named() {
        let error = try_aggregator(build, "stats=['median']").expect_err("unknown").to_string();
        assert!(error.contains("\"median\" is none of count, min"), "{error}");
        assert!(try_aggregator(build, "stats=['variance']").is_ok());
    }
}
