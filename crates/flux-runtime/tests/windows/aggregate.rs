//! `aggregateWindow`, here and in the storage.

use crate::{
    common::{Points, answer_from, check, check_from},
    minute,
};

#[test]
fn one_row_of_each_window() {
    check(
        &minute("aggregateWindow(every: 20s, fn: mean)"),
        "_result: _start=2021-01-01T00:00:00Z,_stop=2021-01-01T00:01:00Z,tag=t1
         _start:time _stop:time _time:time _value:float tag:string
         2021-01-01T00:00:00Z 2021-01-01T00:01:00Z 2021-01-01T00:00:20Z 4 t1
         2021-01-01T00:00:00Z 2021-01-01T00:01:00Z 2021-01-01T00:00:40Z 12 t1
         2021-01-01T00:00:00Z 2021-01-01T00:01:00Z 2021-01-01T00:01:00Z 9.5 t1
         _result: _start=2021-01-01T00:00:00Z,_stop=2021-01-01T00:01:00Z,tag=t2
         _start:time _stop:time _time:time _value:float tag:string
         2021-01-01T00:00:00Z 2021-01-01T00:01:00Z 2021-01-01T00:00:20Z 11.5 t2
         2021-01-01T00:00:00Z 2021-01-01T00:01:00Z 2021-01-01T00:00:40Z 8 t2
         2021-01-01T00:00:00Z 2021-01-01T00:01:00Z 2021-01-01T00:01:00Z 7 t2",
    );
}

#[test]
fn a_function_of_the_text_makes_the_row() {
    check(
        &minute(
            "aggregateWindow(every: 20s, fn: (column, tables=<-) => tables |> max(column: column)) |> filter(fn: (r) => r.tag == \"t1\") |> keep(columns: [\"_value\", \"_time\"])",
        ),
        "_result: \n _time:time _value:int
         2021-01-01T00:00:20Z 10
         2021-01-01T00:00:40Z 17
         2021-01-01T00:01:00Z 15",
    );
    check(
        &minute(
            "aggregateWindow(every: 1m, timeSrc: \"_start\", timeDst: \"at\", fn: (column, tables=<-) => tables \
             |> reduce(identity: {total: 0}, fn: (r, accumulator) => ({total: accumulator.total + r._value})))",
        ),
        "_result: _start=2021-01-01T00:00:00Z,_stop=2021-01-01T00:01:00Z,tag=t1
         _start:time _stop:time at:time tag:string total:int
         2021-01-01T00:00:00Z 2021-01-01T00:01:00Z 2021-01-01T00:00:00Z t1 51
         _result: _start=2021-01-01T00:00:00Z,_stop=2021-01-01T00:01:00Z,tag=t2
         _start:time _stop:time at:time tag:string total:int
         2021-01-01T00:00:00Z 2021-01-01T00:01:00Z 2021-01-01T00:00:00Z t2 53",
    );
}

#[test]
fn all_is_one_window() {
    check(
        &minute("aggregateWindow(every: inf, fn: sum) |> group() |> keep(columns: [\"_time\", \"_value\"])"),
        "_result: \n _time:time _value:int\n 2021-01-01T00:01:00Z 51\n 2021-01-01T00:01:00Z 53",
    );
}

#[test]
fn months_are_clipped_to_the_range() {
    check(
        &minute("aggregateWindow(every: 1mo, fn: mean) |> group() |> keep(columns: [\"_value\", \"_time\"])"),
        "_result: \n _time:time _value:float\n 2021-01-01T00:01:00Z 8.5\n 2021-01-01T00:01:00Z 8.833333333333334",
    );
}

#[test]
fn weeks_begin_where_the_offset_says() {
    check(
        "import \"array\"
         at = (day, value) => ({_time: day, _value: value, tag: \"t1\"})
         array.from(rows: [
             at(day: 2022-01-01T00:00:00Z, value: 2.0), at(day: 2022-01-03T00:00:00Z, value: 2.2),
             at(day: 2022-01-06T00:00:00Z, value: 4.1), at(day: 2022-01-09T00:00:00Z, value: 3.8),
             at(day: 2022-01-11T00:00:00Z, value: 1.7), at(day: 2022-01-12T00:00:00Z, value: 2.1),
             at(day: 2022-01-15T00:00:00Z, value: 3.8), at(day: 2022-01-16T00:00:00Z, value: 4.2),
             at(day: 2022-01-20T00:00:00Z, value: 5.0), at(day: 2022-01-24T00:00:00Z, value: 5.8),
             at(day: 2022-01-28T00:00:00Z, value: 3.9),
         ])
             |> group(columns: [\"tag\"])
             |> range(start: 2022-01-01T00:00:00Z, stop: 2022-01-31T23:59:59Z)
             |> aggregateWindow(every: 1w, offset: -3d, fn: mean)
             |> keep(columns: [\"_time\", \"_value\"])",
        "_result: \n _time:time _value:float
         2022-01-03T00:00:00Z 2
         2022-01-10T00:00:00Z 3.3666666666666667
         2022-01-17T00:00:00Z 2.95
         2022-01-24T00:00:00Z 5
         2022-01-31T00:00:00Z 4.85
         2022-01-31T23:59:59Z -",
    );
}

#[test]
fn a_table_without_its_time_has_no_windows() {
    check(
        "import \"array\"
         array.from(rows: [{_time: 2021-01-01T00:00:00Z, _value: 1}]) |> aggregateWindow(every: 1m, fn: sum)",
        "runtime error @2:74-2:109: aggregateWindow: columns _start and _stop do not exist: call range() before",
    );
    check(
        &minute("aggregateWindow(every: 1m, fn: (column, tables=<-) => 1)"),
        "runtime error @2:1422-2:1478: aggregateWindow: fn has to return tables, but returned int",
    );
}

/// Points of two minutes and a half, with a gap.
fn points() -> Points {
    Points::new(
        "m,h=a f=1 5
         m,h=a f=4 20
         m,h=a f=2 31
         m,h=a f=8 59
         m,h=a f=3 140
         m,h=a f=5 149
         m,h=b f=7i 20
         m,h=b f=9i 90
         m,h=c s=\"x\" 10
         m,h=c s=\"y\" 100",
    )
}

#[test]
fn what_the_storage_does_is_what_is_done_here() {
    let numbers = "|> filter(fn: (r) => r._field == \"f\")";
    let all = "";
    let functions = [
        ("count", all),
        ("sum", numbers),
        ("mean", numbers),
        ("min", numbers),
        ("max", numbers),
        ("first", all),
        ("last", all),
    ];
    for (function, filter) in functions {
        for arguments in [
            "every: 30s",
            "every: 30s, createEmpty: false",
            "every: 1m, offset: 10s",
            "every: 1m, offset: -25s, timeSrc: \"_start\"",
            "every: 1m, period: 1m, createEmpty: true, timeSrc: \"_start\"",
            "every: 1h",
            "every: 7s",
        ] {
            for range in ["00:00:00Z, stop: 2026-01-01T00:02:30Z", "00:00:10Z, stop: 2026-01-01T00:02:25Z"] {
                let from = format!("from(bucket: \"b\") |> range(start: 2026-01-01T{range}) {filter}");
                let pushed = format!("{from} |> aggregateWindow({arguments}, fn: {function})");
                // What does nothing keeps the storage from doing the rest.
                let here =
                    format!("{from} |> map(fn: (r) => r) |> aggregateWindow({arguments}, fn: {function})");
                let pushed_answer = answer_from(&pushed, &points());
                assert!(pushed_answer.contains("_time:time _value:"), "{pushed}: {pushed_answer}");
                assert_eq!(pushed_answer, answer_from(&here, &points()), "{pushed}");
            }
        }
    }
}

#[test]
fn windows_without_points_are_empty() {
    let query = |function: &str, more: &str| {
        format!(
            "from(bucket: \"b\") |> range(start: 2026-01-01T00:00:10Z, stop: 2026-01-01T00:02:25Z) \
             |> filter(fn: (r) => r.h == \"a\") |> aggregateWindow(every: 1m, fn: {function}{more}) \
             |> keep(columns: [\"_time\", \"_value\"])"
        )
    };
    check_from(
        &query("sum", ""),
        &points(),
        "_result: \n _time:time _value:float
         2026-01-01T00:01:00Z 14\n 2026-01-01T00:02:00Z -\n 2026-01-01T00:02:25Z 3",
    );
    check_from(
        &query("count", ""),
        &points(),
        "_result: \n _time:time _value:int
         2026-01-01T00:01:00Z 3\n 2026-01-01T00:02:00Z 0\n 2026-01-01T00:02:25Z 1",
    );
    for query in [query("max", ""), query("max", ", createEmpty: false")] {
        check_from(
            &query,
            &points(),
            "_result: \n _time:time _value:float\n 2026-01-01T00:01:00Z 8\n 2026-01-01T00:02:25Z 3",
        );
    }
}

#[test]
fn a_mean_that_moves() {
    check(
        "import \"array\"
         array.from(rows: [
             {_time: 2015-01-01T00:00:00Z, _value: 0}, {_time: 2016-01-01T08:00:00Z, _value: 1},
             {_time: 2016-12-31T16:00:00Z, _value: 4}, {_time: 2018-01-01T00:00:00Z, _value: 9},
             {_time: 2019-01-01T08:00:00Z, _value: 16}, {_time: 2020-01-01T16:00:00Z, _value: 25},
         ])
             |> range(start: 2015-01-01T00:00:00Z, stop: 2021-01-01T00:00:00Z)
             |> timedMovingAverage(every: 1y, period: 5y)
             |> keep(columns: [\"_time\", \"_value\"])",
        "_result: \n _time:time _value:float
         2016-01-01T00:00:00Z 0
         2017-01-01T00:00:00Z 1.6666666666666667
         2018-01-01T00:00:00Z 1.6666666666666667
         2019-01-01T00:00:00Z 3.5
         2020-01-01T00:00:00Z 6
         2021-01-01T00:00:00Z 11
         2021-01-01T00:00:00Z 16.666666666666668
         2021-01-01T00:00:00Z 16.666666666666668
         2021-01-01T00:00:00Z 20.5
         2021-01-01T00:00:00Z 25",
    );
}

#[test]
fn too_many_windows_are_too_much_memory() {
    check(
        &minute(
            "range(start: 1970-01-01T00:00:00Z, stop: 2022-01-01T00:00:00Z) |> aggregateWindow(every: 1ms, fn: count)",
        ),
        "out of memory",
    );
}

#[test]
fn a_row_that_is_chosen_keeps_its_columns() {
    check(
        &minute(
            "map(fn: (r) => ({r with twice: r._value * 2})) |> filter(fn: (r) => r.tag == \"t1\") \
             |> aggregateWindow(every: 30s, fn: max) |> drop(columns: [\"_start\", \"_stop\", \"tag\"])",
        ),
        "_result: \n _time:time _value:int twice:int\n 2021-01-01T00:00:30Z 10 20\n 2021-01-01T00:01:00Z 17 34",
    );
    check(
        &minute(
            "map(fn: (r) => ({r with twice: r._value * 2})) |> filter(fn: (r) => r.tag == \"t1\") \
             |> aggregateWindow(every: 30s, fn: sum, column: \"twice\") |> drop(columns: [\"_start\", \"_stop\", \"tag\"])",
        ),
        "_result: \n _time:time twice:int\n 2021-01-01T00:00:30Z 30\n 2021-01-01T00:01:00Z 72",
    );
}

#[test]
fn columns_that_cannot_be_aggregated() {
    for (arguments, text) in [
        ("fn: sum, column: \"x\"", "sum: column \"x\" does not exist"),
        (
            "fn: sum, column: \"tag\"",
            "sum: cannot aggregate column \"tag\": the tables are grouped by it; group() by other columns first",
        ),
        ("fn: sum, timeSrc: \"x\"", "aggregateWindow: column \"x\" does not exist"),
        ("fn: window", "unexpected argument column"),
    ] {
        let answer =
            answer_from(&minute(&format!("aggregateWindow(every: 1m, {arguments})")), &Points::default());
        assert!(answer.contains(text), "{arguments}: {answer}");
    }
}
