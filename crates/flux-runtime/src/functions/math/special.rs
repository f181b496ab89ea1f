//! Functions that Rust's library lacks or has less exactly, and inverses of some.

use std::f64::consts::PI;

pub(super) use libm::{
    acosh, asinh, atanh, erf, erfc, j0, j1, jn, ldexp, lgamma_r, nextafter, remainder, tgamma, y0, y1, yn,
};

/// The power of two that a number is at least, and less than twice; infinite of zero. C99, `logb`.
pub(super) fn logb(value: f64) -> f64 {
    if value == 0.0 {
        return f64::NEG_INFINITY;
    }
    if !value.is_finite() {
        return value * value;
    }
    f64::from(libm::ilogb(value))
}

/// Which number's error function this is.
pub(super) fn erf_inverse(value: f64) -> f64 {
    let size = value.abs();
    if size <= 1.0 { positive(size, 1.0 - size).copysign(value) } else { f64::NAN }
}

/// Which number's complementary error function this is.
pub(super) fn erfc_inverse(value: f64) -> f64 {
    match value {
        0.0..=1.0 => positive(1.0 - value, value),
        1.0..=2.0 => -positive(value - 1.0, 2.0 - value),
        _ => f64::NAN,
    }
}

/// The number, not negative, whose error function is `value`, and whose complementary one is `rest`: each is exact
/// where the other is not.
fn positive(value: f64, rest: f64) -> f64 {
    const STEPS: usize = 4;
    // Winitzki's approximation, good to some thousandths.
    const A: f64 = 0.147;
    if rest == 0.0 {
        return f64::INFINITY;
    }
    let logarithm = (rest * (1.0 + value)).ln();
    let middle = 2.0 / (PI * A) + logarithm / 2.0;
    let mut guess = ((middle * middle - logarithm / A).sqrt() - middle).max(0.0).sqrt();
    // Halley's steps: each makes three times as many digits right.
    for _ in 0..STEPS {
        let error = if value < 0.5 { erf(guess) - value } else { rest - erfc(guess) };
        let step = error / (2.0 / PI.sqrt() * (-guess * guess).exp());
        let step = step / (1.0 + guess * step);
        if !step.is_finite() {
            break;
        }
        guess -= step;
    }
    guess
}
