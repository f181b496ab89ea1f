//! Times as InfluxDB writes them: RFC 3339 with as many digits of the second as it takes, or an epoch.

use jiff::{Timestamp, tz::TimeZone};

use super::number::push_i64;

const NS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// How the times of an answer are written (`epoch`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// RFC 3339 text; what a request without `epoch` gets.
    Rfc3339,
    /// A number: nanoseconds since the epoch divided by this, rounded towards zero as Go's division does.
    Epoch {
        /// Nanoseconds in one unit.
        unit_ns: i64,
    },
}

impl TimeFormat {
    /// Reads the `epoch` parameter. Anything unknown counts as nanoseconds, as in InfluxDB. `µ` is documented for
    /// InfluxDB but read by it as nanoseconds; here it means what the documentation says.
    pub(crate) fn from_epoch(epoch: &str) -> Self {
        let unit_ns = match epoch.trim() {
            "" => return Self::Rfc3339,
            "u" | "µ" | "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => NS_PER_SECOND,
            "m" => 60 * NS_PER_SECOND,
            "h" => 3_600 * NS_PER_SECOND,
            _ => 1,
        };
        Self::Epoch { unit_ns }
    }
}

/// Writes RFC 3339 times; remembers the date of the last one, since neighbours mostly share it.
#[derive(Debug, Default)]
pub(crate) struct Rfc3339Writer {
    date: Option<(i64, [u8; 11])>,
}

impl Rfc3339Writer {
    /// One that has written nothing yet.
    pub(crate) const fn new() -> Self {
        Self { date: None }
    }

    /// Appends `time_ns` in UTC, for instance `2017-07-14T02:40:00.5Z`.
    #[inline]
    pub(crate) fn push_utc(&mut self, out: &mut Vec<u8>, time_ns: i64) {
        let seconds = time_ns.div_euclid(NS_PER_SECOND);
        let nanos = time_ns.rem_euclid(NS_PER_SECOND);
        let day = seconds.div_euclid(SECONDS_PER_DAY);
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let date = match self.date {
            Some((cached, date)) if cached == day => date,
            _ => {
                let date = date_text(day);
                self.date = Some((day, date));
                date
            }
        };
        out.extend_from_slice(&date);
        push_clock(out, second_of_day, nanos);
        out.push(b'Z');
    }

    /// Appends `time_ns` as a clock in `zone` shows it, with its offset; `Z` where the offset is zero.
    pub(crate) fn push_zoned(&mut self, out: &mut Vec<u8>, time_ns: i64, zone: &TimeZone) {
        let Ok(timestamp) = Timestamp::from_nanosecond(i128::from(time_ns)) else {
            return self.push_utc(out, time_ns);
        };
        let offset_seconds = zone.to_offset(timestamp).seconds();
        if offset_seconds == 0 {
            return self.push_utc(out, time_ns);
        }
        let local_seconds = time_ns.div_euclid(NS_PER_SECOND) + i64::from(offset_seconds);
        out.extend_from_slice(&date_text(local_seconds.div_euclid(SECONDS_PER_DAY)));
        push_clock(out, local_seconds.rem_euclid(SECONDS_PER_DAY), time_ns.rem_euclid(NS_PER_SECOND));
        out.push(if offset_seconds < 0 { b'-' } else { b'+' });
        let minutes = i64::from(offset_seconds.unsigned_abs()) / 60;
        push_two_digits(out, minutes / 60);
        out.push(b':');
        push_two_digits(out, minutes % 60);
    }
}

/// `YYYY-MM-DDT` of a day counted from 1970-01-01. Nanosecond timestamps reach from 1677 to 2262.
///
/// The calendar is reckoned in 400-year eras that begin on the first of March, so that the leap day is the last
/// day of its year: 0000-03-01 is 719,468 days before 1970-01-01.
fn date_text(day: i64) -> [u8; 11] {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let mut text = *b"0000-00-00T";
    set_two_digits(&mut text, 0, year / 100);
    set_two_digits(&mut text, 2, year % 100);
    set_two_digits(&mut text, 5, month);
    set_two_digits(&mut text, 8, day_of_month);
    text
}

/// `HH:MM:SS`, then the fraction without its trailing zeros.
#[inline]
fn push_clock(out: &mut Vec<u8>, second_of_day: i64, nanos: i64) {
    let mut text = *b"00:00:00";
    set_two_digits(&mut text, 0, second_of_day / 3_600);
    set_two_digits(&mut text, 3, second_of_day / 60 % 60);
    set_two_digits(&mut text, 6, second_of_day % 60);
    out.extend_from_slice(&text);
    if nanos != 0 {
        push_fraction(out, nanos);
    }
}

fn push_fraction(out: &mut Vec<u8>, nanos: i64) {
    let mut text = *b".000000000";
    let mut rest = nanos;
    for digit in text.iter_mut().skip(1).rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let used = text.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
    out.extend_from_slice(&text[..used]);
}

#[inline]
fn set_two_digits(text: &mut [u8], at: usize, value: i64) {
    text[at] = b'0' + (value / 10) as u8;
    text[at + 1] = b'0' + (value % 10) as u8;
}

fn push_two_digits(out: &mut Vec<u8>, value: i64) {
    let mut text = [0; 2];
    set_two_digits(&mut text, 0, value);
    out.extend_from_slice(&text);
}

/// Appends a time as an epoch in units of `unit_ns`.
#[inline]
pub(crate) fn push_epoch(out: &mut Vec<u8>, time_ns: i64, unit_ns: i64) {
    push_i64(out, time_ns / unit_ns);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utc(time_ns: i64) -> String {
        let mut out = Vec::new();
        Rfc3339Writer::default().push_utc(&mut out, time_ns);
        String::from_utf8(out).unwrap()
    }

    /// Answers of InfluxDB 1.6.7 to the same points.
    #[test]
    fn utc_as_influxdb_writes_it() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(utc(1_500_000_000_000_000_000), "2017-07-14T02:40:00Z");
        assert_eq!(utc(-1_500_000_001), "1969-12-31T23:59:58.499999999Z");
        assert_eq!(utc(-62_135_596_800), "1969-12-31T23:58:57.8644032Z");
        assert_eq!(utc(-86_400_000_000_001), "1969-12-30T23:59:59.999999999Z");
        assert_eq!(utc(-9_223_372_036_854_775_806), "1677-09-21T00:12:43.145224194Z");
        assert_eq!(utc(9_223_372_036_854_775_806), "2262-04-11T23:47:16.854775806Z");
    }

    #[test]
    fn zones_show_their_offset() {
        let zoned = |name: &str, time_ns| {
            let mut out = Vec::new();
            let zone = TimeZone::get(name).unwrap();
            Rfc3339Writer::default().push_zoned(&mut out, time_ns, &zone);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(zoned("Europe/Berlin", 1_500_000_000_500_000_000), "2017-07-14T04:40:00.5+02:00");
        assert_eq!(zoned("America/St_Johns", 1_500_000_000_000_000_000), "2017-07-14T00:10:00-02:30");
        assert_eq!(zoned("Europe/London", 1_484_000_000_000_000_000), "2017-01-09T22:13:20Z");
    }

    #[test]
    fn epochs_round_towards_zero() {
        let epoch = |time_ns, epoch| {
            let TimeFormat::Epoch { unit_ns } = TimeFormat::from_epoch(epoch) else { panic!("{epoch}") };
            let mut out = Vec::new();
            push_epoch(&mut out, time_ns, unit_ns);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(epoch(-1_500_000_001, "s"), "-1");
        assert_eq!(epoch(-86_400_000_000_001, "h"), "-24");
        assert_eq!(epoch(1_500_000_000_123_456_789, "ms"), "1500000000123");
        assert_eq!(epoch(1_500_000_000_123_456_789, "µ"), "1500000000123456");
        assert_eq!(epoch(1_500_000_000_123_456_789, "nonsense"), "1500000000123456789");
        assert_eq!(TimeFormat::from_epoch(" "), TimeFormat::Rfc3339);
    }

    proptest! {
        #[test]
        fn any_time_reads_back(time_ns in any::<i64>()) {
            let text = utc(time_ns);
            let read: Timestamp = text.parse().unwrap();
            prop_assert_eq!(read.as_nanosecond(), i128::from(time_ns));
            prop_assert_eq!(read.to_string(), text);
        }
    }
}
