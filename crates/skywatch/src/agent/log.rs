//! How `skywatch agent` logs, as its configuration says; changed when that is reloaded.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use skywatch_agent::{Config, LogLevel, LogSettings};
use tracing::{Event, Level, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::{
    EnvFilter, Layer,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use super::{log_file::LogFile, log_line::Record};

/// What logs; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct AgentLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    levels: RwLock<Levels>,
    sink: Mutex<Sink>,
    /// From the command line; beats the configuration.
    forced: Option<Level>,
}

#[derive(Debug)]
struct Levels {
    general: Level,
    plugins: HashMap<String, Level>,
    /// The most that any of them lets pass.
    most: Level,
}

#[derive(Debug)]
struct Sink {
    settings: LogSettings,
    /// Standard error where there is none.
    file: Option<LogFile>,
}

impl AgentLog {
    /// Starts logging, to standard error until a configuration is there. `filter` is the command line's own choice of
    /// what to log, by parts of the program; `forced` its choice of a level.
    pub(crate) fn start(filter: Option<&str>, forced: Option<Level>) -> Result<Self> {
        let general = if filter.is_some() { Level::TRACE } else { forced.unwrap_or(Level::INFO) };
        let levels = Levels { general, plugins: HashMap::new(), most: general };
        let sink = Sink { settings: LogSettings::default(), file: None };
        let forced = if filter.is_some() { Some(Level::TRACE) } else { forced };
        let log = Self(Arc::new(Inner { levels: RwLock::new(levels), sink: Mutex::new(sink), forced }));
        let filter = filter
            .map(|filter| {
                EnvFilter::try_new(filter).with_context(|| {
                    format!("log filter {filter:?}: expected error, warn, info, debug, trace, or a list like warn,skywatch_agent=info")
                })
            })
            .transpose()?;
        tracing_subscriber::registry()
            .with(filter)
            .with(log.clone())
            .try_init()
            .context("logging does not start")?;
        Ok(log)
    }

    /// Logs as a configuration says from now on. Opens its file, also where it had it open before: somebody may have
    /// moved it away.
    pub(crate) fn apply(&self, config: &Config) -> Result<()> {
        let settings = &config.agent.log;
        let file = match &settings.file {
            Some(path) => Some(
                LogFile::open(path, settings)
                    .with_context(|| format!("`logfile` {} cannot be opened", path.display()))?,
            ),
            None => None,
        };
        *self.0.sink.lock() = Sink { settings: settings.clone(), file };
        let general = self.0.forced.unwrap_or(match (settings.debug, settings.quiet) {
            (true, _) => Level::DEBUG,
            (false, true) => Level::ERROR,
            (false, false) => Level::INFO,
        });
        let plugins: HashMap<_, _> =
            config.log_levels().into_iter().map(|(plugin, level)| (plugin, tracing_level(level))).collect();
        let most = plugins.values().copied().fold(general, Level::max);
        *self.0.levels.write() = Levels { general, plugins, most };
        Ok(())
    }

    /// Writes a line. Where it cannot be written there is nobody to tell but standard error.
    fn write(&self, record: &Record) {
        let mut sink = self.0.sink.lock();
        let now = Timestamp::now();
        let zone = sink.settings.time_zone.as_ref();
        let line = if sink.settings.is_structured {
            record.json(now, zone, &sink.settings.message_key)
        } else {
            record.text(now, zone)
        };
        let written = match &mut sink.file {
            Some(file) => file.write(&line),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        if written.is_err() {
            io::stderr().write_all(line.as_bytes()).ok();
        }
    }
}

impl<S: Subscriber> Layer<S> for AgentLog {
    /// Levels change with the configuration, so no answer is for good.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // What libraries do interests only those who ask for it by a filter of their own.
        let levels = self.0.levels.read();
        let most = if levels.general == Level::TRACE || metadata.target().starts_with("skywatch") {
            levels.most
        } else {
            levels.most.min(Level::WARN)
        };
        *metadata.level() <= most
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let record = Record::of(event);
        let is_wanted = {
            let levels = self.0.levels.read();
            let own = record.plugin.as_ref().and_then(|plugin| levels.plugins.get(plugin));
            record.level <= *own.unwrap_or(&levels.general)
        };
        if is_wanted {
            self.write(&record);
        }
    }
}

fn tracing_level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}
