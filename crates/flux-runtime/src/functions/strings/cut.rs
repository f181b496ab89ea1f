//! Texts are cut, into parts or at their ends, and put together.

use super::{check_length, two};
use crate::{Call, Error, Value};

pub(super) fn split(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    parts(call, -1, false)
}

pub(super) fn split_n(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let count = call.int("i")?;
    parts(call, count, false)
}

pub(super) fn split_after(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    parts(call, -1, true)
}

pub(super) fn split_after_n(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let count = call.int("i")?;
    parts(call, count, true)
}

/// At most `count` parts, all if it is negative; with what separates them or without. Nothing separates each character
/// from the next.
fn parts(call: &mut Call<'_, '_>, count: i64, keeps: bool) -> Result<Value, Error> {
    const PART_BYTES: usize = 64;
    let (text, separator) = two(call, "t")?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count == 0 || (text.is_empty() && separator.is_empty()) {
        return Ok(Value::array(Vec::new()));
    }
    let ends: Vec<(usize, usize)> = if separator.is_empty() {
        text.char_indices().skip(1).map(|(at, _)| (at, at)).take(count - 1).collect()
    } else {
        let found = text.match_indices(&*separator).take(count - 1);
        found.map(|(at, found)| (at, at + found.len())).collect()
    };
    call.context.keep((ends.len() + 1).saturating_mul(PART_BYTES))?;
    let mut parts = Vec::with_capacity(ends.len() + 1);
    let mut start = 0;
    for (end, next) in ends {
        parts.push(Value::text(text.get(start..if keeps { next } else { end }).unwrap_or_default()));
        start = next;
    }
    parts.push(Value::text(text.get(start..).unwrap_or_default()));
    Ok(Value::array(parts))
}

pub(super) fn join_str(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (texts, separator) = (call.strings("arr")?, call.string("v")?);
    let bytes = texts.iter().map(|text| text.len()).sum::<usize>();
    let between = separator.len().checked_mul(texts.len().saturating_sub(1));
    check_length(call, between.and_then(|between| between.checked_add(bytes)))?;
    Ok(texts.join(&separator).into())
}

/// Characters from `start` on, before `end`; places beyond the text are its ends.
pub(super) fn substring(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, start, end) = (call.string("v")?, call.int("start")?, call.int("end")?);
    let (start, end) = (start.max(0), end.max(0));
    if end <= start {
        return Ok(Value::text(""));
    }
    let at = |place: i64| {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        text.char_indices().nth(place).map_or(text.len(), |(at, _)| at)
    };
    Ok(Value::text(text.get(at(start)..at(end)).unwrap_or_default()))
}

pub(super) fn trim(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, cutset) = two(call, "cutset")?;
    Ok(Value::text(text.trim_matches(|char| cutset.contains(char))))
}

pub(super) fn trim_left(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, cutset) = two(call, "cutset")?;
    Ok(Value::text(text.trim_start_matches(|char| cutset.contains(char))))
}

pub(super) fn trim_right(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, cutset) = two(call, "cutset")?;
    Ok(Value::text(text.trim_end_matches(|char| cutset.contains(char))))
}

pub(super) fn trim_space(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::text(call.string("v")?.trim()))
}

pub(super) fn trim_prefix(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, prefix) = two(call, "prefix")?;
    Ok(Value::text(text.strip_prefix(&*prefix).unwrap_or(&text)))
}

pub(super) fn trim_suffix(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (text, suffix) = two(call, "suffix")?;
    Ok(Value::text(text.strip_suffix(&*suffix).unwrap_or(&text)))
}
