//! Package generate: tables of made-up points.

use crate::{
    Call, ColumnBuilder, Error, GroupKey, Kind, Stream, Table, Value,
    evaluate::apply,
    function::{Builtin, required},
    packages::{Library, no_constants},
    read::times_column,
};

/// Package generate.
pub(crate) static LIBRARY: Library = Library {
    path: "generate",
    builtins: &[Builtin {
        name: "from",
        parameters: &[required("count"), required("fn"), required("start"), required("stop")],
        run: from,
    }],
    constants: no_constants,
    text: "",
};

/// A time and a value.
const ROW_BYTES: usize = 16;

fn from(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let given = call.int("count")?;
    let count = usize::try_from(given)
        .map_err(|_| call.error(format!("count must not be negative, but is {given}")))?;
    let function = call.function("fn")?;
    let (Some(start), Some(stop)) = (call.opt_time("start")?, call.opt_time("stop")?) else {
        return Err(call.error("start and stop are needed"));
    };
    if start >= stop {
        return Err(call.error("stop has to be after start"));
    }
    let span = call.span;
    let stream = Stream::step(call.name, span, Vec::new(), move |context, _| {
        let _room = context.hold(count.saturating_mul(ROW_BYTES))?;
        let mut times = Vec::with_capacity(count);
        let mut values = ColumnBuilder::new("_value".into(), Kind::Int);
        let step = (i128::from(stop) - i128::from(start)) / i128::from(given.max(1));
        for row in 0..given {
            let value = apply(context, &function, vec![("n".into(), Value::Int(row))], span)?;
            values.push(value).map_err(|(wanted, got)| {
                context.error(format!("fn has to return {}, but returned {}", wanted.name(), got.name()))
            })?;
            let time = i128::from(start) + i128::from(row) * step;
            times.push(i64::try_from(time).unwrap_or(stop));
        }
        let key = GroupKey::default().with("_start".into(), Kind::Time, Value::Time(start)).with(
            "_stop".into(),
            Kind::Time,
            Value::Time(stop),
        );
        let mut columns = key.columns(count);
        columns.push(times_column("_time", times));
        columns.push(values.finish());
        Ok(vec![Table::new(key, columns)])
    });
    Ok(Value::Stream(stream.with_range(Some((start, stop)))))
}
