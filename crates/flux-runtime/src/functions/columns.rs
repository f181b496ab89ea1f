//! Columns are chosen, named and made.

mod contents;

use std::sync::Arc;

use super::group::{Gathered, merged, split};
use crate::{
    Call, Column, Context, Error, GroupKey, KeyColumn, Kind, Table, Value,
    evaluate::{apply, truth},
    function::{Builtin, Function, optional, piped, required},
    packages::{Library, no_constants},
};

/// Columns are chosen, named and made.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin {
            name: "keep",
            parameters: &[piped("tables"), optional("columns"), optional("fn")],
            run: keep,
        },
        Builtin {
            name: "drop",
            parameters: &[piped("tables"), optional("columns"), optional("fn")],
            run: drop,
        },
        Builtin {
            name: "rename",
            parameters: &[piped("tables"), optional("columns"), optional("fn")],
            run: rename,
        },
        Builtin {
            name: "duplicate",
            parameters: &[piped("tables"), required("column"), required("as")],
            run: duplicate,
        },
        Builtin { name: "set", parameters: &[piped("tables"), required("key"), required("value")], run: set },
        Builtin {
            name: "fill",
            parameters: &[piped("tables"), optional("column"), optional("value"), optional("usePrevious")],
            run: contents::fill,
        },
        Builtin {
            name: "columns",
            parameters: &[piped("tables"), optional("column")],
            run: contents::columns,
        },
        Builtin { name: "keys", parameters: &[piped("tables"), optional("column")], run: contents::keys },
        Builtin {
            name: "keyValues",
            parameters: &[piped("tables"), optional("keyColumns")],
            run: contents::key_values,
        },
    ],
    constants: no_constants,
    text: "",
};

/// Which columns: those of a list, or those for which a function holds.
enum Choice {
    Listed(Vec<Arc<str>>),
    Where(std::rc::Rc<Function>),
}

impl Choice {
    fn of(call: &Call<'_, '_>) -> Result<Self, Error> {
        match (call.opt_strings("columns")?, call.opt_function("fn")?) {
            (Some(columns), None) => Ok(Self::Listed(columns)),
            (None, Some(function)) => Ok(Self::Where(function)),
            _ => Err(call.error("give either columns or fn")),
        }
    }

    fn takes(&self, context: &mut Context<'_>, call: At, label: &Arc<str>) -> Result<bool, Error> {
        match self {
            Self::Listed(columns) => Ok(columns.contains(label)),
            Self::Where(function) => {
                let value = of_name(context, function, call, label)?;
                Ok(truth(&value, call.0)? == Some(true))
            }
        }
    }
}

/// Where a function was called.
#[derive(Clone, Copy)]
struct At(skywatch_flux::Span);

/// What a function makes of a column's name.
fn of_name(
    context: &mut Context<'_>,
    function: &Function,
    call: At,
    label: &Arc<str>,
) -> Result<Value, Error> {
    apply(context, function, vec![(Arc::from("column"), Value::String(Arc::clone(label)))], call.0)
}

fn keep(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    choose(call, true)
}

/// As InfluxDB does it, a column that is not there is none that has to be dropped.
fn drop(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    choose(call, false)
}

fn choose(call: &mut Call<'_, '_>, kept: bool) -> Result<Value, Error> {
    let (choice, at) = (Choice::of(call)?, At(call.span));
    call.all_tables(move |context, tables| {
        let mut gathered = Gathered::default();
        for table in tables {
            let mut columns = Vec::with_capacity(table.columns().len());
            for column in table.columns() {
                if choice.takes(context, at, column.label())? == kept {
                    columns.push(column.clone());
                }
            }
            // Nothing is left of a table that loses all its columns.
            if columns.is_empty() {
                continue;
            }
            let key = table.key().filtered(|label| columns.iter().any(|column| **column.label() == *label));
            gathered.add(Table::new(key, columns));
        }
        gathered.finish(context)
    })
}

fn rename(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let at = At(call.span);
    let (names, function) = (call.opt_record("columns")?, call.opt_function("fn")?);
    let mut listed: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    for (old, new) in names.iter().flat_map(crate::Record::members) {
        match new {
            Value::String(new) => listed.push((old, new)),
            other => {
                let kind = other.kind().name();
                return Err(
                    call.error(format!("columns: the new name of \"{old}\" is a {kind}, not a string"))
                );
            }
        }
    }
    if names.is_some() == function.is_some() {
        return Err(call.error("give either columns or fn"));
    }
    call.all_tables(move |context, tables| {
        let mut renamed = Vec::with_capacity(tables.len());
        for table in tables {
            context.check()?;
            if let Some((missing, _)) = listed.iter().find(|(old, _)| table.column(old).is_none()) {
                return Err(context.error(format!("column \"{missing}\" does not exist")));
            }
            let mut labels = Vec::with_capacity(table.columns().len());
            for column in table.columns() {
                let label = column.label();
                labels.push(match &function {
                    None => new_name(&listed, label),
                    Some(function) => match of_name(context, function, at, label)? {
                        Value::String(new) => new,
                        other => {
                            let kind = other.kind().name();
                            return Err(
                                context.error(format!("fn has to return a string, but returned {kind}"))
                            );
                        }
                    },
                });
            }
            renamed.push(with_labels(context, table, &labels)?);
        }
        merged(context, renamed)
    })
}

fn new_name(listed: &[(Arc<str>, Arc<str>)], label: &Arc<str>) -> Arc<str> {
    let found = listed.iter().find(|(old, _)| old == label);
    Arc::clone(found.map_or(label, |(_, new)| new))
}

/// The table with other names of its columns, one for each.
fn with_labels(context: &Context<'_>, table: &Table, labels: &[Arc<str>]) -> Result<Table, Error> {
    let twice =
        labels.iter().enumerate().find(|(at, label)| labels.iter().take(*at).any(|one| one == *label));
    if let Some((_, twice)) = twice {
        return Err(context.error(format!("two columns would have the name \"{twice}\"")));
    }
    let columns: Vec<Column> =
        table.columns().iter().zip(labels).map(|(column, label)| column.renamed(Arc::clone(label))).collect();
    let members = table.key().members().iter().map(|member| {
        let at = table.columns().iter().position(|column| *column.label() == member.label);
        let label = at.and_then(|at| labels.get(at)).unwrap_or(&member.label);
        KeyColumn { label: Arc::clone(label), ..member.clone() }
    });
    Ok(Table::new(GroupKey::new(members.collect()), columns))
}

fn duplicate(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (from, to) = (call.string("column")?, call.string("as")?);
    call.all_tables(move |context, tables| {
        let mut made = Vec::with_capacity(tables.len());
        for table in tables {
            let Some(column) = table.column(&from) else {
                return Err(context.error(format!("column \"{from}\" does not exist")));
            };
            if from == to {
                made.push(table.clone());
                continue;
            }
            // The copy is no part of the key, whatever stood there before.
            let key = table.key().filtered(|label| *label != *to);
            made.push(table.clone().with_column(column.renamed(Arc::clone(&to))).with_key(key));
        }
        merged(context, made)
    })
}

fn set(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (label, value) = (call.string("key")?, call.string("value")?);
    call.all_tables(move |context, tables| {
        let set = tables.iter().map(|table| {
            let value = Value::String(Arc::clone(&value));
            let column = Column::repeat(Arc::clone(&label), Kind::String, value.clone(), table.rows());
            let key = table.key().clone();
            let key = if key.has(&label) { key.with(Arc::clone(&label), Kind::String, value) } else { key };
            table.clone().with_column(column).with_key(key)
        });
        merged(context, set.collect::<Vec<Table>>())
    })
}

/// Puts changed columns into a table; if they are of the key, several tables may come out.
pub(super) fn replaced(
    context: &mut Context<'_>,
    table: &Table,
    columns: Vec<Column>,
    gathered: &mut Gathered,
) -> Result<(), Error> {
    let of_key = columns.iter().any(|column| table.key().has(column.label()));
    let changed = columns.into_iter().fold(table.clone(), Table::with_column);
    if of_key {
        split(context, &changed, |label| table.key().has(label), |part| gathered.add(part))
    } else {
        gathered.add(changed);
        Ok(())
    }
}
