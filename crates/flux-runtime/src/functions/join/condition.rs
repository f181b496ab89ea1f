//! `(l, r) => l.a == r.b and l.c == r.d`: which columns have to be equal.

use std::sync::Arc;

use skywatch_flux::{BinaryOperator, Expression, FunctionBody, Kind as Node, LogicalOperator, Statement};

use crate::{Call, Error, Function};

/// Columns of the left stream, and those of the right one that have to equal them.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) left: Vec<Arc<str>>,
    pub(super) right: Vec<Arc<str>>,
}

impl Condition {
    /// Takes the argument `on` apart.
    pub(super) fn of(call: &Call<'_, '_>) -> Result<Self, Error> {
        let function = call.function("on")?;
        let mut condition = Self::default();
        let understood = match &*function {
            Function::Builtin(_) => None,
            Function::Closure { literal, .. } => {
                let names: Vec<&str> = literal.parameters.iter().map(|parameter| &*parameter.name).collect();
                let body = match &literal.body {
                    FunctionBody::Expression(body) => Some(body),
                    FunctionBody::Block(block) => match block.statements.as_slice() {
                        [Statement::Return(body)] => Some(body),
                        _ => None,
                    },
                };
                let is_pair = names.len() == 2 && names.contains(&"l") && names.contains(&"r");
                body.filter(|_| is_pair).and_then(|body| condition.add(body))
            }
        };
        understood.ok_or_else(|| {
            call.error(
                "on has to be a function (l, r) => of one or more comparisons of a column of l with one of r by ==, \
                 joined by and",
            )
        })?;
        Ok(condition)
    }

    fn add(&mut self, body: &Expression) -> Option<()> {
        match &body.kind {
            Node::Parenthesis(inner) => self.add(inner),
            Node::Logical { operator: LogicalOperator::And, left, right } => {
                self.add(left)?;
                self.add(right)
            }
            Node::Binary { operator: BinaryOperator::Equal, left, right } => {
                let (left, right) = (column(left)?, column(right)?);
                let (left, right) = match (left.0, right.0) {
                    ("l", "r") => (left.1, right.1),
                    ("r", "l") => (right.1, left.1),
                    _ => return None,
                };
                self.left.push(Arc::clone(left));
                self.right.push(Arc::clone(right));
                Some(())
            }
            _ => None,
        }
    }
}

/// `l.a`: whose, and which.
fn column(expression: &Expression) -> Option<(&str, &Arc<str>)> {
    match &expression.kind {
        Node::Parenthesis(inner) => column(inner),
        Node::Member(member) => match &member.record.kind {
            Node::Identifier(name) => Some((&**name, &member.name)),
            _ => None,
        },
        _ => None,
    }
}
