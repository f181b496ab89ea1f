//! The `[agent]` table.

use super::buffer::BufferOptions;
use super::error::ConfigError;
use super::log_settings::LogSettings;
use super::section::Section;

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;
/// Fetches of a configuration's URL unless `config_url_retry_attempts` says otherwise.
const URL_ATTEMPTS: i64 = 3;

/// `[agent]`. Durations in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSettings {
    /// Collection period of every input without its own; above zero.
    pub interval: i64,
    /// Collect at multiples of the interval (:00, :10 ...).
    pub round_interval: bool,
    /// Most metrics handed to an output at once.
    pub metric_batch_size: usize,
    /// Most metrics buffered for an output.
    pub metric_buffer_limit: usize,
    /// Where metrics wait for an output.
    pub buffer: BufferOptions,
    /// A random wait below this before each collection.
    pub collection_jitter: i64,
    /// A fixed shift of each collection.
    pub collection_offset: i64,
    /// Period of each output's flush; above zero.
    pub flush_interval: i64,
    /// A random addition below this to each flush wait.
    pub flush_jitter: i64,
    /// Unit to which timestamps are rounded; 0 derives it from the interval.
    pub precision: i64,
    /// The `host` tag; empty takes the system's name.
    pub hostname: String,
    /// Without a `host` tag.
    pub omit_hostname: bool,
    /// How it logs.
    pub log: LogSettings,
    /// How often a configuration is fetched from a URL before that is given up; -1 is forever.
    pub config_url_retry_attempts: i64,
    /// Where plugins' states are kept over restarts; empty keeps them in memory.
    pub statefile: String,
    /// Give a plugin's `tags` back after its filters took them away.
    pub always_include_local_tags: bool,
    /// Give the global tags back after a plugin's filters took them away.
    pub always_include_global_tags: bool,
    /// Processors see the aggregators' metrics only.
    pub skip_processors_before_aggregators: bool,
    /// Processors do not see the aggregators' metrics.
    pub skip_processors_after_aggregators: bool,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            interval: 10 * SECOND,
            round_interval: true,
            metric_batch_size: 1000,
            metric_buffer_limit: 10_000,
            buffer: BufferOptions::default(),
            collection_jitter: 0,
            collection_offset: 0,
            flush_interval: 10 * SECOND,
            flush_jitter: 0,
            precision: 0,
            hostname: String::new(),
            omit_hostname: false,
            log: LogSettings::default(),
            config_url_retry_attempts: URL_ATTEMPTS,
            statefile: String::new(),
            always_include_local_tags: false,
            always_include_global_tags: false,
            skip_processors_before_aggregators: false,
            skip_processors_after_aggregators: false,
        }
    }
}

impl AgentSettings {
    /// Overwrites what the table sets.
    pub(super) fn read(&mut self, section: &mut Section) -> Result<(), ConfigError> {
        set(&mut self.interval, section.duration("interval")?);
        set(&mut self.round_interval, section.boolean("round_interval")?);
        set(&mut self.metric_batch_size, section.count("metric_batch_size")?);
        set(&mut self.metric_buffer_limit, section.count("metric_buffer_limit")?);
        self.buffer.read(section)?;
        set(&mut self.collection_jitter, section.duration("collection_jitter")?);
        set(&mut self.collection_offset, section.duration("collection_offset")?);
        set(&mut self.flush_interval, section.duration("flush_interval")?);
        set(&mut self.flush_jitter, section.duration("flush_jitter")?);
        set(&mut self.precision, section.duration("precision")?);
        set(&mut self.hostname, section.string("hostname")?);
        set(&mut self.omit_hostname, section.boolean("omit_hostname")?);
        self.log.read(section)?;
        set(&mut self.config_url_retry_attempts, section.integer("config_url_retry_attempts")?);
        match self.config_url_retry_attempts {
            // As in the original, zero asks for the default.
            0 => self.config_url_retry_attempts = URL_ATTEMPTS,
            -1 | 1.. => {}
            _ => {
                return Err(
                    section.bad("config_url_retry_attempts", "must be -1, which is forever, or a count")
                );
            }
        }
        translator(section)?;
        set(&mut self.statefile, section.string("statefile")?);
        set(&mut self.always_include_local_tags, section.boolean("always_include_local_tags")?);
        set(&mut self.always_include_global_tags, section.boolean("always_include_global_tags")?);
        set(
            &mut self.skip_processors_before_aggregators,
            section.boolean("skip_processors_before_aggregators")?,
        );
        set(
            &mut self.skip_processors_after_aggregators,
            section.boolean("skip_processors_after_aggregators")?,
        );
        if self.skip_processors_before_aggregators && self.skip_processors_after_aggregators {
            return Err(section.bad(
                "skip_processors_before_aggregators",
                "with skip_processors_after_aggregators as well no processor would ever run; set one of them",
            ));
        }
        if self.interval == 0 {
            return Err(section.bad("interval", "must be above zero"));
        }
        if self.flush_interval == 0 {
            return Err(section.bad("flush_interval", "must be above zero"));
        }
        // As in the original, zero asks for the default.
        if self.metric_batch_size == 0 {
            self.metric_batch_size = 1000;
        }
        if self.metric_buffer_limit == 0 {
            self.metric_buffer_limit = 10_000;
        }
        Ok(())
    }
}

/// `snmp_translator` chooses how the original reads MIB files. Names are known without any here.
fn translator(section: &mut Section) -> Result<(), ConfigError> {
    match section.string("snmp_translator")?.as_deref() {
        None | Some("" | "netsnmp" | "gosmi") => Ok(()),
        Some(other) => {
            Err(section.bad("snmp_translator", format!("{other:?} is neither \"gosmi\" nor \"netsnmp\"")))
        }
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}
