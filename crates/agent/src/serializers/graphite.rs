//! `graphite`: a line `path value seconds` for each field that is a number or a boolean.
//!
//! The path follows `template`: `measurement`, `field`, `tags` (the values of all tags that the template does not name,
//! in the order of their names), and names of tags. A field `value` is left out of it. With `graphite_tag_support` the
//! path is measurement and field, and the tags stand behind it: `path;tag=value`.

use skywatch_model::FieldValue;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::serializer::{Serializer, Unwritable};

/// The format with its options.
#[derive(Debug)]
struct Graphite {
    prefix: String,
    template: Vec<String>,
    /// Between measurement and field where tags stand behind.
    separator: String,
    tagged: bool,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Serializer>, ConfigError> {
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let template = text(section.string("template")?);
    let template = template.as_deref().unwrap_or("host.tags.measurement.field");
    if section.strings("templates")?.is_some_and(|templates| !templates.is_empty()) {
        return Err(section.bad("templates", "several templates are not supported; use `template`"));
    }
    if text(section.string("graphite_strict_sanitize_regex")?).is_some() {
        let reason = "names are always sanitized in the same way; use a processor for another one";
        return Err(section.bad("graphite_strict_sanitize_regex", reason));
    }
    section.without_effect("graphite_tag_sanitize_mode", "tags are always sanitized strictly");
    Ok(Box::new(Graphite {
        prefix: section.string("prefix")?.unwrap_or_default(),
        template: template.split('.').map(str::to_owned).collect(),
        separator: text(section.string("graphite_separator")?).unwrap_or_else(|| ".".to_owned()),
        tagged: section.boolean("graphite_tag_support")?.unwrap_or(false),
    }))
}

impl Graphite {
    fn path(&self, metric: &Metric, field: &str) -> String {
        let prefix = (!self.prefix.is_empty()).then(|| self.prefix.clone());
        let field = (field != "value").then(|| sanitized(field));
        if self.tagged {
            let name = [Some(sanitized(&metric.name)), field].into_iter().flatten().collect::<Vec<_>>();
            let name = [prefix, Some(name.join(&self.separator))].into_iter().flatten().collect::<Vec<_>>();
            let tags = metric.tags().iter().filter(|(_, value)| !value.is_empty());
            let tags = tags.map(|(key, value)| format!(";{}={}", sanitized(key), sanitized(value)));
            return name.join(".") + &tags.collect::<String>();
        }
        let mut parts: Vec<String> = prefix.into_iter().collect();
        for part in &self.template {
            match part.as_str() {
                "measurement" => parts.push(sanitized(&metric.name)),
                "field" => parts.extend(field.clone()),
                "tags" => parts.extend(
                    metric
                        .tags()
                        .iter()
                        .filter(|(key, value)| {
                            !value.is_empty() && !self.template.iter().any(|part| part == key)
                        })
                        .map(|(_, value)| node(value)),
                ),
                tag => parts.extend(metric.tag_value(tag).filter(|value| !value.is_empty()).map(node)),
            }
        }
        parts.join(".")
    }
}

/// Characters of Graphite's names as they are, others as underscores or dashes.
fn sanitized(text: &str) -> String {
    let character = |c: char| match c {
        '/' | '@' | '*' => '-',
        c if c.is_alphanumeric() || matches!(c, '-' | ':' | '.' | '_') => c,
        _ => '_',
    };
    text.chars().map(character).collect()
}

/// One node of a path, in which a dot would begin another.
fn node(text: &str) -> String {
    sanitized(text).replace('.', "_")
}

fn number(value: &FieldValue) -> Option<String> {
    match value {
        FieldValue::Float(v) => v.is_finite().then(|| v.to_string()),
        FieldValue::Integer(v) => Some(v.to_string()),
        FieldValue::Unsigned(v) => Some(v.to_string()),
        FieldValue::Boolean(v) => Some(u8::from(*v).to_string()),
        FieldValue::String(_) => None,
    }
}

impl Serializer for Graphite {
    fn metric(&self, metric: &Metric, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let seconds = metric.time_ns.div_euclid(1_000_000_000);
        let before = out.len();
        for (key, value) in metric.fields() {
            if let Some(value) = number(value) {
                let line = format!("{} {value} {seconds}\n", self.path(metric, key));
                out.extend_from_slice(line.as_bytes());
            }
        }
        if out.len() == before {
            return Err(Unwritable(format!("metric {} has no field that is a number", metric.name)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;

    fn text(options: &str) -> String {
        let mut section = section_for_tests(options);
        let serializer = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok());
        let metric = Metric::new("cpu load", 1_455_320_690_999_000_000)
            .tag("cpu", "cpu0")
            .tag("dc", "us.east/1")
            .tag("host", "my.host")
            .field("idle", 91.5)
            .field("value", true)
            .field("mode", "x");
        let mut out = Vec::new();
        serializer.metric(&metric, &mut out).expect("written");
        assert!(serializer.metric(&Metric::new("m", 0).field("s", "x"), &mut out).is_err());
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn paths_follow_the_template() {
        assert_eq!(
            text(""),
            "my_host.cpu0.us_east-1.cpu_load.idle 91.5 1455320690\nmy_host.cpu0.us_east-1.cpu_load 1 1455320690\n"
        );
        assert_eq!(
            text("prefix = 'p'\ntemplate = 'dc.measurement.none.field.tags'").lines().next(),
            Some("p.us_east-1.cpu_load.idle.cpu0.my_host 91.5 1455320690")
        );
    }

    #[test]
    fn tags_may_stand_behind() {
        assert_eq!(
            text("graphite_tag_support = true\ngraphite_separator = '_'\nprefix = 'p'"),
            "p.cpu_load_idle;cpu=cpu0;dc=us.east-1;host=my.host 91.5 1455320690\n\
             p.cpu_load;cpu=cpu0;dc=us.east-1;host=my.host 1 1455320690\n"
        );
    }
}
