//! Checks of a SELECT that need no schema, in InfluxDB's order and wording; its times taken apart.

use skywatch_influxql::{BinaryOp, Call, Expr, Fill, Select, fold, split_condition};
use skywatch_model::{FieldValue, MAX_TIME, MIN_TIME, TimeRange};

use super::parameters;
use crate::{QueryError, expr::MathFunction, kernel::function, transform::function as transformation};

pub(super) mod transform;

/// A SELECT whose parts are checked.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Selected expressions without `time`, and their aliases.
    pub(super) fields: Vec<(Expr, Option<String>)>,
    /// Caption of the time column.
    pub(super) time_column: String,
    /// WHERE without its times.
    pub(super) condition: Option<Expr>,
    /// Times of WHERE, with defaults for what it leaves open.
    pub(super) range: TimeRange,
    /// Interval and offset of `GROUP BY time()`, in nanoseconds.
    pub(super) interval: Option<(i64, i64)>,
}

/// Checks a SELECT; `inherits_interval` tells that its `GROUP BY time()` is that of the query around it.
pub(super) fn compile(select: &Select, now_ns: i64, inherits_interval: bool) -> Result<Compiled, QueryError> {
    let utc = jiff::tz::TimeZone::UTC;
    let zone = select.time_zone.as_ref().map_or(&utc, skywatch_influxql::TimeZone::zone);
    let (condition, bounds) = split_condition(select.condition.as_ref(), now_ns, zone)
        .map_err(|error| QueryError::invalid(error.to_string()))?;
    if let Some(condition) = &condition {
        validate_condition(condition)?;
    }
    let interval = dimensions(&select.group_by, now_ns)?;
    let open_end = if interval.is_some() { now_ns } else { MAX_TIME };
    let range = TimeRange::new(bounds.min.unwrap_or(MIN_TIME), bounds.max.unwrap_or(open_end));
    let mut time_column = "time".to_owned();
    let mut fields = Vec::new();
    let mut survey = Survey {
        only_selectors: true,
        limit: select.limit,
        has_interval: interval.is_some(),
        inherits_interval,
        ..Survey::default()
    };
    for field in &select.fields {
        if matches!(&field.expr, Expr::VarRef(reference) if reference.name == "time") {
            if let Some(alias) = &field.alias {
                time_column.clone_from(alias);
            }
            continue;
        }
        refuse_now(&field.expr)?;
        let folded =
            |expr: &Expr| fold(expr, now_ns, zone).map_err(|error| QueryError::invalid(error.to_string()));
        let expr = folded(&fold_functions(&folded(&field.expr)?))?;
        survey.allow_wildcard = true;
        survey.expr(&expr)?;
        // An empty alias counts as none.
        fields.push((expr, field.alias.clone().filter(|alias| !alias.is_empty())));
    }
    survey.validate(&fields, select.fill)?;
    Ok(Compiled { fields, time_column, condition, range, interval })
}

/// `now()` is for conditions. Below a function of fields it is no field, which is another complaint.
fn refuse_now(expr: &Expr) -> Result<(), QueryError> {
    match expr {
        Expr::Call(call) if call.name == "now" => Err(QueryError::invalid("undefined function now()")),
        Expr::Call(call) if MathFunction::find(&call.name).is_some() => {
            call.args.iter().try_for_each(refuse_now)
        }
        Expr::Binary(binary) => refuse_now(&binary.lhs).and_then(|()| refuse_now(&binary.rhs)),
        Expr::Paren(inner) => refuse_now(inner),
        _ => Ok(()),
    }
}

/// The interval and offset among the dimensions.
fn dimensions(group_by: &[Expr], now_ns: i64) -> Result<Option<(i64, i64)>, QueryError> {
    let mut interval = None;
    for dimension in group_by {
        match dimension {
            Expr::VarRef(reference) if reference.name.eq_ignore_ascii_case("time") => {
                return Err(QueryError::invalid("time() is a function and expects at least one argument"));
            }
            Expr::VarRef(_) | Expr::Wildcard(_) | Expr::Regex(_) => {}
            Expr::Call(call) => {
                let (length, offset) = time_dimension(call, interval.is_some(), now_ns)?;
                if length > 0 {
                    interval = Some((length, offset));
                }
            }
            _ => return Err(QueryError::invalid("only time and tag dimensions allowed")),
        }
    }
    Ok(interval)
}

fn time_dimension(call: &Call, repeated: bool, now_ns: i64) -> Result<(i64, i64), QueryError> {
    if call.name != "time" {
        return Err(QueryError::invalid("only time() calls allowed in dimensions"));
    }
    let (length, offset) = match call.args.as_slice() {
        [length] => (length, None),
        [length, offset] => (length, Some(folded_offset(offset, now_ns)?)),
        _ => return Err(QueryError::invalid("time dimension expected 1 or 2 arguments")),
    };
    let Expr::Duration(length) = *length else {
        return Err(QueryError::invalid("time dimension must have duration argument"));
    };
    if repeated {
        return Err(QueryError::invalid("multiple time dimensions not allowed"));
    }
    // InfluxDB counts windows of an offset that is a time from the year 1 on.
    let into = |time: i64| match i128::from(length) {
        length if length > 0 => (i128::from(time) + YEAR_1_NS).rem_euclid(length) as i64,
        _ => 0,
    };
    let offset = match offset {
        None => 0,
        Some(Expr::Duration(offset)) => offset.checked_rem(length).unwrap_or(0),
        Some(Expr::Time(time)) => into(time),
        Some(Expr::Call(now)) if now.name != "now" => {
            return Err(QueryError::invalid("time dimension offset function must be now()"));
        }
        Some(Expr::Call(now)) if !now.args.is_empty() => {
            return Err(QueryError::invalid("time dimension offset now() function requires no arguments"));
        }
        Some(Expr::Call(_)) => into(now_ns),
        Some(text @ Expr::String(_)) => {
            time_of(&text)?;
            return Err(QueryError::invalid(format!("invalid time dimension offset: {text}")));
        }
        Some(_) => return Err(QueryError::invalid(NOT_AN_OFFSET)),
    };
    Ok((length, offset))
}

/// From the beginning of the year 1 to that of 1970.
const YEAR_1_NS: i128 = 62_135_596_800_000_000_000;

const NOT_AN_OFFSET: &str = "time dimension offset must be duration or now()";

/// An offset that is computed becomes a time or a duration.
fn folded_offset(offset: &Expr, now_ns: i64) -> Result<Expr, QueryError> {
    match offset {
        Expr::Binary(_) => fold(offset, now_ns, &jiff::tz::TimeZone::UTC)
            .map_err(|error| QueryError::invalid(error.to_string())),
        plain => Ok(plain.clone()),
    }
}

/// The time a string stands for, as it would in a comparison with `time`.
fn time_of(text: &Expr) -> Result<i64, QueryError> {
    let comparison = Expr::binary(BinaryOp::Eq, Expr::var("time"), text.clone());
    let (_, bounds) = split_condition(Some(&comparison), 0, &jiff::tz::TimeZone::UTC)
        .map_err(|_| QueryError::invalid(NOT_AN_OFFSET))?;
    bounds.min.ok_or_else(|| QueryError::invalid(NOT_AN_OFFSET))
}

/// Only mathematical functions may be called in a condition.
fn validate_condition(condition: &Expr) -> Result<(), QueryError> {
    match condition {
        Expr::Binary(binary) => {
            validate_condition(&binary.lhs)?;
            validate_condition(&binary.rhs)
        }
        Expr::Paren(inner) => validate_condition(inner),
        Expr::Call(call) => match MathFunction::find(&call.name) {
            Some(function) => {
                expect_args(&call.name, function.args(), call.args.len())?;
                call.args.iter().try_for_each(validate_condition)
            }
            None => Err(QueryError::invalid(format!("invalid function call in condition: {condition}"))),
        },
        _ => Ok(()),
    }
}

pub(super) fn expect_args(name: &str, expected: usize, got: usize) -> Result<(), QueryError> {
    if expected == got {
        return Ok(());
    }
    Err(QueryError::invalid(format!(
        "invalid number of arguments for {name}, expected {expected}, got {got}"
    )))
}

/// What the selected expressions contain.
#[derive(Debug, Default)]
struct Survey {
    calls: usize,
    only_selectors: bool,
    has_distinct: bool,
    has_plain_references: bool,
    allow_wildcard: bool,
    /// A function that has to be the only one.
    alone: Option<&'static str>,
    /// LIMIT of the SELECT.
    limit: u64,
    has_interval: bool,
    inherits_interval: bool,
    /// A mathematical function inside a transformation, which has no place for it.
    misplaced: Option<String>,
}

impl Survey {
    fn expr(&mut self, expr: &Expr) -> Result<(), QueryError> {
        match expr {
            Expr::Wildcard(_) if !self.allow_wildcard => {
                return Err(QueryError::invalid("unable to use wildcard in a binary expression"));
            }
            Expr::Regex(_) if !self.allow_wildcard => {
                return Err(QueryError::invalid("unable to use regex in a binary expression"));
            }
            Expr::VarRef(_) | Expr::Wildcard(_) | Expr::Regex(_) => self.has_plain_references = true,
            Expr::Paren(inner) => return self.expr(inner),
            Expr::Distinct(_) => {
                self.calls += 1;
                self.has_distinct = true;
                self.only_selectors = false;
            }
            Expr::Call(call) => return self.call(call),
            Expr::Binary(binary) => {
                self.allow_wildcard = false;
                return match (is_literal(&binary.lhs), is_literal(&binary.rhs)) {
                    (true, true) => {
                        Err(QueryError::invalid("cannot perform a binary expression on two literals"))
                    }
                    (true, false) => self.expr(&binary.rhs),
                    (false, true) => self.expr(&binary.lhs),
                    (false, false) => self.expr(&binary.lhs).and_then(|()| self.expr(&binary.rhs)),
                };
            }
            _ => return Err(QueryError::invalid("field must contain at least one variable")),
        }
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<(), QueryError> {
        if let Some(function) = MathFunction::find(&call.name) {
            expect_args(&call.name, function.args(), call.args.len())?;
            if call.args.iter().all(|arg| is_literal(arg) || matches!(arg, Expr::Regex(_))) {
                return Err(QueryError::invalid("field must contain at least one variable"));
            }
            return call.args.iter().filter(|arg| !is_literal(arg)).try_for_each(|arg| self.expr(arg));
        }
        self.calls += 1;
        if let Some(function) = transformation::find(&call.name) {
            return self.transform(function, &call.args);
        }
        if call.name == "distinct" {
            self.has_distinct = true;
            return self.distinct(&call.args);
        }
        let Some(function) = function::find(&call.name) else {
            return Err(QueryError::invalid(format!("undefined function {}()", call.name)));
        };
        self.only_selectors &= function.selector;
        if let Some(name) = self.alone.filter(|_| function.alone) {
            return Err(not_alone(name));
        }
        parameters::check(function, call, self.limit)?;
        if function.alone {
            self.alone = Some(function.name);
        }
        match &call.args[0] {
            Expr::Call(inner) if call.name == "count" && inner.name == "distinct" => {
                self.distinct(&inner.args)
            }
            Expr::Distinct(_) if call.name == "count" => Ok(()),
            argument => self.argument(&call.name, argument),
        }
    }

    /// The argument has to be a field, a wildcard or a regex.
    fn argument(&mut self, name: &str, argument: &Expr) -> Result<(), QueryError> {
        match argument {
            Expr::VarRef(_) => return Ok(()),
            Expr::Wildcard(_) if !self.allow_wildcard => {
                return Err(QueryError::invalid(format!("unsupported expression with wildcard: {name}()")));
            }
            Expr::Regex(_) if !self.allow_wildcard => {
                return Err(QueryError::invalid(format!(
                    "unsupported expression with regex field: {name}()"
                )));
            }
            Expr::Wildcard(_) | Expr::Regex(_) => {}
            _ => return Err(QueryError::invalid(format!("expected field argument in {name}()"))),
        }
        self.only_selectors = false;
        Ok(())
    }

    fn distinct(&mut self, args: &[Expr]) -> Result<(), QueryError> {
        self.only_selectors = false;
        match args {
            [] => Err(QueryError::invalid("distinct function requires at least one argument")),
            [Expr::VarRef(_)] => Ok(()),
            [_] => Err(QueryError::invalid("expected field argument in distinct()")),
            _ => Err(QueryError::invalid("distinct function can only have one argument")),
        }
    }

    fn validate(&self, fields: &[(Expr, Option<String>)], fill: Fill) -> Result<(), QueryError> {
        if let Some(name) = self.alone.filter(|_| self.calls > 1) {
            return Err(not_alone(name));
        }
        let error = if fields.is_empty() {
            "at least 1 non-time field must be queried"
        } else if self.calls == 0 && fill == Fill::None {
            "fill(none) must be used with a function"
        } else if self.calls == 0 && fill == Fill::Linear {
            "fill(linear) must be used with a function"
        } else if self.calls == 0 && self.has_interval {
            "GROUP BY requires at least one aggregate function"
        } else if self.has_distinct && (self.calls != 1 || self.has_plain_references) {
            "aggregate function distinct() cannot be combined with other functions or fields"
        } else if self.has_plain_references && !self.only_selectors {
            "mixing aggregate and non-aggregate queries is not supported"
        } else if self.has_plain_references && self.calls > 1 {
            "mixing multiple selector functions with tags or fields is not supported"
        } else {
            return match &self.misplaced {
                Some(name) => Err(QueryError::invalid(format!("unsupported call: {name}"))),
                None => Ok(()),
            };
        };
        Err(QueryError::invalid(error))
    }
}

fn not_alone(name: &str) -> QueryError {
    QueryError::invalid(format!("selector function {name}() cannot be combined with other functions"))
}

/// The expression with mathematical functions of constants computed.
fn fold_functions(expr: &Expr) -> Expr {
    match expr {
        Expr::Paren(inner) => match fold_functions(inner) {
            inner if is_literal(&inner) => inner,
            inner => Expr::Paren(Box::new(inner)),
        },
        Expr::Binary(binary) => {
            Expr::binary(binary.op, fold_functions(&binary.lhs), fold_functions(&binary.rhs))
        }
        Expr::Call(call) => {
            let call = Call { name: call.name.clone(), args: call.args.iter().map(fold_functions).collect() };
            constant(&call).unwrap_or(Expr::Call(call))
        }
        other => other.clone(),
    }
}

/// The value of a mathematical function of numbers.
fn constant(call: &Call) -> Option<Expr> {
    let function = MathFunction::find(&call.name).filter(|function| function.args() == call.args.len())?;
    let number = |arg: &Expr| match arg {
        Expr::Integer(value) => Some(FieldValue::Integer(*value)),
        Expr::Unsigned(value) => Some(FieldValue::Unsigned(*value)),
        Expr::Number(value) => Some(FieldValue::Float(*value)),
        _ => None,
    };
    let args: Option<Vec<_>> = call.args.iter().map(|arg| number(arg).map(Some)).collect();
    match function.apply(&args?)? {
        FieldValue::Integer(value) => Some(Expr::Integer(value)),
        FieldValue::Unsigned(value) => Some(Expr::Unsigned(value)),
        FieldValue::Float(value) => Some(Expr::Number(value)),
        FieldValue::String(_) | FieldValue::Boolean(_) => None,
    }
}

const fn is_literal(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Integer(_)
            | Expr::Unsigned(_)
            | Expr::Number(_)
            | Expr::String(_)
            | Expr::Boolean(_)
            | Expr::Duration(_)
            | Expr::Time(_)
            | Expr::List(_)
    )
}
