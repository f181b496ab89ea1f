//! `[replication]`: how what is written reaches the owners of its shard, and how fresh queries are.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;
use skywatch_replication::log::LogSettings;

use super::go_duration::GoDuration;

/// `[replication]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct ReplicationSection {
    mode: Option<String>,
    freshness: Option<GoDuration>,
    position_timeout: Option<GoDuration>,
}

/// Queries cannot be fresher than it takes to hear where the log ends.
const FRESHNESS_MIN: Duration = Duration::from_millis(200);
const FRESHNESS_MAX: Duration = Duration::from_secs(3_600);

/// See the module's header.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplicationSettings {
    /// How the log is read and served; `None` where writes go to owners directly.
    pub(crate) log: Option<LogSettings>,
}

impl ReplicationSettings {
    pub(super) fn merge(file: &ReplicationSection) -> Result<Self> {
        match file.mode.as_deref() {
            None | Some("native") => {}
            Some("kafka") => {
                let freshness = file.freshness.map_or(LogSettings::default().freshness, |span| span.0);
                if !(FRESHNESS_MIN..=FRESHNESS_MAX).contains(&freshness) {
                    bail!(
                        "[replication] freshness is {freshness:?}: it can be {FRESHNESS_MIN:?} to {FRESHNESS_MAX:?}"
                    );
                }
                let built_in = LogSettings::new(freshness);
                let position_timeout = file.position_timeout.map_or(built_in.position_timeout, |span| span.0);
                return Ok(Self { log: Some(LogSettings { position_timeout, ..built_in }) });
            }
            Some(other) => bail!("[replication] mode is {other:?}: it is \"native\" or \"kafka\""),
        }
        Ok(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(text: &str) -> Result<ReplicationSettings> {
        ReplicationSettings::merge(&toml::from_str(text).unwrap())
    }

    #[test]
    fn writes_go_to_owners_unless_told_otherwise() {
        assert!(merged("").unwrap().log.is_none());
        assert!(merged("mode = \"native\"\nfreshness = \"1s\"").unwrap().log.is_none());
        let log = merged("mode = \"kafka\"\nfreshness = \"5s\"").unwrap().log.unwrap();
        assert_eq!((log.freshness, log.position_timeout), (Duration::from_secs(5), Duration::from_secs(5)));
        for wrong in ["mode = \"Kafka\"", "mode = \"kafka\"\nfreshness = \"1ms\""] {
            assert!(merged(wrong).is_err(), "{wrong}");
        }
    }
}
