//! Windows as found for a time are those that contain it, looked at one by one.

use proptest::prelude::*;

use super::*;

const HOUR_NS: i64 = 3_600_000_000_000;

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/St_Johns", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"];

fn windows(every: &str, period: &str, offset: &str, zone: &str) -> Every {
    let location = Location { zone: TimeZone::get(zone).unwrap(), offset: Duration::default() };
    let [every, period, offset] = [every, period, offset].map(|text| text.parse().unwrap());
    Every::new(every, period, offset, location).unwrap()
}

fn at(text: &str) -> i64 {
    i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
}

fn bounds_around(windows: &Every, time: &str) -> Vec<(String, String)> {
    let show = |time: i64| Timestamp::from_nanosecond(i128::from(time)).unwrap().to_string();
    let bounds = windows.around(at(time)).map(|window| windows.bounds(window));
    bounds.map(|(start, stop)| (show(start), show(stop))).collect()
}

#[track_caller]
fn check_around(windows: &Every, time: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|&(start, stop)| (start.into(), stop.into())).collect();
    assert_eq!(bounds_around(windows, time), expected, "{time}");
}

#[test]
fn the_time_of_the_world_is_known_as_such() {
    assert_eq!(windows("1m", "1m", "-10s", "UTC").as_fixed(), Some((60_000_000_000, 50_000_000_000)));
    assert_eq!(windows("1w", "1w", "1mo", "UTC").as_fixed(), Some((7 * DAY_NS, 3 * DAY_NS)));
    assert_eq!(windows("1m", "1m", "0s", "Europe/Berlin").as_fixed(), None);
    assert_eq!(windows("1mo", "1mo", "0s", "UTC").as_fixed(), None);
    assert_eq!(windows("1m", "2m", "0s", "UTC").as_fixed(), None);
}

#[test]
fn an_offset_moves_the_epoch_not_each_window() {
    // Thirty-one days after 1970 began, and then every seven seconds.
    let time = 3_276_633_600_000_000_000;
    let sevens = windows("7s", "7s", "1mo", "UTC");
    let start = time - (time - 31 * DAY_NS).rem_euclid(7_000_000_000);
    let bounds: Vec<_> = sevens.around(time).map(|window| sevens.bounds(window)).collect();
    assert_eq!(bounds, [(start, start + 7_000_000_000)]);
    // The last of every month, as there is one on 31 January 1970.
    let months = windows("1mo", "1mo", "30d", "UTC");
    check_around(&months, "2026-02-28T00:00:00Z", &[("2026-02-28T00:00:00Z", "2026-03-28T00:00:00Z")]);
    check_around(&months, "2026-03-28T00:00:00Z", &[]);
    check_around(&months, "2026-03-31T12:00:00Z", &[("2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z")]);
}

#[test]
fn months_from_the_last_days_of_a_month_end_together() {
    // Those of the 29th, 30th and 31st end on the 28th at their hour, before the one of the 28th at 18:00 does.
    let windows = windows("6h", "1mo", "0s", "UTC");
    let found = bounds_around(&windows, "2026-02-28T12:00:00Z");
    let ends = found.iter().filter(|(_, stop)| stop.starts_with("2026-02"));
    let starts: Vec<&str> = ends.map(|(start, _)| start.as_str()).collect();
    let expected =
        ["2026-01-28T18:00:00Z", "2026-01-29T18:00:00Z", "2026-01-30T18:00:00Z", "2026-01-31T18:00:00Z"];
    assert_eq!(starts, expected);
    assert_eq!(found.len(), 4 + 27 * 4 + 3);
}

#[test]
fn finding_windows_is_no_work_for_those_between() {
    // Of the last days of January, with some hundred thousand million windows, the last of each ends after this.
    let windows = windows("1us", "1mo", "0s", "UTC");
    let last = at("2026-02-28T23:59:59.999999Z") - 1;
    let starts: Vec<i64> = windows.around(last).take(5).map(|window| windows.bounds(window).0).collect();
    let lasts = [28, 29, 30, 31].map(|day| format!("2026-01-{day}T23:59:59.999999Z"));
    let expected: Vec<i64> = lasts.iter().map(|time| at(time)).chain([at("2026-02-01T00:00:00Z")]).collect();
    assert_eq!(starts, expected);
}

#[test]
fn times_of_a_window_are_placed_at_once() {
    let until = |windows: &Every, time: &str| {
        let mut found = windows.around(at(time));
        found.by_ref().for_each(drop);
        found.until()
    };
    let hours = windows("1h", "90m", "0s", "Europe/Berlin");
    assert_eq!(until(&hours, "2026-01-01T00:10:00Z"), at("2026-01-01T00:30:00Z"));
    assert_eq!(until(&hours, "2026-01-01T00:30:00Z"), at("2026-01-01T01:00:00Z"));
    let gaps = windows("1h", "-10m", "0s", "UTC");
    assert_eq!(until(&gaps, "2026-01-01T00:10:00Z"), at("2026-01-01T00:50:00Z"));
    let months = windows("1mo", "1mo", "0s", "UTC");
    assert_eq!(until(&months, "2026-01-01T00:10:00Z"), at("2026-02-01T00:00:00Z"));
}

#[test]
fn the_ends_of_time_have_windows_too() {
    for (every, period) in [("1ns", "1mo"), ("7s", "7s"), ("1h", "-1mo"), ("1mo", "2mo"), ("5mo", "-1mo")] {
        for zone in ["UTC", "Europe/Berlin"] {
            let windows = windows(every, period, "1mo", zone);
            for time in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
                assert!(windows.around(time).take(3).count() <= 3);
                let _known = windows.bounds(windows.latest(time));
            }
            assert!(windows.overlapping(i64::MIN, i64::MAX).take(3).count() > 0);
        }
    }
}

proptest! {
    #[test]
    fn a_time_lies_in_its_windows(
        seconds in -2_000_000_000_i64..4_000_000_000,
        every in prop::sample::select(vec!["7s", "10m", "1h", "1d", "1w", "1mo", "5mo", "1y"]),
        periods in prop::sample::select(vec!["3s", "1d", "-1h", "40m", "2mo", "-1mo"]),
        offset in prop::sample::select(vec!["0s", "-3d", "90m", "1mo", "-40d"]),
        zone in prop::sample::select(ZONES.to_vec()),
    ) {
        let time = seconds * 1_000_000_000;
        for period in [every, periods] {
            let windows = windows(every, period, offset, zone);
            let has = |window: i64| {
                let (start, stop) = windows.bounds(window);
                start <= time && time < stop
            };
            let latest = windows.latest(time);
            let begin = |window: i64| windows.calendar.to_universal(windows.begin(window));
            prop_assert!(begin(latest) <= time && time < begin(latest + 1));
            let found: Vec<i64> = windows.around(time).collect();
            prop_assert!(found.iter().all(|&window| has(window)));
            match (found.first(), found.last()) {
                (Some(first), Some(last)) => prop_assert!(!has(first - 1) && !has(last + 1)),
                _ => prop_assert!(!has(latest) && !has(latest + 1) && !has(latest - 1)),
            }
        }
    }

    #[test]
    fn a_time_near_the_end_of_a_month_lies_in_its_windows(
        (month, hour) in (-600_i64..1200, -120_i64..48),
        beside in prop::sample::select(vec![-1, 0, 1, 1800 * 1_000_000_000]),
        hours in 1_i64..100,
        every in prop::sample::select(vec!["1h", "6h", "1d", "25h", "1w", "1mo", "5mo"]),
        period in prop::sample::select(vec![
            "1mo", "2mo", "-1mo", "-2mo", "1mo3d", "-1mo3d", "1mo30m", "-1mo30m", "1d", "-1h", "40m",
        ]),
        offset in prop::sample::select(vec!["0s", "-3d", "30d", "1mo", "-1mo2h", "90m"]),
        zone in prop::sample::select(ZONES.to_vec()),
    ) {
        let windows = windows(every, period, offset, zone);
        let moved = Duration { months: month.abs(), nanoseconds: 0, is_negative: month < 0 };
        let time = later(0, moved) + hour * HOUR_NS + beside;
        let known = Known::near(&windows, time, month);

        let mut begins = known.0.iter().map(|&(window, (start, stop))| {
            (if windows.period.is_negative { stop } else { start }, window)
        });
        prop_assert!(begins.clone().is_sorted());
        let latest = begins.rfind(|&(begin, _)| begin <= time);
        prop_assert_eq!(latest.map(|(_, window)| window), Some(windows.latest(time)));

        let mut around = windows.around(time);
        let found: Vec<i64> = around.by_ref().collect();
        prop_assert_eq!(found, known.overlapping(time, time + 1));
        let until = around.until();
        prop_assert!(until > time && !known.changes(time + 1, until));
        let exact = !windows.period.is_negative || windows.period.months == 0;
        prop_assert!(!exact || known.changes(until, until + 1));

        let stop = time + hours * HOUR_NS;
        let overlapping: Vec<i64> = windows.overlapping(time, stop).collect();
        prop_assert_eq!(overlapping, known.overlapping(time, stop));
    }
}

/// Windows and their bounds, of all that are near a time.
struct Known(Vec<(i64, (i64, i64))>);

impl Known {
    /// Of a time near the begin of a month, counted from 1970.
    fn near(windows: &Every, time: i64, month: i64) -> Self {
        // No period and no offset is longer, nor both together.
        const DAYS: i64 = 105;
        let (middle, count) = match windows.step {
            Step::Nanoseconds(every) => (time.div_euclid(every), DAYS * DAY_NS / every + 2),
            Step::Months(months) => (month.div_euclid(months), DAYS / 28 + 2),
            Step::All => (0, 0),
        };
        Self((middle - count..=middle + count).map(|window| (window, windows.bounds(window))).collect())
    }

    /// Those with a part of a time; those that clocks leave out have none.
    fn overlapping(&self, from: i64, until: i64) -> Vec<i64> {
        let overlaps = |&&(_, (start, stop)): &&(i64, (i64, i64))| start < until && from < stop;
        self.0.iter().filter(overlaps).map(|&(window, _)| window).collect()
    }

    /// Whether a window begins or ends in a time.
    fn changes(&self, from: i64, until: i64) -> bool {
        self.0.iter().any(|&(_, (start, stop))| [start, stop].iter().any(|&at| from <= at && at < until))
    }
}
