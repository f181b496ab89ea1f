//! What is in a text, and where.

use std::cmp::Ordering;

use super::two;
use crate::{Call, Error, Value};

pub(super) fn compare(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, other) = two(call, "t")?;
    Ok(Value::Int(match text.cmp(&other) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

pub(super) fn contains_any(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, chars) = two(call, "chars")?;
    Ok(Value::Bool(text.contains(|char| chars.contains(char))))
}

pub(super) fn contains_str(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, part) = two(call, "substr")?;
    Ok(Value::Bool(text.contains(&*part)))
}

pub(super) fn count_str(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, part) = two(call, "substr")?;
    Ok(whole(text.matches(&*part).count()))
}

pub(super) fn equal_fold(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, other) = two(call, "t")?;
    Ok(Value::Bool(text.chars().map(folded).eq(other.chars().map(folded))))
}

/// The same for all characters that differ only in case.
fn folded(char: char) -> char {
    super::change::lower(super::change::upper(char))
}

pub(super) fn has_prefix(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, prefix) = two(call, "prefix")?;
    Ok(Value::Bool(text.starts_with(&*prefix)))
}

pub(super) fn has_suffix(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, suffix) = two(call, "suffix")?;
    Ok(Value::Bool(text.ends_with(&*suffix)))
}

pub(super) fn index(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, part) = two(call, "substr")?;
    Ok(place(text.find(&*part)))
}

pub(super) fn index_any(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, chars) = two(call, "chars")?;
    Ok(place(text.find(|char| chars.contains(char))))
}

pub(super) fn last_index(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, part) = two(call, "substr")?;
    Ok(place(text.rfind(&*part)))
}

pub(super) fn last_index_any(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, chars) = two(call, "chars")?;
    Ok(place(text.rfind(|char| chars.contains(char))))
}

fn place(found: Option<usize>) -> Value {
    found.map_or(Value::Int(-1), whole)
}

fn whole(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn strlen(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(whole(call.string("v")?.chars().count()))
}

pub(super) fn is_digit(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    first_is(call, |char| char.is_ascii_digit())
}

pub(super) fn is_letter(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    first_is(call, char::is_alphabetic)
}

pub(super) fn is_lower(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    first_is(call, char::is_lowercase)
}

pub(super) fn is_upper(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    first_is(call, char::is_uppercase)
}

/// These functions are of texts of one character; of longer ones the first is looked at.
fn first_is(call: &Call<'_, '_>, holds: fn(char) -> bool) -> Result<Value, Error> {
    Ok(Value::Bool(call.string("v")?.chars().next().is_some_and(holds)))
}
