//! The newest value of every series, by family.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use skywatch_model::FieldValue;

use super::{Layout, Options};
use crate::metric::{Kind, Metric};

/// Labels, sorted by name.
pub(super) type Labels = Arc<[(String, String)]>;

/// Every family.
#[derive(Debug, Default)]
pub(crate) struct Families {
    pub(super) families: BTreeMap<String, Family>,
    series: usize,
}

/// The series of a name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: Kind,
    /// By what the tags became.
    pub(super) series: BTreeMap<Labels, Series>,
}

/// A series' newest value.
#[derive(Debug)]
pub(super) struct Series {
    /// Further labels, of string fields.
    pub(super) strings: Labels,
    pub(super) value: Sample,
    pub(super) time_ns: i64,
    /// When it was added, in milliseconds of any clock that does not go back.
    added_ms: u64,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Sample {
    Scalar(f64),
    /// Of a histogram or a summary.
    Distribution(Distribution),
}

/// What is known of a histogram or a summary.
#[derive(Debug, Clone, Default)]
pub(super) struct Distribution {
    pub(super) count: Option<f64>,
    pub(super) sum: Option<f64>,
    /// Counts by bound, or values by quantile, in ascending order.
    pub(super) points: Vec<(f64, f64)>,
}

impl Distribution {
    fn set(&mut self, part: Part, value: f64) {
        match part {
            Part::Count => self.count = Some(value),
            Part::Sum => self.sum = Some(value),
            Part::Point(at) => match self.points.binary_search_by(|(point, _)| point.total_cmp(&at)) {
                Ok(found) => {
                    if let Some(point) = self.points.get_mut(found) {
                        point.1 = value;
                    }
                }
                Err(place) => self.points.insert(place, (at, value)),
            },
        }
    }
}

/// Which part of a series a field is.
#[derive(Debug, Clone, Copy)]
enum Part {
    Count,
    Sum,
    Point(f64),
}

/// There is no room for another series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Families {
    /// How many series there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.series
    }

    /// Puts the fields of a metric into their series; an older value never replaces a newer one. With `series_max`
    /// series there, those that would be further ones are left out.
    pub(crate) fn add(
        &mut self,
        metric: &Metric,
        options: &Options,
        now_ms: u64,
        series_max: usize,
    ) -> Result<(), Full> {
        let labels = labels(metric, options);
        let strings = strings(metric, options, &labels);
        let mut result = Ok(());
        for (key, value) in metric.fields() {
            let Some(number) = number(value, options.layout) else { continue };
            let Some((name, part)) = place(metric, key, options.layout) else { continue };
            let Some(name) = options.names.family(&name) else { continue };
            let kind = match part {
                None => options.kinds.of(&name, metric.kind),
                Some(_) => metric.kind,
            };
            let now = Now { time_ns: metric.time_ns, ms: now_ms };
            if self.series >= series_max && !self.has(&name, &labels) {
                result = Err(Full);
            } else {
                self.set(name.into_owned(), kind, (&labels, &strings), (part, number), now);
            }
        }
        result
    }

    fn has(&self, name: &str, labels: &Labels) -> bool {
        self.families.get(name).is_some_and(|family| family.series.contains_key(labels))
    }

    fn set(
        &mut self,
        name: String,
        kind: Kind,
        (labels, strings): (&Labels, &Labels),
        (part, number): (Option<Part>, f64),
        now: Now,
    ) {
        let family = self.families.entry(name).or_insert_with(|| Family { kind, series: BTreeMap::new() });
        // A family has one kind; what comes later with another is not the same thing.
        if family.kind != kind {
            return;
        }
        let value = |old: Option<Sample>| match (part, old) {
            (None, _) => Sample::Scalar(number),
            (Some(part), old) => {
                let mut distribution = match old {
                    Some(Sample::Distribution(distribution)) => distribution,
                    _ => Distribution::default(),
                };
                distribution.set(part, number);
                Sample::Distribution(distribution)
            }
        };
        match family.series.entry(Arc::clone(labels)) {
            Entry::Vacant(vacant) => {
                let (strings, value) = (Arc::clone(strings), value(None));
                vacant.insert(Series { strings, value, time_ns: now.time_ns, added_ms: now.ms });
                self.series += 1;
            }
            Entry::Occupied(mut occupied) => {
                let series = occupied.get_mut();
                if series.time_ns > now.time_ns {
                    return;
                }
                let old = std::mem::replace(&mut series.value, Sample::Scalar(0.0));
                series.value = value(Some(old));
                series.strings = Arc::clone(strings);
                (series.time_ns, series.added_ms) = (now.time_ns, now.ms);
            }
        }
    }

    /// Forgets the series that were added last before `before_ms`.
    pub(crate) fn expire(&mut self, before_ms: u64) {
        for family in self.families.values_mut() {
            family.series.retain(|_, series| series.added_ms >= before_ms);
        }
        self.families.retain(|_, family| !family.series.is_empty());
        self.series = self.families.values().map(|family| family.series.len()).sum();
    }
}

/// A metric's own time, and the clock's.
#[derive(Debug, Clone, Copy)]
struct Now {
    time_ns: i64,
    ms: u64,
}

/// The name of the family a field belongs to, and which part of a series it is where it is a part only.
fn place(metric: &Metric, key: &str, layout: Layout) -> Option<(String, Option<Part>)> {
    let measurement = metric.name.as_ref();
    let distributed = matches!(metric.kind, Kind::Histogram | Kind::Summary);
    match layout {
        Layout::One if distributed => {
            let part = match key {
                "count" => Part::Count,
                "sum" => Part::Sum,
                bound => Part::Point(bound.parse().ok()?),
            };
            Some((measurement.to_owned(), Some(part)))
        }
        Layout::One => {
            let bare = match key {
                "value" => true,
                "counter" => metric.kind == Kind::Counter,
                "gauge" => metric.kind == Kind::Gauge,
                _ => false,
            };
            Some((if bare { measurement.to_owned() } else { format!("{measurement}_{key}") }, None))
        }
        Layout::Two => {
            let (key, part) = if distributed { part_by_suffix(metric, key)? } else { (key, None) };
            Some((
                if measurement == "prometheus" { key.to_owned() } else { format!("{measurement}_{key}") },
                part,
            ))
        }
    }
}

/// `x_count` and `x_sum`, and `x_bucket` with the tag `le`, or `x` with the tag `quantile`.
fn part_by_suffix<'a>(metric: &Metric, key: &'a str) -> Option<(&'a str, Option<Part>)> {
    if let Some(key) = key.strip_suffix("_count") {
        return Some((key, Some(Part::Count)));
    }
    if let Some(key) = key.strip_suffix("_sum") {
        return Some((key, Some(Part::Sum)));
    }
    let (key, bound) = match metric.kind {
        Kind::Histogram => (key.strip_suffix("_bucket")?, metric.tag_value("le")?),
        _ => (key, metric.tag_value("quantile")?),
    };
    Some((key, Some(Part::Point(bound.parse().ok()?))))
}

fn number(value: &FieldValue, layout: Layout) -> Option<f64> {
    match value {
        FieldValue::Float(number) => Some(*number),
        FieldValue::Integer(number) => Some(*number as f64),
        FieldValue::Unsigned(number) => Some(*number as f64),
        FieldValue::Boolean(value) if layout == Layout::Two => Some(f64::from(u8::from(*value))),
        FieldValue::Boolean(_) | FieldValue::String(_) => None,
    }
}

/// The labels that the tags become. Of two tags with the same name once it is made valid, the first stays.
fn labels(metric: &Metric, options: &Options) -> Labels {
    let bound = match (options.layout, metric.kind) {
        (Layout::Two, Kind::Histogram) => "le",
        (Layout::Two, Kind::Summary) => "quantile",
        _ => "",
    };
    let mut labels = BTreeMap::new();
    for (key, value) in metric.tags().iter().filter(|(key, _)| key != bound) {
        if let Some(name) = options.names.label(key) {
            labels.entry(name.into_owned()).or_insert_with(|| value.clone());
        }
    }
    labels.into_iter().collect()
}

/// The labels that the string fields become, where no tag has the name.
fn strings(metric: &Metric, options: &Options, labels: &Labels) -> Labels {
    let mut strings = BTreeMap::new();
    if options.string_as_label {
        for (key, value) in metric.fields() {
            if let (FieldValue::String(text), Some(name)) = (value, options.names.label(key))
                && !labels.iter().any(|(label, _)| *label == name)
            {
                strings.entry(name.into_owned()).or_insert_with(|| text.to_string());
            }
        }
    }
    strings.into_iter().collect()
}
