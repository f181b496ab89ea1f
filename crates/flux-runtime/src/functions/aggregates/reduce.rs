//! A function of the text makes one record of all rows.

use std::sync::Arc;

use skywatch_flux::Span;

use crate::{
    Call, Column, Context, Error, Function, GroupKey, Kind, Record, Table, Tables, Value, evaluate::apply,
};

pub(super) fn reduce(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let function = call.function("fn")?;
    let identity = call.record("identity")?;
    let span = call.span;
    let mut parameters = function.parameter_names();
    parameters.sort_unstable();
    if parameters != ["accumulator", "r"] {
        let text = format!("fn has to take r and accumulator, but takes {}", parameters.join(", "));
        return Err(call.error(text));
    }
    for (name, value) in identity.members() {
        if !fits_cell(value.kind()) {
            let kind = value.kind().name();
            return Err(call.error(format!("member {name} of identity is a {kind}, which no column holds")));
        }
    }
    call.all_tables(move |context, tables| {
        let mut made = Tables::with_capacity(tables.len());
        for table in tables {
            context.check()?;
            let members = reduced(context, &function, &identity, table, span)?;
            made.push(with_key_of(table, &members));
        }
        let mut keys: Vec<&GroupKey> = made.iter().map(Table::key).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| matches!(pair, [left, right] if left == right)) {
            let text = "two tables come to the same group key, since the record overwrites a column of it; \
                        leave the column out of the record or group() by others first";
            return Err(context.error(text));
        }
        Ok(made)
    })
}

/// Name, type and value of each member of the record that the last row leaves, by name.
fn reduced(
    context: &mut Context<'_>,
    function: &Function,
    identity: &Record,
    table: &Table,
    span: Span,
) -> Result<Vec<(Arc<str>, Kind, Value)>, Error> {
    let (accumulator_name, row_name): (Arc<str>, Arc<str>) = ("accumulator".into(), "r".into());
    let mut accumulator = Value::Record(identity.clone());
    for row in table.records() {
        let arguments =
            vec![(Arc::clone(&accumulator_name), accumulator), (Arc::clone(&row_name), Value::Record(row))];
        accumulator = apply(context, function, arguments, span)?;
        if !matches!(accumulator, Value::Record(_)) {
            let text = format!("fn has to return a record, but returned a {}", accumulator.kind().name());
            return Err(context.error(text));
        }
        // What holds the one before would grow row by row.
        if let Value::Record(record) = &accumulator
            && let Some((name, value)) = record.members().iter().find(|(_, value)| !fits_cell(value.kind()))
        {
            let text = format!("fn returns {name} of type {}, which no column holds", value.kind().name());
            return Err(context.error(text));
        }
    }
    let Value::Record(last) = accumulator else { return Ok(Vec::new()) };
    let mut members = last.members();
    members.sort_by(|left, right| left.0.cmp(&right.0));
    let missing =
        identity.members().into_iter().find(|(name, _)| !members.iter().any(|(known, _)| known == name));
    if let Some((name, _)) = missing {
        return Err(
            context.error(format!("the record that fn returns is missing label {name}, which identity has"))
        );
    }
    let mut typed = Vec::with_capacity(members.len());
    for (name, value) in members {
        let Some(initial) = identity.get(&name) else {
            let text = format!("the record that fn returns has label {name}, which identity lacks");
            return Err(context.error(text));
        };
        let kind = match (initial.kind(), value.kind()) {
            (Kind::Null, Kind::Null) => Kind::String,
            (kind, Kind::Null) => kind,
            (Kind::Null, kind) if fits_cell(kind) => kind,
            (wanted, got) if wanted == got => wanted,
            (wanted, got) => {
                let (wanted, got) = (wanted.name(), got.name());
                let text = format!("fn returns {name} of type {got}, but in identity it is of type {wanted}");
                return Err(context.error(text));
            }
        };
        typed.push((name, kind, value));
    }
    Ok(typed)
}

/// A row of the key, which the members overwrite, and of the members.
fn with_key_of(table: &Table, members: &[(Arc<str>, Kind, Value)]) -> Table {
    let mut key = table.key().clone();
    for (name, kind, value) in members.iter().filter(|(name, ..)| table.key().has(name)) {
        key = key.with(Arc::clone(name), *kind, value.clone());
    }
    let mut columns = key.columns(1);
    for (name, kind, value) in members.iter().filter(|(name, ..)| !table.key().has(name)) {
        columns.push(Column::repeat(Arc::clone(name), *kind, value.clone(), 1));
    }
    Table::new(key, columns)
}

/// Whether a column may hold values of a type.
const fn fits_cell(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Null
            | Kind::Bool
            | Kind::Int
            | Kind::Uint
            | Kind::Float
            | Kind::String
            | Kind::Bytes
            | Kind::Time
            | Kind::Duration
    )
}
