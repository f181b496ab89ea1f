//! The part of Go's text templates that alert rules and notices use.
//!
//! [`Template::parse`] refuses what this engine does not know (a function, a variable, a field of the data), naming
//! it, so that a mistake shows when the file is loaded rather than in the middle of an incident.
//! Rendering is pure and bounded in steps and bytes.

mod evaluate;
mod functions;
mod layout;
mod parse;
mod value;

use std::collections::BTreeMap;

pub(crate) use functions::{format_decimal, format_number, humanize, humanize_1024};
pub(crate) use value::Value;

/// What a template may refer to at its top level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Labels and annotations of a rule: `$labels`, `$values`, `$value`.
    Rule,
    /// Title and message of a contact point: the group's data.
    Notice,
}

impl Scope {
    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Rule => &["labels", "values", "value"],
            Self::Notice => &[],
        }
    }

    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Rule => &["Labels", "Values", "Value"],
            Self::Notice => &[
                "Receiver",
                "Status",
                "Alerts",
                "GroupLabels",
                "CommonLabels",
                "CommonAnnotations",
                "ExternalURL",
                "GroupKey",
                "TruncatedAlerts",
                "AppVersion",
            ],
        }
    }
}

/// Why a template is refused when it is loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It does not parse.
    #[error("template: {0}")]
    Syntax(String),
    /// A function that is not there.
    #[error("template: function {name:?} is not known; known are {known}")]
    Function {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A statement that is not there.
    #[error("template: {{{{ {name} }}}} is not supported; if, else, range, with, template and end are")]
    Keyword {
        /// What was asked for.
        name: String,
    },
    /// A variable that is not there.
    #[error("template: variable ${name} is not known; known are {known}")]
    Variable {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A field of the data that is not there.
    #[error("template: .{name} is not known; known are {known}")]
    Field {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A named template that is not there.
    #[error("template: no template is named {name:?}; default.title and default.message are there")]
    Include {
        /// What was asked for.
        name: String,
    },
}

/// Why a template that parses could not be rendered with the data at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RenderError(String);

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    source: String,
    scope: Scope,
    nodes: Vec<parse::Node>,
}

impl Template {
    /// Parses and checks a template.
    pub(crate) fn parse(source: &str, scope: Scope) -> Result<Self, TemplateError> {
        Ok(Self { source: source.to_owned(), scope, nodes: parse::parse(source, scope)? })
    }

    /// The text it was parsed from.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Renders with `.` being `root` and the scope's variables set.
    pub(crate) fn render(
        &self,
        root: &Value,
        variables: &BTreeMap<&'static str, Value>,
    ) -> Result<String, RenderError> {
        evaluate::render(&self.nodes, self.scope, root, variables)
    }

    /// Renders; a failure becomes part of the text, so that an alert is never lost for want of a template.
    pub(crate) fn render_or_say(&self, root: &Value, variables: &BTreeMap<&'static str, Value>) -> String {
        self.render(root, variables)
            .unwrap_or_else(|error| format!("[template error: {error}] {}", self.source))
    }
}

/// Text of the template `default.title`.
const DEFAULT_TITLE: &str = r#"[{{ if .Alerts.Firing }}FIRING:{{ len .Alerts.Firing }}{{ if .Alerts.Resolved }}, {{ end }}{{ end }}{{ if .Alerts.Resolved }}RESOLVED:{{ len .Alerts.Resolved }}{{ end }}] {{ join " " .GroupLabels.Values }}"#;

/// Text of the template `default.message`.
const DEFAULT_MESSAGE: &str = r#"{{ if .Alerts.Firing }}**Firing**
{{ range .Alerts.Firing }}
Value: {{ .ValueString }}
Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}{{ if .GeneratorURL }}Source: {{ .GeneratorURL }}
{{ end }}{{ end }}{{ end }}{{ if .Alerts.Resolved }}**Resolved**
{{ range .Alerts.Resolved }}
Value: {{ .ValueString }}
Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}{{ if .GeneratorURL }}Source: {{ .GeneratorURL }}
{{ end }}{{ end }}{{ end }}"#;

/// The text of a named template.
fn named(name: &str) -> Option<&'static str> {
    match name {
        "default.title" => Some(DEFAULT_TITLE),
        "default.message" => Some(DEFAULT_MESSAGE),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
