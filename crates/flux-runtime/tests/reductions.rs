//! What the storage reduces itself comes out as it does in memory.

mod common;

use common::{Points, answer_from, check_from};

fn points() -> Points {
    Points::new(
        "cpu,host=a usage=1.5 0
         cpu,host=a usage=-2 60
         cpu,host=a usage=9.25 120
         cpu,host=a usage=9.25 180
         cpu,host=b usage=3 60
         cpu,host=b idle=97i 60
         cpu,host=b idle=-5i 120
         cpu,host=b idle=12i 240
         mem used=5 60",
    )
}

const READ: &str = r#"from(bucket: "b") |> range(start: 2026-01-01T00:00:00Z, stop: 2026-01-01T01:00:00Z)"#;

/// What no storage does, and changes nothing.
const IN_MEMORY: [&str; 3] = [
    "filter(fn: (r) => true, onEmpty: \"keep\")",
    r#"sort(columns: ["_time"])"#,
    "range(start: 2026-01-01T00:00:00Z, stop: 2026-01-01T01:00:00Z)",
];

#[test]
fn pushed_down_and_in_memory_are_equal() {
    let filters = [
        "",
        r#"|> filter(fn: (r) => r.host == "b")"#,
        "|> filter(fn: (r) => r._value > 2)",
        "|> filter(fn: (r) => r.host == \"nobody\")",
    ];
    for function in ["count", "sum", "mean", "min", "max", "first", "last"] {
        for filter in filters {
            let pushed = answer_from(&format!("{READ} {filter} |> {function}()"), &points());
            assert!(!pushed.contains("error"), "{function}: {pushed}");
            assert_eq!(pushed.is_empty(), filter.contains("nobody"), "{function}: {pushed}");
            for step in IN_MEMORY {
                let text = format!("{READ} {filter} |> {step} |> {function}()");
                assert_eq!(answer_from(&text, &points()), pushed, "{text}");
            }
        }
    }
}

#[test]
fn groups_are_equal_too() {
    let groupings = [
        "group()",
        r#"group(columns: ["host"])"#,
        r#"group(columns: ["host", "_start", "nothing"])"#,
        r#"group(columns: ["_time", "_value", "_field"], mode: "except")"#,
        r#"group(columns: ["_time"])"#,
        r#"group(columns: ["host"], mode: "except")"#,
    ];
    let windows =
        |function: &str, arguments: &str| format!("aggregateWindow(every: 90s, fn: {function}{arguments})");
    for grouping in groupings {
        for function in ["count", "sum", "mean", "min", "max", "first", "last"] {
            let steps = [
                format!("{function}()"),
                windows(function, ""),
                windows(function, ", createEmpty: false, offset: 7s"),
                windows(function, r#", timeSrc: "_start""#),
            ];
            for step in steps {
                // Of one type: values of several cannot stand in one column.
                for field in ["usage", "idle"] {
                    let read = format!("{READ} |> filter(fn: (r) => r._field == \"{field}\")");
                    let pushed = answer_from(&format!("{read} |> {grouping} |> {step}"), &points());
                    let text = format!("{read} |> {} |> {grouping} |> {step}", IN_MEMORY[0]);
                    assert_eq!(placeless(&answer_from(&text, &points())), placeless(&pushed), "{text}");
                }
            }
        }
    }
}

/// An answer; of an error, what it says.
fn placeless(answer: &str) -> &str {
    match answer.strip_prefix("runtime error @") {
        Some(error) => error.split_once(": ").map_or(error, |(_place, said)| said),
        None => answer,
    }
}

#[test]
fn other_columns_are_not_pushed_down() {
    check_from(
        &format!(
            r#"{READ} |> filter(fn: (r) => r.host == "a") |> max(column: "_time") |> last(column: "host")"#
        ),
        &points(),
        "_result: _start=2026-01-01T00:00:00Z,_stop=2026-01-01T01:00:00Z,_field=usage,_measurement=cpu,host=a
         _start:time _stop:time _time:time _value:float _field:string _measurement:string host:string
         2026-01-01T00:00:00Z 2026-01-01T01:00:00Z 2026-01-01T00:03:00Z 9.25 usage cpu a",
    );
}

#[test]
fn what_is_reduced_is_reduced_once() {
    check_from(
        &format!(r#"{READ} |> filter(fn: (r) => r._measurement == "mem") |> count() |> sum()"#),
        &points(),
        "_result: _start=2026-01-01T00:00:00Z,_stop=2026-01-01T01:00:00Z,_field=used,_measurement=mem
         _start:time _stop:time _field:string _measurement:string _value:int
         2026-01-01T00:00:00Z 2026-01-01T01:00:00Z used mem 1",
    );
}

#[test]
fn a_reduction_without_a_range_is_refused() {
    let got = answer_from(r#"from(bucket: "b") |> count()"#, &points());
    assert!(got.contains("unbounded read"), "{got}");
}

#[test]
fn two_tables_reduced_to_one_key_are_refused() {
    let got = answer_from(
        &format!(
            r#"{READ} |> reduce(fn: (r, accumulator) => accumulator, identity: {{host: "x", _field: "f", _measurement: "m"}})"#
        ),
        &points(),
    );
    assert!(got.contains("reduce: two tables come to the same group key"), "{got}");
}
