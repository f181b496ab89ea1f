//! One number per series.

use crate::{Time, source::Point};

/// How a series becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reducer {
    /// Sum of all values.
    Sum,
    /// Arithmetic mean.
    Mean,
    /// Smallest.
    Min,
    /// Greatest.
    Max,
    /// Number of points, nulls included unless dropped.
    Count,
    /// Newest.
    Last,
    /// Middle value; the mean of two when there is an even number.
    Median,
    /// Seconds since the newest point that has a value. Skywatch's own: it tells when something fell silent.
    Age,
}

impl Reducer {
    /// Names that files use.
    pub const NAMES: &[&str] = &["last", "mean", "min", "max", "sum", "count", "median", "age"];

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Sum,
            "mean" | "avg" => Self::Mean,
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "last" => Self::Last,
            "median" => Self::Median,
            "age" => Self::Age,
            _ => return None,
        })
    }

    /// Reduces the points of one series, oldest first.
    pub fn reduce(self, points: &[Point], mode: ReduceMode, now: Time) -> Option<f64> {
        if self == Self::Age {
            let newest =
                points.iter().filter(|point| is_number(point.value)).map(|point| point.time).max()?;
            return Some(now.since(newest).as_secs_f64());
        }
        let values: Vec<f64> = match mode {
            ReduceMode::Strict => points.iter().map(|point| point.value.unwrap_or(f64::NAN)).collect(),
            ReduceMode::DropNonNumbers => {
                points.iter().filter_map(|point| point.value.filter(|value| value.is_finite())).collect()
            }
            ReduceMode::ReplaceNonNumbers(with) => points
                .iter()
                .map(|point| point.value.filter(|value| value.is_finite()).unwrap_or(with))
                .collect(),
        };
        let result = self.compute(values);
        match mode {
            ReduceMode::Strict => Some(result),
            ReduceMode::DropNonNumbers => Some(result).filter(|value| !value.is_nan()),
            ReduceMode::ReplaceNonNumbers(with) => Some(if result.is_nan() { with } else { result }),
        }
    }

    fn compute(self, mut values: Vec<f64>) -> f64 {
        let any_nan = values.iter().any(|value| value.is_nan());
        let count = values.len();
        match self {
            Self::Count => count as f64,
            Self::Last => values.last().copied().unwrap_or(f64::NAN),
            _ if any_nan => f64::NAN,
            Self::Sum => values.iter().sum(),
            Self::Mean => values.iter().sum::<f64>() / count as f64,
            Self::Min => values.iter().copied().reduce(f64::min).unwrap_or(f64::NAN),
            Self::Max => values.iter().copied().reduce(f64::max).unwrap_or(f64::NAN),
            Self::Median | Self::Age => {
                values.sort_by(f64::total_cmp);
                match (count, count % 2) {
                    (0, _) => f64::NAN,
                    (_, 1) => values[count / 2],
                    _ => (values[count / 2 - 1] + values[count / 2]) / 2.0,
                }
            }
        }
    }
}

fn is_number(value: Option<f64>) -> bool {
    value.is_some_and(|value| !value.is_nan())
}

/// What to do with nulls and NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReduceMode {
    /// Any makes the result NaN.
    Strict,
    /// They (and infinities) are left out; nothing left is null.
    DropNonNumbers,
    /// They become this number.
    ReplaceNonNumbers(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[Option<f64>]) -> Vec<Point> {
        (1i64..)
            .zip(values)
            .map(|(at, value)| Point { time: Time::from_millis(at * 1000), value: *value })
            .collect()
    }

    #[test]
    fn every_reducer_in_every_mode() {
        use Reducer::*;
        let full = points(&[Some(3.0), Some(1.0), Some(2.0), Some(10.0)]);
        let holes = points(&[Some(3.0), None, Some(f64::NAN), Some(10.0), None]);
        let now = Time::from_millis(10_000);
        for (reducer, all, dropped, replaced) in [
            (Sum, 16.0, 13.0, 10.0),
            (Mean, 4.0, 6.5, 2.0),
            (Min, 1.0, 3.0, -1.0),
            (Max, 10.0, 10.0, 10.0),
            (Count, 4.0, 2.0, 5.0),
            (Last, 10.0, 10.0, -1.0),
            (Median, 2.5, 6.5, -1.0),
            (Age, 6.0, 6.0, 6.0),
        ] {
            assert_eq!(reducer.reduce(&full, ReduceMode::Strict, now), Some(all), "{reducer:?}");
            assert_eq!(reducer.reduce(&holes, ReduceMode::DropNonNumbers, now), Some(dropped), "{reducer:?}");
            let mode = ReduceMode::ReplaceNonNumbers(-1.0);
            assert_eq!(reducer.reduce(&holes, mode, now), Some(replaced), "{reducer:?}");
        }
    }

    #[test]
    fn strict_is_nan_with_holes_and_nothing_is_null_when_dropping() {
        let holes = points(&[Some(3.0), None]);
        let now = Time::from_millis(0);
        for reducer in
            [Reducer::Sum, Reducer::Mean, Reducer::Min, Reducer::Max, Reducer::Last, Reducer::Median]
        {
            assert!(reducer.reduce(&holes, ReduceMode::Strict, now).is_some_and(f64::is_nan), "{reducer:?}");
        }
        for reducer in [Reducer::Mean, Reducer::Min, Reducer::Max, Reducer::Last, Reducer::Median] {
            assert_eq!(
                reducer.reduce(&points(&[None]), ReduceMode::DropNonNumbers, now),
                None,
                "{reducer:?}"
            );
        }
        assert_eq!(Reducer::Count.reduce(&points(&[None]), ReduceMode::DropNonNumbers, now), Some(0.0));
        assert_eq!(Reducer::Age.reduce(&points(&[None]), ReduceMode::Strict, now), None);
    }
}
