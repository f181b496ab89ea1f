//! Days and hours of a place; times that are moved or cut off.

use crate::{common::check, minute};

#[test]
fn days_are_those_of_a_place() {
    // The clocks of Berlin are put forward on 2026-03-29 and back on 2026-10-25.
    let days = |range: &str, location: &str| {
        format!(
            "{location}
             import \"array\"
             array.from(rows: [{{_time: 2026-06-01T00:00:00Z, _value: 1}}])
                 |> range({range})
                 |> aggregateWindow(every: 1d, fn: count)
                 |> keep(columns: [\"_time\"])"
        )
    };
    let berlin = "option location = {zone: \"Europe/Berlin\", offset: 0s}";
    let query = |range: &str| {
        let text = days(range, "");
        text.replace("fn: count", "fn: count, location: {zone: \"Europe/Berlin\", offset: 0s}")
    };
    check(
        &query("start: 2026-03-28T00:00:00Z, stop: 2026-03-31T00:00:00Z"),
        "_result: \n _time:time
         2026-03-28T23:00:00Z\n 2026-03-29T22:00:00Z\n 2026-03-30T22:00:00Z\n 2026-03-31T00:00:00Z",
    );
    check(
        &query("start: 2026-10-24T00:00:00Z, stop: 2026-10-26T12:00:00Z"),
        "_result: \n _time:time
         2026-10-24T22:00:00Z\n 2026-10-25T23:00:00Z\n 2026-10-26T12:00:00Z",
    );
    let text = days("start: 2026-03-28T00:00:00Z, stop: 2026-03-29T00:00:00Z", "");
    check(
        &text.replacen("import \"array\"\n", &format!("import \"array\"\n{berlin}\n"), 1),
        "_result: \n _time:time\n 2026-03-28T23:00:00Z\n 2026-03-29T00:00:00Z",
    );
    check(
        &text.replace("fn: count", "fn: count, location: {zone: \"UTC\", offset: -8h}"),
        "_result: \n _time:time\n 2026-03-28T08:00:00Z\n 2026-03-29T00:00:00Z",
    );
}

#[test]
fn hours_that_come_twice_are_in_the_windows_before_the_change() {
    let query = |start: &str, stop: &str, every: &str| {
        format!(
            "import \"array\"
             array.from(rows: [{{_time: 2026-10-25T01:20:00Z, _value: 1}}])
                 |> range(start: {start}, stop: {stop})
                 |> aggregateWindow(every: {every}, fn: count, location: {{zone: \"Europe/Berlin\", offset: 0s}})
                 |> keep(columns: [\"_time\", \"_value\"])"
        )
    };
    // From two until three, twice.
    check(
        &query("2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z", "1h"),
        "_result: \n _time:time _value:int
         2026-10-25T00:00:00Z 0\n 2026-10-25T02:00:00Z 1\n 2026-10-25T03:00:00Z 0",
    );
    // Two o'clock is three o'clock.
    check(
        &query("2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z", "30m")
            .replace("2026-10-25T01:20", "2026-03-29T01:20"),
        "_result: \n _time:time _value:int
         2026-03-29T00:30:00Z 0\n 2026-03-29T01:00:00Z 0\n 2026-03-29T01:30:00Z 1\n 2026-03-29T02:00:00Z 0
         2026-03-29T02:30:00Z 0\n 2026-03-29T03:00:00Z 0",
    );
}

#[test]
fn times_are_moved_and_cut_off() {
    let then = "filter(fn: (r) => r.tag == \"t1\" and r._value > 10)";
    check(
        &minute(&format!("{then} |> timeShift(duration: -12h)")),
        "_result: _start=2020-12-31T12:00:00Z,_stop=2020-12-31T12:01:00Z,tag=t1
         _start:time _stop:time _time:time _value:int tag:string
         2020-12-31T12:00:00Z 2020-12-31T12:01:00Z 2020-12-31T12:00:30Z 17 t1
         2020-12-31T12:00:00Z 2020-12-31T12:01:00Z 2020-12-31T12:00:40Z 15 t1",
    );
    check(
        &minute(&format!("{then} |> truncateTimeColumn(unit: 1m) |> keep(columns: [\"_time\", \"_value\"])")),
        "_result: \n _time:time _value:int\n 2021-01-01T00:00:00Z 17\n 2021-01-01T00:00:00Z 15",
    );
    check(
        &minute(&format!(
            "{then} |> timeShift(duration: 1mo, columns: [\"_time\"]) |> keep(columns: [\"_time\"])"
        )),
        "_result: \n _time:time\n 2021-02-01T00:00:30Z\n 2021-02-01T00:00:40Z",
    );
}

#[test]
fn hours_of_the_day_are_chosen() {
    let query = |arguments: &str| {
        format!(
            "import \"array\"
             array.from(rows: [
                 {{_time: 2022-01-01T05:00:00Z, _value: -2}}, {{_time: 2022-01-01T09:00:10Z, _value: 10}},
                 {{_time: 2022-01-01T16:00:30Z, _value: 17}}, {{_time: 2022-01-01T17:59:59Z, _value: 18}},
                 {{_time: 2022-01-01T19:00:40Z, _value: 15}},
             ])
                 |> hourSelection({arguments})
                 |> keep(columns: [\"_value\"])"
        )
    };
    check(&query("start: 9, stop: 17"), "_result: \n _value:int\n 10\n 17\n 18");
    check(&query("start: 19, stop: 5"), "_result: \n _value:int\n -2\n 15");
    let berlin = "location: {zone: \"Europe/Berlin\", offset: 0s}";
    check(&query(&format!("start: 9, stop: 17, {berlin}")), "_result: \n _value:int\n 10\n 17");
    check(
        &query("start: 9, stop: 24"),
        "runtime error @7:21-7:54: hourSelection: stop is an hour from 0 to 23, not 24",
    );
}
