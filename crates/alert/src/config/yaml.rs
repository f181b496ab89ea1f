//! A YAML document as a tree that knows where each node stands. JSON is read too, being YAML.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::limits::{YAML_DEPTH_MAX, YAML_NODES_MAX};

/// Line and column in a file, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl From<Marker> for Position {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// Why a text is no YAML that we read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) at: Position,
    pub(super) message: String,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `plain`: without quotes, so that `true` and `5` may be meant as such.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Position,
    pub(super) node: Node,
}

impl Node {
    /// Whether this is `null`, `~` or nothing at all.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What kind of value this is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a set of keys",
        }
    }
}

/// A collection that is being read.
struct Open {
    at: Position,
    anchor: usize,
    items: Items,
}

enum Items {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Option<(String, Position)> },
}

/// Reads the one document of a text; an empty text is an empty mapping.
pub(super) fn parse(text: &str) -> Result<Node, YamlError> {
    let mut builder = Builder { open: Vec::new(), anchors: BTreeMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError {
            at: (*error.marker()).into(),
            message: format!("this is not valid YAML: {}", error.info()),
        })?;
        builder.event(event, span.start.into())?;
    }
    let empty = Node { at: Position { line: 1, column: 1 }, value: Value::Mapping(Vec::new()) };
    Ok(builder.root.filter(|root| !root.is_null()).unwrap_or(empty))
}

struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: Position) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.add(Node { at, value }, anchor, 1)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some((node, size)) => self.add(Node { at, value: node.value }, 0, size),
                None => {
                    Err(YamlError { at, message: "this alias refers to itself or to nothing".to_owned() })
                }
            },
            Event::SequenceStart(anchor, _) => self.open(at, anchor, Items::Sequence(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.open(at, anchor, Items::Mapping { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::DocumentStart(_) if self.root.is_some() => Err(YamlError {
                at,
                message: "a second document begins here; a rules file has one".to_owned(),
            }),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, at: Position, anchor: usize, items: Items) -> Result<(), YamlError> {
        if self.open.len() >= YAML_DEPTH_MAX {
            return Err(YamlError { at, message: format!("more than {YAML_DEPTH_MAX} levels of nesting") });
        }
        self.open.push(Open { at, anchor, items });
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(Open { at, anchor, items }) = self.open.pop() else { return Ok(()) };
        let value = match items {
            Items::Sequence(nodes) => Value::Sequence(nodes),
            Items::Mapping { entries, .. } => Value::Mapping(merge(entries)),
        };
        self.add(Node { at, value }, anchor, 1)
    }

    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), YamlError> {
        let at = node.at;
        self.nodes += size;
        if self.nodes > YAML_NODES_MAX {
            return Err(YamlError { at, message: format!("more than {YAML_NODES_MAX} values") });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), count(&node)));
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::Sequence(nodes)) => nodes.push(node),
            Some(Items::Mapping { entries, key }) => match key.take() {
                None => match node.value {
                    Value::Scalar { text, .. } => *key = Some((text, at)),
                    _ => return Err(YamlError { at, message: "a key must be a single value".to_owned() }),
                },
                Some((key, key_at)) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key == key && key != "<<") {
                        let line = first.key_at.line;
                        let message =
                            format!("key {key:?} is here a second time; the first is on line {line}");
                        return Err(YamlError { at: key_at, message });
                    }
                    entries.push(Entry { key, key_at, node });
                }
            },
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::Sequence(nodes) => nodes.iter().map(count).sum(),
        Value::Mapping(entries) => entries.iter().map(|entry| count(&entry.node)).sum(),
    }
}

/// Follows `<<`: keys of the merged mappings that are not there already.
fn merge(entries: Vec<Entry>) -> Vec<Entry> {
    let is_merge = |entry: &Entry| entry.key == "<<" && !matches!(entry.node.value, Value::Scalar { .. });
    if !entries.iter().any(is_merge) {
        return entries;
    }
    let (merges, mut own): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(is_merge);
    let mut add = |node: Node| {
        if let Value::Mapping(entries) = node.value {
            for entry in entries {
                if !own.iter().any(|known| known.key == entry.key) {
                    own.push(entry);
                }
            }
        }
    };
    for entry in merges {
        match entry.node.value {
            Value::Sequence(nodes) => nodes.into_iter().for_each(&mut add),
            value => add(Node { at: entry.node.at, value }),
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_places() {
        let root = parse("rules:\n  - name: x\n    above: 90\n").unwrap();
        let Value::Mapping(top) = &root.value else { panic!("{root:?}") };
        let Value::Sequence(rules) = &top[0].node.value else { panic!("{root:?}") };
        let Value::Mapping(rule) = &rules[0].value else { panic!("{root:?}") };
        assert_eq!(rule[1].key, "above");
        assert_eq!(rule[1].key_at, Position { line: 3, column: 5 });
        assert_eq!(rule[1].node.at, Position { line: 3, column: 12 });
        assert_eq!(rule[1].node.value, Value::Scalar { text: "90".into(), plain: true });
    }

    #[test]
    fn anchors_and_merges() {
        let root = parse("base: &b {for: 1m, interval: 10s}\nrule: {<<: *b, interval: 5s}\n").unwrap();
        let Value::Mapping(top) = &root.value else { panic!("{root:?}") };
        let Value::Mapping(rule) = &top[1].node.value else { panic!("{root:?}") };
        let keys: Vec<&str> = rule.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["interval", "for"]);
    }

    #[test]
    fn what_is_refused() {
        for (text, line, needle) in [
            ("a: 1\nb: [1, 2\n", 3, "not valid YAML"),
            ("a: 1\na: 2\n", 2, "second time"),
            ("a: 1\n---\nb: 2\n", 2, "second document"),
            ("? [1]\n: 2\n", 1, "single value"),
            ("a: \"open\nb: 1\n", 1, "not valid YAML"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.message.contains(needle), "{text}: {error:?}");
            assert!(error.at.line >= line, "{text}: {error:?}");
        }
        assert!(parse(&"[".repeat(1000)).is_err());
        assert!(parse("a: &a [*a]").is_err());
    }

    #[test]
    fn aliases_cannot_explode() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..10 {
            let line = format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(","));
            text.push_str(&line);
        }
        assert!(parse(&text).unwrap_err().message.contains("more than"));
    }

    #[test]
    fn nothing_is_an_empty_mapping_and_json_is_read() {
        for text in ["", "# only a comment\n", "~"] {
            assert_eq!(parse(text).unwrap().value, Value::Mapping(Vec::new()), "{text:?}");
        }
        assert_eq!(parse("{\"a\": [1, \"b\"]}").unwrap().kind(), "a set of keys");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a-c:\\[\\]{}&*<>|?!\"'#,% \n~]{0,60}") {
            let _outcome = parse(&text);
        }
    }
}
