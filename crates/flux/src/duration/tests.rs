//! Durations are read, written and added.

use jiff::tz::TimeZoneDatabase;

use super::*;
use crate::parse_time;

fn duration(text: &str) -> Duration {
    text.parse().expect(text)
}

#[test]
fn texts_are_read_and_written() {
    for (text, canonical) in [
        ("1h30m", "1h30m"),
        ("90m", "1h30m"),
        ("30m1h", "1h30m"),
        ("-1mo5d", "-1mo5d"),
        ("12mo", "1y"),
        ("8d", "1w1d"),
        ("1y1mo1w1d1h1m1s1ms1us1ns", "1y1mo1w1d1h1m1s1ms1us1ns"),
        ("5µs", "5us"),
        ("5μs", "5us"),
        ("1.5s", "1s500ms"),
        ("0.25h", "15m"),
        ("1.5y", "1y6mo"),
        ("1.0000000009s", "1s"),
        ("0s", "0ns"),
        ("0mo", "0ns"),
        ("9223372036854775807ns", "15250w1d23h47m16s854ms775us807ns"),
    ] {
        assert_eq!(duration(text).to_string(), canonical, "{text}");
        assert_eq!(duration(canonical), duration(text), "{text}");
    }
}

#[test]
fn other_texts_are_refused() {
    for text in ["", "-", "1", "h", "1x", "1h ", " 1h", "1h-1m", "--1h", "1.h", ".5h", "+1h", "1H", "1µ"] {
        assert_eq!(text.parse::<Duration>(), Err(DurationError::Malformed), "{text}");
    }
    for text in ["9223372036854775808ns", "99999999999999999999s", "300y300000w", "1000000000000000000y"] {
        assert_eq!(text.parse::<Duration>(), Err(DurationError::Overflow), "{text}");
    }
}

#[test]
fn months_clip_and_come_first() {
    for (from, by, to) in [
        ("2018-01-31", "1mo", "2018-02-28"),
        ("2018-01-31", "2mo", "2018-03-31"),
        ("2018-01-31", "1mo1d", "2018-03-01"),
        ("2018-01-28", "1mo2d", "2018-03-02"),
        ("2018-01-01", "1mo30d", "2018-03-03"),
        ("2018-03-31", "-1mo", "2018-02-28"),
        ("2018-03-31", "-1mo1d", "2018-02-27"),
        ("2020-02-29", "1y", "2021-02-28"),
        ("2018-01-01", "-1h", "2017-12-31T23:00:00Z"),
        ("1960-01-31", "1mo", "1960-02-29"),
    ] {
        let from_time = parse_time(from).expect(from);
        assert_eq!(duration(by).add_to(from_time), parse_time(to), "{from} + {by}");
    }
    assert_eq!(duration("1ns").add_to(i64::MAX), None);
    assert_eq!(duration("-1ns").add_to(i64::MIN), None);
    assert_eq!(duration("9000y").add_to(0), None);
    assert_eq!(Duration { months: i64::MAX, nanoseconds: i64::MAX, is_negative: true }.add_to(0), None);
}

#[test]
fn months_of_a_zone_keep_the_hour() {
    let berlin = TimeZoneDatabase::bundled().get("Europe/Berlin").expect("known");
    let noon = parse_time("2020-03-15T12:00:00+01:00").expect("a time");
    assert_eq!(duration("1mo").add_to_in(noon, &berlin), parse_time("2020-04-15T12:00:00+02:00"));
    assert_eq!(duration("1mo").add_to(noon), parse_time("2020-04-15T13:00:00+02:00"));
}

#[test]
fn signs() {
    assert_eq!((-duration("1h")).nanoseconds_only(), Some(-3_600_000_000_000));
    assert_eq!(-duration("-1mo"), duration("1mo"));
    assert_eq!(duration("1mo").nanoseconds_only(), None);
    assert!(duration("0s").is_zero());
    assert_eq!(Duration::from_nanoseconds(-5).to_string(), "-5ns");
}
