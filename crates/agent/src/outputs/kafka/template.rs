//! The values of headers: text with placeholders, of which the metric's name, tags, fields and time are known.

use skywatch_model::FieldValue;

use crate::metric::Metric;

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name,
    Tag(String),
    Field(String),
    /// Seconds since the Unix epoch.
    Time,
}

impl Template {
    /// Reads `text {{ .Name }} {{ .Tag "host" }}`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) =
                after.split_once("}}").ok_or_else(|| format!("{text:?} has {{{{ without }}}}"))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(placeholder(inside.trim()).ok_or_else(|| {
                format!(
                    "{{{{{inside}}}}} is not supported; there are {{{{ .Name }}}}, {{{{ .Tag \"key\" }}}}, \
                     {{{{ .Field \"key\" }}}} and {{{{ .Time.Unix }}}}"
                )
            })?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The text for a metric; a tag or field that it lacks is empty.
    pub(super) fn render(&self, metric: &Metric) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Name => text.push_str(&metric.name),
                Part::Tag(key) => text.push_str(metric.tag_value(key).unwrap_or_default()),
                Part::Field(key) => match metric.field_value(key) {
                    None => {}
                    Some(FieldValue::Float(value)) => text.push_str(&value.to_string()),
                    Some(FieldValue::Integer(value)) => text.push_str(&value.to_string()),
                    Some(FieldValue::Unsigned(value)) => text.push_str(&value.to_string()),
                    Some(FieldValue::Boolean(value)) => text.push_str(&value.to_string()),
                    Some(FieldValue::String(value)) => text.push_str(value),
                },
                Part::Time => text.push_str(&metric.time_ns.div_euclid(1_000_000_000).to_string()),
            }
        }
        text
    }
}

fn placeholder(inside: &str) -> Option<Part> {
    let quoted = |rest: &str| {
        let key = rest.trim().strip_prefix('"')?.strip_suffix('"')?;
        (!key.contains('"')).then(|| key.to_owned())
    };
    match inside {
        ".Name" => Some(Part::Name),
        ".Time.Unix" => Some(Part::Time),
        _ => match inside.split_once(char::is_whitespace)? {
            (".Tag", key) => quoted(key).map(Part::Tag),
            (".Field", key) => quoted(key).map(Part::Field),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_others_are_refused() {
        let metric = Metric::new("cpu", 5_500_000_000).tag("host", "kvm-01").field("n", 7_i64);
        let template = Template::parse(
            r#"{{ .Name }}@{{.Tag "host"}}/{{ .Tag "rack" }}/{{ .Field "n" }} {{ .Time.Unix }}!"#,
        );
        assert_eq!(template.expect("valid").render(&metric), "cpu@kvm-01//7 5!");
        assert_eq!(Template::parse("plain").expect("valid").render(&metric), "plain");
        for bad in ["{{ .Name", "{{ printf .Name }}", "{{ .Tag host }}", "{{ }}"] {
            Template::parse(bad).expect_err(bad);
        }
    }
}
