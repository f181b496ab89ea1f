//! Tables of equal keys become one, with the columns of all of them.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Column, Context, Error, GroupKey, Kind, Table, Tables, column::Part};

/// Tables in the order they came, those of one key together.
#[derive(Debug, Default)]
pub(in crate::functions) struct Gathered {
    groups: Vec<Vec<Table>>,
    index: BTreeMap<GroupKey, usize>,
}

impl Gathered {
    /// One more.
    pub(in crate::functions) fn add(&mut self, table: Table) {
        // Neighbours often have one key.
        if let Some(last) = self.groups.last_mut()
            && last.last().is_some_and(|known| known.key() == table.key())
        {
            last.push(table);
            return;
        }
        let next = self.groups.len();
        let at = *self.index.entry(table.key().clone()).or_insert(next);
        match self.groups.get_mut(at) {
            Some(group) => group.push(table),
            None => self.groups.push(vec![table]),
        }
    }

    /// Those of each key, by key.
    pub(in crate::functions) fn into_groups(mut self) -> impl Iterator<Item = Vec<Table>> {
        let index = std::mem::take(&mut self.index);
        index.into_values().map(move |at| self.groups.get_mut(at).map(std::mem::take).unwrap_or_default())
    }

    /// One table of each key, by key.
    pub(in crate::functions) fn finish(self, context: &mut Context<'_>) -> Result<Tables, Error> {
        let mut made = Tables::with_capacity(self.groups.len());
        for group in self.into_groups() {
            context.check()?;
            made.push(one(context, group)?);
        }
        Ok(made)
    }
}

/// One table of each key, by key; rows in the order of the tables.
pub(in crate::functions) fn merged(
    context: &mut Context<'_>,
    tables: impl IntoIterator<Item = Table>,
) -> Result<Tables, Error> {
    let mut gathered = Gathered::default();
    for table in tables {
        gathered.add(table);
    }
    gathered.finish(context)
}

/// One table of several with one key. Columns that one of them lacks have no values there.
fn one(context: &Context<'_>, mut tables: Vec<Table>) -> Result<Table, Error> {
    if tables.len() > 1 && tables.iter().any(|table| !table.is_empty()) {
        // Those without rows may know nothing of the types of their columns.
        tables.retain(|table| !table.is_empty());
    }
    let Some(first) = tables.first().filter(|_| tables.len() > 1) else {
        return Ok(tables.pop().unwrap_or_else(|| Table::new(GroupKey::default(), Vec::new())));
    };
    let _room = context.hold(tables.iter().map(Table::size_bytes).sum())?;
    let columns = schema(context, &tables)?.into_iter().map(|(label, kind)| {
        let parts: Vec<Part<'_>> = tables
            .iter()
            .map(|table| match table.column(&label) {
                Some(column) if column.kind() == kind => Part::Cells(column),
                _ => Part::Missing(table.rows()),
            })
            .collect();
        Column::concat(label, kind, &parts)
    });
    Ok(Table::new(first.key().clone(), columns.collect()))
}

/// Names and types of the columns of all tables, in the order in which they come first.
fn schema(context: &Context<'_>, tables: &[Table]) -> Result<Vec<(Arc<str>, Kind)>, Error> {
    struct Known {
        label: Arc<str>,
        kind: Kind,
        /// No table had a value in it, so that its type is not certain.
        is_open: bool,
    }
    let mut schema: Vec<Known> = Vec::new();
    for table in tables {
        for (at, column) in table.columns().iter().enumerate() {
            let (kind, is_open) = (column.kind(), column.has_no_values());
            let label = column.label();
            // Tables mostly have their columns in one order.
            let known = match schema.get(at) {
                Some(known) if known.label == *label => Some(at),
                _ => schema.iter().position(|known| known.label == *label),
            };
            match known.and_then(|at| schema.get_mut(at)) {
                None => schema.push(Known { label: Arc::clone(label), kind, is_open }),
                Some(known) if known.kind == kind => known.is_open &= is_open,
                Some(_) if is_open => {}
                Some(known) if known.is_open => (known.kind, known.is_open) = (kind, false),
                Some(known) => {
                    let (one, other) = (known.kind.name(), kind.name());
                    return Err(context.error(format!(
                        "schema collision detected: column \"{label}\" is both of type {one} and {other}"
                    )));
                }
            }
        }
    }
    Ok(schema.into_iter().map(|known| (known.label, known.kind)).collect())
}
