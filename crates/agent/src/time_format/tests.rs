//! Times as data has them.

use super::*;

/// 2018-09-13 20:03:28 UTC.
const AT: i64 = 1_536_869_008_000_000_000;

fn parse(format: &str, zone: &str, text: &str) -> Result<i64, String> {
    TimeFormat::new(format, zone).expect("a format").parse(text, AT)
}

#[test]
fn numbers_since_1970() {
    for (format, text, nanos) in [
        ("unix", "1536869008", AT),
        ("unix", "1536869008.25", AT + 250_000_000),
        ("unix", "1536869008,000000001", AT + 1),
        ("unix", "1.536869008e9", AT),
        ("unix", "-1.5", -1_500_000_000),
        ("unix", ".5", 500_000_000),
        ("unix_ms", "1536869008123", AT + 123_000_000),
        ("unix_us", "1536869008000001", AT + 1_000),
        ("unix_ns", "1536869008000000001", AT + 1),
    ] {
        assert_eq!(parse(format, "", text), Ok(nanos), "{format} {text}");
    }
    for text in ["", ".", "-", "now", "1 2", "99999999999999999999", "9223372037", "1.2.3", "e", "nan"] {
        assert!(parse("unix", "", text).is_err(), "{text:?}");
    }
}

#[test]
fn layouts_with_and_without_names() {
    for (format, text) in [
        ("2006-01-02 15:04:05", "2018-09-13 20:03:28"),
        ("2006-01-02T15:04:05Z07:00", "2018-09-13T22:03:28+02:00"),
        ("RFC3339", "2018-09-13T20:03:28Z"),
        ("rfc3339", "2018-09-13T14:03:28-06:00"),
        ("RFC1123", "Thu, 13 Sep 2018 20:03:28 GMT"),
        ("RFC1123Z", "Thu, 13 Sep 2018 22:03:28 +0200"),
        ("RFC850", "Thursday, 13-Sep-18 20:03:28 UTC"),
        ("ANSIC", "Thu Sep 13 20:03:28 2018"),
        ("UnixDate", "Thu Sep 13 20:03:28 UTC 2018"),
        ("RubyDate", "Thu Sep 13 20:03:28 +0000 2018"),
        ("Stamp", "Sep 13 20:03:28"),
        ("1/2/06 3:04:05 PM", "9/13/18 8:03:28 PM"),
        ("2 January 2006, 15h04m05", "13 september 2018, 20h03m28"),
        ("2006-002 15:04:05", "2018-256 20:03:28"),
        ("20060102150405", "20180913200328"),
        ("02/Jan/2006:15:04:05 -0700", "13/Sep/2018:20:03:28 +0000"),
        ("2006-01-02 15:04:05 -07", "2018-09-13 21:03:28 +01"),
    ] {
        assert_eq!(parse(format, "", text), Ok(AT), "{format} {text}");
    }
    assert_eq!(parse("RFC822", "", "13 Sep 18 20:03 GMT"), Ok(AT - 28_000_000_000));
    assert_eq!(parse("ANSIC", "", "Mon Sep  3 20:03:28 2018"), Ok(AT - 864_000_000_000_000));
    assert_eq!(parse("3:04 PM 2006-01-02", "", "12:00 AM 1970-01-02"), Ok(86_400_000_000_000));
}

#[test]
fn fractions_follow_seconds() {
    let milli = AT + 120_000_000;
    assert_eq!(parse("2006-01-02 15:04:05", "", "2018-09-13 20:03:28.12"), Ok(milli), "of any layout");
    assert_eq!(parse("2006-01-02 15:04:05.000", "", "2018-09-13 20:03:28.120"), Ok(milli));
    assert_eq!(parse("2006-01-02 15:04:05,000", "", "2018-09-13 20:03:28,120"), Ok(milli));
    assert!(parse("2006-01-02 15:04:05.000", "", "2018-09-13 20:03:28.12").is_err());
    assert_eq!(parse("RFC3339Nano", "", "2018-09-13T20:03:28.000000001Z"), Ok(AT + 1));
    assert_eq!(parse("RFC3339Nano", "", "2018-09-13T20:03:28Z"), Ok(AT));
    assert_eq!(parse("2006-01-02 15:04:05.999 -0700", "", "2018-09-13 20:03:28 +0000"), Ok(AT));
}

#[test]
fn zones_of_times_that_name_none() {
    let berlin = |text| parse("2006-01-02 15:04:05", "Europe/Berlin", text);
    assert_eq!(berlin("2018-09-13 22:03:28"), Ok(AT));
    assert_eq!(berlin("2018-12-13 21:03:28"), Ok(AT + 91 * 86_400_000_000_000));
    assert_eq!(parse("2006-01-02 15:04:05 MST", "Europe/Berlin", "2018-09-13 22:03:28 CEST"), Ok(AT));
    assert_eq!(
        parse("2006-01-02 15:04:05 MST", "Europe/Berlin", "2018-09-13 20:03:28 XYZ"),
        Ok(AT),
        "as in Go"
    );
    assert_eq!(parse("RFC3339", "Europe/Berlin", "2018-09-13T20:03:28Z"), Ok(AT), "this one names its own");
    assert!(TimeFormat::new("unix", "Europe/Nowhere").is_err());
}

#[test]
fn what_is_no_format_and_what_is_no_time() {
    for format in ["", "%Y-%m-%d", "yyyy", "rfc"] {
        assert!(TimeFormat::new(format, "").is_err(), "{format:?}");
    }
    for text in [
        "",
        "2018",
        "2018-13-01 00:00:00",
        "2018-02-30 00:00:00",
        "2018-01-01 25:00:00",
        "2018-01-01 00:00:00x",
        "日本",
    ] {
        assert!(parse("2006-01-02 15:04:05", "", text).is_err(), "{text:?}");
    }
    let why = parse("2006-01-02", "", "2018-9-13").expect_err("one digit");
    assert_eq!(
        why,
        "\"2018-9-13\" is not the time expected: \"9-13\" does not begin with the number of a month"
    );
}
