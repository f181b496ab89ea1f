//! Package regexp.

use std::sync::Arc;

use crate::{
    Call, Error, Value,
    function::{Builtin, required},
    packages::{Library, no_constants},
};

/// What a replacement may make of a text.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// Package regexp.
pub(crate) static LIBRARY: Library = Library {
    path: "regexp",
    builtins: &[
        Builtin { name: "compile", parameters: &[required("v")], run: compile },
        Builtin { name: "findString", parameters: &[required("r"), required("v")], run: find_string },
        Builtin {
            name: "findStringIndex",
            parameters: &[required("r"), required("v")],
            run: find_string_index,
        },
        Builtin { name: "getString", parameters: &[required("r")], run: get_string },
        Builtin { name: "matchRegexpString", parameters: &[required("r"), required("v")], run: matches },
        Builtin { name: "quoteMeta", parameters: &[required("v")], run: quote_meta },
        Builtin {
            name: "replaceAllString",
            parameters: &[required("r"), required("v"), required("t")],
            run: replace_all_string,
        },
        Builtin {
            name: "splitRegexp",
            parameters: &[required("r"), required("v"), required("i")],
            run: split_regexp,
        },
    ],
    constants: no_constants,
    text: "",
};

fn compile(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let text = call.string("v")?;
    let pattern = call.context.pattern(&text).map_err(|reason| call.error(reason))?;
    Ok(Value::Regex(pattern))
}

fn find_string(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (regex, text) = (call.regex("r")?, call.string("v")?);
    Ok(Value::text(regex.find(&text).map_or("", |found| found.as_str())))
}

/// First byte and the one after the last; nothing where nothing matches.
fn find_string_index(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (regex, text) = (call.regex("r")?, call.string("v")?);
    let place = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
    let found = regex.find(&text).map(|found| vec![place(found.start()), place(found.end())]);
    Ok(Value::array(found.unwrap_or_default()))
}

fn get_string(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::text(call.regex("r")?.source()))
}

fn matches(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (regex, text) = (call.regex("r")?, call.string("v")?);
    Ok(Value::Bool(regex.is_match(&text)))
}

fn quote_meta(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let text = call.string("v")?;
    let mut quoted = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if r"\.+*?()|[]{}^$".contains(char) {
            quoted.push('\\');
        }
        quoted.push(char);
    }
    Ok(quoted.into())
}

/// `$1` and `${name}` in the replacement stand for what the group matched.
fn replace_all_string(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (regex, text, template) = (call.regex("r")?, call.string("v")?, call.string("t")?);
    let mut replaced = String::new();
    let mut done = 0;
    for found in regex.captures_iter(&text) {
        call.context.check()?;
        let Some(whole) = found.get(0) else { continue };
        replaced.push_str(text.get(done..whole.start()).unwrap_or_default());
        found.expand(&template, &mut replaced);
        done = whole.end();
        if replaced.len() > TEXT_BYTES_MAX {
            return Err(call.error(format!("the text would be longer than {TEXT_BYTES_MAX} bytes")));
        }
    }
    replaced.push_str(text.get(done..).unwrap_or_default());
    call.context.keep(replaced.len())?;
    Ok(replaced.into())
}

/// At most `i` parts, all if it is negative. What matches nothing at the very beginning or end separates nothing.
fn split_regexp(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (regex, text, count) = (call.regex("r")?, call.string("v")?, call.int("i")?);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count == 0 {
        return Ok(Value::array(Vec::new()));
    }
    let part = |start: usize, end: usize| Value::String(Arc::from(text.get(start..end).unwrap_or_default()));
    const PART_BYTES: usize = 64;
    let mut parts = Vec::new();
    let mut start = 0;
    for found in regex.find_iter(&text) {
        if parts.len() + 1 >= count || (found.is_empty() && found.start() == text.len()) {
            break;
        }
        call.context.check()?;
        if found.end() > 0 {
            parts.push(part(start, found.start()));
        }
        start = found.end();
    }
    parts.push(part(start, text.len()));
    call.context.keep(parts.len().saturating_mul(PART_BYTES))?;
    Ok(Value::array(parts))
}
