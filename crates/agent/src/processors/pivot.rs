//! `pivot`: a tag's value becomes the key of a field.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::processor::Processor;

/// The processor.
#[derive(Debug)]
struct Pivot {
    tag_key: String,
    value_key: String,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    Ok(Box::new(Pivot {
        tag_key: section.string("tag_key")?.unwrap_or_default(),
        value_key: section.string("value_key")?.unwrap_or_default(),
    }))
}

impl Processor for Pivot {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        // Both or neither: a metric without one of them stays as it is.
        if metric.tag_value(&self.tag_key).is_some()
            && let Some(value) = metric.remove_field(&self.value_key)
            && let Some(key) = metric.remove_tag(&self.tag_key)
        {
            metric.set_field(key, value);
        }
        out.push(metric);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::applied;
    use super::*;

    #[test]
    fn a_tag_names_the_field() {
        let options = "tag_key='name'\nvalue_key='value'";
        let metric = Metric::new("cpu", 7).tag("cpu", "cpu0").tag("name", "time_idle").field("value", 42_u64);
        assert_eq!(applied(build, options, metric), ["cpu,cpu=cpu0 time_idle=42u 7"]);
        let without = Metric::new("cpu", 7).tag("name", "time_idle").field("other", 1_i64);
        assert_eq!(applied(build, options, without), ["cpu,name=time_idle other=1i 7"]);
    }
}
