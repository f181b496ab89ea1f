//! Rules files: Grafana's alerting provisioning YAML and Skywatch's short form, both lowered to [`AlertConfig`].
//!
//! A file may hold either or both. Everything wrong in a file is reported at once, with file, line and column;
//! unknown keys are errors. What is secret (webhook addresses) never becomes part of a message.

mod grafana;
mod interpolate;
mod language;
mod reader;
mod short;
mod templates;
mod timings;
mod visual;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use interpolate::{Environment, ProcessEnvironment};
pub use yaml::Position;

use crate::{
    labels::hash,
    limits::{FILE_BYTES_MAX, RULES_MAX},
    rule::{AlertConfig, ContactPoint, NodeKind, Route, Rule},
    timing::{MuteTimes, MuteTiming},
};
use reader::Reader;

/// One thing that is wrong in a rules file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File, as it was named by the user.
    pub file: String,
    /// Where in the file, if that is known.
    pub at: Option<Position>,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong in a set of rules files; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// In the order of the files and lines.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    fn one(file: &str, message: String) -> Self {
        Self { problems: vec![Problem { file: file.to_owned(), at: None, message }] }
    }
}

/// The texts of the rules files, as read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    files: Vec<(String, String)>,
}

impl Sources {
    /// Reads a file, or all `.yaml`, `.yml` and `.json` files of a directory (not of those below), by name.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut paths: Vec<PathBuf> = Vec::new();
        let cannot = |path: &Path, error: &std::io::Error| {
            ConfigError::one(&path.display().to_string(), format!("cannot be read: {error}"))
        };
        if path.is_dir() {
            for entry in fs::read_dir(path).map_err(|error| cannot(path, &error))? {
                let file = entry.map_err(|error| cannot(path, &error))?.path();
                let known = file
                    .extension()
                    .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
                if known && file.is_file() {
                    paths.push(file);
                }
            }
            paths.sort();
        } else {
            paths.push(path.to_owned());
        }
        let mut files = Vec::new();
        for path in paths {
            let size = fs::metadata(&path).map_err(|error| cannot(&path, &error))?.len();
            if size > FILE_BYTES_MAX {
                let name = path.display().to_string();
                return Err(ConfigError::one(
                    &name,
                    format!("has {size} bytes; at most {FILE_BYTES_MAX} are read"),
                ));
            }
            let text = fs::read_to_string(&path).map_err(|error| cannot(&path, &error))?;
            files.push((path.display().to_string(), text));
        }
        Ok(Self { files })
    }

    /// Takes texts that are at hand, with the names to call them in messages.
    pub fn from_texts<N: Into<String>, T: Into<String>>(files: impl IntoIterator<Item = (N, T)>) -> Self {
        Self { files: files.into_iter().map(|(name, text)| (name.into(), text.into())).collect() }
    }

    /// A hash of names and texts, and of the files that these take values from, to notice changes.
    pub fn fingerprint(&self, environment: &dyn Environment) -> u64 {
        let named = self.files.iter().flat_map(|(_, text)| interpolate::files_in(text));
        let values: Vec<String> = named.map(|path| environment.file(path).unwrap_or_default()).collect();
        let texts = self.files.iter().flat_map(|(name, text)| [name.as_str(), text.as_str()]);
        hash(texts.chain(values.iter().map(String::as_str)))
    }

    /// Parses and checks everything.
    pub fn parse<'a>(&'a self, environment: &'a dyn Environment) -> Result<AlertConfig, ConfigError> {
        let mut draft = Draft::default();
        let mut problems = Vec::new();
        let parse = |(name, text): &'a (String, String)| {
            let mut reader = Reader::new(name, environment);
            let root = yaml::parse(text).map_err(|error| reader.problem(error.at, error.message)).ok();
            (reader, root)
        };
        let mut files: Vec<_> = self.files.iter().map(parse).collect();
        // Before the rest, since contact points of any file may include them.
        let library = templates::library(&mut files);
        for (mut reader, root) in files {
            reader.library = Arc::clone(&library);
            if let Some(root) = root {
                read_file(&mut reader, &root, &mut draft);
            }
            problems.append(&mut reader.problems);
            draft.config.warnings.append(&mut reader.warnings);
        }
        draft.finish(&mut problems);
        if problems.is_empty() { Ok(draft.config) } else { Err(ConfigError { problems }) }
    }
}

/// What has been read so far, with the positions that checks across files report.
#[derive(Debug, Default)]
struct Draft {
    config: AlertConfig,
    /// File and position of each rule, in step with `config.rules`.
    rule_places: Vec<(String, Position)>,
    /// Receivers that are named somewhere, and where.
    receivers: Vec<(String, String, Position)>,
    /// So too of mute timings.
    mute_times: Vec<(MuteTimes, String, Position)>,
    /// Contact points that are there and wrong: that is told once, and not of every rule that names them.
    faulty_points: Vec<String>,
}

/// Keys at the top of a file.
const TOP_KEYS: &[&str] = &[
    "rules",
    "contact_points",
    "database",
    "retention_policy",
    "datasources",
    "groups",
    "contactPoints",
    "policies",
    "apiVersion",
    "deleteRules",
    "deleteContactPoints",
    "resetPolicies",
    "muteTimes",
    "deleteMuteTimes",
    "templates",
    "deleteTemplates",
];

/// Keys that remove what is not in the files; the files being all there is, they have nothing to do here.
const NO_EFFECT: &[&str] =
    &["deleteRules", "deleteContactPoints", "resetPolicies", "deleteMuteTimes", "deleteTemplates"];

fn read_file(reader: &mut Reader<'_>, root: &yaml::Node, draft: &mut Draft) {
    let Some(top) = reader.table(root, "a rules file", TOP_KEYS) else { return };
    for key in NO_EFFECT {
        if !reader.items(&top, key).is_empty() {
            let file = reader.file;
            reader
                .warnings
                .push(format!("{file}: {key} has no effect: what is not in the files is not there"));
        }
    }
    let defaults = short::Defaults::read(reader, &top);
    timings::read(reader, &top, draft);
    short::read(reader, &top, &defaults, draft);
    grafana::read(reader, &top, &defaults, draft);
}

impl Draft {
    fn add_rule(&mut self, reader: &mut Reader<'_>, rule: Rule, at: Position) {
        if self.config.rules.len() >= RULES_MAX {
            reader.problem(at, format!("there are more than {RULES_MAX} rules"));
            return;
        }
        for settings in &rule.notify {
            self.receivers.push((settings.receiver.clone(), rule.file.clone(), at));
            self.mute_times.push((settings.mute_times.clone(), rule.file.clone(), at));
        }
        self.rule_places.push((rule.file.clone(), at));
        self.config.rules.push(rule);
    }

    fn add_contact_point(&mut self, reader: &mut Reader<'_>, point: ContactPoint, at: Position) {
        if self.config.contact_point(&point.name).is_some() {
            reader
                .problem(at, format!("a second contact point is named {:?}; names must differ", point.name));
        } else {
            self.config.contact_points.push(point);
        }
    }

    fn add_mute_timing(&mut self, reader: &mut Reader<'_>, timing: MuteTiming, at: Position) {
        if self.config.mute_timings.iter().any(|known| known.name == timing.name) {
            reader.problem(at, format!("a second mute timing is named {:?}; names must differ", timing.name));
        } else {
            self.config.mute_timings.push(timing);
        }
    }

    fn add_route(&mut self, reader: &Reader<'_>, route: &Route, at: Position) {
        self.receivers.push((route.receiver.clone(), reader.file.to_owned(), at));
        self.mute_times.push((route.mute_times.clone(), reader.file.to_owned(), at));
        for child in &route.routes {
            self.add_route(reader, child, at);
        }
    }

    /// Checks that need all files.
    fn finish(&mut self, problems: &mut Vec<Problem>) {
        let named = |what: &str, names: &[&str], wanted: &str, file: &str, at: Position| {
            if names.contains(&wanted) {
                return None;
            }
            let known = if names.is_empty() {
                "none is defined".to_owned()
            } else {
                format!("there are {}", names.join(", "))
            };
            let message = format!("no {what} is named {wanted:?}; {known}");
            Some(Problem { file: file.to_owned(), at: Some(at), message })
        };
        let points: Vec<&str> = self.config.contact_points.iter().map(|point| point.name.as_str()).collect();
        for (receiver, file, at) in &self.receivers {
            if self.faulty_points.contains(receiver) {
                continue;
            }
            problems.extend(named("contact point", &points, receiver, file, *at));
        }
        let timings: Vec<&str> = self.config.mute_timings.iter().map(|timing| timing.name.as_str()).collect();
        for (MuteTimes { mute, active }, file, at) in &self.mute_times {
            let names = mute.iter().chain(active);
            problems.extend(names.filter_map(|name| named("mute timing", &timings, name, file, *at)));
        }
        let mut uids: BTreeMap<&str, usize> = BTreeMap::new();
        let mut titles: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (at, (rule, (file, place))) in self.config.rules.iter().zip(&self.rule_places).enumerate() {
            let problem = |message: String| Problem { file: file.clone(), at: Some(*place), message };
            if let Some(first) = uids.insert(&rule.uid, at) {
                let other = &self.config.rules[first];
                problems.push(problem(format!(
                    "rule {:?} has the uid {:?}, which rule {:?} has already; give it another one",
                    rule.title, rule.uid, other.title
                )));
            } else if !titles.insert((&rule.folder, &rule.title)) {
                problems
                    .push(problem(format!("a second rule is called {:?}; names must differ", rule.title)));
            }
        }
        self.default_policy(problems);
    }

    /// Without policies, the only contact point gets everything that names no receiver.
    fn default_policy(&mut self, problems: &mut Vec<Problem>) {
        if self.config.policy.is_some() {
            return;
        }
        match self.config.contact_points.as_slice() {
            [] => {}
            [only] => {
                let mut root = Route::root(&only.name);
                let settings = short::default_settings(&only.name);
                root.group_wait = settings.group_wait;
                root.group_interval = settings.group_interval;
                root.group_by = settings.group_by;
                self.config.policy = Some(root);
            }
            several => {
                let names: Vec<&str> = several.iter().map(|point| point.name.as_str()).collect();
                for (rule, (file, place)) in self.config.rules.iter().zip(&self.rule_places) {
                    if rule.notify.is_empty() {
                        problems.push(Problem {
                            file: file.clone(),
                            at: Some(*place),
                            message: format!(
                                "rule {:?} does not say whom to notify, and there are several contact points ({}) but no policies",
                                rule.title,
                                names.join(", ")
                            ),
                        });
                    }
                }
            }
        }
    }
}

/// Puts nodes in an order in which each comes after those it reads; reports what is missing or circular.
fn order_nodes(nodes: Vec<crate::rule::Node>) -> Result<Vec<crate::rule::Node>, String> {
    let names: Vec<String> = nodes.iter().map(|node| node.ref_id.clone()).collect();
    let mut waiting = nodes;
    let mut ordered: Vec<crate::rule::Node> = Vec::new();
    for node in &waiting {
        for input in inputs(&node.kind) {
            if !names.iter().any(|name| name == input) {
                return Err(format!(
                    "{} reads {input:?}, which is not there; there are {}",
                    node.ref_id,
                    names.join(", ")
                ));
            }
        }
    }
    while !waiting.is_empty() {
        let ready = |node: &crate::rule::Node| {
            inputs(&node.kind).iter().all(|input| ordered.iter().any(|done| done.ref_id == **input))
        };
        let Some(at) = waiting.iter().position(ready) else {
            let circle: Vec<&str> = waiting.iter().map(|node| node.ref_id.as_str()).collect();
            return Err(format!("{} read each other in a circle", circle.join(", ")));
        };
        ordered.push(waiting.remove(at));
    }
    Ok(ordered)
}

fn inputs(kind: &NodeKind) -> Vec<&str> {
    match kind {
        NodeKind::Query(_) => Vec::new(),
        NodeKind::Reduce { input, .. } | NodeKind::Threshold { input, .. } => vec![input],
        NodeKind::Math(expr) => expr.references(),
    }
}

#[cfg(test)]
mod tests;
