use super::*;
use crate::parse_expr;

const NOW: i64 = 1_600_000_000_000_000_000;
const DAY_2020: i64 = 1_577_836_800_000_000_000;

fn split_text(condition: &str) -> Result<(Option<String>, TimeBounds), String> {
    let expr = parse_expr(condition).unwrap();
    split_condition(Some(&expr), NOW, &TimeZone::UTC)
        .map(|(rest, bounds)| (rest.map(|rest| rest.to_string()), bounds))
        .map_err(|error| error.to_string())
}

fn bounds(condition: &str) -> (Option<i64>, Option<i64>) {
    let (rest, bounds) = split_text(condition).unwrap();
    assert_eq!(rest, None, "{condition}");
    (bounds.min, bounds.max)
}

#[test]
fn every_operator_bounds_time() {
    assert_eq!(bounds("time > 10"), (Some(11), None));
    assert_eq!(bounds("time >= 10"), (Some(10), None));
    assert_eq!(bounds("time < 10"), (None, Some(9)));
    assert_eq!(bounds("time <= 10"), (None, Some(10)));
    assert_eq!(bounds("time = 10"), (Some(10), Some(10)));
    assert_eq!(bounds("10 < time"), (Some(11), None));
    assert_eq!(bounds("10 >= TIME"), (None, Some(10)));
    assert_eq!(bounds("time >= 10 AND time < 20 AND time > 5"), (Some(10), Some(19)));
    assert_eq!(bounds("time > 10 OR (time < 5)"), (Some(11), Some(4)));
    assert_eq!(bounds("(time) > 10 AND 20 > ((time))"), (Some(11), Some(19)));
}

#[test]
fn constants_are_times() {
    for (text, time) in [
        ("now()", NOW),
        ("now() - 1h", NOW - 3_600_000_000_000),
        ("1h + now()", NOW + 3_600_000_000_000),
        ("now() - 1h / 2 - (1h - 30m)", NOW - 3_600_000_000_000),
        ("now() - now()", 0),
        ("'2020-01-02' - '2020-01-01'", 86_400_000_000_000),
        ("now() - ('2020-01-02' - '2020-01-01')", NOW - 86_400_000_000_000),
        ("1 + now()", NOW + 1),
        ("1577836800000ms", DAY_2020),
        ("1577836800000000000", DAY_2020),
        ("1577836800000000000 / 2 * 2", DAY_2020),
        ("1577836800000000000 - 1s", DAY_2020 - 1_000_000_000),
        ("'2020-01-01'", DAY_2020),
        ("'2020-01-01' + 1h", DAY_2020 + 3_600_000_000_000),
        ("'2020-01-01T00:00:00.000000001Z' - 1", DAY_2020),
        ("7 % 0", 0),
        ("7 / 0", 0),
        ("3 & 1 | 8 ^ 2", 11),
        ("1.9", 1),
        ("-1", -1),
        ("1s * 2", 2_000_000_000),
        ("1s * 1.5", 1_500_000_000),
    ] {
        assert_eq!(bounds(&format!("time = {text}")), (Some(time), Some(time)), "{text}");
    }
}

#[test]
fn a_zone_moves_times_without_one() {
    let berlin = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
    let expr = parse_expr("time >= '2020-01-01' AND time < '2020-01-01T00:00:00Z'").unwrap();
    let (_, bounds) = split_condition(Some(&expr), NOW, &berlin).unwrap();
    assert_eq!(bounds.min, Some(DAY_2020 - 3_600_000_000_000));
    assert_eq!(bounds.max, Some(DAY_2020 - 1));
}

#[test]
fn the_rest_is_kept() {
    for (condition, rest) in [
        ("time > 0 AND host = 'a'", Some("host = 'a'")),
        ("host = 'a' AND (time > 0) AND (x > 1 + 1)", Some("host = 'a' AND (x > 2)")),
        ("(time > 0 AND (host = 'a' OR host = 'b'))", Some("host = 'a' OR host = 'b'")),
        ("(((a = 3)))", Some("a = 3")),
        ("a + 1", Some("a + 1")),
        ("true", None),
        ("false", Some("false")),
        ("1 = 1 AND a = 'x'", Some("a = 'x'")),
        ("1 = 2 AND a = 'x'", Some("false")),
        ("1 = 1 OR a = 'x'", None),
        ("'a' = 'a'", None),
        ("a = 'x' AND time = 1 OR b =~ /y/", Some("a = 'x' OR b =~ /y/")),
    ] {
        assert_eq!(split_text(condition).unwrap().0.as_deref(), rest, "{condition}");
    }
}

#[test]
fn no_condition_bounds_nothing() {
    let (rest, bounds) = split_condition(None, NOW, &TimeZone::UTC).unwrap();
    assert!(rest.is_none() && bounds.is_unbounded());
    assert_eq!(bounds.range(), TimeRange::ALL);
}

/// The messages are those InfluxDB 1.6.7 answers to the same conditions.
#[test]
fn senseless_times_are_refused_in_influxdbs_words() {
    for (condition, message) in [
        ("time > foo", "invalid operation: time and *influxql.VarRef are not compatible"),
        ("time > 'foo'", "invalid operation: time and *influxql.StringLiteral are not compatible"),
        ("time > true", "invalid operation: time and *influxql.BooleanLiteral are not compatible"),
        ("time > foo()", "invalid operation: time and *influxql.Call are not compatible"),
        ("time > now(1)", "invalid operation: time and *influxql.Call are not compatible"),
        ("time > now() - foo", "invalid operation: time and *influxql.BinaryExpr are not compatible"),
        ("time > now() + true", "invalid operation: time and *influxql.BinaryExpr are not compatible"),
        ("time > 'a' + 'b'", "invalid operation: time and *influxql.StringLiteral are not compatible"),
        ("time > 1s + 'b'", "invalid operation: time and *influxql.BinaryExpr are not compatible"),
        ("time > 1s * now()", "invalid operation: time and *influxql.BinaryExpr are not compatible"),
        ("time > 5 * 1s", "invalid operation: time and *influxql.BinaryExpr are not compatible"),
        ("time > ('2020-01-01')", "invalid operation: time and *influxql.StringLiteral are not compatible"),
        ("time =~ /x/", "invalid operation: time and *influxql.RegexLiteral are not compatible"),
        (
            "time >= 9223372036854775808",
            "invalid operation: time and *influxql.UnsignedLiteral are not compatible",
        ),
        ("time != 1", "invalid time comparison operator: !="),
        ("time + 1", "invalid time comparison operator: +"),
        ("time", "invalid condition expression: time"),
        ("(a)", "invalid condition expression: a"),
        ("1", "invalid condition expression: 1"),
        ("time > '2020-13-01'", "invalid timestamp string"),
        ("time > '2020-01-01x'", "invalid timestamp string"),
        ("time > '1500-01-01'", "time 1500-01-01T00:00:00Z underflows time literal"),
        ("time > '2500-01-01'", "time 2500-01-01T00:00:00Z overflows time literal"),
        ("time > '1677-09-21T00:12:43.145224193Z'", "time 1677-09-21T00:12:43Z underflows time literal"),
    ] {
        assert_eq!(split_text(condition).unwrap_err(), message, "{condition}");
    }
}
