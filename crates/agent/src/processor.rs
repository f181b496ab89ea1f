//! What a processor is: something that changes, drops or multiplies metrics on their way.
//!
//! An instance sees one metric at a time, in order, on one thread; what it wants to remember it keeps.

use std::fmt;

use crate::metric::Metric;

/// A step between inputs and outputs.
pub trait Processor: Send + fmt::Debug {
    /// Takes a metric and puts what becomes of it into `out`: nothing, itself, or several. `now_ns` is the wall
    /// clock in nanoseconds since the Unix epoch.
    ///
    /// A metric made from another starts as its [`child`](Metric::child), so that its source learns when both are
    /// delivered.
    fn apply(&mut self, metric: Metric, now_ns: i64, out: &mut Vec<Metric>);

    /// Gives out what is held back; called once, at the end.
    fn drain(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        let _ = (now_ns, out);
    }
}
