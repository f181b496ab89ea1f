//! Which metrics, fields and tags pass: Telegraf's selectors (`namepass`...) and modifiers
//! (`fieldinclude`...). Pure.
//!
//! Selectors look at the name first, then at the tags, each pass AND NOT drop, and at last `metricpass` decides.

pub(crate) mod glob;
mod metricpass;

use crate::config::{ConfigError, Section};
use crate::metric::Metric;
use glob::Globs;
use metricpass::MetricPass;

/// The filters of one plugin.
#[derive(Debug, Default)]
pub struct Filter {
    name: Rule,
    tag_pass: Vec<(String, Globs)>,
    tag_drop: Vec<(String, Globs)>,
    metric_pass: Option<MetricPass>,
    fields: Rule,
    tags: Rule,
}

/// Pass what is listed, if anything is, and drop what is listed to be dropped.
#[derive(Debug, Default)]
struct Rule {
    pass: Option<Globs>,
    drop: Option<Globs>,
}

impl Rule {
    fn allows(&self, text: &str) -> bool {
        self.pass.as_ref().is_none_or(|globs| globs.matches(text))
            && !self.drop.as_ref().is_some_and(|globs| globs.matches(text))
    }

    fn is_empty(&self) -> bool {
        self.pass.is_none() && self.drop.is_none()
    }
}

impl Filter {
    /// Takes the filter options out of a plugin's table, in their present and their old names.
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let pass_separators = section.string("namepass_separator")?.unwrap_or_default();
        let drop_separators = section.string("namedrop_separator")?.unwrap_or_default();
        Ok(Self {
            name: Rule {
                pass: globs(section, &["namepass"], &pass_separators)?,
                drop: globs(section, &["namedrop"], &drop_separators)?,
            },
            tag_pass: tag_globs(section, "tagpass")?,
            tag_drop: tag_globs(section, "tagdrop")?,
            metric_pass: metric_pass(section)?,
            fields: Rule {
                pass: globs(section, &["pass", "fieldpass", "fieldinclude"], "")?,
                drop: globs(section, &["drop", "fielddrop", "fieldexclude"], "")?,
            },
            tags: Rule {
                pass: globs(section, &["taginclude"], "")?,
                drop: globs(section, &["tagexclude"], "")?,
            },
        })
    }

    /// Whether the metric is to be looked at at all.
    pub fn selects(&self, metric: &Metric) -> bool {
        let listed = |rules: &[(String, Globs)]| {
            rules.iter().any(|(key, globs)| metric.tag_value(key).is_some_and(|value| globs.matches(value)))
        };
        self.name.allows(&metric.name)
            && (self.tag_pass.is_empty() || listed(&self.tag_pass))
            && (self.tag_drop.is_empty() || !listed(&self.tag_drop))
            && self.metric_pass.as_ref().is_none_or(|pass| pass.passes(metric))
    }

    /// The tags that decide whether a metric is selected.
    pub(crate) fn selected_tags(&self) -> impl Iterator<Item = &str> {
        self.tag_pass.iter().chain(&self.tag_drop).map(|(tag, _)| tag.as_str())
    }

    /// Whether [`modify`](Self::modify) could change anything.
    pub fn modifies(&self) -> bool {
        !(self.fields.is_empty() && self.tags.is_empty())
    }

    /// Removes the fields and tags that do not pass.
    pub fn modify(&self, metric: &mut Metric) {
        if !self.fields.is_empty() {
            metric.retain_fields(|key| self.fields.allows(key));
        }
        if !self.tags.is_empty() {
            metric.retain_tags(|key| self.tags.allows(key));
        }
    }
}

/// The globs under all of the names together, old ones and the present one; an empty list filters nothing.
fn globs(
    section: &mut Section,
    names: &[&'static str],
    separators: &str,
) -> Result<Option<Globs>, ConfigError> {
    let mut patterns = Vec::new();
    let mut used = "";
    for name in names {
        if let Some(list) = section.strings(name)? {
            patterns.extend(list);
            used = name;
        }
    }
    if patterns.is_empty() {
        return Ok(None);
    }
    warn_of_braces(section, used, &patterns, separators);
    Globs::compile(&patterns, separators).map(Some).map_err(|why| section.bad(used, why))
}

fn metric_pass(section: &mut Section) -> Result<Option<MetricPass>, ConfigError> {
    const KEY: &str = "metricpass";
    let Some(text) = section.string(KEY)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    MetricPass::compile(&text).map(Some).map_err(|why| section.bad(KEY, why))
}

fn tag_globs(section: &mut Section, key: &'static str) -> Result<Vec<(String, Globs)>, ConfigError> {
    let table = section.list_table(key)?.unwrap_or_default();
    table
        .into_iter()
        .map(|(tag, patterns)| {
            warn_of_braces(section, key, &patterns, "");
            let globs = Globs::compile(&patterns, "").map_err(|why| section.bad(key, why))?;
            Ok((tag, globs))
        })
        .collect()
}

/// Braces alone do not make a list one of globs, in the original neither.
fn warn_of_braces(section: &mut Section, key: &'static str, patterns: &[String], separators: &str) {
    if Globs::is_trap(patterns, separators) {
        section.warn(
            key,
            "is compared to the letter, braces included, since none of its patterns has a *, ? or [: list the names one by one",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;

    fn filter(text: &str) -> Filter {
        let mut section = section_for_tests(text);
        let filter = Filter::from_section(&mut section).expect("valid");
        assert!(section.finish().is_ok());
        filter
    }

    fn metric() -> Metric {
        Metric::new("disk", 0)
            .tag("path", "/var")
            .tag("fstype", "ext4")
            .field("used", 1_u64)
            .field("free", 2_u64)
    }

    #[test]
    fn names_pass_and_not_drop() {
        assert!(filter("").selects(&metric()));
        assert!(filter("namepass = ['d*']").selects(&metric()));
        assert!(!filter("namepass = ['cpu']").selects(&metric()));
        assert!(!filter("namedrop = ['dis?']").selects(&metric()));
        assert!(!filter("namepass = ['d*']\nnamedrop = ['disk']").selects(&metric()));
    }

    #[test]
    fn any_listed_tag_with_a_matching_value() {
        assert!(filter("[tagpass]\npath = ['/', '/var*']").selects(&metric()));
        assert!(!filter("[tagpass]\npath = ['/']").selects(&metric()));
        assert!(filter("[tagpass]\npath = ['/']\nfstype = ['ext4']").selects(&metric()), "OR over keys");
        assert!(!filter("[tagpass]\nabsent = ['*']").selects(&metric()), "the tag must exist");
        assert!(!filter("[tagdrop]\nfstype = ['ext*']").selects(&metric()));
        assert!(filter("[tagdrop]\nabsent = ['*']").selects(&metric()));
        assert!(!filter("[tagpass]\npath=['/var']\n[tagdrop]\nfstype=['ext4']").selects(&metric()));
    }

    #[test]
    fn an_expression_decides_after_the_others() {
        assert!(filter("metricpass = 'fields.used == 1u'").selects(&metric()));
        assert!(!filter("metricpass = 'fields.used > 1u'").selects(&metric()));
        assert!(!filter("namedrop = ['disk']\nmetricpass = 'true'").selects(&metric()));
        let error =
            Filter::from_section(&mut section_for_tests("\nmetricpass = 'name =='")).expect_err("wrong");
        assert!(
            error.to_string().starts_with("test.conf:2: `metricpass` in [test]: line 1, column "),
            "{error}"
        );
    }

    #[test]
    fn modifiers_take_fields_and_tags_away() {
        let mut m = metric();
        filter("fieldinclude = ['used*']\ntagexclude = ['fs*']").modify(&mut m);
        assert_eq!(m, Metric::new("disk", 0).tag("path", "/var").field("used", 1_u64));
        let mut m = metric();
        filter("fielddrop = ['*']\ntaginclude = ['path']").modify(&mut m);
        assert!(m.fields().is_empty());
        assert_eq!(m.tags().len(), 1);
    }

    #[test]
    fn the_oldest_names_are_about_fields() {
        let old = filter("pass = ['used', 'free']\nfieldinclude = ['inodes']\ndrop = ['free']");
        assert!(old.selects(&metric()), "whatever the measurement is called");
        let mut m = metric().field("inodes", 3_u64).field("total", 4_u64);
        old.modify(&mut m);
        let fields: Vec<_> = m.fields().iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(fields, ["used", "inodes"]);
    }

    #[test]
    fn an_empty_list_filters_nothing() {
        assert!(filter("namepass = []").selects(&metric()));
        assert!(!filter("").modifies());
        assert!(filter("tagexclude = ['a']").modifies());
    }
}
