//! The engine's records as the console's alerts page wants them.

use std::path::Path;

use skywatch_alert::{AlertHandle, ChannelStatus, InstanceView, RuleView};
use skywatch_console::{AlertInstance, AlertRule, AlertState, AlertsSnapshot};

pub(super) fn snapshot(handle: &AlertHandle, rules: &Path) -> AlertsSnapshot {
    let status = handle.status();
    AlertsSnapshot {
        source: Some(rules.display().to_string()),
        source_error: status.config_error,
        rules: handle.rules().into_iter().map(rule).collect(),
        notifications_queued: status.channels.iter().map(|channel| channel.waiting as u64).sum(),
        notification_error: status.channels.iter().find_map(|channel| match &channel.status {
            ChannelStatus::Healthy => None,
            ChannelStatus::Retrying { error } | ChannelStatus::Broken { error, .. } => {
                Some(format!("{}: {error}", channel.contact_point))
            }
        }),
        ..AlertsSnapshot::default()
    }
}

fn rule(rule: RuleView) -> AlertRule {
    let state = match rule.instances.iter().map(|instance| state(instance.state)).max() {
        _ if rule.state == "paused" => AlertState::Paused,
        Some(worst) => worst,
        None if rule.last_error.is_some() => AlertState::Error,
        None => AlertState::Normal,
    };
    AlertRule {
        uid: rule.uid,
        title: rule.name,
        group: rule.group,
        query: rule.query,
        database: rule.database,
        condition: rule.condition,
        interval_secs: rule.interval_seconds as u64,
        summary: rule
            .instances
            .iter()
            .find_map(|instance| {
                instance.annotations.get("summary").or_else(|| instance.annotations.get("description"))
            })
            .cloned(),
        state,
        since_ms: rule
            .instances
            .iter()
            .filter(|instance| self::state(instance.state) == state)
            .map(|instance| instance.since.millis())
            .min(),
        evaluated_ms: rule.last_evaluation.map(skywatch_alert::Time::millis),
        last_error: rule.last_error,
        instances: rule.instances.iter().map(instance).collect(),
    }
}

fn instance(instance: &InstanceView) -> AlertInstance {
    AlertInstance {
        labels: instance.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        state: state(instance.state),
        value: instance.value,
        value_text: instance.value_text.clone(),
        since_ms: Some(instance.since.millis()),
        muted: instance.muted.clone(),
    }
}

/// The engine's words for states; one that recovers still fires.
fn state(word: &str) -> AlertState {
    match word {
        "pending" => AlertState::Pending,
        "firing" | "recovering" => AlertState::Firing,
        "no data" => AlertState::NoData,
        "error" => AlertState::Error,
        _ => AlertState::Normal,
    }
}
