//! Package join: rows of two streams, table by table of one key.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

use super::{columns_of, condition::Condition, default_row, kind_in};
use crate::{
    Call, Context, Error, Function, GroupKey, Record, Stream, Table, Tables, Value,
    evaluate::apply,
    functions::{group::split, map::Rows},
    value::Ordered,
};

/// Which rows without a match are kept.
#[derive(Clone, Copy)]
struct Method {
    left: bool,
    right: bool,
}

/// What makes a row of two.
struct Maker {
    function: Rc<Function>,
    names: [Arc<str>; 2],
    span: skywatch_flux::Span,
}

impl Maker {
    fn call(&self, context: &mut Context<'_>, left: Record, right: Record) -> Result<Value, Error> {
        let [l, r] = &self.names;
        let arguments = vec![(Arc::clone(l), Value::Record(left)), (Arc::clone(r), Value::Record(right))];
        apply(context, &self.function, arguments, self.span)
    }
}

impl Method {
    const INNER: Self = Self { left: false, right: false };
    const LEFT: Self = Self { left: true, right: false };
    const RIGHT: Self = Self { left: false, right: true };
    const FULL: Self = Self { left: true, right: true };

    fn of(call: &Call<'_, '_>) -> Result<Self, Error> {
        match &*call.string_or("method", "inner")? {
            "inner" => Ok(Self::INNER),
            "left" => Ok(Self::LEFT),
            "right" => Ok(Self::RIGHT),
            "full" => Ok(Self::FULL),
            other => {
                Err(call
                    .error(format!("method is \"inner\", \"left\", \"right\" or \"full\", not \"{other}\"")))
            }
        }
    }
}

/// `join.tables`
pub(super) fn tables(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let method = Method::of(call)?;
    let condition = Condition::of(call)?;
    joined(call, method, condition)
}

/// `join.time`
pub(super) fn time(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let method = Method::of(call)?;
    let time = || vec![Arc::from("_time")];
    joined(call, method, Condition { left: time(), right: time() })
}

/// `join.inner`
pub(super) fn inner(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let condition = Condition::of(call)?;
    joined(call, Method::INNER, condition)
}

/// `join.left`
pub(super) fn left(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let condition = Condition::of(call)?;
    joined(call, Method::LEFT, condition)
}

/// `join.right`
pub(super) fn right(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let condition = Condition::of(call)?;
    joined(call, Method::RIGHT, condition)
}

/// `join.full`
pub(super) fn full(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let condition = Condition::of(call)?;
    joined(call, Method::FULL, condition)
}

fn joined(call: &Call<'_, '_>, method: Method, condition: Condition) -> Result<Value, Error> {
    let maker = Maker { function: call.function("as")?, names: ["l".into(), "r".into()], span: call.span };
    let inputs = vec![call.stream("left")?, call.stream("right")?];
    Ok(Value::Stream(Stream::step(call.name, call.span, inputs, move |context, inputs| {
        let [left, right] = inputs.as_slice() else { return Ok(Tables::new()) };
        let by_key = |tables: &Tables| -> BTreeMap<GroupKey, Table> {
            tables.iter().map(|table| (table.key().clone(), table.clone())).collect()
        };
        let (lefts, rights) = (by_key(left), by_key(right));
        let keys: BTreeSet<&GroupKey> = lefts.keys().chain(rights.keys()).collect();
        let mut made = Tables::new();
        for key in keys {
            context.check()?;
            let sides = [
                Side::new(context, lefts.get(key), left, key, &condition.left)?,
                Side::new(context, rights.get(key), right, key, &condition.right)?,
            ];
            let mut rows = Rows::default();
            join(context, &sides, method, &maker, &mut rows)?;
            if rows.rows() > 0 {
                let columns = rows.finish(|label| kind_in(left, label).or_else(|| kind_in(right, label)));
                made.push(keyed(context, key, columns)?);
            }
        }
        Ok(made)
    })))
}

/// A stream's part of a join.
struct Side {
    /// The table of a key, if the stream has it.
    table: Option<Rc<Table>>,
    /// Stands for a row that there is not.
    default: Rc<Table>,
    /// Rows by the values that are compared.
    rows: BTreeMap<Vec<Ordered>, Vec<usize>>,
}

impl Side {
    fn new(
        context: &mut Context<'_>,
        table: Option<&Table>,
        all: &[Table],
        key: &GroupKey,
        labels: &[Arc<str>],
    ) -> Result<Self, Error> {
        let mut rows: BTreeMap<Vec<Ordered>, Vec<usize>> = BTreeMap::new();
        if let Some(table) = table {
            let columns = columns_of(context, table, labels)?;
            for row in 0..table.rows() {
                context.check()?;
                let values = columns.iter().map(|column| Ordered(column.get(row)));
                rows.entry(values.collect()).or_default().push(row);
            }
        }
        let default = Rc::new(default_row(table.or(all.first()), key));
        Ok(Self { table: table.cloned().map(Rc::new), default, rows })
    }

    /// The rows with these values, and whether there are any.
    fn rows(&self, values: &[Ordered]) -> &[usize] {
        self.rows.get(values).map_or(&[], Vec::as_slice)
    }

    fn record(&self, row: Option<usize>) -> Record {
        match (&self.table, row) {
            (Some(table), Some(row)) => Record::Row { table: Rc::clone(table), row },
            _ => Record::Row { table: Rc::clone(&self.default), row: 0 },
        }
    }
}

/// Rows are made in the order of the values that are compared.
fn join(
    context: &mut Context<'_>,
    [left, right]: &[Side; 2],
    method: Method,
    maker: &Maker,
    rows: &mut Rows,
) -> Result<(), Error> {
    let all: BTreeSet<&Vec<Ordered>> = left.rows.keys().chain(right.rows.keys()).collect();
    for values in all {
        let (lefts, rights) = (left.rows(values), right.rows(values));
        // What is not there equals nothing.
        let equals = !values.iter().any(|value| value.0.is_null());
        if equals && !lefts.is_empty() && !rights.is_empty() {
            for &l in lefts {
                for &r in rights {
                    let row = maker.call(context, left.record(Some(l)), right.record(Some(r)))?;
                    rows.push(context, row)?;
                }
            }
            continue;
        }
        for &l in lefts.iter().filter(|_| method.left) {
            let row = maker.call(context, left.record(Some(l)), right.record(None))?;
            rows.push(context, row)?;
        }
        for &r in rights.iter().filter(|_| method.right) {
            let row = maker.call(context, left.record(None), right.record(Some(r)))?;
            rows.push(context, row)?;
        }
    }
    Ok(())
}

/// The rows as a table of that key, whose columns they have to have kept.
fn keyed(context: &mut Context<'_>, key: &GroupKey, columns: Vec<crate::Column>) -> Result<Table, Error> {
    let made = Table::new(GroupKey::default(), columns);
    let mut parts = Tables::new();
    split(context, &made, |label| key.has(label), |part| parts.push(part))?;
    match parts.pop() {
        Some(part) if parts.is_empty() && part.key() == key => Ok(part),
        _ => {
            let labels: Vec<&str> = key.members().iter().map(|member| &*member.label).collect();
            Err(context.error(format!(
                "as has to keep the columns of the group key and their values: {}",
                labels.join(", ")
            )))
        }
    }
}
