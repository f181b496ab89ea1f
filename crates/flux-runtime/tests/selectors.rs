//! Rows are chosen, ordered and cut off.

mod common;

use common::{answer, check};

#[track_caller]
fn fails(text: &str, message: &str) {
    let got = answer(text);
    assert!(got.contains("error") && got.contains(message), "{text}\nanswers:\n{got}");
}

/// Rows `{a, _value}`, `a` counted from 0, of values with `null` where there is none.
fn rows(values: &str) -> String {
    let rows: Vec<String> = values
        .split_whitespace()
        .enumerate()
        .map(
            |(a, value)| {
                if value == "null" { format!("{{a: {a}}}") } else { format!("{{a: {a}, _value: {value}}}") }
            },
        )
        .collect();
    format!("import \"array\" array.from(rows: [{}])", rows.join(", "))
}

/// The rows that are left, as `a` of each.
#[track_caller]
fn left(values: &str, call: &str) -> String {
    let text = format!("{} |> {call}", rows(values));
    let got = answer(&text);
    assert!(!got.contains("error"), "{text}\nanswers:\n{got}");
    let cells = got.lines().skip(2).map(|row| row.trim().split(' ').nth(1).unwrap_or_default().to_owned());
    cells.collect::<Vec<_>>().join(" ")
}

const T1: &str = "-2 10 7 17 15 4";
const T2: &str = "19 4 -3 19 13 1";

#[test]
fn one_row() {
    for (call, t1, t2) in
        [("first()", "0", "0"), ("last()", "5", "5"), ("max()", "3", "0"), ("min()", "0", "2")]
    {
        assert_eq!(left(T1, call), t1, "{call}");
        assert_eq!(left(T2, call), t2, "{call}");
    }
    assert_eq!(left("null 3 5 null", "first()"), "1");
    assert_eq!(left("null 3 5 null", "last()"), "2");
    assert_eq!(left("null 3 5 null", r#"last(column: "a")"#), "3");
    assert_eq!(left("null 3.5 2.5 null", "min()"), "2");
    check(&format!("{} |> first() ", rows("null 1")), "_result:\n _value:int a:int\n 1 1");
    check(
        r#"import "array" array.from(rows: [{t: 2021-01-02T00:00:00Z}, {t: 2021-01-01T00:00:00Z}]) |> min(column: "t")"#,
        "_result:\n t:time\n 2021-01-01T00:00:00Z",
    );
}

#[test]
fn no_row_of_an_empty_table() {
    let empty = format!("{} |> filter(fn: (r) => false, onEmpty: \"keep\")", rows("1"));
    for call in
        ["first()", "last()", "min()", "max()", "top(n: 1)", "bottom(n: 1)", "unique()", "sample(n: 1)"]
    {
        check(&format!("{empty} |> {call}"), "");
    }
    for call in ["limit(n: 1)", "tail(n: 1)", "sort()"] {
        check(&format!("{empty} |> {call}"), "_result:\n _value:int a:int");
    }
    check(&format!("{empty} |> distinct()"), "_result:\n _value:int");
}

#[test]
fn what_is_no_number_is_no_extreme() {
    let data = r#"import "array"
        inf = linearBins(start: 0.0, width: 1.0, count: 0)[0]
        array.from(rows: [{_value: inf - inf}, {_value: 1.0}, {_value: 2.0}])"#;
    check(&format!("{data} |> max()"), "_result:\n _value:float\n 2");
    check(&format!("{data} |> min()"), "_result:\n _value:float\n 1");
    fails(
        r#"import "array" array.from(rows: [{_value: "x"}]) |> max()"#,
        "max: column \"_value\" is of type string",
    );
    fails(
        r#"import "array" array.from(rows: [{a: "x"}]) |> first()"#,
        r#"first: column "_value" does not exist"#,
    );
}

#[test]
fn the_first_in_order() {
    assert_eq!(left(T1, "top(n: 3)"), "3 4 1");
    assert_eq!(left(T2, "top(n: 3)"), "0 3 4");
    assert_eq!(left(T2, "bottom(n: 2)"), "2 5");
    assert_eq!(left(T2, "top(n: 100)"), "0 3 4 1 5 2");
    assert_eq!(left(T2, "top(n: 9223372036854775807)"), "0 3 4 1 5 2");
    assert_eq!(left(T2, r#"bottom(n: 3, columns: ["_value", "a"])"#), "2 5 1");
    assert_eq!(left(T2, "top(n: 0)"), "");
    // As `sort` has it: null is above all.
    assert_eq!(left("1 null 2", "top(n: 2)"), "1 2");
    fails(&format!("{} |> top(n: -1)", rows(T1)), "n must not be negative, but is -1");
}

#[test]
fn top_is_sort_and_limit() {
    let values: Vec<String> = (0..200_u32).map(|n| (n * 37 % 50).to_string()).collect();
    let values = values.join(" ");
    for n in [1, 7, 50, 199, 200] {
        assert_eq!(
            left(&values, &format!("top(n: {n})")),
            left(&values, &format!("sort(desc: true) |> limit(n: {n})"))
        );
        assert_eq!(
            left(&values, &format!("bottom(n: {n})")),
            left(&values, &format!("sort() |> limit(n: {n})"))
        );
    }
}

#[test]
fn different_values() {
    assert_eq!(left(T2, "unique()"), "0 1 2 4 5");
    assert_eq!(left("1 null 1 null 2", "unique()"), "0 1 4");
    check(
        &format!("{} |> distinct()", rows("-2 null 7 null null 4")),
        "_result:\n _value:int\n -2\n -\n 7\n 4",
    );
    check(&format!("{} |> distinct(column: \"a\")", rows("5 5")), "_result:\n _value:int\n 0\n 1");
    check(&format!("{} |> distinct(column: \"b\")", rows("5 5")), "_result:\n _value:string\n ");
    fails(&format!("{} |> unique(column: \"b\")", rows("5 5")), r#"column "b" does not exist"#);
}

#[test]
fn values_of_the_key_are_told_once() {
    let data = r#"import "array" array.from(rows: [{_time: 2021-01-01T00:00:00Z, _value: 1}, {_time: 2021-01-01T00:00:01Z, _value: 2}])
        |> range(start: 2021-01-01T00:00:00Z, stop: 2021-01-02T00:00:00Z)"#;
    check(
        &format!("{data} |> distinct(column: \"_stop\")"),
        "_result: _start=2021-01-01T00:00:00Z,_stop=2021-01-02T00:00:00Z
         _start:time _stop:time _value:time
         2021-01-01T00:00:00Z 2021-01-02T00:00:00Z 2021-01-02T00:00:00Z",
    );
}

#[test]
fn samples() {
    assert_eq!(left(T1, "sample(n: 2, pos: 1)"), "1 3 5");
    assert_eq!(left(T1, "sample(n: 4, pos: 0)"), "0 4");
    let drawn = left(T1, "sample(n: 3)");
    assert!(["0 3", "1 4", "2 5"].contains(&&*drawn), "{drawn}");
    assert_eq!(left("1", "sample(n: 9223372036854775807, pos: 5)"), "");
    fails(&format!("{} |> sample(n: 0)", rows(T1)), "n must be positive, but is 0");
    fails(&format!("{} |> sample(n: 2, pos: 2)", rows(T1)), "pos must be less than n, but is 2; n is 2");
}

#[test]
fn rows_are_sorted() {
    assert_eq!(left(T2, "sort()"), "2 5 1 4 0 3");
    assert_eq!(left(T2, "sort(desc: true)"), "0 3 4 1 5 2");
    assert_eq!(left(T2, r#"sort(columns: ["_value", "a"], desc: true)"#), "3 0 4 1 5 2");
    assert_eq!(left("2 null 1", "sort()"), "2 0 1");
    assert_eq!(left("2 null 1", "sort(desc: true)"), "1 0 2");
    assert_eq!(left("2 1", r#"sort(columns: ["nothing"])"#), "0 1");
    assert_eq!(left("2 1", "sort(columns: [])"), "0 1");
    for (values, order) in [("\"b\" \"a\"", "1 0"), ("true false", "1 0"), ("1.5 -0.5", "1 0")] {
        assert_eq!(left(values, "sort()"), order, "{values}");
    }
}

#[test]
fn rows_are_cut_off() {
    assert_eq!(left(T1, "limit(n: 3)"), "0 1 2");
    assert_eq!(left(T1, "limit(n: 3, offset: 2)"), "2 3 4");
    assert_eq!(left(T1, "limit(n: 9223372036854775807, offset: 5)"), "5");
    assert_eq!(left(T1, "limit(n: 3, offset: 9223372036854775807)"), "");
    assert_eq!(left(T1, "tail(n: 3)"), "3 4 5");
    assert_eq!(left(T1, "tail(n: 3, offset: 1)"), "2 3 4");
    assert_eq!(left(T1, "tail(n: 9223372036854775807, offset: 4)"), "0 1");
    assert_eq!(left(T1, "tail(n: 1, offset: 9223372036854775807)"), "");
    assert_eq!(left(T1, "limit(n: 0)"), "");
    fails(&format!("{} |> limit(n: -1)", rows(T1)), "n must not be negative, but is -1");
    fails(&format!("{} |> tail(n: 1, offset: -1)", rows(T1)), "offset must not be negative, but is -1");
    fails(&format!("{} |> limit()", rows(T1)), "missing required keyword argument \"n\"");
}
