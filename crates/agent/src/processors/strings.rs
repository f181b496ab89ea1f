//! `strings`: changes of texts: names, tags, tag keys, fields and their keys.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use skywatch_model::FieldValue;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::{Key, Metric};
use crate::processor::Processor;

/// The processor; the operations in the order in which they run, which is not the file's.
#[derive(Debug)]
struct Strings {
    operations: Vec<Operation>,
}

/// One `[[processors.strings.NAME]]`.
#[derive(Debug)]
struct Operation {
    change: Change,
    target: Target,
    /// Where the changed value of one tag or field goes; `None` is in place. Those that `*` stands for stay where they are.
    dest: Option<String>,
}

/// What is changed: one name, or every one.
#[derive(Debug)]
struct Target {
    measurement: Option<String>,
    tag: Option<String>,
    tag_key: Option<String>,
    field: Option<String>,
    field_key: Option<String>,
}

#[derive(Debug)]
enum Change {
    Lowercase,
    Uppercase,
    Titlecase,
    Trim(Cutset),
    TrimLeft(Cutset),
    TrimRight(Cutset),
    TrimPrefix(String),
    TrimSuffix(String),
    Replace { old: String, new: String },
    Left { width: usize },
    Base64Decode,
    ValidUtf8,
}

/// Characters to trim; none stands for white space.
#[derive(Debug)]
struct Cutset(String);

/// Reads what one kind of operation needs out of its table.
type Read = fn(&mut Section) -> Result<Change, ConfigError>;

/// Every operation by its option, in the order in which they run.
const OPERATIONS: [(&str, Read); 12] = [
    ("lowercase", |_| Ok(Change::Lowercase)),
    ("uppercase", |_| Ok(Change::Uppercase)),
    ("titlecase", |_| Ok(Change::Titlecase)),
    ("trim", |table| Ok(Change::Trim(cutset(table)?))),
    ("trim_left", |table| Ok(Change::TrimLeft(cutset(table)?))),
    ("trim_right", |table| Ok(Change::TrimRight(cutset(table)?))),
    ("trim_prefix", |table| Ok(Change::TrimPrefix(table.string("prefix")?.unwrap_or_default()))),
    ("trim_suffix", |table| Ok(Change::TrimSuffix(table.string("suffix")?.unwrap_or_default()))),
    ("replace", |table| {
        let (old, new) = (table.string("old")?.unwrap_or_default(), table.string("new")?.unwrap_or_default());
        if old.is_empty() {
            return Err(table.bad("old", "say what is replaced"));
        }
        Ok(Change::Replace { old, new })
    }),
    ("left", |table| Ok(Change::Left { width: table.count("width")?.unwrap_or(0) })),
    ("base64decode", |_| Ok(Change::Base64Decode)),
    ("valid_utf8", |table| {
        table.without_effect("replacement", "texts are valid UTF-8 from the moment they are read");
        Ok(Change::ValidUtf8)
    }),
];

fn cutset(table: &mut Section) -> Result<Cutset, ConfigError> {
    Ok(Cutset(table.string("cutset")?.unwrap_or_default()))
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    let mut operations = Vec::new();
    for (name, read) in OPERATIONS {
        operations.extend(section.sections(name, |table| {
            let mut named = |key| Ok::<_, ConfigError>(table.string(key)?.filter(|name| !name.is_empty()));
            let target = Target {
                measurement: named("measurement")?,
                tag: named("tag")?,
                tag_key: named("tag_key")?,
                field: named("field")?,
                field_key: named("field_key")?,
            };
            let dest = named("dest")?;
            Ok(Operation { change: read(table)?, target, dest })
        })?);
    }
    Ok(Box::new(Strings { operations }))
}

impl Processor for Strings {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        for operation in &self.operations {
            operation.apply(&mut metric);
        }
        out.push(metric);
    }
}

/// Whether a selector, set, stands for this name.
fn selects(selector: Option<&String>, name: &str) -> bool {
    selector.is_some_and(|selector| selector == "*" || selector == name)
}

impl Operation {
    fn apply(&self, metric: &mut Metric) {
        if selects(self.target.measurement.as_ref(), &metric.name)
            && let Cow::Owned(name) = self.change.of(&metric.name)
        {
            metric.name = name.into();
        }
        if self.target.tag.is_some() {
            let changed: Vec<_> = metric
                .tags()
                .iter()
                .filter(|(key, _)| selects(self.target.tag.as_ref(), key))
                .map(|(key, value)| (key.clone(), self.change.of(value).into_owned()))
                .collect();
            for (key, value) in changed {
                metric.set_tag(self.goes_to(self.target.tag.as_ref(), key), value);
            }
        }
        if self.target.tag_key.is_some() {
            let keys: Vec<_> = metric.tags().iter().map(|(key, _)| key.clone()).collect();
            for key in keys.iter().filter(|key| selects(self.target.tag_key.as_ref(), key)) {
                let new = self.new_key(key);
                if new != *key
                    && let Some(value) = metric.remove_tag(key)
                {
                    metric.set_tag(new.into_owned(), value);
                }
            }
        }
        if self.target.field.is_some() {
            let changed: Vec<_> = metric
                .fields()
                .iter()
                .filter(|(key, _)| selects(self.target.field.as_ref(), key))
                .filter_map(|(key, value)| match value {
                    FieldValue::String(text) => Some((key.clone(), self.change.of(text).into_owned())),
                    _ => None,
                })
                .collect();
            for (key, value) in changed {
                metric.set_field(self.goes_to(self.target.field.as_ref(), key), value);
            }
        }
        if self.target.field_key.is_some() {
            let keys: Vec<_> = metric.fields().iter().map(|(key, _)| key.clone()).collect();
            for key in keys.iter().filter(|key| selects(self.target.field_key.as_ref(), key)) {
                metric.rename_field(key, &self.new_key(key));
            }
        }
    }

    fn goes_to(&self, selector: Option<&String>, key: Key) -> Key {
        let dest = self.dest.as_ref().filter(|_| selector.is_some_and(|selector| selector != "*"));
        dest.map_or(key, |dest| dest.clone().into())
    }

    /// A key is never emptied.
    fn new_key<'a>(&self, key: &'a str) -> Cow<'a, str> {
        let new = self.change.of(key);
        if new.is_empty() { Cow::Borrowed(key) } else { new }
    }
}

impl Change {
    fn of<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Lowercase => text.to_lowercase().into(),
            Self::Uppercase => text.to_uppercase().into(),
            Self::Titlecase => titlecase(text).into(),
            Self::Trim(cutset) => cutset.trim_start(cutset.trim_end(text)).to_owned().into(),
            Self::TrimLeft(cutset) => cutset.trim_start(text).to_owned().into(),
            Self::TrimRight(cutset) => cutset.trim_end(text).to_owned().into(),
            Self::TrimPrefix(prefix) => text.strip_prefix(prefix.as_str()).unwrap_or(text).to_owned().into(),
            Self::TrimSuffix(suffix) => text.strip_suffix(suffix.as_str()).unwrap_or(text).to_owned().into(),
            Self::Replace { old, new } => {
                let replaced = text.replace(old.as_str(), new);
                // As in the original: a replacement that leaves nothing does not happen.
                if replaced.is_empty() { text.into() } else { replaced.into() }
            }
            Self::Left { width } => left(text, *width).to_owned().into(),
            Self::Base64Decode => match STANDARD.decode(text).map(String::from_utf8) {
                Ok(Ok(decoded)) => decoded.into(),
                _ => text.into(),
            },
            Self::ValidUtf8 => text.into(),
        }
    }
}

impl Cutset {
    fn trim_start<'a>(&self, text: &'a str) -> &'a str {
        text.trim_start_matches(|c| self.holds(c))
    }

    fn trim_end<'a>(&self, text: &'a str) -> &'a str {
        text.trim_end_matches(|c| self.holds(c))
    }

    fn holds(&self, c: char) -> bool {
        if self.0.is_empty() { c.is_whitespace() } else { self.0.contains(c) }
    }
}

/// The first letter of every word in upper case, the others as they are. A word begins after what is neither a letter
/// nor a digit nor an underscore nor an apostrophe inside a word.
fn titlecase(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '_' || (inside && c == '\'');
    }
    out
}

/// At most `width` bytes from the start, and no part of a character.
fn left(text: &str, width: usize) -> &str {
    let mut end = width.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::super::testing::applied;
    use super::*;

    fn tag(options: &str, value: &str) -> String {
        let out = applied(build, options, Metric::new("m", 7).tag("t", value).field("x", 1_i64));
        out[0].trim_end_matches(" x=1i 7").trim_start_matches("m,t=").replace('\\', "")
    }

    #[test]
    fn every_operation() {
        for (options, value, want) in [
            ("[[lowercase]]\ntag='t'", "AbÇ", "abç"),
            ("[[uppercase]]\ntag='*'", "abç", "ABÇ"),
            ("[[titlecase]]\ntag='t'", "hello wORLD foo-bar o'neil", "Hello WORLD Foo-Bar O'neil"),
            ("[[trim]]\ntag='t'", " \ta b ", "a b"),
            ("[[trim]]\ntag='t'\ncutset='/_'", "_/a/_", "a"),
            ("[[trim_left]]\ntag='t'\ncutset='/'", "/a/", "a/"),
            ("[[trim_right]]\ntag='t'\ncutset='/'", "/a/", "/a"),
            ("[[trim_prefix]]\ntag='t'\nprefix='ab'", "ababc", "abc"),
            ("[[trim_suffix]]\ntag='t'\nsuffix='bc'", "ababc", "aba"),
            ("[[replace]]\ntag='t'\nold=':'\nnew='_'", "a:b:c", "a_b_c"),
            ("[[replace]]\ntag='t'\nold='a'", "aaa", "aaa"),
            ("[[left]]\ntag='t'\nwidth=3", "aéé", "aé"),
            ("[[base64decode]]\ntag='t'", "aGVsbG8=", "hello"),
            ("[[base64decode]]\ntag='t'", "no base64!", "no base64!"),
        ] {
            assert_eq!(tag(options, value), want, "{options}");
        }
    }

    #[test]
    fn operations_run_in_their_own_order() {
        let options = "[[replace]]\ntag='t'\nold='B'\nnew='x'\n[[uppercase]]\ntag='t'\n";
        assert_eq!(tag(options, "abc"), "AxC");
    }

    #[test]
    fn names_keys_fields_and_destinations() {
        let options = "[[uppercase]]\nmeasurement='*'\nfield='s'\nfield_key='k'\ntag_key='t'\n\
                       [[lowercase]]\nfield='s'\ndest='low'\n";
        let metric = Metric::new("m", 7).tag("t", "v").field("s", "aB").field("k", 1_i64).field("n", 2_i64);
        assert_eq!(applied(build, options, metric), ["M,T=v s=\"AB\",K=1i,n=2i,low=\"ab\" 7"]);
    }

    #[test]
    fn a_destination_is_for_the_value_of_one_tag_or_field() {
        let metric = || Metric::new("m", 7).tag("a", "x").tag("b", "y").field("s", "p").field("z", "q");
        let all = "[[uppercase]]\ntag='*'\nfield='*'\ndest='d'";
        assert_eq!(applied(build, all, metric()), ["m,a=X,b=Y s=\"P\",z=\"Q\" 7"]);
        let keys = "[[uppercase]]\ntag_key='a'\nfield_key='s'\ndest='d'";
        assert_eq!(applied(build, keys, metric()), ["m,A=x,b=y S=\"p\",z=\"q\" 7"]);
        let one = "[[uppercase]]\ntag='a'\nfield='s'\ndest='d'";
        assert_eq!(applied(build, one, metric()), ["m,a=x,b=y,d=X s=\"p\",z=\"q\",d=\"P\" 7"]);
    }
}
