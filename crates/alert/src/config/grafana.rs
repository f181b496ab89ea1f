//! Grafana's alerting provisioning files: groups of rules, contact points, notification policies.

use std::time::Duration;

use super::{
    Draft, Position, language, order_nodes,
    reader::{Reader, Table},
    short::{self, Defaults},
    timings, visual,
    yaml::{Node, Value},
};
use crate::{
    expression::{Evaluator, MathExpr, ReduceMode, Reducer},
    rule::{
        ContactPoint, DiscordSettings, ErrorPolicy, GroupBy, Integration, Matcher, NoDataPolicy,
        Node as RuleNode, NodeKind, NotifySettings, QueryNode, Route, Rule, Unit,
    },
};

const GROUP_KEYS: &[&str] = &["orgId", "name", "folder", "interval", "rules"];

const RULE_KEYS: &[&str] = &[
    "uid",
    "title",
    "condition",
    "data",
    "for",
    "keepFiringFor",
    "keep_firing_for",
    "noDataState",
    "execErrState",
    "executionErrorState",
    "missing_series_evals_to_resolve",
    "labels",
    "annotations",
    "isPaused",
    "dashboardUid",
    "dasboardUid",
    "panelId",
    "notification_settings",
    "record",
];

const SETTINGS_KEYS: &[&str] = &[
    "receiver",
    "group_by",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "mute_time_intervals",
    "active_time_intervals",
];

const POLICY_KEYS: &[&str] = &[
    "orgId",
    "receiver",
    "group_by",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "object_matchers",
    "matchers",
    "match",
    "match_re",
    "continue",
    "routes",
    "mute_time_intervals",
    "active_time_intervals",
];

const DISCORD_KEYS: &[&str] =
    &["url", "title", "message", "avatar_url", "use_discord_username", "use_embed_description"];

pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_>, defaults: &Defaults, draft: &mut Draft) {
    for node in reader.items(top, "contactPoints") {
        match contact_point(reader, node) {
            Some(point) => draft.add_contact_point(reader, point, node.at),
            None => draft.faulty_points.extend(reader.name_of(node)),
        }
    }
    for node in reader.items(top, "policies") {
        let Some(root) = policy_root(reader, node) else { continue };
        if draft.config.policy.is_some() {
            reader.problem(node.at, "there is a second tree of policies; put its routes under the first");
        } else {
            draft.add_route(reader, &root, node.at);
            draft.config.policy = Some(root);
        }
    }
    for node in reader.items(top, "groups") {
        group(reader, node, defaults, draft);
    }
}

fn group(reader: &mut Reader<'_>, node: &Node, defaults: &Defaults, draft: &mut Draft) {
    let Some(table) = reader.table(node, "a group of rules", GROUP_KEYS) else { return };
    let name = reader.required_text(&table, "name").unwrap_or_default();
    let folder = reader.required_text(&table, "folder").unwrap_or_default();
    if table.get("interval").is_none() {
        reader.problem(table.at, "a group of rules needs \"interval\"");
    }
    let interval = short::interval(reader, &table, "interval").unwrap_or(Duration::from_secs(60));
    for node in reader.items(&table, "rules") {
        let head = GroupHead { name: &name, folder: &folder, interval };
        if let Some(rule) = rule(reader, node, &head, defaults) {
            draft.add_rule(reader, rule, node.at);
        }
    }
}

struct GroupHead<'a> {
    name: &'a str,
    folder: &'a str,
    interval: Duration,
}

fn rule(reader: &mut Reader<'_>, node: &Node, group: &GroupHead<'_>, defaults: &Defaults) -> Option<Rule> {
    let table = reader.table(node, "a rule", RULE_KEYS)?;
    if table.get("record").is_some() {
        reader.problem(table.position("record"), "recording rules are not supported yet");
        return None;
    }
    let uid = reader.required_text(&table, "uid");
    let title = reader.required_text(&table, "title");
    let condition = reader.required_text(&table, "condition");
    if reader.items(&table, "data").is_empty() {
        reader.problem(table.at, "a rule needs \"data\", a list of queries and expressions");
    }
    let items = reader.items(&table, "data");
    let nodes: Vec<Option<RuleNode>> =
        items.iter().map(|node| data_node(reader, node, group.interval, defaults)).collect();
    let hold = reader.duration(&table, "for").unwrap_or_default();
    let keep_firing = reader
        .duration(&table, "keepFiringFor")
        .or_else(|| reader.duration(&table, "keep_firing_for"))
        .unwrap_or_default();
    let no_data = reader.choice(
        &table,
        "noDataState",
        &[
            ("NoData", NoDataPolicy::NoData),
            ("Alerting", NoDataPolicy::Alerting),
            ("OK", NoDataPolicy::Ok),
            ("Ok", NoDataPolicy::Ok),
            ("KeepLast", NoDataPolicy::KeepLast),
        ],
    );
    let on_error = reader.choice(
        &table,
        "execErrState",
        &[
            ("Error", ErrorPolicy::Error),
            ("Alerting", ErrorPolicy::Alerting),
            ("OK", ErrorPolicy::Ok),
            ("Ok", ErrorPolicy::Ok),
            ("KeepLast", ErrorPolicy::KeepLast),
        ],
    );
    let missing_evaluations = short::missing_evaluations(reader, &table, "missing_series_evals_to_resolve");
    let labels = short::rule_templates(reader, &table, "labels", true);
    let annotations = short::rule_templates(reader, &table, "annotations", false);
    let paused = reader.flag(&table, "isPaused").unwrap_or(false);
    let notify = match table.get("notification_settings") {
        Some(node) => notification_settings(reader, node).into_iter().collect(),
        None => Vec::new(),
    };
    let (uid, title, condition) = (uid?, title?, condition?);
    let nodes: Vec<RuleNode> = nodes.into_iter().collect::<Option<_>>()?;
    let nodes = checked_nodes(nodes, &condition).map_err(|message| reader.problem(table.at, message)).ok()?;
    Some(Rule {
        uid,
        title,
        folder: group.folder.to_owned(),
        group: group.name.to_owned(),
        file: reader.file.to_owned(),
        interval: group.interval,
        nodes,
        condition,
        hold,
        keep_firing,
        no_data: no_data.unwrap_or(NoDataPolicy::NoData),
        // A file without the key means Alerting, unlike the form in Grafana's pages.
        on_error: on_error.unwrap_or(ErrorPolicy::Alerting),
        missing_evaluations,
        labels,
        annotations,
        paused,
        notify,
        unit: Unit::Plain,
        plain_value: false,
    })
}

fn checked_nodes(nodes: Vec<RuleNode>, condition: &str) -> Result<Vec<RuleNode>, String> {
    let names: Vec<&str> = nodes.iter().map(|node| node.ref_id.as_str()).collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            return Err(format!("refId {name:?} is in \"data\" twice"));
        }
    }
    match nodes.iter().find(|node| node.ref_id == condition) {
        None => {
            return Err(format!(
                "\"condition\" names {condition:?}, which is not in \"data\"; there are {}",
                names.join(", ")
            ));
        }
        Some(RuleNode { kind: NodeKind::Query(_), .. }) => {
            return Err(format!(
                "\"condition\" names the query {condition:?}, whose result is a time series; only reduced data can be \
                 alerted on: add a reduce and a threshold expression"
            ));
        }
        Some(_) => {}
    }
    for node in &nodes {
        let query = |name: &str| {
            nodes.iter().any(|node| node.ref_id == name && matches!(node.kind, NodeKind::Query(_)))
        };
        let (wants_numbers, inputs): (bool, Vec<&str>) = match &node.kind {
            NodeKind::Query(_) => (true, Vec::new()),
            NodeKind::Reduce { input, .. } => {
                if nodes.iter().any(|node| node.ref_id == *input) && !query(input) {
                    return Err(format!("{} reduces {input:?}, which is a number already", node.ref_id));
                }
                (false, Vec::new())
            }
            NodeKind::Math(expr) => (true, expr.references()),
            NodeKind::Threshold { input, .. } => (true, vec![input]),
        };
        if let Some(input) = inputs.into_iter().find(|input| wants_numbers && query(input)) {
            return Err(format!(
                "{} reads the query {input:?}, whose result is a time series; put a reduce expression between them",
                node.ref_id
            ));
        }
    }
    order_nodes(nodes)
}

const DATA_KEYS: &[&str] = &["refId", "queryType", "relativeTimeRange", "datasourceUid", "model"];

fn data_node(
    reader: &mut Reader<'_>,
    node: &Node,
    interval: Duration,
    defaults: &Defaults,
) -> Option<RuleNode> {
    let table = reader.table(node, "an entry of \"data\"", DATA_KEYS)?;
    let ref_id = reader.required_text(&table, "refId");
    let datasource = reader.text(&table, "datasourceUid").unwrap_or_default();
    let range = relative_range(reader, &table);
    let Some(model) = table.get("model") else {
        reader.problem(table.at, "an entry of \"data\" needs \"model\"");
        return None;
    };
    let model = reader.open_table(model, "\"model\"")?;
    let kind = if datasource == "__expr__" || datasource == "-100" {
        expression(reader, &model)
    } else {
        query(reader, &model, datasource, range, interval, defaults)
    };
    Some(RuleNode { ref_id: ref_id?, kind: kind? })
}

/// Seconds before the evaluation at which `$timeFilter` begins and ends.
fn relative_range(reader: &mut Reader<'_>, table: &Table<'_>) -> (Duration, Duration) {
    let default = (Duration::from_secs(600), Duration::ZERO);
    let Some(node) = table.get("relativeTimeRange") else { return default };
    let Some(range) = reader.table(node, "\"relativeTimeRange\"", &["from", "to"]) else { return default };
    let mut seconds = |key: &str, default: f64| reader.number(&range, key).unwrap_or(default);
    let (from, to) = (seconds("from", 600.0), seconds("to", 0.0));
    if !(0.0..1e10).contains(&from) || !(0.0..1e10).contains(&to) || (from <= to && (from, to) != (0.0, 0.0))
    {
        reader.problem(
            node.at,
            "\"relativeTimeRange\" is in seconds before now, \"from\" being greater than \"to\"",
        );
        return default;
    }
    (Duration::from_secs_f64(from), Duration::from_secs_f64(to))
}

fn query(
    reader: &mut Reader<'_>,
    model: &Table<'_>,
    datasource: String,
    (from, to): (Duration, Duration),
    interval: Duration,
    defaults: &Defaults,
) -> Option<NodeKind> {
    let text = query_text(reader, model)?;
    let mapped = defaults.datasources.get(&datasource);
    let database = mapped.and_then(|(database, _)| database.clone()).or_else(|| defaults.database.clone());
    let policy = reader.raw_text(model, "policy").filter(|policy| !policy.is_empty() && policy != "default");
    let retention_policy = policy
        .or_else(|| mapped.and_then(|(_, policy)| policy.clone()))
        .or_else(|| defaults.retention_policy.clone());
    let step = match reader.number(model, "intervalMs") {
        Some(millis) if (1.0..1e12).contains(&millis) => Duration::from_millis(millis as u64),
        _ => interval,
    };
    Some(NodeKind::Query(QueryNode { text, database, retention_policy, datasource, from, to, step }))
}

/// What Grafana would ask: the text with `rawQuery`, or else what the visual editor holds; a text that is there beside it is
/// one of before. Data sources in Flux have no editor and say nothing of it.
fn query_text(reader: &mut Reader<'_>, model: &Table<'_>) -> Option<String> {
    let text = reader.raw_text(model, "query").filter(|text| !text.trim().is_empty());
    let is_raw = reader.flag(model, "rawQuery");
    let measurement = reader.raw_text(model, "measurement").filter(|name| !name.is_empty());
    match (text, is_raw, measurement) {
        (Some(text), Some(true), _) | (Some(text), None, None) => match language::refuse_flux(&text) {
            None => Some(text),
            Some(why) => {
                reader.problem(model.position("query"), why);
                None
            }
        },
        (_, _, Some(measurement)) => visual::text(reader, model, &measurement),
        (_, _, None) => {
            let message = "\"model\" needs a query: \"query\", the text in InfluxQL, with \"rawQuery\" true, or \"measurement\" \
                           and \"select\", as the visual editor keeps it";
            reader.problem(model.at, message);
            None
        }
    }
}

fn expression(reader: &mut Reader<'_>, model: &Table<'_>) -> Option<NodeKind> {
    let kind = raw_required(reader, model, "type")?;
    let input = match kind.as_str() {
        "reduce" | "threshold" | "math" => raw_required(reader, model, "expression")?,
        other => {
            let message = format!(
                "expressions of type {other:?} are not supported; supported are reduce, math and threshold"
            );
            reader.problem(model.position("type"), message);
            return None;
        }
    };
    match kind.as_str() {
        "math" => match MathExpr::parse(&input) {
            Ok(expr) => Some(NodeKind::Math(expr)),
            Err(error) => {
                reader.problem(model.position("expression"), error.to_string());
                None
            }
        },
        "reduce" => reduce(reader, model, reference(&input)),
        _ => threshold(reader, model, reference(&input)),
    }
}

/// `A`, `$A` or `${A}`.
fn reference(text: &str) -> String {
    text.trim().trim_start_matches('$').trim_start_matches('{').trim_end_matches('}').to_owned()
}

fn raw_required(reader: &mut Reader<'_>, model: &Table<'_>, key: &str) -> Option<String> {
    if model.get(key).is_none() {
        reader.problem(model.at, format!("this expression needs {key:?}"));
    }
    reader.raw_text(model, key)
}

fn reduce(reader: &mut Reader<'_>, model: &Table<'_>, input: String) -> Option<NodeKind> {
    let name = raw_required(reader, model, "reducer")?;
    let Some(reducer) = Reducer::parse(&name) else {
        let allowed = Reducer::NAMES.join(", ");
        reader.problem(model.position("reducer"), format!("{name:?} is no reducer; allowed are {allowed}"));
        return None;
    };
    let mut mode = ReduceMode::Strict;
    if let Some(settings) = model.get("settings").and_then(|node| reader.open_table(node, "\"settings\"")) {
        mode = match reader.raw_text(&settings, "mode").unwrap_or_default().as_str() {
            "" | "strict" => ReduceMode::Strict,
            "dropNN" => ReduceMode::DropNonNumbers,
            "replaceNN" => {
                let Some(with) = reader.number(&settings, "replaceWithValue") else {
                    reader.problem(settings.at, "mode replaceNN needs \"replaceWithValue\"");
                    return None;
                };
                ReduceMode::ReplaceNonNumbers(with)
            }
            other => {
                let message = format!("mode {other:?} is not known; allowed are \"\", dropNN and replaceNN");
                reader.problem(settings.position("mode"), message);
                return None;
            }
        };
    }
    Some(NodeKind::Reduce { input, reducer, mode })
}

fn threshold(reader: &mut Reader<'_>, model: &Table<'_>, input: String) -> Option<NodeKind> {
    let [condition] = reader.items(model, "conditions") else {
        reader.problem(model.position("conditions"), "a threshold has exactly one entry in \"conditions\"");
        return None;
    };
    let condition = reader.open_table(condition, "a condition")?;
    let Some(node) = condition.get("evaluator") else {
        reader.problem(condition.at, "a condition needs \"evaluator\"");
        return None;
    };
    let evaluator = evaluator(reader, node)?;
    let recovery = match condition.get("unloadEvaluator") {
        Some(node) => Some(self::evaluator(reader, node)?),
        None => None,
    };
    Some(NodeKind::Threshold { input, evaluator, recovery })
}

fn evaluator(reader: &mut Reader<'_>, node: &Node) -> Option<Evaluator> {
    let table = reader.open_table(node, "an evaluator")?;
    let name = raw_required(reader, &table, "type")?;
    let params: Vec<f64> =
        reader.items(&table, "params").iter().filter_map(|node| reader.node_number(node, "params")).collect();
    Evaluator::from_grafana(&name, &params).map_err(|message| reader.problem(table.at, message)).ok()
}

fn notification_settings(reader: &mut Reader<'_>, node: &Node) -> Option<NotifySettings> {
    let table = reader.table(node, "\"notification_settings\"", SETTINGS_KEYS)?;
    let receiver = reader.required_text(&table, "receiver")?;
    let root = Route::root(&receiver);
    let mut settings = NotifySettings {
        receiver,
        group_by: root.group_by,
        group_wait: root.group_wait,
        group_interval: root.group_interval,
        repeat_interval: root.repeat_interval,
        mute_times: timings::references(reader, &table),
    };
    short::read_timing(reader, &table, &mut settings);
    Some(settings)
}

fn policy_root(reader: &mut Reader<'_>, node: &Node) -> Option<Route> {
    let table = reader.table(node, "a policy", POLICY_KEYS)?;
    let receiver = reader.required_text(&table, "receiver")?;
    for key in table.present(&["object_matchers", "matchers", "match", "match_re"]) {
        reader.problem(
            table.position(key),
            format!("the root policy matches everything; {key:?} belongs to a route"),
        );
    }
    for key in table.present(&timings::REFERENCES) {
        reader.problem(
            table.position(key),
            format!("the root policy is never muted, so that nothing is lost by mistake; {key:?} belongs to a route"),
        );
    }
    Some(policy(reader, &table, &Route::root(&receiver)))
}

/// A policy whose missing values are those of `parent`.
fn policy(reader: &mut Reader<'_>, table: &Table<'_>, parent: &Route) -> Route {
    let receiver = reader.text(table, "receiver").unwrap_or_else(|| parent.receiver.clone());
    let mut settings = NotifySettings {
        receiver: receiver.clone(),
        group_by: parent.group_by.clone(),
        group_wait: parent.group_wait,
        group_interval: parent.group_interval,
        repeat_interval: parent.repeat_interval,
        mute_times: timings::references(reader, table),
    };
    short::read_timing(reader, table, &mut settings);
    if settings.group_by == GroupBy::Labels(Vec::new()) && table.get("group_by").is_some() {
        settings.group_by = parent.group_by.clone();
    }
    let mut route = Route {
        receiver,
        matchers: matchers(reader, table),
        go_on: reader.flag(table, "continue").unwrap_or(false),
        group_by: settings.group_by,
        group_wait: settings.group_wait,
        group_interval: settings.group_interval,
        repeat_interval: settings.repeat_interval,
        mute_times: settings.mute_times,
        routes: Vec::new(),
    };
    for node in reader.items(table, "routes") {
        if let Some(child) = reader.table(node, "a policy", POLICY_KEYS) {
            let child = policy(reader, &child, &route);
            route.routes.push(child);
        }
    }
    route
}

fn matchers(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<Matcher> {
    let mut found: Vec<(Result<Matcher, String>, Position)> = Vec::new();
    for node in reader.items(table, "object_matchers") {
        let parts = match &node.value {
            Value::Sequence(parts) => {
                parts.iter().filter_map(|part| reader.node_text(part, "object_matchers")).collect()
            }
            _ => Vec::new(),
        };
        let matcher = match parts.as_slice() {
            [label, operator, value] => Matcher::new(label, operator, value),
            _ => Err("a matcher is a list of three: [label, operator, value]".to_owned()),
        };
        found.push((matcher, node.at));
    }
    for (text, at) in reader.texts(table, "matchers") {
        found.push((prometheus_matcher(&text), at));
    }
    for (key, operator) in [("match", "="), ("match_re", "=~")] {
        for (label, value, at) in reader.pairs(table, key, true) {
            found.push((Matcher::new(&label, operator, &value), at));
        }
    }
    let mut matchers = Vec::new();
    for (matcher, at) in found {
        match matcher {
            Ok(matcher) => matchers.push(matcher),
            Err(message) => reader.problem(at, message),
        }
    }
    matchers
}

/// `severity = "critical"`, `host=~"web-.*"`.
fn prometheus_matcher(text: &str) -> Result<Matcher, String> {
    let wrong = || format!("{text:?} is no matcher; write label = \"value\" with =, !=, =~ or !~");
    let at = text.find(['=', '!']).ok_or_else(wrong)?;
    let (label, rest) = text.split_at(at);
    let operator =
        ["=~", "!=", "!~", "="].into_iter().find(|operator| rest.starts_with(operator)).ok_or_else(wrong)?;
    let value = rest[operator.len()..].trim();
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    if label.trim().is_empty() {
        return Err(wrong());
    }
    Matcher::new(label.trim().trim_matches('"'), operator, value)
}

fn contact_point(reader: &mut Reader<'_>, node: &Node) -> Option<ContactPoint> {
    let table = reader.table(node, "a contact point", &["orgId", "name", "receivers"])?;
    let name = reader.required_text(&table, "name")?;
    let nodes = reader.items(&table, "receivers");
    if nodes.is_empty() {
        reader.problem(table.at, "a contact point needs \"receivers\"");
    }
    let mut integrations: Vec<Integration> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let Some(mut integration) = integration(reader, node, &name) else { continue };
        integration.id = if integration.id.is_empty() {
            format!("{name}/{at}")
        } else {
            format!("{name}/{}", integration.id)
        };
        if integrations.iter().any(|other| other.id == integration.id) {
            reader.problem(node.at, "two receivers of this contact point have the same uid");
        }
        integrations.push(integration);
    }
    (integrations.len() == nodes.len()).then_some(ContactPoint { name, integrations })
}

fn integration(reader: &mut Reader<'_>, node: &Node, point: &str) -> Option<Integration> {
    let table = reader.table(node, "a receiver", &["uid", "type", "settings", "disableResolveMessage"])?;
    let uid = reader.text(&table, "uid").unwrap_or_default();
    let kind = reader.required_text(&table, "type")?;
    let silent_resolve = reader.flag(&table, "disableResolveMessage").unwrap_or(false);
    if kind != "discord" {
        let message = format!("receivers of type {kind:?} are not supported; supported is discord");
        reader.problem(table.position("type"), message);
        return None;
    }
    let Some(settings) = table.get("settings") else {
        reader.problem(table.at, "a receiver needs \"settings\"");
        return None;
    };
    let settings = reader.table(settings, "the settings of a discord receiver", DISCORD_KEYS)?;
    let url = short::webhook(reader, &settings, point);
    let title = short::notice_template(reader, &settings, "title");
    let message = short::notice_template(reader, &settings, "message");
    let own_name = reader.flag(&settings, "use_discord_username").unwrap_or(false);
    let mentions = short::mentions_in(message.as_ref().map_or("", crate::template::Template::source));
    let avatar_url = short::picture(reader, &settings);
    let message_in_embed = reader.flag(&settings, "use_embed_description").unwrap_or(false);
    Some(Integration {
        id: uid,
        send_resolved: !silent_resolve,
        discord: DiscordSettings {
            url: url?,
            title,
            message,
            message_in_embed,
            username: (!own_name).then(|| "Skywatch".to_owned()),
            avatar_url,
            mentions,
        },
    })
}
