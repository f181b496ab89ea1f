//! Metrics that a destination refused for good, kept in a file: as line protocol, behind a comment that says why.
//!
//! ```text
//! # 2026-11-28T17:00:00Z outputs.influxdb: 400: partial write: field type conflict ... dropped=1
//! mem,host=h1 total="text" 1700000000000000000
//! ```
//!
//! The file can be written again once the cause is gone. A file that would exceed its limit takes the name `FILE.1`,
//! in place of the one before.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use skywatch_model::serialize::SerializeOptions;

use crate::line;
use crate::metric::Metric;

/// The file.
#[derive(Debug)]
pub(crate) struct RejectedFile {
    path: PathBuf,
    limit_bytes: u64,
    open: Option<(File, u64)>,
}

impl RejectedFile {
    /// Opened when there is something to keep.
    pub(crate) fn new(path: PathBuf, limit_bytes: u64) -> Self {
        Self { path, limit_bytes, open: None }
    }

    /// Appends metrics that `output` could not place, for `reason`; `now_ns` is when that turned out.
    pub(crate) fn keep(
        &mut self,
        output: &str,
        metrics: &[Arc<Metric>],
        reason: &str,
        now_ns: i64,
    ) -> Result<(), String> {
        let text = entry(output, metrics, reason, now_ns);
        self.append(text.as_bytes()).map_err(|error| {
            self.open = None;
            format!("{}: {error}", self.path.display())
        })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (file, len) = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        let (mut file, len) = match len > 0 && len + bytes.len() as u64 > self.limit_bytes {
            false => (file, len),
            true => {
                let mut old = self.path.clone().into_os_string();
                old.push(".1");
                std::fs::rename(&self.path, old)?;
                self.open_file()?
            }
        };
        file.write_all(bytes)?;
        self.open = Some((file, len + bytes.len() as u64));
        Ok(())
    }

    fn open_file(&self) -> io::Result<(File, u64)> {
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        let len = file.metadata()?.len();
        Ok((file, len))
    }
}

fn entry(output: &str, metrics: &[Arc<Metric>], reason: &str, now_ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(now_ns.into()).unwrap_or_default();
    let mut text = format!("# {time:.0} {output}: {}\n", reason.replace(['\n', '\r'], " "));
    for metric in metrics {
        if let Err(why) = line::append(&mut text, metric, true, SerializeOptions::default()) {
            text.push_str(&format!("# no line: {why}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_kept_with_their_reason_and_the_file_is_bounded() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("rejected.lp");
        let mut file = RejectedFile::new(path.clone(), 300);
        let metrics = [Arc::new(Metric::new("m", 7).tag("a", "b").field("x", 1_i64))];
        file.keep("outputs.influxdb", &metrics, "400: no\nway", 1_700_000_000_500_000_000).expect("kept");
        let nan = [Arc::new(Metric::new("n", 8).field("x", f64::NAN))];
        file.keep("outputs.file", &nan, "empty", 1_700_000_001_000_000_000).expect("kept");
        assert_eq!(
            std::fs::read_to_string(&path).expect("there"),
            "# 2023-11-14T22:13:20Z outputs.influxdb: 400: no way\nm,a=b x=1i 7\n\
             # 2023-11-14T22:13:21Z outputs.file: empty\n# no line: metric n has no serializable fields\n"
        );
        for _ in 0..100 {
            file.keep("outputs.influxdb", &metrics, "again", 0).expect("kept");
        }
        for name in ["rejected.lp", "rejected.lp.1"] {
            let len = std::fs::metadata(dir.path().join(name)).expect("there").len();
            assert!((1..=300).contains(&len), "{name}: {len}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let mut file = RejectedFile::new("/nonexistent/x".into(), 300);
        let error = file.keep("outputs.file", &[], "why", 0).expect_err("no directory");
        assert!(error.starts_with("/nonexistent/x: "), "{error}");
    }
}
