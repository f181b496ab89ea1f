//! Rules, the contact point and the policy as Grafana's provisioning has them; Skywatch reads the same file.

use super::{
    FOLDER, SOURCE,
    rules::{self, Bad, Rule},
};
use crate::{
    cloud::{Cloud, Role},
    file::head,
    plan::Plan,
};

/// All rules, evaluated by Grafana.
pub(super) fn of_grafana(plan: &Plan) -> String {
    let what = "Alert rules of Grafana, and whom they go to";
    file(&plan.cloud, what, "", &rules::all(&plan.cloud))
}

/// What data nodes watch: everything; where there is a Grafana, that one, so that nobody is told twice. They know nothing of
/// Grafana's data sources and are told the database that these would name.
pub(super) fn of_data_nodes(plan: &Plan) -> String {
    let cloud = &plan.cloud;
    let database = format!("database: {}\n", quoted(&cloud.agents.database));
    match cloud.with(Role::Grafana).next() {
        Some(grafana) => {
            let what = "Alert rules of the data nodes: Grafana watches the rest, and they watch Grafana";
            file(cloud, what, &database, &[rules::silent_host(&grafana.name)])
        }
        None => {
            let what = "Alert rules of the data nodes; one of them evaluates";
            file(cloud, what, &database, &rules::all(cloud))
        }
    }
}

/// `for_all` is what its reader is told of all rules together.
fn file(cloud: &Cloud, what: &str, for_all: &str, rules: &[Rule]) -> String {
    let mut text = format!(
        "{head}
apiVersion: 1
{for_all}groups:
  - orgId: 1
    name: {cloud}
    folder: {FOLDER}
    interval: 1m
    rules:
",
        head = head("#", &cloud.name, what),
        cloud = cloud.name,
    );
    for rule in rules {
        text += &one(rule);
    }
    if let Some(webhook) = &cloud.alerts.discord_webhook {
        text += &discord(webhook);
    }
    text
}

fn one(rule: &Rule) -> String {
    let Rule { uid, title, query, seconds, bad, than, hold, severity, summary } = rule;
    let (kind, params) = match bad {
        Bad::Above => ("gt", than.to_string()),
        Bad::Below => ("lt", than.to_string()),
        // What Grafana has been able to compare for longer than whether two numbers are equal.
        Bad::At => ("within_range", format!("{}, {}", than - 0.5, than + 0.5)),
    };
    format!(
        "      - uid: {uid}
        title: {title}
        condition: C
        for: {hold}
        noDataState: OK
        execErrState: Error
        labels:
          severity: {severity}
        annotations:
          summary: {summary}
        data:
          - refId: A
            relativeTimeRange: {{ from: {seconds}, to: 0 }}
            datasourceUid: {SOURCE}
            model:
              refId: A
              rawQuery: true
              resultFormat: time_series
              intervalMs: 10000
              query: {query}
          - refId: B
            datasourceUid: __expr__
            model: {{ refId: B, type: reduce, expression: A, reducer: last, settings: {{ mode: dropNN }} }}
          - refId: C
            datasourceUid: __expr__
            model:
              refId: C
              type: threshold
              expression: B
              conditions:
                - evaluator: {{ type: {kind}, params: [{params}] }}
",
        summary = quoted(summary),
        query = quoted(query),
    )
}

fn discord(webhook: &str) -> String {
    format!(
        "contactPoints:
  - orgId: 1
    name: discord
    receivers:
      - uid: skywatch-discord
        type: discord
        settings:
          url: {}
policies:
  - orgId: 1
    receiver: discord
    group_by: [grafana_folder, alertname]
    group_wait: 30s
    group_interval: 5m
    repeat_interval: 4h
    routes:
      - object_matchers: [[severity, \"=\", critical]]
        group_wait: 10s
        group_interval: 1m
        repeat_interval: 1h
",
        quoted(webhook)
    )
}

/// A text in YAML, in single quotes, where nothing but the quote has a meaning.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
