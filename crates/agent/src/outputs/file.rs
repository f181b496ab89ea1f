//! `file`: metrics appended, in any data format, to files or to standard output.
//!
//! A batch goes into every file or into none: where one of them cannot be written, the others give back what they got,
//! so that the batch can be written again without being there twice.

mod compression;
mod destination;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use compression::Compression;
use destination::{Destination, Rotation};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::output::{Batch, Fates, Output, OutputFuture, WriteOutcome};
use crate::serializer::Serializer;
use crate::serializers;

/// The output.
#[derive(Debug)]
struct FileOutput {
    files: Vec<(String, Sink)>,
    serializer: Box<dyn Serializer>,
    batched: bool,
    compression: Compression,
}

#[derive(Debug)]
enum Sink {
    Stdout,
    File(Destination),
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Output>, ConfigError> {
    let names = section.strings("files")?.filter(|names| !names.is_empty());
    let rotation = rotation(section)?;
    let sink = |name: String| match name.as_str() {
        "stdout" => (name, Sink::Stdout),
        path => (name.clone(), Sink::File(Destination::new(path, rotation))),
    };
    Ok(Box::new(FileOutput {
        files: names.unwrap_or_else(|| vec!["stdout".to_owned()]).into_iter().map(sink).collect(),
        batched: section.boolean("use_batch_format")?.unwrap_or(false),
        compression: Compression::from_section(section)?,
        serializer: serializers::from_section(section, context)?,
    }))
}

fn rotation(section: &mut Section) -> Result<Rotation, ConfigError> {
    let interval = section.duration("rotation_interval")?.filter(|&nanos| nanos > 0);
    let archives = section.integer("rotation_max_archives")?.unwrap_or(0);
    if archives < -1 {
        return Err(section.bad("rotation_max_archives", "a number of archives, or -1 to keep all"));
    }
    Ok(Rotation {
        interval: interval.map(|nanos| Duration::from_nanos(nanos.unsigned_abs())),
        max_bytes: section.size("rotation_max_size")?.filter(|&bytes| bytes > 0),
        archives: usize::try_from(archives).ok(),
    })
}

impl Output for FileOutput {
    fn write(&mut self, batch: Batch) -> OutputFuture<'_, WriteOutcome> {
        Box::pin(async move {
            let (bytes, rejected) = self.serialize(&batch);
            if bytes.is_empty() {
                return WriteOutcome::Each(Fates { rejected, ..Fates::default() });
            }
            match self
                .compression
                .apply(bytes)
                .map_err(|error| error.to_string())
                .and_then(|b| self.append(&b))
            {
                Ok(()) => WriteOutcome::Each(Fates { rejected, ..Fates::default() }),
                Err(reason) => WriteOutcome::Retry { reason, after: None },
            }
        })
    }
}

impl FileOutput {
    /// Writing to files blocks shortly; an output has a task of its own.
    fn append(&mut self, bytes: &[u8]) -> Result<(), String> {
        let now = SystemTime::now();
        for at in 0..self.files.len() {
            let (name, sink) = &mut self.files[at];
            let written = match sink {
                Sink::File(destination) => destination.append(bytes, now),
                Sink::Stdout => print(bytes),
            };
            if let Err(error) = written {
                let reason = format!("{name}: {error}");
                for (_, before) in &mut self.files[..at] {
                    if let Sink::File(destination) = before {
                        destination.take_back(bytes.len());
                    }
                }
                return Err(reason);
            }
        }
        Ok(())
    }

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

fn print(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::config::section_for_tests;

    fn output(options: &str) -> Box<dyn Output> {
        let mut section = section_for_tests(options);
        let output = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok());
        output
    }

    fn one() -> Batch {
        vec![Arc::new(Metric::new("m", 7).field("x", 1.0))].into()
    }

    #[tokio::test]
    async fn lines_are_appended_and_what_cannot_be_written_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("out.lp");
        std::fs::write(&path, "before\n").expect("written");
        let mut output = output(&format!("files = ['{}']", path.display()));
        let batch: Batch = vec![
            Arc::new(Metric::new("m", 7).tag("a", "b c").field("x", 1_u64)),
            Arc::new(Metric::new("m", 8).field("x", f64::NAN)),
        ]
        .into();
        let outcome = output.write(batch).await;
        let WriteOutcome::Each(Fates { rejected, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(rejected, [(1, "metric m has no serializable fields".to_owned())]);
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "before\nm,a=b\\ c x=1i 7\n");
    }

    #[tokio::test]
    async fn a_batch_is_in_every_file_or_in_none() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (good, later) = (dir.path().join("good.lp"), dir.path().join("later/out.lp"));
        let mut output = output(&format!("files = ['{}', '{}']", good.display(), later.display()));
        assert!(matches!(output.write(one()).await, WriteOutcome::Retry { .. }), "no directory yet");
        assert_eq!(std::fs::read_to_string(&good).expect("there"), "");
        std::fs::create_dir(dir.path().join("later")).expect("made");
        assert!(matches!(output.write(one()).await, WriteOutcome::Each(_)));
        for path in [good, later] {
            assert_eq!(std::fs::read_to_string(path).expect("there"), "m x=1 7\n");
        }
    }

    #[tokio::test]
    async fn compressed_batches_stand_one_after_the_other() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for algorithm in ["gzip", "zstd", "zlib"] {
            let path = dir.path().join(algorithm);
            let options = format!(
                "files = ['{}']\ncompression_algorithm = '{algorithm}'\ncompression_level = 5",
                path.display()
            );
            let mut output = output(&options);
            output.write(one()).await;
            if algorithm != "zlib" {
                output.write(one()).await;
            }
            let bytes = std::fs::read(&path).expect("there");
            let mut text = String::new();
            match algorithm {
                "gzip" => {
                    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip")
                }
                "zstd" => {
                    zstd::Decoder::new(&bytes[..]).expect("zstd").read_to_string(&mut text).expect("zstd")
                }
                _ => flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut text).expect("zlib"),
            };
            assert_eq!(text, "m x=1 7\n".repeat(if algorithm == "zlib" { 1 } else { 2 }), "{algorithm}");
        }
        for (options, reason) in [
            ("compression_algorithm = 'br'", "\"br\" is none of zstd, gzip, zlib"),
            (
                "compression_algorithm = 'gzip'\ncompression_level = 10",
                "10 is not between 0 and 9; -1 is the algorithm's own default",
            ),
        ] {
            let error =
                build(&mut section_for_tests(options), &Context::default()).expect_err("refused").to_string();
            assert!(error.ends_with(reason), "{error}");
        }
    }

    #[tokio::test]
    async fn any_format_by_metric_or_by_batch() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("out.json");
        for (batched, text) in [
            (false, "{\"fields\":{\"x\":1},\"name\":\"m\",\"tags\":{},\"timestamp\":0}\n"),
            (true, "{\"metrics\":[{\"fields\":{\"x\":1},\"name\":\"m\",\"tags\":{},\"timestamp\":0}]}\n"),
        ] {
            std::fs::remove_file(&path).ok();
            let options =
                format!("files = ['{}']\ndata_format = 'json'\nuse_batch_format = {batched}", path.display());
            output(&options).write(one()).await;
            assert_eq!(std::fs::read_to_string(&path).expect("there"), text);
        }
    }
}
