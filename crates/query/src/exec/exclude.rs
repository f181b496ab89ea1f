//! Whether a condition can hold for any row of a block, as far as statistics tell.

use skywatch_influxql::BinaryOp;
use skywatch_model::{FieldType, FieldValue};
use skywatch_storage::ScanBlock;

use crate::expr::{Expr, Place, scalar};

/// Smallest and greatest value of a slot in a block; `None` where they are not known.
type Bounds<'a> = dyn Fn(usize) -> Option<(&'a FieldValue, &'a FieldValue)> + 'a;

/// Whether no row can satisfy the condition. False if that is not known.
fn never(condition: &Expr, bounds: &Bounds<'_>) -> bool {
    match condition {
        Expr::Null => true,
        Expr::Const(value) => *value != FieldValue::Boolean(true),
        Expr::Binary(BinaryOp::And, left, right) => never(left, bounds) || never(right, bounds),
        Expr::Binary(BinaryOp::Or, left, right) => never(left, bounds) && never(right, bounds),
        Expr::Binary(op, left, right) => match (&**left, &**right) {
            (Expr::Slot(slot), Expr::Const(value)) => never_compares(*op, *slot, value, bounds),
            (Expr::Const(value), Expr::Slot(slot)) => {
                mirrored(*op).is_some_and(|op| never_compares(op, *slot, value, bounds))
            }
            _ => false,
        },
        Expr::Slot(_) | Expr::Regex(_) | Expr::Math(..) => false,
    }
}

/// Whether statistics tell that no row of a block satisfies the condition, whose slots are fields of the request that are
/// compared in a type.
pub(super) fn whole(
    condition: &Expr,
    block: &dyn ScanBlock,
    field: &dyn Fn(usize) -> (usize, FieldType),
) -> bool {
    let bounds = |slot: usize| {
        let (index, wanted) = field(slot);
        let stats = block.stats(index)?;
        let ((_, min), (_, max)) = (stats.min.as_ref()?, stats.max.as_ref()?);
        (min.field_type() == wanted).then_some((min, max))
    };
    never(condition, &bounds)
}

/// `slot op value` for values between the bounds. What holds for neither bound holds for nothing between them, since
/// comparing floats and integers is monotonic.
fn never_compares(op: BinaryOp, slot: usize, value: &FieldValue, bounds: &Bounds<'_>) -> bool {
    let is_number = |value: &FieldValue| matches!(value, FieldValue::Float(_) | FieldValue::Integer(_));
    let Some((min, max)) = bounds(slot) else { return false };
    if !is_number(min) || !is_number(max) || !is_number(value) {
        return false;
    }
    let holds = |op: BinaryOp, bound: &FieldValue| {
        scalar::binary(op, Some(bound), Some(value), Place::Condition) == Some(FieldValue::Boolean(true))
    };
    match op {
        BinaryOp::Gt | BinaryOp::GtEq => !holds(op, max),
        BinaryOp::Lt | BinaryOp::LtEq => !holds(op, min),
        BinaryOp::Eq => holds(BinaryOp::Gt, min) || holds(BinaryOp::Lt, max),
        _ => false,
    }
}

/// The operator with its sides exchanged, where it is a comparison.
const fn mirrored(op: BinaryOp) -> Option<BinaryOp> {
    Some(match op {
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::GtEq => BinaryOp::LtEq,
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::LtEq => BinaryOp::GtEq,
        BinaryOp::Eq => BinaryOp::Eq,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = FieldValue> {
        prop_oneof![
            (-4i64..5).prop_map(FieldValue::Integer),
            (-8i8..9).prop_map(|value| FieldValue::Float(f64::from(value) / 2.0)),
        ]
    }

    fn condition() -> impl Strategy<Value = Expr> {
        let op = prop_oneof![
            Just(BinaryOp::Gt),
            Just(BinaryOp::GtEq),
            Just(BinaryOp::Lt),
            Just(BinaryOp::LtEq),
            Just(BinaryOp::Eq),
            Just(BinaryOp::NotEq),
            Just(BinaryOp::Add),
        ];
        let comparison = (op, number(), any::<bool>()).prop_map(|(op, value, slot_first)| {
            let (slot, value) = (Box::new(Expr::Slot(0)), Box::new(Expr::Const(value)));
            if slot_first { Expr::Binary(op, slot, value) } else { Expr::Binary(op, value, slot) }
        });
        comparison.prop_recursive(3, 8, 2, |inner| {
            (prop_oneof![Just(BinaryOp::And), Just(BinaryOp::Or)], inner.clone(), inner)
                .prop_map(|(op, left, right)| Expr::Binary(op, Box::new(left), Box::new(right)))
        })
    }

    proptest! {
        /// Nothing that a value satisfies is excluded, and nothing is where no bounds are known.
        #[test]
        fn excludes_only_what_cannot_hold(
            condition in condition(),
            values in prop_oneof![
                proptest::collection::vec((-4i64..5).prop_map(FieldValue::Integer), 1..4),
                proptest::collection::vec((-8i8..9).prop_map(|value| FieldValue::Float(f64::from(value) / 2.0)), 1..4),
            ],
        ) {
            let order = |a: &&FieldValue, b: &&FieldValue| match (a, b) {
                (FieldValue::Integer(a), FieldValue::Integer(b)) => a.cmp(b),
                (FieldValue::Float(a), FieldValue::Float(b)) => a.total_cmp(b),
                _ => std::cmp::Ordering::Equal,
            };
            let (min, max) = (values.iter().min_by(order).unwrap(), values.iter().max_by(order).unwrap());
            let excluded = never(&condition, &|_| Some((min, max)));
            let holds = |value: &FieldValue| {
                let frame = crate::expr::Frame { len: 1, slots: vec![crate::expr::Vector::Const(value.clone())] };
                condition.eval(&frame, Place::Condition).is_true(0)
            };
            if excluded {
                prop_assert!(!values.iter().any(holds));
            }
            prop_assert!(!never(&condition, &|_| None));
        }
    }
}
