//! Numbers as Go writes them, which is how Prometheus and its clients do.

/// From which power of ten on there is an exponent, in the text format.
pub(crate) const GENERAL: i32 = 6;
/// The same, where a number is part of a name: a field `le` of 1000000 is no `1e+06`.
pub(crate) const PLAIN: i32 = 21;

/// The shortest text that is this number; from `exponent_at` and below a ten-thousandth with an exponent of two digits.
pub(crate) fn number(value: f64, exponent_at: i32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..exponent_at).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_has_them() {
        for (value, general, plain) in [
            (0.0, "0", "0"),
            (-1.5, "-1.5", "-1.5"),
            (100_000.0, "100000", "100000"),
            (1e6, "1e+06", "1000000"),
            (1.23456789e8, "1.23456789e+08", "123456789"),
            (1e21, "1e+21", "1e+21"),
            (0.0001, "0.0001", "0.0001"),
            (0.000012, "1.2e-05", "1.2e-05"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!((number(value, GENERAL).as_str(), number(value, PLAIN).as_str()), (general, plain));
        }
    }
}
