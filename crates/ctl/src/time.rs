//! Times as the tables show them.

use jiff::Timestamp;

/// Go's zero time, which stands for "never".
pub(crate) const ZERO: &str = "0001-01-01T00:00:00Z";

/// `2026-11-28T10:00:00Z`: RFC 3339 without fractions, in UTC.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// With as many decimals as it has.
pub(crate) fn rfc3339_nano(time: Timestamp) -> String {
    time.to_string()
}

/// `2023-06-22 23:45:09.470696179 +0000 UTC`: as Go prints a time.
pub(crate) fn go_text(time: Timestamp) -> String {
    let text = time.to_string();
    format!("{} +0000 UTC", text.trim_end_matches('Z').replace('T', " "))
}

/// Whether it is a time at all.
pub(crate) fn is_zero(time: Timestamp) -> bool {
    ZERO.parse().is_ok_and(|zero: Timestamp| zero == time)
}

/// A wall clock's time in nanoseconds since the epoch.
pub(crate) fn from_nanoseconds(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_times() {
        let time: Timestamp = "2023-06-22T23:45:09.470696100Z".parse().unwrap();
        assert_eq!(rfc3339(time), "2023-06-22T23:45:09Z");
        assert_eq!(rfc3339_nano(time), "2023-06-22T23:45:09.4706961Z");
        assert_eq!(go_text(time), "2023-06-22 23:45:09.4706961 +0000 UTC");
        assert_eq!(go_text(from_nanoseconds(1_507_507_200_000_000_000)), "2017-10-09 00:00:00 +0000 UTC");
    }

    #[test]
    fn the_zero_time_is_known_and_printable() {
        let zero: Timestamp = ZERO.parse().unwrap();
        assert!(is_zero(zero) && !is_zero(Timestamp::UNIX_EPOCH));
        assert_eq!(rfc3339_nano(zero), ZERO);
    }
}
