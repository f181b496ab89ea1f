//! How rules and channels are doing, for people.

use std::collections::BTreeMap;

use super::{Core, Running, is_active};
use crate::{
    labels::Labels,
    rule::Rule,
    state::Instance,
    view::{ChannelView, InstanceView, RuleView},
};

impl Core {
    /// Every rule with its instances, in the order of the files; those that name no database ask `database`.
    pub(crate) fn rule_views(&self, database: &str) -> Vec<RuleView> {
        let muted = self.muted();
        let view = |rule: &Rule| Some(rule_view(rule, self.rules.get(&rule.uid)?, database, &muted));
        self.config.rules.iter().filter_map(view).collect()
    }

    /// Every way to reach somebody, and how it is doing.
    pub(crate) fn channel_views(&self) -> Vec<ChannelView> {
        let mut views = Vec::new();
        for point in &self.config.contact_points {
            for integration in &point.integrations {
                let Some(channel) = self.channels.get(&integration.id) else { continue };
                views.push(ChannelView {
                    contact_point: point.name.clone(),
                    id: integration.id.clone(),
                    kind: "discord",
                    address: integration.discord.url.to_string(),
                    status: channel.status().clone(),
                    waiting: channel.len(),
                    last_delivered: channel.last_delivered(),
                });
            }
        }
        views
    }

    /// The alerts that nobody is told of for now, by id, and why.
    pub(super) fn muted(&self) -> BTreeMap<&str, String> {
        self.groups.muted(&self.config.mute_timings, self.last_now)
    }
}

/// Why nobody is told of an instance.
pub(super) fn muted_by<'a>(muted: &'a BTreeMap<&str, String>, instance: &Instance) -> Option<&'a String> {
    muted.get(instance.alert.as_ref()?.id.as_str())
}

fn rule_view(rule: &Rule, running: &Running, database: &str, muted: &BTreeMap<&str, String>) -> RuleView {
    let mut instances: Vec<InstanceView> = running
        .state
        .instances()
        .map(|instance| InstanceView {
            labels: instance.labels.clone(),
            state: instance.state.word(),
            reason: instance.reason.clone(),
            muted: muted_by(muted, instance).cloned(),
            value: instance.shown,
            value_text: instance.shown.map(|value| rule.unit.write(value)).unwrap_or_default(),
            since: instance.state.since(),
            seen: instance.seen,
            annotations: instance.alert.as_ref().map(|alert| alert.annotations.clone()).unwrap_or_default(),
        })
        .collect();
    instances.sort_by_key(|instance| rank(instance.state));
    let state =
        if rule.paused { "paused" } else { instances.first().map_or("normal", |instance| instance.state) };
    let labels: Labels =
        rule.labels.iter().map(|(name, template)| (name.clone(), template.source().to_owned())).collect();
    let query = rule.first_query().map(|(_, query)| query);
    RuleView {
        uid: rule.uid.clone(),
        name: rule.title.clone(),
        folder: rule.folder.clone(),
        group: rule.group.clone(),
        file: rule.file.clone(),
        state,
        query: query.map(|query| query.text.clone()).unwrap_or_default(),
        database: query.and_then(|query| query.database.clone()).unwrap_or_else(|| database.to_owned()),
        condition: rule.condition_text(),
        hold_seconds: rule.hold.as_secs_f64(),
        interval_seconds: rule.interval.as_secs_f64(),
        labels,
        notify: rule.notify.iter().map(|settings| settings.receiver.clone()).collect(),
        last_evaluation: running.last,
        last_duration_seconds: running.took.as_secs_f64(),
        last_error: running.error.clone(),
        next_evaluation: is_active(running).then_some(running.next),
        instances,
    }
}

/// The order in which states matter to people.
fn rank(state: &str) -> u8 {
    match state {
        "firing" => 0,
        "error" => 1,
        "no data" => 2,
        "recovering" => 3,
        "pending" => 4,
        _ => 5,
    }
}
