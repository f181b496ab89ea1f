//! `[retention]` and `[shard-precreation]`: how often shard groups that are over go, and that next ones are made.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;
use skywatch_cluster::{Precreation, UpkeepSettings};

use super::go_duration::GoDuration;

/// The shortest interval: looking more often finds nothing more.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// `[retention]` as written: what is too old always goes; how soon is a setting.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RetentionSection {
    enabled: Option<bool>,
    check_interval: Option<GoDuration>,
}

/// `[shard-precreation]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct ShardPrecreationSection {
    enabled: Option<bool>,
    check_interval: Option<GoDuration>,
    advance_period: Option<GoDuration>,
}

/// What the two sections say together.
pub(super) fn merge(
    retention: &RetentionSection,
    precreation: &ShardPrecreationSection,
) -> Result<UpkeepSettings> {
    if retention.enabled == Some(false) {
        bail!(
            "[retention] enabled is false: retention cannot be switched off here; give policies DURATION INF, and take \
             the key away"
        );
    }
    let (built_in, ahead) = (UpkeepSettings::default(), Precreation::default());
    let retention_every =
        at_least("[retention] check-interval", retention.check_interval, built_in.retention_every)?;
    let ahead = Precreation {
        every: at_least("[shard-precreation] check-interval", precreation.check_interval, ahead.every)?,
        advance: at_least("[shard-precreation] advance-period", precreation.advance_period, ahead.advance)?,
    };
    let precreation = precreation.enabled.unwrap_or(true).then_some(ahead);
    Ok(UpkeepSettings { retention_every, precreation })
}

fn at_least(key: &str, given: Option<GoDuration>, built_in: Duration) -> Result<Duration> {
    match given {
        Some(given) if given.0 < INTERVAL_MIN => {
            bail!("{key} is {:?}: it must be at least {INTERVAL_MIN:?}", given.0)
        }
        given => Ok(given.map_or(built_in, |given| given.0)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skywatch_cluster::Precreation;

    use crate::config::tests::{settings, settings_error};

    #[test]
    fn intervals_of_a_file_count() {
        let upkeep = settings(
            "[retention]\ncheck-interval = \"30m\"\n[shard-precreation]\ncheck-interval = \"10m\"\nadvance-period = \"1h\"",
        )
        .upkeep;
        let ahead = Precreation { every: Duration::from_secs(600), advance: Duration::from_secs(3600) };
        assert_eq!((upkeep.retention_every, upkeep.precreation), (Duration::from_secs(1800), Some(ahead)));
        assert_eq!(settings("[shard-precreation]\nenabled = false").upkeep.precreation, None);
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        assert!(settings_error("[retention]\nenabled = false").contains("DURATION INF"));
        for key in ["[retention]\ncheck-interval", "[shard-precreation]\nadvance-period"] {
            let error = settings_error(&format!("{key} = \"0s\""));
            assert!(error.contains(&key.replace('\n', " ")) && error.contains("1s"), "{error}");
        }
    }
}
