//! `enum`: values that stand for others, by a table.

use skywatch_model::FieldValue;

use crate::config::{ConfigError, Scalar, Section};
use crate::context::Context;
use crate::field_value;
use crate::filter::glob::Globs;
use crate::metric::{Key, Metric, Value};
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

    /// Keys and values to set.
    fn new_fields(&self, metric: &Metric) -> Vec<(Key, FieldValue)> {
        let Some(fields) = &self.fields else { return Vec::new() };
        let matching = metric.fields().iter().filter(|(key, _)| fields.matches(key));
        matching
            .filter_map(|(key, value)| Some((self.goes_to(key), self.of(&field_value::text(value))?.clone())))
            .collect()
    }

    fn new_tags(&self, metric: &Metric) -> Vec<(Key, String)> {
        let Some(tags) = &self.tags else { return Vec::new() };
        let matching = metric.tags().iter().filter(|(key, _)| tags.matches(key));
        matching
            .filter_map(|(key, value)| {
                Some((self.goes_to(key), field_value::general(self.of(value)?).into_owned()))
            })
            .collect()
    }

    fn goes_to(&self, key: &Key) -> Key {
        self.dest.clone().map_or_else(|| key.clone(), Into::into)
    }
}

impl Processor for Enum {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        // As in the original every mapping sees the values as they came; of several for one key the last counts.
        let fields: Vec<_> = self.mappings.iter().flat_map(|mapping| mapping.new_fields(&metric)).collect();
        let tags: Vec<_> = self.mappings.iter().flat_map(|mapping| mapping.new_tags(&metric)).collect();
        for (key, value) in fields {
            metric.set_field(key, Value(value));
        }
        for (key, value) in tags {
            metric.set_tag(key, value);
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

    #[test]
    fn every_mapping_sees_the_values_as_they_came() {
        let options = "[[mapping]]\nfields=['state']\n[mapping.value_mappings]\nup='down'\ndown='up'\n\
                       [[mapping]]\nfields=['state']\ndest='code'\n[mapping.value_mappings]\nup=1\ndown=0\n\
                       [[mapping]]\ntags=['t']\n[mapping.value_mappings]\na='b'\n\
                       [[mapping]]\ntags=['t']\ndest='u'\n[mapping.value_mappings]\na='c'\nb='d'\n";
        let metric = Metric::new("m", 7).tag("t", "a").field("state", "up");
        assert_eq!(applied(build, options, metric), ["m,t=b,u=c state=\"down\",code=1i 7"]);
    }
}
