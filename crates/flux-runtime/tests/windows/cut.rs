//! `window`.

use crate::{
    common::{Points, answer_from, check},
    minute,
};

#[test]
fn windows_of_half_a_minute() {
    check(
        &minute("window(every: 30s) |> filter(fn: (r) => r.tag == \"t1\")"),
        "_result: _start=2021-01-01T00:00:00Z,_stop=2021-01-01T00:00:30Z,tag=t1
         _start:time _stop:time _time:time _value:int tag:string
         2021-01-01T00:00:00Z 2021-01-01T00:00:30Z 2021-01-01T00:00:00Z -2 t1
         2021-01-01T00:00:00Z 2021-01-01T00:00:30Z 2021-01-01T00:00:10Z 10 t1
         2021-01-01T00:00:00Z 2021-01-01T00:00:30Z 2021-01-01T00:00:20Z 7 t1
         _result: _start=2021-01-01T00:00:30Z,_stop=2021-01-01T00:01:00Z,tag=t1
         _start:time _stop:time _time:time _value:int tag:string
         2021-01-01T00:00:30Z 2021-01-01T00:01:00Z 2021-01-01T00:00:30Z 17 t1
         2021-01-01T00:00:30Z 2021-01-01T00:01:00Z 2021-01-01T00:00:40Z 15 t1
         2021-01-01T00:00:30Z 2021-01-01T00:01:00Z 2021-01-01T00:00:50Z 4 t1",
    );
}

#[test]
fn windows_that_overlap_are_clipped_to_the_time_of_the_table() {
    check(
        &minute(
            "window(every: 20s, period: 40s) |> count() |> filter(fn: (r) => r.tag == \"t2\") |> group()",
        ),
        "_result: \n _start:time _stop:time tag:string _value:int
         2021-01-01T00:00:00Z 2021-01-01T00:00:20Z t2 2
         2021-01-01T00:00:00Z 2021-01-01T00:00:40Z t2 4
         2021-01-01T00:00:20Z 2021-01-01T00:01:00Z t2 4
         2021-01-01T00:00:40Z 2021-01-01T00:01:00Z t2 2",
    );
}

#[test]
fn windows_with_gaps_leave_rows_out_and_reversed_ones_reach_back() {
    check(
        &minute("window(every: 30s, period: 10s) |> group() |> keep(columns: [\"_value\"]) |> limit(n: 2)"),
        "_result: \n _value:int\n -2\n 19",
    );
    check(
        &minute(
            "window(every: 30s, period: -10s) |> filter(fn: (r) => r.tag == \"t1\") \
             |> keep(columns: [\"_value\", \"_start\", \"_stop\"]) |> group()",
        ),
        "_result: \n _start:time _stop:time _value:int
         2021-01-01T00:00:20Z 2021-01-01T00:00:30Z 7
         2021-01-01T00:00:50Z 2021-01-01T00:01:00Z 4",
    );
}

#[test]
fn windows_of_months() {
    check(
        "import \"array\"
         array.from(rows: [
             {_time: 2021-01-01T00:00:00Z, _value: 0}, {_time: 2021-01-16T00:00:00Z, _value: 2},
             {_time: 2021-01-31T00:00:00Z, _value: 4}, {_time: 2021-02-15T00:00:00Z, _value: 6},
             {_time: 2021-03-02T00:00:00Z, _value: 8}, {_time: 2021-03-17T00:00:00Z, _value: 10},
         ])
             |> range(start: 2021-01-01T00:00:00Z, stop: 2021-04-01T00:00:00Z)
             |> window(every: 1mo)
             |> sum()
             |> group()",
        "_result: \n _start:time _stop:time _value:int
         2021-01-01T00:00:00Z 2021-02-01T00:00:00Z 6
         2021-02-01T00:00:00Z 2021-03-01T00:00:00Z 6
         2021-03-01T00:00:00Z 2021-04-01T00:00:00Z 18",
    );
}

#[test]
fn windows_of_a_month_that_begin_on_its_last_days() {
    let query = |then: &str| {
        format!(
            "import \"array\"
             array.from(rows: [
                 {{_time: 2026-02-28T00:00:00Z, _value: 1}}, {{_time: 2026-02-28T11:00:00Z, _value: 2}},
                 {{_time: 2026-02-28T12:00:00Z, _value: 4}},
             ]) |> {then} |> group()"
        )
    };
    // A month after the 29th, the 30th and the 31st of January is the 28th of February, at the same hour.
    check(
        &query(
            "window(every: 12h, period: 1mo) |> sum() |> filter(fn: (r) => r._start < 2026-02-01T12:00:00Z)",
        ),
        "_result: \n _start:time _stop:time _value:int
         2026-01-28T12:00:00Z 2026-02-28T12:00:00Z 3
         2026-01-29T12:00:00Z 2026-02-28T12:00:00Z 3
         2026-01-30T12:00:00Z 2026-02-28T12:00:00Z 3
         2026-01-31T12:00:00Z 2026-02-28T12:00:00Z 3
         2026-02-01T00:00:00Z 2026-03-01T00:00:00Z 7",
    );
    check(
        &query(
            "window(every: 12h, period: -1mo) |> sum() |> filter(fn: (r) => r._stop > 2026-03-28T00:00:00Z)",
        ),
        "_result: \n _start:time _stop:time _value:int
         2026-02-28T00:00:00Z 2026-03-29T00:00:00Z 7
         2026-02-28T00:00:00Z 2026-03-30T00:00:00Z 7
         2026-02-28T00:00:00Z 2026-03-31T00:00:00Z 7
         2026-02-28T12:00:00Z 2026-03-28T12:00:00Z 4
         2026-02-28T12:00:00Z 2026-03-29T12:00:00Z 4
         2026-02-28T12:00:00Z 2026-03-30T12:00:00Z 4
         2026-02-28T12:00:00Z 2026-03-31T12:00:00Z 4",
    );
    // Clipped, many are one.
    for empty in ["false", "true"] {
        check(
            &query(&format!(
                "range(start: 2026-02-28T06:00:00Z, stop: 2026-02-28T18:00:00Z)
                     |> window(every: 12h, period: 1mo, createEmpty: {empty}) |> sum()"
            )),
            "_result: \n _start:time _stop:time _value:int
             2026-02-28T06:00:00Z 2026-02-28T12:00:00Z 2
             2026-02-28T06:00:00Z 2026-02-28T18:00:00Z 6
             2026-02-28T12:00:00Z 2026-02-28T18:00:00Z 4",
        );
    }
}

#[test]
fn rows_lie_in_their_windows_in_any_order() {
    check(
        &minute(
            "sort(columns: [\"_value\"]) |> window(every: 20s, period: 30s) |> sum() \
             |> filter(fn: (r) => r.tag == \"t1\") |> group()",
        ),
        "_result: \n _start:time _stop:time tag:string _value:int
         2021-01-01T00:00:00Z 2021-01-01T00:00:10Z t1 -2
         2021-01-01T00:00:00Z 2021-01-01T00:00:30Z t1 15
         2021-01-01T00:00:20Z 2021-01-01T00:00:50Z t1 39
         2021-01-01T00:00:40Z 2021-01-01T00:01:00Z t1 19",
    );
}

#[test]
fn windows_without_rows_have_a_table_if_wanted() {
    check(
        &minute(
            "filter(fn: (r) => r._value == 15) |> window(every: 30s, createEmpty: true) |> count() |> group()",
        ),
        "_result: \n _start:time _stop:time tag:string _value:int
         2021-01-01T00:00:00Z 2021-01-01T00:00:30Z t1 0
         2021-01-01T00:00:30Z 2021-01-01T00:01:00Z t1 1",
    );
    check(
        "import \"array\"
         array.from(rows: [{_time: 2021-01-01T00:00:00Z}]) |> window(every: 1m, createEmpty: true)",
        "runtime error @2:63-2:99: window: createEmpty needs a range: call range() before",
    );
}

#[test]
fn one_window_of_all_has_the_range_again() {
    check(
        &minute(
            "range(start: 2021-01-01T00:00:00Z, stop: 2021-01-01T00:02:00Z) |> window(every: 20s) |> max() \
             |> filter(fn: (r) => r.tag == \"t1\") |> duplicate(column: \"_stop\", as: \"_time\") \
             |> window(every: inf) |> drop(columns: [\"tag\"])",
        ),
        "_result: _start=2021-01-01T00:00:00Z,_stop=2021-01-01T00:02:00Z
         _start:time _stop:time _time:time _value:int
         2021-01-01T00:00:00Z 2021-01-01T00:02:00Z 2021-01-01T00:00:20Z 10
         2021-01-01T00:00:00Z 2021-01-01T00:02:00Z 2021-01-01T00:00:40Z 17
         2021-01-01T00:00:00Z 2021-01-01T00:02:00Z 2021-01-01T00:01:00Z 15",
    );
}

#[test]
fn arguments_that_make_no_windows_are_refused() {
    for (arguments, text) in [
        ("every: 0s", "every cannot be zero"),
        ("every: -1m", "every cannot be negative"),
        ("every: 1mo1d", "every cannot mix months with days or parts of them"),
        ("offset: 1m", "give every or period, the length of the windows"),
        (
            "every: 1m, location: {zone: \"Nowhere/Town\", offset: 0s}",
            "location: unknown time zone Nowhere/Town",
        ),
        ("every: 1m, timeColumn: \"x\"", "column \"x\" does not exist"),
        ("every: 1m, timeColumn: \"_value\"", "column \"_value\" is not of type time, but int"),
    ] {
        let answer = answer_from(&minute(&format!("window({arguments})")), &Points::default());
        assert!(answer.trim_end().ends_with(&format!("window: {text}")), "{arguments}: {answer}");
    }
}
