//! What InfluxQL's operators mean, one value at a time: the reference for the vectorised paths.
//!
//! Null is `None`. Comparing what cannot be compared is false, computing with it is null; dividing by zero gives
//! zero.

use regex::Regex;
use skywatch_influxql::BinaryOp;
use skywatch_model::FieldValue;

/// Where an expression stands: a few operators mean something else there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Integers divide to floats; a null beside a boolean counts as false.
    FieldList,
    /// Integers divide to integers; comparing with null is false.
    Condition,
}

/// `left op right`.
pub(crate) fn binary(
    op: BinaryOp,
    left: Option<&FieldValue>,
    right: Option<&FieldValue>,
    place: Place,
) -> Option<FieldValue> {
    use FieldValue::{Boolean, Float, Integer, String, Unsigned};
    const FALSE: FieldValue = Boolean(false);
    let (left, right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (None, Some(right @ Boolean(_))) if place == Place::FieldList => (&FALSE, right),
        (Some(left @ Boolean(_)), None) if place == Place::FieldList => (left, &FALSE),
        _ => return incomparable(op),
    };
    match (left, right) {
        (Boolean(left), Boolean(right)) => booleans(op, *left, *right),
        // Beside anything else a boolean on the left makes every operator it knows false.
        (Boolean(_), _) => booleans(op, false, false).map(|_| Boolean(false)),
        (Float(left), right) => match as_float(right) {
            Some(right) => floats(op, *left, right),
            None => incomparable(op),
        },
        (left, Float(right)) => match as_float(left) {
            Some(left) => floats(op, left, *right),
            None => incomparable(op),
        },
        (Integer(left), Integer(right)) => integers(op, *left, *right, place),
        (Integer(left), Unsigned(right)) => mixed(op, *left < 0, *left as u64, *right, false),
        (Unsigned(left), Integer(right)) => mixed(op, *right < 0, *left, *right as u64, true),
        (Unsigned(left), Unsigned(right)) => unsigneds(op, *left, *right),
        (String(left), String(right)) => match op {
            BinaryOp::Eq => Some(Boolean(left == right)),
            BinaryOp::NotEq => Some(Boolean(left != right)),
            _ => incomparable(op),
        },
        _ => incomparable(op),
    }
}

/// `value =~ regex` or, if not `wanted`, `value !~ regex`; false unless the value is a string.
pub(crate) fn matches(value: Option<&FieldValue>, regex: &Regex, wanted: bool) -> bool {
    matches!(value, Some(FieldValue::String(text)) if regex.is_match(text) == wanted)
}

fn incomparable(op: BinaryOp) -> Option<FieldValue> {
    op.is_comparison().then_some(FieldValue::Boolean(false))
}

/// A number as a float.
pub(crate) fn as_float(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::Float(value) => Some(*value),
        FieldValue::Integer(value) => Some(*value as f64),
        FieldValue::Unsigned(value) => Some(*value as f64),
        FieldValue::String(_) | FieldValue::Boolean(_) => None,
    }
}

fn booleans(op: BinaryOp, left: bool, right: bool) -> Option<FieldValue> {
    let value = match op {
        BinaryOp::And | BinaryOp::BitAnd => left && right,
        BinaryOp::Or | BinaryOp::BitOr => left || right,
        BinaryOp::BitXor | BinaryOp::NotEq => left != right,
        BinaryOp::Eq => left == right,
        _ => return incomparable(op),
    };
    Some(FieldValue::Boolean(value))
}

/// Comparison of two values of one ordered type; `None` if the operator is another.
pub(super) fn compare<T: PartialOrd>(op: BinaryOp, left: &T, right: &T) -> Option<bool> {
    Some(match op {
        BinaryOp::Eq => left == right,
        BinaryOp::NotEq => left != right,
        BinaryOp::Lt => left < right,
        BinaryOp::LtEq => left <= right,
        BinaryOp::Gt => left > right,
        BinaryOp::GtEq => left >= right,
        _ => return None,
    })
}

fn floats(op: BinaryOp, left: f64, right: f64) -> Option<FieldValue> {
    if let Some(value) = compare(op, &left, &right) {
        return Some(FieldValue::Boolean(value));
    }
    float_arithmetic(op, left, right).map(FieldValue::Float)
}

/// `left op right` for `+ - * / %`.
pub(super) fn float_arithmetic(op: BinaryOp, left: f64, right: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div if right == 0.0 => 0.0,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        _ => return None,
    })
}

fn integers(op: BinaryOp, left: i64, right: i64, place: Place) -> Option<FieldValue> {
    if let Some(value) = compare(op, &left, &right) {
        return Some(FieldValue::Boolean(value));
    }
    if op == BinaryOp::Div && place == Place::FieldList {
        return float_arithmetic(op, left as f64, right as f64).map(FieldValue::Float);
    }
    integer_arithmetic(op, left, right).map(FieldValue::Integer)
}

/// `left op right`, wrapping, for the arithmetic and bitwise operators.
pub(super) fn integer_arithmetic(op: BinaryOp, left: i64, right: i64) -> Option<i64> {
    Some(match op {
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Sub => left.wrapping_sub(right),
        BinaryOp::Mul => left.wrapping_mul(right),
        BinaryOp::Div | BinaryOp::Mod if right == 0 => 0,
        BinaryOp::Div => left.wrapping_div(right),
        BinaryOp::Mod => left.wrapping_rem(right),
        BinaryOp::BitAnd => left & right,
        BinaryOp::BitOr => left | right,
        BinaryOp::BitXor => left ^ right,
        _ => return None,
    })
}

fn unsigneds(op: BinaryOp, left: u64, right: u64) -> Option<FieldValue> {
    if let Some(value) = compare(op, &left, &right) {
        return Some(FieldValue::Boolean(value));
    }
    let value = match op {
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Sub => left.wrapping_sub(right),
        BinaryOp::Mul => left.wrapping_mul(right),
        BinaryOp::Div => left.checked_div(right).unwrap_or(0),
        BinaryOp::Mod => left.checked_rem(right).unwrap_or(0),
        BinaryOp::BitAnd => left & right,
        BinaryOp::BitOr => left | right,
        BinaryOp::BitXor => left ^ right,
        _ => return None,
    };
    Some(FieldValue::Unsigned(value))
}

/// An integer and an unsigned. `negative` tells that the integer is below zero, and so below any unsigned;
/// `integer_right` on which side it stands. Equality and arithmetic take its bits as they are, as InfluxDB does.
fn mixed(op: BinaryOp, negative: bool, left: u64, right: u64, integer_right: bool) -> Option<FieldValue> {
    if negative && matches!(op, BinaryOp::Lt | BinaryOp::LtEq | BinaryOp::Gt | BinaryOp::GtEq) {
        let less = matches!(op, BinaryOp::Lt | BinaryOp::LtEq);
        return Some(FieldValue::Boolean(less != integer_right));
    }
    unsigneds(op, left, right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use FieldValue::{Boolean, Float, Integer, Unsigned};

    fn eval(op: BinaryOp, left: &FieldValue, right: &FieldValue) -> Option<FieldValue> {
        binary(op, Some(left), Some(right), Place::FieldList)
    }

    #[test]
    fn dividing_by_zero_gives_zero() {
        assert_eq!(eval(BinaryOp::Div, &Float(3.0), &Float(0.0)), Some(Float(0.0)));
        assert_eq!(eval(BinaryOp::Div, &Integer(3), &Integer(0)), Some(Float(0.0)));
        assert_eq!(eval(BinaryOp::Mod, &Integer(3), &Integer(0)), Some(Integer(0)));
        assert_eq!(eval(BinaryOp::Div, &Unsigned(3), &Unsigned(0)), Some(Unsigned(0)));
    }

    #[test]
    fn integers_divide_to_floats_only_in_field_lists() {
        assert_eq!(eval(BinaryOp::Div, &Integer(3), &Integer(2)), Some(Float(1.5)));
        let truncated = binary(BinaryOp::Div, Some(&Integer(3)), Some(&Integer(2)), Place::Condition);
        assert_eq!(truncated, Some(Integer(1)));
    }

    #[test]
    fn negative_integers_are_below_every_unsigned() {
        assert_eq!(eval(BinaryOp::Lt, &Integer(-1), &Unsigned(0)), Some(Boolean(true)));
        assert_eq!(eval(BinaryOp::Gt, &Integer(-1), &Unsigned(0)), Some(Boolean(false)));
        assert_eq!(eval(BinaryOp::GtEq, &Unsigned(0), &Integer(-1)), Some(Boolean(true)));
        assert_eq!(eval(BinaryOp::LtEq, &Unsigned(7), &Integer(-1)), Some(Boolean(false)));
    }

    #[test]
    fn null_is_false_beside_a_boolean_in_field_lists_only() {
        let place = Place::FieldList;
        assert_eq!(binary(BinaryOp::Or, None, Some(&Boolean(true)), place), Some(Boolean(true)));
        assert_eq!(binary(BinaryOp::Eq, Some(&Boolean(false)), None, place), Some(Boolean(true)));
        assert_eq!(binary(BinaryOp::NotEq, None, Some(&Integer(1)), place), Some(Boolean(false)));
        assert_eq!(binary(BinaryOp::Add, None, Some(&Integer(1)), place), None);
        let place = Place::Condition;
        assert_eq!(binary(BinaryOp::NotEq, None, Some(&Boolean(true)), place), Some(Boolean(false)));
        assert_eq!(binary(BinaryOp::Eq, None, Some(&Boolean(false)), place), Some(Boolean(false)));
    }

    #[test]
    fn strings_know_equality_only() {
        let (a, b) = (FieldValue::String("a".into()), FieldValue::String("b".into()));
        assert_eq!(eval(BinaryOp::NotEq, &a, &b), Some(Boolean(true)));
        assert_eq!(eval(BinaryOp::Lt, &a, &b), Some(Boolean(false)));
        assert_eq!(eval(BinaryOp::Add, &a, &b), None);
        assert_eq!(eval(BinaryOp::Eq, &a, &Integer(1)), Some(Boolean(false)));
        assert_eq!(eval(BinaryOp::BitAnd, &Boolean(true), &Integer(1)), Some(Boolean(false)));
        assert_eq!(eval(BinaryOp::BitAnd, &Integer(1), &Boolean(true)), None);
    }
}
