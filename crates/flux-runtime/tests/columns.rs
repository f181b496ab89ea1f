//! Columns are chosen, named, filled, and made row by row.

mod common;

use common::check;

const TAGS: &str = r#"import "array"
data = array.from(rows: [
    {_time: 2021-01-01T00:00:00Z, _value: -2, tag: "t1"}, {_time: 2021-01-01T00:00:10Z, _value: 10, tag: "t1"},
    {_time: 2021-01-01T00:00:00Z, _value: 19, tag: "t2"},
]) |> group(columns: ["tag"])
"#;

#[track_caller]
fn check_tags(then: &str, expected: &str) {
    check(&format!("{TAGS}{then}"), expected);
}

#[test]
fn columns_are_kept_and_dropped() {
    check_tags(r#"data |> keep(columns: ["_value", "nowhere"])"#, "_result: \n _value:int\n -2\n 10\n 19");
    check_tags(
        "data |> keep(fn: (column) => column =~ /^_?t/)",
        "_result: tag=t1\n _time:time tag:string\n 2021-01-01T00:00:00Z t1\n 2021-01-01T00:00:10Z t1
         _result: tag=t2\n _time:time tag:string\n 2021-01-01T00:00:00Z t2",
    );
    check_tags(r#"data |> drop(columns: ["_time", "tag", "x"])"#, "_result: \n _value:int\n -2\n 10\n 19");
    check_tags("data |> drop(fn: (column) => column =~ /^_?t/)", "_result: \n _value:int\n -2\n 10\n 19");
    check_tags("data |> drop()", "runtime error @6:9-6:15: drop: give either columns or fn");
}

#[test]
fn columns_are_renamed() {
    check_tags(
        r#"data |> rename(columns: {tag: "uid", _value: "val"}) |> limit(n: 1)"#,
        "_result: uid=t1\n _time:time val:int uid:string\n 2021-01-01T00:00:00Z -2 t1
         _result: uid=t2\n _time:time val:int uid:string\n 2021-01-01T00:00:00Z 19 t2",
    );
    check_tags(
        r#"data |> filter(fn: (r) => r.tag == "t2") |> rename(fn: (column) => "${column}_new")"#,
        "_result: tag_new=t2\n _time_new:time _value_new:int tag_new:string\n 2021-01-01T00:00:00Z 19 t2",
    );
    check_tags(
        r#"data |> filter(fn: (r) => r.tag == "t2") |> rename(columns: {tag: "_value", _value: "tag"})"#,
        "_result: _value=t2\n _time:time tag:int _value:string\n 2021-01-01T00:00:00Z 19 t2",
    );
    check_tags(
        r#"data |> rename(columns: {x: "y"})"#,
        r#"runtime error @6:9-6:34: rename: column "x" does not exist"#,
    );
    check_tags(
        r#"data |> rename(columns: {tag: "_value"})"#,
        r#"runtime error @6:9-6:41: rename: two columns would have the name "_value""#,
    );
}

#[test]
fn columns_are_set_and_duplicated() {
    check_tags(
        r#"data |> set(key: "host", value: "prod") |> limit(n: 1) |> drop(columns: ["_time"])"#,
        "_result: tag=t1\n _value:int tag:string host:string\n -2 t1 prod
         _result: tag=t2\n _value:int tag:string host:string\n 19 t2 prod",
    );
    check_tags(
        r#"data |> set(key: "tag", value: "t") |> drop(columns: ["_time"])"#,
        "_result: tag=t\n _value:int tag:string\n -2 t\n 10 t\n 19 t",
    );
    check_tags(
        r#"data |> duplicate(column: "tag", as: "copy") |> drop(columns: ["_time"]) |> limit(n: 1)"#,
        "_result: tag=t1\n _value:int tag:string copy:string\n -2 t1 t1
         _result: tag=t2\n _value:int tag:string copy:string\n 19 t2 t2",
    );
    check_tags(
        r#"data |> duplicate(column: "_value", as: "tag") |> drop(columns: ["_time"])"#,
        "_result: \n _value:int tag:int\n -2 -2\n 10 10\n 19 19",
    );
    check_tags(
        r#"data |> duplicate(column: "x", as: "tag")"#,
        r#"runtime error @6:9-6:42: duplicate: column "x" does not exist"#,
    );
}

#[test]
fn names_of_columns_are_told() {
    check_tags(
        r#"data |> filter(fn: (r) => r.tag == "t1") |> columns(column: "labels")"#,
        "_result: tag=t1\n tag:string labels:string\n t1 _time\n t1 _value\n t1 tag",
    );
    check_tags(
        r#"data |> keys() |> keep(columns: ["_value"]) |> distinct()"#,
        "_result: \n _value:string\n tag",
    );
    check_tags(
        r#"data |> group(columns: ["tag", "_value"]) |> filter(fn: (r) => r._value == 19) |> keys(column: "k")"#,
        "_result: _value=19,tag=t2\n _value:int tag:string k:string\n 19 t2 _value\n 19 t2 tag",
    );
    check_tags("data |> group() |> keys()", "_result: \n _value:string");
    check_tags(
        r#"data |> group(columns: ["_value"]) |> keys()"#,
        r#"runtime error @6:39-6:45: keys: column "_value" is in the group key: give column another name"#,
    );
}

#[test]
fn values_are_told_once_with_their_column() {
    check(
        r#"import "array"
           array.from(rows: [
               {id: "T1", _field: "co", v: "x"}, {id: "T1", _field: "co", v: "y"}, {id: "T1", _field: "co", v: "x"},
           ])
               |> group(columns: ["_field", "id"])
               |> keyValues(keyColumns: ["id", "v"])"#,
        "_result: _field=co,id=T1\n _field:string id:string _key:string _value:string
         co T1 id T1\n co T1 v x\n co T1 v y",
    );
    check_tags(
        r#"data |> keyValues(keyColumns: ["tag", "_value"])"#,
        r#"runtime error @6:9-6:49: keyValues: keyColumns have to be of one type: "_value" is of int, another of string"#,
    );
    check_tags(
        r#"data |> keyValues(keyColumns: ["x"])"#,
        r#"runtime error @6:9-6:37: keyValues: column "x" does not exist"#,
    );
}

const GAPS: &str = r#"import "array"
data = array.from(rows: [{v: -2, w: 1.5}, {w: 2.5}, {v: 7}, {v: 0, w: 3.5}, {w: 1.5}]) |> drop(columns: ["none"])
"#;

#[test]
fn gaps_are_filled() {
    check(
        &format!(r#"{GAPS} data |> fill(column: "v", value: 0) |> fill(column: "w", usePrevious: true)"#),
        "_result: \n v:int w:float\n -2 1.5\n 0 2.5\n 7 2.5\n 0 3.5\n 0 1.5",
    );
    check(
        r#"import "array"
           array.from(rows: [{t: 1}, {t: 2, v: 4}, {t: 3}]) |> fill(column: "v", usePrevious: true)"#,
        "_result: \n t:int v:int\n 1 -\n 2 4\n 3 4",
    );
    // What is not there is filled too, unless by what is not there.
    check(
        &format!(r#"{GAPS} data |> limit(n: 1) |> fill(value: "x") |> fill(column: "y", usePrevious: true)"#),
        "_result: \n v:int w:float _value:string\n -2 1.5 x",
    );
    check(
        &format!(r#"{GAPS} data |> fill(column: "v", value: 0.0)"#),
        r#"runtime error @3:10-3:39: fill: column "v" is of type int, value of float"#,
    );
    check(
        &format!(r#"{GAPS} data |> fill(column: "v")"#),
        "runtime error @3:10-3:27: fill: give value, or usePrevious: true",
    );
    check(
        r#"import "array"
           array.from(rows: [{k: "a", v: 1}, {v: 2}]) |> group(columns: ["k"]) |> fill(column: "k", value: "a")"#,
        "_result: k=a\n k:string v:int\n a 2\n a 1",
    );
}

#[test]
fn rows_are_made_of_rows() {
    check_tags(
        "data |> map(fn: (r) => ({r with _value: r._value * r._value, x: \"${r.tag}-${r._value}\"})) |> drop(columns: [\"_time\"])",
        "_result: tag=t1\n _value:int tag:string x:string\n 4 t1 t1--2\n 100 t1 t1-10
         _result: tag=t2\n _value:int tag:string x:string\n 361 t2 t2-19",
    );
    check_tags(
        "data |> map(fn: (r) => ({source: r.tag, alert: if r._value > 10 then true else false}))",
        "_result: \n source:string alert:bool\n t1 false\n t1 false\n t2 true",
    );
    check_tags(
        r#"data |> map(fn: (r) => ({v: r._value, tag: if r._value > 5 then "high" else "low"}))"#,
        "_result: tag=high\n v:int tag:string\n 10 high\n 19 high\n _result: tag=low\n v:int tag:string\n -2 low",
    );
    check_tags(
        r#"data |> map(mergeKey: true, fn: (r) => ({v: r._value}))"#,
        "_result: tag=t1\n v:int tag:string\n -2 t1\n 10 t1\n _result: tag=t2\n v:int tag:string\n 19 t2",
    );
}

#[test]
fn rows_may_be_missing_or_differ() {
    check_tags(
        r#"data |> filter(fn: (r) => r.tag == "t1" and r._value > 99, onEmpty: "keep")
           |> map(fn: (r) => ({r with half: 0.5, what: "x"}))"#,
        "_result: tag=t1\n _time:time _value:int tag:string half:float what:string
         _result: tag=t2\n _time:time _value:int tag:string half:float what:string",
    );
    check_tags(
        "data |> group() |> map(fn: (r) => if r._value < 0 then {a: r._value} else {a: r._value, b: r.nothing})",
        "_result: \n a:int b:string\n -2 -\n 10 -\n 19 -",
    );
    for (function, text) in [
        ("(r) => r._value", "map: the function has to return a record, but returned int"),
        (
            "(r) => ({v: [1]})",
            "map: column \"v\" cannot be of type array: columns hold numbers, strings, booleans and times",
        ),
        (
            "(r) => if r._value < 0 then {v: 1.0} else {v: \"x\"}",
            "map: column \"v\" is of type float, but the function returned string for one row",
        ),
        ("(r, s) => r", "the function of a row takes one argument, this one 2"),
        ("(r) => ({v: r._value / 0})", "cannot divide by zero"),
    ] {
        let answer = common::answer(&format!("{TAGS}data |> map(fn: {function})"));
        assert!(answer.trim_end().ends_with(text), "{function}: {answer}");
    }
}

#[test]
fn functions_made_for_a_row_keep_it() {
    check(
        r#"import "array"
           array.from(rows: [{v: 1}, {v: 2}]) |> map(fn: (r) => {
               add = (n) => n + r.v
               return {sum: add(n: 10), twice: add(n: add(n: 0))}
           })"#,
        "_result: \n sum:int twice:int\n 11 2\n 12 4",
    );
}
