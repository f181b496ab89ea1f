//! Functions are called.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use skywatch_flux::{self as syntax, FunctionBody, Span};

use super::{block, evaluate, properties_of, truth};
use crate::{Call, Context, Error, Function, Record, Value, scope::Scope};

/// A call in the text, with what comes through the arrow.
pub(super) fn call(
    context: &mut Context<'_>,
    scope: &Scope,
    call: &syntax::Call,
    piped: Option<Value>,
) -> Result<Value, Error> {
    let function = match evaluate(context, scope, &call.callee)? {
        Value::Function(function) => function,
        other => {
            let text = format!("a {} cannot be called", other.kind().name());
            return Err(Error::at(call.callee.span, text));
        }
    };
    let mut arguments = properties_of(context, scope, &call.arguments)?;
    if let Some(value) = piped {
        let Some(name) = function.piped_parameter() else {
            let text = format!("function does not accept a pipe argument: {}", call.callee);
            return Err(Error::at(call.span, text));
        };
        arguments.push((Arc::from(name), value));
    }
    apply(context, &function, arguments, call.span)
}

/// Calls a function with arguments by name.
pub(crate) fn apply(
    context: &mut Context<'_>,
    function: &Function,
    arguments: Vec<(Arc<str>, Value)>,
    span: Span,
) -> Result<Value, Error> {
    context.check()?;
    match function {
        Function::Builtin(builtin) => {
            let span = context.place(span);
            let caller = context.enter(span, builtin.name);
            let outcome =
                Call::new(context, builtin, span, arguments).and_then(|mut call| (builtin.run)(&mut call));
            context.leave(caller);
            outcome
        }
        Function::Closure { literal, scope, .. } => {
            let inner = scope.inner();
            for (name, _) in &arguments {
                if !literal.parameters.iter().any(|parameter| parameter.name == *name) {
                    let known: Vec<&str> =
                        literal.parameters.iter().map(|parameter| &*parameter.name).collect();
                    let text =
                        format!("found unexpected argument {name}; the function takes {}", known.join(", "));
                    return Err(Error::at(span, text));
                }
            }
            let mut arguments = arguments;
            for parameter in &literal.parameters {
                let given = arguments.iter().position(|(name, _)| *name == parameter.name);
                let value = match (given, &parameter.default) {
                    (Some(given), _) => arguments.swap_remove(given).1,
                    (None, Some(default)) => evaluate(context, scope, default)?,
                    (None, None) => {
                        let text = format!("missing required argument {}", parameter.name);
                        return Err(Error::at(span, text));
                    }
                };
                inner.set(Arc::clone(&parameter.name), value);
            }
            context.within(scope.is_library(), span, |context| match &literal.body {
                FunctionBody::Expression(body) => evaluate(context, &inner, body),
                FunctionBody::Block(body) => block(context, &inner, &body.statements),
            })
        }
    }
}

/// Calls a function with what comes through the arrow, and arguments by name.
pub(crate) fn apply_to(
    context: &mut Context<'_>,
    function: &Rc<Function>,
    piped: Value,
    mut arguments: Vec<(Arc<str>, Value)>,
    span: Span,
) -> Result<Value, Error> {
    let name = function
        .piped_parameter()
        .ok_or_else(|| Error::at(span, "function does not accept a pipe argument"))?;
    arguments.push((Arc::from(name), piped));
    apply(context, function, arguments, span)
}

/// Calls a function of one row, whatever its parameter's name: `(r) => ...`.
pub(crate) fn apply_to_row(
    context: &mut Context<'_>,
    function: &Function,
    row: Record,
    span: Span,
) -> Result<Value, Error> {
    let names = function.parameter_names();
    let [name] = names.as_slice() else {
        let text = format!("the function of a row takes one argument, this one {}", names.len());
        return Err(Error::at(span, text));
    };
    let name = Arc::from(*name);
    apply(context, function, vec![(name, Value::Record(row))], span)
}

/// A function of rows, called for one after the other: what does not depend on the row is seen to once.
pub(crate) struct RowFunction {
    function: Rc<Function>,
    parameter: Arc<str>,
    span: Span,
    /// The names of the last call, for the next if nothing of it is left.
    scope: RefCell<Option<Scope>>,
}

impl RowFunction {
    /// `(r) => ...`, whatever its parameter's name.
    pub(crate) fn new(function: &Rc<Function>, span: Span) -> Result<Self, Error> {
        let names = function.parameter_names();
        let [name] = names.as_slice() else {
            let text = format!("the function of a row takes one argument, this one {}", names.len());
            return Err(Error::at(span, text));
        };
        let parameter = Arc::from(*name);
        Ok(Self { function: Rc::clone(function), parameter, span, scope: RefCell::default() })
    }

    /// What it makes of a row.
    pub(crate) fn call(&self, context: &mut Context<'_>, row: Record) -> Result<Value, Error> {
        let name = Arc::clone(&self.parameter);
        let Function::Closure { literal, scope, .. } = &*self.function else {
            return apply(context, &self.function, vec![(name, Value::Record(row))], self.span);
        };
        context.check()?;
        let inner = self.scope.take().unwrap_or_else(|| scope.inner());
        inner.set(name, Value::Record(row));
        let outcome = context.within(scope.is_library(), self.span, |context| match &literal.body {
            FunctionBody::Expression(body) => evaluate(context, &inner, body),
            FunctionBody::Block(body) => block(context, &inner, &body.statements),
        });
        if inner.is_unshared() {
            self.scope.replace(Some(inner));
        }
        outcome
    }

    /// Whether it holds; not where it is null.
    pub(crate) fn holds(&self, context: &mut Context<'_>, row: Record) -> Result<bool, Error> {
        let value = self.call(context, row)?;
        Ok(truth(&value, self.span)? == Some(true))
    }
}

/// Whether a function of a row holds; not where it is null.
pub(crate) fn holds(
    context: &mut Context<'_>,
    function: &Function,
    row: Record,
    span: Span,
) -> Result<bool, Error> {
    let value = apply_to_row(context, function, row, span)?;
    Ok(truth(&value, span)? == Some(true))
}
