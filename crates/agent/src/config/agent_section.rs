//! The `[agent]` table.

use super::buffer::BufferOptions;
use super::error::ConfigError;
use super::section::Section;

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

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
    /// Log at debug level.
    pub debug: bool,
    /// Log errors only.
    pub quiet: bool,
    /// Where to log; empty is standard error.
    pub logfile: String,
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
            debug: false,
            quiet: false,
            logfile: String::new(),
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
        set(&mut self.debug, section.boolean("debug")?);
        set(&mut self.quiet, section.boolean("quiet")?);
        set(&mut self.logfile, section.string("logfile")?);
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
        without_effect(section)?;
        Ok(())
    }
}

/// Options of the original that change nothing here: known, so that its files load.
fn without_effect(section: &mut Section) -> Result<(), ConfigError> {
    const LOG: &str = "the process that runs the agent decides how it logs";
    for (key, why) in [
        ("logformat", LOG),
        ("logtarget", LOG),
        ("structured_log_message_key", LOG),
        ("logfile_rotation_interval", LOG),
        ("logfile_rotation_max_size", LOG),
        ("logfile_rotation_max_archives", LOG),
        ("log_with_timezone", LOG),
        ("snmp_translator", "there is no SNMP input"),
        ("config_url_retry_attempts", "configurations are read from files"),
    ] {
        section.without_effect(key, why);
    }
    Ok(())
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}
