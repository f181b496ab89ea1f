//! Expressions over columns: what a field list and a WHERE clause compute, once names are resolved to slots.
//!
//! A [`Frame`] holds one [`Vector`] per slot, all of one length. [`Expr::eval`] works on whole vectors; where no
//! fast path exists it falls back to [`scalar`], which alone decides what an operator means.

pub(crate) mod math;
pub(crate) mod scalar;
mod vector;

use std::{borrow::Cow, sync::Arc};

use regex::Regex;
use skywatch_influxql::BinaryOp;
use skywatch_model::FieldValue;

pub(crate) use math::MathFunction;
pub(crate) use scalar::Place;
pub(crate) use vector::{Vector, VectorBuilder};

/// An expression whose names are resolved.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    /// The vector in that slot.
    Slot(usize),
    /// One value for every row.
    Const(FieldValue),
    /// Null in every row.
    Null,
    /// Only the right operand of `=~` and `!~`.
    Regex(Arc<Regex>),
    /// Two operands.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// A mathematical function of each row.
    Math(MathFunction, Vec<Expr>),
}

/// Vectors of one length, by slot.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Number of rows.
    pub(crate) len: usize,
    /// One vector per slot.
    pub(crate) slots: Vec<Vector>,
}

impl Expr {
    /// The value in every row of the frame.
    pub(crate) fn eval<'a>(&self, frame: &'a Frame, place: Place) -> Cow<'a, Vector> {
        match self {
            Self::Slot(slot) => Cow::Borrowed(&frame.slots[*slot]),
            Self::Const(value) => Cow::Owned(Vector::Const(value.clone())),
            Self::Null | Self::Regex(_) => Cow::Owned(Vector::Null),
            Self::Binary(op, lhs, rhs) => {
                let left = lhs.eval(frame, place);
                if let Self::Regex(regex) = &**rhs {
                    return Cow::Owned(vector::match_regex(
                        &left,
                        regex,
                        *op == BinaryOp::EqRegex,
                        frame.len,
                    ));
                }
                let right = rhs.eval(frame, place);
                Cow::Owned(vector::binary(*op, &left, &right, frame.len, place))
            }
            Self::Math(function, args) => {
                let args: Vec<_> = args.iter().map(|arg| arg.eval(frame, place)).collect();
                let mut out = VectorBuilder::with_capacity(frame.len);
                let mut row_args = Vec::with_capacity(args.len());
                for row in 0..frame.len {
                    row_args.clear();
                    row_args.extend(args.iter().map(|arg| arg.get(row)));
                    out.push(function.apply(&row_args));
                }
                Cow::Owned(out.finish())
            }
        }
    }

    /// Folds what does not depend on the row.
    pub(crate) fn simplify(self, place: Place) -> Self {
        let Self::Binary(op, lhs, rhs) = self else { return self };
        let (lhs, rhs) = (lhs.simplify(place), rhs.simplify(place));
        match (op, &lhs, &rhs) {
            (BinaryOp::And, Self::Const(FieldValue::Boolean(false)), _)
            | (BinaryOp::And, _, Self::Const(FieldValue::Boolean(false))) => return Self::FALSE,
            (BinaryOp::Or, Self::Const(FieldValue::Boolean(true)), _)
            | (BinaryOp::Or, _, Self::Const(FieldValue::Boolean(true))) => return Self::TRUE,
            (BinaryOp::And, Self::Const(FieldValue::Boolean(true)), _)
            | (BinaryOp::Or, Self::Const(FieldValue::Boolean(false)), _) => return rhs,
            (BinaryOp::And, _, Self::Const(FieldValue::Boolean(true)))
            | (BinaryOp::Or, _, Self::Const(FieldValue::Boolean(false))) => return lhs,
            _ => {}
        }
        let folded = match (&lhs, &rhs) {
            (left, Self::Regex(regex)) => left.constant().map(|value| {
                Some(FieldValue::Boolean(scalar::matches(value, regex, op == BinaryOp::EqRegex)))
            }),
            (left, right) => match (left.constant(), right.constant()) {
                (Some(left), Some(right)) => Some(scalar::binary(op, left, right, place)),
                _ => None,
            },
        };
        match folded {
            Some(Some(value)) => Self::Const(value),
            Some(None) => Self::Null,
            None => Self::Binary(op, Box::new(lhs), Box::new(rhs)),
        }
    }

    /// True in every row.
    pub(crate) const TRUE: Self = Self::Const(FieldValue::Boolean(true));
    /// False in every row.
    pub(crate) const FALSE: Self = Self::Const(FieldValue::Boolean(false));

    /// The value where it is the same in every row; the inner `None` is null.
    #[expect(
        clippy::option_option,
        reason = "the outer option is whether there is a constant, the inner its null"
    )]
    fn constant(&self) -> Option<Option<&FieldValue>> {
        match self {
            Self::Const(value) => Some(Some(value)),
            Self::Null => Some(None),
            Self::Slot(_) | Self::Regex(_) | Self::Binary(..) | Self::Math(..) => None,
        }
    }

    /// Calls `visit` with every slot in use.
    pub(crate) fn visit_slots(&self, visit: &mut dyn FnMut(usize)) {
        match self {
            Self::Slot(slot) => visit(*slot),
            Self::Binary(_, lhs, rhs) => {
                lhs.visit_slots(visit);
                rhs.visit_slots(visit);
            }
            Self::Math(_, args) => args.iter().for_each(|arg| arg.visit_slots(visit)),
            Self::Const(_) | Self::Null | Self::Regex(_) => {}
        }
    }
}
