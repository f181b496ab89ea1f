//! What the alerts page shows, as plain records: the alerting engine fills them in, the console only serves them.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use crate::router::Console;

/// Where the console learns about alerts. Called for each request of the page, so it answers from memory.
pub trait AlertsView: Send + Sync + 'static {
    /// Rules and their states as of now.
    fn snapshot(&self) -> AlertsSnapshot;
}

impl<F> AlertsView for F
where
    F: Fn() -> AlertsSnapshot + Send + Sync + 'static,
{
    fn snapshot(&self) -> AlertsSnapshot {
        self()
    }
}

/// For processes that evaluate no alerts.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAlerts;

impl AlertsView for NoAlerts {
    fn snapshot(&self) -> AlertsSnapshot {
        AlertsSnapshot::default()
    }
}

/// Everything the alerts page shows. The nodes of a cluster tell it to each other in this form.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertsSnapshot {
    /// The file the rules come from, or `None` when alerting is off.
    pub source: Option<String>,
    /// Why the file could not be read, if so; the rules are then those of its last good version.
    pub source_error: Option<String>,
    /// Every rule, in the order of its file.
    pub rules: Vec<AlertRule>,
    /// Notifications waiting for delivery.
    pub notifications_queued: u64,
    /// The latest delivery that failed, in words.
    pub notification_error: Option<String>,
    /// Instances that are not among the rules' since there are too many for one node to tell another.
    pub instances_left_out: u64,
    /// The node of a cluster that evaluates the rules, as `host:port`; `None` on a single server, and while none is known.
    pub evaluated_by: Option<String>,
    /// How old all this is, in milliseconds, where another node evaluates.
    pub age_ms: Option<u64>,
    /// Why nothing newer is known from the node that should be evaluating, if so.
    pub evaluator_error: Option<String>,
}

/// A rule and what its latest evaluation said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    /// Unique among the rules.
    pub uid: String,
    /// Name for people.
    pub title: String,
    /// The group it is evaluated with.
    pub group: String,
    /// InfluxQL of its query.
    pub query: String,
    /// The database that it asks.
    pub database: String,
    /// When it fires, in words, such as `last > 90 for 5m`.
    pub condition: String,
    /// Seconds between evaluations.
    pub interval_secs: u64,
    /// Explains the alert to whoever receives it.
    pub summary: Option<String>,
    /// The worst state of its instances.
    pub state: AlertState,
    /// When it entered that state, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// When it was last evaluated, in milliseconds since 1970.
    pub evaluated_ms: Option<i64>,
    /// Why its latest evaluation failed, if so.
    pub last_error: Option<String>,
    /// One for each series of the query's result.
    pub instances: Vec<AlertInstance>,
}

/// One series that a rule watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertInstance {
    /// What tells it from the rule's other instances, as (key, value), sorted by key.
    pub labels: Vec<(String, String)>,
    /// Its own state.
    pub state: AlertState,
    /// Value of the latest evaluation.
    pub value: Option<f64>,
    /// That value with its unit; empty where there is none.
    pub value_text: String,
    /// When it entered that state, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Why nobody is told of it for now: `muted by nights`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<String>,
}

/// The states of an alert, calm first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The rule is not evaluated, for its file says so.
    Paused,
    /// The condition does not hold.
    Normal,
    /// It holds, but not for long enough yet.
    Pending,
    /// The query returned nothing.
    NoData,
    /// The query failed.
    Error,
    /// It holds, and has for long enough.
    Firing,
}

pub(crate) async fn serve(State(console): State<Console>) -> Json<AlertsSnapshot> {
    Json(console.alerts.snapshot())
}
