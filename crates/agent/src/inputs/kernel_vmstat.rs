//! `kernel_vmstat`: everything in `/proc/vmstat`.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::Metric;
use crate::paths::HostPaths;

/// The input.
#[derive(Debug)]
struct KernelVmstat {
    paths: HostPaths,
}

pub(crate) fn build(_: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(KernelVmstat { paths: context.paths.clone() }))
}

impl Input for KernelVmstat {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let path = self.paths.proc("vmstat");
        let text = read_text(&path)?;
        let metric = fields(acc.metric("kernel_vmstat"), &text)
            .map_err(|reason| GatherError::Malformed { path, reason })?;
        acc.add(metric);
        Ok(())
    }
}

/// A name and its value in each line.
fn fields(mut metric: Metric, text: &str) -> Result<Metric, String> {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { continue };
        let value = words.next().and_then(|word| word.parse::<i64>().ok());
        metric.set_field(name.to_owned(), value.ok_or_else(|| format!("no number: {line:?}"))?);
    }
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::Integer;

    #[test]
    fn every_line_is_a_field() {
        let m = fields(Metric::new("kernel_vmstat", 0), "nr_free_pages 78730\npgpgin 1846\n").expect("valid");
        assert_eq!(m.fields(), [("nr_free_pages".into(), Integer(78730)), ("pgpgin".into(), Integer(1846))]);
    }

    #[test]
    fn a_value_that_is_none_fails_the_gather() {
        for text in ["pgpgin x\n", "pgpgin\n", "pgpgin 9223372036854775808\n"] {
            let error = fields(Metric::new("kernel_vmstat", 0), text).expect_err("no number");
            assert!(error.contains("pgpgin"), "{error}");
        }
    }
}
