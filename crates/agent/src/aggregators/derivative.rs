//! `derivative`: how fast fields change, by time or by another field.

use crate::aggregator::Aggregator;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::field_value;
use crate::metric::{Key, Metric};
use crate::series::SeriesMap;

/// The aggregator.
#[derive(Debug)]
struct Derivative {
    suffix: String,
    /// The field to derive by; empty is the time in seconds.
    variable: String,
    /// Windows without a second point after which the first is forgotten.
    max_roll_over: u64,
    series: SeriesMap<Points>,
}

/// The earliest and the latest point of a window.
#[derive(Debug)]
struct Points {
    first: Point,
    last: Option<Point>,
    rolled_over: u64,
}

#[derive(Debug)]
struct Point {
    time_ns: i64,
    fields: Vec<(Key, f64)>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Aggregator>, ConfigError> {
    Ok(Box::new(Derivative {
        suffix: section
            .string("suffix")?
            .map_or_else(|| "_rate".to_owned(), |suffix| suffix.trim().to_owned()),
        variable: section.string("variable")?.unwrap_or_default(),
        max_roll_over: section.count("max_roll_over")?.unwrap_or(10) as u64,
        series: SeriesMap::default(),
    }))
}

impl Point {
    fn of(metric: &Metric) -> Self {
        let number = |(key, value): &(Key, _)| Some((key.clone(), field_value::number(value)?));
        Self { time_ns: metric.time_ns, fields: metric.fields().iter().filter_map(number).collect() }
    }

    fn field(&self, key: &str) -> Option<f64> {
        self.fields.iter().find(|(known, _)| known == key).map(|(_, value)| *value)
    }
}

impl Points {
    fn add(&mut self, point: Point) {
        let newest = self.last.as_ref().map_or(self.first.time_ns, |last| last.time_ns);
        if point.time_ns < self.first.time_ns {
            let first = std::mem::replace(&mut self.first, point);
            self.last.get_or_insert(first);
        } else if point.time_ns > newest {
            self.last = Some(point);
        }
    }
}

impl Aggregator for Derivative {
    fn add(&mut self, metric: &Metric) {
        let point = Point::of(metric);
        if point.fields.is_empty() {
            return;
        }
        match self.series.get_mut(metric) {
            Some(points) => points.add(point),
            None => {
                self.series.entry(metric, || Points { first: point, last: None, rolled_over: 0 });
            }
        }
    }

    fn push(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        for entry in self.series.iter() {
            let Points { first, last: Some(last), .. } = &entry.value else { continue };
            let Some(run) = self.run(first, last).filter(|run| *run != 0.0) else { continue };
            let mut metric = entry.metric(now_ns);
            for (key, value) in last.fields.iter().filter(|(key, _)| *key != self.variable) {
                if let Some(before) = first.field(key) {
                    metric.set_field(format!("{key}{}", self.suffix), (value - before) / run);
                }
            }
            if !metric.fields().is_empty() {
                out.push(metric);
            }
        }
    }

    /// The last point of a window is the first of the next, so that no change falls between two.
    fn reset(&mut self) {
        let max_roll_over = self.max_roll_over;
        self.series.retain(|entry| {
            let points = &mut entry.value;
            match points.last.take() {
                Some(last) => {
                    points.first = last;
                    points.rolled_over = 0;
                }
                None => points.rolled_over += 1,
            }
            points.rolled_over <= max_roll_over
        });
    }
}

impl Derivative {
    /// By how much what is derived by has grown.
    fn run(&self, first: &Point, last: &Point) -> Option<f64> {
        if self.variable.is_empty() {
            return Some((last.time_ns - first.time_ns) as f64 / 1e9);
        }
        Some(last.field(&self.variable)? - first.field(&self.variable)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{try_aggregator, window};
    use super::*;

    const S: i64 = 1_000_000_000;

    fn net(time: i64, bytes: i64) -> Metric {
        Metric::new("net", time * S).tag("if", "eth0").field("bytes", bytes).field("name", "x")
    }

    #[test]
    fn per_second_between_the_first_and_the_last_of_a_window_and_across_windows() {
        let mut rate = try_aggregator(build, "").expect("valid");
        assert_eq!(
            window(&mut *rate, &[net(1, 100), net(3, 300), net(2, 7)], 9 * S),
            ["net,if=eth0 bytes_rate=100 9000000000"]
        );
        assert_eq!(window(&mut *rate, &[net(5, 400)], 10 * S), ["net,if=eth0 bytes_rate=50 10000000000"]);
        assert!(window(&mut *rate, &[], 11 * S).is_empty(), "one point is no change");
        assert_eq!(window(&mut *rate, &[net(9, 800)], 12 * S), ["net,if=eth0 bytes_rate=100 12000000000"]);
    }

    #[test]
    fn per_unit_of_another_field() {
        let mut rate = try_aggregator(build, "variable='parcels'\nsuffix='_by_parcel'").expect("valid");
        let metric = |time: i64, parcels: i64, km: i64| {
            Metric::new("truck", time * S).field("parcels", parcels).field("km", km)
        };
        assert_eq!(
            window(&mut *rate, &[metric(1, 10, 0), metric(2, 6, 100)], 9),
            ["truck km_by_parcel=-25 9"]
        );
        assert!(window(&mut *rate, &[metric(3, 6, 200)], 9).is_empty(), "no change to derive by");
    }

    #[test]
    fn a_silent_series_is_forgotten() {
        let mut rate = try_aggregator(build, "max_roll_over=1").expect("valid");
        window(&mut *rate, &[net(1, 100)], 2 * S);
        window(&mut *rate, &[], 3 * S);
        assert!(window(&mut *rate, &[net(4, 400)], 5 * S).is_empty());
    }
}
