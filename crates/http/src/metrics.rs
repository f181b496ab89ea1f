//! Numbers about ourselves in Prometheus' text format (version 0.0.4). Any role can add its own: it implements
//! [`MetricsSource`] and hands itself to [`MetricsRegistry::add`].

mod histogram;
mod process;

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::RwLock;

pub use histogram::Histogram;
pub(crate) use process::ProcessMetrics;

use crate::encode::{push_f64_plain, push_u64};

/// Something that has numbers to show.
pub trait MetricsSource: Send + Sync {
    /// Adds them. Called for every scrape; must not block for long.
    fn collect(&self, metrics: &mut Metrics);
}

/// All sources of one process.
#[derive(Default)]
pub struct MetricsRegistry {
    sources: RwLock<Vec<Arc<dyn MetricsSource>>>,
}

impl fmt::Debug for MetricsRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsRegistry").field("sources", &self.sources.read().len()).finish()
    }
}

impl MetricsRegistry {
    /// Adds a source.
    pub fn add(&self, source: Arc<dyn MetricsSource>) {
        self.sources.write().push(source);
    }

    /// The exposition: every family of every source, sorted by name.
    pub fn render(&self) -> String {
        let mut metrics = Metrics::default();
        let sources = self.sources.read().clone();
        for source in sources {
            source.collect(&mut metrics);
        }
        metrics.render()
    }
}

/// What a scrape has collected so far. A family that several sources feed is written once.
#[derive(Debug, Default)]
pub struct Metrics {
    families: BTreeMap<&'static str, Family>,
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    kind: &'static str,
    samples: Vec<u8>,
}

impl Metrics {
    /// A number that only grows while the process lives; its name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: u64) {
        let samples = self.family(name, help, "counter");
        push_series(samples, name, "", labels, None);
        push_u64(samples, value);
        samples.push(b'\n');
    }

    /// A counter with a fraction, such as seconds.
    pub fn counter_f64(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let samples = self.family(name, help, "counter");
        push_series(samples, name, "", labels, None);
        push_f64_plain(samples, value);
        samples.push(b'\n');
    }

    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        let samples = self.family(name, help, "gauge");
        push_series(samples, name, "", labels, None);
        push_f64_plain(samples, value);
        samples.push(b'\n');
    }

    /// A distribution, in the histogram's own unit (seconds, by convention).
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        histogram: &Histogram,
    ) {
        let (buckets, sum) = histogram.snapshot();
        self.distribution(name, help, labels, &buckets, sum);
    }

    /// A distribution that was counted elsewhere: upper bounds, the last of them infinite, with the number in each bucket
    /// alone, and the sum of all, in the same unit.
    pub fn distribution(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        buckets: &[(f64, u64)],
        sum: f64,
    ) {
        let samples = self.family(name, help, "histogram");
        let mut count = 0;
        for &(bound, in_bucket) in buckets {
            count += in_bucket;
            push_series(samples, name, "_bucket", labels, Some(bound));
            push_u64(samples, count);
            samples.push(b'\n');
        }
        push_series(samples, name, "_sum", labels, None);
        push_f64_plain(samples, sum);
        samples.push(b'\n');
        push_series(samples, name, "_count", labels, None);
        push_u64(samples, count);
        samples.push(b'\n');
    }

    fn family(&mut self, name: &'static str, help: &'static str, kind: &'static str) -> &mut Vec<u8> {
        debug_assert!(is_metric_name(name), "{name} is no name for a metric");
        let family = self.families.entry(name).or_insert(Family { help, kind, samples: Vec::new() });
        debug_assert_eq!(family.kind, kind, "{name} is fed as two kinds of metric");
        &mut family.samples
    }

    fn render(self) -> String {
        let mut text = Vec::new();
        for (name, family) in &self.families {
            for (keyword, words) in [("HELP", family.help), ("TYPE", family.kind)] {
                text.extend_from_slice(format!("# {keyword} {name} {words}\n").as_bytes());
            }
            text.extend_from_slice(&family.samples);
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

fn is_metric_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | ':'))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

/// `name_suffix{label="value",le="0.1"} `
fn push_series(samples: &mut Vec<u8>, name: &str, suffix: &str, labels: &[(&str, &str)], le: Option<f64>) {
    samples.extend_from_slice(name.as_bytes());
    samples.extend_from_slice(suffix.as_bytes());
    let mut opened = false;
    let mut next = |samples: &mut Vec<u8>| {
        samples.push(if opened { b',' } else { b'{' });
        opened = true;
    };
    for (label, value) in labels {
        next(samples);
        samples.extend_from_slice(label.as_bytes());
        samples.extend_from_slice(b"=\"");
        push_label_value(samples, value);
        samples.push(b'"');
    }
    if let Some(bound) = le {
        next(samples);
        samples.extend_from_slice(b"le=\"");
        push_f64_plain(samples, bound);
        samples.push(b'"');
    }
    if opened {
        samples.push(b'}');
    }
    samples.push(b' ');
}

fn push_label_value(samples: &mut Vec<u8>, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'\\' => samples.extend_from_slice(b"\\\\"),
            b'"' => samples.extend_from_slice(b"\\\""),
            b'\n' => samples.extend_from_slice(b"\\n"),
            other => samples.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Sample(&'static str);

    impl MetricsSource for Sample {
        fn collect(&self, metrics: &mut Metrics) {
            metrics.counter("b_total", "Second.", &[("who", self.0)], 3);
            metrics.gauge("a_bytes", "First.", &[("who", self.0)], 1.5);
        }
    }

    #[test]
    fn families_are_written_once() {
        let registry = MetricsRegistry::default();
        registry.add(Arc::new(Sample("x\"\\\n")));
        registry.add(Arc::new(Sample("y")));
        assert_eq!(
            registry.render(),
            concat!(
                "# HELP a_bytes First.\n# TYPE a_bytes gauge\n",
                "a_bytes{who=\"x\\\"\\\\\\n\"} 1.5\na_bytes{who=\"y\"} 1.5\n",
                "# HELP b_total Second.\n# TYPE b_total counter\n",
                "b_total{who=\"x\\\"\\\\\\n\"} 3\nb_total{who=\"y\"} 3\n"
            )
        );
    }

    #[test]
    fn histograms_accumulate() {
        let histogram = Histogram::new(&[0.001, 0.01]);
        for ms in [0, 1, 5, 20] {
            histogram.observe(Duration::from_millis(ms));
        }
        let mut metrics = Metrics::default();
        metrics.histogram("d_seconds", "D.", &[("route", "query")], &histogram);
        assert_eq!(
            metrics.render(),
            concat!(
                "# HELP d_seconds D.\n# TYPE d_seconds histogram\n",
                "d_seconds_bucket{route=\"query\",le=\"0.001\"} 2\n",
                "d_seconds_bucket{route=\"query\",le=\"0.01\"} 3\n",
                "d_seconds_bucket{route=\"query\",le=\"+Inf\"} 4\n",
                "d_seconds_sum{route=\"query\"} 0.026\n",
                "d_seconds_count{route=\"query\"} 4\n"
            )
        );
    }
}
