//! Bound parameters: `$name` in a query, its value in the request's `params`, a JSON object.
//!
//! A value becomes a literal of InfluxQL in the place of its name, so that it can never be anything but one value:
//! strings are quoted and escaped. Names inside strings, quoted identifiers, comments and regexes are text and stay.
//! A name without a value stays too; the parser then reports it as InfluxDB does.

use serde_json::{Map, Value};

use crate::encode::push_f64_plain;

/// Why `params` cannot be used; worded as InfluxDB does.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BindError {
    /// Not a JSON object.
    #[error("error parsing query parameters: {0}")]
    Malformed(String),
    /// A value of a kind that no literal has.
    #[error("error parsing query: missing parameter: {0}")]
    Unbindable(String),
}

/// Puts the values of `params` (a JSON object, or empty) into the text of a query.
pub(crate) fn bind_parameters(query: &str, params: &str) -> Result<String, BindError> {
    if params.trim().is_empty() {
        return Ok(query.to_owned());
    }
    let values = match serde_json::from_str(params) {
        Ok(Value::Object(values)) => values,
        Ok(Value::Null) => Map::new(),
        Ok(other) => {
            return Err(BindError::Malformed(format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                json_kind(&other)
            )));
        }
        Err(error) if error.is_eof() => return Err(BindError::Malformed("unexpected EOF".to_owned())),
        Err(error) => return Err(BindError::Malformed(error.to_string())),
    };
    substitute(query, &values)
}

fn substitute(query: &str, values: &Map<String, Value>) -> Result<String, BindError> {
    let mut bound = String::with_capacity(query.len() + 16);
    let mut rest = query;
    let mut regex_may_follow = false;
    while let Some(first) = rest.chars().next() {
        let token = token_len(rest, first, regex_may_follow);
        let (text, after) = rest.split_at(token);
        match text.strip_prefix('$').map(parameter_name).and_then(|name| values.get(name)) {
            Some(value) => bound.push_str(&literal(value)?),
            None => bound.push_str(text),
        }
        // A `/` divides after a value and opens a regex after anything else.
        if !first.is_whitespace() {
            let ends_value = first.is_alphanumeric() || matches!(first, '_' | ')' | '"' | '\'' | '$' | '.');
            regex_may_follow = !ends_value || is_keyword_before_regex(text);
        }
        rest = after;
    }
    Ok(bound)
}

/// Keywords that a source or a measurement, hence a regex, may follow.
fn is_keyword_before_regex(word: &str) -> bool {
    ["from", "by", "select", "in"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// Length of the token at the start of `text`: what is quoted, commented or a word counts as one.
fn token_len(text: &str, first: char, regex_may_follow: bool) -> usize {
    match first {
        '\'' | '"' => quoted_len(text, first),
        '/' if text.starts_with("/*") => text.find("*/").map_or(text.len(), |end| end + 2),
        '/' if regex_may_follow => quoted_len(text, '/'),
        '-' if text.starts_with("--") => text.find('\n').unwrap_or(text.len()),
        '$' if text[1..].starts_with('"') => 1 + quoted_len(&text[1..], '"'),
        '$' => 1 + word_len(&text[1..]),
        _ if is_word(first) => word_len(text),
        _ => first.len_utf8(),
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn word_len(text: &str) -> usize {
    text.find(|character| !is_word(character)).unwrap_or(text.len())
}

fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + quote.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn parameter_name(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn literal(value: &Value) -> Result<String, BindError> {
    Ok(match value {
        Value::String(text) => quoted(text, '\''),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number_literal(number),
        Value::Object(entries) => return typed_literal(entries),
        Value::Null | Value::Array(_) => {
            let kind = if value.is_null() { "<nil>" } else { "[]interface {}" };
            return Err(BindError::Unbindable(format!("unable to bind parameter with type {kind}")));
        }
    })
}

/// `{"duration": "10m"}` and its like: one entry that names the kind of literal.
fn typed_literal(entries: &Map<String, Value>) -> Result<String, BindError> {
    let one_entry =
        || BindError::Unbindable("bound object parameter value must have exactly one entry".to_owned());
    let mut entries = entries.iter();
    let (Some((kind, value)), None) = (entries.next(), entries.next()) else { return Err(one_entry()) };
    let bound = match (kind.as_str(), value) {
        ("ident" | "identifier", Value::String(name)) => Some(quoted(name, '"')),
        ("regex", Value::String(regex)) => Some(format!("/{}/", regex.replace('/', "\\/"))),
        ("string", Value::String(text)) => Some(quoted(text, '\'')),
        ("duration", Value::String(duration)) if is_duration(duration) => Some(duration.clone()),
        ("duration", Value::Number(number)) if number.is_i64() => Some(format!("{number}ns")),
        ("float" | "number", Value::Number(number)) => number.as_f64().map(float_literal),
        ("int" | "integer", Value::Number(number)) if number.is_i64() => Some(number.to_string()),
        _ => None,
    };
    bound.ok_or_else(|| {
        BindError::Unbindable(format!("unable to bind {} parameter as {kind}", json_kind(value)))
    })
}

/// `1h30m` and the like: digits and units only, so that it can be nothing else.
fn is_duration(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_digit())
        && characters.all(|character| {
            character.is_ascii_digit() || matches!(character, 'n' | 'u' | 'µ' | 'm' | 's' | 'h' | 'd' | 'w')
        })
        && !text.ends_with(|last: char| last.is_ascii_digit())
}

fn number_literal(number: &serde_json::Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    float_literal(number.as_f64().unwrap_or(0.0))
}

/// With a point, so that it stays a float.
fn float_literal(value: f64) -> String {
    let mut text = Vec::new();
    push_f64_plain(&mut text, value);
    let mut text = String::from_utf8(text).unwrap_or_default();
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

fn quoted(text: &str, quote: char) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push(quote);
    for character in text.chars() {
        match character {
            '\n' => literal.push_str("\\n"),
            '\\' => literal.push_str("\\\\"),
            _ if character == quote => {
                literal.push('\\');
                literal.push(character);
            }
            _ => literal.push(character),
        }
    }
    literal.push(quote);
    literal
}

const fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bind(query: &str, params: &str) -> String {
        bind_parameters(query, params).unwrap()
    }

    #[test]
    fn values_become_literals() {
        let query = "SELECT * FROM n WHERE t = $t AND x > $x AND b = $b";
        assert_eq!(
            bind(query, r#"{"t":"a'b\\","x":1.5,"b":true}"#),
            r"SELECT * FROM n WHERE t = 'a\'b\\' AND x > 1.5 AND b = true"
        );
        assert_eq!(bind("$i $f $n", r#"{"i":7,"f":1e25,"n":-2}"#), "7 10000000000000000000000000.0 -2");
        assert_eq!(bind("$\"a b\"", r#"{"a b":1}"#), "1");
    }

    #[test]
    fn typed_values() {
        let params = r#"{"m":{"identifier":"a\"b"},"r":{"regex":"^a/b$"},"d":{"duration":"1h30m"},"e":{"duration":60}}"#;
        assert_eq!(
            bind("FROM $m WHERE h =~ $r AND time > now() - $d GROUP BY time($e)", params),
            r#"FROM "a\"b" WHERE h =~ /^a\/b$/ AND time > now() - 1h30m GROUP BY time(60ns)"#
        );
        let bad = bind_parameters("$d", r#"{"d":{"duration":"1h) OR true"}}"#);
        assert!(matches!(bad, Err(BindError::Unbindable(_))), "{bad:?}");
    }

    #[test]
    fn text_that_only_looks_like_a_parameter_stays() {
        let query =
            "SELECT '$t', \"$t\" FROM /a$t/ WHERE a =~ /x$t/ /* $t */ AND b = 4 / $t -- $t\nAND c = $u";
        assert_eq!(
            bind(query, r#"{"t":1}"#),
            "SELECT '$t', \"$t\" FROM /a$t/ WHERE a =~ /x$t/ /* $t */ AND b = 4 / 1 -- $t\nAND c = $u"
        );
        assert_eq!(bind("a =~ /b$/", ""), "a =~ /b$/");
    }

    /// Texts of InfluxDB 1.6.7.
    #[test]
    fn errors_as_influxdb() {
        let error = |params| bind_parameters("$t", params).unwrap_err().to_string();
        assert_eq!(error(r#"{"t":"#), "error parsing query parameters: unexpected EOF");
        assert_eq!(
            error("[1]"),
            "error parsing query parameters: json: cannot unmarshal array into Go value of type map[string]interface {}"
        );
        assert_eq!(
            error(r#"{"t":null}"#),
            "error parsing query: missing parameter: unable to bind parameter with type <nil>"
        );
        assert_eq!(
            error(r#"{"t":[1]}"#),
            "error parsing query: missing parameter: unable to bind parameter with type []interface {}"
        );
    }

    proptest! {
        /// Without parameters of its names, a query is left alone, whatever it is.
        #[test]
        fn other_text_stays(query in any::<String>()) {
            prop_assert_eq!(bind(&query, r#"{"no such name":1}"#), query);
        }
    }
}
