//! A table of the configuration being read: typed access to its options, and at the end an error
//! for every key that nobody asked for.

use std::collections::BTreeMap;

use super::duration;
use super::error::{ConfigError, Place};
use super::fingerprint::Fingerprint;
use super::size;
use super::tree::{Entry, Node, Value};

/// Keys and their lists, in the order of the file.
pub(crate) type Lists = Vec<(String, Vec<String>)>;

/// One table. Options are taken out of it; [`finish`](Self::finish) finds what is left over.
#[derive(Debug, Clone)]
pub struct Section {
    file: String,
    name: String,
    line: usize,
    entries: Vec<Entry>,
    asked: BTreeMap<&'static str, usize>,
    warnings: Vec<String>,
    /// Keys that nobody asked for, of this table once it is read and of tables inside.
    leftovers: Vec<Leftover>,
}

/// A key that nobody asked for.
#[derive(Debug, Clone)]
struct Leftover {
    at: Place,
    section: String,
    key: String,
    known: String,
}

/// A value of no type in particular, as in a table of mappings.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// In quotes.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
}

/// An item of a list of commands.
#[derive(Debug)]
pub(crate) enum TextOrWords {
    /// To be split.
    Text(String),
    /// Already split.
    Words(Vec<String>),
}

impl Section {
    pub(crate) fn new(file: &str, name: impl Into<String>, line: usize, entries: Vec<Entry>) -> Self {
        Self {
            file: file.to_owned(),
            name: name.into(),
            line,
            entries,
            asked: BTreeMap::new(),
            warnings: Vec::new(),
            leftovers: Vec::new(),
        }
    }

    /// Where the table starts.
    pub fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line }
    }

    /// What the table says; to be asked before options are taken out.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.entries)
    }

    /// Takes an option out, whatever its type.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Node> {
        let at = self.entries.iter().position(|entry| entry.key == key);
        let entry = at.map(|at| self.entries.remove(at));
        self.asked.insert(key, entry.as_ref().map_or(self.line, |entry| entry.line));
        entry.map(|entry| entry.node)
    }

    /// A string.
    pub fn string(&mut self, key: &'static str) -> Result<Option<String>, ConfigError> {
        match self.take(key) {
            Some(Node { value: Value::String(text), .. }) => Ok(Some(text)),
            other => self.absent_or_wrong(key, "a string", other),
        }
    }

    /// A boolean.
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        match self.take(key) {
            Some(Node { value: Value::Boolean(value), .. }) => Ok(Some(value)),
            other => self.absent_or_wrong(key, "true or false", other),
        }
    }

    /// A boolean of an option that many plugins have. As in the original it may be a text, in any of Go's words.
    pub(super) fn common_boolean(&mut self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        let text = self.entries.iter().find_map(|entry| match &entry.node.value {
            Value::String(text) if entry.key == key => Some(text.as_str()),
            _ => None,
        });
        let said = match text {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some(_) | None => return self.boolean(key),
        };
        self.take(key);
        Ok(Some(said))
    }

    /// An integer that is not negative.
    pub fn count(&mut self, key: &'static str) -> Result<Option<usize>, ConfigError> {
        match self.take(key) {
            Some(Node { value: Value::Integer(value), line }) => match usize::try_from(value) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(self.bad_at(line, key, format!("{value} is negative"))),
            },
            other => self.absent_or_wrong(key, "an integer", other),
        }
    }

    /// An integer of any sign.
    pub fn integer(&mut self, key: &'static str) -> Result<Option<i64>, ConfigError> {
        match self.take(key) {
            Some(Node { value: Value::Integer(value), .. }) => Ok(Some(value)),
            other => self.absent_or_wrong(key, "an integer", other),
        }
    }

    /// A number, with or without a fraction.
    pub fn float(&mut self, key: &'static str) -> Result<Option<f64>, ConfigError> {
        match self.take(key) {
            Some(Node { value: Value::Float(value), .. }) => Ok(Some(value)),
            Some(Node { value: Value::Integer(value), .. }) => Ok(Some(value as f64)),
            other => self.absent_or_wrong(key, "a number", other),
        }
    }

    /// A list of numbers, with or without fractions.
    pub fn floats(&mut self, key: &'static str) -> Result<Option<Vec<f64>>, ConfigError> {
        let Some(node) = self.take(key) else { return Ok(None) };
        let Value::Array(items) = node.value else {
            return self.absent_or_wrong(key, "a list of numbers", Some(node));
        };
        let mut numbers = Vec::with_capacity(items.len());
        for item in items {
            numbers.push(match item.value {
                Value::Float(value) => value,
                Value::Integer(value) => value as f64,
                _ => return self.absent_or_wrong(key, "a list of numbers", Some(item)),
            });
        }
        Ok(Some(numbers))
    }

    /// A list of integers.
    pub fn integers(&mut self, key: &'static str) -> Result<Option<Vec<i64>>, ConfigError> {
        let Some(node) = self.take(key) else { return Ok(None) };
        let Value::Array(items) = node.value else {
            return self.absent_or_wrong(key, "a list of integers", Some(node));
        };
        let mut numbers = Vec::with_capacity(items.len());
        for item in items {
            let Value::Integer(value) = item.value else {
                return self.absent_or_wrong(key, "a list of integers", Some(item));
            };
            numbers.push(value);
        }
        Ok(Some(numbers))
    }

    /// A value of any simple type.
    pub fn scalar(&mut self, key: &'static str) -> Result<Option<Scalar>, ConfigError> {
        self.take(key).map(|node| self.scalar_of(key, node)).transpose()
    }

    /// A table of values of any simple type, in the order of the file.
    pub fn scalars(&mut self, key: &'static str) -> Result<Option<Vec<(String, Scalar)>>, ConfigError> {
        let entries = match self.take(key) {
            Some(Node { value: Value::Table(entries), .. }) => entries,
            other => return self.absent_or_wrong(key, "a table", other),
        };
        entries
            .into_iter()
            .map(|entry| Ok((entry.key, self.scalar_of(key, entry.node)?)))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    fn scalar_of(&self, key: &str, node: Node) -> Result<Scalar, ConfigError> {
        Ok(match node.value {
            Value::String(text) => Scalar::String(text),
            Value::Integer(number) => Scalar::Integer(number),
            Value::Float(number) => Scalar::Float(number),
            Value::Boolean(value) => Scalar::Boolean(value),
            Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
                return Err(self.wrong_type(key, "a text, a number or a boolean", &node));
            }
        })
    }

    /// Every table of an array of tables (`[[inputs.snmp.field]]`), or a single table; none if there is no such key.
    /// `read` takes the options out of each; what it leaves over becomes an error of this section.
    pub fn sections<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let nodes = match self.take(key) {
            None => return Ok(Vec::new()),
            Some(Node { value: Value::Array(nodes), .. }) => nodes,
            Some(node) => vec![node],
        };
        let mut read_ones = Vec::with_capacity(nodes.len());
        for node in nodes {
            let Value::Table(entries) = node.value else {
                return Err(self.wrong_type(key, "a table", &node));
            };
            let mut inside = Self::new(&self.file, format!("{}.{key}", self.name), node.line, entries);
            read_ones.push(read(&mut inside)?);
            inside.end();
            self.warnings.append(&mut inside.warnings);
            self.leftovers.append(&mut inside.leftovers);
        }
        Ok(read_ones)
    }

    /// A list of strings; a single string counts as a list of one.
    pub fn strings(&mut self, key: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        match self.take(key) {
            None => Ok(None),
            Some(node) => self.strings_of(key, node).map(Some),
        }
    }

    /// A list whose items are texts or lists of words.
    pub(crate) fn texts_or_words(
        &mut self,
        key: &'static str,
    ) -> Result<Option<Vec<TextOrWords>>, ConfigError> {
        let Some(node) = self.take(key) else { return Ok(None) };
        let Value::Array(items) = node.value else {
            return self.absent_or_wrong(key, "a list of strings or of lists of strings", Some(node));
        };
        let item = |item: Node| match item.value {
            Value::String(text) => Ok(TextOrWords::Text(text)),
            _ => Ok(TextOrWords::Words(self.strings_of(key, item)?)),
        };
        items.into_iter().map(item).collect::<Result<_, _>>().map(Some)
    }

    /// A table whose values are strings.
    pub fn string_table(
        &mut self,
        key: &'static str,
    ) -> Result<Option<BTreeMap<String, String>>, ConfigError> {
        let entries = match self.take(key) {
            Some(Node { value: Value::Table(entries), .. }) => entries,
            other => return self.absent_or_wrong(key, "a table of strings", other),
        };
        entries
            .into_iter()
            .map(|entry| Ok((entry.key.clone(), self.plain_text(entry)?)))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A table whose values are lists of strings.
    pub(crate) fn list_table(&mut self, key: &'static str) -> Result<Option<Lists>, ConfigError> {
        let entries = match self.take(key) {
            Some(Node { value: Value::Table(entries), .. }) => entries,
            other => return self.absent_or_wrong(key, "a table of lists", other),
        };
        let mut lists = Vec::with_capacity(entries.len());
        for entry in entries {
            lists.push((entry.key, self.strings_of(key, entry.node)?));
        }
        Ok(Some(lists))
    }

    /// A duration in nanoseconds, not negative: Go's text, or a number of seconds. An empty text
    /// counts as none, since the original's old sample files have `precision = ""`.
    pub fn duration(&mut self, key: &'static str) -> Result<Option<i64>, ConfigError> {
        let Some(node) = self.take(key) else { return Ok(None) };
        let line = node.line;
        let nanos = match &node.value {
            Value::String(text) if text.is_empty() => return Ok(None),
            Value::String(text) => duration::parse(text),
            Value::Integer(seconds) => duration::from_seconds(*seconds as f64),
            Value::Float(seconds) => duration::from_seconds(*seconds),
            Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
                return self.absent_or_wrong(key, "a duration such as \"10s\"", Some(node));
            }
        };
        match nanos {
            Some(nanos) if nanos >= 0 => Ok(Some(nanos)),
            Some(_) => Err(self.bad_at(line, key, "a duration cannot be negative".to_owned())),
            None => Err(self.bad_at(line, key, "no duration; write it like \"10s\" or \"1h30m\"".to_owned())),
        }
    }

    /// A duration of an option that many plugins have, in nanoseconds. As in the original it is text: a number is
    /// ignored, which its author ought to know.
    pub(super) fn common_duration(&mut self, key: &'static str) -> Result<Option<i64>, ConfigError> {
        let number = self.entries.iter().find_map(|entry| match entry.node.value {
            Value::Integer(number) if entry.key == key => Some(number.to_string()),
            Value::Float(number) if entry.key == key => Some(number.to_string()),
            _ => None,
        });
        let Some(number) = number else { return self.duration(key) };
        self.take(key);
        self.warn(
            key,
            &format!("is the number {number}, which has no effect here, as in Telegraf: write \"{number}s\""),
        );
        Ok(None)
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Something about an option taken out before that its author may not expect: "`key` in [section]" and these words.
    pub(crate) fn warn(&mut self, key: &'static str, words: &str) {
        let line = self.asked.get(key).copied().unwrap_or(self.line);
        let place = Place { file: self.file.clone(), line };
        self.warnings.push(format!("{place}: `{key}` in [{}] {words}", self.name));
    }

    /// A size in bytes: a number, or a text with a unit.
    pub fn size(&mut self, key: &'static str) -> Result<Option<u64>, ConfigError> {
        let Some(node) = self.take(key) else { return Ok(None) };
        let bytes = match &node.value {
            Value::String(text) => size::parse(text),
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            _ => return self.absent_or_wrong(key, "a size such as \"512MiB\"", Some(node)),
        };
        let line = node.line;
        bytes.map(Some).ok_or_else(|| {
            self.bad_at(line, key, "no size; write it like \"512MiB\", \"1GB\" or in bytes".to_owned())
        })
    }

    /// An option of the original that has no effect here, and what to tell about it when it is set.
    pub(crate) fn without_effect(&mut self, key: &'static str, because: &str) {
        if let Some(node) = self.take(key) {
            let place = Place { file: self.file.clone(), line: node.line };
            self.warnings.push(format!("{place}: `{key}` in [{}] has no effect: {because}", self.name));
        }
    }

    /// An error about the value of an option taken out before.
    pub fn bad(&self, key: &'static str, reason: impl Into<String>) -> ConfigError {
        self.bad_at(self.asked.get(key).copied().unwrap_or(self.line), key, reason.into())
    }

    /// Ends reading: any key left over is an error that lists those there are.
    pub(crate) fn finish(mut self) -> Result<Vec<String>, Vec<ConfigError>> {
        self.end();
        if self.leftovers.is_empty() {
            return Ok(self.warnings);
        }
        Err(self
            .leftovers
            .into_iter()
            .map(|Leftover { at, section, key, known }| ConfigError::UnknownKey { at, section, key, known })
            .collect())
    }

    fn end(&mut self) {
        let known = self.asked.keys().copied().collect::<Vec<_>>().join(", ");
        for entry in std::mem::take(&mut self.entries) {
            self.leftovers.push(Leftover {
                at: Place { file: self.file.clone(), line: entry.line },
                section: self.name.clone(),
                key: entry.key,
                known: known.clone(),
            });
        }
    }

    /// A tag's value: strings, and what people write without quotes.
    fn plain_text(&self, entry: Entry) -> Result<String, ConfigError> {
        match entry.node.value {
            Value::String(text) => Ok(text),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Float(number) => Ok(number.to_string()),
            Value::Boolean(value) => Ok(value.to_string()),
            other @ (Value::Datetime(_) | Value::Array(_) | Value::Table(_)) => Err(ConfigError::WrongType {
                at: Place { file: self.file.clone(), line: entry.line },
                section: self.name.clone(),
                key: entry.key,
                expected: "a string",
                found: other.type_name(),
            }),
        }
    }

    fn strings_of(&self, key: &str, node: Node) -> Result<Vec<String>, ConfigError> {
        let wrong = |line: usize, found: &Value| ConfigError::WrongType {
            at: Place { file: self.file.clone(), line },
            section: self.name.clone(),
            key: key.to_owned(),
            expected: "a list of strings",
            found: found.type_name(),
        };
        match node.value {
            Value::String(text) => Ok(vec![text]),
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item.value {
                    Value::String(text) => Ok(text),
                    other => Err(wrong(item.line, &other)),
                })
                .collect(),
            other => Err(wrong(node.line, &other)),
        }
    }

    fn absent_or_wrong<T>(
        &self,
        key: &str,
        expected: &'static str,
        node: Option<Node>,
    ) -> Result<Option<T>, ConfigError> {
        match node {
            None => Ok(None),
            Some(node) => Err(self.wrong_type(key, expected, &node)),
        }
    }

    fn wrong_type(&self, key: &str, expected: &'static str, node: &Node) -> ConfigError {
        ConfigError::WrongType {
            at: Place { file: self.file.clone(), line: node.line },
            section: self.name.clone(),
            key: key.to_owned(),
            expected,
            found: node.value.type_name(),
        }
    }

    fn bad_at(&self, line: usize, key: &str, reason: String) -> ConfigError {
        ConfigError::BadValue {
            at: Place { file: self.file.clone(), line },
            section: self.name.clone(),
            key: key.to_owned(),
            reason,
        }
    }
}
