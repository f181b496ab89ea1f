//! Typed access to a YAML tree that collects problems instead of stopping at the first.

use std::{sync::Arc, time::Duration};

use super::{
    Environment, Position, Problem,
    interpolate::interpolate,
    yaml::{Entry, Node, Value},
};
use crate::{template::Library, time::parse_duration};

/// Reads one file.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    environment: &'a dyn Environment,
    /// What templates of notices may include.
    pub(super) library: Arc<Library>,
}

/// A mapping whose keys have been checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'n> {
    pub(super) at: Position,
    what: &'static str,
    entries: &'n [Entry],
}

impl<'n> Table<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
            .filter(|node| !node.is_null())
    }

    /// Where the value of a key stands, or else the mapping.
    pub(super) fn position(&self, key: &str) -> Position {
        self.get(key).map_or(self.at, |node| node.at)
    }

    /// The keys of `keys` that are there.
    pub(super) fn present(&self, keys: &[&'static str]) -> Vec<&'static str> {
        keys.iter().copied().filter(|key| self.get(key).is_some()).collect()
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, environment: &'a dyn Environment) -> Self {
        let library = Library::built_in();
        Self { file, problems: Vec::new(), warnings: Vec::new(), environment, library }
    }

    pub(super) fn problem(&mut self, at: Position, message: impl Into<String>) {
        self.problems.push(Problem { file: self.file.to_owned(), at: Some(at), message: message.into() });
    }

    /// A mapping; unknown keys are reported with those that are allowed.
    pub(super) fn table<'n>(
        &mut self,
        node: &'n Node,
        what: &'static str,
        allowed: &[&str],
    ) -> Option<Table<'n>> {
        let table = self.open_table(node, what)?;
        for entry in table.entries {
            if !allowed.contains(&entry.key.as_str()) {
                let hint = match nearest(&entry.key, allowed) {
                    Some(near) => format!("did you mean {near:?}? Allowed are {}", allowed.join(", ")),
                    None => format!("allowed are {}", allowed.join(", ")),
                };
                self.problem(entry.key_at, format!("unknown key {:?} in {what}; {hint}", entry.key));
            }
        }
        Some(table)
    }

    /// A mapping with any keys.
    pub(super) fn open_table<'n>(&mut self, node: &'n Node, what: &'static str) -> Option<Table<'n>> {
        match &node.value {
            Value::Mapping(entries) => Some(Table { at: node.at, what, entries }),
            _ => {
                self.problem(node.at, format!("{what} is a set of keys, and here is {}", node.kind()));
                None
            }
        }
    }

    /// A text with variables replaced.
    pub(super) fn text(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        let at = table.position(key);
        let raw = self.raw_text(table, key)?;
        self.replace(&raw, key, at)
    }

    /// A text with variables replaced, reported when it is missing or empty.
    pub(super) fn required_text(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        if table.get(key).is_none() {
            self.problem(table.at, format!("{} needs {key:?}", table.what));
            return None;
        }
        let text = self.text(table, key)?;
        if text.trim().is_empty() {
            self.problem(table.position(key), format!("{key:?} of {} is empty", table.what));
            return None;
        }
        Some(text)
    }

    /// A text as it stands.
    pub(super) fn raw_text(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        let node = table.get(key)?;
        match &node.value {
            Value::Scalar { text, .. } => Some(text.clone()),
            _ => {
                self.problem(node.at, format!("{key:?} must be a text, and here is {}", node.kind()));
                None
            }
        }
    }

    fn replace(&mut self, raw: &str, key: &str, at: Position) -> Option<String> {
        match interpolate(raw, self.environment) {
            Ok(text) => Some(text),
            Err(message) => {
                self.problem(at, format!("{key:?}: {message}"));
                None
            }
        }
    }

    /// The name that a mapping gives itself, whatever else is wrong with it; nothing is reported.
    pub(super) fn name_of(&self, node: &Node) -> Option<String> {
        let Value::Mapping(entries) = &node.value else { return None };
        match &entries.iter().find(|entry| entry.key == "name")?.node.value {
            Value::Scalar { text, .. } => interpolate(text, self.environment).ok(),
            _ => None,
        }
    }

    pub(super) fn duration(&mut self, table: &Table<'_>, key: &str) -> Option<Duration> {
        let text = self.text(table, key)?;
        match parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(message) => {
                self.problem(table.position(key), format!("{key:?}: {message}"));
                None
            }
        }
    }

    pub(super) fn flag(&mut self, table: &Table<'_>, key: &str) -> Option<bool> {
        match self.text(table, key)?.as_str() {
            "true" | "True" | "TRUE" | "yes" => Some(true),
            "false" | "False" | "FALSE" | "no" => Some(false),
            other => {
                self.problem(table.position(key), format!("{key:?} is true or false, not {other:?}"));
                None
            }
        }
    }

    pub(super) fn number(&mut self, table: &Table<'_>, key: &str) -> Option<f64> {
        let node = table.get(key)?;
        self.node_number(node, key)
    }

    pub(super) fn node_number(&mut self, node: &Node, key: &str) -> Option<f64> {
        let text = self.node_text(node, key)?;
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Some(number),
            _ => {
                self.problem(node.at, format!("{key:?} must be a number, not {text:?}"));
                None
            }
        }
    }

    /// A single value with variables replaced.
    pub(super) fn node_text(&mut self, node: &Node, key: &str) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } => self.replace(text, key, node.at),
            _ => {
                self.problem(
                    node.at,
                    format!("{key:?} must hold single values, and here is {}", node.kind()),
                );
                None
            }
        }
    }

    /// The items of a list; none when the key is not there.
    pub(super) fn items<'n>(&mut self, table: &Table<'n>, key: &str) -> &'n [Node] {
        match table.get(key) {
            None => &[],
            Some(Node { value: Value::Sequence(nodes), .. }) => nodes,
            Some(node) => {
                self.problem(node.at, format!("{key:?} must be a list, and here is {}", node.kind()));
                &[]
            }
        }
    }

    /// Texts of a list, or of a single value standing for a list of one.
    pub(super) fn texts(&mut self, table: &Table<'_>, key: &str) -> Vec<(String, Position)> {
        let nodes: &[Node] = match table.get(key) {
            None => return Vec::new(),
            Some(Node { value: Value::Sequence(nodes), .. }) => nodes,
            Some(node) => std::slice::from_ref(node),
        };
        nodes.iter().filter_map(|node| Some((self.node_text(node, key)?, node.at))).collect()
    }

    /// Names and texts of a mapping such as `labels`, with variables replaced if `replace`.
    pub(super) fn pairs(
        &mut self,
        table: &Table<'_>,
        key: &str,
        replace: bool,
    ) -> Vec<(String, String, Position)> {
        let Some(node) = table.get(key) else { return Vec::new() };
        let Value::Mapping(entries) = &node.value else {
            self.problem(
                node.at,
                format!("{key:?} is a set of names and texts, and here is {}", node.kind()),
            );
            return Vec::new();
        };
        let mut out = Vec::new();
        for entry in entries {
            match &entry.node.value {
                Value::Scalar { text, .. } if replace => {
                    if let Some(text) = self.replace(text, &entry.key, entry.node.at) {
                        out.push((entry.key.clone(), text, entry.node.at));
                    }
                }
                Value::Scalar { text, .. } => out.push((entry.key.clone(), text.clone(), entry.node.at)),
                _ => self.problem(entry.node.at, format!("{:?} of {key:?} must be a text", entry.key)),
            }
        }
        out
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(table, key)?;
        match choices.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(*value),
            None => {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                self.problem(
                    table.position(key),
                    format!("{key:?} cannot be {text:?}; allowed are {}", words.join(", ")),
                );
                None
            }
        }
    }
}

/// The allowed key that a misspelt one is close to.
fn nearest<'k>(key: &str, allowed: &[&'k str]) -> Option<&'k str> {
    allowed
        .iter()
        .map(|known| (distance(&key.to_lowercase(), &known.to_lowercase()), *known))
        .filter(|(distance, known)| *distance <= 2 && *distance < known.len())
        .min()
        .map(|(_, known)| known)
}

/// Letters to insert, drop or change to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
