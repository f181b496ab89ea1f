//! Packages date and timezone, and the clock.

mod common;
#[path = "common/value.rs"]
mod value;

use value::{all, value_with};

#[test]
fn parts_of_times() {
    all(
        "date",
        &[
            ("date.second(t: 2020-02-11T12:21:03.29353494Z)", "3"),
            ("date.minute(t: 2020-02-11T12:21:03Z)", "21"),
            ("date.hour(t: 2020-02-11T12:21:03Z)", "12"),
            (r#"date.hour(t: 2020-02-11T12:21:03Z, location: {zone: "America/Chicago", offset: 1h})"#, "7"),
            ("date.hour(t: -30m)", "0"),
            ("date.weekDay(t: 2020-02-11T12:21:03Z)", "2"),
            ("date.weekDay(t: 2026-01-04) == date.Sunday", "true"),
            ("date.monthDay(t: 2020-02-11T12:21:03Z)", "11"),
            ("date.yearDay(t: 2020-12-31)", "366"),
            ("date.month(t: 2020-02-11T12:21:03Z)", "2"),
            ("date.year(t: 1969-12-31T23:59:59Z)", "1969"),
            ("date.week(t: 2020-02-11T12:21:03Z)", "7"),
            ("date.week(t: 2021-01-03)", "53"),
            ("date.quarter(t: 2020-09-30)", "3"),
            ("date.millisecond(t: 2020-02-11T12:21:03.293534940Z)", "293"),
            ("date.microsecond(t: 2020-02-11T12:21:03.293534940Z)", "293534"),
            ("date.nanosecond(t: 2020-02-11T12:21:03.293534940Z)", "293534940"),
            ("date.nanosecond(t: 1969-12-31T23:59:59.5Z)", "500000000"),
            ("date.time(t: -1h)", "2026-01-01T00:00:00Z"),
            ("date.December", "12"),
            (r#"date.hour(t: "x")"#, r#"hour: keyword argument "t" should be of kind time, but got string"#),
            (
                r#"date.hour(t: 2020-01-01, location: {zone: "Moon/Base", offset: 0h})"#,
                "hour: unknown time zone Moon/Base",
            ),
        ],
    );
}

#[test]
fn times_move() {
    all(
        "date",
        &[
            ("date.add(d: 6h, to: 2019-09-16T12:00:00Z)", "2019-09-16T18:00:00Z"),
            ("date.add(d: 1mo, to: 2021-01-31)", "2021-02-28T00:00:00Z"),
            ("date.sub(d: 6h, from: -1h)", "2025-12-31T18:00:00Z"),
            (
                r#"date.add(d: 1mo, to: 2021-03-01T12:00:00Z, location: {zone: "Europe/Madrid", offset: 0h})"#,
                "2021-04-01T11:00:00Z",
            ),
            ("date.add(d: date.scale(d: 1mo1h, n: 5), to: 2022-01-01)", "2022-06-01T05:00:00Z"),
            ("date.scale(d: 2h, n: -3)", "-6h"),
            (
                "date.scale(d: 1h, n: 9223372036854775807)",
                "scale: the duration is too long: 9223372036854775807 times 1h",
            ),
            ("date.add(d: 290y, to: 2022-01-01)", "add: the time is out of range"),
        ],
    );
}

#[test]
fn times_are_truncated() {
    all(
        "date",
        &[
            ("date.truncate(t: 2019-06-03T13:59:01.5Z, unit: 1s)", "2019-06-03T13:59:01Z"),
            ("date.truncate(t: 2019-06-03T13:59:01Z, unit: 1h)", "2019-06-03T13:00:00Z"),
            ("date.truncate(t: 1969-06-03T13:59:01Z, unit: 1d)", "1969-06-03T00:00:00Z"),
            ("date.truncate(t: 2019-06-03T13:59:01Z, unit: 3mo)", "2019-04-01T00:00:00Z"),
            ("date.truncate(t: 1969-06-03T13:59:01Z, unit: 1y)", "1969-01-01T00:00:00Z"),
            ("date.truncate(t: 2019-06-03T13:59:01Z, unit: 1w)", "2019-05-30T00:00:00Z"),
            ("date.truncate(t: -30s, unit: 1m)", "2026-01-01T00:59:00Z"),
            (
                "date.truncate(t: -30s, unit: 0s)",
                "truncate: unit is one positive unit, such as 1h or 1mo, not 0ns",
            ),
            (
                "date.truncate(t: -30s, unit: 1mo1d)",
                "truncate: unit is one positive unit, such as 1h or 1mo, not 1mo1d",
            ),
            ("today()", "2026-01-01T00:00:00Z"),
        ],
    );
}

#[test]
fn locations_move_midnight() {
    let madrid = r#"option location = timezone.location(name: "Europe/Madrid")"#;
    let fixed = "option location = timezone.fixed(offset: -8h)\noption now = () => 2021-12-30T00:40:44Z";
    for (location, expression, expected) in [
        (madrid, "date.truncate(t: 2019-06-03T13:59:01Z, unit: 1h)", "2019-06-03T13:00:00Z"),
        (madrid, "date.truncate(t: 2019-06-03T13:59:01Z, unit: 1d)", "2019-06-02T22:00:00Z"),
        (madrid, "date.truncate(t: 2019-06-03T13:59:01Z, unit: 1mo)", "2019-05-31T22:00:00Z"),
        (madrid, "date.truncate(t: 2019-06-03T13:59:01Z, unit: 1y)", "2018-12-31T23:00:00Z"),
        // Clocks go from 3 back to 2 o'clock at 01:00 UTC.
        (madrid, "date.truncate(t: 2019-10-27T00:30:00Z, unit: 1h)", "2019-10-27T00:00:00Z"),
        (madrid, "date.truncate(t: 2019-10-27T01:30:00Z, unit: 1h)", "2019-10-27T01:00:00Z"),
        (madrid, "date.truncate(t: 2019-10-27T12:30:00Z, unit: 1d)", "2019-10-26T22:00:00Z"),
        (madrid, "date.hour(t: 2019-06-03T13:59:01Z)", "15"),
        (fixed, "today()", "2021-12-29T08:00:00Z"),
        (fixed, "boundaries.monday().start", "2021-12-27T08:00:00Z"),
        (fixed, "boundaries.monday().stop", "2021-12-28T08:00:00Z"),
        (fixed, "timezone.fixed(offset: -8h)", "{offset: -8h, zone: UTC}"),
        (fixed, "timezone.utc.zone", "UTC"),
        (fixed, r#"timezone.location(name: "Nowhere")"#, "location: unknown time zone Nowhere"),
        (fixed, "system.time()", "2026-01-01T01:00:00Z"),
        (fixed, "exists runtime.version()", "true"),
    ] {
        let imports = ["date", "date/boundaries", "timezone", "system", "runtime"];
        assert_eq!(value_with(&imports, location, expression), expected, "{expression}");
    }
}

#[test]
fn boundaries_of_days_and_months() {
    let imports = ["date/boundaries"];
    for (now, expression, expected) in [
        ("2022-01-02T13:45:28Z", "boundaries.yesterday()", "2022-01-01 2022-01-02"),
        ("2022-05-10T00:00:00.00001Z", "boundaries.week()", "2022-05-09 2022-05-16"),
        ("2022-05-10T10:10:00Z", "boundaries.week(start_sunday: true)", "2022-05-08 2022-05-15"),
        ("2022-05-10T10:10:00Z", "boundaries.week(week_offset: -1)", "2022-05-02 2022-05-09"),
        ("2022-05-10T10:10:00Z", "boundaries.month()", "2022-05-01 2022-06-01"),
        ("2022-05-10T10:10:00Z", "boundaries.month(month_offset: -3)", "2022-02-01 2022-03-01"),
        ("2022-05-08T10:10:00Z", "boundaries.sunday()", "2022-05-01 2022-05-02"),
        ("2022-05-09T10:10:00Z", "boundaries.sunday()", "2022-05-08 2022-05-09"),
        ("2022-05-09T10:10:00Z", "boundaries.monday()", "2022-05-02 2022-05-03"),
    ] {
        let (start, stop) = expected.split_once(' ').unwrap();
        let expected = format!("{{start: {start}T00:00:00Z, stop: {stop}T00:00:00Z}}");
        let got = value_with(&imports, &format!("option now = () => {now}"), expression);
        assert_eq!(got, expected, "{now} {expression}");
    }
}
