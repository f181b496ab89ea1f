//! LIMIT over windows: ranges of time that may suffice, so that not everything is aggregated for a few rows.
//!
//! ```text
//! GROUP BY time(1m) ORDER BY time DESC LIMIT 5
//!
//!   range of the query   [..............................|====]
//!   tried first                                          the newest 5 windows
//!   then                             the newest 80, then all of them
//! ```
//!
//! A range suffices once every call has in it as many points as its rows need: one where empty windows are filled,
//! since rows are then consecutive windows from the end of the range on; as many as are asked for where they are not.

use skywatch_influxql::Fill;
use skywatch_model::{MIN_TIME, TimeRange};

use crate::{
    kernel::Points,
    plan::{CallPlan, SelectPlan},
    window::Windows,
};

/// Most windows that are tried before all of them.
const WINDOWS_MAX: u64 = 4096;
/// How many times more windows are tried when some were not enough.
const GROWTH: u64 = 16;

/// What to read, one after the other, until it suffices.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Parts of the range of the query; at last all of it.
    pub(super) ranges: Vec<TimeRange>,
    /// Points that every call needs in a part.
    points: usize,
}

impl Attempts {
    /// For a plan of calls.
    pub(super) fn new(plan: &SelectPlan) -> Self {
        let mut ranges = Vec::new();
        let wanted = plan.offset.saturating_add(plan.limit);
        if let Some(windows) = plan.windows.as_ref().filter(|_| suits(plan)) {
            let mut count = wanted;
            while count <= WINDOWS_MAX
                && let Some(range) = nearest(plan, windows, count)
            {
                ranges.push(range);
                count *= GROWTH;
            }
        }
        ranges.push(plan.range);
        let points = if plan.fill == Fill::None { usize::try_from(wanted).unwrap_or(usize::MAX) } else { 1 };
        Self { ranges, points }
    }

    /// Whether what the calls of a group answered in a part of the range is what they would answer in all of it, as
    /// far as it is shown.
    pub(super) fn suffice(&self, calls: &[CallPlan], points: &[Points]) -> bool {
        let mut asked = calls.iter().zip(points).filter(|(call, _)| call.argument.is_some());
        asked.all(|(_, points)| points.times.len() >= self.points)
    }
}

/// Whether the first rows depend on nothing beyond them.
fn suits(plan: &SelectPlan) -> bool {
    // Ascending from an open start, rows begin with the first point, wherever that is.
    let has_begin = !plan.ascending || plan.range.start != MIN_TIME;
    let one_point_a_window = plan.calls.iter().all(|call| call.function.filled);
    plan.limit > 0 && has_begin && one_point_a_window && plan.fill != Fill::Linear
}

/// The first `count` windows in the order of the query; `None` if that is all of its range.
fn nearest(plan: &SelectPlan, windows: &Windows, count: u64) -> Option<TimeRange> {
    let range = plan.range;
    if plan.ascending {
        let mut end = windows.of(range.start).0;
        for _ in 0..count {
            end = windows.next(end);
        }
        (end <= range.end).then(|| TimeRange::new(range.start, end.saturating_sub(1)))
    } else {
        let mut start = windows.of(range.end).0;
        for _ in 1..count {
            start = windows.previous(start);
        }
        (start > range.start).then(|| TimeRange::new(start, range.end))
    }
}
