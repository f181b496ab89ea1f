//! JSON as text and the paths into it that options give, in GJSON's syntax.

use std::borrow::Cow;

use serde_json::Value;

use crate::guard::guarded;

/// Reads a document; at most 128 levels deep.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))
}

/// What a path leads to in a text that [`parse`] took; `None` if there is nothing.
pub(super) fn find(text: &str, path: &str) -> Result<Option<Value>, String> {
    // The paths are people's own and the library is not ours: should it stumble, that is an error like others.
    let found = guarded(|| {
        let found = gjson::get(text, path);
        found.exists().then(|| found.json().to_owned())
    });
    match found {
        Ok(None) => Ok(None),
        Ok(Some(json)) => {
            parse(&json).map(Some).map_err(|why| format!("the path {path:?} leads to no value: {why}"))
        }
        Err(why) => Err(format!("the path {path:?} cannot be followed: {why}")),
    }
}

/// Whether a path can be followed at all.
pub(super) fn check(path: &str) -> Result<(), String> {
    find("{\"a\":[{\"b\":1}]}", path).map(drop)
}

/// The last key of a path: what its value is called.
pub(super) fn last_key(path: &str) -> Cow<'_, str> {
    let whole = path.split('|').next_back().unwrap_or(path);
    let named = whole.rsplit('.').find(|part| !part.is_empty() && !part.starts_with(['#', '@']));
    let key = named.unwrap_or(whole);
    if key.contains(['\\', ' ']) {
        Cow::Owned(key.replace('\\', "").replace(' ', "_"))
    } else {
        Cow::Borrowed(key)
    }
}

/// The beginning of a value's text, for messages.
pub(super) fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
