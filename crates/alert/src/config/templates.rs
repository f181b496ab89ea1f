//! `templates` of Grafana's files: what titles and messages of contact points, in any of the files, may include.

use std::sync::Arc;

use super::{
    Position,
    reader::Reader,
    yaml::{Node, Value},
};
use crate::template::{Group, Library};

/// A group of templates, and where it stands.
struct Found {
    file: usize,
    at: Position,
    name: String,
    text: String,
}

/// The templates of all files, each with its reader, beside those that are always there.
pub(super) fn library(files: &mut [(Reader<'_>, Option<Node>)]) -> Arc<Library> {
    let mut found = Vec::new();
    for (file, (reader, root)) in files.iter_mut().enumerate() {
        // What is no table is told when the rest of the file is read.
        let Some(root) = root.as_ref().filter(|root| matches!(root.value, Value::Mapping(_))) else {
            continue;
        };
        let Some(top) = reader.open_table(root, "a rules file") else { continue };
        for node in reader.items(&top, "templates") {
            let Some(table) = reader.table(node, "a template", &["orgId", "name", "template"]) else {
                continue;
            };
            let name = reader.required_text(&table, "name");
            if table.get("template").is_none() {
                reader.problem(table.at, "a template needs \"template\", its text");
            }
            // As it stands: `$` begins a variable of the template.
            let text = reader.raw_text(&table, "template");
            if let Some((name, text)) = name.zip(text) {
                found.push(Found { file, at: table.position("template"), name, text });
            }
        }
    }
    let groups: Vec<Group<'_>> = found.iter().map(|Found { name, text, .. }| Group { name, text }).collect();
    match Library::built_in().with(&groups) {
        Ok(library) => Arc::new(library),
        Err((at, error)) => {
            let Found { file, at, .. } = found[at];
            files[file].0.problem(at, error.to_string());
            Library::built_in()
        }
    }
}
