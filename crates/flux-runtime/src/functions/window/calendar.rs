//! What the clocks of a place show.

use jiff::{
    Timestamp,
    tz::{AmbiguousOffset, TimeZone},
};

use crate::context::Location;

/// Between the time of the world and what the clocks of a place show, both in nanoseconds.
#[derive(Debug, Clone)]
pub(in crate::functions) struct Calendar {
    location: Location,
    offset_ns: i64,
}

impl Calendar {
    /// Of a place.
    pub(in crate::functions) fn new(location: Location) -> Result<Self, String> {
        let Some(offset_ns) = location.offset.nanoseconds_only() else {
            return Err("the offset of a location cannot be months".to_owned());
        };
        Ok(Self { location, offset_ns })
    }

    /// Whether its clocks show the time of the world.
    pub(in crate::functions) fn is_universal(&self) -> bool {
        self.offset_ns == 0 && self.location.zone == TimeZone::UTC
    }

    /// What clocks show at a time.
    pub(in crate::functions) fn to_local(&self, time_ns: i64) -> i64 {
        if self.is_universal() {
            return time_ns;
        }
        time_ns.saturating_add(self.zone_offset(time_ns)).saturating_add(self.offset_ns)
    }

    /// When clocks show a time: the first time that they do, and if they leave it out, when they do so.
    pub(in crate::functions) fn to_universal(&self, local_ns: i64) -> i64 {
        if self.is_universal() {
            return local_ns;
        }
        let local = local_ns.saturating_sub(self.offset_ns);
        let timestamp = Timestamp::from_nanosecond(i128::from(local)).unwrap_or_default();
        let datetime = TimeZone::UTC.to_datetime(timestamp);
        let found = self.location.zone.to_ambiguous_timestamp(datetime);
        let shown_with = |seconds: i32| local.saturating_sub(i64::from(seconds) * 1_000_000_000);
        match found.offset() {
            AmbiguousOffset::Unambiguous { offset } => shown_with(offset.seconds()),
            AmbiguousOffset::Fold { before, .. } => shown_with(before.seconds()),
            AmbiguousOffset::Gap { before, .. } => {
                let later = shown_with(before.seconds());
                self.last_change(later).unwrap_or(later)
            }
        }
    }

    /// The latest that clocks have shown up to a time. So [`Self::to_universal`] of what they show is not after a time
    /// exactly if it is not after this, though clocks that are put back show what they have shown before.
    pub(super) fn shown_until(&self, time_ns: i64) -> i64 {
        let local = self.to_local(time_ns);
        if self.to_universal(local) == time_ns {
            return local;
        }
        let before_change = self.last_change(time_ns).map(|change| self.to_local(change.saturating_sub(1)));
        before_change.map_or(local, |before| before.max(local))
    }

    /// When clocks were put forward or back for the last time, at a time or before.
    fn last_change(&self, time_ns: i64) -> Option<i64> {
        let after = Timestamp::from_nanosecond(i128::from(time_ns) + 1).ok()?;
        let change = self.location.zone.preceding(after).next()?;
        i64::try_from(change.timestamp().as_nanosecond()).ok()
    }

    fn zone_offset(&self, time_ns: i64) -> i64 {
        let timestamp = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or_default();
        i64::from(self.location.zone.to_offset(timestamp).seconds()) * 1_000_000_000
    }
}

#[cfg(test)]
mod tests {
    use skywatch_flux::Duration;

    use super::*;

    fn at(text: &str) -> i64 {
        i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
    }

    fn calendar(zone: &str) -> Calendar {
        Calendar::new(Location { zone: TimeZone::get(zone).unwrap(), offset: Duration::default() }).unwrap()
    }

    #[test]
    fn hours_that_clocks_leave_out_are_when_they_do() {
        for (zone, first, change, last) in [
            ("Europe/Berlin", "2026-03-29T02:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"),
            ("America/Sao_Paulo", "2018-11-04T00:00:00Z", "2018-11-04T03:00:00Z", "2018-11-04T01:00:00Z"),
            ("Pacific/Apia", "2011-12-30T00:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T00:00:00Z"),
        ] {
            let (calendar, first, change, last) = (calendar(zone), at(first), at(change), at(last));
            for local in [first, first + 1, last - 1, last] {
                assert_eq!(calendar.to_universal(local), change, "{zone} {local}");
            }
            assert_eq!(calendar.to_universal(first - 1), change - 1, "{zone}");
            assert_eq!(calendar.shown_until(change), last, "{zone}");
        }
    }

    #[test]
    fn hours_that_come_twice_have_been_shown_before() {
        let (calendar, change) = (calendar("Europe/Berlin"), at("2026-10-25T01:00:00Z"));
        let shown = at("2026-10-25T03:00:00Z");
        for (later, expected) in
            [(-1, shown - 1), (0, shown - 1), (3_599_999_999_999, shown - 1), (3_600_000_000_000, shown)]
        {
            assert_eq!(calendar.shown_until(change + later), expected, "{later}");
        }
    }
}
