//! Labels, and the hash that turns them into a stable name.

use std::collections::BTreeMap;

/// Names and values that tell one alert from another, sorted by name.
pub type Labels = BTreeMap<String, String>;

/// Label that names the rule.
pub(crate) const ALERTNAME: &str = "alertname";
/// Label that names what was measured, where nothing else tells series apart.
pub(crate) const METRIC: &str = "__name__";
/// Label that names the folder of the rule.
pub(crate) const FOLDER: &str = "grafana_folder";

/// FNV-1a of a sequence of texts, each ended by a byte that no UTF-8 text holds.
pub(crate) fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// Whether `outer` holds every label of `inner` with the same value.
pub(crate) fn contains(outer: &Labels, inner: &Labels) -> bool {
    inner.iter().all(|(name, value)| outer.get(name) == Some(value))
}

/// `{host=web-1, rack=r2}` for messages and errors.
pub(crate) fn to_text(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Whether a label is for machines only (`__dashboardUid__`).
pub(crate) fn is_hidden(name: &str) -> bool {
    name.len() > 4 && name.starts_with("__") && name.ends_with("__")
}

/// Keeps the first `max` characters of a text, ending in `…` when something was cut.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(max.saturating_sub(1)).collect();
    kept.push('…');
    kept
}
