//! Package dict.

#![expect(clippy::mutable_key_type, reason = "keys are compared by what does not change")]

use std::collections::BTreeMap;

use crate::{
    Call, Error, Ordered, Value,
    function::{Builtin, required},
    packages::{Library, no_constants},
};

/// Package dict.
pub(crate) static LIBRARY: Library = Library {
    path: "dict",
    builtins: &[
        Builtin { name: "fromList", parameters: &[required("pairs")], run: from_list },
        Builtin {
            name: "get",
            parameters: &[required("dict"), required("key"), required("default")],
            run: get,
        },
        Builtin {
            name: "insert",
            parameters: &[required("dict"), required("key"), required("value")],
            run: insert,
        },
        Builtin { name: "remove", parameters: &[required("dict"), required("key")], run: remove },
    ],
    constants: no_constants,
    text: "",
};

type Entries = BTreeMap<Ordered, Value>;

/// Keys of a dictionary are of one type, and so are values.
fn fits(call: &Call<'_, '_>, entries: &Entries, key: &Value, value: Option<&Value>) -> Result<(), Error> {
    let Some((known_key, known_value)) = entries.first_key_value() else { return Ok(()) };
    if known_key.0.kind() != key.kind() {
        let (wanted, got) = (known_key.0.kind().name(), key.kind().name());
        return Err(call.error(format!("keys of this dictionary are of type {wanted}, not {got}")));
    }
    match value {
        Some(value) if value.kind() != known_value.kind() && !value.is_null() && !known_value.is_null() => {
            let (wanted, got) = (known_value.kind().name(), value.kind().name());
            Err(call.error(format!("values of this dictionary are of type {wanted}, not {got}")))
        }
        _ => Ok(()),
    }
}

fn from_list(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let pairs = call.array("pairs")?;
    let mut entries = Entries::new();
    for (at, pair) in pairs.iter().enumerate() {
        let member = |name: &str| match pair {
            Value::Record(record) => record.get(name),
            _ => None,
        };
        let (Some(key), Some(value)) = (member("key"), member("value")) else {
            return Err(call.error(format!("pairs[{at}] is not a record of key and value")));
        };
        fits(call, &entries, &key, Some(&value))?;
        entries.insert(Ordered(key), value);
    }
    Ok(Value::dictionary(entries))
}

fn get(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (entries, key) = (call.dictionary("dict")?, call.value("key"));
    fits(call, &entries, &key, None)?;
    Ok(entries.get(&Ordered(key)).cloned().unwrap_or_else(|| call.value("default")))
}

fn insert(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (entries, key, value) = (call.dictionary("dict")?, call.value("key"), call.value("value"));
    fits(call, &entries, &key, Some(&value))?;
    let mut entries = BTreeMap::clone(&entries);
    entries.insert(Ordered(key), value);
    Ok(Value::dictionary(entries))
}

fn remove(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (entries, key) = (call.dictionary("dict")?, call.value("key"));
    fits(call, &entries, &key, None)?;
    let mut entries = BTreeMap::clone(&entries);
    entries.remove(&Ordered(key));
    Ok(Value::dictionary(entries))
}
