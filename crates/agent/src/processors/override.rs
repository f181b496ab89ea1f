//! `override`: names and tags that replace what the metric has.

use std::collections::BTreeMap;

use crate::config::{ConfigError, Rename, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::processor::Processor;

/// The processor.
#[derive(Debug)]
struct Override {
    rename: Rename,
    tags: BTreeMap<String, String>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    Ok(Box::new(Override {
        rename: Rename::from_section(section)?,
        tags: section.string_table("tags")?.unwrap_or_default(),
    }))
}

impl Processor for Override {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        self.rename.apply(&mut metric);
        for (key, value) in &self.tags {
            metric.set_tag(key.clone(), value.clone());
        }
        out.push(metric);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::applied;
    use super::*;

    #[test]
    fn the_metrics_own_tags_are_replaced() {
        let options = "name_override='n'\nname_prefix='p_'\nname_suffix='_s'\n[tags]\nrack='r2'\nnew='1'\n";
        let metric = Metric::new("m", 7).tag("rack", "r1").field("a", 1_i64);
        assert_eq!(applied(build, options, metric), ["p_n_s,new=1,rack=r2 a=1i 7"]);
    }
}
