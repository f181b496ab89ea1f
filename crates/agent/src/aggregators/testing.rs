//! Aggregators in tests: metrics in, lines out.

use crate::aggregator::Aggregator;
use crate::config::{ConfigError, section_for_tests};
use crate::context::Context;
use crate::metric::Metric;
use crate::processors::testing::lines;
use crate::registry::Build;

/// An aggregator of this table, which must have no keys that are left over.
pub(crate) fn try_aggregator(
    build: Build<dyn Aggregator>,
    options: &str,
) -> Result<Box<dyn Aggregator>, ConfigError> {
    let mut section = section_for_tests(options);
    let aggregator = build(&mut section, &Context::default())?;
    assert!(section.finish().is_ok(), "options nobody asked for in {options:?}");
    Ok(aggregator)
}

/// One window: adds, pushes at `now_ns`, resets.
pub(crate) fn window(aggregator: &mut dyn Aggregator, metrics: &[Metric], now_ns: i64) -> Vec<String> {
    metrics.iter().for_each(|metric| aggregator.add(metric));
    let mut out = Vec::new();
    aggregator.push(now_ns, &mut out);
    aggregator.reset();
    lines(&out)
}
