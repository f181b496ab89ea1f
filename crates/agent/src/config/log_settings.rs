//! How the agent logs: the keys of `[agent]` about it.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::error::ConfigError;
use super::section::Section;

/// Archives of a rotated log file that are kept unless `logfile_rotation_max_archives` says otherwise.
const ARCHIVES: usize = 5;

/// What `[agent]` says about logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Log at debug level.
    pub debug: bool,
    /// Log errors only.
    pub quiet: bool,
    /// Where to log; `None` is standard error.
    pub file: Option<PathBuf>,
    /// One JSON object a line instead of text.
    pub is_structured: bool,
    /// The message's key in such an object.
    pub message_key: String,
    /// Begin a new file after this many nanoseconds; 0 is never.
    pub rotation_interval: i64,
    /// Begin a new file before it has more bytes than this; 0 is never.
    pub rotation_bytes: u64,
    /// How many former files are kept; `None` is all.
    pub archives: Option<usize>,
    /// The zone of the times; `None` is UTC.
    pub time_zone: Option<TimeZone>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            debug: false,
            quiet: false,
            file: None,
            is_structured: false,
            message_key: "msg".to_owned(),
            rotation_interval: 0,
            rotation_bytes: 0,
            archives: Some(ARCHIVES),
            time_zone: None,
        }
    }
}

impl LogSettings {
    /// Overwrites what the table sets.
    pub(super) fn read(&mut self, section: &mut Section) -> Result<(), ConfigError> {
        self.debug = section.boolean("debug")?.unwrap_or(self.debug);
        self.quiet = section.boolean("quiet")?.unwrap_or(self.quiet);
        if let Some(path) = section.string("logfile")? {
            self.file = (!path.is_empty()).then(|| path.into());
        }
        if let Some(format) = section.string("logformat")? {
            self.is_structured = match format.as_str() {
                "" | "text" => false,
                "structured" => true,
                "eventlog" => {
                    return Err(section.bad("logformat", "\"eventlog\" exists on Windows only; use \"text\""));
                }
                _ => {
                    let reason = format!("{format:?} is neither \"text\" nor \"structured\"");
                    return Err(section.bad("logformat", reason));
                }
            };
        }
        if let Some(target) = section.string("logtarget")? {
            match target.as_str() {
                // Older than `logformat`: "file" writes to `logfile`, where one is given.
                "" | "file" => {}
                "stderr" => self.file = None,
                _ => {
                    let reason = format!("{target:?} is neither \"file\" nor \"stderr\"");
                    return Err(section.bad("logtarget", reason));
                }
            }
        }
        if let Some(key) = section.string("structured_log_message_key")? {
            self.message_key = if key.is_empty() { "msg".to_owned() } else { key };
        }
        self.rotation_interval =
            section.duration("logfile_rotation_interval")?.unwrap_or(self.rotation_interval);
        self.rotation_bytes = section.size("logfile_rotation_max_size")?.unwrap_or(self.rotation_bytes);
        if let Some(archives) = section.integer("logfile_rotation_max_archives")? {
            self.archives = match archives {
                -1 => None,
                0.. => usize::try_from(archives).ok(),
                _ => {
                    return Err(section.bad(
                        "logfile_rotation_max_archives",
                        "must be -1, which keeps all, or the number of files to keep",
                    ));
                }
            };
        }
        if let Some(name) = section.string("log_with_timezone")? {
            self.time_zone = match name.as_str() {
                "" => None,
                "local" | "Local" => Some(TimeZone::system()),
                _ => Some(TimeZone::get(&name).map_err(|why| {
                    section.bad(
                        "log_with_timezone",
                        format!(
                            "{name:?} is neither \"local\" nor a known zone such as \"Europe/Berlin\": {why}"
                        ),
                    )
                })?),
            };
        }
        Ok(())
    }
}

/// How much a plugin logs: `log_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Errors.
    Error,
    /// And warnings.
    Warn,
    /// And what happens.
    Info,
    /// And what it does.
    Debug,
    /// And every detail.
    Trace,
}

impl LogLevel {
    pub(super) fn from_section(section: &mut Section) -> Result<Option<Self>, ConfigError> {
        const KEY: &str = "log_level";
        let Some(level) = section.string(KEY)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        Ok(Some(match level.as_str() {
            "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => {
                let reason = format!("{level:?} is none of error, warn, info, debug, trace");
                return Err(section.bad(KEY, reason));
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::section_for_tests;
    use super::*;

    fn settings(text: &str) -> Result<LogSettings, String> {
        let mut section = section_for_tests(text);
        let mut settings = LogSettings::default();
        settings.read(&mut section).map_err(|error| error.to_string())?;
        assert!(section.finish().is_ok());
        Ok(settings)
    }

    #[test]
    fn every_key_is_read() {
        let read = settings(
            "debug = true\nlogfile = '/l'\nlogformat = 'structured'\nstructured_log_message_key = 'message'\n\
             logfile_rotation_interval = '1d'\nlogfile_rotation_max_size = '10MiB'\n\
             logfile_rotation_max_archives = -1\nlog_with_timezone = 'Europe/Berlin'",
        )
        .expect("valid");
        let want = LogSettings {
            debug: true,
            quiet: false,
            file: Some("/l".into()),
            is_structured: true,
            message_key: "message".to_owned(),
            rotation_interval: 86_400_000_000_000,
            rotation_bytes: 10 << 20,
            archives: None,
            time_zone: Some(TimeZone::get("Europe/Berlin").expect("known")),
        };
        assert_eq!(read, want);
        assert_eq!(settings("logtarget = 'stderr'\nlogfile = '/l'").expect("valid").file, None);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, reason) in [
            ("logformat = 'xml'", "\"xml\" is neither \"text\" nor \"structured\""),
            ("logtarget = 'printer'", "\"printer\" is neither \"file\" nor \"stderr\""),
            ("logfile_rotation_max_archives = -2", "must be -1"),
            ("logfile_rotation_max_size = 'big'", "no size"),
            ("log_with_timezone = 'Mars/Base'", "\"Mars/Base\" is neither"),
        ] {
            let error = settings(text).expect_err("refused");
            assert!(error.contains(reason), "{error}");
        }
    }
}
