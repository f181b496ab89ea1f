//! `filter`: rules about what passes; the first that applies decides.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::filter::glob::Globs;
use crate::metric::Metric;
use crate::processor::Processor;

/// The processor.
#[derive(Debug)]
struct Filter {
    rules: Vec<Rule>,
    pass_by_default: bool,
}

/// One `[[processors.filter.rule]]`; it applies where every condition holds.
#[derive(Debug)]
struct Rule {
    name: Option<Globs>,
    /// Each of these tags must be there with one of the values.
    tags: Vec<(String, Globs)>,
    /// One of these fields must be there.
    fields: Option<Globs>,
    pass: bool,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    let pass_by_default = passes(section, "default", true)?;
    let rules = section.sections("rule", |rule| {
        let (name, fields) = (globs(rule, "name")?, globs(rule, "fields")?);
        let mut tags = Vec::new();
        for (key, patterns) in rule.list_table("tags")?.unwrap_or_default() {
            tags.push((key, Globs::compile(&patterns, "").map_err(|why| rule.bad("tags", why))?));
        }
        if name.is_none() && fields.is_none() && tags.is_empty() {
            return Err(rule.bad("name", "a rule needs at least one of name, tags and fields"));
        }
        Ok(Rule { name, tags, fields, pass: passes(rule, "action", false)? })
    })?;
    if rules.is_empty() {
        return Err(section.bad("rule", "there must be at least one [[processors.filter.rule]]"));
    }
    Ok(Box::new(Filter { rules, pass_by_default }))
}

fn globs(rule: &mut Section, key: &'static str) -> Result<Option<Globs>, ConfigError> {
    let patterns = rule.strings(key)?.unwrap_or_default();
    if patterns.is_empty() {
        return Ok(None);
    }
    Globs::compile(&patterns, "").map(Some).map_err(|why| rule.bad(key, why))
}

fn passes(table: &mut Section, key: &'static str, default: bool) -> Result<bool, ConfigError> {
    match table.string(key)?.as_deref() {
        None | Some("") => Ok(default),
        Some("pass") => Ok(true),
        Some("drop") => Ok(false),
        Some(other) => Err(table.bad(key, format!("{other:?} is neither \"pass\" nor \"drop\""))),
    }
}

impl Rule {
    fn applies(&self, metric: &Metric) -> bool {
        self.name.as_ref().is_none_or(|globs| globs.matches(&metric.name))
            && self
                .tags
                .iter()
                .all(|(key, globs)| metric.tag_value(key).is_some_and(|value| globs.matches(value)))
            && self
                .fields
                .as_ref()
                .is_none_or(|globs| metric.fields().iter().any(|(key, _)| globs.matches(key)))
    }
}

impl Processor for Filter {
    fn apply(&mut self, metric: Metric, _: i64, out: &mut Vec<Metric>) {
        let rule = self.rules.iter().find(|rule| rule.applies(&metric));
        if rule.map_or(self.pass_by_default, |rule| rule.pass) {
            out.push(metric);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{applied, try_processor};
    use super::*;

    #[test]
    fn the_first_rule_that_applies_decides() {
        let options = "default='drop'\n[[rule]]\nname=['cpu']\nfields=['usage_*']\ntags={cpu=['cpu1*']}\naction='pass'\n\
                       [[rule]]\nname=['c*']\naction='drop'\n[[rule]]\ntags={host=['a','b']}\naction='pass'\n";
        let passes = |metric: Metric| !applied(build, options, metric.field("usage_x", 1_i64)).is_empty();
        assert!(passes(Metric::new("cpu", 0).tag("cpu", "cpu12")));
        assert!(!passes(Metric::new("cpu", 0).tag("cpu", "cpu2").tag("host", "a")));
        assert!(passes(Metric::new("mem", 0).tag("host", "b")));
        assert!(!passes(Metric::new("mem", 0).tag("host", "c")));
    }

    #[test]
    fn a_rule_without_action_drops_and_one_without_conditions_is_a_fault() {
        assert!(applied(build, "[[rule]]\nname=['m']", Metric::new("m", 0).field("x", 1_i64)).is_empty());
        assert!(try_processor(build, "[[rule]]\naction='pass'").is_err());
        assert!(try_processor(build, "").is_err());
        assert!(try_processor(build, "[[rule]]\nname=['m']\naction='keep'").is_err());
    }
}
