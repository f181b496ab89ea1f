//! Floats that are decimals of few digits, as most measurements are, stored as integers and a power of ten.
//!
//! 58.23 is not a power of two's multiple, but it is exactly what 5823.0 / 100.0 rounds to, so (5823, 2) stands for
//! it. A column fits if one exponent reproduces every value bit for bit; integers then compress about twice as well,
//! and faster, than the same floats do.

/// Greatest exponent tried.
pub(crate) const MAX_EXPONENT: u8 = 9;

const POWERS: [f64; MAX_EXPONENT as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Integers at and above 2^53 are no longer all distinct as floats.
const LIMIT: f64 = 9_007_199_254_740_992.0;

/// The integer that stands for `value` at `exponent`, if one does.
#[inline]
fn scaled(value: f64, exponent: u8) -> Option<i64> {
    let power = POWERS[usize::from(exponent)];
    let scaled = (value * power).round_ties_even();
    // Back through the integer, which has no negative zero.
    let integer = scaled as i64;
    let fits = scaled.abs() < LIMIT && (integer as f64 / power).to_bits() == value.to_bits();
    fits.then_some(integer)
}

/// The value that `integer` stands for at `exponent`.
#[inline]
pub(crate) fn restore(integer: i64, exponent: u8) -> f64 {
    integer as f64 / POWERS[usize::from(exponent)]
}

/// The integer whose value at `exponent` is nearest to `value`, unless it would be too large to be exact.
pub(crate) fn nearest(value: f64, exponent: u8) -> Option<i64> {
    let scaled = (value * POWERS[usize::from(exponent)]).round_ties_even();
    (scaled.abs() < LIMIT).then_some(scaled as i64)
}

/// The smallest exponent not below `from` at which `value` fits.
fn exponent_of(value: f64, from: u8) -> Option<u8> {
    (from..=MAX_EXPONENT).find(|&exponent| scaled(value, exponent).is_some())
}

/// One value with its smallest exponent.
pub(crate) fn fit_one(value: f64) -> Option<(u8, i64)> {
    let exponent = exponent_of(value, 0)?;
    scaled(value, exponent).map(|integer| (exponent, integer))
}

/// Fills `integers` with what stands for `values` and returns their exponent; `None` if no exponent fits all.
pub(crate) fn fit(values: &[f64], integers: &mut Vec<i64>) -> Option<u8> {
    let mut exponent = 0;
    integers.clear();
    integers.reserve(values.len());
    loop {
        match fill(values, exponent, integers) {
            Ok(()) => return Some(exponent),
            Err(misfit) => exponent = exponent_of(misfit, exponent + 1)?,
        }
    }
}

/// All of `values` at one exponent, or the first that does not fit.
fn fill(values: &[f64], exponent: u8, integers: &mut Vec<i64>) -> Result<(), f64> {
    integers.clear();
    for &value in values {
        integers.push(scaled(value, exponent).ok_or(value)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_fits_comes_back_bit_for_bit(values: Vec<f64>) {
            let mut integers = Vec::new();
            if let Some(exponent) = fit(&values, &mut integers) {
                for (value, integer) in values.iter().zip(&integers) {
                    prop_assert_eq!(value.to_bits(), restore(*integer, exponent).to_bits());
                }
            }
        }

        #[test]
        fn decimals_fit(digits in prop::collection::vec(-10_000_000_000i64..10_000_000_000, 1..50), exponent in 0u8..=6) {
            let values: Vec<f64> =
                digits.iter().map(|digits| format!("{digits}e-{exponent}").parse().unwrap()).collect();
            let mut integers = Vec::new();
            let found = fit(&values, &mut integers);
            let has_negative_zero = values.iter().any(|value| value.to_bits() == (-0.0f64).to_bits());
            prop_assert!(found.is_some_and(|found| found <= exponent) || has_negative_zero);
        }
    }

    #[test]
    fn what_is_no_short_decimal_does_not_fit() {
        for value in [std::f64::consts::PI, -0.0, 1e300, f64::INFINITY, f64::NAN] {
            assert_eq!(fit(&[1.0, value], &mut Vec::new()), None, "{value}");
        }
        assert_eq!(fit(&[1.0, 2.5, 3.25], &mut Vec::new()), Some(2));
    }
}
