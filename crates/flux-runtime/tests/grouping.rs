//! Tables are grouped, merged, made wide and joined.

mod common;

use common::check;

/// Three points of each of two tags.
const TAGS: &str = r#"import "array"
import "join"
data = array.from(rows: [
    {_time: 2021-01-01T00:00:00Z, _value: -2, tag: "t1"}, {_time: 2021-01-01T00:00:10Z, _value: 10, tag: "t1"},
    {_time: 2021-01-01T00:00:20Z, _value: 7, tag: "t1"}, {_time: 2021-01-01T00:00:00Z, _value: 19, tag: "t2"},
    {_time: 2021-01-01T00:00:10Z, _value: 10, tag: "t2"}, {_time: 2021-01-01T00:00:20Z, _value: -3, tag: "t2"},
]) |> group(columns: ["tag"])
"#;

#[track_caller]
fn check_tags(then: &str, expected: &str) {
    check(&format!("{TAGS}{then}"), expected);
}

#[test]
fn groups_by_columns() {
    check_tags(
        r#"data |> group(columns: ["_time"])"#,
        "_result: _time=2021-01-01T00:00:00Z
         _time:time _value:int tag:string
         2021-01-01T00:00:00Z -2 t1\n 2021-01-01T00:00:00Z 19 t2
         _result: _time=2021-01-01T00:00:10Z
         _time:time _value:int tag:string
         2021-01-01T00:00:10Z 10 t1\n 2021-01-01T00:00:10Z 10 t2
         _result: _time=2021-01-01T00:00:20Z
         _time:time _value:int tag:string
         2021-01-01T00:00:20Z 7 t1\n 2021-01-01T00:00:20Z -3 t2",
    );
    check_tags(
        r#"data |> group(columns: ["_time", "tag"], mode: "except") |> drop(columns: ["tag"])"#,
        "_result: _value=-3\n _time:time _value:int\n 2021-01-01T00:00:20Z -3
         _result: _value=-2\n _time:time _value:int\n 2021-01-01T00:00:00Z -2
         _result: _value=7\n _time:time _value:int\n 2021-01-01T00:00:20Z 7
         _result: _value=10\n _time:time _value:int\n 2021-01-01T00:00:10Z 10\n 2021-01-01T00:00:10Z 10
         _result: _value=19\n _time:time _value:int\n 2021-01-01T00:00:00Z 19",
    );
    check_tags(
        r#"data |> group() |> keep(columns: ["_value", "tag"])"#,
        "_result: \n _value:int tag:string\n -2 t1\n 10 t1\n 7 t1\n 19 t2\n 10 t2\n -3 t2",
    );
    check_tags(
        r#"data |> group(columns: ["nowhere", "tag"]) |> count()"#,
        "_result: tag=t1\n tag:string _value:int\n t1 3\n _result: tag=t2\n tag:string _value:int\n t2 3",
    );
    check_tags(
        r#"data |> group(mode: "with")"#,
        r#"runtime error @8:9-8:28: group: mode is "by" or "except", not "with""#,
    );
}

#[test]
fn groups_by_what_is_missing_or_not_a_number() {
    check(
        r#"import "array"
           nan = 0.0 / 0.0
           array.from(rows: [{k: nan, v: 1}, {k: nan, v: 2}, {v: 3}, {k: 0.0, v: 4}, {k: -0.0, v: 5}])
               |> group(columns: ["k"]) |> sum(column: "v") |> group()"#,
        "_result: \n k:float v:int\n - 3\n 0 9\n NaN 3",
    );
}

#[test]
fn tables_with_other_columns_are_merged() {
    check(
        r#"import "array"
           a = array.from(rows: [{x: 1, only: "a"}])
           b = array.from(rows: [{x: 2, other: 2.5}, {x: 3}])
           union(tables: [a, b])"#,
        "_result: \n only:string x:int other:float\n a 1 -\n - 2 2.5\n - 3 -",
    );
    check(
        r#"import "array"
           a = array.from(rows: [{x: 1}])
           b = array.from(rows: [{x: 2.5}])
           union(tables: [a, b])"#,
        r#"runtime error @4:12-4:33: union: schema collision detected: column "x" is both of type int and float"#,
    );
    // What never had a value may be of any type.
    check(
        r#"import "array"
           a = array.from(rows: [{x: 1}]) |> map(fn: (r) => ({x: r.y}))
           b = array.from(rows: [{x: 2.5}])
           union(tables: [a, b])"#,
        "_result: \n x:float\n -\n 2.5",
    );
}

#[test]
fn unions_are_by_key() {
    check_tags(
        r#"other = data |> filter(fn: (r) => r.tag == "t2") |> set(key: "tag", value: "s")
           union(tables: [data |> limit(n: 1), other |> limit(n: 1), data |> tail(n: 1)]) |> drop(columns: ["_time"])"#,
        "_result: tag=s\n _value:int tag:string\n 19 s
         _result: tag=t1\n _value:int tag:string\n -2 t1\n 7 t1
         _result: tag=t2\n _value:int tag:string\n 19 t2\n -3 t2",
    );
    check("union(tables: [])", "runtime error @1:1-1:18: union: tables: give at least one stream of tables");
    check(
        "union(tables: [1])",
        "runtime error @1:1-1:19: union: tables: element 0 is a int, not a stream of tables",
    );
}

#[test]
fn fields_become_columns() {
    check(
        r#"import "array"
           at = (s, f, v) => ({_time: s, _measurement: "m1", _field: f, _value: v})
           s1 = 1970-01-01T00:00:01Z
           s2 = 1970-01-01T00:00:02Z
           s3 = 1970-01-01T00:00:03Z
           s4 = 1970-01-01T00:00:04Z
           array.from(rows: [
               at(s: s1, f: "f1", v: 1), at(s: s1, f: "f2", v: 2), {_time: s1, _measurement: "m1", _field: "f3"},
               at(s: s2, f: "f1", v: 4), at(s: s2, f: "f2", v: 5), at(s: s2, f: "f3", v: 6),
               at(s: s3, f: "f2", v: 7), at(s: s4, f: "f3", v: 8),
           ])
               |> group(columns: ["_measurement", "_field"])
               |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")"#,
        "_result: _measurement=m1
         _measurement:string _time:time f1:int f2:int f3:int
         m1 1970-01-01T00:00:01Z 1 2 -
         m1 1970-01-01T00:00:02Z 4 5 6
         m1 1970-01-01T00:00:03Z - 7 -
         m1 1970-01-01T00:00:04Z - - 8",
    );
    check_tags(
        r#"data |> pivot(rowKey: ["_time"], columnKey: ["tag"], valueColumn: "_value")"#,
        "_result: \n _time:time t1:int t2:int
         2021-01-01T00:00:00Z -2 19\n 2021-01-01T00:00:10Z 10 10\n 2021-01-01T00:00:20Z 7 -3",
    );
}

#[test]
fn fields_of_several_types_and_keys_become_columns() {
    check(
        r#"import "array"
           union(tables: [
               array.from(rows: [{t: 1, f: "x", h: "a", v: 1.5}, {t: 3, f: "x", h: "a", v: 3.5}]) |> group(columns: ["f", "h"]),
               array.from(rows: [{t: 2, f: "y", h: "a", v: "two"}, {t: 3, f: "y", h: "a", v: "three"}, {t: 3, f: "y", h: "a", v: "last"}])
                   |> group(columns: ["f", "h"]),
           ])
               |> pivot(rowKey: ["t"], columnKey: ["f"], valueColumn: "v")"#,
        "_result: h=a\n h:string t:int x:float y:string\n a 1 1.5 -\n a 2 - two\n a 3 3.5 last",
    );
    check(
        r#"import "array"
           array.from(rows: [{t: 2, a: "x", b: 1, v: 1}, {t: 1, a: "x", v: 2}, {t: 2, a: "x", v: 3, more: true}])
               |> pivot(rowKey: ["t"], columnKey: ["a", "b"], valueColumn: "v")"#,
        "_result: \n t:int x_1:int x_null:int\n 2 1 3\n 1 - 2",
    );
}

#[test]
fn what_cannot_become_columns_is_told() {
    for (then, text) in [
        (r#"pivot(rowKey: ["x"], columnKey: ["tag"], valueColumn: "_value")"#, "column \"x\" does not exist"),
        (
            r#"pivot(rowKey: ["_time"], columnKey: ["x"], valueColumn: "_value")"#,
            "column \"x\" does not exist",
        ),
        (r#"pivot(rowKey: ["_time"], columnKey: ["tag"], valueColumn: "x")"#, "column \"x\" does not exist"),
        (
            r#"pivot(rowKey: ["tag"], columnKey: ["tag"], valueColumn: "_value")"#,
            "column \"tag\" is both in rowKey and in columnKey",
        ),
        (
            r#"pivot(rowKey: ["tag"], columnKey: ["_time"], valueColumn: "tag")"#,
            "valueColumn \"tag\" cannot be in rowKey or columnKey too",
        ),
        (
            r#"set(key: "tag", value: "_time") |> pivot(rowKey: ["_time"], columnKey: ["tag"], valueColumn: "_value")"#,
            "column \"_time\" is there already: rename or drop it before it is made of columnKey",
        ),
    ] {
        let answer = common::answer(&format!("{TAGS} data |> {then}"));
        assert!(answer.trim_end().ends_with(&format!("pivot: {text}")), "{then}: {answer}");
    }
}

const PAIRS: &str = r#"import "array"
import "join"
day = 2022-01-01T00:00:00Z
left = array.from(rows: [
    {_time: day, _value: 1, label: "a"}, {_time: day, _value: 2, label: "b"}, {_time: day, _value: 3, label: "d"},
])
right = array.from(rows: [
    {_time: day, _value: 0.4, id: "a"}, {_time: day, _value: 0.5, id: "c"}, {_time: day, _value: 0.6, id: "d"},
])
on = (l, r) => l.label == r.id and r._time == l._time
as = (l, r) => {
    label = if exists l.label then l.label else r.id
    return {label: label, v_left: l._value, v_right: r._value}
}
"#;

#[test]
fn rows_are_joined() {
    let columns = "_result: \n label:string v_left:int v_right:float\n";
    for (call, rows) in [
        ("join.inner(left: left, right: right, on: on, as: as)", "a 1 0.4\n d 3 0.6"),
        ("left |> join.left(right: right, on: on, as: as)", "a 1 0.4\n b 2 -\n d 3 0.6"),
        ("left |> join.right(right: right, on: on, as: as)", "a 1 0.4\n c - 0.5\n d 3 0.6"),
        ("join.full(left: left, right: right, on: on, as: as)", "a 1 0.4\n b 2 -\n c - 0.5\n d 3 0.6"),
        (
            r#"join.tables(method: "full", left: left, right: right, on: on, as: as)"#,
            "a 1 0.4\n b 2 -\n c - 0.5\n d 3 0.6",
        ),
    ] {
        check(&format!("{PAIRS}{call}"), &format!("{columns}{rows}"));
    }
}

#[test]
fn rows_are_joined_within_their_group() {
    check_tags(
        r#"words = data |> map(fn: (r) => ({r with _value: "${r._value}"})) |> filter(fn: (r) => r._value != "7")
           join.time(left: data, right: words, as: (l, r) => ({l with label: r._value}))"#,
        "_result: tag=t1
         _time:time _value:int tag:string label:string
         2021-01-01T00:00:00Z -2 t1 -2\n 2021-01-01T00:00:10Z 10 t1 10
         _result: tag=t2
         _time:time _value:int tag:string label:string
         2021-01-01T00:00:00Z 19 t2 19\n 2021-01-01T00:00:10Z 10 t2 10\n 2021-01-01T00:00:20Z -3 t2 -3",
    );
    // Without a table of the same key, rows have none to match.
    check_tags(
        r#"one = data |> filter(fn: (r) => r.tag == "t1" and r._value > 0)
           join.time(left: data |> limit(n: 1), right: one, method: "left", as: (l, r) => ({tag: r.tag, v: r._value}))"#,
        "_result: tag=t1\n tag:string v:string\n t1 -\n _result: tag=t2\n tag:string v:string\n t2 -",
    );
    check_tags(
        r#"join.time(left: data, right: data, as: (l, r) => ({v: r._value}))"#,
        "runtime error @8:1-8:66: time: as has to keep the columns of the group key and their values: tag",
    );
}

#[test]
fn joins_that_are_not_understood() {
    for (call, text) in [
        (
            "join.inner(left: left, right: right, on: (l, r) => l._value < r._value, as: as)",
            "inner: on has to be a function (l, r) => of one or more comparisons of a column of l with one of r by ==, \
             joined by and",
        ),
        (
            "join.inner(left: left, right: right, on: (l, r) => l.nothing == r.id, as: as)",
            "inner: column \"nothing\" does not exist",
        ),
        (
            r#"join.tables(left: left, right: right, on: on, as: as, method: "outer")"#,
            "tables: method is \"inner\", \"left\", \"right\" or \"full\", not \"outer\"",
        ),
        (
            "join.inner(left: left, right: right, on: on, as: (l, r) => 1)",
            "inner: the function has to return a record, but returned int",
        ),
    ] {
        let answer = common::answer(&format!("{PAIRS}{call}"));
        assert!(answer.trim_end().ends_with(text), "{call}: {answer}");
    }
}

#[test]
fn streams_are_joined_on_columns() {
    check(
        r#"import "array"
           at = (day, v) => ({_time: day, _value: v, tag: "foo"})
           t1 = array.from(rows: [at(day: 2021-01-01T00:00:00Z, v: 1), at(day: 2021-01-02T00:00:00Z, v: 2)])
           t2 = array.from(rows: [at(day: 2021-01-01T00:00:00Z, v: 0), at(day: 2021-01-02T00:00:00Z, v: -1), {_value: 7, tag: "foo"}])
           join(tables: {t1: t1, t2: t2}, on: ["_time", "tag"])"#,
        "_result: \n _time:time _value_t1:int _value_t2:int tag:string
         2021-01-01T00:00:00Z 1 0 foo\n 2021-01-02T00:00:00Z 2 -1 foo",
    );
}

#[test]
fn keys_of_joined_streams_are_joined_too() {
    check(
        r#"import "array"
           a = array.from(rows: [{t: 1, host: "x", f: "u", v: 1}, {t: 1, host: "y", f: "u", v: 2}]) |> group(columns: ["host", "f"])
           b = array.from(rows: [{t: 1, host: "x", f: "w", v: 3}, {t: 1, host: "x", f: "z", v: 4}]) |> group(columns: ["f"])
           join(tables: {a: a, b: b}, on: ["t", "host"])"#,
        "_result: f_a=u,host=x,f_b=w\n f_a:string f_b:string host:string t:int v_a:int v_b:int\n u w x 1 1 3
         _result: f_a=u,host=x,f_b=z\n f_a:string f_b:string host:string t:int v_a:int v_b:int\n u z x 1 1 4",
    );
    for (call, text) in [
        ("join(tables: {a: data, b: data})", "on: name the columns that have to be equal"),
        ("join(tables: {a: data}, on: [\"tag\"])", "tables has to be a record of two streams, not of 1"),
        ("join(tables: {a: data, b: data}, on: [\"x\"])", "column \"x\" does not exist"),
        (
            "join(tables: {a: data, b: data}, on: [\"tag\"], method: \"left\")",
            "method \"left\" is not supported, only \"inner\": use the functions of package join for others",
        ),
    ] {
        // `import "join"` would hide the function.
        let answer = common::answer(&format!("{}{call}", TAGS.replace("import \"join\"\n", "")));
        assert!(answer.trim_end().ends_with(&format!("join: {text}")), "{call}: {answer}");
    }
}
