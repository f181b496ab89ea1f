//! Bound parameters: the request's `params`, a JSON object, as values for the `$name`s of its query.
//!
//! The values travel beside the query, whose text stays as the client wrote it: nothing has to be quoted, and errors
//! name the places that the client sees. A value that no literal of InfluxQL has is an error once the query uses it.

use serde_json::{Map, Value};
use skywatch_query::{ParamValue, Params};

/// Why `params` cannot be used; worded as InfluxDB does.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BindError {
    /// Not a JSON object.
    #[error("error parsing query parameters: {0}")]
    Malformed(String),
    /// A whole number that does not fit.
    #[error("error parsing json value: strconv.ParseInt: parsing \"{0}\": value out of range")]
    TooLarge(u64),
}

/// Reads `params`, a JSON object or empty. What stands behind the object is not looked at.
pub(crate) fn bound_parameters(params: &str) -> Result<Params, BindError> {
    if params.is_empty() {
        return Ok(Params::new());
    }
    let Some(first) = serde_json::Deserializer::from_str(params).into_iter::<Value>().next() else {
        return Err(BindError::Malformed("EOF".to_owned()));
    };
    let values = match first {
        Ok(Value::Object(values)) => values,
        Ok(Value::Null) => Map::new(),
        Ok(other) => {
            return Err(BindError::Malformed(format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                json_kind(&other)
            )));
        }
        Err(error) if error.is_eof() => return Err(BindError::Malformed("unexpected EOF".to_owned())),
        Err(error) => return Err(BindError::Malformed(told(&error, params))),
    };
    values.into_iter().map(|(name, value)| Ok((name, bound(value)?))).collect()
}

/// What is wrong with the JSON, in Go's words where these are known.
fn told(error: &serde_json::Error, params: &str) -> String {
    const PLACES: [(&str, &str); 7] = [
        ("key must be a string", "looking for beginning of object key string"),
        ("trailing comma", "looking for beginning of object key string"),
        ("expected value", "looking for beginning of value"),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("invalid escape", "in string escape code"),
    ];
    let text = error.to_string();
    let place = PLACES.iter().find(|(known, _)| text.starts_with(known));
    let line = params.split('\n').nth(error.line().saturating_sub(1));
    let rest = line.and_then(|line| line.get(error.column().saturating_sub(1)..));
    match (place, rest.and_then(|rest| rest.chars().next())) {
        (Some((_, place)), Some('"')) => format!("invalid character '\"' {place}"),
        (Some((_, place)), Some(found)) => format!("invalid character '{}' {place}", found.escape_default()),
        _ => text,
    }
}

fn bound(value: Value) -> Result<ParamValue, BindError> {
    Ok(match value {
        Value::String(text) => ParamValue::String(text),
        Value::Bool(value) => ParamValue::Boolean(value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => ParamValue::Integer(value),
            (None, Some(value)) => return Err(BindError::TooLarge(value)),
            (None, None) => ParamValue::Number(number.as_f64().unwrap_or_default()),
        },
        Value::Object(entries) => typed(entries),
        Value::Null => unbindable("unable to bind parameter with type <nil>"),
        Value::Array(_) => unbindable("unable to bind parameter with type []interface {}"),
    })
}

fn unbindable(reason: &str) -> ParamValue {
    ParamValue::Unbindable(reason.to_owned())
}

/// `{"duration": "10m"}` and its like: one entry that names the kind of literal.
fn typed(entries: Map<String, Value>) -> ParamValue {
    let mut entries = entries.into_iter();
    let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
        return unbindable("bound object parameter value must have exactly one entry");
    };
    let bound = match (kind.as_str(), value) {
        ("ident" | "identifier", Value::String(name)) => Some(ParamValue::Identifier(name)),
        ("regex", Value::String(regex)) => Some(ParamValue::Regex(regex)),
        ("string", Value::String(text)) => Some(ParamValue::String(text)),
        ("duration", Value::String(duration)) => Some(ParamValue::Duration(duration)),
        ("duration", Value::Number(number)) => {
            number.as_i64().map(|nanoseconds| ParamValue::Duration(format!("{nanoseconds}ns")))
        }
        ("float" | "number", Value::Number(number)) => number.as_f64().map(ParamValue::Number),
        ("int" | "integer", Value::Number(number)) => number.as_i64().map(ParamValue::Integer),
        _ => None,
    };
    bound.unwrap_or_else(|| match kind.as_str() {
        "ident" | "identifier" => unbindable("identifier must be a string value"),
        "regex" => unbindable("regex literal must be a string value"),
        "string" => unbindable("string literal must be a string value"),
        "float" | "number" => unbindable("number literal must be a float value"),
        "int" | "integer" => unbindable("integer literal must be an integer value"),
        "duration" => unbindable("duration literal must be a string or integer value"),
        _ => unbindable(&format!("unknown bind object type: {kind}")),
    })
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

    fn one(json: &str) -> ParamValue {
        bound_parameters(&format!("{{\"v\":{json}}}")).unwrap().remove("v").unwrap()
    }

    #[test]
    fn values_have_the_kinds_of_their_json() {
        assert_eq!(one(r#""a'b\\""#), ParamValue::String("a'b\\".to_owned()));
        assert_eq!(one("1.5"), ParamValue::Number(1.5));
        assert_eq!(one("1e25"), ParamValue::Number(1e25));
        assert_eq!(one("-2"), ParamValue::Integer(-2));
        assert_eq!(one("true"), ParamValue::Boolean(true));
        assert_eq!(bound_parameters(""), Ok(Params::new()));
        assert_eq!(bound_parameters("{} x"), Ok(Params::new()));
        assert_eq!(bound_parameters("null"), Ok(Params::new()));
    }

    #[test]
    fn objects_name_their_kind() {
        assert_eq!(one(r#"{"identifier":"a\"b"}"#), ParamValue::Identifier("a\"b".to_owned()));
        assert_eq!(one(r#"{"regex":"^a/b$"}"#), ParamValue::Regex("^a/b$".to_owned()));
        assert_eq!(one(r#"{"duration":"1h30m"}"#), ParamValue::Duration("1h30m".to_owned()));
        assert_eq!(one(r#"{"duration":60}"#), ParamValue::Duration("60ns".to_owned()));
        assert_eq!(one(r#"{"integer":7}"#), ParamValue::Integer(7));
        assert_eq!(one(r#"{"float":7}"#), ParamValue::Number(7.0));
        for odd in [r#"{"integer":1.5}"#, r#"{"a":1,"b":2}"#, "{}", r#"{"regex":1}"#] {
            assert!(matches!(one(odd), ParamValue::Unbindable(_)), "{odd}");
        }
    }

    /// Texts of InfluxDB 1.6.7.
    #[test]
    fn errors_as_influxdb() {
        let error = |params| bound_parameters(params).unwrap_err().to_string();
        assert_eq!(error(r#"{"t":"#), "error parsing query parameters: unexpected EOF");
        assert_eq!(
            error("[1]"),
            "error parsing query parameters: json: cannot unmarshal array into Go value of type map[string]interface {}"
        );
        assert_eq!(error(" "), "error parsing query parameters: EOF");
        for (params, found) in [
            ("{h:1}", "'h' looking for beginning of object key string"),
            (r#"{"h":"a",}"#, "'}' looking for beginning of object key string"),
            (r#"{"h" 1}"#, "'1' after object key"),
            (r#"{"h":"a" 1}"#, "'1' after object key:value pair"),
            ("x", "'x' looking for beginning of value"),
        ] {
            assert_eq!(error(params), format!("error parsing query parameters: invalid character {found}"));
        }
        for (value, why) in [
            (r#"{"boolean":true}"#, "unknown bind object type: boolean"),
            (r#"{"string":1}"#, "string literal must be a string value"),
            (r#"{"integer":1.5}"#, "integer literal must be an integer value"),
            (r#"{"float":"1"}"#, "number literal must be a float value"),
            (r#"{"ident":1}"#, "identifier must be a string value"),
            (r#"{"regex":1}"#, "regex literal must be a string value"),
            (r#"{"duration":true}"#, "duration literal must be a string or integer value"),
        ] {
            assert_eq!(one(value), ParamValue::Unbindable(why.to_owned()));
        }
        assert_eq!(
            one("null"),
            ParamValue::Unbindable("unable to bind parameter with type <nil>".to_owned())
        );
        assert_eq!(
            one("[1]"),
            ParamValue::Unbindable("unable to bind parameter with type []interface {}".to_owned())
        );
    }

    proptest! {
        #[test]
        fn never_panics(params in any::<String>()) {
            drop(bound_parameters(&params));
        }
    }
}
