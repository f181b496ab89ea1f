//! Vectors of values, and operators over whole vectors.

use std::sync::Arc;

use regex::Regex;
use skywatch_influxql::BinaryOp;
use skywatch_model::{Bitmap, Column, FieldType, FieldValue, Values};

use super::scalar::{self, Place};
use crate::OutputColumn;

/// One value, or null, per row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Vector {
    /// Null in every row.
    Null,
    /// The same in every row.
    Const(FieldValue),
    /// Values of one type.
    Column(Column),
    /// Repeating strings.
    Coded { codes: Arc<[u32]>, dictionary: Arc<[Option<Arc<str>>]> },
    /// Values of several types.
    Mixed(Vec<Option<FieldValue>>),
}

impl Vector {
    /// The value of one row.
    pub(crate) fn get(&self, row: usize) -> Option<FieldValue> {
        match self {
            Self::Null => None,
            Self::Const(value) => Some(value.clone()),
            Self::Column(column) => column.get(row),
            Self::Coded { codes, dictionary } => {
                dictionary[codes[row] as usize].clone().map(FieldValue::String)
            }
            Self::Mixed(values) => values[row].clone(),
        }
    }

    /// Whether one row is true: neither false, nor null, nor anything else.
    pub(crate) fn is_true(&self, row: usize) -> bool {
        match self {
            Self::Column(Column { values: Values::Boolean(values), valid }) => {
                values[row] && valid.as_ref().is_none_or(|valid| valid.get(row))
            }
            other => matches!(other.get(row), Some(FieldValue::Boolean(true))),
        }
    }

    /// The rows that are true.
    pub(crate) fn true_rows(&self, len: usize) -> Vec<u32> {
        match self {
            Self::Column(Column { values: Values::Boolean(values), valid: None }) => {
                let rows = values.iter().enumerate().filter(|(_, value)| **value);
                rows.map(|(row, _)| row as u32).collect()
            }
            _ => (0..len).filter(|row| self.is_true(*row)).map(|row| row as u32).collect(),
        }
    }

    /// As a column of a result of `len` rows. A float that is no number becomes null.
    pub(crate) fn into_output(self, len: usize) -> OutputColumn {
        match self.into_column(len) {
            OutputColumn::Values(column) => OutputColumn::Values(without_nan(column)),
            OutputColumn::Mixed(mut values) => {
                for value in &mut values {
                    if matches!(value, Some(FieldValue::Float(number)) if number.is_nan()) {
                        *value = None;
                    }
                }
                OutputColumn::Mixed(values)
            }
            other => other,
        }
    }

    /// As a column of `len` rows, every value as it is.
    pub(crate) fn into_column(self, len: usize) -> OutputColumn {
        match self {
            Self::Null => OutputColumn::Null(len),
            Self::Const(value) => {
                let mut out = VectorBuilder::with_capacity(len);
                (0..len).for_each(|_| out.push(Some(value.clone())));
                out.finish().into_column(len)
            }
            Self::Column(column) => OutputColumn::Values(column),
            Self::Coded { codes, dictionary } => OutputColumn::Coded { codes, dictionary },
            Self::Mixed(values) => OutputColumn::Mixed(values),
        }
    }
}

fn without_nan(mut column: Column) -> Column {
    if let Values::Float(values) = &column.values
        && values.iter().any(|value| value.is_nan())
    {
        let mut valid = column.valid.take().unwrap_or_else(|| Bitmap::filled(values.len(), true));
        for (row, _) in values.iter().enumerate().filter(|(_, value)| value.is_nan()) {
            valid.set(row, false);
        }
        column.valid = Some(valid);
    }
    column
}

/// Collects values one by one into the tightest vector.
#[derive(Debug)]
pub(crate) struct VectorBuilder {
    capacity: usize,
    leading_nulls: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Nulls,
    Typed(Column),
    Mixed(Vec<Option<FieldValue>>),
}

impl VectorBuilder {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { capacity, leading_nulls: 0, state: State::Nulls }
    }

    pub(crate) fn push(&mut self, value: Option<FieldValue>) {
        match (&mut self.state, value) {
            (State::Nulls, None) => self.leading_nulls += 1,
            (State::Nulls, Some(value)) => {
                let mut column = column_of_nulls(value.field_type(), self.leading_nulls, self.capacity);
                push_value(&mut column, value);
                self.state = State::Typed(column);
            }
            (State::Typed(column), Some(value)) if column.values.field_type() == value.field_type() => {
                push_value(column, value);
            }
            (State::Typed(column), None) => push_null(column),
            (State::Typed(column), value) => {
                let mut values: Vec<_> = (0..column.values.len()).map(|row| column.get(row)).collect();
                values.push(value);
                self.state = State::Mixed(values);
            }
            (State::Mixed(values), value) => values.push(value),
        }
    }

    pub(crate) fn finish(self) -> Vector {
        match self.state {
            State::Nulls => Vector::Null,
            State::Typed(column) => Vector::Column(column),
            State::Mixed(values) => Vector::Mixed(values),
        }
    }
}

fn column_of_nulls(field_type: FieldType, len: usize, capacity: usize) -> Column {
    let mut values = Values::empty(field_type);
    match &mut values {
        Values::Float(values) => values.reserve(capacity),
        Values::Integer(values) => values.reserve(capacity),
        Values::Unsigned(values) => values.reserve(capacity),
        Values::String(values) => values.reserve(capacity),
        Values::Boolean(values) => values.reserve(capacity),
    }
    let mut column = Column { values, valid: None };
    (0..len).for_each(|_| push_null(&mut column));
    column
}

fn push_value(column: &mut Column, value: FieldValue) {
    match (&mut column.values, value) {
        (Values::Float(values), FieldValue::Float(value)) => values.push(value),
        (Values::Integer(values), FieldValue::Integer(value)) => values.push(value),
        (Values::Unsigned(values), FieldValue::Unsigned(value)) => values.push(value),
        (Values::String(values), FieldValue::String(value)) => values.push(value),
        (Values::Boolean(values), FieldValue::Boolean(value)) => values.push(value),
        (values, value) => {
            debug_assert!(false, "{:?} pushed into {:?}", value.field_type(), values.field_type());
            return;
        }
    }
    if let Some(valid) = &mut column.valid {
        valid.push(true);
    }
}

fn push_null(column: &mut Column) {
    let len = column.values.len();
    match &mut column.values {
        Values::Float(values) => values.push(0.0),
        Values::Integer(values) => values.push(0),
        Values::Unsigned(values) => values.push(0),
        Values::String(values) => values.push(Arc::from("")),
        Values::Boolean(values) => values.push(false),
    }
    column.valid.get_or_insert_with(|| Bitmap::filled(len, true)).push(false);
}

/// `left =~ regex`, or `!~` unless `wanted`, in every row.
pub(super) fn match_regex(left: &Vector, regex: &Regex, wanted: bool, len: usize) -> Vector {
    if let Vector::Coded { codes, dictionary } = left {
        let answers: Vec<bool> = dictionary
            .iter()
            .map(|text| text.as_ref().is_some_and(|text| regex.is_match(text) == wanted))
            .collect();
        return booleans(codes.iter().map(|code| answers[*code as usize]).collect());
    }
    booleans((0..len).map(|row| scalar::matches(left.get(row).as_ref(), regex, wanted)).collect())
}

const fn booleans(values: Vec<bool>) -> Vector {
    Vector::Column(Column { values: Values::Boolean(values), valid: None })
}

/// `left op right` in every row.
pub(super) fn binary(op: BinaryOp, left: &Vector, right: &Vector, len: usize, place: Place) -> Vector {
    if let Some(vector) = numeric(op, left, right, len, place).or_else(|| logical(op, left, right)) {
        return vector;
    }
    let mut out = VectorBuilder::with_capacity(len);
    for row in 0..len {
        out.push(scalar::binary(op, left.get(row).as_ref(), right.get(row).as_ref(), place));
    }
    out.finish()
}

/// One side of a numeric operation.
#[derive(Clone, Copy)]
enum Numbers<'a> {
    Floats(&'a [f64]),
    Float(f64),
    Integers(&'a [i64]),
    Integer(i64),
}

impl<'a> Numbers<'a> {
    fn of(vector: &'a Vector) -> Option<(Self, Option<&'a Bitmap>)> {
        match vector {
            Vector::Const(FieldValue::Float(value)) => Some((Self::Float(*value), None)),
            Vector::Const(FieldValue::Integer(value)) => Some((Self::Integer(*value), None)),
            Vector::Column(Column { values: Values::Float(values), valid }) => {
                Some((Self::Floats(values), valid.as_ref()))
            }
            Vector::Column(Column { values: Values::Integer(values), valid }) => {
                Some((Self::Integers(values), valid.as_ref()))
            }
            _ => None,
        }
    }

    const fn is_integral(self) -> bool {
        matches!(self, Self::Integers(_) | Self::Integer(_))
    }

    fn float(self, row: usize) -> f64 {
        match self {
            Self::Floats(values) => values[row],
            Self::Float(value) => value,
            Self::Integers(values) => values[row] as f64,
            Self::Integer(value) => value as f64,
        }
    }

    fn integer(self, row: usize) -> i64 {
        match self {
            Self::Integers(values) => values[row],
            Self::Integer(value) => value,
            Self::Floats(_) | Self::Float(_) => 0,
        }
    }
}

/// Floats and integers, in any pairing.
fn numeric(op: BinaryOp, left: &Vector, right: &Vector, len: usize, place: Place) -> Option<Vector> {
    let ((left, left_valid), (right, right_valid)) = (Numbers::of(left)?, Numbers::of(right)?);
    let integral = left.is_integral() && right.is_integral();
    let both = |row: usize| {
        left_valid.is_none_or(|valid| valid.get(row)) && right_valid.is_none_or(|valid| valid.get(row))
    };
    if op.is_comparison() && !op.is_regex() {
        let mut values = compare_all(op, left, right, len, integral)?;
        if left_valid.is_some() || right_valid.is_some() {
            values.iter_mut().enumerate().for_each(|(row, value)| *value &= both(row));
        }
        return Some(booleans(values));
    }
    let values = if integral && !(op == BinaryOp::Div && place == Place::FieldList) {
        scalar::integer_arithmetic(op, 0, 0)?;
        Values::Integer(
            (0..len)
                .map(|row| scalar::integer_arithmetic(op, left.integer(row), right.integer(row)).unwrap_or(0))
                .collect(),
        )
    } else {
        scalar::float_arithmetic(op, 0.0, 0.0)?;
        Values::Float(
            (0..len)
                .map(|row| scalar::float_arithmetic(op, left.float(row), right.float(row)).unwrap_or(0.0))
                .collect(),
        )
    };
    let valid = (left_valid.is_some() || right_valid.is_some()).then(|| {
        let mut valid = Bitmap::filled(len, false);
        (0..len).filter(|row| both(*row)).for_each(|row| valid.set(row, true));
        valid
    });
    Some(Vector::Column(Column { values, valid }))
}

fn compare_all(
    op: BinaryOp,
    left: Numbers<'_>,
    right: Numbers<'_>,
    len: usize,
    integral: bool,
) -> Option<Vec<bool>> {
    // The commonest shapes, a column against a constant, get loops without a branch per row.
    match (left, right) {
        (Numbers::Floats(values), Numbers::Float(bound)) => {
            compare_pairs(op, values.iter().map(|value| (*value, bound)))
        }
        (Numbers::Floats(values), Numbers::Integer(bound)) => {
            compare_pairs(op, values.iter().map(|value| (*value, bound as f64)))
        }
        (Numbers::Integers(values), Numbers::Float(bound)) => {
            compare_pairs(op, values.iter().map(|value| (*value as f64, bound)))
        }
        (Numbers::Integers(values), Numbers::Integer(bound)) => {
            compare_pairs(op, values.iter().map(|value| (*value, bound)))
        }
        _ if integral => compare_pairs(op, (0..len).map(|row| (left.integer(row), right.integer(row)))),
        _ => compare_pairs(op, (0..len).map(|row| (left.float(row), right.float(row)))),
    }
}

fn compare_pairs<T: PartialOrd>(op: BinaryOp, pairs: impl Iterator<Item = (T, T)>) -> Option<Vec<bool>> {
    Some(match op {
        BinaryOp::Eq => pairs.map(|(left, right)| left == right).collect(),
        BinaryOp::NotEq => pairs.map(|(left, right)| left != right).collect(),
        BinaryOp::Lt => pairs.map(|(left, right)| left < right).collect(),
        BinaryOp::LtEq => pairs.map(|(left, right)| left <= right).collect(),
        BinaryOp::Gt => pairs.map(|(left, right)| left > right).collect(),
        BinaryOp::GtEq => pairs.map(|(left, right)| left >= right).collect(),
        _ => return None,
    })
}

/// AND and OR of columns of booleans without nulls.
fn logical(op: BinaryOp, left: &Vector, right: &Vector) -> Option<Vector> {
    let (
        Vector::Column(Column { values: Values::Boolean(left), valid: None }),
        Vector::Column(Column { values: Values::Boolean(right), valid: None }),
    ) = (left, right)
    else {
        return None;
    };
    let pairs = left.iter().zip(right);
    Some(booleans(match op {
        BinaryOp::And => pairs.map(|(left, right)| *left && *right).collect(),
        BinaryOp::Or => pairs.map(|(left, right)| *left || *right).collect(),
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Option<FieldValue>> {
        prop_oneof![
            Just(None),
            (-3i64..4).prop_map(|value| Some(FieldValue::Integer(value))),
            (0u64..4).prop_map(|value| Some(FieldValue::Unsigned(value))),
            (-3i8..4).prop_map(|value| Some(FieldValue::Float(f64::from(value) / 2.0))),
            any::<bool>().prop_map(|value| Some(FieldValue::Boolean(value))),
            "[ab]".prop_map(|value| Some(FieldValue::String(value.into()))),
        ]
    }

    /// Vectors of one type with nulls, or of anything.
    fn vector() -> impl Strategy<Value = Vec<Option<FieldValue>>> {
        (value(), proptest::collection::vec(value(), 5), any::<bool>()).prop_map(|(first, rest, uniform)| {
            let wanted = first.as_ref().map(FieldValue::field_type);
            let keep =
                |value: &Option<FieldValue>| !uniform || value.as_ref().map(FieldValue::field_type) == wanted;
            rest.into_iter().map(|value| if keep(&value) { value } else { None }).collect()
        })
    }

    fn build(values: &[Option<FieldValue>]) -> Vector {
        let mut builder = VectorBuilder::with_capacity(values.len());
        values.iter().for_each(|value| builder.push(value.clone()));
        builder.finish()
    }

    proptest! {
        #[test]
        fn vectors_agree_with_scalars(left in vector(), right in vector(), op in 0usize..18) {
            use BinaryOp::*;
            let op = [Or, And, Eq, NotEq, Lt, LtEq, Gt, GtEq, Add, Sub, BitOr, BitXor, Mul, Div, Mod, BitAnd, Add, Eq][op];
            for place in [Place::FieldList, Place::Condition] {
                let got = binary(op, &build(&left), &build(&right), left.len(), place);
                let against_const = right[0].clone().map_or(Vector::Null, Vector::Const);
                let got_const = binary(op, &build(&left), &against_const, left.len(), place);
                for row in 0..left.len() {
                    let want = scalar::binary(op, left[row].as_ref(), right[row].as_ref(), place);
                    // NaN (0.5 % 0) is no equal of itself, so texts are compared.
                    prop_assert_eq!(format!("{:?}", got.get(row)), format!("{want:?}"));
                    let want = scalar::binary(op, left[row].as_ref(), right[0].as_ref(), place);
                    prop_assert_eq!(format!("{:?}", got_const.get(row)), format!("{want:?}"));
                }
            }
        }
    }
}
