//! Texts with other characters: case, replacements, repetitions.

use super::{check_length, two};
use crate::{Call, Error, Value};

/// Character for character, as Flux does: what would become several stays as it is.
pub(super) fn upper(char: char) -> char {
    let mut all = char.to_uppercase();
    match (all.next(), all.next()) {
        (Some(one), None) => one,
        _ => char,
    }
}

/// Character for character; of several the first counts.
pub(super) fn lower(char: char) -> char {
    char.to_lowercase().next().unwrap_or(char)
}

/// As upper case, but for characters that are two letters in one.
fn titled(char: char) -> char {
    match char {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        char => upper(char),
    }
}

pub(super) fn to_upper(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    each(call, upper)
}

pub(super) fn to_lower(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    each(call, lower)
}

pub(super) fn to_title(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    each(call, titled)
}

fn each(call: &Call<'_, '_>, change: fn(char) -> char) -> Result<Value, Error> {
    Ok(call.string("v")?.chars().map(change).collect::<String>().into())
}

/// The first letter of each word.
pub(super) fn title(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let text = call.string("v")?;
    let mut begins = true;
    let changed = text.chars().map(|char| {
        let told = if begins { titled(char) } else { char };
        begins = separates(char);
        told
    });
    Ok(changed.collect::<String>().into())
}

/// Whether a word ends before this. Beyond ASCII only spaces do that.
fn separates(char: char) -> bool {
    if char.is_ascii() { !char.is_ascii_alphanumeric() && char != '_' } else { char.is_whitespace() }
}

pub(super) fn repeat(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, times) = (call.string("v")?, call.int("i")?);
    let times = usize::try_from(times)
        .map_err(|_| call.error(format!("i is how often, and cannot be negative: {times}")))?;
    check_length(call, text.len().checked_mul(times))?;
    Ok(text.repeat(times).into())
}

pub(super) fn replace(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    // A negative number means all of them.
    let count = usize::try_from(call.int("i")?).unwrap_or(usize::MAX);
    replaced(call, count)
}

pub(super) fn replace_all(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    replaced(call, usize::MAX)
}

fn replaced(call: &mut Call<'_, '_>, count: usize) -> Result<Value, Error> {
    let (text, old) = two(call, "t")?;
    let new = call.string("u")?;
    let found = text.matches(&*old).take(count).count();
    if found == 0 {
        return Ok(Value::String(text));
    }
    check_length(call, new.len().checked_mul(found).and_then(|bytes| bytes.checked_add(text.len())))?;
    Ok(text.replacen(&*old, &new, count).into())
}
