//! The query of Grafana's visual editor, put into words as its data source does: parts that are applied one after the other
//! make a column, and the rest of the statement follows from lists of conditions and groups.

use super::{
    reader::{Reader, Table},
    yaml::{Node, Value},
};

/// What the editor offers that is written as a function.
const FUNCTIONS: &[&str] = &[
    "bottom",
    "count",
    "cumulative_sum",
    "derivative",
    "difference",
    "distinct",
    "elapsed",
    "first",
    "holt_winters",
    "holt_winters_with_fit",
    "integral",
    "last",
    "max",
    "mean",
    "median",
    "min",
    "mode",
    "moving_average",
    "non_negative_derivative",
    "non_negative_difference",
    "percentile",
    "spread",
    "stddev",
    "sum",
    "top",
];

/// The text of the query in `model`, whose retention policy is told elsewhere.
pub(super) fn text(reader: &mut Reader<'_>, model: &Table<'_>, measurement: &str) -> Option<String> {
    let columns = columns(reader, model)?;
    let from = if is_regex(measurement) { measurement.to_owned() } else { quoted(measurement) };
    let conditions = conditions(reader, model)?;
    let mut text = format!("SELECT {columns} FROM {from} WHERE ");
    match conditions.as_slice() {
        [] => {}
        [one] => text += &format!("{one} AND "),
        several => text += &format!("({}) AND ", several.join(" ")),
    }
    text += "$timeFilter";
    text += &groups(reader, model)?;
    let mut option = |key: &str| reader.raw_text(model, key).filter(|value| !value.is_empty());
    if let Some(order) = option("orderByTime") {
        text += &format!(" ORDER BY time {order}");
    }
    for key in ["limit", "slimit"] {
        if let Some(count) = option(key) {
            text += &format!(" {key} {count}");
        }
    }
    if let Some(zone) = option("tz") {
        text += &format!(" tz('{zone}')");
    }
    Some(text)
}

/// `mean("usage") * 100 AS "busy", ...`
fn columns(reader: &mut Reader<'_>, model: &Table<'_>) -> Option<String> {
    let mut columns = Vec::new();
    for column in reader.items(model, "select") {
        let Value::Sequence(parts) = &column.value else {
            reader.problem(column.at, "an entry of \"select\" is a list of parts");
            return None;
        };
        let mut text = String::new();
        for node in parts {
            text = selected(reader, node, text)?;
        }
        columns.push(text);
    }
    if columns.is_empty() {
        reader.problem(model.position("select"), "a query of the visual editor needs \"select\"");
        return None;
    }
    Some(columns.join(", "))
}

/// A column, `inner` being what the parts before this one make.
fn selected(reader: &mut Reader<'_>, node: &Node, inner: String) -> Option<String> {
    let Part { kind, params } = part(reader, node)?;
    let first = params.first().map(String::as_str).unwrap_or_default();
    Some(match kind.as_str() {
        "field" | "tag" => key(first),
        "math" => format!("{inner} {first}"),
        "alias" => format!("{inner} AS {}", quoted(first)),
        function if FUNCTIONS.contains(&function) => {
            let inner = Some(inner).filter(|inner| !inner.is_empty());
            let arguments: Vec<String> = inner.into_iter().chain(params).collect();
            format!("{function}({})", arguments.join(", "))
        }
        other => {
            reader.problem(node.at, format!("{other:?} is no part of a column that is known here"));
            return None;
        }
    })
}

/// ` GROUP BY time($__interval), "host"::tag fill(null)`
fn groups(reader: &mut Reader<'_>, model: &Table<'_>) -> Option<String> {
    let mut text = String::new();
    for node in reader.items(model, "groupBy") {
        let Part { kind, params } = part(reader, node)?;
        let first = params.first().map(String::as_str).unwrap_or_default();
        let group = match kind.as_str() {
            "time" if first == "auto" => "time($__interval)".to_owned(),
            "time" | "fill" => format!("{kind}({})", params.join(", ")),
            "tag" | "field" => key(first),
            other => {
                reader.problem(node.at, format!("{other:?} cannot be grouped by; time, tag and fill can"));
                return None;
            }
        };
        text += match (text.is_empty(), kind.as_str()) {
            (true, _) => " GROUP BY ",
            (false, "fill") => " ",
            (false, _) => ", ",
        };
        text += &group;
    }
    Some(text)
}

struct Part {
    kind: String,
    params: Vec<String>,
}

fn part(reader: &mut Reader<'_>, node: &Node) -> Option<Part> {
    let table = reader.open_table(node, "a part of the query")?;
    let Some(kind) = reader.raw_text(&table, "type") else {
        reader.problem(table.at, "a part of the query needs \"type\"");
        return None;
    };
    let mut params = Vec::new();
    for param in reader.items(&table, "params") {
        let Value::Scalar { text, .. } = &param.value else {
            reader.problem(param.at, "\"params\" holds single values");
            return None;
        };
        params.push(text.clone());
    }
    Some(Part { kind, params })
}

fn conditions(reader: &mut Reader<'_>, model: &Table<'_>) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for node in reader.items(model, "tags") {
        let table = reader.open_table(node, "a condition of the query")?;
        let mut text = |name: &str| reader.raw_text(&table, name).unwrap_or_default();
        let (name, value, operator, joined) =
            (text("key"), text("value"), text("operator"), text("condition"));
        let joined = match (found.is_empty(), joined.as_str()) {
            (true, _) => String::new(),
            (false, "") => "AND ".to_owned(),
            (false, word) => format!("{word} "),
        };
        let (operator, value) = compared(&name, &operator, &value);
        found.push(format!("{joined}{} {operator} {value}", key(&name)));
    }
    Some(found)
}

/// The operator and the right side of a comparison. What stands in no quotes is what the editor could not mean as a text.
fn compared<'o>(name: &str, operator: &'o str, value: &str) -> (&'o str, String) {
    let whole = |mark: &str| match value.strip_prefix("/^").and_then(|rest| rest.strip_suffix("$/")) {
        Some(inner) => format!("{mark}{inner}{mark}"),
        None => value.to_owned(),
    };
    match operator {
        "" if is_regex(value) => ("=~", value.to_owned()),
        "" => ("=", literal(value)),
        "=~" | "!~" => (operator, value.to_owned()),
        "<" | ">" | "<=" | ">=" => (operator, whole("'")),
        "Is" | "Is Not" => {
            let bare = value.to_lowercase();
            let number = value.strip_prefix('-').unwrap_or(value);
            let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
            let right = match bare.as_str() {
                _ if name.ends_with("::tag") => literal(value),
                "true" | "false" => bare,
                _ if is_number => value.to_owned(),
                _ => literal(value),
            };
            (if operator == "Is" { "=" } else { "!=" }, right)
        }
        _ => (operator, literal(&whole(""))),
    }
}

fn is_regex(text: &str) -> bool {
    text.len() >= 2 && text.starts_with('/') && text.ends_with('/')
}

/// A name, of which the editor may know what it names: `host::tag`.
fn key(name: &str) -> String {
    if name == "*" {
        return name.to_owned();
    }
    for kind in ["::tag", "::field"] {
        if let Some(name) = name.strip_suffix(kind) {
            return format!("{}{kind}", quoted(name));
        }
    }
    quoted(name)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\\\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
