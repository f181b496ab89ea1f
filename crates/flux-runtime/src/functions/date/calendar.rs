//! What clocks and calendars of a location show at a time, and when they show it.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use skywatch_flux::Duration;

use crate::context::Location;

/// `None`: out of range, here and below.
pub(super) fn shown(location: &Location, time_ns: i64) -> Option<DateTime> {
    Some(location.zone.to_datetime(timestamp(location.offset.add_to(time_ns)?)?))
}

fn timestamp(time_ns: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(time_ns)).ok()
}

fn nanoseconds(timestamp: Timestamp) -> Option<i64> {
    i64::try_from(timestamp.as_nanosecond()).ok()
}

/// The time later by a duration, months by the location's calendar.
pub(super) fn later(location: &Location, time_ns: i64, duration: Duration) -> Option<i64> {
    let moved = duration.add_to_in(location.offset.add_to(time_ns)?, &location.zone)?;
    (-location.offset).add_to(moved)
}

/// The last time, not after the given one, that is a whole multiple of the unit by the location's clocks, counted from
/// 1970. The unit is positive, of months or of nanoseconds.
pub(super) fn floor(location: &Location, time_ns: i64, unit: Duration) -> Option<i64> {
    let moved = location.offset.add_to(time_ns)?;
    let zone = &location.zone;
    let floored = if unit.months > 0 {
        nanoseconds(
            zone.to_timestamp(floored_months(zone.to_datetime(timestamp(moved)?), unit.months)?).ok()?,
        )?
    } else {
        floored_clock(zone, moved, unit.nanoseconds)?
    };
    (-location.offset).add_to(floored)
}

fn floored_months(shown: DateTime, months: i64) -> Option<DateTime> {
    const YEAR_MONTHS: i64 = 12;
    let month = (i64::from(shown.year()) - 1970) * YEAR_MONTHS + i64::from(shown.month()) - 1;
    let month = month.div_euclid(months).checked_mul(months)?;
    let year = i16::try_from(1970 + month.div_euclid(YEAR_MONTHS)).ok()?;
    let month = i8::try_from(month.rem_euclid(YEAR_MONTHS) + 1).ok()?;
    Some(Date::new(year, month, 1).ok()?.to_datetime(jiff::civil::Time::midnight()))
}

fn floored_clock(zone: &TimeZone, time_ns: i64, unit_ns: i64) -> Option<i64> {
    const SECOND_NS: i64 = 1_000_000_000;
    let ahead = |time_ns: i64| Some(i64::from(zone.to_offset(timestamp(time_ns)?).seconds()) * SECOND_NS);
    let ahead_ns = ahead(time_ns)?;
    let shown = time_ns.checked_add(ahead_ns)?;
    let floored = shown.checked_sub(shown.rem_euclid(unit_ns))?;
    let same_offset = floored.checked_sub(ahead_ns)?;
    // An hour that clocks show twice is floored within itself.
    if ahead(same_offset)? == ahead_ns {
        return Some(same_offset);
    }
    let shown = TimeZone::UTC.to_datetime(timestamp(floored)?);
    nanoseconds(zone.to_timestamp(shown).ok()?)
}
