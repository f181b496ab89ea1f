//! Package math.

mod parts;
mod special;

use crate::{
    Call, Error, Value,
    function::{Builtin, Parameter, required},
    packages::Library,
};

const X: &[Parameter] = &[required("x")];
const XY: &[Parameter] = &[required("x"), required("y")];
const F: &[Parameter] = &[required("f")];

/// Package math.
pub(crate) static LIBRARY: Library = Library {
    path: "math",
    builtins: &[
        Builtin { name: "NaN", parameters: &[], run: |_| Ok(Value::Float(f64::NAN)) },
        Builtin { name: "abs", parameters: X, run: |call| of(call, f64::abs) },
        Builtin { name: "acos", parameters: X, run: |call| of(call, f64::acos) },
        Builtin { name: "acosh", parameters: X, run: |call| of(call, special::acosh) },
        Builtin { name: "asin", parameters: X, run: |call| of(call, f64::asin) },
        Builtin { name: "asinh", parameters: X, run: |call| of(call, special::asinh) },
        Builtin { name: "atan", parameters: X, run: |call| of(call, f64::atan) },
        // Flux takes x by y, in spite of the names.
        Builtin { name: "atan2", parameters: XY, run: |call| of_two(call, f64::atan2) },
        Builtin { name: "atanh", parameters: X, run: |call| of(call, special::atanh) },
        Builtin { name: "cbrt", parameters: X, run: |call| of(call, f64::cbrt) },
        Builtin { name: "ceil", parameters: X, run: |call| of(call, f64::ceil) },
        Builtin { name: "copysign", parameters: XY, run: |call| of_two(call, f64::copysign) },
        Builtin { name: "cos", parameters: X, run: |call| of(call, f64::cos) },
        Builtin { name: "cosh", parameters: X, run: |call| of(call, f64::cosh) },
        Builtin { name: "dim", parameters: XY, run: |call| of_two(call, dim) },
        Builtin { name: "erf", parameters: X, run: |call| of(call, special::erf) },
        Builtin { name: "erfc", parameters: X, run: |call| of(call, special::erfc) },
        Builtin { name: "erfcinv", parameters: X, run: |call| of(call, special::erfc_inverse) },
        Builtin { name: "erfinv", parameters: X, run: |call| of(call, special::erf_inverse) },
        Builtin { name: "exp", parameters: X, run: |call| of(call, f64::exp) },
        Builtin { name: "exp2", parameters: X, run: |call| of(call, f64::exp2) },
        Builtin { name: "expm1", parameters: X, run: |call| of(call, f64::exp_m1) },
        Builtin { name: "float64bits", parameters: F, run: parts::bits },
        Builtin { name: "float64frombits", parameters: &[required("b")], run: parts::from_bits },
        Builtin { name: "floor", parameters: X, run: |call| of(call, f64::floor) },
        Builtin { name: "frexp", parameters: F, run: parts::frexp },
        Builtin { name: "gamma", parameters: X, run: |call| of(call, special::tgamma) },
        Builtin {
            name: "hypot",
            parameters: &[required("p"), required("q")],
            run: |call| Ok(Value::Float(hypot(call.float("p")?, call.float("q")?))),
        },
        Builtin { name: "ilogb", parameters: X, run: parts::ilogb },
        Builtin { name: "isInf", parameters: &[required("f"), required("sign")], run: parts::is_inf },
        Builtin { name: "isNaN", parameters: F, run: |call| Ok(Value::Bool(call.float("f")?.is_nan())) },
        Builtin { name: "j0", parameters: X, run: |call| of(call, special::j0) },
        Builtin { name: "j1", parameters: X, run: |call| of(call, special::j1) },
        Builtin { name: "jn", parameters: NX, run: |call| of_order(call, special::jn) },
        Builtin { name: "ldexp", parameters: &[required("frac"), required("exp")], run: parts::ldexp },
        Builtin { name: "lgamma", parameters: X, run: parts::lgamma },
        Builtin { name: "log", parameters: X, run: |call| of(call, f64::ln) },
        Builtin { name: "log10", parameters: X, run: |call| of(call, f64::log10) },
        Builtin { name: "log1p", parameters: X, run: |call| of(call, f64::ln_1p) },
        Builtin { name: "log2", parameters: X, run: |call| of(call, f64::log2) },
        Builtin { name: "logb", parameters: X, run: |call| of(call, special::logb) },
        Builtin { name: "mInf", parameters: &[required("sign")], run: parts::infinity },
        Builtin { name: "mMax", parameters: XY, run: |call| of_two(call, larger) },
        Builtin { name: "mMin", parameters: XY, run: |call| of_two(call, |x, y| -larger(-x, -y)) },
        Builtin { name: "mod", parameters: XY, run: |call| of_two(call, |x, y| x % y) },
        Builtin { name: "modf", parameters: F, run: parts::modf },
        Builtin { name: "nextafter", parameters: XY, run: |call| of_two(call, special::nextafter) },
        Builtin { name: "pow", parameters: XY, run: |call| of_two(call, f64::powf) },
        Builtin { name: "pow10", parameters: &[required("n")], run: parts::pow10 },
        Builtin { name: "remainder", parameters: XY, run: |call| of_two(call, special::remainder) },
        Builtin { name: "round", parameters: X, run: |call| of(call, f64::round) },
        Builtin { name: "roundtoeven", parameters: X, run: |call| of(call, f64::round_ties_even) },
        Builtin {
            name: "signbit",
            parameters: X,
            run: |call| Ok(Value::Bool(call.float("x")?.is_sign_negative())),
        },
        Builtin { name: "sin", parameters: X, run: |call| of(call, f64::sin) },
        Builtin { name: "sincos", parameters: X, run: parts::sincos },
        Builtin { name: "sinh", parameters: X, run: |call| of(call, f64::sinh) },
        Builtin { name: "sqrt", parameters: X, run: |call| of(call, f64::sqrt) },
        Builtin { name: "tan", parameters: X, run: |call| of(call, f64::tan) },
        Builtin { name: "tanh", parameters: X, run: |call| of(call, f64::tanh) },
        Builtin { name: "trunc", parameters: X, run: |call| of(call, f64::trunc) },
        Builtin { name: "y0", parameters: X, run: |call| of(call, special::y0) },
        Builtin { name: "y1", parameters: X, run: |call| of(call, special::y1) },
        Builtin { name: "yn", parameters: NX, run: |call| of_order(call, special::yn) },
    ],
    constants,
    text: "",
};

const NX: &[Parameter] = &[required("n"), required("x")];

fn constants() -> Vec<(&'static str, Value)> {
    use std::f64::consts;
    vec![
        ("e", Value::Float(consts::E)),
        ("ln10", Value::Float(consts::LN_10)),
        ("ln2", Value::Float(consts::LN_2)),
        ("log10e", Value::Float(consts::LOG10_E)),
        ("log2e", Value::Float(consts::LOG2_E)),
        ("maxfloat", Value::Float(f64::MAX)),
        ("maxint", Value::Int(i64::MAX)),
        ("maxuint", Value::Uint(u64::MAX)),
        ("minint", Value::Int(i64::MIN)),
        ("phi", Value::Float(1.618_033_988_749_895)),
        ("pi", Value::Float(consts::PI)),
        ("smallestNonzeroFloat", Value::Float(f64::from_bits(1))),
        ("sqrt2", Value::Float(consts::SQRT_2)),
        ("sqrte", Value::Float(1.648_721_270_700_128_2)),
        ("sqrtphi", Value::Float(1.272_019_649_514_069)),
        ("sqrtpi", Value::Float(1.772_453_850_905_516)),
    ]
}

fn of(call: &Call<'_, '_>, function: fn(f64) -> f64) -> Result<Value, Error> {
    Ok(Value::Float(function(call.float("x")?)))
}

fn of_two(call: &Call<'_, '_>, function: fn(f64, f64) -> f64) -> Result<Value, Error> {
    Ok(Value::Float(function(call.float("x")?, call.float("y")?)))
}

/// Of an order and a number; work grows with the order.
fn of_order(call: &Call<'_, '_>, function: fn(i32, f64) -> f64) -> Result<Value, Error> {
    const ORDER_MAX: u64 = 10_000;
    let (order, x) = (call.int("n")?, call.float("x")?);
    match i32::try_from(order) {
        Ok(small) if order.unsigned_abs() <= ORDER_MAX => Ok(Value::Float(function(small, x))),
        _ => Err(call.error(format!("orders beyond {ORDER_MAX} are not offered: {order}"))),
    }
}

/// How much x is larger than y, if it is.
fn dim(x: f64, y: f64) -> f64 {
    let difference = x - y;
    if difference <= 0.0 { 0.0 } else { difference }
}

/// With the digits that Flux has, which the C library's function has not always.
fn hypot(p: f64, q: f64) -> f64 {
    let (p, q) = (p.abs(), q.abs());
    if p.is_infinite() || q.is_infinite() {
        return f64::INFINITY;
    }
    if p.is_nan() || q.is_nan() {
        return f64::NAN;
    }
    let (long, short) = if p < q { (q, p) } else { (p, q) };
    if long == 0.0 {
        return 0.0;
    }
    let ratio = short / long;
    long * (1.0 + ratio * ratio).sqrt()
}

/// Infinity is larger than anything, even than what is no number; that is larger than all else.
fn larger(x: f64, y: f64) -> f64 {
    if x == f64::INFINITY || y == f64::INFINITY {
        f64::INFINITY
    } else if x.is_nan() || y.is_nan() {
        f64::NAN
    } else if x == 0.0 && y == 0.0 {
        if x.is_sign_negative() { y } else { x }
    } else {
        x.max(y)
    }
}
