//! A table of the inventory while it is read: takes keys out by their types and notes what is wrong with them; the keys
//! that nobody asked for are mistakes, told with the known one that they resemble.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::suggest::did_you_mean;
use crate::problem::Problems;

/// The text, and what was found in it so far.
pub(super) struct Source {
    line_starts: Vec<usize>,
    pub(super) problems: RefCell<Problems>,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { line_starts: std::iter::once(0).chain(after_breaks).collect(), problems: RefCell::default() }
    }

    /// The line of an offset, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.line_starts.partition_point(|start| *start <= span.start)
    }

    pub(super) fn error(&self, line: usize, key: impl Into<String>, message: impl Into<String>) {
        self.problems.borrow_mut().error(line, key, message);
    }
}

/// Where the keys of a table stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    own: usize,
    keys: BTreeMap<String, usize>,
}

impl Lines {
    /// The line of a key, or of the table where it has none.
    pub(crate) fn of(&self, key: &str) -> usize {
        self.keys.get(key).copied().unwrap_or(self.own)
    }
}

/// A value and where it stands.
pub(super) type Entry<'d> = (&'d str, usize, &'d Spanned<DeValue<'d>>);

/// See the module's header.
pub(super) struct Section<'d> {
    source: &'d Source,
    path: String,
    line: usize,
    table: &'d DeTable<'d>,
    asked_for: RefCell<BTreeSet<&'static str>>,
}

impl<'d> Section<'d> {
    pub(super) fn new(source: &'d Source, path: String, line: usize, table: &'d DeTable<'d>) -> Self {
        Self { source, path, line, table, asked_for: RefCell::default() }
    }

    /// Of a value that is to be a table.
    pub(super) fn of(
        source: &'d Source,
        path: String,
        (_, line, value): Entry<'d>,
        form: &str,
    ) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::new(source, path, line, table)),
            other => {
                source.error(line, path, format!("is {}; write {form}", kind(other)));
                None
            }
        }
    }

    pub(super) fn source(&self) -> &'d Source {
        self.source
    }

    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a mistake in the value of a key.
    pub(super) fn error(&self, key: &str, message: impl Into<String>) {
        self.source.error(self.lines().of(key), self.path(key), message);
    }

    pub(super) fn lines(&self) -> Lines {
        let keys = self.entries().into_iter().map(|(key, line, _)| (key.to_owned(), line)).collect();
        Lines { own: self.line, keys }
    }

    /// All keys, in the order of the file.
    pub(super) fn entries(&self) -> Vec<Entry<'d>> {
        let mut entries: Vec<_> =
            self.table.iter().map(|(key, value)| (key.span().start, key, value)).collect();
        entries.sort_by_key(|(start, ..)| *start);
        entries
            .into_iter()
            .map(|(_, key, value)| (key.get_ref().as_ref(), self.source.line(&key.span()), value))
            .collect()
    }

    fn take(&self, key: &'static str) -> Option<Entry<'d>> {
        self.asked_for.borrow_mut().insert(key);
        self.entries().into_iter().find(|(name, ..)| *name == key)
    }

    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        let (_, _, value) = self.take(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            other => {
                self.error(key, format!("is {}; write a text in quotes", kind(other)));
                None
            }
        }
    }

    /// A text that says something to a parser; `Err` is what is wrong with it.
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(key)?;
        parse(&text).map_err(|reason| self.error(key, reason)).ok()
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.parsed(key, |text| {
            let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
            found.ok_or_else(|| {
                format!("{text:?} is unknown: {}", did_you_mean(text, words.iter().map(|(word, _)| *word)))
            })
        })
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let (_, _, value) = self.take(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => {
                self.error(key, format!("is {}; write true or false", kind(other)));
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, key: &'static str, bounds: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let (_, _, value) = self.take(key)?;
        let (first, last) = (bounds.start(), bounds.end());
        let number = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            self.error(key, format!("is not a whole number from {first} to {last}"));
        }
        number
    }

    /// A text, or several of them in brackets.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        let entry = self.take(key)?;
        self.texts_of(entry)
    }

    /// The same for a value found among [`Self::entries`].
    pub(super) fn texts_of(&self, (key, line, value): Entry<'d>) -> Option<Vec<String>> {
        let found = match value.get_ref() {
            DeValue::String(text) => Some(vec![text.to_string()]),
            DeValue::Array(values) => {
                values.iter().map(|value| value.get_ref().as_str().map(str::to_owned)).collect()
            }
            _ => None,
        };
        if found.is_none() {
            self.source.error(line, self.path(key), "is no list of texts; write [\"...\", \"...\"]");
        }
        found
    }

    /// A table below this one; `form` shows how it is written.
    pub(super) fn section(&self, key: &'static str, form: &str) -> Option<Section<'d>> {
        let entry = self.take(key)?;
        Section::of(self.source, self.path(key), entry, form)
    }

    /// Notes the keys that nobody asked for.
    pub(super) fn finish(&self) {
        let known = self.asked_for.borrow();
        for (key, line, _) in self.entries() {
            if !known.contains(key) {
                let message = format!("is no key here: {}", did_you_mean(key, known.iter().copied()));
                self.source.error(line, self.path(key), message);
            }
        }
    }
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
