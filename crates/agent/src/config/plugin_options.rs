//! Options that every input, or every output, has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::buffer::BufferOptions;
use super::error::ConfigError;
use super::log_settings::LogLevel;
use super::section::Section;
use crate::filter::Filter;
use crate::metric::Metric;

/// `name_override`, `name_prefix`, `name_suffix`.
#[derive(Debug, Default)]
pub struct Rename {
    over: Option<String>,
    prefix: String,
    suffix: String,
}

impl Rename {
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        Ok(Self {
            over: section.string("name_override")?.filter(|name| !name.is_empty()),
            prefix: section.string("name_prefix")?.unwrap_or_default(),
            suffix: section.string("name_suffix")?.unwrap_or_default(),
        })
    }

    /// Whether a name stays as it is.
    pub fn is_identity(&self) -> bool {
        self.over.is_none() && self.prefix.is_empty() && self.suffix.is_empty()
    }

    /// Replaces the name, then puts prefix and suffix around it.
    pub fn apply(&self, metric: &mut Metric) {
        if !self.is_identity() {
            let name = self.over.as_deref().unwrap_or(&metric.name);
            metric.name = format!("{}{name}{}", self.prefix, self.suffix).into();
        }
    }
}

/// What happens to a plugin that fails as it starts: `startup_error_behavior`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartupErrors {
    /// It is tried again, until it works.
    #[default]
    Retry,
    /// The agent ends.
    Error,
    /// The plugin is left out.
    Ignore,
    /// The plugin is left out, also where its first collection fails.
    Probe,
}

impl StartupErrors {
    fn from_section(section: &mut Section, allowed: &[&str]) -> Result<Self, ConfigError> {
        const KEY: &str = "startup_error_behavior";
        let Some(behaviour) = section.string(KEY)?.filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        match behaviour.as_str() {
            known if !allowed.contains(&known) => {
                Err(section
                    .bad(KEY, format!("{known:?} is not possible here; one of {}", allowed.join(", "))))
            }
            "error" => Ok(Self::Error),
            "ignore" => Ok(Self::Ignore),
            "probe" => Ok(Self::Probe),
            _ => Ok(Self::Retry),
        }
    }
}

/// Which time an input's metrics have: `time_source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeSource {
    /// The one the input gives them.
    #[default]
    Metric,
    /// When the collection began.
    CollectionStart,
    /// When the collection ended.
    CollectionEnd,
}

impl TimeSource {
    fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        const KEY: &str = "time_source";
        match section.string(KEY)?.as_deref() {
            None | Some("" | "metric") => Ok(Self::Metric),
            Some("collection_start") => Ok(Self::CollectionStart),
            Some("collection_end") => Ok(Self::CollectionEnd),
            Some(other) => {
                let reason = format!("{other:?} is none of metric, collection_start, collection_end");
                Err(section.bad(KEY, reason))
            }
        }
    }
}

/// Options every input has. Durations in nanoseconds; `None` takes the agent's.
#[derive(Debug, Default)]
pub struct InputOptions {
    /// The instance's own name.
    pub alias: Option<String>,
    /// How much of it is logged.
    pub log_level: Option<LogLevel>,
    /// Its collection period.
    pub interval: Option<i64>,
    /// Unit to which its timestamps are rounded.
    pub precision: Option<i64>,
    /// A random wait below this before each collection.
    pub collection_jitter: Option<i64>,
    /// A fixed shift of each collection.
    pub collection_offset: Option<i64>,
    /// Which time its metrics have.
    pub time_source: TimeSource,
    /// What a failure at its start means.
    pub startup_errors: StartupErrors,
    /// How measurements are renamed.
    pub rename: Rename,
    /// Tags for metrics that do not carry them.
    pub tags: BTreeMap<String, String>,
    /// What passes.
    pub filter: Filter,
}

impl InputOptions {
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        Ok(Self {
            alias: section.string("alias")?.filter(|alias| !alias.is_empty()),
            log_level: LogLevel::from_section(section)?,
            interval: section.common_duration("interval")?.filter(|&every| every > 0),
            precision: section.common_duration("precision")?.filter(|&unit| unit > 0),
            collection_jitter: section.common_duration("collection_jitter")?,
            collection_offset: section.common_duration("collection_offset")?.filter(|&offset| offset > 0),
            time_source: TimeSource::from_section(section)?,
            startup_errors: StartupErrors::from_section(section, &["error", "retry", "ignore", "probe"])?,
            rename: Rename::from_section(section)?,
            tags: section.string_table("tags")?.unwrap_or_default(),
            filter: Filter::from_section(section)?,
        })
    }
}

/// Most bytes of a file of rejected metrics unless `rejected_file_limit` says otherwise.
const REJECTED_FILE_BYTES: u64 = 10 << 20;

/// Options every output has. Durations in nanoseconds; `None` takes the agent's.
#[derive(Debug, Default)]
pub struct OutputOptions {
    /// The instance's own name.
    pub alias: Option<String>,
    /// How much of it is logged.
    pub log_level: Option<LogLevel>,
    /// Period of its flush.
    pub flush_interval: Option<i64>,
    /// A random addition below this to each flush wait.
    pub flush_jitter: Option<i64>,
    /// Most metrics handed to it at once.
    pub metric_batch_size: Option<usize>,
    /// Most metrics buffered for it in memory.
    pub metric_buffer_limit: Option<usize>,
    /// Where its metrics wait.
    pub buffer: BufferOptions,
    /// A file for metrics that its destination refuses for good.
    pub rejected_file: Option<PathBuf>,
    /// Most bytes of that file; as many are kept of what was in it before.
    pub rejected_file_limit: u64,
    /// What a failure to connect means.
    pub startup_errors: StartupErrors,
    /// How measurements are renamed.
    pub rename: Rename,
    /// What passes.
    pub filter: Filter,
}

impl OutputOptions {
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let options = Self {
            alias: section.string("alias")?.filter(|alias| !alias.is_empty()),
            log_level: LogLevel::from_section(section)?,
            flush_interval: section.common_duration("flush_interval")?.filter(|&every| every > 0),
            flush_jitter: section.common_duration("flush_jitter")?.filter(|&jitter| jitter > 0),
            metric_batch_size: section.count("metric_batch_size")?.filter(|&size| size > 0),
            metric_buffer_limit: section.count("metric_buffer_limit")?.filter(|&limit| limit > 0),
            buffer: {
                let mut buffer = BufferOptions::default();
                buffer.read(section)?;
                buffer
            },
            rejected_file: section
                .string("rejected_file")?
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            rejected_file_limit: section.size("rejected_file_limit")?.unwrap_or(REJECTED_FILE_BYTES),
            startup_errors: StartupErrors::from_section(section, &["error", "retry", "ignore"])?,
            rename: Rename::from_section(section)?,
            filter: Filter::from_section(section)?,
        };
        Ok(options)
    }
}

/// Options every processor has.
#[derive(Debug, Default)]
pub struct ProcessorOptions {
    /// The instance's own name.
    pub alias: Option<String>,
    /// How much of it is logged.
    pub log_level: Option<LogLevel>,
    /// Its place among the processors; equal ones keep the order of the files.
    pub order: i64,
    /// What it is applied to; what it does not select passes it by unchanged.
    pub filter: Filter,
}

impl ProcessorOptions {
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let options = Self {
            alias: section.string("alias")?.filter(|alias| !alias.is_empty()),
            log_level: LogLevel::from_section(section)?,
            order: section.integer("order")?.unwrap_or(0),
            filter: Filter::from_section(section)?,
        };
        // Processors and aggregators have nothing to connect to.
        StartupErrors::from_section(section, &["error"])?;
        Ok(options)
    }
}

/// Options every aggregator has. Durations in nanoseconds.
#[derive(Debug)]
pub struct AggregatorOptions {
    /// The instance's own name.
    pub alias: Option<String>,
    /// How much of it is logged.
    pub log_level: Option<LogLevel>,
    /// Length of its windows; above zero.
    pub period: i64,
    /// How much later than its window's end a metric's time may be.
    pub delay: i64,
    /// How much earlier than its window's start a metric's time may be.
    pub grace: i64,
    /// Take what it aggregates away from the outputs.
    pub drop_original: bool,
    /// How measurements are renamed.
    pub rename: Rename,
    /// Tags for metrics that do not carry them.
    pub tags: BTreeMap<String, String>,
    /// What it aggregates; what it does not select passes it by unchanged.
    pub filter: Filter,
}

impl AggregatorOptions {
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let options = Self {
            alias: section.string("alias")?.filter(|alias| !alias.is_empty()),
            log_level: LogLevel::from_section(section)?,
            period: section.common_duration("period")?.unwrap_or(30_000_000_000),
            delay: section.common_duration("delay")?.unwrap_or(100_000_000),
            grace: section.common_duration("grace")?.unwrap_or(0),
            drop_original: section.common_boolean("drop_original")?.unwrap_or(false),
            rename: Rename::from_section(section)?,
            tags: section.string_table("tags")?.unwrap_or_default(),
            filter: Filter::from_section(section)?,
        };
        if options.period == 0 {
            return Err(section.bad("period", "must be above zero"));
        }
        // Processors and aggregators have nothing to connect to.
        StartupErrors::from_section(section, &["error"])?;
        Ok(options)
    }
}
