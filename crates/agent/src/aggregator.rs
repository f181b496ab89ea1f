//! What an aggregator is: something that watches metrics for a while and then says something about them.
//!
//! Windows, grace and delay are the pipeline's business; an aggregator sees only metrics that belong to its window.

use std::fmt;

use crate::metric::Metric;

/// A summary over a window of time.
pub trait Aggregator: Send + fmt::Debug {
    /// Takes a metric into account.
    fn add(&mut self, metric: &Metric);

    /// Puts the window's metrics into `out`; `now_ns`, the end of the window in nanoseconds since the Unix epoch, is
    /// the time of those that have none of their own.
    fn push(&mut self, now_ns: i64, out: &mut Vec<Metric>);

    /// Begins the next window.
    fn reset(&mut self);

    /// Whether the times of its metrics are kept to the nanosecond whatever the agent's precision.
    fn keeps_times(&self) -> bool {
        false
    }
}
