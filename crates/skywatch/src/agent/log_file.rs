//! A log file that begins anew by age or size, and keeps some of its former selves beside it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use skywatch_agent::LogSettings;

/// The file, open.
///
/// A former file is named after the time at which it ended: `agent.log` becomes `agent.20260102T030405.678901234.log`.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    opened: Instant,
    bytes_max: u64,
    age_max: Option<Duration>,
    archives: Option<usize>,
}

impl LogFile {
    /// Opens the file for appending; makes it if it is not there.
    pub(super) fn open(path: &Path, settings: &LogSettings) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            bytes: file.metadata()?.len(),
            path: path.to_path_buf(),
            file,
            opened: Instant::now(),
            bytes_max: settings.rotation_bytes,
            age_max: (settings.rotation_interval > 0)
                .then(|| Duration::from_nanos(settings.rotation_interval.unsigned_abs())),
            archives: settings.archives,
        })
    }

    /// Writes a line, to a new file where the old one is too old, or would become too large.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64;
        let is_full = self.bytes_max > 0 && self.bytes > 0 && self.bytes + length > self.bytes_max;
        let is_old = self.age_max.is_some_and(|most| self.opened.elapsed() >= most);
        // A file that cannot be put aside is written on: a log that grows beats one that ends.
        if is_full || is_old {
            let begun_anew = self.begin_anew();
            self.opened = Instant::now();
            if let Err(why) = begun_anew {
                writeln!(self.file, "{} W! the log file cannot be rotated: {why}", Timestamp::now())?;
            }
        }
        self.file.write_all(line.as_bytes())?;
        self.bytes += length;
        Ok(())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let (stem, extension) = self.name_parts();
        let ended = Timestamp::now().strftime("%Y%m%dT%H%M%S.%N");
        fs::rename(&self.path, self.path.with_file_name(format!("{stem}.{ended}{extension}")))?;
        self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        self.bytes = 0;
        self.remove_oldest()
    }

    fn remove_oldest(&self) -> io::Result<()> {
        let Some(kept) = self.archives else { return Ok(()) };
        let directory =
            self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (stem, extension) = self.name_parts();
        let mut former = Vec::new();
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            if let Some(name) = name.to_str()
                && let Some(ended) = name
                    .strip_prefix(&format!("{stem}."))
                    .and_then(|rest| rest.strip_suffix(extension.as_str()))
                && ended.len() == "20260102T030405.678901234".len()
                && ended.chars().all(|c| c.is_ascii_digit() || c == 'T' || c == '.')
            {
                former.push(name.to_owned());
            }
        }
        former.sort_unstable();
        let surplus = former.len().saturating_sub(kept);
        former.iter().take(surplus).try_for_each(|name| fs::remove_file(directory.join(name)))
    }

    /// The name before its extension, and the extension with its dot.
    fn name_parts(&self) -> (String, String) {
        let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let extension =
            self.path.extension().map_or_else(String::new, |e| format!(".{}", e.to_string_lossy()));
        (part(self.path.file_stem()), extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn by_size_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.log");
        fs::write(directory.path().join("agent.notes.log"), "mine").unwrap();
        let settings = LogSettings { rotation_bytes: 10, archives: Some(2), ..LogSettings::default() };
        let mut log = LogFile::open(&path, &settings).unwrap();
        for line in ["one one\n", "two two\n", "3\n", "four four\n", "five five\n"] {
            log.write(line).unwrap();
        }
        let names = names(directory.path());
        assert_eq!(names.len(), 4, "{names:?}");
        assert!(names.contains(&"agent.notes.log".to_owned()), "what is no former log stays");
        let read = |name: &String| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(names.iter().take(2).map(read).collect::<Vec<_>>(), ["two two\n3\n", "four four\n"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "five five\n");
    }

    #[test]
    fn by_age_and_appending() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let mut log = LogFile::open(&path, &LogSettings::default()).unwrap();
        log.write("after\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nafter\n");
        let settings = LogSettings { rotation_interval: 1, archives: None, ..LogSettings::default() };
        let mut log = LogFile::open(&path, &settings).unwrap();
        log.write("new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(names(directory.path()).len(), 2);
    }
}
