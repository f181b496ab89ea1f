//! A TOML document with the line of every key, and environment variables already in place.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::{Lookup, substitute};
use super::error::{ConfigError, Place};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) node: Node,
}

impl Value {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Parses a document into the entries of its root table, with variables put into its strings.
pub(crate) fn parse(text: &str, file: &str, env: &Lookup<'_>) -> Result<Vec<Entry>, ConfigError> {
    read(text, file, Some(env))
}

/// Parses a document whose variables are in place already.
pub(crate) fn parse_substituted(text: &str, file: &str) -> Result<Vec<Entry>, ConfigError> {
    read(text, file, None)
}

fn read(text: &str, file: &str, env: Option<&Lookup<'_>>) -> Result<Vec<Entry>, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let (line, column) = lines.position(text, error.span().map_or(0, |span| span.start));
        ConfigError::Syntax { file: file.to_owned(), line, column, message: error.message().to_owned() }
    })?;
    let reader = Reader { lines: &lines, file, env };
    reader.table(table.get_ref())
}

/// Where lines start.
struct Lines(BTreeSet<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte offset, counted from 1.
    fn line(&self, offset: usize) -> usize {
        self.0.range(..=offset).count()
    }

    fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let start = self.0.range(..=offset).next_back().copied().unwrap_or(0);
        let column = text.get(start..offset).map_or(1, |before| before.chars().count() + 1);
        (self.line(offset), column)
    }
}

struct Reader<'a> {
    lines: &'a Lines,
    file: &'a str,
    /// For variables in strings; none where they are in place already.
    env: Option<&'a Lookup<'a>>,
}

impl Reader<'_> {
    fn table(&self, table: &DeTable<'_>) -> Result<Vec<Entry>, ConfigError> {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let line = self.lines.line(key.span().start);
            entries.push(Entry {
                key: key.get_ref().to_string(),
                line,
                node: self.node(value, key.get_ref())?,
            });
        }
        // The parser's map is ordered by key; a person reads errors in the order of the file.
        entries.sort_by_key(|entry| entry.line);
        Ok(entries)
    }

    fn string(&self, text: &str) -> Result<String, String> {
        let text = match self.env {
            Some(env) => substitute(text, env)?,
            None => text.to_owned(),
        };
        match secret(&text) {
            Some((store, key)) => Err(format!(
                "the secret @{{{store}:{key}}} cannot be read, as secret stores are not supported: put `{key}` into an \
                 environment variable and write ${{VARIABLE}}"
            )),
            None => Ok(text),
        }
    }

    fn node(&self, value: &Spanned<DeValue<'_>>, key: &str) -> Result<Node, ConfigError> {
        let line = self.lines.line(value.span().start);
        let at = || Place { file: self.file.to_owned(), line };
        let bad = |reason: String| ConfigError::BadValue {
            at: at(),
            section: "file".to_owned(),
            key: key.to_owned(),
            reason,
        };
        let value = match value.get_ref() {
            DeValue::String(text) => Value::String(self.string(text).map_err(bad)?),
            DeValue::Integer(number) => Value::Integer(
                i64::from_str_radix(number.as_str(), number.radix())
                    .map_err(|_| bad(format!("the integer {} does not fit 64 bits", number.as_str())))?,
            ),
            DeValue::Float(number) => Value::Float(
                number
                    .as_str()
                    .parse()
                    .map_err(|_| bad(format!("the float {} cannot be read", number.as_str())))?,
            ),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(value) => Value::Datetime(value.to_string()),
            DeValue::Array(items) => {
                Value::Array(items.iter().map(|item| self.node(item, key)).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Value::Table(self.table(table)?),
        };
        Ok(Node { line, value })
    }
}

/// The store and the key of the first secret (`@{store:key}`) that a text refers to.
fn secret(text: &str) -> Option<(&str, &str)> {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices("@{").find_map(|(at, _)| {
        let (inner, _) = text.get(at + 2..)?.split_once('}')?;
        inner.split_once(':').filter(|(store, key)| is_name(store) && is_name(key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found() {
        assert_eq!(secret("Token @{vault:influx_token}"), Some(("vault", "influx_token")));
        for none in ["@{}", "@{a}", "@{a:}", "@{a b:c}", "a@b.c", "@{a:b"] {
            assert_eq!(secret(none), None, "{none}");
        }
    }

    fn read(text: &str) -> Result<Vec<Entry>, ConfigError> {
        parse(text, "t.conf", &|name| (name == "X").then(|| "y\"z".to_owned()))
    }

    #[test]
    fn keys_know_their_lines_and_strings_their_variables() {
        let entries =
            read("a = 1\n\n[t]\n  # note\n  b = \"$X\"\n  c = [\n   'p',\n   'q',\n  ]\n").expect("valid");
        assert_eq!((entries[0].key.as_str(), entries[0].line), ("a", 1));
        let Value::Table(t) = &entries[1].node.value else { panic!("t is a table") };
        assert_eq!((t[0].key.as_str(), t[0].line), ("b", 5));
        assert_eq!(t[0].node.value, Value::String("y\"z".to_owned()));
        let Value::Array(items) = &t[1].node.value else { panic!("c is an array") };
        assert_eq!(items[1].line, 8);
    }

    #[test]
    fn tables_of_an_array_know_their_lines() {
        let entries =
            read("[[inputs.cpu]]\n  percpu = true\n[[inputs.cpu]]\n  percpu = false\n").expect("valid");
        let Value::Table(inputs) = &entries[0].node.value else { panic!("inputs is a table") };
        let Value::Array(cpus) = &inputs[0].node.value else { panic!("cpu is an array") };
        assert_eq!(cpus.iter().map(|c| c.line).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn a_syntax_error_is_placed() {
        let error = read("a = 1\nb = = 2\n").expect_err("no TOML");
        assert!(error.to_string().starts_with("t.conf:2:5: "), "{error}");
    }

    #[test]
    fn numbers_of_every_radix() {
        let entries = read("a = 0x1F\nb = 1_000\nc = 2.5e1\n").expect("valid");
        let values: Vec<_> = entries.into_iter().map(|e| e.node.value).collect();
        assert_eq!(values, [Value::Integer(31), Value::Integer(1000), Value::Float(25.0)]);
    }
}
