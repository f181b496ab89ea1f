//! Named templates that notices include: those that are always there, and those of the files.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use super::{
    TemplateError,
    parse::{self, Node},
};

/// Templates by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Library {
    templates: BTreeMap<String, Vec<Node>>,
}

/// One text with `{{ define }}` in it, or a template without.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

impl Library {
    /// The templates that are always there.
    pub(crate) fn built_in() -> Arc<Self> {
        static BUILT_IN: LazyLock<Arc<Library>> = LazyLock::new(|| {
            let group = Group { name: "built in", text: BUILT_IN_TEXT };
            let templates = BTreeMap::new();
            let library = Library { templates }.with(&[group]);
            Arc::new(library.unwrap_or_else(|(_, error)| unreachable!("built-in templates: {error}")))
        });
        Arc::clone(&BUILT_IN)
    }

    /// Adds what these groups define. They may include each other in any order, and one of them may take the place of one that is
    /// always there. The error names the group by its position.
    pub(crate) fn with(&self, groups: &[Group<'_>]) -> Result<Self, (usize, TemplateError)> {
        let mut names: BTreeSet<String> = self.templates.keys().cloned().collect();
        let mut added: BTreeSet<String> = BTreeSet::new();
        for (at, Group { name, text }) in groups.iter().enumerate() {
            let mut defined = parse::defined_names(text).map_err(|error| (at, error))?;
            if defined.is_empty() {
                defined.push((*name).to_owned());
            }
            for name in defined {
                if !added.insert(name.clone()) {
                    return Err((at, TemplateError::Twice { name }));
                }
            }
        }
        names.append(&mut added);
        let mut templates = self.templates.clone();
        for (at, Group { name, text }) in groups.iter().enumerate() {
            templates.extend(parse::definitions(name, text, &names).map_err(|error| (at, error))?);
        }
        Ok(Self { templates })
    }

    /// Names of all templates.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.templates.keys().cloned().collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&[Node]> {
        self.templates.get(name).map(Vec::as_slice)
    }
}

/// Grafana's names, and what its messages say.
const BUILT_IN_TEXT: &str = r#"
{{ define "default.title" -}}
[{{ if .Alerts.Firing }}FIRING:{{ len .Alerts.Firing }}{{ if .Alerts.Resolved }}, {{ end }}{{ end -}}
{{ if .Alerts.Resolved }}RESOLVED:{{ len .Alerts.Resolved }}{{ end }}] {{ join " " .GroupLabels.Values }}
{{- end }}

{{ define "__text_alert_list" -}}
{{ range . }}
Value: {{ .ValueString }}
Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}{{ if .GeneratorURL }}Source: {{ .GeneratorURL }}
{{ end }}{{ end }}
{{- end }}

{{ define "default.message" -}}
{{ if .Alerts.Firing }}**Firing**
{{ template "__text_alert_list" .Alerts.Firing }}{{ end }}
{{- if .Alerts.Resolved }}**Resolved**
{{ template "__text_alert_list" .Alerts.Resolved }}{{ end }}
{{- end }}
"#;
