//! The part of Go's text templates that alert rules and notices use.
//!
//! [`Template::parse`] refuses what this engine does not know (a function, a variable, a field of the data), naming
//! it, so that a mistake shows when the file is loaded rather than in the middle of an incident.
//! Rendering is pure and bounded in steps and bytes.

mod evaluate;
mod functions;
mod layout;
mod library;
mod parse;
mod value;

use std::{collections::BTreeMap, sync::Arc};

pub(crate) use functions::{format_decimal, format_number, humanize, humanize_1024};
pub(crate) use library::{Group, Library};
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
    #[error(
        "template: {{{{ {name} }}}} is not supported here; if, else, range, with, template and end are, and define at the top of \
         what \"templates\" holds"
    )]
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
    #[error("template: no template is named {name:?}; there are {known}")]
    Include {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A name that two named templates have.
    #[error("template: a second template is named {name:?}; names must differ")]
    Twice {
        /// The name.
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
    library: Arc<Library>,
}

impl Template {
    /// Parses and checks a template that includes none but those that are always there.
    pub(crate) fn parse(source: &str, scope: Scope) -> Result<Self, TemplateError> {
        Self::parse_with(source, scope, &Library::built_in())
    }

    /// Parses and checks a template that may include those of `library`.
    pub(crate) fn parse_with(
        source: &str,
        scope: Scope,
        library: &Arc<Library>,
    ) -> Result<Self, TemplateError> {
        let nodes = parse::parse(source, scope, &library.names())?;
        Ok(Self { source: source.to_owned(), scope, nodes, library: Arc::clone(library) })
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
        evaluate::render(&self.nodes, (self.scope, &self.library), root, variables)
    }

    /// Renders; a failure becomes part of the text, so that an alert is never lost for want of a template.
    pub(crate) fn render_or_say(&self, root: &Value, variables: &BTreeMap<&'static str, Value>) -> String {
        self.render(root, variables)
            .unwrap_or_else(|error| format!("[template error: {error}] {}", self.source))
    }
}

#[cfg(test)]
mod tests;
