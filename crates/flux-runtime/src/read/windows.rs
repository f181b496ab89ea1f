//! `aggregateWindow` done by the storage: windows of equal length, and what stands for those without points.

use crate::{
    Column, ColumnBuilder, Context, Error, Kind, Reduction, ReductionFunction, Value, Windows,
    read::times_column,
};

/// Windows that the storage makes.
#[derive(Debug, Clone)]
pub(crate) struct WindowedRead {
    /// One value of several.
    pub(crate) function: ReductionFunction,
    /// Equally long.
    pub(crate) windows: Windows,
    /// Whether a window without points has a row.
    pub(crate) create_empty: bool,
    /// What is told as a row's time.
    pub(crate) time: WindowTime,
}

/// What is told as the time of a window's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowTime {
    /// The window's first nanosecond.
    Start,
    /// The first nanosecond after it.
    Stop,
}

impl WindowedRead {
    pub(crate) const fn reduction(&self) -> Reduction {
        Reduction { function: self.function, windows: Some(self.windows) }
    }

    /// `_time` and `_value` of a series' windows, from those with points.
    pub(crate) fn fill(
        &self,
        context: &Context<'_>,
        times: &Column,
        values: &Column,
        (range_start, range_stop): (i64, i64),
    ) -> Result<[Column; 2], Error> {
        const ROW_BYTES: usize = 32;
        let Windows { every_ns, offset_ns } = self.windows;
        let told = |window: i64| match self.time {
            WindowTime::Start => window.max(range_start),
            WindowTime::Stop => window.saturating_add(every_ns).min(range_stop),
        };
        let starts = times.iter().filter_map(|time| match time {
            Value::Time(time) => Some(time),
            _ => None,
        });
        // A function that chooses a point has nothing to choose from.
        if !self.create_empty || self.function.selects() {
            let told = starts.map(told).collect();
            return Ok([times_column("_time", told), values.clone()]);
        }
        let first = floor(range_start, every_ns, offset_ns);
        let length = (i128::from(range_stop) - i128::from(first)).max(0);
        let count = (length + i128::from(every_ns) - 1) / i128::from(every_ns);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let _room = context.hold(count.saturating_mul(ROW_BYTES))?;
        let mut filled = ColumnBuilder::new("_value".into(), values.kind());
        let mut told_times = Vec::with_capacity(count);
        let mut known = starts.enumerate().peekable();
        let mut window = first;
        for _ in 0..count {
            told_times.push(told(window));
            match known.next_if(|(_, start)| *start <= window) {
                Some((row, _)) => {
                    if filled.push(values.get(row)).is_err() {
                        filled.push_null();
                    }
                }
                None if self.function == ReductionFunction::Count && values.kind() == Kind::Int => {
                    let _same_kind = filled.push(Value::Int(0));
                }
                None => filled.push_null(),
            }
            window = window.saturating_add(every_ns);
        }
        Ok([times_column("_time", told_times), filled.finish()])
    }
}

/// The start of the window that a time lies in.
pub(crate) fn floor(time_ns: i64, every_ns: i64, offset_ns: i64) -> i64 {
    let moved = i128::from(time_ns) - i128::from(offset_ns);
    let start = moved.div_euclid(i128::from(every_ns)) * i128::from(every_ns) + i128::from(offset_ns);
    i64::try_from(start).unwrap_or(i64::MIN)
}
