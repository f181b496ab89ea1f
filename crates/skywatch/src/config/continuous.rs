//! `[continuous_queries]`: queries that run on their own.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::go_duration::GoDuration;

/// Whether and how continuous queries run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContinuousSettings {
    pub(crate) enabled: bool,
    pub(crate) log_enabled: bool,
    pub(crate) query_stats_enabled: bool,
    pub(crate) run_interval: Duration,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct ContinuousSection {
    enabled: Option<bool>,
    log_enabled: Option<bool>,
    query_stats_enabled: bool,
    run_interval: Option<GoDuration>,
}

impl ContinuousSettings {
    pub(super) fn merge(file: &ContinuousSection) -> Self {
        Self {
            enabled: file.enabled.unwrap_or(true),
            log_enabled: file.log_enabled.unwrap_or(true),
            query_stats_enabled: file.query_stats_enabled,
            run_interval: file.run_interval.map_or(Duration::from_secs(1), |interval| interval.0),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.run_interval.is_zero() {
            bail!(
                "[continuous_queries] run-interval is 0: name a span such as \"1s\", or set enabled = false"
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
    fn the_section_has_influxdbs_keys() {
        let text = "[continuous_queries]\nenabled = false\nlog-enabled = false\nquery-stats-enabled = true\n\
                    run-interval = \"250ms\"";
        let continuous = settings(text).continuous;
        assert!(!continuous.enabled && !continuous.log_enabled && continuous.query_stats_enabled);
        assert_eq!(continuous.run_interval, Duration::from_millis(250));
        assert!(settings_error("[continuous_queries]\nrun-interval = \"0s\"").contains("run-interval"));
    }
}
