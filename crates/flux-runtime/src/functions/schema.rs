//! Names of what a bucket holds: packages influxdata/influxdb/schema and v1, and the number of its series.

mod databases;
mod names;

use std::{rc::Rc, sync::Arc};

use skywatch_flux::Duration;

use crate::{
    Call, Column, Error, Function, GroupKey, Kind, Names, Stream, Table, Value,
    function::{Builtin, Parameter, optional, required},
    packages::{Library, no_constants},
    read::column_of,
};
use names::{Asked, names_of, series_of};

const BUCKET: &[Parameter] = &[required("bucket"), optional("start"), optional("stop")];
const PREDICATE: &[Parameter] =
    &[required("bucket"), optional("predicate"), optional("start"), optional("stop")];
const MEASUREMENT: &[Parameter] =
    &[required("bucket"), required("measurement"), optional("start"), optional("stop")];

/// Functions that both packages have.
static NAMES: [Builtin; 7] = [
    Builtin { name: "measurements", parameters: BUCKET, run: |call| told(call, Names::Measurements) },
    Builtin { name: "fieldKeys", parameters: PREDICATE, run: |call| told(call, Names::FieldKeys) },
    Builtin { name: "tagKeys", parameters: PREDICATE, run: |call| told(call, Names::TagKeys) },
    Builtin {
        name: "tagValues",
        parameters: &[
            required("bucket"),
            required("tag"),
            optional("predicate"),
            optional("start"),
            optional("stop"),
        ],
        run: tag_values,
    },
    Builtin {
        name: "measurementFieldKeys",
        parameters: MEASUREMENT,
        run: |call| told(call, Names::FieldKeys),
    },
    Builtin { name: "measurementTagKeys", parameters: MEASUREMENT, run: |call| told(call, Names::TagKeys) },
    Builtin {
        name: "measurementTagValues",
        parameters: &[
            required("bucket"),
            required("measurement"),
            required("tag"),
            optional("start"),
            optional("stop"),
        ],
        run: tag_values,
    },
];

const FIELDS_AS_COLUMNS: &str = r#"
fieldsAsCols = (tables=<-) => tables |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
"#;

/// Names of what a bucket holds.
pub(crate) static LIBRARY: Library = Library {
    path: "influxdata/influxdb/schema",
    builtins: &NAMES,
    constants: no_constants,
    text: FIELDS_AS_COLUMNS,
};

/// The same for buckets of InfluxDB 1.
pub(crate) static V1: Library = Library {
    path: "influxdata/influxdb/v1",
    builtins: &NAMES,
    constants: no_constants,
    text: FIELDS_AS_COLUMNS,
};

/// What only InfluxDB 1 has.
pub(crate) static DATABASES: Library = Library {
    path: "influxdata/influxdb/v1",
    builtins: &[Builtin {
        name: "databases",
        parameters: &[optional("host"), optional("org"), optional("orgID"), optional("token")],
        run: databases::databases,
    }],
    constants: no_constants,
    text: "",
};

/// Package influxdata/influxdb, as far as it is not there without an import.
pub(crate) static INFLUXDB: Library = Library {
    path: "influxdata/influxdb",
    builtins: &[Builtin {
        name: "cardinality",
        parameters: &[
            optional("bucket"),
            optional("bucketID"),
            optional("host"),
            optional("org"),
            optional("orgID"),
            optional("predicate"),
            required("start"),
            optional("stop"),
            optional("token"),
        ],
        run: cardinality,
    }],
    constants: no_constants,
    text: "",
};

/// What the arguments say.
fn asked(call: &Call<'_, '_>) -> Result<Asked, Error> {
    const DAY_NS: i64 = 86_400_000_000_000;
    let now = call.context.now_ns();
    let month_ago = || Duration::from_nanoseconds(-30 * DAY_NS).add_to(now).unwrap_or(i64::MIN);
    let start_ns = call.opt_time("start")?.unwrap_or_else(month_ago);
    let stop_ns = call.opt_time("stop")?.unwrap_or(now);
    if start_ns >= stop_ns {
        return Err(call.error("cannot query an empty range"));
    }
    let bucket = call.opt_string("bucket")?.or(call.opt_string("bucketID")?);
    Ok(Asked {
        span: call.span,
        bucket: bucket.ok_or_else(|| call.error("missing required keyword argument \"bucket\""))?,
        start_ns,
        stop_ns,
        measurement: call.opt_string("measurement")?,
        predicate: call.opt_function("predicate")?,
    })
}

/// Names in one table, once somebody wants them.
fn told(call: &Call<'_, '_>, names: Names) -> Result<Value, Error> {
    let asked = asked(call)?;
    Ok(Value::Stream(Stream::step(call.name, call.span, Vec::new(), move |context, _| {
        let names = names_of(context, &asked, &names)?;
        Ok(vec![one_column(column_of("_value", Kind::String, names.into_iter().map(Value::String)))])
    })))
}

fn one_column(column: Column) -> Table {
    Table::new(GroupKey::default(), vec![column])
}

fn tag_values(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let tag = call.string("tag")?;
    match &*tag {
        "_measurement" => told(call, Names::Measurements),
        "_field" => told(call, Names::FieldKeys),
        "_time" | "_value" | "_start" | "_stop" => {
            Err(call.error(format!("{tag} is a column of every table, not a tag")))
        }
        _ => told(call, Names::TagValues(tag)),
    }
}

/// How many series, each field counted by itself, have points.
fn cardinality(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    for elsewhere in ["host", "token"] {
        if call.get(elsewhere).is_some() {
            return Err(call.error(format!("{elsewhere}: only this server's own buckets can be read")));
        }
    }
    let asked = asked(call)?;
    Ok(Value::Stream(Stream::step(call.name, call.span, Vec::new(), move |context, _| {
        let count = i64::try_from(series_of(context, &asked)?.len()).unwrap_or(i64::MAX);
        Ok(vec![one_column(column_of("_value", Kind::Int, [Value::Int(count)]))])
    })))
}

/// Whether a function says nothing of its row: `(r) => true`.
fn is_always(function: &Rc<Function>) -> bool {
    use skywatch_flux::{FunctionBody, Kind as Node};
    let Function::Closure { literal, scope, .. } = &**function else { return false };
    let true_name: Arc<str> = Arc::from("true");
    match &literal.body {
        FunctionBody::Expression(body) => match &body.kind {
            Node::Identifier(name) => {
                *name == true_name && matches!(scope.get(name), Some(Value::Bool(true)))
            }
            _ => false,
        },
        FunctionBody::Block(_) => false,
    }
}
