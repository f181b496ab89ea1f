//! `tag_limit`: no more tags than so many; those to keep are kept.

use std::collections::BTreeSet;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::processor::Processor;

/// The processor.
#[derive(Debug)]
struct TagLimit {
    limit: usize,
    keep: BTreeSet<String>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    let keep: BTreeSet<_> = section.strings("keep")?.unwrap_or_default().into_iter().collect();
    let limit = section.count("limit")?.unwrap_or(0);
    if limit == 0 {
        return Err(section.bad("limit", "say how many tags a metric may have"));
    }
    if keep.len() > limit {
        return Err(section.bad("keep", format!("{} tags to keep and a limit of {limit}", keep.len())));
    }
    Ok(Box::new(TagLimit { limit, keep }))
}

impl Processor for TagLimit {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        let mut excess = metric.tags().len().saturating_sub(self.limit);
        if excess > 0 {
            metric.retain_tags(|key| {
                if excess == 0 || self.keep.contains(key) {
                    return true;
                }
                excess -= 1;
                false
            });
        }
        out.push(metric);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{applied, try_processor};
    use super::*;

    #[test]
    fn tags_beyond_the_limit_go_in_the_order_of_their_keys() {
        let metric = || {
            let tags = Metric::new("m", 7).tag("a", "1").tag("b", "2").tag("c", "3").tag("d", "4");
            tags.field("x", 1_i64)
        };
        assert_eq!(applied(build, "limit=3\nkeep=['a']", metric()), ["m,a=1,c=3,d=4 x=1i 7"]);
        assert_eq!(applied(build, "limit=4", metric()), ["m,a=1,b=2,c=3,d=4 x=1i 7"]);
    }

    #[test]
    fn more_to_keep_than_allowed_is_a_fault() {
        assert!(try_processor(build, "limit=1\nkeep=['a','b']").is_err());
        assert!(try_processor(build, "keep=['a']").is_err());
    }
}
