//! `[monitor]`: statistics of the server itself, kept in a database.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{go_duration::GoDuration, influxdb::section};
use crate::cli::RunArgs;

/// The shortest interval: more often would cost more than it tells.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Whether, where and how often statistics are stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MonitorSettings {
    pub(crate) store_enabled: bool,
    pub(crate) store_database: String,
    pub(crate) store_interval: Duration,
}

section! {
    /// The section as written.
    MonitorSection "monitor"
    reads {
        store_enabled: Option<bool>,
        store_database: Option<String>,
        store_interval: Option<GoDuration>,
    }
    ignores { remote_collect_interval }
}

impl MonitorSettings {
    pub(super) fn merge(args: &RunArgs, file: MonitorSection) -> Self {
        Self {
            store_enabled: !args.no_monitor && file.store_enabled.unwrap_or(true),
            store_database: file.store_database.unwrap_or_else(|| "_internal".into()),
            store_interval: file.store_interval.map_or(Duration::from_secs(10), |interval| interval.0),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.store_database.is_empty() {
            bail!("[monitor] store-database is empty: name a database, or set store-enabled = false");
        }
        if self.store_interval < INTERVAL_MIN {
            bail!(
                "[monitor] store-interval is {:?}: it must be at least {INTERVAL_MIN:?}",
                self.store_interval
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::tests::{settings, settings_error};

    #[test]
    fn the_interval_is_a_span_of_time_and_not_too_short() {
        let monitor = settings("[monitor]\nstore-interval = \"1m30s\"\nstore-enabled = false").monitor;
        assert_eq!((monitor.store_interval, monitor.store_enabled), (Duration::from_secs(90), false));
        assert!(settings_error("[monitor]\nstore-interval = \"1ms\"").contains("store-interval"));
        assert!(settings_error("[monitor]\nstore-interval = \"often\"").contains("1m30s"));
        assert!(settings_error("[monitor]\nstore-database = \"\"").contains("store-enabled"));
    }
}
