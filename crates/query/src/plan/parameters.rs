//! What stands beside the field among a function's arguments: checked in InfluxDB's order and wording, then read.

use skywatch_influxql::{Call, Expr};

use crate::{
    QueryError,
    kernel::function::{Function, Parameters},
};

/// Checks everything about the arguments of a call but the field itself. `limit` is the LIMIT of the SELECT.
pub(super) fn check(function: &Function, call: &Call, limit: u64) -> Result<(), QueryError> {
    let (name, args) = (&call.name, call.args.as_slice());
    match (function.parameters, args) {
        (Parameters::TagsAndSize, _) => ranking(call, limit),
        (Parameters::None | Parameters::Unit, [_])
        | (Parameters::Number, [_, Expr::Integer(_) | Expr::Number(_)]) => Ok(()),
        (Parameters::Number, [_, _]) => invalid(format!("expected float argument in {name}()")),
        (Parameters::Size, [_, Expr::Integer(size)]) if *size > 0 => Ok(()),
        (Parameters::Size, [_, Expr::Integer(size)]) => {
            invalid(format!("{name} window must be greater than 1, got {size}"))
        }
        (Parameters::Size, [_, _]) => invalid(format!("expected integer argument in {name}()")),
        (Parameters::Unit, [_, Expr::Duration(unit)]) if *unit > 0 => Ok(()),
        (Parameters::Unit, [_, unit @ Expr::Duration(_)]) => {
            invalid(format!("duration argument must be positive, got {unit}"))
        }
        (Parameters::Unit, [_, _]) => invalid("second argument must be a duration"),
        (Parameters::Unit, args) => invalid(format!(
            "invalid number of arguments for {name}, expected at least 1 but no more than 2, got {}",
            args.len()
        )),
        (Parameters::None, args) => super::compile::expect_args(name, 1, args.len()),
        (Parameters::Number | Parameters::Size, args) => super::compile::expect_args(name, 2, args.len()),
    }
}

/// The arguments of `top` and `bottom`.
fn ranking(call: &Call, limit: u64) -> Result<(), QueryError> {
    let name = &call.name;
    let [field, tags @ .., size] = call.args.as_slice() else {
        let got = call.args.len();
        return invalid(format!("invalid number of arguments for {name}, expected at least 2, got {got}"));
    };
    let size = match size {
        Expr::Integer(size) => *size,
        other => return invalid(format!("expected integer as last argument in {name}(), found {other}")),
    };
    if size <= 0 {
        return invalid(format!("limit ({size}) in {name} function must be at least 1"));
    }
    if limit > 0 && size as u64 > limit {
        return invalid(format!(
            "limit ({size}) in {name} function can not be larger than the LIMIT ({limit}) in the select statement"
        ));
    }
    if !matches!(field, Expr::VarRef(_)) {
        return invalid(format!("expected first argument to be a field in {name}(), found {field}"));
    }
    match tags.iter().find(|tag| !matches!(tag, Expr::VarRef(_))) {
        Some(other) => invalid(format!("only fields or tags are allowed in {name}(), found {other}")),
        None => Ok(()),
    }
}

fn invalid<T>(text: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::invalid(text))
}

/// The tags of `top(field, tag..., n)`.
pub(super) fn ranked_tags<'a>(function: &Function, call: &'a Call) -> &'a [Expr] {
    match (function.parameters, call.args.as_slice()) {
        (Parameters::TagsAndSize, [_, tags @ .., _]) => tags,
        _ => &[],
    }
}

/// The number that ends the arguments: a percentage, how many points, or nanoseconds.
pub(super) fn number(function: &Function, call: &Call) -> f64 {
    match (function.parameters, call.args.last()) {
        (Parameters::None, _) => 0.0,
        (_, Some(Expr::Number(number))) => *number,
        (_, Some(Expr::Integer(number) | Expr::Duration(number))) => *number as f64,
        (Parameters::Unit, _) => SECOND_NS,
        _ => 0.0,
    }
}

/// The unit of time that an integral has if none is given.
const SECOND_NS: f64 = 1e9;
