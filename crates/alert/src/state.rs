//! The state machine of one rule's instances. Pure: `step` is given the time and an event, and says what to tell.
//!
//! ```text
//!            holds, for > 0            held for `for`
//!   Normal ----------------> Pending ----------------> Firing --------+
//!     ^  ^                      |                      |    ^         | ends, keepFiringFor > 0
//!     |  +------- ends ---------+      ends, resolved  |    | holds   v
//!     +------------------------------------------------+    +---- Recovering
//!     +--------------- ended for keepFiringFor, resolved --------------+
//! ```
//!
//! What is wrong has a kind (alerting, no data, error). A firing instance whose kind changes goes through pending
//! again; people are told of the new kind only once it has lasted, and nothing is called resolved meanwhile.
//! A query that *fails* says nothing about series, so unlike in Grafana it never resolves one as missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Time,
    alert::{Alert, Ingredients, Kind},
    evaluate::{Evaluation, Sample},
    labels::Labels,
    rule::{ErrorPolicy, NoDataPolicy, Rule},
};

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nothing is wrong.
    Normal {
        /// Since when.
        since: Time,
    },
    /// Something is wrong, not yet for long enough.
    Pending {
        /// Since when; a change of kind does not start it anew.
        since: Time,
        /// What was wrong last.
        kind: Kind,
    },
    /// Something is wrong.
    Firing {
        /// Since when it is this kind.
        since: Time,
        /// What is wrong.
        kind: Kind,
    },
    /// Nothing is wrong any more; it goes on firing for `keepFiringFor`.
    Recovering {
        /// Since when nothing is wrong.
        since: Time,
    },
}

impl State {
    /// Since when it is in this state.
    pub fn since(self) -> Time {
        match self {
            Self::Normal { since }
            | Self::Pending { since, .. }
            | Self::Firing { since, .. }
            | Self::Recovering { since } => since,
        }
    }

    /// The word for it, as the console and the API show it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal { .. } => "normal",
            Self::Pending { .. } => "pending",
            Self::Firing { kind: Kind::Alerting, .. } => "firing",
            Self::Firing { kind: Kind::NoData, .. } => "no data",
            Self::Firing { kind: Kind::Error, .. } => "error",
            Self::Recovering { .. } => "recovering",
        }
    }
}

/// One label set of a rule, and what is known about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Labels of the data.
    pub labels: Labels,
    /// Where it stands.
    pub state: State,
    /// Why, when that is not obvious.
    pub reason: Option<String>,
    /// The number people want to see.
    pub shown: Option<f64>,
    /// When a result last came for it.
    pub seen: Time,
    /// Evaluations in a row without a result for it.
    pub missed: u32,
    /// Whether it stands for the rule as a whole (no data, error) rather than for a series.
    pub whole_rule: bool,
    /// The alert that is out for it: told as firing, not yet as resolved.
    pub alert: Option<Alert>,
}

/// What can happen to a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It was evaluated.
    Evaluated(Evaluation),
    /// Its queries or expressions failed.
    Failed(String),
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// This alert fires, or goes on firing with these values.
    Fire(Alert),
    /// This alert has ended.
    Resolve(Alert),
    /// An instance changed its state.
    Changed {
        /// Labels of its data.
        labels: Labels,
        /// State before; `None` when it is new.
        from: Option<&'static str>,
        /// State after; `None` when it is gone.
        to: Option<&'static str>,
        /// Why, when that is not obvious.
        reason: Option<String>,
    },
}

/// All instances of one rule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleState {
    instances: BTreeMap<Labels, Instance>,
}

/// One evaluation: whose, and when.
#[derive(Debug, Clone, Copy)]
struct Turn<'a> {
    rule: &'a Rule,
    now: Time,
}

/// What one evaluation says about one instance.
#[derive(Debug, Clone, Copy)]
struct Finding<'a> {
    result: Outcome,
    reason: Option<&'a str>,
    error: Option<&'a str>,
    shown: Option<f64>,
    values: &'a BTreeMap<String, Option<f64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Fine,
    Wrong(Kind),
    /// State stays; what is pending may mature.
    Keep,
}

impl RuleState {
    /// Takes up instances that were stored.
    pub fn restore(instances: Vec<Instance>) -> Self {
        let state = Self {
            instances: instances.into_iter().map(|instance| (instance.labels.clone(), instance)).collect(),
        };
        debug_assert!(state.check().is_ok());
        state
    }

    /// The instances, by labels.
    pub fn instances(&self) -> impl ExactSizeIterator<Item = &Instance> {
        self.instances.values()
    }

    /// Whether the condition held for these labels the last time people looked (for recovery thresholds).
    pub fn is_firing(&self, labels: &Labels) -> bool {
        self.instances.get(labels).is_some_and(|instance| {
            matches!(instance.state, State::Firing { kind: Kind::Alerting, .. } | State::Recovering { .. })
        })
    }

    /// What must always be true.
    pub fn check(&self) -> Result<(), String> {
        for (labels, instance) in &self.instances {
            if *labels != instance.labels {
                return Err(format!("instance {labels:?} is filed under other labels"));
            }
            match (instance.state, &instance.alert) {
                (State::Firing { .. } | State::Recovering { .. }, None) => {
                    return Err(format!("{labels:?} fires and nobody was told"));
                }
                (State::Normal { .. }, Some(_)) => {
                    return Err(format!("{labels:?} is normal and its alert is out"));
                }
                (_, Some(alert)) if alert.ends.is_some() => {
                    return Err(format!("{labels:?} holds an alert that ended"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes in an event; what is to be done is added to `commands`.
    pub fn step(&mut self, rule: &Rule, now: Time, event: &Event, commands: &mut Vec<Command>) {
        let turn = Turn { rule, now };
        match event {
            Event::Evaluated(Evaluation::Samples(samples)) => self.samples(turn, samples, commands),
            Event::Evaluated(Evaluation::NoData) => self.no_data(turn, commands),
            Event::Failed(error) => self.failed(turn, error, commands),
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    fn samples(&mut self, turn: Turn<'_>, samples: &[Sample], commands: &mut Vec<Command>) {
        for sample in samples {
            let (result, reason) = match sample.value {
                Some(0.0) => (Outcome::Fine, None),
                Some(_) => (Outcome::Wrong(Kind::Alerting), None),
                None => match turn.rule.no_data {
                    NoDataPolicy::NoData => (Outcome::Wrong(Kind::NoData), None),
                    NoDataPolicy::Alerting => (Outcome::Wrong(Kind::Alerting), Some("NoData")),
                    NoDataPolicy::Ok => (Outcome::Fine, Some("NoData")),
                    NoDataPolicy::KeepLast => (Outcome::Keep, Some("NoData, KeepLast")),
                },
            };
            let (shown, values) = (sample.shown, &sample.values);
            let finding = Finding { result, reason, error: None, shown, values };
            self.apply(turn, &sample.labels, false, finding, commands);
        }
        let mut seen: Vec<&Labels> = samples.iter().map(|sample| &sample.labels).collect();
        seen.sort_unstable();
        self.miss(turn, &|instance| seen.binary_search(&&instance.labels).is_ok(), commands);
    }

    fn no_data(&mut self, turn: Turn<'_>, commands: &mut Vec<Command>) {
        let (result, reason) = match turn.rule.no_data {
            NoDataPolicy::NoData => {
                let result = Outcome::Wrong(Kind::NoData);
                self.apply_to_rule(turn, result, None, None, commands);
                return self.miss(turn, &|instance| instance.whole_rule, commands);
            }
            NoDataPolicy::Alerting => (Outcome::Wrong(Kind::Alerting), "NoData"),
            NoDataPolicy::Ok => (Outcome::Fine, "NoData"),
            NoDataPolicy::KeepLast => (Outcome::Keep, "NoData, KeepLast"),
        };
        self.apply_to_all(turn, (result, Some(reason), None), commands);
    }

    fn failed(&mut self, turn: Turn<'_>, error: &str, commands: &mut Vec<Command>) {
        let (result, reason) = match turn.rule.on_error {
            ErrorPolicy::Error => {
                let result = Outcome::Wrong(Kind::Error);
                return self.apply_to_rule(turn, result, None, Some(error), commands);
            }
            ErrorPolicy::Alerting => (Outcome::Wrong(Kind::Alerting), "Error"),
            ErrorPolicy::Ok => (Outcome::Fine, "Error"),
            ErrorPolicy::KeepLast => (Outcome::Keep, "Error, KeepLast"),
        };
        self.apply_to_all(turn, (result, Some(reason), Some(error)), commands);
    }

    /// A policy that maps to another state applies to every instance there is; if there is none, to the rule.
    fn apply_to_all(
        &mut self,
        turn: Turn<'_>,
        (result, reason, error): (Outcome, Option<&str>, Option<&str>),
        commands: &mut Vec<Command>,
    ) {
        let all: Vec<(Labels, bool, Option<f64>)> =
            self.instances.values().map(|i| (i.labels.clone(), i.whole_rule, i.shown)).collect();
        if all.is_empty() && matches!(result, Outcome::Wrong(_)) {
            return self.apply_to_rule(turn, result, reason, error, commands);
        }
        let values = BTreeMap::new();
        for (labels, whole_rule, shown) in all {
            let finding = Finding { result, reason, error, shown, values: &values };
            self.apply(turn, &labels, whole_rule, finding, commands);
        }
    }

    fn apply_to_rule(
        &mut self,
        turn: Turn<'_>,
        result: Outcome,
        reason: Option<&str>,
        error: Option<&str>,
        commands: &mut Vec<Command>,
    ) {
        let mut labels = Labels::new();
        if let Some((ref_id, query)) = turn.rule.first_query() {
            labels.insert("ref_id".to_owned(), ref_id.to_owned());
            if !query.datasource.is_empty() {
                labels.insert("datasource_uid".to_owned(), query.datasource.clone());
            }
        }
        let values = BTreeMap::new();
        let finding = Finding { result, reason, error, shown: None, values: &values };
        self.apply(turn, &labels, true, finding, commands);
    }

    fn apply(
        &mut self,
        turn: Turn<'_>,
        labels: &Labels,
        whole_rule: bool,
        finding: Finding<'_>,
        commands: &mut Vec<Command>,
    ) {
        let Turn { rule, now } = turn;
        let known = self.instances.get(labels).map(|instance| instance.state);
        let instance = self.instances.entry(labels.clone()).or_insert_with(|| Instance {
            labels: labels.clone(),
            state: State::Normal { since: now },
            reason: None,
            shown: None,
            seen: now,
            missed: 0,
            whole_rule,
            alert: None,
        });
        instance.seen = now;
        instance.missed = 0;
        instance.shown = finding.shown;
        instance.reason = finding.reason.map(str::to_owned);
        instance.state = next_state(rule, now, instance.state, finding.result);
        match instance.state {
            State::Firing { kind, .. } => {
                let starts = instance.alert.as_ref().map_or(now, |alert| alert.starts);
                let ingredients = Ingredients {
                    rule,
                    data_labels: labels,
                    kind,
                    reason: finding.reason,
                    error: finding.error,
                    shown: finding.shown,
                    values: finding.values,
                    starts,
                };
                // A kept state has no new values: what was told stays as it is.
                let alert = match (finding.result, instance.alert.take()) {
                    (Outcome::Keep, Some(alert)) if alert.kind == kind => alert,
                    _ => ingredients.alert(),
                };
                instance.alert = Some(alert.clone());
                commands.push(Command::Fire(alert));
            }
            State::Normal { .. } => {
                if let Some(alert) = instance.alert.take() {
                    let value = finding.shown.map(|value| rule.unit.write(value)).unwrap_or_default();
                    commands.push(Command::Resolve(Alert {
                        ends: Some(now),
                        reason: instance.reason.clone(),
                        value,
                        ..alert
                    }));
                }
            }
            State::Pending { .. } | State::Recovering { .. } => {}
        }
        let changed = known.is_none_or(|known| known.word() != instance.state.word());
        if changed {
            commands.push(Command::Changed {
                labels: labels.clone(),
                from: known.map(State::word),
                to: Some(instance.state.word()),
                reason: instance.reason.clone(),
            });
        }
    }

    /// Counts a missed evaluation for instances that `is_there` denies, and lets go of those that missed too many.
    fn miss(&mut self, turn: Turn<'_>, is_there: &dyn Fn(&Instance) -> bool, commands: &mut Vec<Command>) {
        self.instances.retain(|labels, instance| {
            if is_there(instance) {
                return true;
            }
            instance.missed += 1;
            let allowed = match instance.state {
                State::Firing { kind, .. } | State::Pending { kind, .. } if kind != Kind::Alerting => 1,
                _ => turn.rule.missing_evaluations,
            };
            if instance.missed < allowed {
                return true;
            }
            let reason = if instance.whole_rule { None } else { Some("MissingSeries".to_owned()) };
            end(turn.now, labels, instance, reason, commands);
            false
        });
    }

    /// The rule goes away or begins anew (`RuleDeleted`, `Paused`, `Updated`): all instances end.
    pub fn reset(&mut self, now: Time, reason: &str, commands: &mut Vec<Command>) {
        for (labels, mut instance) in std::mem::take(&mut self.instances) {
            end(now, &labels, &mut instance, Some(reason.to_owned()), commands);
        }
    }
}

/// Ends an instance that is let go of.
fn end(
    now: Time,
    labels: &Labels,
    instance: &mut Instance,
    reason: Option<String>,
    commands: &mut Vec<Command>,
) {
    if let Some(alert) = instance.alert.take() {
        commands.push(Command::Resolve(Alert { ends: Some(now), reason: reason.clone(), ..alert }));
    }
    let from = Some(instance.state.word());
    commands.push(Command::Changed { labels: labels.clone(), from, to: None, reason });
}

fn next_state(rule: &Rule, now: Time, state: State, result: Outcome) -> State {
    match (state, result) {
        (State::Pending { since, kind }, Outcome::Keep) if now.since(since) >= rule.hold => {
            State::Firing { since: now, kind }
        }
        (state, Outcome::Keep) => state,

        (State::Normal { since }, Outcome::Fine) => State::Normal { since },
        (State::Firing { kind: Kind::Alerting, .. }, Outcome::Fine) if !rule.keep_firing.is_zero() => {
            State::Recovering { since: now }
        }
        (State::Recovering { since }, Outcome::Fine) if now.since(since) < rule.keep_firing => {
            State::Recovering { since }
        }
        (_, Outcome::Fine) => State::Normal { since: now },

        (State::Pending { since, .. }, Outcome::Wrong(kind)) => {
            if now.since(since) >= rule.hold {
                State::Firing { since: now, kind }
            } else {
                State::Pending { since, kind }
            }
        }
        (State::Firing { since, kind: before }, Outcome::Wrong(kind)) if before == kind => {
            State::Firing { since, kind }
        }
        (State::Recovering { .. }, Outcome::Wrong(Kind::Alerting)) => {
            State::Firing { since: now, kind: Kind::Alerting }
        }
        (_, Outcome::Wrong(kind)) if rule.hold.is_zero() => State::Firing { since: now, kind },
        (_, Outcome::Wrong(kind)) => State::Pending { since: now, kind },
    }
}

#[cfg(test)]
mod tests;
