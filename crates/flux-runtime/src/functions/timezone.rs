//! Package timezone.

use skywatch_flux::Duration;

use crate::{
    Call, Error, Record, Value,
    context::Location,
    function::{Builtin, required},
    packages::Library,
};

/// Package timezone.
pub(crate) static LIBRARY: Library = Library {
    path: "timezone",
    builtins: &[
        Builtin { name: "fixed", parameters: &[required("offset")], run: fixed },
        Builtin { name: "location", parameters: &[required("name")], run: location },
    ],
    constants,
    text: "",
};

fn constants() -> Vec<(&'static str, Value)> {
    vec![("utc", record(Value::text("UTC"), Duration::default()).into())]
}

fn record(zone: Value, offset: Duration) -> Record {
    Record::new([("zone".into(), zone), ("offset".into(), Value::Duration(offset))])
}

fn fixed(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(record(Value::text("UTC"), call.duration("offset")?).into())
}

fn location(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let record = record(Value::String(call.string("name")?), Duration::default());
    Location::of_record(&record).map_err(|text| call.error(text))?;
    Ok(record.into())
}
