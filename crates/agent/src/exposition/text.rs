//! The text format, version 0.0.4.
//!
//! ```text
//! # HELP cpu_usage_idle Telegraf collected metric
//! # TYPE cpu_usage_idle gauge
//! cpu_usage_idle{cpu="cpu0",host="kvm-01"} 98.5 1700000000000
//! ```

use std::borrow::Cow;
use std::fmt::Write;

use super::families::{Distribution, Families, Family, Sample, Series};
use super::names::{is_plain, underscores};
use super::number::{GENERAL, number as number_until};
use crate::metric::Kind;

/// What the text is.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How names are written that the text format knew only later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// With underscores for what older readers do not know.
    Underscores,
    /// In quotes.
    Quotes,
}

impl Families {
    /// Appends all families, with the time of each value in milliseconds if `timed`.
    pub(crate) fn write(&self, out: &mut String, timed: bool, escaping: Escaping) {
        for (name, family) in &self.families {
            let name = escaped(name, true, escaping);
            let mut writer = Writer { out, name, kind: family.kind, timed, escaping };
            writer.head();
            for (labels, series) in newest_of_equal(family) {
                writer.series(&labels, series);
            }
        }
    }

    /// Whether there is a family of this name.
    pub(crate) fn has_family(&self, name: &str) -> bool {
        self.families.contains_key(name)
    }
}

/// Appends a family of one value without labels.
pub(crate) fn write_scalar(out: &mut String, name: &str, help: &str, kind: Kind, value: f64) {
    let kind = kind_name(kind);
    // Writing to a string cannot fail.
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {}", number(value)).ok();
}

type LabelPairs<'a> = Vec<(&'a str, &'a str)>;

/// Every series with all its labels. Strings may make two series have the same labels, which no reader takes: the
/// newest stays.
fn newest_of_equal(family: &Family) -> Vec<(LabelPairs<'_>, &Series)> {
    let mut all: Vec<(LabelPairs<'_>, &Series)> = family
        .series
        .iter()
        .map(|(labels, series)| {
            let mut pairs: LabelPairs<'_> = labels
                .iter()
                .chain(series.strings.iter())
                // An empty label is none.
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            pairs.sort_unstable();
            (pairs, series)
        })
        .collect();
    all.sort_by(|(a, x), (b, y)| a.cmp(b).then(y.time_ns.cmp(&x.time_ns)));
    all.dedup_by(|(a, _), (b, _)| a == b);
    all
}

struct Writer<'a> {
    out: &'a mut String,
    name: Cow<'a, str>,
    kind: Kind,
    timed: bool,
    escaping: Escaping,
}

impl Writer<'_> {
    fn head(&mut self) {
        let (name, kind) = (quoted(&self.name, true), kind_name(self.kind));
        writeln!(self.out, "# HELP {name} Telegraf collected metric\n# TYPE {name} {kind}").ok();
    }

    fn series(&mut self, labels: &LabelPairs<'_>, series: &Series) {
        match &series.value {
            Sample::Scalar(value) => self.line("", labels, None, *value, series),
            Sample::Distribution(distribution) => self.distribution(labels, distribution, series),
        }
    }

    fn distribution(&mut self, labels: &LabelPairs<'_>, distribution: &Distribution, series: &Series) {
        let (suffix, bound) = match self.kind {
            Kind::Histogram => ("_bucket", "le"),
            _ => ("", "quantile"),
        };
        for (at, value) in &distribution.points {
            self.line(suffix, labels, Some((bound, *at)), *value, series);
        }
        let last = distribution.points.last().copied();
        // A count that is missing is that of the widest bucket.
        let count =
            distribution.count.or(last.filter(|_| self.kind == Kind::Histogram).map(|(_, count)| count));
        if self.kind == Kind::Histogram
            && let Some(count) = count
            && last.is_none_or(|(at, _)| at < f64::INFINITY)
        {
            self.line(suffix, labels, Some((bound, f64::INFINITY)), count, series);
        }
        self.line("_sum", labels, None, distribution.sum.unwrap_or(0.0), series);
        self.line("_count", labels, None, count.unwrap_or(0.0), series);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &LabelPairs<'_>,
        bound: Option<(&str, f64)>,
        value: f64,
        series: &Series,
    ) {
        let name = format!("{}{suffix}", self.name);
        let mut separator = "{";
        if is_plain(&name, true) {
            self.out.push_str(&name);
        } else {
            self.out.push('{');
            push_quoted(self.out, &name);
            separator = ",";
        }
        let mut open = separator == ",";
        for (label, text) in labels {
            self.out.push_str(separator);
            self.out.push_str(&quoted(&escaped(label, false, self.escaping), false));
            self.out.push('=');
            push_quoted(self.out, text);
            (separator, open) = (",", true);
        }
        if let Some((label, at)) = bound {
            write!(self.out, "{separator}{label}=\"{}\"", number(at)).ok();
            open = true;
        }
        if open {
            self.out.push('}');
        }
        write!(self.out, " {}", number(value)).ok();
        if self.timed {
            write!(self.out, " {}", series.time_ns.div_euclid(1_000_000)).ok();
        }
        self.out.push('\n');
    }
}

fn escaped(name: &str, colons: bool, escaping: Escaping) -> Cow<'_, str> {
    match escaping {
        Escaping::Quotes => Cow::Borrowed(name),
        Escaping::Underscores if is_plain(name, colons) => Cow::Borrowed(name),
        Escaping::Underscores => {
            let name = underscores(name, colons);
            match name.starts_with(|c: char| c.is_ascii_digit()) {
                true => Cow::Owned(format!("_{name}")),
                false => name,
            }
        }
    }
}

fn quoted(name: &str, colons: bool) -> Cow<'_, str> {
    if is_plain(name, colons) {
        return Cow::Borrowed(name);
    }
    let mut text = String::new();
    push_quoted(&mut text, name);
    Cow::Owned(text)
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Summary => "summary",
        Kind::Untyped => "untyped",
    }
}

fn number(value: f64) -> String {
    number_until(value, GENERAL)
}
