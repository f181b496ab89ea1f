//! `scale`: fields by a factor and an offset, or from one range to another.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::filter::glob::Globs;
use crate::metric::Metric;
use crate::processor::Processor;
use skywatch_model::FieldValue;

use super::complaint::Complaint;

/// The processor.
#[derive(Debug)]
struct Scale {
    scalings: Vec<Scaling>,
    complaint: Complaint,
}

/// One `[[processors.scale.scaling]]`: `value * factor + offset`.
#[derive(Debug)]
struct Scaling {
    fields: Globs,
    factor: f64,
    offset: f64,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    let mut seen: Vec<String> = Vec::new();
    let scalings = section.sections("scaling", |scaling| {
        let fields = scaling.strings("fields")?.unwrap_or_default();
        if fields.is_empty() {
            return Err(scaling.bad("fields", "say which fields are scaled"));
        }
        if let Some(twice) = fields.iter().find(|field| seen.contains(field)) {
            return Err(scaling.bad("fields", format!("{twice:?} is scaled more than once")));
        }
        seen.extend(fields.iter().cloned());
        let (factor, offset) = linear(scaling)?;
        let fields = Globs::compile(&fields, "").map_err(|why| scaling.bad("fields", why))?;
        Ok(Scaling { fields, factor, offset })
    })?;
    if scalings.is_empty() {
        return Err(section.bad("scaling", "there must be at least one [[processors.scale.scaling]]"));
    }
    Ok(Box::new(Scale { scalings, complaint: Complaint::default() }))
}

/// Factor and offset, given as such or by what two inputs become.
fn linear(scaling: &mut Section) -> Result<(f64, f64), ConfigError> {
    let range = [
        scaling.float("input_minimum")?,
        scaling.float("input_maximum")?,
        scaling.float("output_minimum")?,
        scaling.float("output_maximum")?,
    ];
    let (factor, offset) = (scaling.float("factor")?, scaling.float("offset")?);
    if let [None, None, None, None] = range {
        return match (factor, offset) {
            (None, None) => Err(scaling.bad("factor", "a scaling needs a factor, an offset, or two ranges")),
            _ => Ok((factor.unwrap_or(1.0), offset.unwrap_or(0.0))),
        };
    }
    if factor.is_some() || offset.is_some() {
        return Err(scaling.bad("factor", "either factor and offset or the two ranges, not both"));
    }
    let [Some(in_min), Some(in_max), Some(out_min), Some(out_max)] = range else {
        let reason = "input_minimum, input_maximum, output_minimum and output_maximum belong together";
        return Err(scaling.bad("input_minimum", reason));
    };
    if in_min == in_max {
        return Err(scaling.bad("input_maximum", "must differ from input_minimum"));
    }
    if out_min == out_max {
        return Err(scaling.bad("output_maximum", "must differ from output_minimum"));
    }
    let factor = (out_max - out_min) / (in_max - in_min);
    Ok((factor, out_min - in_min * factor))
}

impl Processor for Scale {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        for Scaling { fields, factor, offset } in &self.scalings {
            for (key, value) in metric.fields_mut() {
                if !fields.matches(key) {
                    continue;
                }
                match as_float(value) {
                    Some(number) => *value = FieldValue::Float(number * factor + offset),
                    None => self.complaint.about("scale", &format!("field {key:?} is no number: {value:?}")),
                }
            }
        }
        out.push(metric);
    }
}

/// Texts that are numbers count as well.
fn as_float(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::String(text) => text.parse().ok(),
        other => crate::field_value::number(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{applied, try_processor};
    use super::*;

    #[test]
    fn factors_and_ranges() {
        let options = "[[scaling]]\ninput_minimum=0\ninput_maximum=1\noutput_minimum=0\noutput_maximum=100\nfields=['temp*']\n\
                       [[scaling]]\nfactor=10.0\noffset=-5.0\nfields=['v']\n[[scaling]]\nfactor=2\nfields=['s']";
        let metric =
            Metric::new("m", 7).field("temp1", 0.5).field("v", 2_u64).field("s", "1.5").field("other", 3_i64);
        assert_eq!(applied(build, options, metric), ["m temp1=50,v=15,s=3,other=3i 7"]);
        let text = Metric::new("m", 7).field("v", "x");
        assert_eq!(applied(build, options, text), ["m v=\"x\" 7"]);
    }

    #[test]
    fn contradictions_are_named() {
        for (options, want) in [
            ("", "at least one"),
            ("[[scaling]]\nfactor=1.0", "which fields"),
            ("[[scaling]]\nfields=['a']", "needs a factor"),
            ("[[scaling]]\nfields=['a']\nfactor=1.0\ninput_minimum=0.0", "not both"),
            ("[[scaling]]\nfields=['a']\ninput_minimum=0.0", "belong together"),
            (
                "[[scaling]]\nfactor=1.0\nfields=['a']\n[[scaling]]\nfactor=1.0\nfields=['a']",
                "more than once",
            ),
        ] {
            let error = try_processor(build, options).expect_err("contradictory").to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
