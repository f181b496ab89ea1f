//! The one internal form of rules, contact points and policies; both file formats lower to it.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    expression::{Evaluator, MathExpr, ReduceMode, Reducer},
    labels::{Labels, hash},
    secret::WebhookUrl,
    template::{self, Template},
    timing::{MuteTimes, MuteTiming},
};

/// Everything a set of rules files says.
#[derive(Debug, Clone, Default)]
pub struct AlertConfig {
    /// Rules in the order of the files; uids are unique.
    pub rules: Vec<Rule>,
    /// Contact points; names are unique.
    pub contact_points: Vec<ContactPoint>,
    /// The tree of notification policies; `None` when there is no contact point to notify.
    pub policy: Option<Route>,
    /// Mute timings; names are unique.
    pub mute_timings: Vec<MuteTiming>,
    /// What was read but has no effect, for the log and the console.
    pub warnings: Vec<String>,
}

impl AlertConfig {
    /// The contact point of that name.
    pub fn contact_point(&self, name: &str) -> Option<&ContactPoint> {
        self.contact_points.iter().find(|point| point.name == name)
    }
}

/// One alert rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Identity across edits and restarts.
    pub uid: String,
    /// What people call it; the label `alertname`.
    pub title: String,
    /// Folder, as Grafana calls it; empty in the short form.
    pub folder: String,
    /// Group of rules that share an interval.
    pub group: String,
    /// File it comes from.
    pub file: String,
    /// Time between evaluations.
    pub interval: Duration,
    /// Queries and expressions, each before those that use it.
    pub nodes: Vec<Node>,
    /// The node whose result decides.
    pub condition: String,
    /// How long the condition must hold before it fires.
    pub hold: Duration,
    /// How long a firing instance goes on firing after the condition has ended.
    pub keep_firing: Duration,
    /// What to do when the query returns nothing.
    pub no_data: NoDataPolicy,
    /// What to do when the query fails.
    pub on_error: ErrorPolicy,
    /// Evaluations a series may be missing before its instance resolves.
    pub missing_evaluations: u32,
    /// Labels added to those of the data.
    pub labels: BTreeMap<String, Template>,
    /// Texts for people.
    pub annotations: BTreeMap<String, Template>,
    /// Not evaluated.
    pub paused: bool,
    /// Receivers of its own; empty means that the policies decide.
    pub notify: Vec<NotifySettings>,
    /// How to write its value.
    pub unit: Unit,
    /// Whether `$value` is a plain number (short form) or lists all values (Grafana).
    pub plain_value: bool,
}

impl Rule {
    /// The node with that refId.
    pub fn node(&self, ref_id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.ref_id == ref_id)
    }

    /// The first query, for messages about data that is missing.
    pub fn first_query(&self) -> Option<(&str, &QueryNode)> {
        self.nodes.iter().find_map(|node| match &node.kind {
            NodeKind::Query(query) => Some((node.ref_id.as_str(), query)),
            _ => None,
        })
    }

    /// The node whose numbers people want to see: what the threshold of the condition looks at.
    pub fn shown_node(&self) -> &str {
        match self.node(&self.condition).map(|node| &node.kind) {
            Some(NodeKind::Threshold { input, .. }) => input,
            Some(NodeKind::Math(expr)) => expr.first_reference().unwrap_or(&self.condition),
            _ => &self.condition,
        }
    }

    /// `above 90 %`: when the rule fires, in words; empty when that cannot be said.
    pub fn condition_text(&self) -> String {
        match self.node(&self.condition).map(|node| &node.kind) {
            Some(NodeKind::Threshold { evaluator, .. }) => evaluator.to_text(&|value| self.unit.write(value)),
            Some(NodeKind::Math(expr)) => expr.source().to_owned(),
            _ => String::new(),
        }
    }

    /// A hash of all that decides about states. Rules that differ in texts alone (annotations, unit, interval,
    /// receivers) have the same, so that mending a text does not resolve what fires.
    pub fn fingerprint(&self) -> u64 {
        let mut nodes = self.nodes.clone();
        for node in &mut nodes {
            if let NodeKind::Query(query) = &mut node.kind {
                query.step = Duration::ZERO;
            }
        }
        let labels: String =
            self.labels.iter().map(|(name, value)| format!("{name}={:?};", value.source())).collect();
        hash([
            self.title.as_str(),
            &self.folder,
            &format!("{nodes:?}"),
            &self.condition,
            &format!("{:?} {:?}", self.hold, self.keep_firing),
            &format!("{:?} {:?} {}", self.no_data, self.on_error, self.missing_evaluations),
            &labels,
        ])
    }
}

/// One query or expression of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name in the rule: A, B ...
    pub ref_id: String,
    /// What it does.
    pub kind: NodeKind,
}

/// What a node does.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// Asks the store.
    Query(QueryNode),
    /// Series to numbers.
    Reduce {
        /// Node it reads.
        input: String,
        /// How.
        reducer: Reducer,
        /// What to do with nulls.
        mode: ReduceMode,
    },
    /// Arithmetic over numbers.
    Math(MathExpr),
    /// Numbers to 0 or 1.
    Threshold {
        /// Node it reads.
        input: String,
        /// When it is 1.
        evaluator: Evaluator,
        /// When an instance that fires goes back to 0; `None`: as soon as `evaluator` does not hold.
        recovery: Option<Evaluator>,
    },
}

/// An InfluxQL query of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryNode {
    /// Text, before macros are replaced.
    pub text: String,
    /// Database; `None` means the engine's default.
    pub database: Option<String>,
    /// Retention policy; `None` means the database's default.
    pub retention_policy: Option<String>,
    /// Data source named in a Grafana file; empty in the short form.
    pub datasource: String,
    /// `$timeFilter` begins this long before the evaluation ...
    pub from: Duration,
    /// ... and ends this long before it.
    pub to: Duration,
    /// What `$__interval` stands for.
    pub step: Duration,
}

/// What to do when the query returns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDataPolicy {
    /// An alert of its own kind.
    NoData,
    /// As if the condition held.
    Alerting,
    /// As if it did not.
    Ok,
    /// States stay.
    KeepLast,
}

/// What to do when the query fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// An alert of its own kind.
    Error,
    /// As if the condition held.
    Alerting,
    /// As if it did not.
    Ok,
    /// States stay.
    KeepLast,
}

/// How a value is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Unit {
    /// A number.
    #[default]
    Plain,
    /// Percent, 0 to 100.
    Percent,
    /// Bytes, with binary prefixes.
    Bytes,
    /// Seconds, as a duration.
    Seconds,
    /// Any other: written after the number.
    Other(String),
}

impl Unit {
    /// Reads a unit as rules files name it.
    pub fn parse(text: &str) -> Self {
        match text.trim() {
            "" => Self::Plain,
            "%" | "percent" => Self::Percent,
            "bytes" | "B" => Self::Bytes,
            "s" | "seconds" => Self::Seconds,
            other => Self::Other(other.to_owned()),
        }
    }

    /// A value with its unit: `97.3 %`, `1.5 GiB`, `2m 5s`.
    pub fn write(&self, value: f64) -> String {
        if !value.is_finite() {
            return template::format_number(value);
        }
        match self {
            Self::Plain => round(value),
            Self::Percent => format!("{} %", round(value)),
            Self::Bytes => {
                let text = template::humanize_1024(value);
                let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                match &text[digits.len()..] {
                    "" => format!("{digits} B"),
                    // humanize writes `ki` as Prometheus does; the standard says `Ki`.
                    "ki" => format!("{digits} KiB"),
                    prefix => format!("{digits} {prefix}B"),
                }
            }
            Self::Seconds if value.abs() >= 1.0 && value.abs() < 1e10 => {
                let sign = if value < 0.0 { "-" } else { "" };
                let text = if value.abs() < 10.0 {
                    format!("{}s", round(value.abs()))
                } else {
                    crate::time::human_duration(Duration::from_secs_f64(value.abs().round()))
                };
                format!("{sign}{text}")
            }
            Self::Seconds => format!("{}s", template::humanize(value)),
            Self::Other(unit) => format!("{} {unit}", round(value)),
        }
    }
}

/// At most two decimals for everyday sizes, four significant digits below one.
fn round(value: f64) -> String {
    if value.abs() >= 1e15 {
        return template::format_number(value);
    }
    if value != 0.0 && value.abs() < 1.0 {
        let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
        let text = format!("{value:.digits$}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A rule's own receiver and timing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySettings {
    /// Contact point.
    pub receiver: String,
    /// Labels that make a group.
    pub group_by: GroupBy,
    /// Wait before the first notice of a group.
    pub group_wait: Duration,
    /// Least time between notices of a group.
    pub group_interval: Duration,
    /// After this long without a change, what still fires is told again.
    pub repeat_interval: Duration,
    /// When nothing is told.
    pub mute_times: MuteTimes,
}

/// Which labels make a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// Those named.
    Labels(Vec<String>),
    /// `["..."]`: every alert by itself.
    All,
}

impl GroupBy {
    /// The labels that name the group of an alert.
    pub fn key(&self, labels: &Labels) -> Labels {
        match self {
            Self::All => labels.clone(),
            Self::Labels(names) => names
                .iter()
                .filter_map(|name| labels.get(name).map(|value| (name.clone(), value.clone())))
                .collect(),
        }
    }
}

/// Where notices go.
#[derive(Debug, Clone)]
pub struct ContactPoint {
    /// Name that rules and policies use.
    pub name: String,
    /// One or more ways to reach it.
    pub integrations: Vec<Integration>,
}

/// One way to reach a contact point. Discord is the only kind so far.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Identity across restarts: the contact point's name and the receiver's uid or position.
    pub id: String,
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// How it is sent.
    pub discord: DiscordSettings,
}

/// Settings of a Discord webhook.
#[derive(Debug, Clone)]
pub struct DiscordSettings {
    /// The webhook.
    pub url: WebhookUrl,
    /// Title of the message; `None` means Skywatch's own design.
    pub title: Option<Template>,
    /// Text of the message; `None` means Skywatch's own design.
    pub message: Option<Template>,
    /// Whether `message` goes into the embed rather than above it.
    pub message_in_embed: bool,
    /// Name shown as the sender; `None` leaves the webhook's own.
    pub username: Option<String>,
    /// Picture shown for the sender.
    pub avatar_url: Option<String>,
    /// Whom messages may ping.
    pub mentions: Mentions,
}

/// Whom messages may ping: exactly those that the file names, never what a label happens to contain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Put at the head of messages about firing alerts.
    pub text: String,
    /// User ids.
    pub users: Vec<String>,
    /// Role ids.
    pub roles: Vec<String>,
    /// Whether @everyone and @here ping.
    pub everyone: bool,
}

/// A node of the tree of notification policies.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Contact point.
    pub receiver: String,
    /// All must match; the root has none.
    pub matchers: Vec<Matcher>,
    /// Whether later siblings are tried too.
    pub go_on: bool,
    /// Labels that make a group.
    pub group_by: GroupBy,
    /// Wait before the first notice of a group.
    pub group_wait: Duration,
    /// Least time between notices of a group.
    pub group_interval: Duration,
    /// After this long without a change, what still fires is told again.
    pub repeat_interval: Duration,
    /// When nothing is told of what ends here; more specific policies have their own.
    pub mute_times: MuteTimes,
    /// More specific policies.
    pub routes: Vec<Route>,
}

impl Route {
    /// A root with Grafana's defaults.
    pub fn root(receiver: &str) -> Self {
        Self {
            receiver: receiver.to_owned(),
            matchers: Vec::new(),
            go_on: false,
            group_by: GroupBy::Labels(vec![
                crate::labels::FOLDER.to_owned(),
                crate::labels::ALERTNAME.to_owned(),
            ]),
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_secs(4 * 3_600),
            mute_times: MuteTimes::default(),
            routes: Vec::new(),
        }
    }
}

/// A condition on one label.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Label; absent means the empty value.
    pub label: String,
    /// Whether the match is negated.
    pub negated: bool,
    /// What it is compared with.
    pub pattern: MatchPattern,
}

/// What a label is compared with.
#[derive(Debug, Clone)]
pub enum MatchPattern {
    /// This value.
    Exact(String),
    /// The whole value matches (anchored at both ends).
    Regex(regex::Regex),
}

impl Matcher {
    /// Builds a matcher from a label, one of `= != =~ !~` and a value.
    pub fn new(label: &str, operator: &str, value: &str) -> Result<Self, String> {
        let pattern = match operator {
            "=" | "!=" => MatchPattern::Exact(value.to_owned()),
            "=~" | "!~" => MatchPattern::Regex(
                regex::RegexBuilder::new(&format!("^(?:{value})$"))
                    .size_limit(1 << 20)
                    .build()
                    .map_err(|error| format!("{value:?} is no regular expression: {error}"))?,
            ),
            other => return Err(format!("{other:?} is no operator of a matcher; write =, !=, =~ or !~")),
        };
        Ok(Self { label: label.to_owned(), negated: operator.starts_with('!'), pattern })
    }

    /// Whether an alert with these labels matches.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.label).map_or("", String::as_str);
        let hit = match &self.pattern {
            MatchPattern::Exact(wanted) => wanted == value,
            MatchPattern::Regex(pattern) => pattern.is_match(value),
        };
        hit != self.negated
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let negated = if self.negated { "!" } else { "" };
        match &self.pattern {
            MatchPattern::Exact(value) => {
                write!(f, "{}{}={value:?}", self.label, negated)
            }
            MatchPattern::Regex(pattern) => {
                let operator = if self.negated { "!~" } else { "=~" };
                write!(f, "{}{operator}{:?}", self.label, pattern.as_str())
            }
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_their_units() {
        for (unit, value, text) in [
            ("", 97.3, "97.3"),
            ("", 1_234_567.0, "1234567"),
            ("", 0.012_345_6, "0.01235"),
            ("", 0.0, "0"),
            ("", f64::NAN, "NaN"),
            ("percent", 97.345, "97.34 %"),
            ("bytes", 1_610_612_736.0, "1.5 GiB"),
            ("bytes", 2048.0, "2 KiB"),
            ("bytes", 12.0, "12 B"),
            ("seconds", 125.0, "2m 5s"),
            ("seconds", 1.5, "1.5s"),
            ("seconds", 0.02, "20ms"),
            ("req/s", 12.0, "12 req/s"),
        ] {
            assert_eq!(Unit::parse(unit).write(value), text, "{value} {unit}");
        }
    }

    #[test]
    fn matchers_are_anchored_and_absent_labels_are_empty() {
        let labels: Labels = [("host".to_owned(), "web-1".to_owned())].into();
        for (label, operator, value, expected) in [
            ("host", "=", "web-1", true),
            ("host", "!=", "web-1", false),
            ("host", "=~", "web-.*", true),
            ("host", "=~", "eb-1", false),
            ("host", "!~", "db.*|web-2", true),
            ("rack", "=", "", true),
            ("rack", "=~", ".+", false),
        ] {
            let matcher = Matcher::new(label, operator, value).unwrap();
            assert_eq!(matcher.matches(&labels), expected, "{matcher}");
        }
        assert!(Matcher::new("a", "==", "b").is_err());
        assert!(Matcher::new("a", "=~", "(").is_err());
    }
}
