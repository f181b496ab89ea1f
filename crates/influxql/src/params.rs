//! Bound parameters: values a request binds to the `$name`s of its query.

use std::collections::BTreeMap;

use crate::token::Kind;

/// The values by name, without the `$`.
pub type Params = BTreeMap<String, ParamValue>;

/// A value that takes the place of a `$name` as if it had been written there, without any quoting to get wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    /// A JSON number with a fraction.
    Number(f64),
    /// A JSON number without one.
    Integer(i64),
    /// A JSON string; also `{"string": "..."}`.
    String(String),
    /// A JSON boolean.
    Boolean(bool),
    /// `{"identifier": "..."}`: a name.
    Identifier(String),
    /// `{"regex": "..."}`: a pattern.
    Regex(String),
    /// `{"duration": "5m"}`: a duration literal.
    Duration(String),
    /// A value that no literal has, and why: an error where the query uses it.
    Unbindable(String),
}

impl ParamValue {
    /// The token it stands for.
    pub(crate) fn token(&self) -> (Kind, String) {
        match self {
            Self::Number(value) => (Kind::Number, value.to_string()),
            Self::Integer(value) => (Kind::Integer, value.to_string()),
            Self::String(text) => (Kind::String, text.clone()),
            Self::Boolean(true) => (Kind::True, String::new()),
            Self::Boolean(false) => (Kind::False, String::new()),
            Self::Identifier(name) => (Kind::Ident, name.clone()),
            Self::Regex(pattern) => (Kind::Regex, pattern.clone()),
            Self::Duration(text) => (Kind::Duration, text.clone()),
            Self::Unbindable(reason) => (Kind::BoundParam, format!("${reason}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_query_with;

    fn bound(text: &str) -> String {
        let params = Params::from([
            ("n".to_owned(), ParamValue::Integer(-5)),
            ("f".to_owned(), ParamValue::Number(1.5)),
            ("s".to_owned(), ParamValue::String("it's".to_owned())),
            ("b".to_owned(), ParamValue::Boolean(true)),
            ("i".to_owned(), ParamValue::Identifier("a b".to_owned())),
            ("r".to_owned(), ParamValue::Regex("x/y".to_owned())),
            ("d".to_owned(), ParamValue::Duration("90s".to_owned())),
            ("l".to_owned(), ParamValue::Integer(3)),
        ]);
        parse_query_with(text, &params).map_or_else(|error| error.to_string(), |query| query.to_string())
    }

    #[test]
    fn values_take_the_place_of_their_names() {
        assert_eq!(
            bound(
                "SELECT $i FROM $i WHERE a = $s AND b > $n AND c < $f AND d = $b AND e =~ $r GROUP BY time($d) LIMIT $l"
            ),
            "SELECT \"a b\" FROM \"a b\" WHERE a = 'it\\'s' AND b > -5 AND c < 1.500 AND d = true AND e =~ /x\\/y/ \
             GROUP BY time(90s) LIMIT 3"
        );
        assert_eq!(bound("SELECT a FROM $r, b"), "SELECT a FROM /x\\/y/, b");
    }

    #[test]
    fn a_value_cannot_break_out_of_its_place() {
        let params = Params::from([("s".to_owned(), ParamValue::String("' OR 'a' = 'a".to_owned()))]);
        let query = parse_query_with("SELECT a FROM b WHERE c = $s", &params).unwrap();
        assert_eq!(query.to_string(), "SELECT a FROM b WHERE c = '\\' OR \\'a\\' = \\'a'");
    }

    #[test]
    fn values_that_fit_nowhere_are_told() {
        let error = |value| {
            let params = Params::from([("v".to_owned(), value)]);
            let query = "SELECT a FROM b WHERE c > now() - $v";
            parse_query_with(query, &params).unwrap_err().to_string()
        };
        assert_eq!(
            error(ParamValue::Unbindable("unable to bind parameter with type <nil>".to_owned())),
            "error parsing query: missing parameter: unable to bind parameter with type <nil>"
        );
        let broken = error(ParamValue::Duration("1h) OR true".to_owned()));
        assert!(broken.contains("invalid duration"), "{broken}");
    }

    #[test]
    fn unbound_names_are_told() {
        assert_eq!(bound("SELECT a FROM b WHERE c = $x"), "error parsing query: missing parameter: x");
        assert_eq!(bound("SELECT a FROM b WHERE c = $"), "error parsing query: empty bound parameter");
        assert_eq!(
            bound("SELECT a FROM b LIMIT $x"),
            "error parsing query: found $x, expected integer at line 1, char 23"
        );
        assert_eq!(
            bound("SELECT a FROM b LIMIT $n"),
            "error parsing query: LIMIT must be >= 0 at line 1, char 23"
        );
    }
}
