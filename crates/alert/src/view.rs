//! What the console shows: plain records that serialise.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    Time,
    labels::Labels,
    notify::queue::{ChannelStatus, DeliveryRecord},
};

/// A rule and its instances.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleView {
    /// Identity.
    pub uid: String,
    /// Name.
    pub name: String,
    /// Folder; empty in the short form.
    pub folder: String,
    /// Group; empty in the short form.
    pub group: String,
    /// File it comes from.
    pub file: String,
    /// Worst state of its instances: `firing`, `error`, `no data`, `recovering`, `pending`, `normal`; or `paused`.
    pub state: &'static str,
    /// Text of its first query.
    pub query: String,
    /// The database that it asks.
    pub database: String,
    /// When it fires, in words.
    pub condition: String,
    /// How long the condition must hold.
    pub hold_seconds: f64,
    /// Time between evaluations.
    pub interval_seconds: f64,
    /// Labels of the rule, as templates.
    pub labels: Labels,
    /// Contact points it names; empty when the policies decide.
    pub notify: Vec<String>,
    /// When it was last evaluated (milliseconds since the epoch, as all times here).
    pub last_evaluation: Option<Time>,
    /// How long that took.
    pub last_duration_seconds: f64,
    /// Why that failed.
    pub last_error: Option<String>,
    /// When it is evaluated next; `None` while it is paused.
    pub next_evaluation: Option<Time>,
    /// Instances, the worst first.
    pub instances: Vec<InstanceView>,
}

/// One label set of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InstanceView {
    /// Labels of the data.
    pub labels: Labels,
    /// `normal`, `pending`, `firing`, `recovering`, `no data` or `error`.
    pub state: &'static str,
    /// Why, when that is not obvious.
    pub reason: Option<String>,
    /// Why nobody is told of it for now: `muted by nights`.
    pub muted: Option<String>,
    /// The last value; null when there was none or it was no number.
    pub value: Option<f64>,
    /// The last value with its unit.
    pub value_text: String,
    /// Since when it is in this state.
    pub since: Time,
    /// When a result last came for it.
    pub seen: Time,
    /// Annotations of the alert that is out.
    pub annotations: BTreeMap<String, String>,
}

/// A way to reach a contact point. Its address is shown without what is secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChannelView {
    /// Contact point.
    pub contact_point: String,
    /// Identity.
    pub id: String,
    /// `discord`.
    pub kind: &'static str,
    /// Scheme and host.
    pub address: String,
    /// How it is doing.
    pub status: ChannelStatus,
    /// Notices that are not delivered yet.
    pub waiting: usize,
    /// When a message was last accepted.
    pub last_delivered: Option<Time>,
}

/// A state change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transition {
    /// When.
    pub at: Time,
    /// Rule.
    pub rule_uid: String,
    /// Its name.
    pub title: String,
    /// Labels of the instance's data.
    pub labels: Labels,
    /// State before; null when the instance is new.
    pub from: Option<String>,
    /// State after; null when it is gone.
    pub to: Option<String>,
    /// Why, when that is not obvious.
    pub reason: Option<String>,
}

/// Everything about the engine beside its rules.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct StatusView {
    /// Why the files as they are now cannot be used; the rules of before go on. One problem a line.
    pub config_error: Option<String>,
    /// What was read from the files and has no effect.
    pub warnings: Vec<String>,
    /// What was wrong with the stored state when the engine started.
    pub state_problem: Option<String>,
    /// Why the state could not be stored the last time.
    pub save_error: Option<String>,
    /// Contact points.
    pub channels: Vec<ChannelView>,
    /// The delivery log, newest last.
    pub deliveries: Vec<DeliveryRecord>,
    /// State changes since the engine started, newest last.
    pub transitions: Vec<Transition>,
}
