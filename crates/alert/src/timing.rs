//! Mute timings: recurring times in which a notification policy tells nothing. Pure.
//!
//! Fields, ranges and their meaning are those of Alertmanager's time intervals
//! (<https://prometheus.io/docs/alerting/latest/configuration/#time_interval>), which Grafana's `muteTimes` holds.

use std::ops::RangeInclusive;

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

use crate::Time;

/// Times that have a name.
#[derive(Debug, Clone, PartialEq)]
pub struct MuteTiming {
    /// Policies refer to it by this.
    pub name: String,
    /// It is any of these.
    pub intervals: Vec<TimeInterval>,
}

impl MuteTiming {
    fn contains(&self, time: Time) -> bool {
        self.intervals.iter().any(|interval| interval.contains(time))
    }
}

/// When a policy tells nothing; both are names of [`MuteTiming`]s.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuteTimes {
    /// In any of these.
    #[serde(default)]
    pub mute: Vec<String>,
    /// Outside of all of these, if there are any.
    #[serde(default)]
    pub active: Vec<String>,
}

impl MuteTimes {
    /// Whether it tells at any time.
    pub const fn is_empty(&self) -> bool {
        self.mute.is_empty() && self.active.is_empty()
    }

    /// Why nothing is told at this time; `None` if it is. A name that is not there any more mutes nothing.
    pub fn reason(&self, timings: &[MuteTiming], now: Time) -> Option<String> {
        let known = |name: &&String| timings.iter().find(|timing| timing.name == **name);
        if let Some(timing) = self.mute.iter().filter_map(|name| known(&name)).find(|it| it.contains(now)) {
            return Some(format!("muted by {}", timing.name));
        }
        let active: Vec<&MuteTiming> = self.active.iter().filter_map(|name| known(&name)).collect();
        let is_outside = !active.is_empty() && active.iter().all(|timing| !timing.contains(now));
        is_outside.then(|| format!("outside of {}", self.active.join(", ")))
    }
}

/// Moments that satisfy all of these conditions, as a calendar and a clock in `zone` show them; one without ranges is no
/// condition.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeInterval {
    /// Minutes of the day, the last one not included.
    pub times: Vec<(u16, u16)>,
    /// Days of the week, Sunday being 0.
    pub weekdays: Vec<RangeInclusive<i16>>,
    /// Days of the month; -1 is its last one.
    pub days_of_month: Vec<RangeInclusive<i16>>,
    /// Months, January being 1.
    pub months: Vec<RangeInclusive<i16>>,
    /// Years.
    pub years: Vec<RangeInclusive<i16>>,
    /// Where the clock hangs.
    pub zone: TimeZone,
}

impl Default for TimeInterval {
    fn default() -> Self {
        Self {
            times: Vec::new(),
            weekdays: Vec::new(),
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone: TimeZone::UTC,
        }
    }
}

impl TimeInterval {
    fn contains(&self, time: Time) -> bool {
        let Ok(timestamp) = Timestamp::from_millisecond(time.millis()) else { return false };
        let at: DateTime = self.zone.to_datetime(timestamp);
        let minute = at.hour() as u16 * 60 + at.minute() as u16;
        let days = i16::from(at.days_in_month());
        let is_any = |ranges: &[RangeInclusive<i16>], value: i16| {
            ranges.is_empty() || ranges.iter().any(|it| it.contains(&value))
        };
        let is_day = |range: &RangeInclusive<i16>| {
            let day = |number: i16| if number < 0 { days + 1 + number } else { number };
            (day(*range.start())..=day(*range.end())).contains(&i16::from(at.day()))
        };
        (self.times.is_empty() || self.times.iter().any(|(start, end)| (*start..*end).contains(&minute)))
            && is_any(&self.weekdays, i16::from(at.weekday().to_sunday_zero_offset()))
            && (self.days_of_month.is_empty() || self.days_of_month.iter().any(is_day))
            && is_any(&self.months, i16::from(at.month()))
            && is_any(&self.years, at.year())
    }
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// `08:00` and `17:00`, the end not included; `24:00` is the end of the day.
pub(crate) fn parse_times(start: &str, end: &str) -> Result<(u16, u16), String> {
    let (from, to) = (parse_minute(start)?, parse_minute(end)?);
    if from < to {
        return Ok((from, to));
    }
    Err(format!(
        "{start} to {end} is no range of time within a day; for one over midnight write two, until 24:00 and from 00:00"
    ))
}

fn parse_minute(text: &str) -> Result<u16, String> {
    let wrong = || {
        format!(
            "{text:?} is no time of day: write hours and minutes with two digits each, such as 08:30, up to 24:00"
        )
    };
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| -> Result<u16, String> {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number).ok_or_else(wrong)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if minutes < 60 && (hours < 24 || (hours, minutes) == (24, 0)) {
        Ok(hours * 60 + minutes)
    } else {
        Err(wrong())
    }
}

/// `monday`, `monday:friday`.
pub(crate) fn parse_weekdays(text: &str) -> Result<RangeInclusive<i16>, String> {
    let day = |text: &str| WEEKDAYS.iter().position(|name| *name == text.to_lowercase()).map(|at| at as i16);
    let wrong = || {
        format!(
            "{text:?} is no day of the week: write monday, or a range such as monday:friday; the week begins with sunday"
        )
    };
    range(text, day).ok_or_else(wrong)
}

/// `5`, `1:5`, `-3:-1`: the last three days.
pub(crate) fn parse_days_of_month(text: &str) -> Result<RangeInclusive<i16>, String> {
    let day = |text: &str| text.parse::<i16>().ok().filter(|day| *day != 0 && (-31..=31).contains(day));
    let wrong = || {
        format!(
            "{text:?} is no day of the month: write 5, or a range such as 1:5 or -3:-1, where -1 is the last day"
        )
    };
    let (start, end) = bounds(text);
    let (start, end) = day(start).zip(day(end)).ok_or_else(wrong)?;
    // What a range from the end of the month to one from its beginning holds depends on the month, and so does the other one;
    // the longest month must have some day of it.
    let in_longest = |day: i16| if day < 0 { 32 + day } else { day };
    if start < 0 && end > 0 || in_longest(start) > in_longest(end) {
        return Err(format!("the days of the month {text} end before they begin"));
    }
    Ok(start..=end)
}

/// `december`, `5:8`, `may:august`.
pub(crate) fn parse_months(text: &str) -> Result<RangeInclusive<i16>, String> {
    let month = |text: &str| {
        let named = MONTHS.iter().position(|name| *name == text.to_lowercase()).map(|at| at as i16 + 1);
        named.or_else(|| text.parse().ok().filter(|month| (1..=12).contains(month)))
    };
    let wrong = || {
        format!("{text:?} is no month: write may or 5, or a range within a year such as may:august or 1:3")
    };
    range(text, month).ok_or_else(wrong)
}

/// `2026`, `2026:2027`.
pub(crate) fn parse_years(text: &str) -> Result<RangeInclusive<i16>, String> {
    let year = |text: &str| text.parse::<i16>().ok().filter(|year| (1..=9999).contains(year));
    range(text, year).ok_or_else(|| format!("{text:?} is no year: write 2026, or a range such as 2026:2027"))
}

/// A name of the IANA time zone database, or `Local`; nothing is UTC.
pub(crate) fn parse_zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "" => Ok(TimeZone::UTC),
        "Local" => Ok(TimeZone::system()),
        name => TimeZoneDatabase::bundled().get(name).map_err(|_| {
            format!("{name:?} is no time zone that is known: write a name such as Europe/Berlin, or UTC")
        }),
    }
}

/// The ends of `a:b`, or `a` twice.
fn bounds(text: &str) -> (&str, &str) {
    let (start, end) = text.split_once(':').unwrap_or((text, text));
    (start.trim(), end.trim())
}

/// A range that does not end before it begins.
fn range(text: &str, number: impl Fn(&str) -> Option<i16>) -> Option<RangeInclusive<i16>> {
    let (start, end) = bounds(text);
    let (start, end) = number(start).zip(number(end))?;
    (start <= end).then_some(start..=end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        Time::from_millis(text.parse::<Timestamp>().expect("a time").as_millisecond())
    }

    fn ranges(
        texts: &[&str],
        parse: fn(&str) -> Result<RangeInclusive<i16>, String>,
    ) -> Vec<RangeInclusive<i16>> {
        texts.iter().map(|text| parse(text).expect("a range")).collect()
    }

    #[test]
    fn office_hours_are_those_of_the_place() {
        let interval = TimeInterval {
            times: vec![parse_times("08:00", "17:00").expect("a range")],
            weekdays: ranges(&["monday:Friday"], parse_weekdays),
            zone: parse_zone("Europe/Berlin").expect("a zone"),
            ..TimeInterval::default()
        };
        for (time, expected) in [
            // A Tuesday in winter, when Berlin is an hour ahead.
            ("2026-12-01T06:59:59Z", false),
            ("2026-12-01T07:00:00Z", true),
            ("2026-12-01T15:59:59Z", true),
            ("2026-12-01T16:00:00Z", false),
            // In summer it is two.
            ("2026-07-01T06:00:00Z", true),
            ("2026-07-01T15:00:00Z", false),
            ("2026-12-05T10:00:00Z", false),
            ("2026-12-06T10:00:00Z", false),
        ] {
            assert_eq!(interval.contains(at(time)), expected, "{time}");
        }
    }

    #[test]
    fn days_are_counted_from_either_end_of_their_month() {
        let of = |texts: &[&str]| TimeInterval {
            days_of_month: ranges(texts, parse_days_of_month),
            ..TimeInterval::default()
        };
        for (days, time, expected) in [
            (&["1:5", "-3:-1"][..], "2026-02-05T00:00:00Z", true),
            (&["1:5", "-3:-1"], "2026-02-06T00:00:00Z", false),
            (&["1:5", "-3:-1"], "2026-02-25T23:59:59Z", false),
            (&["1:5", "-3:-1"], "2026-02-26T00:00:00Z", true),
            (&["1:5", "-3:-1"], "2024-02-26T00:00:00Z", false),
            (&["31"], "2026-04-30T00:00:00Z", false),
            (&["31"], "2026-05-31T00:00:00Z", true),
            (&["29:31"], "2026-02-28T00:00:00Z", false),
            (&["-31"], "2026-04-01T00:00:00Z", false),
            (&["-31:-30"], "2026-04-01T00:00:00Z", true),
            (&["2:-2"], "2026-04-01T00:00:00Z", false),
            (&["2:-2"], "2026-04-29T00:00:00Z", true),
            (&["2:-2"], "2026-04-30T00:00:00Z", false),
        ] {
            assert_eq!(of(days).contains(at(time)), expected, "{days:?} {time}");
        }
    }

    #[test]
    fn all_conditions_of_an_interval_hold_and_none_is_always() {
        assert!(TimeInterval::default().contains(at("2026-12-01T00:00:00Z")));
        let interval = TimeInterval {
            months: ranges(&["1:3", "december"], parse_months),
            years: ranges(&["2026:2027"], parse_years),
            ..TimeInterval::default()
        };
        for (time, expected) in [
            ("2026-12-31T23:59:59Z", true),
            ("2027-03-31T00:00:00Z", true),
            ("2027-04-01T00:00:00Z", false),
            ("2028-01-01T00:00:00Z", false),
            ("2025-12-31T00:00:00Z", false),
        ] {
            assert_eq!(interval.contains(at(time)), expected, "{time}");
        }
    }

    #[test]
    fn the_end_of_the_day_is_told_with_24() {
        let late = TimeInterval {
            times: vec![
                parse_times("22:00", "24:00").expect("a range"),
                parse_times("00:00", "06:00").expect("a range"),
            ],
            ..TimeInterval::default()
        };
        for (time, expected) in [
            ("21:59", false),
            ("22:00", true),
            ("23:59", true),
            ("00:00", true),
            ("05:59", true),
            ("06:00", false),
        ] {
            assert_eq!(late.contains(at(&format!("2026-12-01T{time}:30Z"))), expected, "{time}");
        }
    }

    #[test]
    fn what_is_no_range_is_told() {
        for (start, end) in [
            ("8:00", "17:00"),
            ("08:00", "24:01"),
            ("08:60", "09:00"),
            ("08:00", "08:00"),
            ("22:00", "06:00"),
            ("+8:00", "09:00"),
        ] {
            assert!(parse_times(start, end).is_err(), "{start} {end}");
        }
        for text in ["mon", "friday:monday", "", "monday:", "1"] {
            assert!(parse_weekdays(text).is_err(), "{text}");
        }
        for text in ["0", "32", "-32", "5:1", "-1:-3", "-1:3", "31:-31", "a", ""] {
            assert!(parse_days_of_month(text).is_err(), "{text}");
        }
        for text in ["13", "0", "may:march", "mai", ""] {
            assert!(parse_months(text).is_err(), "{text}");
        }
        for text in ["2027:2026", "26000", "-5", ""] {
            assert!(parse_years(text).is_err(), "{text}");
        }
        assert!(parse_zone("Mars/Olympus").is_err());
    }

    #[test]
    fn a_policy_is_muted_in_these_times_and_outside_of_those() {
        let timing = |name: &str, start: &str, end: &str| MuteTiming {
            name: name.to_owned(),
            intervals: vec![TimeInterval {
                times: vec![parse_times(start, end).expect("a range")],
                ..TimeInterval::default()
            }],
        };
        let timings = [timing("lunch", "12:00", "13:00"), timing("office", "08:00", "17:00")];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let times = MuteTimes { mute: names(&["lunch", "gone"]), active: names(&["office", "gone"]) };
        let reason = |hour: &str| times.reason(&timings, at(&format!("2026-12-01T{hour}:00Z")));
        assert_eq!(reason("07:59").as_deref(), Some("outside of office, gone"));
        assert_eq!(reason("08:00"), None);
        assert_eq!(reason("12:30").as_deref(), Some("muted by lunch"));
        assert_eq!(reason("13:00"), None);
        let gone = MuteTimes { mute: names(&["gone"]), active: names(&["gone"]) };
        assert_eq!(
            gone.reason(&timings, at("2026-12-01T12:30:00Z")),
            None,
            "what is not known mutes nothing"
        );
    }
}
