//! `rename`: measurements, tags and fields by exact names.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::processor::Processor;

/// The processor.
#[derive(Debug)]
struct Rename {
    replacements: Vec<Replacement>,
}

/// One `[[processors.rename.replace]]`.
#[derive(Debug)]
struct Replacement {
    what: What,
    to: String,
}

#[derive(Debug)]
enum What {
    Measurement(String),
    Tag(String),
    Field(String),
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    let replacements = section.sections("replace", |replace| {
        let named = |text: Option<String>| text.filter(|text| !text.is_empty());
        let measurement = named(replace.string("measurement")?);
        let tag = named(replace.string("tag")?);
        let field = named(replace.string("field")?);
        let to = named(replace.string("dest")?);
        // The first of them that is set counts; without a new name there is nothing to do.
        let what = measurement.map(What::Measurement).or(tag.map(What::Tag)).or(field.map(What::Field));
        Ok(what.zip(to).map(|(what, to)| Replacement { what, to }))
    })?;
    Ok(Box::new(Rename { replacements: replacements.into_iter().flatten().collect() }))
}

impl Processor for Rename {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        for Replacement { what, to } in &self.replacements {
            match what {
                What::Measurement(name) if *name == metric.name => metric.name = to.clone().into(),
                What::Measurement(_) => {}
                What::Tag(key) => {
                    if let Some(value) = metric.remove_tag(key) {
                        metric.set_tag(to.clone(), value);
                    }
                }
                What::Field(key) => metric.rename_field(key, to),
            }
        }
        out.push(metric);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::applied;
    use super::*;

    #[test]
    fn measurements_tags_and_fields() {
        let options = "[[replace]]\nmeasurement='m'\ndest='n'\n[[replace]]\ntag='host'\ndest='hostname'\n\
                       [[replace]]\nfield='a'\ndest='b'\n[[replace]]\nfield='absent'\ndest='x'\n[[replace]]\ntag='t'\n";
        let metric = Metric::new("m", 7).tag("host", "h").tag("t", "1").field("a", 1_i64).field("b", 2_i64);
        assert_eq!(applied(build, options, metric), ["n,hostname=h,t=1 b=1i 7"]);
        let other = Metric::new("o", 7).field("c", 1_i64);
        assert_eq!(applied(build, options, other), ["o c=1i 7"]);
    }
}
