//! What a buffer's directory is called: after its output, never after the output's options, so that a changed
//! option finds the same buffer again.

use std::collections::BTreeMap;

use crate::config::PluginId;

/// A directory name for each output, in their order: `outputs.influxdb`, `outputs.influxdb::alias`; the second of the
/// same name gets `#2` behind it.
pub(crate) fn directory_names<'a>(outputs: impl IntoIterator<Item = &'a PluginId>) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let names = outputs.into_iter().map(|id| {
        let name = escape(&id.to_string());
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name}#{count}") }
    });
    names.collect()
}

/// An alias may hold anything; a directory's name may not.
fn escape(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_alphanumeric() || matches!(character, '.' | '_' | '-' | ':' | ' ') {
            name.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                name.push_str(&format!("%{byte:02x}"));
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_find_their_directories_again() {
        let id =
            |name, alias: Option<&str>| PluginId { kind: "outputs", name, alias: alias.map(str::to_owned) };
        let ids = [
            id("influxdb", None),
            id("file", None),
            id("influxdb", Some("north")),
            id("influxdb", None),
            id("influxdb", Some("../a#2")),
            id("influxdb", Some("north")),
        ];
        assert_eq!(
            directory_names(&ids),
            [
                "outputs.influxdb",
                "outputs.file",
                "outputs.influxdb::north",
                "outputs.influxdb#2",
                "outputs.influxdb::..%2fa%232",
                "outputs.influxdb::north#2",
            ]
        );
    }
}
