//! Package types.

use crate::{
    Call, Error, Kind, Value,
    function::{Builtin, required},
    packages::{Library, no_constants},
};

/// Package types.
pub(crate) static LIBRARY: Library = Library {
    path: "types",
    builtins: &[
        Builtin { name: "isNumeric", parameters: &[required("v")], run: is_numeric },
        Builtin { name: "isType", parameters: &[required("v"), required("type")], run: is_type },
    ],
    constants: no_constants,
    text: "",
};

/// The types that a value can be asked for.
const KINDS: [Kind; 9] = [
    Kind::String,
    Kind::Bytes,
    Kind::Int,
    Kind::Uint,
    Kind::Float,
    Kind::Bool,
    Kind::Time,
    Kind::Duration,
    Kind::Regex,
];

fn is_type(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let wanted = call.string("type")?;
    let Some(kind) = KINDS.iter().find(|kind| *kind.name() == *wanted) else {
        let known = KINDS.map(Kind::name).join(", ");
        return Err(call.error(format!("there is no type \"{wanted}\"; ask for one of {known}")));
    };
    Ok(Value::Bool(call.value("v").kind() == *kind))
}

fn is_numeric(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::Bool(matches!(call.value("v"), Value::Int(_) | Value::Uint(_) | Value::Float(_))))
}
