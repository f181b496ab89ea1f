//! Where tables come from, which time and which rows of them are wanted, and under which name they are told.

use std::{rc::Rc, sync::Arc};

use crate::{
    Bucket, Call, Column, Context, Error, Function, GroupKey, Kind, Stream, Table, Tables, Value,
    evaluate::RowFunction,
    function::{Builtin, optional, piped, required},
    packages::Library,
    read::{Pushed, Read, column_of, push_down},
};

/// Where tables come from.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin {
            name: "from",
            parameters: &[
                optional("bucket"),
                optional("bucketID"),
                optional("host"),
                optional("org"),
                optional("orgID"),
                optional("token"),
            ],
            run: from,
        },
        Builtin {
            name: "range",
            parameters: &[
                piped("tables"),
                required("start"),
                optional("stop"),
                optional("timeColumn"),
                optional("startColumn"),
                optional("stopColumn"),
            ],
            run: range,
        },
        Builtin {
            name: "filter",
            parameters: &[piped("tables"), required("fn"), optional("onEmpty")],
            run: filter,
        },
        Builtin { name: "yield", parameters: &[piped("tables"), optional("name")], run: yield_result },
        Builtin {
            name: "buckets",
            parameters: &[optional("host"), optional("org"), optional("orgID"), optional("token")],
            run: buckets,
        },
        Builtin { name: "now", parameters: &[], run: now },
    ],
    constants: || vec![("true", Value::Bool(true)), ("false", Value::Bool(false))],
    text: "",
};

fn from(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    for elsewhere in ["host", "token"] {
        if call.get(elsewhere).is_some() {
            return Err(call.error(format!("{elsewhere}: only this server's own buckets can be read")));
        }
    }
    let bucket = call.opt_string("bucket")?.or(call.opt_string("bucketID")?);
    let bucket = bucket.ok_or_else(|| call.error("missing required keyword argument \"bucket\""))?;
    Ok(Value::Stream(Stream::read(Read::new(call.span, bucket))))
}

fn range(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let start =
        call.opt_time("start")?.ok_or_else(|| call.error("missing required keyword argument \"start\""))?;
    let stop = call.opt_time("stop")?.unwrap_or_else(|| call.context.now_ns());
    let labels = ["timeColumn", "startColumn", "stopColumn"];
    let usual = labels.iter().all(|label| call.get(label).is_none());
    let stream = call.stream("tables")?;
    if let Some(read) = stream.as_read().filter(|read| usual && read.range.is_none()) {
        if start >= stop {
            return Err(call.error("cannot query an empty range"));
        }
        if let Some(read) = read.within(start, stop) {
            return Ok(Value::Stream(Stream::read(read)));
        }
    }
    let time = call.string_or("timeColumn", "_time")?;
    let (start_label, stop_label) =
        (call.string_or("startColumn", "_start")?, call.string_or("stopColumn", "_stop")?);
    let (first, last) = stream.range().unwrap_or((i64::MIN, i64::MAX));
    let made = call.each_table(move |context, table, made| {
        let times = time_column(context, table, &time)?;
        let rows: Vec<usize> = (0..table.rows())
            .filter(|&row| matches!(times.get(row), Value::Time(time) if start <= time && time < stop))
            .collect();
        let mut kept = table.take(&rows);
        for (label, bound) in [(&start_label, start), (&stop_label, stop)] {
            // Bounds that were there are only narrowed.
            let bound = match table.key().get(label) {
                Some(Value::Time(known)) if *label == start_label => bound.max(*known),
                Some(Value::Time(known)) => bound.min(*known),
                _ => bound,
            };
            let key = kept.key().clone().with(Arc::clone(label), Kind::Time, Value::Time(bound));
            let column = Column::repeat(Arc::clone(label), Kind::Time, Value::Time(bound), rows.len());
            kept = kept.with_column(column).with_key(key);
        }
        made.push(kept);
        Ok(())
    })?;
    Ok(match made {
        Value::Stream(made) => Value::Stream(made.with_range(Some((start.max(first), stop.min(last))))),
        other => other,
    })
}

/// A column of times of a table that has to have it.
pub(super) fn time_column(context: &Context<'_>, table: &Table, label: &str) -> Result<Column, Error> {
    match table.column(label) {
        Some(column) if column.kind() == Kind::Time => Ok(column.clone()),
        Some(column) => {
            let text = format!("column \"{label}\" is not of type time, but {}", column.kind().name());
            Err(context.error(text))
        }
        None => Err(context.error(format!("column \"{label}\" does not exist"))),
    }
}

fn filter(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let function = call.function("fn")?;
    let keeps_empty = match &*call.string_or("onEmpty", "drop")? {
        "drop" => false,
        "keep" => true,
        other => return Err(call.error(format!("onEmpty is \"keep\" or \"drop\", not \"{other}\""))),
    };
    let stream = call.stream("tables")?;
    if let (Some(read), false) = (stream.as_read(), keeps_empty)
        && let Some(Pushed { predicate, rest }) = push_down(call.context, &function)
        && let Some(read) = read.filtered(predicate)
    {
        let pushed = Stream::read(read);
        return Ok(Value::Stream(match rest {
            None => pushed,
            Some(rest) => filtered(call, pushed, &rest, keeps_empty)?,
        }));
    }
    Ok(Value::Stream(filtered(call, stream, &function, keeps_empty)?))
}

/// Row by row.
fn filtered(
    call: &Call<'_, '_>,
    input: Stream,
    function: &Rc<Function>,
    keeps_empty: bool,
) -> Result<Stream, Error> {
    let function = RowFunction::new(function, call.span)?;
    Ok(Stream::step(call.name, call.span, vec![input], move |context, inputs| {
        let mut made = Tables::new();
        for table in inputs.iter().flat_map(|tables| tables.iter()) {
            let mut rows = Vec::new();
            for (row, record) in table.records().enumerate() {
                if function.holds(context, record)? {
                    rows.push(row);
                }
            }
            if rows.len() == table.rows() {
                made.push(table.clone());
            } else if keeps_empty || !rows.is_empty() {
                made.push(table.take(&rows));
            }
        }
        Ok(made)
    }))
}

fn yield_result(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let name = call.string_or("name", "_result")?;
    let input = call.stream("tables")?;
    // A stream of its own, so that the one before it may be told under another name too.
    let stream = Stream::step(call.name, call.span, vec![input], |_, inputs| {
        Ok(inputs.first().map(|tables| tables.as_ref().clone()).unwrap_or_default())
    });
    call.context.name_result(name, stream.clone(), call.span)?;
    Ok(Value::Stream(stream))
}

fn buckets(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let found: Vec<Bucket> = call.context.storage().buckets()?;
    let texts = |text: fn(&Bucket) -> Value| found.iter().map(text).collect::<Vec<Value>>();
    let columns = vec![
        column_of("name", Kind::String, texts(|bucket| Value::String(Arc::clone(&bucket.name)))),
        column_of("id", Kind::String, texts(|bucket| Value::String(Arc::clone(&bucket.name)))),
        column_of("organizationID", Kind::String, texts(|_| Value::text(""))),
        column_of(
            "retentionPolicy",
            Kind::String,
            texts(|bucket| {
                let name = bucket.name.split_once('/').map_or("", |(_, policy)| policy);
                Value::text(name)
            }),
        ),
        column_of("retentionPeriod", Kind::Int, texts(|bucket| Value::Int(bucket.retention_ns))),
    ];
    Ok(Value::Stream(Stream::ready(vec![Table::new(GroupKey::default(), columns)])))
}

fn now(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::Time(call.context.now_ns()))
}
