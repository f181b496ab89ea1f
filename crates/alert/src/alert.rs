//! One alert: an instance of a rule that people are told about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Time,
    labels::{ALERTNAME, FOLDER, Labels, hash, to_text},
    rule::Rule,
    template::Value,
};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The condition holds.
    Alerting,
    /// There is no data.
    NoData,
    /// The query fails.
    Error,
}

/// An alert, with all that messages about it need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Identity: the rule's uid and a hash of the labels of the data. Stays when the kind changes.
    pub id: String,
    /// Rule it comes from.
    pub rule_uid: String,
    /// What people call the rule.
    pub title: String,
    /// What is wrong.
    pub kind: Kind,
    /// Why the state is what it is, when that is not obvious (`NoData`, `MissingSeries`, `Paused` ...).
    pub reason: Option<String>,
    /// Labels that policies match and messages show.
    pub labels: Labels,
    /// Rendered annotations.
    pub annotations: BTreeMap<String, String>,
    /// The value with its unit; empty when there is none.
    pub value: String,
    /// Values of all expressions, by refId.
    pub values: BTreeMap<String, Option<f64>>,
    /// When the rule fires, in words.
    pub condition: String,
    /// When it began to fire.
    pub starts: Time,
    /// When it ended; `None` while it fires.
    pub ends: Option<Time>,
}

impl Alert {
    /// Whether it has ended.
    pub fn is_resolved(&self) -> bool {
        self.ends.is_some()
    }

    /// `firing` or `resolved`.
    pub fn status(&self) -> &'static str {
        if self.is_resolved() { "resolved" } else { "firing" }
    }
}

/// What an alert is made from.
#[derive(Debug)]
pub(crate) struct Ingredients<'a> {
    pub(crate) rule: &'a Rule,
    /// Labels of the data.
    pub(crate) data_labels: &'a Labels,
    pub(crate) kind: Kind,
    pub(crate) reason: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
    pub(crate) shown: Option<f64>,
    pub(crate) values: &'a BTreeMap<String, Option<f64>>,
    pub(crate) starts: Time,
}

impl Ingredients<'_> {
    /// Renders labels and annotations and puts the alert together.
    pub(crate) fn alert(&self) -> Alert {
        let rule = self.rule;
        let variables = self.variables();
        let root = Value::map([
            ("Labels", variables["labels"].clone()),
            ("Values", variables["values"].clone()),
            ("Value", variables["value"].clone()),
        ]);
        let mut labels = self.data_labels.clone();
        for (name, template) in &rule.labels {
            labels.insert(name.clone(), template.render_or_say(&root, &variables));
        }
        labels.retain(|_, value| !value.is_empty());
        if !rule.folder.is_empty() {
            labels.insert(FOLDER.to_owned(), rule.folder.clone());
        }
        let alertname = match self.kind {
            Kind::Alerting => rule.title.as_str(),
            // As in Grafana, so that its policies match; the rule's name is kept beside it.
            Kind::NoData => "DatasourceNoData",
            Kind::Error => "DatasourceError",
        };
        labels.insert(ALERTNAME.to_owned(), alertname.to_owned());
        if self.kind != Kind::Alerting {
            labels.insert("rulename".to_owned(), rule.title.clone());
        }
        let mut annotations: BTreeMap<String, String> = rule
            .annotations
            .iter()
            .map(|(name, template)| (name.clone(), template.render_or_say(&root, &variables)))
            .collect();
        if let Some(error) = self.error {
            annotations.insert("Error".to_owned(), error.to_owned());
        }
        if let Some(reason) = self.reason {
            annotations.insert("grafana_state_reason".to_owned(), reason.to_owned());
        }
        Alert {
            id: alert_id(&rule.uid, self.data_labels),
            rule_uid: rule.uid.clone(),
            title: rule.title.clone(),
            kind: self.kind,
            reason: self.reason.map(str::to_owned),
            labels,
            annotations,
            value: self.shown.map(|value| rule.unit.write(value)).unwrap_or_default(),
            values: self.values.clone(),
            condition: rule.condition_text(),
            starts: self.starts,
            ends: None,
        }
    }

    fn variables(&self) -> BTreeMap<&'static str, Value> {
        let labels = Value::texts(self.data_labels);
        let values = Value::map(self.values.iter().map(|(name, value)| {
            let number = value.map_or(Value::Missing, Value::Number);
            let text = value.map_or_else(|| number.to_text(), crate::template::format_decimal);
            let fields = [("Value".to_owned(), number), ("Labels".to_owned(), labels.clone())];
            (name.clone(), Value::Printed(text, fields.into()))
        }));
        let number = self.shown.unwrap_or(f64::NAN);
        let text = if self.rule.plain_value {
            self.shown.map_or_else(|| "[no value]".to_owned(), crate::template::format_number)
        } else {
            value_string(self.values, self.data_labels)
        };
        [("labels", labels), ("values", values), ("value", Value::Quantity(number, text))].into()
    }
}

/// Grafana's text of all values: `[ var='B' labels={host=web-1} value=93.4 ]`.
pub(crate) fn value_string(values: &BTreeMap<String, Option<f64>>, labels: &Labels) -> String {
    let parts: Vec<String> = values
        .iter()
        .map(|(name, value)| {
            let value = value.map_or_else(|| "null".to_owned(), crate::template::format_number);
            format!("[ var='{name}' labels={} value={value} ]", to_text(labels))
        })
        .collect();
    parts.join(", ")
}

/// The identity of an alert.
pub(crate) fn alert_id(rule_uid: &str, data_labels: &Labels) -> String {
    let parts = data_labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    format!("{rule_uid}/{:016x}", hash(parts))
}
