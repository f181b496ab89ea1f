//! `regex`: tags, texts in fields, keys and names by regular expressions.

use std::borrow::Cow;

use regex::{Regex, Replacer};
use skywatch_model::FieldValue;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::filter::glob::Globs;
use crate::go_regex;
use crate::metric::Metric;
use crate::processor::Processor;

/// The processor. Its parts run in this order.
#[derive(Debug)]
struct RegexProcessor {
    tags: Vec<ValueRule>,
    fields: Vec<ValueRule>,
    tag_renames: Vec<KeyRule>,
    field_renames: Vec<KeyRule>,
    metric_renames: Vec<KeyRule>,
}

/// One `[[processors.regex.tags]]` or `fields`: what becomes of values.
#[derive(Debug)]
struct ValueRule {
    keys: Globs,
    pattern: Regex,
    replacement: String,
    /// Where the result goes; `None` is in place.
    result_key: Option<String>,
    /// Add the result to what is there.
    append: bool,
    /// Whether the groups' names become keys.
    by_groups: bool,
}

/// One `[[processors.regex.tag_rename]]`, `field_rename` or `metric_rename`.
#[derive(Debug)]
struct KeyRule {
    pattern: Regex,
    replacement: String,
    /// Replace a key that is there already; else both stay as they are.
    overwrite: bool,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    Ok(Box::new(RegexProcessor {
        tags: section.sections("tags", value_rule)?,
        fields: section.sections("fields", value_rule)?,
        tag_renames: section.sections("tag_rename", key_rule)?,
        field_renames: section.sections("field_rename", key_rule)?,
        metric_renames: section.sections("metric_rename", key_rule)?,
    }))
}

fn value_rule(table: &mut Section) -> Result<ValueRule, ConfigError> {
    let key = table.string("key")?.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| table.bad("key", "say whose values are changed; \"*\" is all"))?;
    let keys = Globs::compile(&[key], "").map_err(|why| table.bad("key", why))?;
    let pattern = pattern(table)?;
    let replacement = table.string("replacement")?.unwrap_or_default();
    let result_key = table.string("result_key")?.filter(|key| !key.is_empty());
    let by_groups =
        replacement.is_empty() && result_key.is_none() && pattern.capture_names().flatten().next().is_some();
    let append = table.boolean("append")?.unwrap_or(false);
    Ok(ValueRule { keys, pattern, replacement, result_key, append, by_groups })
}

fn key_rule(table: &mut Section) -> Result<KeyRule, ConfigError> {
    let pattern = pattern(table)?;
    let replacement = table.string("replacement")?.unwrap_or_default();
    let overwrite = match table.string("result_key")?.as_deref() {
        None | Some("" | "keep") => false,
        Some("overwrite") => true,
        Some(other) => {
            let reason = format!("{other:?} is neither \"keep\" nor \"overwrite\"");
            return Err(table.bad("result_key", reason));
        }
    };
    Ok(KeyRule { pattern, replacement, overwrite })
}

fn pattern(table: &mut Section) -> Result<Regex, ConfigError> {
    let text = table.string("pattern")?.unwrap_or_default();
    if text.is_empty() {
        return Err(table.bad("pattern", "a regular expression is needed"));
    }
    go_regex::compile(&text).map_err(|why| table.bad("pattern", why))
}

impl ValueRule {
    /// Keys and values to set for a value; none where the pattern does not match.
    fn results(&self, key: &str, value: &str) -> Vec<(String, String)> {
        if self.by_groups {
            let Some(found) = self.pattern.captures(value) else { return Vec::new() };
            return self
                .pattern
                .capture_names()
                .flatten()
                .filter_map(|name| Some((name.to_owned(), found.name(name)?.as_str().to_owned())))
                .collect();
        }
        match self.pattern.replace_all(value, Expand(&self.replacement)) {
            Cow::Borrowed(_) if !self.pattern.is_match(value) => Vec::new(),
            replaced => {
                vec![(self.result_key.clone().unwrap_or_else(|| key.to_owned()), replaced.into_owned())]
            }
        }
    }

    fn apply_to_tags(&self, metric: &mut Metric) {
        let results: Vec<_> = metric
            .tags()
            .iter()
            .filter(|(key, _)| self.keys.matches(key))
            .flat_map(|(key, value)| self.results(key, value))
            .collect();
        for (key, mut value) in results {
            if self.append
                && let Some(before) = metric.tag_value(&key)
            {
                value.insert_str(0, before);
            }
            metric.set_tag(key, value);
        }
    }

    fn apply_to_fields(&self, metric: &mut Metric) {
        let results: Vec<_> = metric
            .fields()
            .iter()
            .filter(|(key, _)| self.keys.matches(key))
            .filter_map(|(key, value)| match value {
                FieldValue::String(text) => Some(self.results(key, text)),
                _ => None,
            })
            .flatten()
            .collect();
        for (key, value) in results {
            metric.set_field(key, value);
        }
    }
}

/// A replacement with `$1` and `${name}`, as Go's and Rust's `regex` both read it.
struct Expand<'a>(&'a str);

impl Replacer for Expand<'_> {
    fn replace_append(&mut self, found: &regex::Captures<'_>, out: &mut String) {
        found.expand(self.0, out);
    }
}

impl KeyRule {
    /// The new name, if it is another.
    fn renamed(&self, key: &str) -> Option<String> {
        let new = self.pattern.replace_all(key, Expand(&self.replacement));
        (new != key && !new.is_empty()).then(|| new.into_owned())
    }

    fn rename_tags(&self, metric: &mut Metric) {
        let renames: Vec<_> =
            metric.tags().iter().filter_map(|(key, _)| Some((key.clone(), self.renamed(key)?))).collect();
        for (key, new) in renames {
            if (self.overwrite || metric.tag_value(&new).is_none())
                && let Some(value) = metric.remove_tag(&key)
            {
                metric.set_tag(new, value);
            }
        }
    }

    fn rename_fields(&self, metric: &mut Metric) {
        let renames: Vec<_> =
            metric.fields().iter().filter_map(|(key, _)| Some((key.clone(), self.renamed(key)?))).collect();
        for (key, new) in renames {
            if self.overwrite || metric.field_value(&new).is_none() {
                metric.rename_field(&key, &new);
            }
        }
    }
}

impl Processor for RegexProcessor {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        self.tags.iter().for_each(|rule| rule.apply_to_tags(&mut metric));
        self.fields.iter().for_each(|rule| rule.apply_to_fields(&mut metric));
        self.tag_renames.iter().for_each(|rule| rule.rename_tags(&mut metric));
        self.field_renames.iter().for_each(|rule| rule.rename_fields(&mut metric));
        for rule in &self.metric_renames {
            if let Some(name) = rule.renamed(&metric.name) {
                metric.name = name.into();
            }
        }
        out.push(metric);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{applied, try_processor};
    use super::*;

    fn metric() -> Metric {
        let metric = Metric::new("nginx_requests", 7).tag("verb", "GET").tag("resp_code", "404");
        metric.field("request", "/api/search/?category=plugins&q=regex&sort=asc").field("bytes", 270_u64)
    }

    #[test]
    fn values_in_place_into_other_keys_and_appended() {
        let options = r#"
            [[tags]]
            key = "resp_code"
            pattern = "^(\\d)\\d\\d$"
            replacement = "${1}xx"
            [[tags]]
            key = "*"
            pattern = "^GET$"
            replacement = "${0}?"
            result_key = "resp_code"
            append = true
            [[fields]]
            key = "request"
            pattern = '.*category=(\w+).*'
            replacement = "${1}"
            result_key = "search_category"
            [[fields]]
            key = "request"
            pattern = "^/nothing"
            replacement = "x"
        "#;
        assert_eq!(
            applied(build, options, metric()),
            [
                "nginx_requests,resp_code=4xxGET?,verb=GET request=\"/api/search/?category=plugins&q=regex&sort=asc\",bytes=270u,search_category=\"plugins\" 7"
            ]
        );
    }

    #[test]
    fn named_groups_become_keys() {
        let options =
            "[[fields]]\nkey='request'\npattern='^/api/(?P<method>\\w+)[/?].*category=(?P<category>\\w+)'\n";
        let out = applied(build, options, metric());
        assert!(out[0].ends_with("bytes=270u,method=\"search\",category=\"plugins\" 7"), "{out:?}");
    }

    #[test]
    fn patterns_are_gos() {
        let options = "[[fields]]\nkey='request'\npattern='^{(?P<first>[^[]+)\\['";
        let metric = Metric::new("m", 7).field("request", "{a[b");
        assert_eq!(applied(build, options, metric), ["m request=\"{a[b\",first=\"a\" 7"]);
    }

    #[test]
    fn keys_and_names() {
        let options = "[[tag_rename]]\npattern='^resp_'\nreplacement=''\n[[tag_rename]]\npattern='^verb$'\nreplacement='code'\n\
                       [[field_rename]]\npattern='^b(\\w+)s$'\nreplacement='${1}'\n[[metric_rename]]\npattern='_requests$'\nreplacement=''\n";
        let out = applied(build, options, metric());
        assert!(out[0].starts_with("nginx,code=404,verb=GET request="), "{out:?}");
        assert!(out[0].ends_with(",yte=270u 7"), "{out:?}");
        let overwrite = format!("{options}\n")
            .replace("replacement='code'", "replacement='code'\nresult_key='overwrite'");
        assert!(applied(build, &overwrite, metric())[0].starts_with("nginx,code=GET request="));
    }

    #[test]
    fn faults_are_named() {
        for options in [
            "[[tags]]\npattern='a'",
            "[[tags]]\nkey='a'",
            "[[tags]]\nkey='a'\npattern='('",
            "[[tag_rename]]\npattern='a'\nresult_key='x'",
        ] {
            assert!(try_processor(build, options).is_err(), "{options}");
        }
    }
}
