//! `extern`: a syntax tree in JSON, by which clients of InfluxDB 2 give values to a query's names.
//!
//! ```text
//! {"imports": [], "body": [{"type": "OptionStatement", "assignment":
//!     {"type": "VariableAssignment", "id": {"name": "host"}, "init": {"type": "StringLiteral", "value": "a"}}}]}
//! ```
//!
//! Only literals are read, arrays and records of them; that is what clients send.

use std::sync::Arc;

use serde_json::Value as Json;
use skywatch_flux_runtime::{Duration, Record, Value, parse_time};

/// Arrays within arrays.
const DEPTH_MAX: u32 = 32;

/// The names that a tree gives values to; why it cannot be read, in words.
pub(crate) fn extern_options(tree: &Json) -> Result<Vec<(Arc<str>, Value)>, String> {
    let body = match tree.get("body") {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(Json::Array(statements)) => statements,
        Some(_) => return Err("body is not an array".to_owned()),
    };
    if tree.get("imports").and_then(Json::as_array).is_some_and(|imports| !imports.is_empty()) {
        return Err("imports are not supported".to_owned());
    }
    body.iter().map(option).collect()
}

fn option(statement: &Json) -> Result<(Arc<str>, Value), String> {
    let assignment = match kind(statement) {
        "OptionStatement" => statement.get("assignment").unwrap_or(&Json::Null),
        "VariableAssignment" => statement,
        other => return Err(format!("a statement of type {other:?} is not supported")),
    };
    let name = assignment.pointer("/id/name").and_then(Json::as_str);
    let name = name.ok_or("an assignment lacks its name")?;
    let value = assignment.get("init").ok_or_else(|| format!("{name} lacks its value"))?;
    Ok((Arc::from(name), literal(value, 0).map_err(|reason| format!("{name}: {reason}"))?))
}

fn kind(node: &Json) -> &str {
    node.get("type").and_then(Json::as_str).unwrap_or_default()
}

fn literal(node: &Json, depth: u32) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err(format!("nested more than {DEPTH_MAX} deep"));
    }
    let value = node.get("value").unwrap_or(&Json::Null);
    // Integers come as texts, since numbers of JSON are floats to some; and as numbers.
    let digits = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let wrong = || format!("{value} is no {}", kind(node));
    match kind(node) {
        "StringLiteral" => value.as_str().map(Value::text).ok_or_else(wrong),
        "BooleanLiteral" => value.as_bool().map(Value::Bool).ok_or_else(wrong),
        "IntegerLiteral" => digits().parse().map(Value::Int).map_err(|_| wrong()),
        "UnsignedIntegerLiteral" => digits().parse().map(Value::Uint).map_err(|_| wrong()),
        "FloatLiteral" => digits().parse().map(Value::Float).map_err(|_| wrong()),
        "DateTimeLiteral" => value.as_str().and_then(parse_time).map(Value::Time).ok_or_else(wrong),
        "DurationLiteral" => duration(node).map(Value::Duration),
        "UnaryExpression" if node.get("operator").and_then(Json::as_str) == Some("-") => {
            let argument = node.get("argument").unwrap_or(&Json::Null);
            match literal(argument, depth + 1)? {
                Value::Int(value) => Ok(Value::Int(value.wrapping_neg())),
                Value::Float(value) => Ok(Value::Float(-value)),
                Value::Duration(duration) => Ok(Value::Duration(-duration)),
                other => Err(format!("a {} has no negative", other.kind().name())),
            }
        }
        "ArrayExpression" => {
            let elements = node.get("elements").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            let values: Result<Vec<Value>, String> =
                elements.iter().map(|element| literal(element, depth + 1)).collect();
            values.map(Value::array)
        }
        "ObjectExpression" => {
            let properties = node.get("properties").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            let members: Result<Vec<(Arc<str>, Value)>, String> =
                properties.iter().map(|property| member(property, depth)).collect();
            members.map(|members| Record::new(members).into())
        }
        other => Err(format!("an expression of type {other:?} is not supported")),
    }
}

fn member(property: &Json, depth: u32) -> Result<(Arc<str>, Value), String> {
    let key = property.get("key").unwrap_or(&Json::Null);
    let name = key.get("name").or_else(|| key.get("value")).and_then(Json::as_str);
    let name = name.ok_or("a property lacks its name")?;
    let value = property.get("value").ok_or_else(|| format!("property {name} lacks its value"))?;
    Ok((Arc::from(name), literal(value, depth + 1)?))
}

/// `[{"magnitude": 1, "unit": "h"}, {"magnitude": 30, "unit": "m"}]`
fn duration(node: &Json) -> Result<Duration, String> {
    let parts = node.get("values").and_then(Json::as_array).ok_or("a duration lacks its values")?;
    let mut text = String::new();
    let mut is_negative = false;
    for part in parts {
        let magnitude = part.get("magnitude").and_then(Json::as_i64).ok_or("a duration lacks a magnitude")?;
        let unit = part.get("unit").and_then(Json::as_str).ok_or("a duration lacks a unit")?;
        is_negative |= magnitude < 0;
        text.push_str(&format!("{}{unit}", magnitude.unsigned_abs()));
    }
    let duration: Duration = text.parse().map_err(|error| format!("{error}"))?;
    Ok(if is_negative { -duration } else { duration })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skywatch_flux_runtime::show;

    use super::*;

    fn read(init: &Json) -> Result<String, String> {
        let assignment =
            json!({"type": "VariableAssignment", "id": {"type": "Identifier", "name": "x"}, "init": init});
        let tree = json!({"imports": [], "body": [{"type": "OptionStatement", "assignment": assignment}]});
        let options = extern_options(&tree)?;
        let [(name, value)] = options.as_slice() else { panic!("one option") };
        assert_eq!(&**name, "x");
        Ok(show(value))
    }

    #[test]
    fn literals_are_read() {
        let int = |text: &str| json!({"type": "IntegerLiteral", "value": text});
        for (init, expected) in [
            (json!({"type": "StringLiteral", "value": "a"}), "a"),
            (int("5"), "5"),
            (json!({"type": "UnaryExpression", "operator": "-", "argument": int("5")}), "-5"),
            (json!({"type": "FloatLiteral", "value": 1.5}), "1.5"),
            (json!({"type": "BooleanLiteral", "value": true}), "true"),
            (json!({"type": "DateTimeLiteral", "value": "2026-01-01T00:00:00Z"}), "2026-01-01T00:00:00Z"),
            (json!({"type": "DurationLiteral", "values": [{"magnitude": -90, "unit": "m"}]}), "-1h30m"),
            (json!({"type": "ArrayExpression", "elements": [int("1"), int("2")]}), "[1, 2]"),
            (
                json!({"type": "ObjectExpression", "properties": [{"key": {"name": "a"}, "value": int("1")}]}),
                "{a: 1}",
            ),
        ] {
            assert_eq!(read(&init).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        let call = json!({"type": "CallExpression"});
        assert_eq!(
            read(&call),
            Err("x: an expression of type \"CallExpression\" is not supported".to_owned())
        );
        assert_eq!(
            read(&json!({"type": "IntegerLiteral", "value": "1.5"})),
            Err("x: \"1.5\" is no IntegerLiteral".to_owned())
        );
        assert!(extern_options(&json!({})).is_ok_and(|options| options.is_empty()));
    }
}
