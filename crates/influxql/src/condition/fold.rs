//! Arithmetic on constants, as InfluxDB does before it runs a query.
//!
//! Operands that do not fit together (`1s * now()`) are no error here: the expression stays as it is, and whoever needs
//! a constant complains.

use jiff::tz::TimeZone;

use super::{ConditionError, in_range, time_literal};
use crate::{
    ast::{BinaryOp, Call, Expr},
    time::looks_like_time,
};

/// The expression with `now()` replaced by a time and everything constant computed. `now` in ns since the epoch.
pub fn fold(expr: &Expr, now: i64, zone: &TimeZone) -> Result<Expr, ConditionError> {
    match expr {
        Expr::Binary(inner) => {
            binary(inner.op, fold(&inner.lhs, now, zone)?, fold(&inner.rhs, now, zone)?, zone)
        }
        Expr::Paren(inner) => Ok(paren(fold(inner, now, zone)?)),
        Expr::Call(call) if call.name == "now" && call.args.is_empty() => Ok(Expr::Time(now)),
        Expr::Call(call) => {
            let args = call.args.iter().map(|arg| fold(arg, now, zone)).collect::<Result<_, _>>()?;
            Ok(Expr::Call(Call { name: call.name.clone(), args }))
        }
        other => Ok(other.clone()),
    }
}

/// Parentheses, unless they hold a single operand.
pub(super) fn paren(inner: Expr) -> Expr {
    match inner {
        Expr::Binary(_) => Expr::Paren(Box::new(inner)),
        operand => operand,
    }
}

/// The operation's result if both operands are constants that fit it, the operation otherwise.
pub(super) fn binary(op: BinaryOp, lhs: Expr, rhs: Expr, zone: &TimeZone) -> Result<Expr, ConditionError> {
    let (lhs, rhs) = (time_beside(lhs, &rhs, zone)?, rhs);
    let rhs = time_beside(rhs, &lhs, zone)?;
    let folded = match (&lhs, &rhs) {
        (&Expr::Boolean(lhs), &Expr::Boolean(rhs)) => booleans(op, lhs, rhs),
        // One side decides alone.
        (Expr::Boolean(false), _) | (_, Expr::Boolean(false)) if op == BinaryOp::And => {
            Some(Expr::Boolean(false))
        }
        (Expr::Boolean(true), _) | (_, Expr::Boolean(true)) if op == BinaryOp::Or => {
            Some(Expr::Boolean(true))
        }
        (Expr::Boolean(true), other) | (other, Expr::Boolean(true)) if op == BinaryOp::And => {
            Some(other.clone())
        }
        (Expr::Boolean(false), other) | (other, Expr::Boolean(false)) if op == BinaryOp::Or => {
            Some(other.clone())
        }
        (Expr::String(lhs), Expr::String(rhs)) => strings(op, lhs, rhs, zone),
        (&Expr::Time(lhs), &Expr::Time(rhs)) => times(op, lhs, rhs),
        // An integer beside a time or a duration counts nanoseconds.
        (&Expr::Time(time), &(Expr::Duration(by) | Expr::Integer(by))) => shifted(op, time, by)?,
        (&(Expr::Duration(by) | Expr::Integer(by)), &Expr::Time(time)) if op == BinaryOp::Add => {
            shifted(op, time, by)?
        }
        (&Expr::Integer(time), &Expr::Duration(by)) => match op {
            BinaryOp::Add | BinaryOp::Sub => shifted(op, time, by)?,
            _ => None,
        },
        (&Expr::Duration(lhs), rhs) => durations(op, lhs, rhs),
        (lhs, rhs) => numbers(op, lhs, rhs),
    };
    Ok(folded.unwrap_or_else(|| Expr::binary(op, lhs, rhs)))
}

/// A string that stands beside a time or a span of it and looks like a time is one.
fn time_beside(expr: Expr, other: &Expr, zone: &TimeZone) -> Result<Expr, ConditionError> {
    match expr {
        Expr::String(text) if looks_like_time(&text) => match other {
            Expr::Time(_) | Expr::Duration(_) | Expr::Integer(_) => {
                Ok(Expr::Time(time_literal(&text, zone)?))
            }
            _ => Ok(Expr::String(text)),
        },
        other => Ok(other),
    }
}

fn shifted(op: BinaryOp, time: i64, by: i64) -> Result<Option<Expr>, ConditionError> {
    let (time, by) = (i128::from(time), i128::from(by));
    match op {
        BinaryOp::Add => Ok(Some(Expr::Time(in_range(time + by)?))),
        BinaryOp::Sub => Ok(Some(Expr::Time(in_range(time - by)?))),
        _ => Ok(None),
    }
}

fn compare<T: PartialOrd + ?Sized>(op: BinaryOp, lhs: &T, rhs: &T) -> Option<Expr> {
    Some(Expr::Boolean(match op {
        BinaryOp::Eq => lhs == rhs,
        BinaryOp::NotEq => lhs != rhs,
        BinaryOp::Lt => lhs < rhs,
        BinaryOp::LtEq => lhs <= rhs,
        BinaryOp::Gt => lhs > rhs,
        BinaryOp::GtEq => lhs >= rhs,
        _ => return None,
    }))
}

fn booleans(op: BinaryOp, lhs: bool, rhs: bool) -> Option<Expr> {
    Some(Expr::Boolean(match op {
        BinaryOp::And | BinaryOp::BitAnd => lhs & rhs,
        BinaryOp::Or | BinaryOp::BitOr => lhs | rhs,
        BinaryOp::Eq => lhs == rhs,
        BinaryOp::NotEq | BinaryOp::BitXor => lhs != rhs,
        _ => return None,
    }))
}

fn times(op: BinaryOp, lhs: i64, rhs: i64) -> Option<Expr> {
    match op {
        BinaryOp::Sub => Some(Expr::Duration(lhs.saturating_sub(rhs))),
        op => compare(op, &lhs, &rhs),
    }
}

/// Two strings that are times are compared and subtracted as such.
fn strings(op: BinaryOp, lhs: &str, rhs: &str, zone: &TimeZone) -> Option<Expr> {
    let time = |text: &str| looks_like_time(text).then(|| time_literal(text, zone).ok()).flatten();
    if let (Some(lhs), Some(rhs)) = (time(lhs), time(rhs))
        && let Some(folded) = times(op, lhs, rhs)
    {
        return Some(folded);
    }
    match op {
        BinaryOp::Eq | BinaryOp::NotEq => compare(op, lhs, rhs),
        BinaryOp::Add => Some(Expr::String(format!("{lhs}{rhs}"))),
        _ => None,
    }
}

fn durations(op: BinaryOp, lhs: i64, rhs: &Expr) -> Option<Expr> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "as Go converts")]
    let ratio = |by: f64, divide: bool| match (divide, by == 0.0) {
        (true, true) => 0,
        (true, false) => (lhs as f64 / by) as i64,
        (false, _) => (lhs as f64 * by) as i64,
    };
    let duration = match (op, rhs) {
        (BinaryOp::Add, Expr::Duration(rhs)) => lhs.wrapping_add(*rhs),
        (BinaryOp::Sub, Expr::Duration(rhs)) => lhs.wrapping_sub(*rhs),
        (op, Expr::Duration(rhs)) => return compare(op, &lhs, rhs),
        (BinaryOp::Mul, Expr::Integer(rhs)) => lhs.wrapping_mul(*rhs),
        (BinaryOp::Div, Expr::Integer(0)) => 0,
        (BinaryOp::Div, Expr::Integer(rhs)) => lhs.wrapping_div(*rhs),
        (BinaryOp::Mul, Expr::Number(rhs)) => ratio(*rhs, false),
        (BinaryOp::Div, Expr::Number(rhs)) => ratio(*rhs, true),
        _ => return None,
    };
    Some(Expr::Duration(duration))
}

/// Integers stay integers but for division; dividing by zero gives zero.
fn numbers(op: BinaryOp, lhs: &Expr, rhs: &Expr) -> Option<Expr> {
    match (lhs, rhs) {
        (Expr::Integer(lhs), Expr::Integer(rhs)) => integers(op, *lhs, *rhs),
        (Expr::Unsigned(lhs), Expr::Unsigned(rhs)) => unsigned(op, *lhs, *rhs),
        (Expr::Unsigned(lhs), Expr::Integer(rhs)) => unsigned(op, *lhs, u64::try_from(*rhs).ok()?),
        (Expr::Integer(lhs), Expr::Unsigned(rhs)) => unsigned(op, u64::try_from(*lhs).ok()?, *rhs),
        (lhs, rhs) => floats(op, float(lhs)?, float(rhs)?),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
const fn float(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Number(value) => Some(*value),
        Expr::Integer(value) => Some(*value as f64),
        Expr::Unsigned(value) => Some(*value as f64),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
fn integers(op: BinaryOp, lhs: i64, rhs: i64) -> Option<Expr> {
    let value = match op {
        BinaryOp::Add => lhs.wrapping_add(rhs),
        BinaryOp::Sub => lhs.wrapping_sub(rhs),
        BinaryOp::Mul => lhs.wrapping_mul(rhs),
        BinaryOp::Div => return floats(op, lhs as f64, rhs as f64),
        BinaryOp::Mod => lhs.checked_rem(rhs).unwrap_or(0),
        BinaryOp::BitAnd => lhs & rhs,
        BinaryOp::BitOr => lhs | rhs,
        BinaryOp::BitXor => lhs ^ rhs,
        op => return compare(op, &lhs, &rhs),
    };
    Some(Expr::Integer(value))
}

fn unsigned(op: BinaryOp, lhs: u64, rhs: u64) -> Option<Expr> {
    let value = match op {
        BinaryOp::Add => lhs.wrapping_add(rhs),
        BinaryOp::Sub => lhs.wrapping_sub(rhs),
        BinaryOp::Mul => lhs.wrapping_mul(rhs),
        BinaryOp::Div => lhs.checked_div(rhs).unwrap_or(0),
        BinaryOp::Mod => lhs.checked_rem(rhs).unwrap_or(0),
        BinaryOp::BitAnd => lhs & rhs,
        BinaryOp::BitOr => lhs | rhs,
        BinaryOp::BitXor => lhs ^ rhs,
        op => return compare(op, &lhs, &rhs),
    };
    Some(Expr::Unsigned(value))
}

fn floats(op: BinaryOp, lhs: f64, rhs: f64) -> Option<Expr> {
    let value = match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div if rhs == 0.0 => 0.0,
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod => lhs % rhs,
        op => return compare(op, &lhs, &rhs),
    };
    Some(Expr::Number(value))
}
