//! Types of selected expressions: operators refuse operands they cannot work on, in InfluxDB's words.

use skywatch_influxql::{BinaryExpr, BinaryOp, Call, DataType, Expr};
use skywatch_model::FieldType;

use crate::{
    QueryError,
    expr::MathFunction,
    kernel::function::{self, Function},
    transform::function as transformation,
};

/// Checks every selected expression, and tells the types of their values. References carry their types as casts.
///
/// As in InfluxDB nothing is refused in a subquery: what does not fit has no value, and no type.
pub(super) fn check(
    fields: &[(Expr, Option<String>)],
    is_subquery: bool,
) -> Result<Vec<Option<FieldType>>, QueryError> {
    let checked = |expr: &Expr| match type_of(expr) {
        Err(_) if is_subquery => Ok(None),
        known => Ok(known?.filter(|_| !is_guess(expr)).and_then(field_type)),
    };
    fields.iter().map(|(expr, _)| checked(expr)).collect()
}

/// Whether the type of an expression is that of the operands beside a function whose own type is not known.
fn is_guess(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part| {
        let is_function = matches!(part, Expr::Call(call) if MathFunction::find(&call.name).is_some());
        found |= is_function && matches!(type_of(part), Ok(None));
    });
    found
}

/// Type of an expression; `None` when it is unknown, which goes with everything: beside it, an operand of a known type
/// decides.
fn type_of(expr: &Expr) -> Result<Option<DataType>, QueryError> {
    Ok(match expr {
        Expr::VarRef(name) => name.cast,
        Expr::Integer(_) => Some(DataType::Integer),
        Expr::Unsigned(_) => Some(DataType::Unsigned),
        Expr::Number(_) => Some(DataType::Float),
        Expr::String(_) => Some(DataType::String),
        Expr::Boolean(_) => Some(DataType::Boolean),
        Expr::Paren(inner) => type_of(inner)?,
        Expr::Call(call) if MathFunction::find(&call.name).is_some() => {
            let types = call.args.iter().map(type_of).collect::<Result<Vec<_>, _>>()?;
            // Of floats all make floats.
            types.first().copied().flatten().filter(|argument| *argument == DataType::Float)
        }
        Expr::Call(call) if transformation::find(&call.name).is_some() => transformed_type(call)?,
        Expr::Call(call) => match call.args.first() {
            Some(Expr::Call(_)) => Some(DataType::Integer),
            Some(Expr::VarRef(name)) => name
                .cast
                .and_then(field_type)
                .and_then(|argument| function::find(&call.name).map(|function| nominal(function, argument)))
                .map(super::expand::cast),
            _ => None,
        },
        Expr::Binary(binary) => {
            let (left, right) = (type_of(&binary.lhs)?, type_of(&binary.rhs)?);
            match (left, right) {
                (Some(left), Some(right)) => Some(binary_type(expr, binary, left, right)?),
                (left, right) => left.or(right),
            }
        }
        _ => None,
    })
}

/// Type of a transformation's answers, whatever it transforms.
fn transformed_type(call: &Call) -> Result<Option<DataType>, QueryError> {
    let (Some(function), Some(points)) = (transformation::find(&call.name), call.args.first()) else {
        return Ok(None);
    };
    let points = type_of(points)?;
    let of_points = || points.and_then(field_type).map(|points| function.nominal.of(points));
    Ok(function.nominal.fixed().or_else(of_points).map(super::expand::cast))
}

/// Type of a function's answer. It has one even for an argument it will refuse, since operators complain first.
fn nominal(function: &Function, argument: FieldType) -> FieldType {
    let always_float = (function.output)(FieldType::Integer) == Some(FieldType::Float);
    (function.output)(argument).unwrap_or(if always_float { FieldType::Float } else { argument })
}

/// The field type behind a cast; `None` for tags and unknown ones.
pub(super) const fn field_type(cast: DataType) -> Option<FieldType> {
    match cast {
        DataType::Float => Some(FieldType::Float),
        DataType::Integer => Some(FieldType::Integer),
        DataType::Unsigned => Some(FieldType::Unsigned),
        DataType::String => Some(FieldType::String),
        DataType::Boolean => Some(FieldType::Boolean),
        DataType::AnyField | DataType::Tag => None,
    }
}

fn binary_type(
    expr: &Expr,
    binary: &BinaryExpr,
    left: DataType,
    right: DataType,
) -> Result<DataType, QueryError> {
    use DataType::{Boolean, Float, Integer, Unsigned};
    let bitwise = matches!(binary.op, BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor);
    if !binary.op.is_arithmetic() {
        return Ok(Boolean);
    }
    // A plain number beside an unsigned becomes one.
    let literal = |side: &Expr| matches!(side, Expr::Integer(value) if *value >= 0);
    let result = match (left, right) {
        // The left side alone makes it an operation on booleans.
        (Boolean, _) if bitwise => Some(Boolean),
        (Float, Float | Integer | Unsigned) | (Integer | Unsigned, Float) if !bitwise => Some(Float),
        (Integer, Integer) if binary.op == BinaryOp::Div => Some(Float),
        (Integer, Integer) => Some(Integer),
        (Unsigned, Unsigned) => Some(Unsigned),
        (Unsigned, Integer) if literal(&binary.rhs) => Some(Unsigned),
        (Integer, Unsigned) if literal(&binary.lhs) => Some(Unsigned),
        (Integer, Unsigned) if matches!(binary.rhs, Expr::Unsigned(_)) => {
            return Err(QueryError::invalid(format!(
                "type error: {expr}: cannot use {} with an integer and unsigned literal",
                binary.op.symbol()
            )));
        }
        (Unsigned, Integer) | (Integer, Unsigned) => {
            return Err(QueryError::invalid(format!(
                "type error: {expr}: cannot use {} between an integer and unsigned, an explicit cast is required",
                binary.op.symbol()
            )));
        }
        _ => None,
    };
    result.ok_or_else(|| {
        QueryError::invalid(format!(
            "type error: {expr}: incompatible types: {} and {}",
            left.name(),
            right.name()
        ))
    })
}
