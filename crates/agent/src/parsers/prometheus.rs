//! `prometheus`: the text that Prometheus scrapes, in its own version and in that of OpenMetrics.
//!
//! [`line`] reads lines; here they become metrics, in one of Telegraf's two layouts:
//!
//! | | version 1 | version 2 |
//! |---|---|---|
//! | measurement | the family | `prometheus` |
//! | counter, gauge, other | field `counter`, `gauge`, `value` | field of the family's name |
//! | summary, histogram | one metric: `count`, `sum`, a field for each quantile or bound | a metric with `_count` and `_sum`, and one for each quantile or bound, in a tag |

mod line;

use std::collections::HashMap;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::exposition::number::{PLAIN, number};
use crate::metric::{Kind, Metric};
use crate::parser::{Defaults, ParseError, Parser};
use line::{Line, Sample};

/// The parser.
#[derive(Debug, Clone)]
pub(crate) struct Prometheus {
    pub(crate) version: Version,
    pub(crate) ignore_timestamp: bool,
    /// Times are in seconds, and the text ends with a line that says so.
    pub(crate) open_metrics: bool,
}

/// Telegraf's `metric_version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

impl Version {
    /// Reads the option `key`.
    pub(crate) fn from_section(
        section: &mut Section,
        key: &'static str,
        default: Self,
    ) -> Result<Self, ConfigError> {
        match section.integer(key)? {
            None | Some(0) => Ok(default),
            Some(1) => Ok(Self::One),
            Some(2) => Ok(Self::Two),
            Some(other) => Err(section.bad(key, format!("{other} is neither 1 nor 2"))),
        }
    }
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Parser>, ConfigError> {
    Ok(Box::new(Prometheus {
        version: Version::from_section(section, "prometheus_metric_version", Version::Two)?,
        ignore_timestamp: section.boolean("prometheus_ignore_timestamp")?.unwrap_or(false),
        open_metrics: false,
    }))
}

impl Parser for Prometheus {
    fn parse(
        &mut self,
        data: &[u8],
        defaults: &Defaults<'_>,
        out: &mut Vec<Metric>,
    ) -> Result<(), ParseError> {
        let text = String::from_utf8_lossy(data);
        let mut document = Document::new(self, defaults.now_ns);
        let mut fault = None;
        for (at, text) in text.lines().enumerate() {
            match line::parse(text) {
                Ok(Line::Type(name, kind)) => {
                    document.kinds.insert(name, kind);
                }
                Ok(Line::Sample(sample)) => document.add(sample),
                Ok(Line::Other) => {}
                Err(reason) => {
                    fault.get_or_insert_with(|| ParseError::at_line(at + 1, reason));
                }
            }
        }
        document.finish(out);
        fault.map_or(Ok(()), Err)
    }

    fn fresh(&self) -> Box<dyn Parser> {
        Box::new(self.clone())
    }
}

/// Names and values.
type Labels = Vec<(String, String)>;

/// A document that is being read.
struct Document<'a> {
    parser: &'a Prometheus,
    now_ns: i64,
    kinds: HashMap<String, Kind>,
    series: Vec<Series>,
    /// Where the series of histograms and summaries are, whose samples are on many lines.
    distributed: HashMap<(String, Labels, i64), usize>,
}

/// A series, with all its samples.
struct Series {
    family: String,
    kind: Kind,
    labels: Labels,
    time_ns: i64,
    values: Values,
}

enum Values {
    Scalar(f64),
    Distribution { count: Option<f64>, sum: Option<f64>, points: Vec<(f64, f64)> },
}

/// What a sample of a histogram or a summary is.
#[derive(Clone, Copy)]
enum Part {
    Count,
    Sum,
    Point(f64),
}

impl<'a> Document<'a> {
    fn new(parser: &'a Prometheus, now_ns: i64) -> Self {
        Self { parser, now_ns, kinds: HashMap::new(), series: Vec::new(), distributed: HashMap::new() }
    }

    fn add(&mut self, mut sample: Sample) {
        // A label without a value is none.
        sample.labels.retain(|(_, value)| !value.is_empty());
        let time_ns = self.time_ns(&sample);
        let Some((family, kind, part)) = self.part(&mut sample) else {
            let kind = self.kind_of_scalar(&sample.name);
            let (family, labels, values) = (sample.name, sample.labels, Values::Scalar(sample.value));
            self.series.push(Series { family, kind, labels, time_ns, values });
            return;
        };
        sample.labels.sort();
        let key = (family.clone(), sample.labels.clone(), time_ns);
        let at = *self.distributed.entry(key).or_insert_with(|| {
            let values = Values::Distribution { count: None, sum: None, points: Vec::new() };
            self.series.push(Series { family, kind, labels: sample.labels, time_ns, values });
            self.series.len() - 1
        });
        if let Some(Series { values: Values::Distribution { count, sum, points }, .. }) =
            self.series.get_mut(at)
        {
            match part {
                Part::Count => *count = Some(sample.value),
                Part::Sum => *sum = Some(sample.value),
                Part::Point(bound) => points.push((bound, sample.value)),
            }
        }
    }

    fn time_ns(&self, sample: &Sample) -> i64 {
        match sample.time {
            Some(time) if !self.parser.ignore_timestamp => {
                let nanos_per_unit = if self.parser.open_metrics { 1e9 } else { 1e6 };
                // Whole milliseconds are exact this way, which as a float they are not.
                match self.parser.open_metrics || time.fract() != 0.0 {
                    true => (time * nanos_per_unit) as i64,
                    false => (time as i64).saturating_mul(1_000_000),
                }
            }
            _ => self.now_ns,
        }
    }

    /// The family and the part of a sample that belongs to a histogram or a summary; takes the bound out of its labels.
    fn part(&self, sample: &mut Sample) -> Option<(String, Kind, Part)> {
        let mut bound = |label: &str| {
            let at = sample.labels.iter().position(|(name, _)| name == label)?;
            let bound = sample.labels.get(at)?.1.parse().ok()?;
            sample.labels.remove(at);
            Some(Part::Point(bound))
        };
        if self.kinds.get(&sample.name) == Some(&Kind::Summary) {
            let part = bound("quantile")?;
            return Some((sample.name.clone(), Kind::Summary, part));
        }
        for suffix in ["_count", "_sum", "_bucket"] {
            let Some(family) = sample.name.strip_suffix(suffix) else { continue };
            let Some(kind @ (Kind::Histogram | Kind::Summary)) = self.kinds.get(family) else { continue };
            let part = match suffix {
                "_count" => Part::Count,
                "_sum" => Part::Sum,
                _ if *kind == Kind::Histogram => bound("le")?,
                _ => return None,
            };
            return Some((family.to_owned(), *kind, part));
        }
        None
    }

    /// In OpenMetrics a counter's samples have a suffix that its family has not.
    fn kind_of_scalar(&self, name: &str) -> Kind {
        let family = || name.strip_suffix("_total").filter(|_| self.parser.open_metrics);
        match self.kinds.get(name).or_else(|| self.kinds.get(family()?)) {
            Some(kind @ (Kind::Counter | Kind::Gauge)) => *kind,
            _ => Kind::Untyped,
        }
    }

    fn finish(self, out: &mut Vec<Metric>) {
        let version = self.parser.version;
        for series in self.series {
            match version {
                Version::One => version_one(series, out),
                Version::Two => version_two(series, out),
            }
        }
    }
}

/// Adds a field unless its value is none: NaN stands for what is not known.
fn set(metric: &mut Metric, key: String, value: f64) {
    if !value.is_nan() {
        metric.set_field(key, value);
    }
}

/// Adds a metric that has a field.
fn push(metric: Metric, out: &mut Vec<Metric>) {
    if !metric.fields().is_empty() {
        out.push(metric);
    }
}

fn metric(name: String, series: &Series) -> Metric {
    let mut metric = Metric::new(name, series.time_ns).kind(series.kind);
    for (name, value) in &series.labels {
        metric.set_tag(name.clone(), value.clone());
    }
    metric
}

fn version_one(series: Series, out: &mut Vec<Metric>) {
    let mut metric = metric(series.family.clone(), &series);
    match series.values {
        Values::Scalar(value) => {
            let key = match series.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram | Kind::Summary | Kind::Untyped => "value",
            };
            set(&mut metric, key.to_owned(), value);
        }
        Values::Distribution { count, sum, points } => {
            for (key, value) in [("count", count), ("sum", sum)] {
                set(&mut metric, key.to_owned(), value.unwrap_or(f64::NAN));
            }
            for (bound, value) in points {
                set(&mut metric, number(bound, PLAIN), value);
            }
        }
    }
    push(metric, out);
}

fn version_two(series: Series, out: &mut Vec<Metric>) {
    let mut own = metric("prometheus".to_owned(), &series);
    let parts = own.child();
    match series.values {
        Values::Scalar(value) => {
            set(&mut own, series.family, value);
            push(own, out);
        }
        Values::Distribution { count, sum, mut points } => {
            let family = series.family;
            for (suffix, value) in [("count", count), ("sum", sum)] {
                set(&mut own, format!("{family}_{suffix}"), value.unwrap_or(f64::NAN));
            }
            push(own, out);
            let (tag, key) = match series.kind {
                Kind::Histogram => ("le", format!("{family}_bucket")),
                _ => ("quantile", family),
            };
            if let Some(count) = count.filter(|_| tag == "le")
                && !points.iter().any(|(bound, _)| *bound == f64::INFINITY)
            {
                points.push((f64::INFINITY, count));
            }
            for (bound, value) in points {
                let mut part = parts.child();
                part.set_tag(tag, number(bound, PLAIN));
                set(&mut part, key.clone(), value);
                push(part, out);
            }
        }
    }
}

#[cfg(test)]
mod tests;
