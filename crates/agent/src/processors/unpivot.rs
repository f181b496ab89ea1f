//! `unpivot`: every field becomes a metric of its own; its key becomes a tag or the measurement.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::processor::Processor;

/// The processor.
#[derive(Debug)]
struct Unpivot {
    /// Where the fields' keys go; `None` into the measurement's name.
    tag_key: Option<String>,
    value_key: String,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    let tag_key = section.string("tag_key")?.unwrap_or_else(|| "name".to_owned());
    let value_key = section.string("value_key")?.unwrap_or_else(|| "value".to_owned());
    let as_tag = match section.string("use_fieldname_as")?.as_deref() {
        None | Some("" | "tag") => true,
        Some("metric") => false,
        Some(other) => {
            let reason = format!("{other:?} is neither \"tag\" nor \"metric\"");
            return Err(section.bad("use_fieldname_as", reason));
        }
    };
    Ok(Box::new(Unpivot { tag_key: as_tag.then_some(tag_key), value_key }))
}

impl Processor for Unpivot {
    fn apply(&mut self, metric: Metric, _: i64, out: &mut Vec<Metric>) {
        for (key, value) in metric.fields() {
            let mut single = metric.child().field(self.value_key.clone(), value.clone());
            match &self.tag_key {
                Some(tag) => single.set_tag(tag.clone(), key.clone()),
                None => single.name = key.clone(),
            }
            out.push(single);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::applied;
    use super::*;

    #[test]
    fn a_metric_for_every_field() {
        let metric = || Metric::new("cpu", 7).tag("cpu", "cpu0").field("idle", 42_u64).field("user", 0.5);
        assert_eq!(
            applied(build, "", metric()),
            ["cpu,cpu=cpu0,name=idle value=42u 7", "cpu,cpu=cpu0,name=user value=0.5 7"]
        );
        assert_eq!(
            applied(build, "use_fieldname_as='metric'\nvalue_key='v'", metric()),
            ["idle,cpu=cpu0 v=42u 7", "user,cpu=cpu0 v=0.5 7"]
        );
    }
}
