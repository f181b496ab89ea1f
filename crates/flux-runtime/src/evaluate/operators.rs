//! What `+`, `==`, `=~` and their like make of values. Flux specification, "Operators"; with null they are null.

use std::cmp::Ordering;

use skywatch_flux::{BinaryOperator, Duration, Span, UnaryOperator};

use crate::{Error, Value, value::Ordered};

/// Longest text that is made of others.
pub(super) const TEXT_BYTES_MAX: usize = 16 << 20;

pub(super) fn too_long() -> String {
    format!("the text would be longer than {TEXT_BYTES_MAX} bytes")
}

/// A truth value; `None` where it is null.
pub(crate) fn truth(value: &Value, span: Span) -> Result<Option<bool>, Error> {
    match value {
        Value::Bool(value) => Ok(Some(*value)),
        Value::Null => Ok(None),
        other => Err(Error::at(span, format!("expected bool but found {}", other.kind().name()))),
    }
}

pub(super) fn unary(operator: UnaryOperator, value: Value, span: Span) -> Result<Value, Error> {
    Ok(match (operator, value) {
        (UnaryOperator::Exists, value) => Value::Bool(!value.is_null()),
        (_, Value::Null) => Value::Null,
        (UnaryOperator::Minus, Value::Int(value)) => Value::Int(value.wrapping_neg()),
        (UnaryOperator::Minus, Value::Float(value)) => Value::Float(-value),
        (UnaryOperator::Minus, Value::Duration(duration)) => Value::Duration(negated(duration)),
        (
            UnaryOperator::Plus,
            value @ (Value::Int(_) | Value::Float(_) | Value::Uint(_) | Value::Duration(_)),
        ) => value,
        (UnaryOperator::Not, Value::Bool(value)) => Value::Bool(!value),
        (UnaryOperator::Not, other) => {
            return Err(Error::at(span, format!("expected bool but found {}", other.kind().name())));
        }
        (_, other) => {
            return Err(Error::at(span, format!("a {} has no negative", other.kind().name())));
        }
    })
}

const fn negated(duration: Duration) -> Duration {
    Duration { is_negative: !duration.is_negative, ..duration }
}

pub(super) fn binary(
    operator: BinaryOperator,
    left: &Value,
    right: &Value,
    span: Span,
) -> Result<Value, Error> {
    use BinaryOperator::{
        Add, Divide, Equal, Greater, GreaterEqual, Less, LessEqual, Matches, Modulo, Multiply, NotEqual,
        NotMatches, Power, Subtract,
    };
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    match operator {
        Add | Subtract | Multiply | Divide | Modulo | Power => arithmetic(operator, left, right, span),
        Equal => Ok(Value::Bool(comparable(operator, left, right, span)? == Some(Ordering::Equal))),
        NotEqual => Ok(Value::Bool(comparable(operator, left, right, span)? != Some(Ordering::Equal))),
        Less => Ok(Value::Bool(comparable(operator, left, right, span)?.is_some_and(Ordering::is_lt))),
        LessEqual => Ok(Value::Bool(comparable(operator, left, right, span)?.is_some_and(Ordering::is_le))),
        Greater => Ok(Value::Bool(comparable(operator, left, right, span)?.is_some_and(Ordering::is_gt))),
        GreaterEqual => {
            Ok(Value::Bool(comparable(operator, left, right, span)?.is_some_and(Ordering::is_ge)))
        }
        Matches | NotMatches => match (left, right) {
            (Value::String(text), Value::Regex(regex)) => {
                Ok(Value::Bool(regex.is_match(text) == (operator == Matches)))
            }
            _ => Err(unsupported(operator, left, right, span)),
        },
    }
}

/// Whether two values are the same, numbers of different types by what they say; `None` with null.
pub(crate) fn equal(left: &Value, right: &Value) -> Option<bool> {
    if left.is_null() || right.is_null() {
        return None;
    }
    Some(match numbers(left, right) {
        Some(order) => order == Some(Ordering::Equal),
        None => Ordered(left.clone()) == Ordered(right.clone()),
    })
}

/// The order of two values that can be compared; `None` if one is not a number.
fn comparable(
    operator: BinaryOperator,
    left: &Value,
    right: &Value,
    span: Span,
) -> Result<Option<Ordering>, Error> {
    if let Some(order) = numbers(left, right) {
        return Ok(order);
    }
    let ordered = matches!(left, Value::String(_) | Value::Time(_) | Value::Duration(_));
    let equals = ordered
        || matches!(
            left,
            Value::Bool(_) | Value::Bytes(_) | Value::Array(_) | Value::Record(_) | Value::Dictionary(_)
        );
    let only_equals = matches!(operator, BinaryOperator::Equal | BinaryOperator::NotEqual);
    if left.kind() != right.kind() || !(ordered || (equals && only_equals)) {
        return Err(unsupported(operator, left, right, span));
    }
    Ok(Some(Ordered(left.clone()).cmp(&Ordered(right.clone()))))
}

/// The order of two numbers, exactly where both are whole.
fn numbers(left: &Value, right: &Value) -> Option<Option<Ordering>> {
    let whole = |value: &Value| match *value {
        Value::Int(value) => Some(i128::from(value)),
        Value::Uint(value) => Some(i128::from(value)),
        _ => None,
    };
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(Some(left.cmp(&right))),
        _ => Some(left.as_float()?.partial_cmp(&right.as_float()?)),
    }
}

/// `+ - * / % ^` of two values of one type.
pub(crate) fn arithmetic(
    operator: BinaryOperator,
    left: &Value,
    right: &Value,
    span: Span,
) -> Result<Value, Error> {
    use BinaryOperator::{Add, Divide, Modulo, Multiply, Power, Subtract};
    Ok(match (operator, left, right) {
        (Add, Value::Int(left), Value::Int(right)) => Value::Int(left.wrapping_add(*right)),
        (Subtract, Value::Int(left), Value::Int(right)) => Value::Int(left.wrapping_sub(*right)),
        (Multiply, Value::Int(left), Value::Int(right)) => Value::Int(left.wrapping_mul(*right)),
        (Divide | Modulo, Value::Int(_), Value::Int(0))
        | (Divide | Modulo, Value::Uint(_), Value::Uint(0)) => {
            return Err(Error::at(span, "cannot divide by zero"));
        }
        (Divide, Value::Int(left), Value::Int(right)) => Value::Int(left.wrapping_div(*right)),
        (Modulo, Value::Int(left), Value::Int(right)) => Value::Int(left.wrapping_rem(*right)),
        (Power, Value::Int(left), Value::Int(right)) => Value::Float((*left as f64).powf(*right as f64)),
        (Add, Value::Uint(left), Value::Uint(right)) => Value::Uint(left.wrapping_add(*right)),
        (Subtract, Value::Uint(left), Value::Uint(right)) => Value::Uint(left.wrapping_sub(*right)),
        (Multiply, Value::Uint(left), Value::Uint(right)) => Value::Uint(left.wrapping_mul(*right)),
        (Divide, Value::Uint(left), Value::Uint(right)) => Value::Uint(left / right),
        (Modulo, Value::Uint(left), Value::Uint(right)) => Value::Uint(left % right),
        (Power, Value::Uint(left), Value::Uint(right)) => Value::Float((*left as f64).powf(*right as f64)),
        (Add, Value::Float(left), Value::Float(right)) => Value::Float(left + right),
        (Subtract, Value::Float(left), Value::Float(right)) => Value::Float(left - right),
        (Multiply, Value::Float(left), Value::Float(right)) => Value::Float(left * right),
        (Divide, Value::Float(left), Value::Float(right)) => Value::Float(left / right),
        (Modulo, Value::Float(left), Value::Float(right)) => Value::Float(left % right),
        (Power, Value::Float(left), Value::Float(right)) => Value::Float(left.powf(*right)),
        (Add, Value::String(left), Value::String(right)) if left.len() + right.len() > TEXT_BYTES_MAX => {
            return Err(Error::at(span, too_long()));
        }
        (Add, Value::String(left), Value::String(right)) => Value::from(format!("{left}{right}")),
        (Add | Subtract, Value::Duration(left), Value::Duration(right)) => {
            let right = if operator == Subtract { negated(*right) } else { *right };
            let sum = joined(*left, right);
            sum.map(Value::Duration).ok_or_else(|| {
                unsupported(operator, &Value::Duration(*left), &Value::Duration(right), span)
            })?
        }
        (Add, Value::Time(time), Value::Duration(duration))
        | (Add, Value::Duration(duration), Value::Time(time)) => moved(*time, *duration, span)?,
        (Subtract, Value::Time(time), Value::Duration(duration)) => moved(*time, negated(*duration), span)?,
        _ => return Err(unsupported(operator, left, right, span)),
    })
}

fn moved(time: i64, duration: Duration, span: Span) -> Result<Value, Error> {
    let sum = duration.add_to(time).map(Value::Time);
    sum.ok_or_else(|| Error::at(span, "the time is out of range"))
}

/// Months with months, nanoseconds with nanoseconds; `None` where the two would have different signs.
fn joined(left: Duration, right: Duration) -> Option<Duration> {
    let signed = |duration: Duration| {
        let sign = if duration.is_negative { -1 } else { 1 };
        (sign * duration.months, sign * duration.nanoseconds)
    };
    let ((left_months, left_ns), (right_months, right_ns)) = (signed(left), signed(right));
    let (months, ns) = (left_months.checked_add(right_months)?, left_ns.checked_add(right_ns)?);
    if months.signum() * ns.signum() < 0 {
        return None;
    }
    Some(Duration {
        months: months.checked_abs()?,
        nanoseconds: ns.checked_abs()?,
        is_negative: months < 0 || ns < 0,
    })
}

fn unsupported(operator: BinaryOperator, left: &Value, right: &Value, span: Span) -> Error {
    let hint = match (left.as_float(), right.as_float()) {
        (Some(_), Some(_)) => "; make both of one type, as with float(v: ...)",
        _ => "",
    };
    let (left, right) = (left.kind().name(), right.kind().name());
    Error::at(span, format!("unsupported binary expression {left} {} {right}{hint}", operator.symbol()))
}
