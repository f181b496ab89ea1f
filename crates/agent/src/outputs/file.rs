//! `file`: lines appended to files or to standard output.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use skywatch_model::serialize::SerializeOptions;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::line;
use crate::output::{Batch, Output, OutputFuture, WriteOutcome};

/// The output.
#[derive(Debug)]
struct FileOutput {
    /// Paths, or `stdout`.
    files: Vec<String>,
    options: SerializeOptions,
    timed: bool,
    open: BTreeMap<String, File>,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Output>, ConfigError> {
    let files = section.strings("files")?.unwrap_or_else(|| vec!["stdout".to_owned()]);
    if let Some(format) = section.string("data_format")?
        && format != "influx"
    {
        return Err(section.bad("data_format", format!("only \"influx\" is supported, not {format:?}")));
    }
    section.without_effect("use_batch_format", "lines are the same either way");
    Ok(Box::new(FileOutput {
        files,
        options: SerializeOptions {
            uint_support: section.boolean("influx_uint_support")?.unwrap_or(false),
            sort_fields: section.boolean("influx_sort_fields")?.unwrap_or(false),
            max_line_bytes: section.count("influx_max_line_bytes")?.filter(|&limit| limit > 0),
        },
        timed: !section.boolean("influx_omit_timestamp")?.unwrap_or(false),
        open: BTreeMap::new(),
    }))
}

impl Output for FileOutput {
    fn write(&mut self, batch: Batch) -> OutputFuture<'_, WriteOutcome> {
        Box::pin(async move {
            let mut text = String::new();
            let mut unwritable = Vec::new();
            for metric in batch.iter() {
                if let Err(error) = line::append(&mut text, metric, self.timed, self.options) {
                    unwritable.push(error.to_string());
                }
            }
            // A batch goes out in one call, so that a failure seldom leaves a part behind.
            for name in &self.files {
                if let Err(error) = append(&mut self.open, name, text.as_bytes()) {
                    self.open.remove(name);
                    return WriteOutcome::Retry { reason: format!("{name}: {error}"), after: None };
                }
            }
            match unwritable.first() {
                None => WriteOutcome::Stored,
                Some(first) => WriteOutcome::Partial { rejected: unwritable.len(), reason: first.clone() },
            }
        })
    }
}

/// Writing to a file blocks shortly; an output has a task of its own.
fn append(open: &mut BTreeMap<String, File>, name: &str, bytes: &[u8]) -> io::Result<()> {
    if name == "stdout" {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        return stdout.flush();
    }
    if !open.contains_key(name) {
        open.insert(name.to_owned(), OpenOptions::new().create(true).append(true).open(name)?);
    }
    match open.get_mut(name) {
        Some(file) => file.write_all(bytes),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metric::Metric;

    #[tokio::test]
    async fn lines_are_appended_and_what_cannot_be_written_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("out.lp");
        std::fs::write(&path, "before\n").expect("written");
        let mut section = crate::config::section_for_tests(&format!("files = ['{}']", path.display()));
        let mut output = build(&mut section, &Context::default()).expect("valid");
        let batch: Batch = Arc::from(vec![
            Arc::new(Metric::new("m", 7).tag("a", "b c").field("x", 1_u64)),
            Arc::new(Metric::new("m", 8).field("x", f64::NAN)),
        ]);
        let outcome = output.write(batch).await;
        assert!(matches!(outcome, WriteOutcome::Partial { rejected: 1, .. }), "{outcome:?}");
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "before\nm,a=b\\ c x=1i 7\n");
    }

    #[tokio::test]
    async fn a_directory_that_is_missing_may_come() {
        let mut section = crate::config::section_for_tests("files = ['/nonexistent/out.lp']");
        let mut output = build(&mut section, &Context::default()).expect("valid");
        let batch: Batch = Arc::from(vec![Arc::new(Metric::new("m", 7).field("x", 1.0))]);
        assert!(matches!(output.write(batch).await, WriteOutcome::Retry { .. }));
    }
}
