//! Reading the engine's JSON, in which what is unknown is absent or null. Pure.

use serde_json::Value;

/// A text; empty if it is not there.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// A count; zero if it is not there, as the engine's own client has it.
pub(super) fn unsigned(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// A number of any sign; zero if it is not there.
pub(super) fn integer(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// The entries of a list; none if it is not there.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The entries of an object; none if it is not there.
pub(super) fn entries<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

/// A time in nanoseconds since the Unix epoch; `None` for one that was never set, which the engine writes as year 1.
pub(super) fn time_ns(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok().filter(|ns| *ns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_the_lack_of_one() {
        assert_eq!(time_ns("1970-01-01T00:00:01.5Z"), Some(1_500_000_000));
        assert_eq!(time_ns("2026-11-28T17:21:49.519415457Z"), Some(1_795_886_509_519_415_457));
        assert_eq!(time_ns("2026-11-28T18:21:49.5+01:00"), Some(1_795_886_509_500_000_000));
        for never in ["0001-01-01T00:00:00Z", "", "yesterday"] {
            assert_eq!(time_ns(never), None, "{never}");
        }
    }
}
