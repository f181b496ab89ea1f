//! `linux_sysctl_fs`: the kernel's limits of files, inodes and asynchronous I/O, from `/proc/sys/fs`.

use std::io::ErrorKind;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::Metric;
use crate::paths::HostPaths;

/// Files, and the field of each of their numbers; an empty name skips one.
const FILES: [(&str, &[&str]); 9] = [
    ("aio-nr", &["aio-nr"]),
    ("aio-max-nr", &["aio-max-nr"]),
    ("dquot-nr", &["dquot-nr"]),
    ("dquot-max", &["dquot-max"]),
    ("super-nr", &["super-nr"]),
    ("super-max", &["super-max"]),
    ("inode-state", &["inode-nr", "inode-free-nr", "inode-preshrink-nr"]),
    ("dentry-state", &["dentry-nr", "dentry-unused-nr", "dentry-age-limit", "dentry-want-pages"]),
    // Between the two stands how many are allocated and free, which has been 0 since Linux 2.6.
    ("file-nr", &["file-nr", "", "file-max"]),
];

/// The input.
#[derive(Debug)]
struct SysctlFs {
    paths: HostPaths,
}

pub(crate) fn build(_: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(SysctlFs { paths: context.paths.clone() }))
}

impl Input for SysctlFs {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let mut metric = acc.metric("linux_sysctl_fs");
        for (file, names) in FILES {
            let path = self.paths.proc("sys/fs").join(file);
            match read_text(&path) {
                Ok(text) => {
                    if let Err(reason) = fields(&mut metric, names, &text) {
                        acc.report(GatherError::Malformed { path, reason });
                    }
                }
                // Which files there are depends on the kernel.
                Err(GatherError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(error) => acc.report(error),
            }
        }
        acc.add(metric);
        Ok(())
    }
}

fn fields(metric: &mut Metric, names: &[&'static str], text: &str) -> Result<(), String> {
    for (name, word) in names.iter().zip(text.split_ascii_whitespace()).filter(|(name, _)| !name.is_empty()) {
        let value: u64 = word.parse().map_err(|_| format!("{name} is no number: {word:?}"))?;
        metric.set_field(*name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::Unsigned;

    #[test]
    fn numbers_by_their_place() {
        let mut m = Metric::new("linux_sysctl_fs", 0);
        fields(&mut m, FILES[8].1, "1024\t0\t9223372036854775807\n").expect("numbers");
        let max = 9_223_372_036_854_775_807;
        assert_eq!(m.fields(), [("file-nr".into(), Unsigned(1024)), ("file-max".into(), Unsigned(max))]);
    }

    #[test]
    fn what_is_no_number_is_named() {
        let mut m = Metric::new("linux_sysctl_fs", 0);
        let error = fields(&mut m, FILES[6].1, "17 x 0").expect_err("no number");
        assert!(error.contains("inode-free-nr") && error.contains("\"x\""), "{error}");
        assert_eq!(m.fields(), [("inode-nr".into(), Unsigned(17))]);
    }
}
