//! `integral(field[, unit])`: the area under the lines from point to point, cut where windows end.
//!
//! ```text
//!   value     *-------.
//!                     |`---__ *      the line across the edge belongs to both windows,
//!             window 1 | window 2    the value on the edge lies on it
//! ```
//!
//! What lies between the edge of a window and the next point counts for that point's window, even if windows without
//! points lie between. A window whose last point lies on its very start has no area and is left out, unless another
//! point follows. Points of all series of a group form one line; of several points of one time, the line arrives at
//! the one that the merge of the series comes to first, and leaves from the one that it comes to last.

use crate::{go_heap::GoHeap, window::Windows};

use super::{Points, Run, State, Statistics, native::Number};
use skywatch_model::FieldValue;

/// What `integral` is parametrised with.
#[derive(Debug, Clone)]
pub(crate) struct IntegralConfig {
    /// Nanoseconds that count as one.
    pub(crate) unit: f64,
    /// `GROUP BY time()`.
    pub(crate) windows: Option<Windows>,
    /// What is shown as time without it.
    pub(crate) origin: i64,
    /// Whether rows come latest first. The area is the same.
    pub(crate) descending: bool,
}

/// A point of the line.
#[derive(Debug, Clone, Copy)]
struct Point {
    time: i64,
    value: f64,
}

/// The points of a window; those of one series follow each other.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// With the place of their series in the group.
    points: Vec<(usize, Point)>,
}

impl<T: Number> State<T> for Line {
    type Config = IntegralConfig;

    fn update(&mut self, values: &[T], run: &Run<'_>, _: &IntegralConfig) {
        let point = |row: usize| Point { time: run.times[row], value: values[row].to_f64() };
        self.points.extend(run.valid_rows().map(|row| (run.member.place, point(row))));
    }

    fn update_statistics(&mut self, _: &Statistics<'_>, _: &IntegralConfig) -> bool {
        false
    }

    fn merge(&mut self, mut other: Self, _: &IntegralConfig) {
        self.points.append(&mut other.points);
    }

    fn finish(self, window_start: i64, config: &IntegralConfig, out: &mut Points) {
        <Self as State<T>>::finish_all(vec![self], &[window_start], config, out);
    }

    fn finish_all(windows: Vec<Self>, _: &[i64], config: &IntegralConfig, out: &mut Points) {
        let mut points: Vec<(usize, Point)> = windows.into_iter().flat_map(|window| window.points).collect();
        if config.descending {
            points.reverse();
        }
        let mut areas = areas(in_time(points), config);
        if config.descending {
            areas.reverse();
        }
        for (start, area) in areas {
            out.push(start, Some(FieldValue::Float(area)), None);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.points.capacity() * size_of::<(usize, Point)>()
    }
}

/// The points of all series, each of which comes in the order of time, merged by time. Of one time they come as
/// InfluxDB's heap leaves them.
fn in_time(mut points: Vec<(usize, Point)>) -> Vec<Point> {
    // Stable: the points of a series stay in the order of time.
    points.sort_by_key(|(place, _)| *place);
    let series: Vec<&[(usize, Point)]> = points.chunk_by(|a, b| a.0 == b.0).collect();
    if let [single] = series.as_slice() {
        return single.iter().map(|(_, point)| *point).collect();
    }
    let mut next = vec![0; series.len()];
    let heads = (0..series.len()).map(|stream| (stream, series[stream][0].1)).collect();
    let mut heap = GoHeap::new(heads, |a: &(usize, Point), b: &(usize, Point)| a.1.time < b.1.time);
    let mut merged = Vec::with_capacity(points.len());
    while let Some((stream, point)) = heap.pop() {
        merged.push(point);
        next[stream] += 1;
        if let Some((_, point)) = series[stream].get(next[stream]) {
            heap.push((stream, *point));
        }
    }
    merged
}

/// Start and area of each window that has one.
fn areas(points: Vec<Point>, config: &IntegralConfig) -> Vec<(i64, f64)> {
    let window = |time: i64| config.windows.as_ref().map_or((0, i64::MAX), |windows| windows.of(time));
    let mut points = points.into_iter();
    let Some(mut last) = points.next() else { return Vec::new() };
    let trapezium = |from: Point, to: Point| {
        0.5 * (from.value + to.value) * (to.time.wrapping_sub(from.time) as f64 / config.unit)
    };
    let mut areas = Vec::new();
    let (mut start, mut end) = window(last.time);
    let mut area = 0.0;
    for point in points {
        if point.time == last.time {
            last = point;
            continue;
        }
        if point.time >= end {
            if last.time != end {
                let edge = Point { time: end, value: on_line(end, last, point) };
                area += trapezium(last, edge);
                last = edge;
            }
            areas.push((start, area));
            (start, end) = window(point.time);
            area = 0.0;
        }
        area += trapezium(last, point);
        last = point;
    }
    if last.time != start {
        areas.push((if config.windows.is_some() { start } else { config.origin }, area));
    }
    areas
}

/// The value at a time on the line through two points.
fn on_line(time: i64, from: Point, to: Point) -> f64 {
    let slope = (to.value - from.value) / to.time.wrapping_sub(from.time) as f64;
    slope * time.wrapping_sub(from.time) as f64 + from.value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(interval: Option<i64>) -> IntegralConfig {
        let windows = interval.map(|interval| Windows::new(interval, 0, None));
        IntegralConfig { unit: 10.0, windows, origin: 0, descending: false }
    }

    fn line(points: &[(i64, f64)]) -> Vec<Point> {
        points.iter().map(|(time, value)| Point { time: *time, value: *value }).collect()
    }

    #[test]
    fn the_area_of_a_line_is_shared_out_among_windows() {
        let points = [(0, 0.0), (10, 10.0), (30, 30.0), (40, 0.0)];
        assert_eq!(areas(line(&points), &config(None)), [(0, 60.0)]);
        // The last point lies on the start of its window.
        assert_eq!(areas(line(&points), &config(Some(20))), [(0, 20.0), (20, 40.0)]);
        // From the edge at 20 on, everything is the next point's window's.
        assert_eq!(areas(line(&[(10, 1.0), (70, 7.0)]), &config(Some(20))), [(0, 1.5), (60, 22.5)]);
    }

    #[test]
    fn points_of_one_time_are_a_jump() {
        assert_eq!(areas(line(&[(0, 1.0), (10, 1.0), (10, 5.0), (20, 5.0)]), &config(None)), [(0, 6.0)]);
    }

    #[test]
    fn a_point_has_no_area() {
        assert_eq!(areas(line(&[(7, 3.0)]), &config(None)), [(0, 0.0)]);
        assert_eq!(areas(line(&[(40, 3.0)]), &config(Some(20))), []);
        assert_eq!(areas(Vec::new(), &config(None)), []);
    }

    #[test]
    fn series_are_merged_by_time() {
        let point = |time: i64, value: f64| Point { time, value };
        let points = vec![(1, point(2, 1.0)), (1, point(4, 2.0)), (0, point(1, 3.0)), (0, point(3, 4.0))];
        let times: Vec<i64> = in_time(points).iter().map(|point| point.time).collect();
        assert_eq!(times, [1, 2, 3, 4]);
    }
}
