//! The part of a `filter` that the storage can look at itself.
//!
//! A function whose body is conditions joined by `and` is taken apart: what compares `r._measurement`, `r._field`,
//! `r._value` or a tag with something that does not depend on the row goes to the storage, the rest stays a function.

use std::{rc::Rc, sync::Arc};

use skywatch_flux::{
    self as syntax, BinaryOperator, Expression, FunctionBody, Kind as Node, LogicalOperator, Statement,
    UnaryOperator,
};

use super::{Comparison, Predicate, Subject};
use crate::{Context, Function, Value, evaluate::evaluate, scope::Scope};

/// A function of rows, taken apart.
pub(crate) struct Pushed {
    /// For the storage.
    pub(crate) predicate: Predicate,
    /// What is left, if anything.
    pub(crate) rest: Option<Rc<Function>>,
}

/// Takes `function` apart. `None`: nothing of it is for the storage.
pub(crate) fn push_down(context: &mut Context<'_>, function: &Function) -> Option<Pushed> {
    let Function::Closure { literal, scope, span } = function else { return None };
    let [parameter] = literal.parameters.as_slice() else { return None };
    let body = single_expression(&literal.body)?;
    let mut conditions = Vec::new();
    split(body, &mut conditions);
    let mut finder = Finder { context, scope, row: &parameter.name };
    let (mut predicate, mut rest): (_, Option<Expression>) = (Predicate::All, None);
    for condition in conditions {
        match finder.find(condition) {
            Some(found) => predicate = predicate.and(found),
            None => {
                rest = Some(match rest {
                    None => condition.clone(),
                    Some(left) => Expression {
                        span: condition.span,
                        kind: Node::Logical {
                            operator: LogicalOperator::And,
                            left: Box::new(left),
                            right: Box::new(condition.clone()),
                        },
                    },
                });
            }
        }
    }
    if matches!(predicate, Predicate::All) && rest.is_some() {
        return None;
    }
    let rest = rest.map(|body| {
        let literal =
            syntax::Function { parameters: literal.parameters.clone(), body: FunctionBody::Expression(body) };
        Rc::new(Function::Closure { literal: Arc::new(literal), scope: scope.clone(), span: *span })
    });
    Some(Pushed { predicate, rest })
}

fn single_expression(body: &FunctionBody) -> Option<&Expression> {
    match body {
        FunctionBody::Expression(body) => Some(body),
        FunctionBody::Block(block) => match block.statements.as_slice() {
            [Statement::Return(body)] => Some(body),
            _ => None,
        },
    }
}

fn split<'e>(body: &'e Expression, conditions: &mut Vec<&'e Expression>) {
    match &body.kind {
        Node::Parenthesis(inner) => split(inner, conditions),
        Node::Logical { operator: LogicalOperator::And, left, right } => {
            split(left, conditions);
            split(right, conditions);
        }
        _ => conditions.push(body),
    }
}

struct Finder<'f, 'q> {
    context: &'f mut Context<'q>,
    scope: &'f Scope,
    row: &'f str,
}

impl Finder<'_, '_> {
    /// The condition as the storage knows it, if it does.
    fn find(&mut self, condition: &Expression) -> Option<Predicate> {
        match &condition.kind {
            Node::Parenthesis(inner) => self.find(inner),
            Node::Logical { operator, left, right } => {
                let (left, right) = (self.find(left)?, self.find(right)?);
                Some(match operator {
                    LogicalOperator::And => left.and(right),
                    LogicalOperator::Or => left.or(right),
                })
            }
            Node::Unary { operator: UnaryOperator::Exists, operand } => {
                Some(Predicate::Compare(self.tag(operand)?, Comparison::Exists))
            }
            Node::Unary { operator: UnaryOperator::Not, operand } => match &operand.kind {
                Node::Unary { operator: UnaryOperator::Exists, operand } => {
                    Some(Predicate::Compare(self.tag(operand)?, Comparison::Missing))
                }
                _ => None,
            },
            Node::Binary { operator, left, right } => match self.subject(left) {
                Some(subject) => compare(subject, *operator, self.constant(right)?),
                None => compare(self.subject(right)?, flipped(*operator)?, self.constant(left)?),
            },
            Node::Call(call) => self.contains(call),
            _ => None,
        }
    }

    /// `contains(value: r.tag, set: [...])`, which is how Grafana's variables of several values are written.
    fn contains(&mut self, call: &syntax::Call) -> Option<Predicate> {
        let Node::Identifier(name) = &call.callee.kind else { return None };
        let Some(Value::Function(function)) = self.scope.get(name) else { return None };
        if !function.is_builtin("contains") || call.arguments.len() != 2 {
            return None;
        }
        let argument = |name: &str| call.arguments.iter().find(|argument| *argument.name == *name);
        let subject = self.subject(&argument("value")?.value)?;
        let Value::Array(set) = self.constant(&argument("set")?.value)? else { return None };
        let mut any = Vec::with_capacity(set.len());
        for value in set.iter() {
            any.push(compare(subject.clone(), BinaryOperator::Equal, value.clone())?);
        }
        (!any.is_empty()).then_some(Predicate::Or(any))
    }

    fn subject(&self, expression: &Expression) -> Option<Subject> {
        let Node::Member(member) = &expression.kind else { return None };
        match &member.record.kind {
            Node::Identifier(name) if **name == *self.row => {}
            _ => return None,
        }
        match &*member.name {
            "_measurement" => Some(Subject::Measurement),
            "_field" => Some(Subject::Field),
            "_value" => Some(Subject::Value),
            "_time" | "_start" | "_stop" => None,
            _ => Some(Subject::Tag(Arc::clone(&member.name))),
        }
    }

    fn tag(&self, expression: &Expression) -> Option<Subject> {
        self.subject(expression).filter(|subject| matches!(subject, Subject::Tag(_)))
    }

    /// What an expression stands for that does not depend on the row.
    fn constant(&mut self, expression: &Expression) -> Option<Value> {
        let simple = match &expression.kind {
            Node::Integer(_) | Node::Float(_) | Node::String(_) | Node::Regex(_) => true,
            Node::Identifier(name) => **name != *self.row,
            Node::Member(member) => {
                return self.constant(&member.record).and_then(|record| match record {
                    Value::Record(record) => record.get(&member.name),
                    _ => None,
                });
            }
            Node::Unary { operator: UnaryOperator::Minus, operand } => {
                matches!(operand.kind, Node::Integer(_) | Node::Float(_))
            }
            Node::Array(values) => {
                let found: Option<Vec<Value>> = values.iter().map(|value| self.constant(value)).collect();
                return found.map(Value::array);
            }
            Node::Parenthesis(inner) => return self.constant(inner),
            _ => false,
        };
        if simple { evaluate(self.context, self.scope, expression).ok() } else { None }
    }
}

fn compare(subject: Subject, operator: BinaryOperator, value: Value) -> Option<Predicate> {
    let comparable = match (&subject, &value) {
        (Subject::Value, Value::Float(value)) => value.is_finite(),
        (_, Value::String(_)) | (Subject::Value, Value::Int(_) | Value::Uint(_) | Value::Bool(_)) => true,
        (_, Value::Regex(_)) => matches!(operator, BinaryOperator::Matches | BinaryOperator::NotMatches),
        _ => false,
    };
    let ordered = matches!(
        operator,
        BinaryOperator::Less
            | BinaryOperator::LessEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterEqual
    );
    // The storage orders numbers only.
    if !comparable || (ordered && value.as_float().is_none()) {
        return None;
    }
    let comparison = match (operator, value) {
        (BinaryOperator::Matches, Value::Regex(regex)) => Comparison::Matches(regex),
        (BinaryOperator::NotMatches, Value::Regex(regex)) => Comparison::NotMatches(regex),
        (BinaryOperator::Equal, value) => Comparison::Equal(value),
        (BinaryOperator::NotEqual, value) => Comparison::NotEqual(value),
        (BinaryOperator::Less, value) => Comparison::Less(value),
        (BinaryOperator::LessEqual, value) => Comparison::LessEqual(value),
        (BinaryOperator::Greater, value) => Comparison::Greater(value),
        (BinaryOperator::GreaterEqual, value) => Comparison::GreaterEqual(value),
        _ => return None,
    };
    Some(Predicate::Compare(subject, comparison))
}

/// The operator with its sides exchanged.
const fn flipped(operator: BinaryOperator) -> Option<BinaryOperator> {
    Some(match operator {
        BinaryOperator::Equal => BinaryOperator::Equal,
        BinaryOperator::NotEqual => BinaryOperator::NotEqual,
        BinaryOperator::Less => BinaryOperator::Greater,
        BinaryOperator::LessEqual => BinaryOperator::GreaterEqual,
        BinaryOperator::Greater => BinaryOperator::Less,
        BinaryOperator::GreaterEqual => BinaryOperator::LessEqual,
        _ => return None,
    })
}
