//! The condition on rows that a shard elsewhere applies for this node, so that only rows that satisfy it travel.
//!
//! It is written as words in the order in which a stack takes them: `usage > 90 AND host_is_up` as
//! `field 0, integer 90, >, field 1, AND`. Whoever reads the rows afterwards may apply the condition once more: it then
//! leaves them all. See `docs/formats/reads.md`.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use regex::Regex;
use skywatch_influxql::BinaryOp;
use skywatch_model::{FieldType, FieldValue, RowBlock};
use skywatch_storage::{
    ScanBlock, compile_regex,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

use super::block::{Layout, conform, take_rows};
use crate::expr::{Expr, Frame, MathFunction, Place, Vector};

/// Expressions that are nested more deeply are not written: who reads them works through them by recursion.
const DEPTH_MAX: usize = 100;
/// Bytes of a condition that is written, at most. A longer one stays here, with all rows coming to it.
const BYTES_MAX: usize = 64 << 10;

/// See the module's header.
#[derive(Debug)]
pub struct RowFilter {
    /// Its slots are places among `fields`.
    condition: Expr,
    /// Which of the fields asked for, and the type that it is compared in.
    fields: Vec<(usize, FieldType)>,
}

/// Those compiled so far, by their patterns.
type Regexes<'a> = HashMap<&'a str, Arc<Regex>>;

impl RowFilter {
    /// A condition over scan fields as it travels; `None` if it is too large to.
    pub(super) fn encode(condition: &Expr, layout: &Layout) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let is_written = put(&mut out, condition, layout, DEPTH_MAX);
        (is_written && out.len() <= BYTES_MAX).then_some(out)
    }

    /// Reads what has been written for a request of so many fields.
    pub fn decode(bytes: &[u8], fields: usize) -> Result<Self, Malformed> {
        Self::decode_with(bytes, fields, &mut HashMap::new())
    }

    /// As [`Self::decode`], of several conditions, which mostly differ in constants only.
    pub fn decode_all<'a>(
        all: impl IntoIterator<Item = &'a [u8]>,
        fields: usize,
    ) -> Result<Vec<Self>, Malformed> {
        let mut regexes = HashMap::new();
        all.into_iter().map(|bytes| Self::decode_with(bytes, fields, &mut regexes)).collect()
    }

    fn decode_with<'a>(bytes: &'a [u8], fields: usize, regexes: &mut Regexes<'a>) -> Result<Self, Malformed> {
        let mut filter = Self { condition: Expr::Null, fields: Vec::new() };
        let mut reader = Reader::new(bytes);
        // With the depth of each.
        let mut stack: Vec<(Expr, usize)> = Vec::new();
        while reader.remaining() > 0 {
            let word = filter.take(&mut reader, fields, regexes, &mut stack)?;
            if word.1 > DEPTH_MAX {
                return Err(Malformed("a condition that is nested too deeply"));
            }
            stack.push(word);
        }
        match (stack.pop(), stack.is_empty()) {
            (Some((condition, _)), true) => Ok(Self { condition, ..filter }),
            _ => Err(Malformed("words that are not one condition")),
        }
    }

    /// Whether statistics tell that no row of a block satisfies the condition.
    pub fn excludes(&self, block: &dyn ScanBlock) -> bool {
        super::exclude::whole(&self.condition, block, &|slot| self.fields[slot])
    }

    /// The rows that satisfy the condition.
    pub fn apply(&self, rows: RowBlock) -> RowBlock {
        let slot = |(field, wanted): &(usize, FieldType)| {
            let column = rows.columns.get(*field).cloned().flatten();
            column.and_then(|column| conform(column, *wanted)).map_or(Vector::Null, Vector::Column)
        };
        let frame = Frame { len: rows.times.len(), slots: self.fields.iter().map(slot).collect() };
        let keep = self.condition.eval(&frame, Place::Condition).true_rows(frame.len);
        take_rows(rows, &keep)
    }

    /// One word, and what it takes from the stack.
    fn take<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        fields: usize,
        regexes: &mut Regexes<'a>,
        stack: &mut Vec<(Expr, usize)>,
    ) -> Result<(Expr, usize), Malformed> {
        let mut operand = || stack.pop().ok_or(Malformed("an operator without operands"));
        let value = match reader.u8()? {
            FIELD => {
                let wanted = FieldType::numbered(reader.u8()?).ok_or(Malformed("unknown type of a field"))?;
                let field = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
                if field >= fields {
                    return Err(Malformed("a condition on a field that was not asked for"));
                }
                self.fields.push((field, wanted));
                return Ok((Expr::Slot(self.fields.len() - 1), 1));
            }
            NULL => return Ok((Expr::Null, 1)),
            REGEX => {
                let regex = match regexes.entry(reader.str()?) {
                    Entry::Occupied(known) => Arc::clone(known.get()),
                    Entry::Vacant(unknown) => {
                        let made = compile_regex(unknown.key())?;
                        Arc::clone(unknown.insert(made))
                    }
                };
                return Ok((Expr::Regex(regex), 1));
            }
            BINARY => {
                let op = operator(reader.str()?)?;
                let ((right, below), (left, beside)) = (operand()?, operand()?);
                return Ok((Expr::Binary(op, Box::new(left), Box::new(right)), 1 + below.max(beside)));
            }
            MATH => {
                let function = MathFunction::find(reader.str()?).ok_or(Malformed("an unknown function"))?;
                let (mut args, mut depth) = (Vec::new(), 0);
                for _ in 0..function.args() {
                    let (arg, below) = operand()?;
                    args.push(arg);
                    depth = depth.max(below);
                }
                args.reverse();
                return Ok((Expr::Math(function, args), 1 + depth));
            }
            FLOAT => FieldValue::Float(f64::from_bits(reader.u64()?)),
            INTEGER => FieldValue::Integer(reader.signed()?),
            UNSIGNED => FieldValue::Unsigned(reader.varint()?),
            STRING => FieldValue::String(reader.str()?.into()),
            BOOLEAN => FieldValue::Boolean(reader.u8()? != 0),
            _ => return Err(Malformed("an unknown word of a condition")),
        };
        Ok((Expr::Const(value), 1))
    }
}

// Constants have the numbers of their types.
const FLOAT: u8 = 0;
const INTEGER: u8 = 1;
const UNSIGNED: u8 = 2;
const STRING: u8 = 3;
const BOOLEAN: u8 = 4;
const NULL: u8 = 5;
const FIELD: u8 = 6;
const REGEX: u8 = 7;
const BINARY: u8 = 8;
const MATH: u8 = 9;

/// False if it is nested too deeply.
fn put(out: &mut Vec<u8>, expr: &Expr, layout: &Layout, depth_left: usize) -> bool {
    let Some(below) = depth_left.checked_sub(1) else { return false };
    match expr {
        Expr::Slot(slot) => {
            out.extend([FIELD, layout.wanted(*slot) as u8]);
            put_varint(out, layout.index[*slot] as u64);
        }
        Expr::Null => out.push(NULL),
        Expr::Regex(regex) => {
            out.push(REGEX);
            put_bytes(out, regex.as_str().as_bytes());
        }
        Expr::Const(FieldValue::Float(value)) => {
            out.push(FLOAT);
            out.extend(value.to_bits().to_le_bytes());
        }
        Expr::Const(FieldValue::Integer(value)) => {
            out.push(INTEGER);
            put_signed(out, *value);
        }
        Expr::Const(FieldValue::Unsigned(value)) => {
            out.push(UNSIGNED);
            put_varint(out, *value);
        }
        Expr::Const(FieldValue::String(value)) => {
            out.push(STRING);
            put_bytes(out, value.as_bytes());
        }
        Expr::Const(FieldValue::Boolean(value)) => out.extend([BOOLEAN, u8::from(*value)]),
        Expr::Binary(op, left, right) => {
            if !put(out, left, layout, below) || !put(out, right, layout, below) {
                return false;
            }
            out.push(BINARY);
            put_bytes(out, op.symbol().as_bytes());
        }
        Expr::Math(function, args) => {
            // Called with another number of them, a function has no value, which the other side could not tell.
            if args.len() != function.args() || !args.iter().all(|arg| put(out, arg, layout, below)) {
                return false;
            }
            out.push(MATH);
            put_bytes(out, function.name().as_bytes());
        }
    }
    true
}

fn operator(symbol: &str) -> Result<BinaryOp, Malformed> {
    BinaryOp::ALL.into_iter().find(|op| op.symbol() == symbol).ok_or(Malformed("an unknown operator"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skywatch_model::{Column, Values};

    use super::*;

    /// Two scan fields of one name, in two types, and one of another.
    fn layout() -> Layout {
        Layout::of_fields(&[("n", FieldType::Integer), ("n", FieldType::Float), ("s", FieldType::String)])
    }

    fn leaf() -> impl Strategy<Value = Expr> {
        prop_oneof![
            (0..3usize).prop_map(Expr::Slot),
            (-3i64..4).prop_map(|value| Expr::Const(FieldValue::Integer(value))),
            (0u64..4).prop_map(|value| Expr::Const(FieldValue::Unsigned(value))),
            (-6i8..7).prop_map(|value| Expr::Const(FieldValue::Float(f64::from(value) / 2.0))),
            "[ab]{0,2}".prop_map(|text| Expr::Const(FieldValue::String(text.into()))),
            any::<bool>().prop_map(|value| Expr::Const(FieldValue::Boolean(value))),
            Just(Expr::Null),
        ]
    }

    fn condition() -> impl Strategy<Value = Expr> {
        let op = || (0..BinaryOp::ALL.len()).prop_map(|index| BinaryOp::ALL[index]);
        leaf().prop_recursive(4, 24, 2, move |inner| {
            prop_oneof![
                (op(), inner.clone(), inner.clone()).prop_map(|(op, left, right)| {
                    let right = if op.is_regex() {
                        Expr::Regex(Arc::new(Regex::new("^a|b$").expect("a pattern")))
                    } else {
                        right
                    };
                    Expr::Binary(op, Box::new(left), Box::new(right))
                }),
                inner
                    .clone()
                    .prop_map(|arg| Expr::Math(MathFunction::find("abs").expect("it is there"), vec![arg])),
                (inner.clone(), inner).prop_map(|(base, power)| {
                    Expr::Math(MathFunction::find("pow").expect("it is there"), vec![base, power])
                }),
            ]
        })
    }

    fn rows() -> RowBlock {
        let texts = ["a", "b", "ab", "", "ba"].map(Arc::from).to_vec();
        RowBlock {
            times: (0..5).collect(),
            columns: vec![
                Some(Column { values: Values::Integer(vec![-2, 0, 1, 2, 3]), valid: None }),
                Some(Column { values: Values::String(texts), valid: None }),
            ],
        }
    }

    proptest! {
        /// Rows are kept elsewhere exactly where they are kept here, and keep the types they have.
        #[test]
        fn a_condition_means_the_same_where_it_arrives(condition in condition()) {
            let layout = layout();
            let here = layout.arrange(rows(), &crate::plan::Bound::Rows(Arc::new(condition.clone())));
            let sent = RowFilter::encode(&condition, &layout).expect("it is small");
            let there = RowFilter::decode(&sent, layout.request.len()).expect("it was written here").apply(rows());
            prop_assert_eq!(&there.times, &here.times);
            if here.times.is_empty() {
                return Ok(());
            }
            let again = layout.arrange(there, &crate::plan::Bound::Rows(Arc::new(condition)));
            prop_assert_eq!(again, here);
        }

        #[test]
        fn what_is_damaged_is_refused_or_means_something(bytes in proptest::collection::vec(0u8..12, 0..40)) {
            if let Ok(filter) = RowFilter::decode(&bytes, 2) {
                filter.apply(rows());
            }
        }
    }

    #[test]
    fn what_is_nested_too_deeply_stays_here_and_is_refused_there() {
        let layout = layout();
        let nested = |depth: usize| {
            (1..depth).fold(Expr::Slot(0), |inner, _| {
                Expr::Math(MathFunction::find("abs").expect("it is there"), vec![inner])
            })
        };
        let sent = RowFilter::encode(&nested(DEPTH_MAX), &layout).expect("just not too deeply");
        assert!(RowFilter::decode(&sent, 2).is_ok());
        assert!(RowFilter::encode(&nested(DEPTH_MAX + 1), &layout).is_none());
        let mut more = sent.clone();
        more.push(MATH);
        put_bytes(&mut more, b"abs");
        assert!(RowFilter::decode(&more, 2).is_err());
        assert!(RowFilter::decode(&sent, 0).is_err(), "a field that was not asked for");
        assert!(RowFilter::decode(&[], 2).is_err());
    }
}
