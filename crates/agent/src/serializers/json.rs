//! `json`: an object for each metric, `{"fields": {..}, "name": .., "tags": {..}, "timestamp": ..}`; a batch is
//! `{"metrics": [..]}`.

use std::sync::Arc;

use serde_json::{Map, Number, Value, json};
use skywatch_model::FieldValue;

use super::time_format::TimeFormat;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::filter::glob::Globs;
use crate::metric::Metric;
use crate::serializer::{Serializer, Unwritable};

/// The format with its options.
#[derive(Debug)]
struct Json {
    time: TimeFormat,
    /// String fields that hold JSON and are written as such.
    nested: Option<Nested>,
}

/// Names of fields: those that one list has and the other has not.
#[derive(Debug)]
struct Nested {
    include: Globs,
    exclude: Globs,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Serializer>, ConfigError> {
    if section.string("json_transformation")?.is_some_and(|text| !text.is_empty()) {
        let reason = "JSONata is not supported; use processors, or transform where the data is read";
        return Err(section.bad("json_transformation", reason));
    }
    let time = TimeFormat::from_section(section, "json_timestamp_units", "json_timestamp_format")?;
    let include = section.strings("json_nested_fields_include")?.unwrap_or_default();
    let exclude = section.strings("json_nested_fields_exclude")?.unwrap_or_default();
    let nested = match include.is_empty() {
        true => None,
        false => {
            let globs = |key, list: &[String]| Globs::compile(list, "").map_err(|why| section.bad(key, why));
            Some(Nested {
                include: globs("json_nested_fields_include", &include)?,
                exclude: globs("json_nested_fields_exclude", &exclude)?,
            })
        }
    };
    Ok(Box::new(Json { time, nested }))
}

impl Json {
    fn object(&self, metric: &Metric) -> Result<Value, Unwritable> {
        let mut fields = Map::new();
        for (key, value) in metric.fields() {
            if let Some(value) = self.value(key, value) {
                fields.insert(key.as_ref().to_owned(), value);
            }
        }
        if fields.is_empty() {
            return Err(Unwritable(format!("metric {} has no serializable fields", metric.name)));
        }
        fields.sort_keys();
        let tags: Map<String, Value> = metric
            .tags()
            .iter()
            .map(|(key, value)| (key.as_ref().to_owned(), value.clone().into()))
            .collect();
        Ok(json!({
            "fields": fields,
            "name": metric.name,
            "tags": tags,
            "timestamp": self.time.value(metric.time_ns),
        }))
    }

    /// Nothing for what JSON has no number for.
    fn value(&self, key: &str, value: &FieldValue) -> Option<Value> {
        Some(match value {
            FieldValue::Float(v) => whole(*v).or_else(|| Number::from_f64(*v)).map(Value::Number)?,
            FieldValue::Integer(v) => (*v).into(),
            FieldValue::Unsigned(v) => (*v).into(),
            FieldValue::Boolean(v) => (*v).into(),
            FieldValue::String(text) => {
                let is_nested = self
                    .nested
                    .as_ref()
                    .is_some_and(|names| names.include.matches(key) && !names.exclude.matches(key));
                let parsed = if is_nested { serde_json::from_str(text).ok() } else { None };
                parsed.unwrap_or_else(|| Value::String(text.to_string()))
            }
        })
    }
}

/// A float without a fraction is written without one: `5`, not `5.0`.
fn whole(value: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() < EXACT && !(value == 0.0 && value.is_sign_negative()))
        .then(|| Number::from(value as i64))
}

impl Serializer for Json {
    fn metric(&self, metric: &Metric, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let object = self.object(metric)?;
        out.extend_from_slice(object.to_string().as_bytes());
        out.push(b'\n');
        Ok(())
    }

    fn batch(&self, metrics: &[Arc<Metric>], out: &mut Vec<u8>) -> Vec<(usize, Unwritable)> {
        let mut refused = Vec::new();
        let mut objects = Vec::with_capacity(metrics.len());
        for (index, metric) in metrics.iter().enumerate() {
            match self.object(metric) {
                Ok(object) => objects.push(object),
                Err(why) => refused.push((index, why)),
            }
        }
        out.extend_from_slice(json!({ "metrics": objects }).to_string().as_bytes());
        out.push(b'\n');
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;

    fn text(options: &str, metric: &Metric) -> String {
        let mut section = section_for_tests(options);
        let serializer = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok());
        let mut out = Vec::new();
        serializer.metric(metric, &mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    fn metric() -> Metric {
        Metric::new("docker", 1_458_229_140_123_456_789)
            .tag("host", "raynor")
            .field("z", 5.0)
            .field("a", u64::MAX)
            .field("half", 0.5)
            .field("nan", f64::NAN)
            .field("ok", true)
            .field("text", "{\"x\":[1]}")
    }

    #[test]
    fn a_metric_is_an_object() {
        assert_eq!(
            text("", &metric()),
            "{\"fields\":{\"a\":18446744073709551615,\"half\":0.5,\"ok\":true,\"text\":\"{\\\"x\\\":[1]}\",\"z\":5},\
             \"name\":\"docker\",\"tags\":{\"host\":\"raynor\"},\"timestamp\":1458229140}\n"
        );
    }

    #[test]
    fn times_and_nested_fields_as_asked() {
        assert!(text("json_timestamp_units = '1ms'", &metric()).ends_with("\"timestamp\":1458229140123}\n"));
        assert!(text("json_timestamp_units = '20ms'", &metric()).ends_with("\"timestamp\":145822914012}\n"));
        assert!(
            text("json_timestamp_format = '2006-01-02T15:04:05Z07:00'", &metric())
                .ends_with("\"timestamp\":\"2016-03-17T15:39:00Z\"}\n")
        );
        assert!(text("json_nested_fields_include = ['te*']", &metric()).contains("\"text\":{\"x\":[1]}"));
        let excluded = "json_nested_fields_include = ['te*']\njson_nested_fields_exclude = ['text']";
        assert!(text(excluded, &metric()).contains("\"text\":\"{"));
    }

    #[test]
    fn a_batch_is_one_document() {
        let serializer = build(&mut section_for_tests(""), &Context::default()).expect("valid");
        let metrics = [
            Arc::new(Metric::new("m", 0).field("x", 1_i64)),
            Arc::new(Metric::new("n", 0).field("x", f64::NAN)),
        ];
        let mut out = Vec::new();
        let refused = serializer.batch(&metrics, &mut out);
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "{\"metrics\":[{\"fields\":{\"x\":1},\"name\":\"m\",\"tags\":{},\"timestamp\":0}]}\n"
        );
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].0, 1);
    }
}
