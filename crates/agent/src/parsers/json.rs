//! `json`: an object, or an array of them; each becomes a metric whose fields are its numbers.
//!
//! Nested keys are joined with `_`, and so are the places of array elements. Numbers are floats; texts and booleans are
//! left out unless an option lists them.

use serde_json::{Number, Value};

use super::json_path;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::field_value::plain;
use crate::filter::glob::Globs;
use crate::metric::Metric;
use crate::parser::{Defaults, ParseError, Parser};
use crate::time_format::TimeFormat;

/// The parser.
#[derive(Debug, Clone)]
struct Json {
    /// Whether one bad element costs the document.
    is_strict: bool,
    query: Option<String>,
    tag_keys: Option<Globs>,
    string_fields: Option<Globs>,
    name_key: Option<String>,
    time: Option<(String, TimeFormat)>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Parser>, ConfigError> {
    let mut text = |key| Ok(section.string(key)?.filter(|text| !text.is_empty()));
    let (query, name_key, time_key) = (text("json_query")?, text("json_name_key")?, text("json_time_key")?);
    let (format, zone) = (text("json_time_format")?, text("json_timezone")?);
    if let Some(path) = &query {
        json_path::check(path).map_err(|why| section.bad("json_query", why))?;
    }
    let time = match (time_key, format) {
        (Some(key), Some(format)) => {
            let format = TimeFormat::new(&format, zone.as_deref().unwrap_or_default())
                .map_err(|why| section.bad("json_time_format", why))?;
            Some((key, format))
        }
        (Some(_), None) => return Err(section.bad("json_time_format", "has to be set, for json_time_key")),
        (None, _) => None,
    };
    Ok(Box::new(Json {
        is_strict: section.boolean("json_strict")?.unwrap_or(true),
        query,
        tag_keys: super::globs(section, "tag_keys")?,
        string_fields: super::globs(section, "json_string_fields")?,
        name_key,
        time,
    }))
}

impl Parser for Json {
    fn parse(
        &mut self,
        data: &[u8],
        defaults: &Defaults<'_>,
        out: &mut Vec<Metric>,
    ) -> Result<(), ParseError> {
        let Some(text) = super::document(data)? else { return Ok(()) };
        let mut root = json_path::parse(text).map_err(ParseError::new)?;
        if let Some(path) = &self.query {
            root = match json_path::find(text, path).map_err(ParseError::new)? {
                None | Some(Value::Null) => return Ok(()),
                Some(found @ (Value::Object(_) | Value::Array(_))) => found,
                Some(other) => {
                    let reason = format!("json_query {path:?} leads to {other}, which is no object or array");
                    return Err(ParseError::new(reason));
                }
            };
        }
        let begin = out.len();
        let result = self.elements(&root, defaults, out);
        if result.is_err() && self.is_strict {
            out.truncate(begin);
        }
        result.map_err(ParseError::new)
    }

    fn fresh(&self) -> Box<dyn Parser> {
        Box::new(self.clone())
    }
}

impl Json {
    fn elements(&self, root: &Value, defaults: &Defaults<'_>, out: &mut Vec<Metric>) -> Result<(), String> {
        let Value::Array(elements) = root else {
            return self.element(root, defaults, out);
        };
        for (at, element) in elements.iter().enumerate() {
            match self.element(element, defaults, out) {
                Err(why) if self.is_strict => return Err(format!("element {at}: {why}")),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn element(&self, element: &Value, defaults: &Defaults<'_>, out: &mut Vec<Metric>) -> Result<(), String> {
        if !element.is_object() {
            return Err(format!("{} is no object", json_path::shortened(element)));
        }
        let mut leaves = Vec::new();
        flatten(String::new(), element, &mut leaves);
        let leaf = |key: &str| leaves.iter().rfind(|(known, _)| known == key).map(|(_, leaf)| *leaf);
        let name =
            self.name_key.as_deref().and_then(leaf).and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.map_or_else(|| defaults.name.clone().into_owned(), str::to_owned);
        let time_ns = match &self.time {
            None => defaults.now_ns,
            Some((key, format)) => {
                let value =
                    leaf(key).ok_or_else(|| format!("it has no {key:?}, which json_time_key asks for"))?;
                format.parse(&as_text(value), defaults.now_ns).map_err(|why| format!("{key:?}: {why}"))?
            }
        };
        let mut metric = Metric::new(name, time_ns);
        let is = |globs: &Option<Globs>, key: &str| globs.as_ref().is_some_and(|globs| globs.matches(key));
        // The time is nothing else, whatever globs match its key.
        let is_time = |key: &str| self.time.as_ref().is_some_and(|(time, _)| time == key);
        for (key, value) in leaves.iter().filter(|(key, _)| !is_time(key)) {
            if is(&self.tag_keys, key) {
                metric.set_tag(key.clone(), as_text(value));
            } else {
                match value {
                    Value::Number(number) => metric.set_field(key.clone(), float(number)),
                    Value::String(text) if is(&self.string_fields, key) => {
                        metric.set_field(key.clone(), text.as_str());
                    }
                    Value::Bool(value) if is(&self.string_fields, key) => {
                        metric.set_field(key.clone(), *value);
                    }
                    _ => {}
                }
            }
        }
        if !metric.fields().is_empty() {
            out.push(metric);
        }
        Ok(())
    }
}

/// Everything that is no object, array or null, with the keys that lead there.
fn flatten<'a>(prefix: String, value: &'a Value, out: &mut Vec<(String, &'a Value)>) {
    let joined = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}_{key}") };
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, value)| flatten(joined(key), value, out)),
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                flatten(joined(&at.to_string()), value, out);
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push((prefix, value)),
    }
}

/// A value as a tag; whole numbers keep all their digits.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => plain(float(number)),
        other => other.to_string(),
    }
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{fault, parse, parsed, parser, survives_damage, try_parser};
    use super::*;

    const DOCUMENT: &str = r#"{"a": 5, "b": {"c": 6, "my_field": "description", "ok": true},
                              "list": [1, {"x": 2}], "none": null, "my_tag_1": "foo", "id": 9007199254740993}"#;

    #[test]
    fn numbers_are_fields_and_keys_are_joined() {
        assert_eq!(parsed(build, "", DOCUMENT), ["file a=5,b_c=6,list_0=1,list_1_x=2,id=9007199254740992"]);
        assert_eq!(
            parsed(
                build,
                "tag_keys = ['my_tag_*', 'id', 'b_ok']\njson_string_fields = ['b_my_field']",
                DOCUMENT
            ),
            [
                "file,b_ok=true,id=9007199254740993,my_tag_1=foo a=5,b_c=6,b_my_field=\"description\",list_0=1,list_1_x=2"
            ]
        );
        assert_eq!(
            parsed(build, "json_string_fields = ['b_*']", "{\"b\":{\"ok\":false}}"),
            ["file b_ok=false"]
        );
        assert_eq!(parsed(build, "", "\u{feff}[{\"a\": 1.5}, {\"a\": 2}]"), ["file a=1.5", "file a=2"]);
        for nothing in ["", " \n", "[]", "{}", "{\"a\": \"text\"}"] {
            assert!(parsed(build, "", nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn name_and_time_come_from_the_data() {
        let options = "json_name_key = 'n'\njson_time_key = 't'\njson_time_format = 'unix_ms'";
        assert_eq!(
            parsed(build, options, r#"[{"n": "cpu", "t": 1536869008123, "v": 1}, {"t": "5", "v": 2}]"#),
            ["cpu v=1 1536869008123000000", "file v=2 5000000"]
        );
        let tagged = format!("{options}\ntag_keys = ['t*']");
        assert_eq!(parsed(build, &tagged, r#"{"t": 5, "to": "a", "v": 2}"#), ["file,to=a v=2 5000000"]);
        let options =
            "json_time_key = 'b_time'\njson_time_format = '02 Jan 06 15:04 MST'\njson_timezone = 'UTC'";
        assert_eq!(
            parsed(build, options, r#"{"a": 5, "b": {"c": 6, "time": "04 Jan 06 15:04 MST"}}"#),
            ["file a=5,b_c=6 1136387040000000000"]
        );
        assert_eq!(fault(build, options, "{\"a\": 5}"), "it has no \"b_time\", which json_time_key asks for");
        assert!(try_parser(build, "json_time_key = 't'").is_err());
    }

    #[test]
    fn a_query_leads_to_the_part_that_counts() {
        let document = r#"{"total": 1, "obj": {"name": {"first": "Tom"}, "age": 37,
            "friends": [{"first": "Dale", "age": 44}, {"first": "Roger", "age": 68}]}}"#;
        let options = "json_query = 'obj.friends'\ntag_keys = ['first']";
        assert_eq!(parsed(build, options, document), ["file,first=Dale age=44", "file,first=Roger age=68"]);
        assert_eq!(parsed(build, "json_query = 'obj.friends.#(age>50)#'", document), ["file age=68"]);
        assert!(parsed(build, "json_query = 'obj.enemies'", document).is_empty());
        assert_eq!(
            fault(build, "json_query = 'total'", document),
            "json_query \"total\" leads to 1, which is no object or array"
        );
    }

    #[test]
    fn strictness_decides_about_bad_elements() {
        let document = r#"[{"a": 1}, 7, {"a": 3}]"#;
        let (lines, result) = parse(parser(build, "").as_mut(), document);
        assert!(lines.is_empty());
        assert_eq!(result.expect_err("strict").to_string(), "element 1: 7 is no object");
        assert_eq!(parsed(build, "json_strict = false", document), ["file a=1", "file a=3"]);
        assert!(fault(build, "json_strict = false", "{\"a\": ").starts_with("this is no JSON: EOF"));
        let deep = "[".repeat(100_000);
        assert!(fault(build, "", &deep).contains("recursion limit"));
    }

    #[test]
    fn damage_does_no_harm() {
        survives_damage(build, "json_query = 'b.@reverse'\ntag_keys = ['*']", DOCUMENT);
        survives_damage(build, "json_query = 'list.#(x>1)#'", DOCUMENT);
    }
}
