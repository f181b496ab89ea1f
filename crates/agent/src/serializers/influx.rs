//! `influx`: line protocol, one line a metric (several where `influx_max_line_bytes` splits it).

use std::sync::Arc;

use skywatch_model::serialize::SerializeOptions;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::line;
use crate::metric::Metric;
use crate::serializer::{Serializer, Unwritable};

/// Line protocol with the options of a plugin's table.
#[derive(Debug, Clone)]
pub(crate) struct InfluxSerializer {
    pub(crate) options: SerializeOptions,
    /// Whether lines carry their time.
    pub(crate) timed: bool,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Serializer>, ConfigError> {
    Ok(Box::new(InfluxSerializer::from_section(section)?))
}

impl InfluxSerializer {
    /// Takes the `influx_*` options out of a table: also for outputs that write nothing but line protocol.
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        Ok(Self {
            options: SerializeOptions {
                uint_support: section.boolean("influx_uint_support")?.unwrap_or(false),
                sort_fields: section.boolean("influx_sort_fields")?.unwrap_or(false),
                max_line_bytes: section.count("influx_max_line_bytes")?.filter(|&limit| limit > 0),
            },
            timed: !section.boolean("influx_omit_timestamp")?.unwrap_or(false),
        })
    }

    fn append(&self, metric: &Metric, text: &mut String) -> Result<(), Unwritable> {
        line::append(text, metric, self.timed, self.options).map_err(|why| Unwritable(why.to_string()))
    }
}

impl Serializer for InfluxSerializer {
    fn metric(&self, metric: &Metric, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let mut text = String::with_capacity(128);
        self.append(metric, &mut text)?;
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn batch(&self, metrics: &[Arc<Metric>], out: &mut Vec<u8>) -> Vec<(usize, Unwritable)> {
        let mut text = String::with_capacity(metrics.len() * 128);
        let mut refused = Vec::new();
        for (index, metric) in metrics.iter().enumerate() {
            if let Err(why) = self.append(metric, &mut text) {
                refused.push((index, why));
            }
        }
        if out.is_empty() {
            *out = text.into_bytes();
        } else {
            out.extend_from_slice(text.as_bytes());
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;

    fn serializer(options: &str) -> Box<dyn Serializer> {
        let mut section = section_for_tests(options);
        let serializer = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok(), "every option is taken");
        serializer
    }

    fn text(options: &str, metric: &Metric) -> Result<String, Unwritable> {
        let mut out = b"before|".to_vec();
        serializer(options).metric(metric, &mut out)?;
        let rest = out.strip_prefix(b"before|").expect("what was there stays");
        Ok(String::from_utf8(rest.to_vec()).expect("text"))
    }

    fn metric() -> Metric {
        Metric::new("m", 1_500_000_000_000_000_000)
            .tag("host", "a b")
            .field("z", u64::MAX)
            .field("a", 7_u64)
            .field("f", 1.0)
            .field("s", "x \"y\"\nz")
            .field("b", true)
            .field("nan", f64::NAN)
    }

    #[test]
    fn by_default_fields_keep_their_order_and_unsigned_values_are_integers() {
        assert_eq!(
            text("", &metric()).as_deref(),
            Ok(
                "m,host=a\\ b z=9223372036854775807i,a=7i,f=1,s=\"x \\\"y\\\"\nz\",b=true 1500000000000000000\n"
            )
        );
    }

    #[test]
    fn every_option_changes_the_line() {
        let options = "influx_uint_support = true\ninflux_sort_fields = true\ninflux_omit_timestamp = true";
        assert_eq!(
            text(options, &metric()).as_deref(),
            Ok("m,host=a\\ b a=7u,b=true,f=1,s=\"x \\\"y\\\"\nz\",z=18446744073709551615u\n")
        );
        let two = Metric::new("m", 1).field("a", 1_u64).field("b", 2_u64);
        assert_eq!(text("influx_max_line_bytes = 9", &two).as_deref(), Ok("m a=1i 1\nm b=2i 1\n"));
        let error = text("influx_max_line_bytes = 8", &two).expect_err("no field fits").to_string();
        assert_eq!(error, "metric m: a line with field a alone is longer than 8 bytes");
        assert!(text("influx_max_line_bytes = 0", &two).is_ok(), "zero is no limit");
    }

    #[test]
    fn a_batch_names_what_it_leaves_out() {
        let metrics = [
            Arc::new(Metric::new("a", 1).field("x", 1.5)),
            Arc::new(Metric::new("b", 2).field("x", f64::INFINITY)),
            Arc::new(Metric::new("c", 3).field("x", false)),
        ];
        let mut out = Vec::new();
        let refused = serializer("").batch(&metrics, &mut out);
        assert_eq!(String::from_utf8(out).as_deref(), Ok("a x=1.5 1\nc x=false 3\n"));
        assert_eq!(refused, [(1, Unwritable("metric b has no serializable fields".to_owned()))]);
    }
}
