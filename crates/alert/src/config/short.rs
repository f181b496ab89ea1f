//! The short form: a rule in six lines.
//!
//! ```yaml
//! rules:
//!   - name: High CPU
//!     query: SELECT 100 - mean(usage_idle) FROM cpu WHERE cpu = 'cpu-total' AND time > now() - 1m GROUP BY host
//!     above: 90
//!     for: 1m
//!     notify: ops
//! contact_points:
//!   - { name: ops, type: discord, url: $DISCORD_WEBHOOK }
//! ```
//!
//! It lowers to three nodes: the query, a reduce of each series (the last value unless `reduce` says otherwise)
//! and a threshold.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Draft, Position, language,
    reader::{Reader, Table},
    timings,
    yaml::Node,
};
use crate::{
    expression::{Evaluator, ReduceMode, Reducer},
    labels::ALERTNAME,
    limits::INTERVAL_MIN,
    rule::{
        ContactPoint, DiscordSettings, ErrorPolicy, GroupBy, Integration, Mentions, NoDataPolicy,
        Node as RuleNode, NodeKind, NotifySettings, QueryNode, Rule, Unit,
    },
    secret::WebhookUrl,
    template::{Scope, Template},
    timing::MuteTimes,
};

/// What a file says for all its rules.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    pub(super) database: Option<String>,
    pub(super) retention_policy: Option<String>,
    /// Grafana's data source uids and what they stand for here.
    pub(super) datasources: BTreeMap<String, (Option<String>, Option<String>)>,
}

impl Defaults {
    pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_>) -> Self {
        let mut datasources = BTreeMap::new();
        if let Some(node) = top.get("datasources")
            && let super::yaml::Value::Mapping(entries) = &node.value
        {
            for entry in entries {
                let keys = ["database", "retention_policy"];
                if let Some(table) = reader.table(&entry.node, "a data source", &keys) {
                    let database = reader.required_text(&table, "database");
                    let policy = reader.text(&table, "retention_policy");
                    datasources.insert(entry.key.clone(), (database, policy));
                }
            }
        } else if let Some(node) = top.get("datasources") {
            reader.problem(
                node.at,
                "\"datasources\" maps data source uids to databases: { uid: { database: telegraf } }",
            );
        }
        Self {
            database: reader.text(top, "database"),
            retention_policy: reader.text(top, "retention_policy"),
            datasources,
        }
    }
}

const RULE_KEYS: &[&str] = &[
    "name",
    "query",
    "above",
    "below",
    "at_least",
    "at_most",
    "equals",
    "not_equals",
    "inside",
    "outside",
    "recover",
    "for",
    "interval",
    "notify",
    "database",
    "retention_policy",
    "reduce",
    "unit",
    "summary",
    "description",
    "severity",
    "labels",
    "annotations",
    "keep_firing_for",
    "no_data",
    "on_error",
    "missing_evaluations",
    "group_by",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "mute_time_intervals",
    "active_time_intervals",
    "paused",
    "uid",
];

const THRESHOLDS: &[&str] =
    &["above", "below", "at_least", "at_most", "equals", "not_equals", "inside", "outside"];

const CONTACT_POINT_KEYS: &[&str] = &[
    "name",
    "type",
    "url",
    "title",
    "message",
    "message_in_embed",
    "username",
    "avatar_url",
    "mention",
    "send_resolved",
];

pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_>, defaults: &Defaults, draft: &mut Draft) {
    for node in reader.items(top, "contact_points") {
        match contact_point(reader, node) {
            Some(point) => draft.add_contact_point(reader, point, node.at),
            None => draft.faulty_points.extend(reader.name_of(node)),
        }
    }
    for node in reader.items(top, "rules") {
        if let Some(rule) = rule(reader, node, defaults) {
            draft.add_rule(reader, rule, node.at);
        }
    }
}

fn rule(reader: &mut Reader<'_>, node: &Node, defaults: &Defaults) -> Option<Rule> {
    let table = reader.table(node, "a rule", RULE_KEYS)?;
    let title = reader.required_text(&table, "name");
    if table.get("query").is_none() {
        reader.problem(table.at, "a rule needs \"query\", an InfluxQL SELECT");
    }
    let query = reader.raw_text(&table, "query").filter(|text| !text.trim().is_empty());
    if let Some(why) = query.as_deref().and_then(language::refuse_flux) {
        reader.problem(table.position("query"), why);
    }
    let evaluator = threshold(reader, &table);
    let recovery = evaluator.and_then(|evaluator| recovery(reader, &table, evaluator));
    let reducer = reducer(reader, &table);
    let interval = interval(reader, &table, "interval").unwrap_or(Duration::from_secs(30));
    let hold = reader.duration(&table, "for").unwrap_or_default();
    let keep_firing = reader.duration(&table, "keep_firing_for").unwrap_or_default();
    let no_data = reader.choice(
        &table,
        "no_data",
        &[
            ("no_data", NoDataPolicy::NoData),
            ("alert", NoDataPolicy::Alerting),
            ("ok", NoDataPolicy::Ok),
            ("keep", NoDataPolicy::KeepLast),
        ],
    );
    let on_error = reader.choice(
        &table,
        "on_error",
        &[
            ("error", ErrorPolicy::Error),
            ("alert", ErrorPolicy::Alerting),
            ("ok", ErrorPolicy::Ok),
            ("keep", ErrorPolicy::KeepLast),
        ],
    );
    let labels = labels(reader, &table);
    let annotations = annotations(reader, &table);
    let notify = notify(reader, &table);
    let missing_evaluations = missing_evaluations(reader, &table, "missing_evaluations");
    let unit = Unit::parse(&reader.text(&table, "unit").unwrap_or_default());
    let database = reader.text(&table, "database").or_else(|| defaults.database.clone());
    let retention_policy =
        reader.text(&table, "retention_policy").or_else(|| defaults.retention_policy.clone());
    let paused = reader.flag(&table, "paused").unwrap_or(false);
    let uid = reader.text(&table, "uid");
    let title = title?;
    let query = QueryNode {
        text: query?,
        database,
        retention_policy,
        datasource: String::new(),
        from: Duration::from_secs(600),
        to: Duration::ZERO,
        step: interval,
    };
    let nodes = vec![
        RuleNode { ref_id: "query".to_owned(), kind: NodeKind::Query(query) },
        RuleNode {
            ref_id: "A".to_owned(),
            kind: NodeKind::Reduce { input: "query".to_owned(), reducer, mode: ReduceMode::DropNonNumbers },
        },
        RuleNode {
            ref_id: "condition".to_owned(),
            kind: NodeKind::Threshold { input: "A".to_owned(), evaluator: evaluator?, recovery },
        },
    ];
    Some(Rule {
        uid: uid.unwrap_or_else(|| slug(&title)),
        title,
        folder: String::new(),
        group: String::new(),
        file: reader.file.to_owned(),
        interval,
        nodes,
        condition: "condition".to_owned(),
        hold,
        keep_firing,
        no_data: no_data.unwrap_or(NoDataPolicy::NoData),
        on_error: on_error.unwrap_or(ErrorPolicy::Error),
        missing_evaluations,
        labels,
        annotations,
        paused,
        notify,
        unit,
        plain_value: true,
    })
}

/// `High CPU (web)` as `high-cpu-web`.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { format!("rule-{:016x}", crate::labels::hash([title])) } else { slug.to_owned() }
}

fn threshold(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<Evaluator> {
    let key = match table.present(THRESHOLDS).as_slice() {
        [key] => *key,
        [] => {
            reader.problem(table.at, format!("a rule needs a threshold, one of {}", THRESHOLDS.join(", ")));
            return None;
        }
        several => {
            reader.problem(
                table.at,
                format!("a rule has one threshold, and this has {}", several.join(" and ")),
            );
            return None;
        }
    };
    if key == "inside" || key == "outside" {
        let bounds: Vec<f64> =
            reader.items(table, key).iter().filter_map(|node| reader.node_number(node, key)).collect();
        return match bounds.as_slice() {
            [low, high] if low < high && key == "inside" => Some(Evaluator::Inside(*low, *high, true)),
            [low, high] if low < high => Some(Evaluator::Outside(*low, *high, false)),
            _ => {
                reader.problem(
                    table.position(key),
                    format!("{key:?} takes two numbers, the lower one first: [10, 90]"),
                );
                None
            }
        };
    }
    let bound = reader.number(table, key)?;
    Some(match key {
        "above" => Evaluator::Above(bound),
        "below" => Evaluator::Below(bound),
        "at_least" => Evaluator::AtLeast(bound),
        "at_most" => Evaluator::AtMost(bound),
        "equals" => Evaluator::Equal(bound),
        _ => Evaluator::NotEqual(bound),
    })
}

/// `recover: 80` beside `above: 90`: what fires goes on firing until the value is 80 or less.
fn recovery(reader: &mut Reader<'_>, table: &Table<'_>, evaluator: Evaluator) -> Option<Evaluator> {
    let level = reader.number(table, "recover")?;
    let wrong = match evaluator {
        Evaluator::Above(bound) | Evaluator::AtLeast(bound) if level <= bound => {
            return Some(Evaluator::AtMost(level));
        }
        Evaluator::Below(bound) | Evaluator::AtMost(bound) if level >= bound => {
            return Some(Evaluator::AtLeast(level));
        }
        Evaluator::Above(_) | Evaluator::AtLeast(_) => "\"recover\" must not be above the threshold",
        Evaluator::Below(_) | Evaluator::AtMost(_) => "\"recover\" must not be below the threshold",
        _ => "\"recover\" goes with above, at_least, below or at_most",
    };
    reader.problem(table.position("recover"), wrong);
    None
}

fn reducer(reader: &mut Reader<'_>, table: &Table<'_>) -> Reducer {
    let Some(name) = reader.text(table, "reduce") else { return Reducer::Last };
    Reducer::parse(&name).unwrap_or_else(|| {
        let allowed = Reducer::NAMES.join(", ");
        reader.problem(
            table.position("reduce"),
            format!("\"reduce\" cannot be {name:?}; allowed are {allowed}"),
        );
        Reducer::Last
    })
}

/// An evaluation interval.
pub(super) fn interval(reader: &mut Reader<'_>, table: &Table<'_>, key: &str) -> Option<Duration> {
    let interval = reader.duration(table, key)?;
    if interval < INTERVAL_MIN {
        reader.problem(table.position(key), format!("{key:?} must be at least 1s"));
        return None;
    }
    Some(interval)
}

/// A count of evaluations; 2 unless given.
pub(super) fn missing_evaluations(reader: &mut Reader<'_>, table: &Table<'_>, key: &str) -> u32 {
    match reader.number(table, key) {
        None => 2,
        Some(number) if (1.0..=1e6).contains(&number) && number.fract() == 0.0 => number as u32,
        Some(_) => {
            reader
                .problem(table.position(key), format!("{key:?} is a whole number of evaluations, 1 or more"));
            2
        }
    }
}

/// Parses a template of a rule, reporting what is wrong with it.
pub(super) fn rule_template(reader: &mut Reader<'_>, text: &str, at: Position) -> Option<Template> {
    Template::parse(text, Scope::Rule).map_err(|error| reader.problem(at, error.to_string())).ok()
}

/// A set of named templates.
pub(super) fn rule_templates(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &str,
    replace: bool,
) -> BTreeMap<String, Template> {
    let pairs = reader.pairs(table, key, replace);
    pairs.into_iter().filter_map(|(name, text, at)| Some((name, rule_template(reader, &text, at)?))).collect()
}

fn labels(reader: &mut Reader<'_>, table: &Table<'_>) -> BTreeMap<String, Template> {
    let mut labels = rule_templates(reader, table, "labels", true);
    if let Some(severity) = reader.text(table, "severity")
        && let Some(template) = rule_template(reader, &severity, table.position("severity"))
    {
        labels.insert("severity".to_owned(), template);
    }
    labels
}

fn annotations(reader: &mut Reader<'_>, table: &Table<'_>) -> BTreeMap<String, Template> {
    let mut annotations = rule_templates(reader, table, "annotations", false);
    for key in ["summary", "description"] {
        if let Some(text) = reader.raw_text(table, key)
            && let Some(template) = rule_template(reader, &text, table.position(key))
        {
            annotations.insert(key.to_owned(), template);
        }
    }
    annotations
}

/// Timing of rules that name their receivers: quick, since one evaluation brings all instances together.
pub(super) fn default_settings(receiver: &str) -> NotifySettings {
    NotifySettings {
        receiver: receiver.to_owned(),
        group_by: GroupBy::Labels(vec![ALERTNAME.to_owned()]),
        group_wait: Duration::from_secs(1),
        group_interval: Duration::from_secs(60),
        repeat_interval: Duration::from_secs(4 * 3_600),
        mute_times: MuteTimes::default(),
    }
}

const TIMING_KEYS: &[&str] = &["group_by", "group_wait", "group_interval", "repeat_interval"];

fn notify(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<NotifySettings> {
    let receivers = reader.texts(table, "notify");
    if receivers.is_empty() {
        for key in table.present(TIMING_KEYS).into_iter().chain(table.present(&timings::REFERENCES)) {
            reader.problem(table.position(key), format!("{key:?} has no effect without \"notify\""));
        }
        return Vec::new();
    }
    let mut settings = default_settings("");
    read_timing(reader, table, &mut settings);
    settings.mute_times = timings::references(reader, table);
    receivers.into_iter().map(|(receiver, _)| NotifySettings { receiver, ..settings.clone() }).collect()
}

/// Reads `group_by`, `group_wait`, `group_interval` and `repeat_interval` over what is in `settings`.
pub(super) fn read_timing(reader: &mut Reader<'_>, table: &Table<'_>, settings: &mut NotifySettings) {
    if table.get("group_by").is_some() {
        let names: Vec<String> = reader.texts(table, "group_by").into_iter().map(|(name, _)| name).collect();
        settings.group_by = if names == ["..."] { GroupBy::All } else { GroupBy::Labels(names) };
    }
    if let Some(wait) = reader.duration(table, "group_wait") {
        settings.group_wait = wait;
    }
    for (key, slot) in
        [("group_interval", &mut settings.group_interval), ("repeat_interval", &mut settings.repeat_interval)]
    {
        match reader.duration(table, key) {
            Some(Duration::ZERO) => reader.problem(table.position(key), format!("{key:?} must not be 0")),
            Some(duration) => *slot = duration,
            None => {}
        }
    }
}

fn contact_point(reader: &mut Reader<'_>, node: &Node) -> Option<ContactPoint> {
    let table = reader.table(node, "a contact point", CONTACT_POINT_KEYS)?;
    let name = reader.required_text(&table, "name");
    let kind = reader.text(&table, "type").unwrap_or_else(|| "discord".to_owned());
    if kind != "discord" {
        reader
            .problem(table.position("type"), format!("type {kind:?} is not supported; supported is discord"));
    }
    let url = webhook(reader, &table, name.as_deref().unwrap_or_default());
    let send_resolved = reader.flag(&table, "send_resolved").unwrap_or(true);
    let title = notice_template(reader, &table, "title");
    let message = notice_template(reader, &table, "message");
    let message_in_embed = reader.flag(&table, "message_in_embed").unwrap_or(false);
    let username = username(reader, &table);
    let avatar_url = picture(reader, &table);
    let mentions = mentions(reader, &table, message.as_ref());
    let name = name?;
    let discord =
        DiscordSettings { url: url?, title, message, message_in_embed, username, avatar_url, mentions };
    Some(ContactPoint { integrations: vec![Integration { id: name.clone(), send_resolved, discord }], name })
}

/// The webhook address of a table; messages about it never hold it.
pub(super) fn webhook(reader: &mut Reader<'_>, table: &Table<'_>, name: &str) -> Option<WebhookUrl> {
    if table.get("url").is_none() {
        let message = format!("contact point {name:?} needs \"url\", the address of its Discord webhook");
        reader.problem(table.at, message);
        return None;
    }
    let text = reader.text(table, "url")?;
    let problem = |error| format!("contact point {name:?}: {error}");
    WebhookUrl::parse(&text).map_err(|error| reader.problem(table.position("url"), problem(error))).ok()
}

/// A template for notices.
pub(super) fn notice_template(reader: &mut Reader<'_>, table: &Table<'_>, key: &str) -> Option<Template> {
    let text = reader.text(table, key)?;
    Template::parse_with(&text, Scope::Notice, &reader.library)
        .map_err(|error| reader.problem(table.position(key), error.to_string()))
        .ok()
}

/// The picture of the sender.
pub(super) fn picture(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<String> {
    let text = reader.text(table, "avatar_url").filter(|text| !text.trim().is_empty())?;
    match reqwest::Url::parse(text.trim()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url.to_string()),
        _ => {
            reader.problem(
                table.position("avatar_url"),
                "\"avatar_url\" must be an http or https address of a picture",
            );
            None
        }
    }
}

fn username(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<String> {
    let Some(name) = reader.text(table, "username") else { return Some("Skywatch".to_owned()) };
    let name = name.trim().to_owned();
    let lower = name.to_lowercase();
    if name.is_empty() {
        return None;
    }
    if name.encode_utf16().count() > 80 || lower.contains("clyde") || lower.contains("discord") {
        let message = "\"username\" has at most 80 characters and may not contain \"clyde\" or \"discord\" (Discord's rules)";
        reader.problem(table.position("username"), message);
        return None;
    }
    Some(name)
}

fn mentions(reader: &mut Reader<'_>, table: &Table<'_>, message: Option<&Template>) -> Mentions {
    let mut words = Vec::new();
    for (text, at) in reader.texts(table, "mention") {
        let found = mentions_in(&text);
        if found == Mentions::default() {
            let message =
                format!("{text:?} is no mention; write <@user id>, <@&role id>, @here or @everyone");
            reader.problem(at, message);
        }
        words.push(text);
    }
    let text = words.join(" ");
    if text.encode_utf16().count() > 500 {
        reader.problem(table.position("mention"), "\"mention\" is longer than 500 characters");
    }
    let pinged = format!("{text} {}", message.map_or("", Template::source));
    Mentions { text, ..mentions_in(&pinged) }
}

/// The mentions that a text of the file names.
pub(super) fn mentions_in(text: &str) -> Mentions {
    let mut mentions =
        Mentions { everyone: text.contains("@everyone") || text.contains("@here"), ..Mentions::default() };
    for piece in text.split("<@").skip(1) {
        let Some((id, _)) = piece.split_once('>') else { continue };
        let (list, id) = match id.strip_prefix('&') {
            Some(id) => (&mut mentions.roles, id),
            None => (&mut mentions.users, id.trim_start_matches('!')),
        };
        let is_id = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
        if is_id && list.len() < 100 && !list.iter().any(|known| known == id) {
            list.push(id.to_owned());
        }
    }
    mentions
}
