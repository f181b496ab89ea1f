//! `prometheus`: the text format that Prometheus scrapes, of a batch as one page.

use std::sync::Arc;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::exposition::{Escaping, Families, Kinds, Layout, Names, Options, Sanitization};
use crate::metric::Metric;
use crate::serializer::{Serializer, Unwritable};

/// The format with its options.
#[derive(Debug)]
struct Prometheus {
    options: Options,
    timed: bool,
    /// Without comments about what families are.
    compact: bool,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Serializer>, ConfigError> {
    let sanitization = match section.string("prometheus_name_sanitization")?.as_deref() {
        None | Some("" | "legacy") => Sanitization::Legacy,
        Some("utf8") => Sanitization::Utf8,
        Some(other) => {
            let reason = format!("{other:?} is neither \"legacy\" nor \"utf8\"");
            return Err(section.bad("prometheus_name_sanitization", reason));
        }
    };
    section.without_effect("prometheus_sort_metrics", "they are always sorted");
    Ok(Box::new(Prometheus {
        options: Options {
            layout: Layout::Two,
            string_as_label: section.boolean("prometheus_string_as_label")?.unwrap_or(false),
            names: Names { sanitization, layout: Layout::Two },
            kinds: Kinds::from_section(section, "prometheus_metric_types")?,
        },
        timed: section.boolean("prometheus_export_timestamp")?.unwrap_or(false),
        compact: section.boolean("prometheus_compact_encoding")?.unwrap_or(false),
    }))
}

impl Prometheus {
    fn page<'a>(&self, metrics: impl Iterator<Item = &'a Metric>) -> String {
        let mut families = Families::default();
        for metric in metrics {
            // There is room for as many as there are.
            families.add(metric, &self.options, 0, usize::MAX).ok();
        }
        let mut text = String::new();
        families.write(&mut text, self.timed, Escaping::Underscores);
        if self.compact {
            let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("# HELP"));
            text = lines.collect();
        }
        text
    }
}

impl Serializer for Prometheus {
    fn metric(&self, metric: &Metric, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let page = self.page([metric].into_iter());
        if page.is_empty() {
            return Err(Unwritable(format!("metric {} has no number for Prometheus", metric.name)));
        }
        out.extend_from_slice(page.as_bytes());
        Ok(())
    }

    /// A metric without a number has nothing to say here, which is no fault of it.
    fn batch(&self, metrics: &[Arc<Metric>], out: &mut Vec<u8>) -> Vec<(usize, Unwritable)> {
        out.extend_from_slice(self.page(metrics.iter().map(AsRef::as_ref)).as_bytes());
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;
    use crate::metric::Kind;

    fn page(options: &str) -> String {
        let mut section = section_for_tests(options);
        let serializer = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok());
        let metrics = [
            Arc::new(
                Metric::new("mem", 2_000_000_000).kind(Kind::Gauge).tag("host", "h1").field("free", 5_i64),
            ),
            Arc::new(
                Metric::new("cpu", 1_000_000_000)
                    .kind(Kind::Counter)
                    .field("ticks", 7.5)
                    .field("mode", "idle"),
            ),
        ];
        let mut out = Vec::new();
        assert!(serializer.batch(&metrics, &mut out).is_empty());
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_batch_is_a_page() {
        let text = page("prometheus_compact_encoding = true");
        assert_eq!(
            text,
            "# TYPE cpu_ticks counter\ncpu_ticks 7.5\n# TYPE mem_free gauge\nmem_free{host=\"h1\"} 5\n"
        );
        assert!(page("").contains("# HELP cpu_ticks "));
    }

    #[test]
    fn labels_and_times_as_asked() {
        let text = page("prometheus_string_as_label = true\nprometheus_export_timestamp = true");
        assert!(text.contains("cpu_ticks{mode=\"idle\"} 7.5 1000\n"), "{text}");
        assert!(text.contains("mem_free{host=\"h1\"} 5 2000\n"), "{text}");
    }

    #[test]
    fn a_metric_without_a_number_is_refused_by_itself() {
        let serializer = build(&mut section_for_tests(""), &Context::default()).expect("valid");
        let error =
            serializer.metric(&Metric::new("m", 1).field("s", "x"), &mut Vec::new()).expect_err("nothing");
        assert_eq!(error.to_string(), "metric m has no number for Prometheus");
    }
}
