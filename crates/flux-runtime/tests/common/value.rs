//! What single expressions stand for.

#![allow(dead_code, reason = "each test binary uses some of it")]

use crate::common::answer;

/// What an expression stands for, as text; or what is wrong with it, without its place.
pub(crate) fn value(imports: &[&str], expression: &str) -> String {
    value_with(imports, "", expression)
}

/// The same after other statements.
pub(crate) fn value_with(imports: &[&str], before: &str, expression: &str) -> String {
    let imports: Vec<String> =
        imports.iter().chain([&"array"]).map(|path| format!("import \"{path}\"\n")).collect();
    let before = format!("{}{before}\n", imports.concat());
    let plain = answer(&format!("{before}array.from(rows: [{{v: {expression}}}])"));
    let answer = match plain.contains("column v cannot hold") {
        // No column holds arrays, records and dictionaries.
        true => answer(&format!("{before}array.from(rows: [{{v: display(v: {expression})}}])")),
        false => plain,
    };
    match answer.strip_prefix("_result: \n v:") {
        Some(table) => {
            let row = table.split_once('\n').map_or("", |(_kind, row)| row);
            row.strip_prefix(' ').unwrap_or(row).trim_end_matches('\n').to_owned()
        }
        None => {
            let answer = answer.trim_end();
            answer.split_once(": ").map_or(answer, |(_, message)| message).to_owned()
        }
    }
}

/// Asserts what expressions stand for, all with one import.
#[track_caller]
pub(crate) fn all(import: &str, cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(value(&[import], expression), *expected, "{expression}");
    }
}
