//! Numbers taken apart and put together: bits, exponents, fractions, signs.

use super::special;
use crate::{Call, Error, Record, Value};

pub(super) fn bits(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::Uint(call.float("f")?.to_bits()))
}

pub(super) fn from_bits(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::Float(f64::from_bits(call.uint("b")?)))
}

pub(super) fn is_inf(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (number, sign) = (call.float("f")?, call.int("sign")?);
    Ok(Value::Bool(match sign.signum() {
        0 => number.is_infinite(),
        1 => number == f64::INFINITY,
        _ => number == f64::NEG_INFINITY,
    }))
}

pub(super) fn infinity(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::Float(if call.int("sign")? < 0 { f64::NEG_INFINITY } else { f64::INFINITY }))
}

fn record<const N: usize>(members: [(&str, Value); N]) -> Value {
    Record::new(members.map(|(name, value)| (name.into(), value))).into()
}

/// A fraction of at least a half and less than one, and a power of two.
pub(super) fn frexp(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let number = call.float("f")?;
    let (fraction, exponent) = if number == 0.0 || !number.is_finite() {
        (number, 0)
    } else {
        let exponent = whole_exponent(number) + 1;
        (scaled(number, -exponent), exponent)
    };
    Ok(record([("frac", Value::Float(fraction)), ("exp", Value::Int(exponent))]))
}

pub(super) fn ldexp(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (fraction, exponent) = (call.float("frac")?, call.int("exp")?);
    Ok(Value::Float(scaled(fraction, exponent)))
}

/// A number times a power of two. Beyond some thousands all are infinite or nothing.
fn scaled(number: f64, exponent: i64) -> f64 {
    let exponent = exponent.clamp(-10_000, 10_000);
    special::ldexp(number, i32::try_from(exponent).unwrap_or_default())
}

/// Of a finite number other than zero.
fn whole_exponent(number: f64) -> i64 {
    special::logb(number) as i64
}

pub(super) fn ilogb(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let number = call.float("x")?;
    Ok(Value::Int(if number == 0.0 {
        i64::from(i32::MIN)
    } else if number.is_finite() {
        whole_exponent(number)
    } else {
        i64::from(i32::MAX)
    }))
}

pub(super) fn lgamma(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (logarithm, sign) = special::lgamma_r(call.float("x")?);
    let sign = if sign < 0 { -1 } else { 1 };
    Ok(record([("lgamma", Value::Float(logarithm)), ("sign", Value::Int(sign))]))
}

pub(super) fn modf(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let number = call.float("f")?;
    let whole = number.trunc();
    Ok(record([("int", Value::Float(whole)), ("frac", Value::Float(number - whole))]))
}

pub(super) fn sincos(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (sine, cosine) = call.float("x")?.sin_cos();
    Ok(record([("sin", Value::Float(sine)), ("cos", Value::Float(cosine))]))
}

pub(super) fn pow10(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let exponent = call.int("n")?.clamp(-400, 400);
    // Read from digits, it is the nearest that there is.
    let power = format!("1e{exponent}").parse();
    power.map(Value::Float).map_err(|_| call.error(format!("10^{exponent} is no number")))
}
