//! Package date, and `today`: times by the clocks and calendars of a location.

mod calendar;

use jiff::civil::DateTime;

use crate::{
    Call, Error, Value,
    function::{Builtin, Parameter, optional, required},
    packages::{Library, no_constants},
};

const T: &[Parameter] = &[required("t")];
const T_LOCATION: &[Parameter] = &[required("t"), optional("location")];

/// Package date.
pub(crate) static LIBRARY: Library = Library {
    path: "date",
    builtins: &[
        Builtin { name: "add", parameters: &[required("d"), required("to"), optional("location")], run: add },
        Builtin { name: "hour", parameters: T_LOCATION, run: |call| part(call, |at| at.hour().into()) },
        Builtin {
            name: "microsecond",
            parameters: T,
            run: |call| part(call, |at| (at.subsec_nanosecond() / 1_000).into()),
        },
        Builtin {
            name: "millisecond",
            parameters: T,
            run: |call| part(call, |at| (at.subsec_nanosecond() / 1_000_000).into()),
        },
        Builtin { name: "minute", parameters: T_LOCATION, run: |call| part(call, |at| at.minute().into()) },
        Builtin { name: "month", parameters: T_LOCATION, run: |call| part(call, |at| at.month().into()) },
        Builtin { name: "monthDay", parameters: T_LOCATION, run: |call| part(call, |at| at.day().into()) },
        Builtin {
            name: "nanosecond",
            parameters: T,
            run: |call| part(call, |at| at.subsec_nanosecond().into()),
        },
        Builtin {
            name: "quarter",
            parameters: T_LOCATION,
            run: |call| part(call, |at| ((at.month() - 1) / 3 + 1).into()),
        },
        Builtin { name: "scale", parameters: &[required("d"), required("n")], run: scale },
        Builtin { name: "second", parameters: T, run: |call| part(call, |at| at.second().into()) },
        Builtin {
            name: "sub",
            parameters: &[required("d"), required("from"), optional("location")],
            run: sub,
        },
        Builtin { name: "time", parameters: T_LOCATION, run: |call| Ok(Value::Time(time(call, "t")?)) },
        Builtin {
            name: "truncate",
            parameters: &[required("t"), required("unit"), optional("location")],
            run: truncate,
        },
        Builtin {
            name: "week",
            parameters: T_LOCATION,
            run: |call| part(call, |at| at.date().iso_week_date().week().into()),
        },
        Builtin {
            name: "weekDay",
            parameters: T_LOCATION,
            run: |call| part(call, |at| at.weekday().to_sunday_zero_offset().into()),
        },
        Builtin { name: "year", parameters: T_LOCATION, run: |call| part(call, |at| at.year().into()) },
        Builtin {
            name: "yearDay",
            parameters: T_LOCATION,
            run: |call| part(call, |at| at.day_of_year().into()),
        },
    ],
    constants,
    text: "",
};

/// What needs no import.
pub(crate) static UNIVERSE: Library = Library {
    path: "",
    builtins: &[Builtin { name: "today", parameters: &[], run: today }],
    constants: no_constants,
    text: "",
};

/// Package date/boundaries: days, weeks and months around now, as records of start and stop.
pub(crate) static BOUNDARIES: Library =
    Library { path: "date/boundaries", builtins: &[], constants: no_constants, text: BOUNDARIES_TEXT };

/// Where the same was before.
pub(crate) static EXPERIMENTAL_BOUNDARIES: Library = Library {
    path: "experimental/date/boundaries",
    builtins: &[],
    constants: no_constants,
    text: BOUNDARIES_TEXT,
};

const BOUNDARIES_TEXT: &str = r#"
import "date"

_from = (start, length) => ({start: start, stop: date.add(d: length, to: start)})
_ago = (days) => date.sub(d: date.scale(d: 1d, n: days), from: today())
_last = (weekday) => _from(start: _ago(days: (date.weekDay(t: today()) - weekday + 13) % 7 + 1), length: 1d)

yesterday = () => _from(start: _ago(days: 1), length: 1d)
monday = () => _last(weekday: 1)
tuesday = () => _last(weekday: 2)
wednesday = () => _last(weekday: 3)
thursday = () => _last(weekday: 4)
friday = () => _last(weekday: 5)
saturday = () => _last(weekday: 6)
sunday = () => _last(weekday: 7)

week = (start_sunday=false, week_offset=0) => {
    first = if start_sunday then 0 else 6
    back = (date.weekDay(t: today()) + first) % 7

    return _from(start: _ago(days: back - 7 * week_offset), length: 1w)
}

month = (month_offset=0) => {
    first = date.truncate(t: now(), unit: 1mo)

    return _from(start: date.add(d: date.scale(d: 1mo, n: month_offset), to: first), length: 1mo)
}
"#;

fn constants() -> Vec<(&'static str, Value)> {
    const WEEKDAYS: [&str; 7] =
        ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let weekdays = (0..).zip(WEEKDAYS);
    let months = (1..).zip(MONTHS);
    weekdays.chain(months).map(|(number, name)| (name, Value::Int(number))).collect()
}

/// A time, or a duration from now.
fn time(call: &Call<'_, '_>, name: &str) -> Result<i64, Error> {
    call.opt_time(name)?.ok_or_else(|| call.error(format!("missing required keyword argument \"{name}\"")))
}

/// A part of what clocks and calendars show at the time `t`.
fn part(call: &Call<'_, '_>, part: fn(DateTime) -> i64) -> Result<Value, Error> {
    let (time, location) = (time(call, "t")?, call.location("location")?);
    let shown = calendar::shown(&location, time).ok_or_else(|| out_of_range(call))?;
    Ok(Value::Int(part(shown)))
}

fn out_of_range(call: &Call<'_, '_>) -> Error {
    call.error("the time is out of range")
}

fn add(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let duration = call.duration("d")?;
    moved(call, "to", duration)
}

fn sub(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let duration = -call.duration("d")?;
    moved(call, "from", duration)
}

fn moved(call: &Call<'_, '_>, name: &str, duration: skywatch_flux::Duration) -> Result<Value, Error> {
    let (time, location) = (time(call, name)?, call.location("location")?);
    let moved = calendar::later(&location, time, duration);
    moved.map(Value::Time).ok_or_else(|| out_of_range(call))
}

/// So many times as long, the other way round if `n` is negative.
fn scale(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (mut duration, times) = (call.duration("d")?, call.int("n")?);
    let many = |length: i64| {
        let length = i128::from(length) * i128::from(times.unsigned_abs());
        i64::try_from(length)
            .map_err(|_| call.error(format!("the duration is too long: {times} times {duration}")))
    };
    let (months, nanoseconds) = (many(duration.months)?, many(duration.nanoseconds)?);
    duration.months = months;
    duration.nanoseconds = nanoseconds;
    Ok(Value::Duration(if times < 0 { -duration } else { duration }))
}

fn truncate(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (time, unit, location) = (time(call, "t")?, call.duration("unit")?, call.location("location")?);
    if unit.is_zero() || unit.is_negative || (unit.months != 0 && unit.nanoseconds != 0) {
        return Err(call.error(format!("unit is one positive unit, such as 1h or 1mo, not {unit}")));
    }
    let truncated = calendar::floor(&location, time, unit);
    truncated.map(Value::Time).ok_or_else(|| out_of_range(call))
}

fn today(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    const DAY_NS: i64 = 86_400_000_000_000;
    let day = skywatch_flux::Duration::from_nanoseconds(DAY_NS);
    let midnight = calendar::floor(&call.context.location, call.context.now_ns(), day);
    midnight.map(Value::Time).ok_or_else(|| out_of_range(call))
}
