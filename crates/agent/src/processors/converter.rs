//! `converter`: tags and fields of one type made into another, or into the other kind, the name or the time.

mod number;

use skywatch_model::FieldValue;

use super::complaint::Complaint;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::field_value;
use crate::filter::glob::Globs;
use crate::metric::{Metric, Value};
use crate::processor::Processor;
use crate::time_format::TimeFormat;

/// The processor.
#[derive(Debug, Default)]
struct Converter {
    tags: Rules,
    fields: Rules,
    complaint: Complaint,
}

/// The conversions of one table, in the order in which they are looked at.
#[derive(Debug, Default)]
struct Rules {
    classes: Vec<(Globs, Class)>,
    /// How timestamps are written; there if something is one.
    times: Option<TimeFormat>,
}

/// What something is made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Measurement,
    Tag,
    String,
    Integer,
    Unsigned,
    Boolean,
    Float,
    Timestamp,
    Base64Float32,
}

/// The options of `[processors.converter.tags]`, in their order.
const OF_TAGS: [(&str, Class); 7] = [
    ("measurement", Class::Measurement),
    ("string", Class::String),
    ("integer", Class::Integer),
    ("unsigned", Class::Unsigned),
    ("boolean", Class::Boolean),
    ("float", Class::Float),
    ("timestamp", Class::Timestamp),
];

/// The options of `[processors.converter.fields]`, in their order.
const OF_FIELDS: [(&str, Class); 9] = [
    ("measurement", Class::Measurement),
    ("tag", Class::Tag),
    ("float", Class::Float),
    ("integer", Class::Integer),
    ("unsigned", Class::Unsigned),
    ("boolean", Class::Boolean),
    ("string", Class::String),
    ("timestamp", Class::Timestamp),
    ("base64_ieee_float32", Class::Base64Float32),
];

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    let tags = section.sections("tags", |table| rules(table, &OF_TAGS))?;
    let fields = section.sections("fields", |table| rules(table, &OF_FIELDS))?;
    if tags.is_empty() && fields.is_empty() {
        return Err(section.bad("fields", "there are no conversions: neither tags nor fields"));
    }
    Ok(Box::new(Converter {
        tags: tags.into_iter().next().unwrap_or_default(),
        fields: fields.into_iter().next().unwrap_or_default(),
        complaint: Complaint::default(),
    }))
}

fn rules(table: &mut Section, options: &[(&'static str, Class)]) -> Result<Rules, ConfigError> {
    let mut rules = Rules::default();
    for (option, class) in options {
        let patterns = table.strings(option)?.unwrap_or_default();
        if !patterns.is_empty() {
            let globs = Globs::compile(&patterns, "").map_err(|why| table.bad(option, why))?;
            rules.classes.push((globs, *class));
        }
    }
    let format = table.string("timestamp_format")?.filter(|format| !format.is_empty());
    if let Some(format) = format {
        let times = TimeFormat::new(&format, "").map_err(|why| table.bad("timestamp_format", why))?;
        rules.times = Some(times);
    } else if rules.classes.iter().any(|(_, class)| *class == Class::Timestamp) {
        return Err(
            table.bad("timestamp_format", "say how timestamps are written, as \"unix\" or \"RFC3339\"")
        );
    }
    Ok(rules)
}

impl Rules {
    fn class(&self, key: &str) -> Option<Class> {
        self.classes.iter().find(|(globs, _)| globs.matches(key)).map(|(_, class)| *class)
    }
}

impl Processor for Converter {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        self.convert_tags(&mut metric);
        self.convert_fields(&mut metric);
        out.push(metric);
    }
}

impl Converter {
    fn convert_tags(&mut self, metric: &mut Metric) {
        if self.tags.classes.is_empty() {
            return;
        }
        let chosen: Vec<_> =
            metric.tags().iter().filter_map(|(key, _)| Some((key.clone(), self.tags.class(key)?))).collect();
        for (key, class) in chosen {
            let Some(text) = metric.tag_value(&key).map(str::to_owned) else { continue };
            match class {
                Class::Measurement => metric.name = text.into(),
                Class::Timestamp => match time(self.tags.times.as_ref(), &text, metric.time_ns) {
                    Ok(time) => metric.time_ns = time,
                    Err(why) => {
                        // The one case in which the tag stays.
                        self.complaint.about("converter", &format!("tag {key:?}: {why}"));
                        continue;
                    }
                },
                _ => match convert(&FieldValue::String(text.as_str().into()), class) {
                    Some(value) => metric.set_field(key.clone(), Value(value)),
                    None => self.complain("tag", &key, &text, class),
                },
            }
            metric.remove_tag(&key);
        }
    }

    fn convert_fields(&mut self, metric: &mut Metric) {
        if self.fields.classes.is_empty() {
            return;
        }
        let chosen: Vec<_> = metric
            .fields()
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.clone(), self.fields.class(key)?)))
            .collect();
        for (key, value, class) in chosen {
            match class {
                Class::Measurement => {
                    metric.name = field_value::text(&value).into_owned().into();
                    metric.remove_field(&key);
                }
                Class::Tag => {
                    metric.remove_field(&key);
                    metric.set_tag(key, field_value::text(&value));
                }
                Class::Timestamp => {
                    match time(self.fields.times.as_ref(), &field_value::text(&value), metric.time_ns) {
                        Ok(time) => {
                            metric.time_ns = time;
                            metric.remove_field(&key);
                        }
                        Err(why) => self.complaint.about("converter", &format!("field {key:?}: {why}")),
                    }
                }
                _ => match convert(&value, class) {
                    Some(value) => metric.set_field(key, Value(value)),
                    None => {
                        self.complain("field", &key, &field_value::text(&value), class);
                        metric.remove_field(&key);
                    }
                },
            }
        }
    }

    fn complain(&mut self, what: &str, key: &str, value: &str, class: Class) {
        self.complaint.about("converter", &format!("{what} {key:?} with {value:?} cannot be made {class:?}"));
    }
}

/// The time a text means, in nanoseconds since the Unix epoch; `now_ns` tells the year where the text does not.
fn time(times: Option<&TimeFormat>, text: &str, now_ns: i64) -> Result<i64, String> {
    times.ok_or("there is no timestamp_format")?.parse(text, now_ns)
}

/// A value as one of another type; `None` where there is none.
fn convert(value: &FieldValue, class: Class) -> Option<FieldValue> {
    Some(match class {
        Class::String | Class::Tag | Class::Measurement | Class::Timestamp => {
            FieldValue::String(field_value::text(value).into())
        }
        Class::Integer => FieldValue::Integer(number::integer(value)?),
        Class::Unsigned => FieldValue::Unsigned(number::unsigned(value)?),
        Class::Float => FieldValue::Float(number::float(value)?),
        Class::Boolean => FieldValue::Boolean(number::boolean(value)?),
        Class::Base64Float32 => FieldValue::Float(number::base64_float32(value)?),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{applied, try_processor};
    use super::*;

    #[test]
    fn tags_become_fields() {
        let options = "[tags]\nstring=['s?']\ninteger=['i']\nunsigned=['u']\nboolean=['b']\nfloat=['f']\nmeasurement=['name']\n";
        let metric = Metric::new("m", 7)
            .tag("s1", "x")
            .tag("i", "-3.6")
            .tag("u", "0x1F")
            .tag("b", "True")
            .tag("f", "2.5")
            .tag("name", "n")
            .tag("stay", "1");
        let out = applied(build, options, metric);
        assert_eq!(out.len(), 1);
        let (key, rest) = out[0].split_once(' ').expect("fields");
        assert_eq!(key, "n,stay=1");
        assert_eq!(rest, "b=true,f=2.5,i=-4i,s1=\"x\",u=31u 7");
    }

    #[test]
    fn fields_become_others() {
        let options = "[fields]\ntag=['t']\nfloat=['f']\ninteger=['i*']\nunsigned=['u']\nboolean=['b']\nstring=['s']\nmeasurement=['m']\nbase64_ieee_float32=['e']\n";
        let metric = Metric::new("old", 7)
            .field("t", 5_i64)
            .field("f", "1e3")
            .field("i1", 2.5)
            .field("i2", 1e300)
            .field("u", -4_i64)
            .field("b", 0_i64)
            .field("s", 1.5)
            .field("m", "new")
            .field("e", "QEkP2w==")
            .field("stay", true);
        assert_eq!(
            applied(build, options, metric),
            [
                "new,t=5 f=1000,i1=3i,i2=9223372036854775807i,u=0u,b=false,s=\"1.5\",e=3.1415927410125732,stay=true 7"
            ]
        );
    }

    #[test]
    fn what_cannot_be_converted_goes() {
        let options = "[tags]\ninteger=['a']\n[fields]\nfloat=['x']\n";
        let metric = Metric::new("m", 7).tag("a", "abc").field("x", "zzz").field("y", 1_i64);
        assert_eq!(applied(build, options, metric), ["m y=1i 7"]);
    }

    #[test]
    fn times() {
        let options = "[fields]\ntimestamp=['when']\ntimestamp_format='unix'\n";
        let metric = Metric::new("m", 7).field("when", 1_700_000_000_i64).field("y", 1_i64);
        assert_eq!(applied(build, options, metric), ["m y=1i 1700000000000000000"]);
        assert!(try_processor(build, "[fields]\ntimestamp=['when']").is_err());
        assert!(try_processor(build, "").is_err());
    }
}
