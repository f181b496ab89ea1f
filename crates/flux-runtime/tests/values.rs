//! Single values: conversions, arrays, what needs no tables.

mod common;

use common::{Points, answer, check};

/// What an expression shows as.
fn shown(imports: &str, expression: &str) -> String {
    let text = format!("import \"array\"\n{imports}\narray.from(rows: [{{v: display(v: {expression})}}])");
    let answer = answer(&text);
    answer.lines().nth(2).unwrap_or(&answer).trim().to_owned()
}

#[track_caller]
fn shows(expression: &str, expected: &str) {
    assert_eq!(shown("", expression), expected, "{expression}");
}

#[track_caller]
fn fails(expression: &str, reason: &str) {
    let answer = shown("", expression);
    assert!(answer.starts_with("runtime error") && answer.ends_with(reason), "{expression}: {answer}");
}

#[test]
fn single_values_are_converted() {
    shows(r#"bool(v: "true")"#, "true");
    shows("bool(v: 0.0)", "false");
    shows("int(v: 10.12)", "10");
    shows("int(v: 1m)", "60000000000");
    shows("int(v: 2022-01-01T00:00:00Z)", "1640995200000000000");
    shows("uint(v: -100)", "18446744073709551516");
    shows(r#"float(v: "1.23e+20")"#, "123000000000000000000");
    shows("string(v: 1m)", "1m");
    shows("string(v: 2021-01-01T00:00:00Z)", "2021-01-01T00:00:00Z");
    shows("time(v: 1640995200000000000)", "2022-01-01T00:00:00Z");
    shows("duration(v: 4800000000000)", "1h20m");
    shows(r#"bytes(v: "Example string")"#, "0x4578616d706c6520737472696e67");
    fails(r#"int(v: "x")"#, r#"int: cannot convert string "x" to int: it is no whole number"#);
    fails("bytes(v: 1)", "bytes: cannot convert int to bytes");
    fails("string(v: [1])", "string: cannot convert array to string");
}

#[test]
fn composites_are_displayed() {
    shows("{a: 1, b: 2, c: 3}", "{a: 1, b: 2, c: 3}");
    shows(r#"["a": 1, "b": 2]"#, "[a: 1, b: 2]");
    shows(
        r#"{bytes: bytes(v: "abc"), string: "str", array: [1, 2, 3], dict: ["a": 1]}"#,
        "{array: [1, 2, 3], bytes: 0x616263, dict: [a: 1], string: str}",
    );
}

#[test]
fn arrays_have_members() {
    shows(r#"["John", "Jane", "Abed"] |> length()"#, "3");
    shows("length(arr: [])", "0");
    shows(r#"contains(value: "b", set: ["a", "b"])"#, "true");
    shows("contains(value: 4, set: [1, 2, 3])", "false");
    shows("array.concat(arr: [1, 2], v: [3])", "[1, 2, 3]");
    shows("[1, 2, 3] |> array.map(fn: (x) => x * x)", "[1, 4, 9]");
    shows("[1, 2, 3, 4, 5] |> array.filter(fn: (x) => x >= 3)", "[3, 4, 5]");
    fails("[1] |> array.filter(fn: (x) => x)", "expected bool but found int");
    fails("length(arr: 1)", r#"length: keyword argument "arr" should be of kind array, but got int"#);
    fails(r#"die(msg: "no more")"#, ": no more");
}

#[test]
fn arrays_become_tables() {
    check(
        r#"import "array"
           a = [1, 2] |> array.concat(v: [3])
           array.from(rows: a |> array.map(fn: (x) => ({_value: x})))"#,
        "_result:
         _value:int
         1
         2
         3",
    );
}

#[test]
fn columns_of_values_are_converted() {
    let table = r#"import "array"
        array.from(rows: [{_value: -2.18}, {a: 1}, {_value: 10.92}])"#;
    let rows = |call: &str| {
        let answer = answer(&format!("{table} |> {call}"));
        answer.lines().skip(1).map(str::trim).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(rows("toInt()"), "_value:int a:int, -2 -, - 1, 10 -");
    assert_eq!(rows("toString()"), "_value:string a:int, -2.18 -, - 1, 10.92 -");
    assert_eq!(rows("toFloat()"), "_value:float a:int, -2.18 -, - 1, 10.92 -");
    assert_eq!(
        rows("toInt() |> toTime()"),
        "_value:time a:int, 1969-12-31T23:59:59.999999998Z -, - 1, 1970-01-01T00:00:00.00000001Z -"
    );
    assert_eq!(rows("toInt() |> toUInt()"), "_value:uint a:int, 18446744073709551614 -, - 1, 10 -");
    let wrong = answer(&format!("{table} |> toBool()"));
    assert!(
        wrong.trim().ends_with("toBool: row 0: cannot convert float -2.18 to bool: it is neither 1 nor 0")
    );
    let wrong = answer("import \"array\"\narray.from(rows: [{a: 1}]) |> toInt()");
    assert!(wrong.trim().ends_with("toInt: column \"_value\" does not exist"), "{wrong}");
}

#[test]
fn tables_leave_their_stream() {
    let shown = |expression: &str| {
        let text = format!(
            "import \"array\"
             data = from(bucket: \"b\") |> range(start: 2026-01-01T00:00:00Z)
             array.from(rows: [{{v: display(v: data |> {expression})}}])"
        );
        let points = Points::new("m,t=t1 f=-2i 0\nm,t=t1 f=10i 10\nm,t=t2 f=19i 0\nn g=1i 0");
        let answer = common::answer_from(&text, &points);
        answer.lines().nth(2).unwrap_or(&answer).trim().to_owned()
    };
    let found = r#"fn: (key) => key.t == "t1""#;
    assert_eq!(shown(&format!("findColumn({found}, column: \"_value\")")), "[-2, 10]");
    assert_eq!(shown(&format!("findColumn({found}, column: \"x\")")), "[]");
    assert_eq!(shown("findColumn(fn: (key) => key.t == \"t9\", column: \"_value\")"), "[]");
    assert_eq!(
        shown(&format!("findRecord({found}, idx: 1)")),
        "{_field: f, _measurement: m, _start: 2026-01-01T00:00:00Z, _stop: 2026-01-01T01:00:00Z, \
         _time: 2026-01-01T00:00:10Z, _value: 10, t: t1}"
    );
    assert_eq!(shown(&format!("findRecord({found}, idx: 2)")), "{}");
    assert_eq!(shown(&format!("tableFind({found}) |> getColumn(column: \"_value\")")), "[-2, 10]");
    let wrong = shown(&format!("tableFind({found}) |> getColumn(column: \"x\")"));
    assert!(wrong.ends_with("getColumn: column \"x\" does not exist"), "{wrong}");
    let wrong = shown(&format!("tableFind({found}) |> getRecord(idx: -1)"));
    assert!(wrong.ends_with("getRecord: index -1 is out of bounds: the table has 2 rows"), "{wrong}");
    let wrong = shown("tableFind(fn: (key) => key.t == \"t9\")");
    assert!(wrong.ends_with("tableFind: no table found whose group key fn holds for"), "{wrong}");
    let wrong = shown("getRecord(idx: 0)");
    assert!(wrong.ends_with("a stream of 3 tables is no table; choose one with tableFind()"), "{wrong}");
}
