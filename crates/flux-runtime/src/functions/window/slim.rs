//! `aggregateWindow` with a function that looks at one column only: windows are tables of that column alone, and what
//! they were cut from is told of the result afterwards. Windows are many, and each column of each costs.

use std::{cell::RefCell, sync::Arc};

use super::aggregate::Told;
use crate::{Column, Function, GroupKey, KeyColumn, Kind, Table, Value, Values, column::Cells, column::Part};

/// A column that no stream has, with the number of the table that a window is of.
const TABLE: &str = "\0table";

/// Functions that make a value of the values of a column.
const AGGREGATES: [&str; 6] = ["count", "sum", "mean", "median", "spread", "stddev"];

/// Functions that choose a row by the values of a column.
const SELECTORS: [&str; 4] = ["first", "last", "max", "min"];

/// The tables whose windows are tables of one column.
pub(super) struct Slim {
    selects: bool,
    keys: RefCell<Vec<GroupKey>>,
}

impl Slim {
    /// `None`: the function may look at more.
    pub(super) fn of(function: &Function, told: &Told) -> Option<Self> {
        let known = |names: &[&str]| names.iter().any(|name| function.is_builtin(name));
        let bounds = ["_start", "_stop"];
        let fits = bounds.contains(&&*told.source)
            && !bounds.contains(&&*told.time)
            && !bounds.contains(&&*told.column)
            && told.time != told.column;
        let selects = known(&SELECTORS);
        (fits && (selects || known(&AGGREGATES))).then(|| Self { selects, keys: RefCell::default() })
    }

    /// What is to be cut into windows in the place of a table, if the rest of it can be told afterwards.
    pub(super) fn of_table(&self, table: &Table, told: &Told) -> Option<Table> {
        let column = table.column(&told.column)?;
        let needed = |label: &str| {
            table.key().has(label) || *label == *told.column || ["_start", "_stop", "_time"].contains(&label)
        };
        // A row that is chosen keeps all its columns.
        let is_told = !self.selects || table.columns().iter().all(|column| needed(column.label()));
        let clashes = [&told.column, &told.time].iter().any(|label| table.key().has(label));
        if !is_told || clashes {
            return None;
        }
        let mut keys = self.keys.borrow_mut();
        let number = Value::Int(i64::try_from(keys.len()).ok()?);
        keys.push(table.key().clone());
        let label: Arc<str> = TABLE.into();
        let numbers = Column::repeat(Arc::clone(&label), Kind::Int, number.clone(), table.rows());
        let key = GroupKey::new(vec![KeyColumn { label, kind: Kind::Int, value: number }]);
        Some(Table::new(key, vec![numbers, column.clone()]))
    }

    /// The number of the table that a window is of.
    pub(super) fn number(table: &Table) -> Option<i64> {
        match table.key().get(TABLE) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// One table of the windows of one.
    pub(super) fn whole(&self, windows: &[Table], told: &Told, range: Option<(i64, i64)>) -> Option<Table> {
        let number = usize::try_from(Self::number(windows.first()?)?).ok()?;
        let keys = self.keys.borrow();
        let (start, stop) = range?;
        let key = keys.get(number)?.clone();
        let key = key.with("_start".into(), Kind::Time, Value::Time(start));
        let key = key.with("_stop".into(), Kind::Time, Value::Time(stop));
        let mut times = Vec::with_capacity(windows.len());
        let mut parts = Vec::with_capacity(windows.len());
        for window in windows {
            let Some(Value::Time(time)) = window.key().get(&told.source) else { return None };
            times.extend(std::iter::repeat_n(*time, window.rows()));
            parts.push(Part::Cells(window.column(&told.column)?));
        }
        let kind = windows.first()?.kind_of(&told.column)?;
        let mut columns = key.columns(times.len());
        let is_bound = |column: &Column| matches!(&**column.label(), "_start" | "_stop");
        columns.sort_by_key(|column| match &**column.label() {
            "_start" => 0,
            "_stop" => 1,
            _ => 2,
        });
        let at = columns.iter().filter(|column| is_bound(column)).count();
        let time = Column::new(Arc::clone(&told.time), Values::Time(Cells::all(times)));
        columns.insert(at, Column::concat(Arc::clone(&told.column), kind, &parts));
        columns.insert(at, time);
        Some(Table::new(key, columns))
    }
}
