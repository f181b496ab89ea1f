//! Routing and grouping, as Grafana's Alertmanager does them. Pure.
//!
//! An alert belongs to a group per route that matches it. A group is told of first after `group_wait`, then looked
//! at every `group_interval`; a notice goes out if something changed, or after `repeat_interval` if something still
//! fires. Unlike there, a notice counts as told once it stands in the durable queue, which never loses it; and of what was
//! told to fire and ended while its group was muted, the end is told when that is over.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Notice, NoticeAlert};
use crate::{
    Time,
    alert::{Alert, Kind},
    labels::{Labels, to_text},
    rule::{AlertConfig, GroupBy, Route},
    timing::{MuteTimes, MuteTiming},
};

/// All groups there are.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<String, Group>,
}

/// Alerts that are told of together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    key: String,
    receiver: String,
    labels: Labels,
    alerts: BTreeMap<String, Member>,
    next_flush: Time,
    last_told: Option<Time>,
    group_wait_ms: u64,
    group_interval_ms: u64,
    repeat_interval_ms: u64,
    #[serde(default)]
    mute_times: MuteTimes,
}

/// An alert in a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Member {
    alert: Alert,
    /// What people were told: that it fires, with this kind.
    told: Option<Kind>,
}

/// Where an alert goes, and how its group behaves.
#[derive(Debug, Clone, PartialEq)]
struct Destination {
    /// Identity of the route; timing is no part of it, so that a change of timing keeps the groups.
    route: String,
    receiver: String,
    labels: Labels,
    group_wait: Duration,
    group_interval: Duration,
    repeat_interval: Duration,
    mute_times: MuteTimes,
}

impl Destination {
    /// Rules and policies that are alike but for their mute timings are told of apart.
    fn key(&self) -> String {
        let MuteTimes { mute, active } = &self.mute_times;
        let muted = if self.mute_times.is_empty() {
            String::new()
        } else {
            format!("/mute {mute:?}/active {active:?}")
        };
        format!("{}{muted}:{}", self.route, to_text(&self.labels))
    }

    fn group(&self, now: Time, starts: Time) -> Group {
        Group {
            key: self.key(),
            receiver: self.receiver.clone(),
            labels: self.labels.clone(),
            alerts: BTreeMap::new(),
            next_flush: now.max(starts.plus(self.group_wait)),
            last_told: None,
            group_wait_ms: millis(self.group_wait),
            group_interval_ms: millis(self.group_interval),
            repeat_interval_ms: millis(self.repeat_interval),
            mute_times: self.mute_times.clone(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where an alert goes by the receivers of its rule, or else by the policies.
fn destinations(config: &AlertConfig, alert: &Alert) -> Vec<Destination> {
    let rule = config.rules.iter().find(|rule| rule.uid == alert.rule_uid);
    if let Some(rule) = rule.filter(|rule| !rule.notify.is_empty()) {
        return rule
            .notify
            .iter()
            .map(|settings| Destination {
                route: format!("rule/{}/{}", settings.receiver, group_by_text(&settings.group_by)),
                receiver: settings.receiver.clone(),
                labels: settings.group_by.key(&alert.labels),
                group_wait: settings.group_wait,
                group_interval: settings.group_interval,
                repeat_interval: settings.repeat_interval,
                mute_times: settings.mute_times.clone(),
            })
            .collect();
    }
    let mut routes = Vec::new();
    if let Some(root) = &config.policy {
        matching(root, "{}".to_owned(), &alert.labels, &mut routes);
    }
    routes
        .into_iter()
        .map(|(route, path)| Destination {
            route: format!("{path}/{}/{}", route.receiver, group_by_text(&route.group_by)),
            receiver: route.receiver.clone(),
            labels: route.group_by.key(&alert.labels),
            group_wait: route.group_wait,
            group_interval: route.group_interval,
            repeat_interval: route.repeat_interval,
            mute_times: route.mute_times.clone(),
        })
        .collect()
}

fn group_by_text(group_by: &GroupBy) -> String {
    match group_by {
        GroupBy::All => "...".to_owned(),
        GroupBy::Labels(names) => names.join(","),
    }
}

/// The deepest routes that match, in order; `path` names the way to them.
fn matching<'a>(route: &'a Route, path: String, labels: &Labels, out: &mut Vec<(&'a Route, String)>) {
    let before = out.len();
    for child in &route.routes {
        if child.matchers.iter().all(|matcher| matcher.matches(labels)) {
            let texts: Vec<String> = child.matchers.iter().map(ToString::to_string).collect();
            matching(child, format!("{path}/{{{}}}", texts.join(",")), labels, out);
            if !child.go_on {
                break;
            }
        }
    }
    if out.len() == before {
        out.push((route, path));
    }
}

impl Groups {
    /// Takes up groups that were stored.
    pub(crate) fn restore(groups: Vec<Group>) -> Self {
        Self { groups: groups.into_iter().map(|group| (group.key.clone(), group)).collect() }
    }

    /// All groups, for storing.
    pub(crate) fn to_vec(&self) -> Vec<Group> {
        self.groups.values().cloned().collect()
    }

    /// When something is to be done next.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        self.groups.values().map(|group| group.next_flush).min()
    }

    /// An alert fires, or goes on firing. Says whether anything but its values changed.
    pub(crate) fn fire(&mut self, config: &AlertConfig, alert: &Alert, now: Time) -> bool {
        let mut changed = false;
        let destinations = destinations(config, alert);
        let keys: Vec<String> = destinations.iter().map(Destination::key).collect();
        // Its labels may lead elsewhere than before: it leaves the groups that it no longer belongs to.
        for group in self.groups.values_mut().filter(|group| !keys.contains(&group.key)) {
            changed |= group.alerts.remove(&alert.id).is_some();
        }
        for (destination, key) in destinations.iter().zip(keys) {
            let group = self.groups.entry(key).or_insert_with(|| {
                changed = true;
                destination.group(now, alert.starts)
            });
            match group.alerts.get_mut(&alert.id) {
                Some(member) => {
                    changed |= member.alert.kind != alert.kind || member.alert.ends.is_some();
                    member.alert = alert.clone();
                }
                None => {
                    changed = true;
                    group.alerts.insert(alert.id.clone(), Member { alert: alert.clone(), told: None });
                }
            }
        }
        self.groups.retain(|_, group| !group.alerts.is_empty());
        changed
    }

    /// An alert has ended.
    pub(crate) fn resolve(&mut self, alert: &Alert) {
        for member in self.groups.values_mut().filter_map(|group| group.alerts.get_mut(&alert.id)) {
            member.alert = alert.clone();
        }
    }

    /// The notices that are due.
    pub(crate) fn flush(&mut self, timings: &[MuteTiming], now: Time) -> Vec<Notice> {
        let mut notices = Vec::new();
        for group in self.groups.values_mut().filter(|group| group.next_flush <= now) {
            notices.extend(group.flush(timings, now));
        }
        self.groups.retain(|_, group| !group.alerts.is_empty());
        notices
    }

    /// The alerts that nobody is told of at this time, by id, and why.
    pub(crate) fn muted(&self, timings: &[MuteTiming], now: Time) -> BTreeMap<&str, String> {
        let mut muted = BTreeMap::new();
        let mut telling = Vec::new();
        for group in self.groups.values() {
            match group.mute_times.reason(timings, now) {
                Some(reason) => muted.extend(group.ids().map(|id| (id, reason.clone()))),
                None => telling.push(group),
            }
        }
        if !muted.is_empty() {
            telling.into_iter().flat_map(Group::ids).for_each(|id| drop(muted.remove(id)));
        }
        muted
    }

    /// Another configuration: alerts are routed anew; groups that stay keep their timing, and nobody is told again
    /// of what the same contact point has been told.
    pub(crate) fn reconfigure(&mut self, config: &AlertConfig, now: Time) {
        let old = std::mem::take(&mut self.groups);
        let mut told: BTreeMap<(String, String), Kind> = BTreeMap::new();
        let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
        for group in old.values() {
            for (id, member) in &group.alerts {
                if let Some(kind) = member.told {
                    told.insert((group.receiver.clone(), id.clone()), kind);
                }
                if !member.alert.is_resolved() {
                    alerts.insert(id.clone(), member.alert.clone());
                }
            }
            // Whoever was told that something fires is told that it ended, even if its rule is gone.
            let mut ended = group.clone();
            ended.alerts.retain(|_, member| member.alert.is_resolved());
            if !ended.alerts.is_empty() && config.contact_point(&group.receiver).is_some() {
                self.groups.insert(group.key.clone(), ended);
            }
        }
        for (id, alert) in &alerts {
            for destination in destinations(config, alert) {
                let key = destination.key();
                let group = self.groups.entry(key.clone()).or_insert_with(|| {
                    let mut group = destination.group(now, alert.starts);
                    if let Some(old) = old.get(&key) {
                        group.next_flush = old.next_flush.min(now.plus(destination.group_interval));
                        group.last_told = old.last_told;
                    } else {
                        // A new group of alerts that were told of elsewhere repeats as if it had told of them now.
                        group.last_told = Some(now);
                    }
                    group
                });
                let told = told.get(&(destination.receiver.clone(), id.clone())).copied();
                group.alerts.insert(id.clone(), Member { alert: alert.clone(), told });
            }
        }
    }

    /// The clock was set back by this much.
    pub(crate) fn set_back(&mut self, back: Duration) {
        for group in self.groups.values_mut() {
            group.next_flush = group.next_flush.minus(back);
            group.last_told = group.last_told.map(|told| told.minus(back));
        }
    }

    /// What must always be true.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (key, group) in &self.groups {
            if *key != group.key || group.alerts.is_empty() {
                return Err(format!("group {key:?} is misfiled or empty"));
            }
        }
        Ok(())
    }
}

impl Group {
    /// Of its alerts.
    fn ids(&self) -> impl Iterator<Item = &str> {
        self.alerts.keys().map(String::as_str)
    }

    fn flush(&mut self, timings: &[MuteTiming], now: Time) -> Option<Notice> {
        // What ended before anybody was told needs no telling.
        self.alerts.retain(|_, member| member.told.is_some() || !member.alert.is_resolved());
        self.next_flush = now.plus(Duration::from_millis(self.group_interval_ms));
        if self.mute_times.reason(timings, now).is_some() {
            return None;
        }
        let is_new = |member: &Member| member.alert.is_resolved() || member.told != Some(member.alert.kind);
        let fires = self.alerts.values().any(|member| !member.alert.is_resolved());
        let repeat_due = self
            .last_told
            .is_none_or(|told| now.since(told) >= Duration::from_millis(self.repeat_interval_ms));
        let any_news = self.alerts.values().any(is_new);
        if !any_news && (!fires || !repeat_due) {
            return None;
        }
        let alerts = self
            .alerts
            .values()
            .map(|member| NoticeAlert { alert: member.alert.clone(), changed: is_new(member) })
            .collect();
        for member in self.alerts.values_mut() {
            member.told = Some(member.alert.kind);
        }
        self.alerts.retain(|_, member| !member.alert.is_resolved());
        self.last_told = Some(now);
        Some(Notice {
            group: self.key.clone(),
            receiver: self.receiver.clone(),
            group_labels: self.labels.clone(),
            created: now,
            alerts,
            note: None,
        })
    }
}

#[cfg(test)]
mod tests;
