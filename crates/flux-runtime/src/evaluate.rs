//! Expressions to values.

mod apply;
mod operators;

use std::{collections::BTreeMap, sync::Arc};

pub(crate) use apply::{RowFunction, apply, apply_to, holds};
use operators::{TEXT_BYTES_MAX, too_long};
pub(crate) use operators::{equal, truth};
use skywatch_flux::{
    Assignment, Expression, Kind as Node, LogicalOperator, Property, Span, Statement, StringPart,
    UnaryOperator,
};

use crate::{Context, Error, Function, Record, Value, scope::Scope, show, value::Ordered};

/// Statements between one pair of braces.
const BLOCK_STATEMENTS_MAX: usize = 1000;

/// What an expression stands for.
pub(crate) fn evaluate(
    context: &mut Context<'_>,
    scope: &Scope,
    expression: &Expression,
) -> Result<Value, Error> {
    let span = expression.span;
    Ok(match &expression.kind {
        Node::Integer(value) => Value::Int(*value),
        Node::Float(value) => Value::Float(*value),
        Node::String(text) => Value::String(Arc::clone(text)),
        Node::Time(time) => Value::Time(*time),
        Node::Duration(duration) => Value::Duration(*duration),
        Node::Regex(text) => Value::Regex(context.pattern(text).map_err(|reason| Error::at(span, reason))?),
        Node::Identifier(name) => match scope.get(name) {
            Some(value) => value,
            None => return Err(Error::at(span, format!("undefined identifier \"{name}\""))),
        },
        Node::Function(literal) => Function::closure(Arc::clone(literal), scope.clone(), span),
        _ => {
            let value = context.deeper(span, |context| compound(context, scope, expression))?;
            if let Some(text) = value.too_large() {
                return Err(Error::at(span, text));
            }
            value
        }
    })
}

fn compound(context: &mut Context<'_>, scope: &Scope, expression: &Expression) -> Result<Value, Error> {
    let span = expression.span;
    match &expression.kind {
        Node::Interpolated(parts) => interpolated(context, scope, parts),
        Node::Array(values) => {
            let values: Result<Vec<Value>, Error> =
                values.iter().map(|value| evaluate(context, scope, value)).collect();
            Ok(Value::array(values?))
        }
        Node::Dictionary(entries) => {
            let mut dictionary = BTreeMap::new();
            for (key, value) in entries {
                let key = evaluate(context, scope, key)?;
                dictionary.insert(Ordered(key), evaluate(context, scope, value)?);
            }
            Ok(Value::dictionary(dictionary))
        }
        Node::Record { with, properties } => {
            let own = properties_of(context, scope, properties)?;
            match with {
                None => Ok(Record::new(own).into()),
                Some(base) => match evaluate(context, scope, base)? {
                    Value::Record(base) => Ok(base.with(own).into()),
                    other => Err(Error::at(
                        base.span,
                        format!("expected a record before with, but found {}", other.kind().name()),
                    )),
                },
            }
        }
        Node::Call(call) => apply::call(context, scope, call, None),
        Node::Pipe { value, call } => {
            let value = evaluate(context, scope, value)?;
            apply::call(context, scope, call, Some(value))
        }
        Node::Member(member) => {
            let record = evaluate(context, scope, &member.record)?;
            taken(&record, &member.name, span)
        }
        Node::Index { array, index } => {
            let array = evaluate(context, scope, array)?;
            let index = evaluate(context, scope, index)?;
            indexed(&array, &index, span)
        }
        Node::Unary { operator, operand } => {
            let value = evaluate(context, scope, operand)?;
            match operator {
                UnaryOperator::Exists => Ok(Value::Bool(!value.is_null())),
                _ => operators::unary(*operator, value, span),
            }
        }
        Node::Binary { operator, left, right } => {
            let left = evaluate(context, scope, left)?;
            let right = evaluate(context, scope, right)?;
            operators::binary(*operator, &left, &right, span)
        }
        Node::Logical { operator, left, right } => {
            let decided = match operator {
                LogicalOperator::And => false,
                LogicalOperator::Or => true,
            };
            let first = truth(&evaluate(context, scope, left)?, left.span)?;
            if first == Some(decided) {
                return Ok(Value::Bool(decided));
            }
            let second = truth(&evaluate(context, scope, right)?, right.span)?;
            Ok(match (first, second) {
                (_, Some(second)) if second == decided => Value::Bool(decided),
                (Some(_), Some(second)) => Value::Bool(second),
                _ => Value::Null,
            })
        }
        Node::Conditional { test, then, otherwise } => {
            let value = evaluate(context, scope, test)?;
            // As in Flux: what is not known to be true is not.
            let branch = if truth(&value, test.span)? == Some(true) { then } else { otherwise };
            evaluate(context, scope, branch)
        }
        Node::Parenthesis(inner) => evaluate(context, scope, inner),
        _ => evaluate(context, scope, expression),
    }
}

fn interpolated(context: &mut Context<'_>, scope: &Scope, parts: &[StringPart]) -> Result<Value, Error> {
    let mut text = String::new();
    for part in parts {
        match part {
            StringPart::Text(piece) => text.push_str(piece),
            StringPart::Expression(expression) => match evaluate(context, scope, expression)? {
                Value::Null => {
                    return Err(Error::at(expression.span, "invalid null value in string interpolation"));
                }
                value @ (Value::Record(_)
                | Value::Array(_)
                | Value::Dictionary(_)
                | Value::Function(_)
                | Value::Stream(_)) => {
                    let text = format!("a {} cannot stand in a string", value.kind().name());
                    return Err(Error::at(expression.span, text));
                }
                value => text.push_str(&show(&value)),
            },
        }
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(context.error(too_long()));
    }
    Ok(text.into())
}

/// Names with what they stand for.
pub(crate) fn properties_of(
    context: &mut Context<'_>,
    scope: &Scope,
    properties: &[Property],
) -> Result<Vec<(Arc<str>, Value)>, Error> {
    let mut values = Vec::with_capacity(properties.len());
    for property in properties {
        values.push((Arc::clone(&property.name), evaluate(context, scope, &property.value)?));
    }
    Ok(values)
}

fn taken(record: &Value, name: &str, span: Span) -> Result<Value, Error> {
    match record {
        Value::Record(record) => {
            record.get(name).ok_or_else(|| Error::at(span, format!("record is missing label {name}")))
        }
        Value::Null => Ok(Value::Null),
        other => Err(Error::at(span, format!("a {} has no members: {name}", other.kind().name()))),
    }
}

fn indexed(array: &Value, index: &Value, span: Span) -> Result<Value, Error> {
    match (array, index) {
        (Value::Array(values), Value::Int(index)) => {
            let found = usize::try_from(*index).ok().and_then(|index| values.get(index));
            found.cloned().ok_or_else(|| {
                Error::at(span, format!("index {index} out of range of array of length {}", values.len()))
            })
        }
        (Value::Record(_), Value::String(name)) => taken(array, name, span),
        (array, index) => {
            let (array, index) = (array.kind().name(), index.kind().name());
            Err(Error::at(span, format!("a {array} cannot be indexed with a {index}")))
        }
    }
}

/// Runs the statements of a block: the value of its `return`.
pub(crate) fn block(
    context: &mut Context<'_>,
    scope: &Scope,
    statements: &[Statement],
) -> Result<Value, Error> {
    let scope = scope.inner();
    // What names stand for may hold each other, one by one.
    if let Some(Statement::Assign(assignment)) = statements.get(BLOCK_STATEMENTS_MAX) {
        let text = format!("a function of more than {BLOCK_STATEMENTS_MAX} statements");
        return Err(Error::at(assignment.span, text));
    }
    for statement in statements {
        match statement {
            Statement::Assign(assignment) => assign(context, &scope, assignment)?,
            Statement::Return(value) => {
                let value = evaluate(context, &scope, value)?;
                scope.leave(&value);
                return Ok(value);
            }
            Statement::Expression(value) => {
                evaluate(context, &scope, value)?;
            }
            Statement::Option { assignment, .. } => {
                return Err(Error::at(assignment.span, "options cannot be set within a function"));
            }
            Statement::Foreign { word, span } => {
                return Err(Error::at(*span, format!("{word} cannot stand within a function")));
            }
        }
    }
    Ok(Value::Null)
}

/// Gives its value a name.
pub(crate) fn assign(context: &mut Context<'_>, scope: &Scope, assignment: &Assignment) -> Result<(), Error> {
    let value = evaluate(context, scope, &assignment.value)?;
    scope.set(Arc::clone(&assignment.name), value);
    Ok(())
}
