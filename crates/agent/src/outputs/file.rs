//! `file`: metrics appended, in any data format, to files or to standard output.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::output::{Batch, Fates, Output, OutputFuture, WriteOutcome};
use crate::serializer::Serializer;
use crate::serializers;

/// The output.
#[derive(Debug)]
struct FileOutput {
    /// Paths, or `stdout`.
    files: Vec<String>,
    serializer: Box<dyn Serializer>,
    batched: bool,
    open: BTreeMap<String, File>,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Output>, ConfigError> {
    let files = section.strings("files")?.unwrap_or_else(|| vec!["stdout".to_owned()]);
    let batched = section.boolean("use_batch_format")?.unwrap_or(false);
    let serializer = serializers::from_section(section, context)?;
    Ok(Box::new(FileOutput { files, serializer, batched, open: BTreeMap::new() }))
}

impl Output for FileOutput {
    fn write(&mut self, batch: Batch) -> OutputFuture<'_, WriteOutcome> {
        Box::pin(async move {
            let (bytes, rejected) = self.serialize(&batch);
            // A batch goes out in one call, so that a failure seldom leaves a part behind.
            for name in &self.files {
                if let Err(error) = append(&mut self.open, name, &bytes) {
                    self.open.remove(name);
                    return WriteOutcome::Retry { reason: format!("{name}: {error}"), after: None };
                }
            }
            WriteOutcome::Each(Fates { rejected, ..Fates::default() })
        })
    }
}

impl FileOutput {
    /// The batch as it is appended, and what has no place in the format.
    fn serialize(&self, batch: &[Arc<Metric>]) -> (Vec<u8>, Vec<(usize, String)>) {
        let mut bytes = Vec::new();
        let unwritable = if self.batched {
            self.serializer.batch(batch, &mut bytes)
        } else {
            let each = batch.iter().enumerate();
            each.filter_map(|(index, metric)| {
                Some((index, self.serializer.metric(metric, &mut bytes).err()?))
            })
            .collect()
        };
        (bytes, unwritable.into_iter().map(|(index, why)| (index, why.to_string())).collect())
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
    use super::*;

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
        let WriteOutcome::Each(Fates { rejected, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(rejected, [(1, "metric m has no serializable fields".to_owned())]);
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
