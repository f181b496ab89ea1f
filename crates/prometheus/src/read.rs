//! Remote read: a `ReadRequest` becomes queries.
//!
//! ```text
//! ReadRequest  { repeated Query queries = 1 }
//! Query        { int64 start_timestamp_ms = 1, int64 end_timestamp_ms = 2, repeated LabelMatcher matchers = 3 }
//! LabelMatcher { Type type = 1 (EQ NEQ RE NRE), string name = 2, string value = 3 }
//! ```
//!
//! Hints (what Prometheus will do with the samples, field 4) and the wish for a streamed answer are passed over: raw
//! samples in one message are always a right answer.

use skywatch_influxql::{ParamValue, Params, RegexError, RegexLiteral, quote_ident, quote_string};
use skywatch_model::{MAX_TIME, MIN_TIME};

use crate::{
    FIELD, NAME_LABEL,
    wire::{Message, WireError},
};

/// Most queries in one request.
pub const QUERIES_MAX: usize = 64;
/// Most matchers in one query.
const MATCHERS_MAX: usize = 256;

/// Why a request cannot be answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The message cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A query needs to say what it wants.
    #[error("expected matcher")]
    NoMatcher,
    /// No such comparison.
    #[error("unknown match type {0}")]
    UnknownMatchType(u64),
    /// A regular expression is wrong.
    #[error(transparent)]
    Regex(#[from] RegexError),
    /// More than a request may hold.
    #[error("too many {what} in one read request: at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
}

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchKind {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// A condition on one label. A label that is absent counts as empty.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Comparison.
    pub kind: MatchKind,
    /// Label.
    pub name: String,
    /// What it is compared with; a regular expression as Prometheus wrote it.
    pub value: String,
    /// The same, compiled and anchored at both ends, as Prometheus means it.
    regex: Option<RegexLiteral>,
}

/// One query of a request.
#[derive(Debug, Clone)]
pub struct ReadQuery {
    /// First time wanted.
    pub start_ms: i64,
    /// Last time wanted.
    pub end_ms: i64,
    /// Conditions, all of which must hold.
    pub matchers: Vec<Matcher>,
}

/// Reads an unpacked body.
pub fn decode_read(body: &[u8]) -> Result<Vec<ReadQuery>, ReadError> {
    let mut queries = Vec::new();
    let mut request = Message::new(body);
    while let Some(field) = request.next_field()? {
        if field.number == 1 {
            if queries.len() == QUERIES_MAX {
                return Err(ReadError::TooMany { what: "queries", max: QUERIES_MAX });
            }
            queries.push(decode_query(field.message("Queries")?)?);
        }
    }
    Ok(queries)
}

fn decode_query(mut message: Message<'_>) -> Result<ReadQuery, ReadError> {
    let mut query = ReadQuery { start_ms: 0, end_ms: 0, matchers: Vec::new() };
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => query.start_ms = field.varint("StartTimestampMs")?.cast_signed(),
            2 => query.end_ms = field.varint("EndTimestampMs")?.cast_signed(),
            3 => {
                if query.matchers.len() == MATCHERS_MAX {
                    return Err(ReadError::TooMany { what: "matchers", max: MATCHERS_MAX });
                }
                query.matchers.push(decode_matcher(field.message("Matchers")?)?);
            }
            _ => {}
        }
    }
    if query.matchers.is_empty() { Err(ReadError::NoMatcher) } else { Ok(query) }
}

fn decode_matcher(mut message: Message<'_>) -> Result<Matcher, ReadError> {
    let (mut kind, mut name, mut value) = (0, "", "");
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => kind = field.varint("Type")?,
            2 => name = field.text("Name")?,
            3 => value = field.text("Value")?,
            _ => {}
        }
    }
    let kind = match kind {
        0 => MatchKind::Equal,
        1 => MatchKind::NotEqual,
        2 => MatchKind::Regex,
        3 => MatchKind::NotRegex,
        other => return Err(ReadError::UnknownMatchType(other)),
    };
    Matcher::new(kind, name, value)
}

impl Matcher {
    /// A condition on label `name`.
    pub fn new(kind: MatchKind, name: &str, value: &str) -> Result<Self, ReadError> {
        let regex = match kind {
            MatchKind::Equal | MatchKind::NotEqual => None,
            MatchKind::Regex | MatchKind::NotRegex => {
                // Alone first, so that an error shows what the client wrote.
                RegexLiteral::new(value)?;
                Some(RegexLiteral::new(&anchored(value))?)
            }
        };
        Ok(Self { kind, name: name.to_owned(), value: value.to_owned(), regex })
    }

    /// Whether a label of this value passes.
    pub fn matches(&self, value: &str) -> bool {
        let found = || self.regex.as_ref().is_some_and(|literal| literal.regex().is_match(value));
        match self.kind {
            MatchKind::Equal => value == self.value,
            MatchKind::NotEqual => value != self.value,
            MatchKind::Regex => found(),
            MatchKind::NotRegex => !found(),
        }
    }

    /// The condition in InfluxQL; a regular expression travels as parameter `name`.
    fn condition(&self, parameter: &str, params: &mut Params) -> String {
        let tag = format!("{}::tag", quote_ident(&self.name));
        let operator = match self.kind {
            MatchKind::Equal => return format!("{tag} = {}", quote_string(&self.value)),
            MatchKind::NotEqual => return format!("{tag} != {}", quote_string(&self.value)),
            MatchKind::Regex => "=~",
            MatchKind::NotRegex => "!~",
        };
        params.insert(parameter.to_owned(), ParamValue::Regex(anchored(&self.value)));
        format!("{tag} {operator} ${parameter}")
    }
}

fn anchored(pattern: &str) -> String {
    format!("^(?:{pattern})$")
}

impl ReadQuery {
    /// The only measurement it can be about, if it names one.
    pub fn measurement(&self) -> Option<&str> {
        let is_name = |matcher: &&Matcher| {
            matcher.name == NAME_LABEL && matcher.kind == MatchKind::Equal && !matcher.value.is_empty()
        };
        self.matchers.iter().find(is_name).map(|matcher| matcher.value.as_str())
    }

    /// Whether the series of a measurement can pass.
    pub fn wants_measurement(&self, measurement: &str) -> bool {
        let mut names = self.matchers.iter().filter(|matcher| matcher.name == NAME_LABEL);
        names.all(|matcher| matcher.matches(measurement))
    }

    /// InfluxQL that selects the samples of a measurement, a series a group, and the values of its parameters.
    pub fn select(&self, retention_policy: &str, measurement: &str) -> (String, Params) {
        let mut params = Params::new();
        let source = match retention_policy {
            "" => quote_ident(measurement),
            policy => format!("{}.{}", quote_ident(policy), quote_ident(measurement)),
        };
        let (start_ns, end_ns) = (to_ns(self.start_ms), to_ns(self.end_ms));
        let mut text =
            format!("SELECT {FIELD}::field FROM {source} WHERE time >= {start_ns} AND time <= {end_ns}");
        let labels = self.matchers.iter().filter(|matcher| matcher.name != NAME_LABEL);
        for (at, matcher) in labels.enumerate() {
            text.push_str(" AND ");
            text.push_str(&matcher.condition(&format!("matcher{at}"), &mut params));
        }
        text.push_str(" GROUP BY *");
        (text, params)
    }
}

fn to_ns(ms: i64) -> i64 {
    ms.saturating_mul(1_000_000).clamp(MIN_TIME, MAX_TIME)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{put_bytes, put_int64};

    fn request(matchers: &[(i64, &str, &str)]) -> Vec<u8> {
        let mut query = Vec::new();
        put_int64(&mut query, 1, 1_000);
        put_int64(&mut query, 2, i64::MAX);
        for (kind, name, value) in matchers {
            let mut matcher = Vec::new();
            put_int64(&mut matcher, 1, *kind);
            put_bytes(&mut matcher, 2, name.as_bytes());
            put_bytes(&mut matcher, 3, value.as_bytes());
            put_bytes(&mut query, 3, &matcher);
        }
        let mut request = Vec::new();
        put_bytes(&mut request, 1, &query);
        request
    }

    fn error(matchers: &[(i64, &str, &str)]) -> String {
        decode_read(&request(matchers)).unwrap_err().to_string()
    }

    #[test]
    fn matchers_become_conditions() {
        let body = request(&[
            (0, "__name__", "node \"x\""),
            (0, "job", "it's"),
            (1, "empty", ""),
            (2, "host", "a|b/c"),
            (3, "mode", "idle"),
        ]);
        let queries = decode_read(&body).unwrap();
        assert_eq!(queries[0].measurement(), Some("node \"x\""));
        let (text, params) = queries[0].select("week", "node \"x\"");
        assert_eq!(
            text,
            "SELECT value::field FROM week.\"node \\\"x\\\"\" WHERE time >= 1000000000 AND \
             time <= 9223372036854775806 AND job::tag = 'it\\'s' AND empty::tag != '' AND \
             host::tag =~ $matcher2 AND mode::tag !~ $matcher3 GROUP BY *"
        );
        assert_eq!(params["matcher2"], ParamValue::Regex("^(?:a|b/c)$".to_owned()));
        skywatch_influxql::parse_query_with(&text, &params).unwrap();
    }

    #[test]
    fn names_are_matched_here() {
        let query = |matchers| decode_read(&request(matchers)).unwrap().remove(0);
        let by_regex = query(&[(2, "__name__", "up|node_.*"), (1, "__name__", "node_x")]);
        assert_eq!(by_regex.measurement(), None);
        for (name, wanted) in [("up", true), ("upper", false), ("node_y", true), ("node_x", false)] {
            assert_eq!(by_regex.wants_measurement(name), wanted, "{name}");
        }
        assert!(query(&[(0, "job", "x")]).wants_measurement("anything"));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(error(&[]), "expected matcher");
        assert_eq!(error(&[(7, "a", "b")]), "unknown match type 7");
        assert_eq!(error(&[(2, "a", "(")]), "error parsing regexp: missing closing ): `(`");
        assert_eq!(decode_read(b"garbage").unwrap_err().to_string(), "proto: illegal wireType 7");
        let many = vec![(0, "a", "b"); MATCHERS_MAX + 1];
        assert_eq!(error(&many), "too many matchers in one read request: at most 256");
        let many = request(&[(0, "a", "b")]).repeat(QUERIES_MAX + 1);
        assert!(matches!(decode_read(&many), Err(ReadError::TooMany { what: "queries", .. })));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in any::<Vec<u8>>()) {
            drop(decode_read(&bytes));
        }

        #[test]
        fn every_query_parses(name in "\\PC*", value in "\\PC*", policy in "\\PC*") {
            prop_assume!(!name.is_empty());
            let query = decode_read(&request(&[(0, &name, &value), (1, &name, &value)])).unwrap().remove(0);
            let (text, params) = query.select(&policy, &name);
            prop_assert!(skywatch_influxql::parse_query_with(&text, &params).is_ok(), "{}", text);
        }
    }
}
