//! `topk`: holds metrics for a period and lets only those of the groups with the highest (or lowest) values on.

mod group;

use std::collections::BTreeSet;

use group::{Aggregation, Groups};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::filter::glob::Globs;
use crate::metric::Metric;
use crate::processor::Processor;

/// Metrics held at most; a period with more of them ends early.
const HELD_MAX: usize = 1_000_000;

/// The processor.
#[derive(Debug)]
struct TopK {
    /// Nanoseconds.
    period: i64,
    k: usize,
    group_by: Option<Globs>,
    fields: Vec<String>,
    aggregation: Aggregation,
    lowest: bool,
    group_tag: Option<String>,
    rank_fields: BTreeSet<String>,
    aggregate_fields: BTreeSet<String>,
    groups: Groups,
    period_began: Option<i64>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    let group_by = section.strings("group_by")?.unwrap_or_else(|| vec!["*".to_owned()]);
    let group_by = if group_by.is_empty() {
        None
    } else {
        Some(Globs::compile(&group_by, "").map_err(|why| section.bad("group_by", why))?)
    };
    let aggregation = match section.string("aggregation")?.as_deref() {
        None | Some("" | "mean") => Aggregation::Mean,
        Some("sum") => Aggregation::Sum,
        Some("min") => Aggregation::Min,
        Some("max") => Aggregation::Max,
        Some(other) => {
            let reason = format!("{other:?} is none of mean, sum, min, max");
            return Err(section.bad("aggregation", reason));
        }
    };
    let set = |list: Option<Vec<String>>| list.unwrap_or_default().into_iter().collect();
    Ok(Box::new(TopK {
        period: section.duration("period")?.unwrap_or(10_000_000_000),
        k: section.count("k")?.unwrap_or(10),
        group_by,
        fields: section.strings("fields")?.unwrap_or_else(|| vec!["value".to_owned()]),
        aggregation,
        lowest: section.boolean("bottomk")?.unwrap_or(false),
        group_tag: section.string("add_groupby_tag")?.filter(|tag| !tag.is_empty()),
        rank_fields: set(section.strings("add_rank_fields")?),
        aggregate_fields: set(section.strings("add_aggregate_fields")?),
        groups: Groups::default(),
        period_began: None,
    }))
}

impl Processor for TopK {
    fn apply(&mut self, mut metric: Metric, now_ns: i64, out: &mut Vec<Metric>) {
        let began = *self.period_began.get_or_insert(now_ns);
        let key = self.key(&metric);
        if let Some(tag) = &self.group_tag {
            metric.set_tag(tag.clone(), key.clone());
        }
        // Held for as long as the period lasts: its source must not wait for that.
        metric.untrack();
        self.groups.add(key, metric);
        if now_ns.saturating_sub(began) >= self.period || self.groups.held() >= HELD_MAX {
            self.period_began = Some(now_ns);
            self.push(out);
        }
    }

    fn drain(&mut self, _: i64, out: &mut Vec<Metric>) {
        self.push(out);
    }
}

impl TopK {
    /// The name and the tags by which metrics are grouped.
    fn key(&self, metric: &Metric) -> String {
        let mut key = format!("{}&", metric.name);
        if let Some(globs) = &self.group_by {
            for (tag, value) in metric.tags().iter().filter(|(tag, _)| globs.matches(tag)) {
                key.push_str(tag);
                key.push('=');
                key.push_str(value);
                key.push('&');
            }
        }
        key
    }

    fn push(&mut self, out: &mut Vec<Metric>) {
        let mut groups = std::mem::take(&mut self.groups).into_groups();
        let mut selected = Vec::new();
        for field in &self.fields {
            let mut ranking: Vec<_> = groups
                .iter()
                .enumerate()
                .filter_map(|(at, group)| Some((at, group.value(field, self.aggregation)?)))
                .collect();
            // Stable: groups of equal values stay in the order in which they came.
            if self.lowest {
                ranking.sort_by(|(_, a), (_, b)| a.total_cmp(b));
            } else {
                ranking.sort_by(|(_, a), (_, b)| b.total_cmp(a));
            }
            for (rank, (at, value)) in ranking.into_iter().take(self.k).enumerate() {
                if self.aggregate_fields.contains(field) {
                    groups[at].mark(field, &format!("{field}_topk_aggregate"), value);
                }
                if self.rank_fields.contains(field) {
                    groups[at].mark(field, &format!("{field}_topk_rank"), rank as i64 + 1);
                }
                if !selected.contains(&at) {
                    selected.push(at);
                }
            }
        }
        for at in selected {
            out.append(&mut groups[at].metrics);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lines, try_processor};
    use super::*;

    const S: i64 = 1_000_000_000;

    fn run(options: &str, values: &[(&str, f64)]) -> Vec<String> {
        let mut topk = try_processor(build, options).expect("valid");
        let mut out = Vec::new();
        for (host, value) in values {
            topk.apply(Metric::new("m", 7).tag("host", *host).field("value", *value), S, &mut out);
        }
        assert!(out.is_empty(), "held until the period is over");
        topk.apply(Metric::new("m", 8).field("other", 1_i64), 11 * S, &mut out);
        lines(&out)
    }

    #[test]
    fn the_highest_by_mean_of_the_period() {
        let values = [("a", 1.0), ("b", 5.0), ("c", 3.0), ("a", 9.0), ("d", 0.5)];
        assert_eq!(
            run("k=2\nadd_rank_fields=['value']\nadd_aggregate_fields=['value']", &values),
            [
                "m,host=a value=1,value_topk_aggregate=5,value_topk_rank=1i 7",
                "m,host=a value=9,value_topk_aggregate=5,value_topk_rank=1i 7",
                "m,host=b value=5,value_topk_aggregate=5,value_topk_rank=2i 7"
            ]
        );
    }

    #[test]
    fn the_lowest_by_sum_with_the_groups_tag() {
        let values = [("a", 1.0), ("b", 5.0), ("a", 9.0)];
        assert_eq!(
            run("k=1\nbottomk=true\naggregation='sum'\nadd_groupby_tag='group'", &values),
            ["m,group=m&host\\=b&,host=b value=5 7"]
        );
    }
}
