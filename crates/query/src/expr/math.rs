//! Mathematical functions of single rows (`abs`, `round`, `pow` ...): one table.

use skywatch_model::FieldValue;

use super::scalar::as_float;

/// A function of one row's values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MathFunction(&'static Entry);

#[derive(Debug)]
struct Entry {
    name: &'static str,
    args: usize,
    apply: Apply,
}

/// How the result comes about.
#[derive(Debug)]
enum Apply {
    /// Floats in, float out.
    Unary(fn(f64) -> f64),
    /// Keeps integers as they are.
    Rounding(fn(f64) -> f64),
    /// Keeps the type.
    Abs,
    /// Two floats.
    Pair(fn(f64, f64) -> f64),
    /// Keeps integers where exact.
    Pow,
}

const fn unary(name: &'static str, function: fn(f64) -> f64) -> Entry {
    Entry { name, args: 1, apply: Apply::Unary(function) }
}

const fn rounding(name: &'static str, function: fn(f64) -> f64) -> Entry {
    Entry { name, args: 1, apply: Apply::Rounding(function) }
}

static FUNCTIONS: &[Entry] = &[
    Entry { name: "abs", args: 1, apply: Apply::Abs },
    unary("sin", f64::sin),
    unary("cos", f64::cos),
    unary("tan", f64::tan),
    unary("asin", f64::asin),
    unary("acos", f64::acos),
    unary("atan", f64::atan),
    unary("exp", f64::exp),
    unary("ln", f64::ln),
    unary("log2", f64::log2),
    unary("log10", f64::log10),
    unary("sqrt", f64::sqrt),
    rounding("floor", f64::floor),
    rounding("ceil", f64::ceil),
    rounding("round", f64::round),
    Entry { name: "atan2", args: 2, apply: Apply::Pair(f64::atan2) },
    Entry { name: "log", args: 2, apply: Apply::Pair(|x, base| x.ln() / base.ln()) },
    Entry { name: "pow", args: 2, apply: Apply::Pow },
];

impl MathFunction {
    /// The function of that name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|entry| entry.name == name).map(Self)
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        self.0.name
    }

    /// Number of arguments it takes.
    pub(crate) const fn args(self) -> usize {
        self.0.args
    }

    /// Its value; null when an argument is null or no number, or when the result is none.
    pub(crate) fn apply(self, args: &[Option<FieldValue>]) -> Option<FieldValue> {
        let first = args.first()?.as_ref()?;
        match self.0.apply {
            Apply::Abs => Some(match first {
                FieldValue::Float(value) => FieldValue::Float(value.abs()),
                FieldValue::Integer(value) => FieldValue::Integer(value.wrapping_abs()),
                FieldValue::Unsigned(_) => first.clone(),
                FieldValue::String(_) | FieldValue::Boolean(_) => return None,
            }),
            Apply::Rounding(function) => Some(match first {
                FieldValue::Float(value) => FieldValue::Float(function(*value)),
                FieldValue::Integer(_) | FieldValue::Unsigned(_) => first.clone(),
                FieldValue::String(_) | FieldValue::Boolean(_) => return None,
            }),
            Apply::Unary(function) => as_float(first).map(function).map(FieldValue::Float),
            Apply::Pair(function) => {
                let second = as_float(args.get(1)?.as_ref()?)?;
                as_float(first).map(|first| FieldValue::Float(function(first, second)))
            }
            Apply::Pow => pow(first, args.get(1)?.as_ref()?),
        }
    }
}

fn pow(base: &FieldValue, exponent: &FieldValue) -> Option<FieldValue> {
    let power = as_float(base)?.powf(as_float(exponent)?);
    Some(match (base, exponent) {
        (FieldValue::Integer(_), FieldValue::Integer(_)) => FieldValue::Integer(power as i64),
        (FieldValue::Unsigned(_), FieldValue::Unsigned(_)) => FieldValue::Unsigned(power as u64),
        _ => FieldValue::Float(power),
    })
}
