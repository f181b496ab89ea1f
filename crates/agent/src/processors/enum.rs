//! `enum`: values that stand for others, by a table.

use skywatch_model::FieldValue;

use crate::config::{ConfigError, Scalar, Section};
use crate::context::Context;
use crate::field_value;
use crate::filter::glob::Globs;
use crate::metric::{Metric, Value};
use crate::processor::Processor;

/// The processor.
#[derive(Debug)]
struct Enum {
    mappings: Vec<Mapping>,
}

/// One `[[processors.enum.mapping]]`.
#[derive(Debug)]
struct Mapping {
    fields: Option<Globs>,
    tags: Option<Globs>,
    /// Where the new value goes; `None` is in place of the old.
    dest: Option<String>,
    default: Option<FieldValue>,
    values: Vec<(String, FieldValue)>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    let mappings = section.sections("mapping", |mapping| {
        let (fields, tags) = (globs(mapping, "fields", "field")?, globs(mapping, "tags", "tag")?);
        let values = mapping.scalars("value_mappings")?.unwrap_or_default();
        Ok(Mapping {
            fields,
            tags,
            dest: mapping.string("dest")?.filter(|dest| !dest.is_empty()),
            default: mapping.scalar("default")?.map(field_value),
            values: values.into_iter().map(|(from, to)| (from, field_value(to))).collect(),
        })
    })?;
    Ok(Box::new(Enum { mappings }))
}

/// Globs under the option's present name, a list, or its old one, a single name.
fn globs(
    mapping: &mut Section,
    list: &'static str,
    single: &'static str,
) -> Result<Option<Globs>, ConfigError> {
    let mut patterns = mapping.strings(list)?.unwrap_or_default();
    patterns.extend(mapping.string(single)?.filter(|pattern| !pattern.is_empty()));
    if patterns.is_empty() {
        return Ok(None);
    }
    Globs::compile(&patterns, "").map(Some).map_err(|why| mapping.bad(list, why))
}

fn field_value(scalar: Scalar) -> FieldValue {
    match scalar {
        Scalar::String(text) => FieldValue::String(text.into()),
        Scalar::Integer(number) => FieldValue::Integer(number),
        Scalar::Float(number) => FieldValue::Float(number),
        Scalar::Boolean(yes) => FieldValue::Boolean(yes),
    }
}

impl Mapping {
    /// What stands for a value; `None` leaves it as it is.
    fn of(&self, value: &str) -> Option<&FieldValue> {
        self.values.iter().find(|(from, _)| from == value).map(|(_, to)| to).or(self.default.as_ref())
    }

    fn map_fields(&self, metric: &mut Metric) {
        let Some(fields) = &self.fields else { return };
        let mapped: Vec<_> = metric
            .fields()
            .iter()
            .filter(|(key, _)| fields.matches(key))
            .filter_map(|(key, value)| Some((key.clone(), self.of(&field_value::text(value))?.clone())))
            .collect();
        for (key, value) in mapped {
            metric.set_field(self.dest.clone().map_or(key, Into::into), Value(value));
        }
    }

    fn map_tags(&self, metric: &mut Metric) {
        let Some(tags) = &self.tags else { return };
        let mapped: Vec<_> = metric
            .tags()
            .iter()
            .filter(|(key, _)| tags.matches(key))
            .filter_map(|(key, value)| {
                Some((key.clone(), field_value::general(self.of(value)?).into_owned()))
            })
            .collect();
        for (key, value) in mapped {
            metric.set_tag(self.dest.clone().map_or(key, Into::into), value);
        }
    }
}

impl Processor for Enum {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        for mapping in &self.mappings {
            mapping.map_fields(&mut metric);
            mapping.map_tags(&mut metric);
        }
        out.push(metric);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::applied;
    use super::*;

    #[test]
    fn fields_and_tags_by_their_text() {
        let options = "[[mapping]]\nfields=['status']\ndest='code'\n[mapping.value_mappings]\ngreen=1\nred=2\n\
                       [[mapping]]\ntags=['level*']\n[mapping.value_mappings]\nlow=0.5\n\
                       [[mapping]]\nfield='on'\n[mapping.value_mappings]\ntrue='yes'\n\
                       [[mapping]]\nfields=['n']\ndefault=-1\n[mapping.value_mappings]\n7='seven'\n";
        let metric = |n: i64| {
            let metric = Metric::new("m", 7).tag("level_a", "low").tag("level_b", "high");
            metric.field("status", "red").field("on", true).field("n", n)
        };
        assert_eq!(
            applied(build, options, metric(7)),
            ["m,level_a=0.5,level_b=high status=\"red\",on=\"yes\",n=\"seven\",code=2i 7"]
        );
        assert_eq!(
            applied(build, options, metric(8)),
            ["m,level_a=0.5,level_b=high status=\"red\",on=\"yes\",n=-1i,code=2i 7"]
        );
    }
}
