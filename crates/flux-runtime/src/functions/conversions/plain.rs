//! What needs no import and no tables: `display`, `length`, `contains`, `die`.

use crate::{Call, Error, Value, evaluate::equal, show};

pub(super) fn display(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(show(&call.value("v")).into())
}

pub(super) fn length(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::Int(i64::try_from(call.array("arr")?.len()).unwrap_or(i64::MAX)))
}

pub(super) fn contains(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let set = call.array("set")?;
    let value = call.value("value");
    Ok(Value::Bool(set.iter().any(|member| equal(member, &value) == Some(true))))
}

pub(super) fn die(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Err(Error::at(call.span, call.string("msg")?.as_ref()))
}
