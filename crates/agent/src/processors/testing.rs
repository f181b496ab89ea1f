//! Processors in tests: lines in, lines out.

use skywatch_model::serialize::SerializeOptions;

use crate::config::{ConfigError, section_for_tests};
use crate::context::Context;
use crate::metric::Metric;
use crate::processor::Processor;
use crate::registry::Build;

/// A processor of this table, which must have no keys that are left over.
pub(crate) fn try_processor(
    build: Build<dyn Processor>,
    options: &str,
) -> Result<Box<dyn Processor>, ConfigError> {
    let mut section = section_for_tests(options);
    let processor = build(&mut section, &Context::default())?;
    assert!(section.finish().is_ok(), "options nobody asked for in {options:?}");
    Ok(processor)
}

/// What becomes of one metric, as lines with `u` for unsigned values.
pub(crate) fn applied(build: Build<dyn Processor>, options: &str, metric: Metric) -> Vec<String> {
    let mut processor = try_processor(build, options).expect("valid options");
    let mut out = Vec::new();
    processor.apply(metric, 0, &mut out);
    lines(&out)
}

/// Metrics as lines without their line feeds.
pub(crate) fn lines(metrics: &[Metric]) -> Vec<String> {
    let options = SerializeOptions { uint_support: true, ..SerializeOptions::default() };
    metrics
        .iter()
        .map(|metric| {
            let mut line = String::new();
            crate::line::append(&mut line, metric, true, options).expect("a metric that can be written");
            line.trim_end().to_owned()
        })
        .collect()
}
