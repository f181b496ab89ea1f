//! Templates, and which of them a name takes.

use std::collections::BTreeMap;

use skywatch_model::series;

/// What separates the parts of a name.
const DOT: char = '.';

/// Why templates cannot be used; worded as InfluxDB does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// An empty text.
    #[error("missing template at position: {0}")]
    Missing(usize),
    /// Too many words.
    #[error("invalid template format: '{0}'")]
    Format(String),
    /// Nothing becomes the measurement.
    #[error("no measurement in template `{0}`")]
    NoMeasurement(String),
    /// Two templates for the same names.
    #[error("duplicate filter '{filter}' found at position: {position}")]
    DuplicateFilter {
        /// The filter.
        filter: String,
        /// Which of the templates is the second.
        position: usize,
    },
    /// A filter with nothing between two dots.
    #[error("filter contains blank section: {0}")]
    BlankFilter(String),
    /// A tag is not `name=value`.
    #[error("invalid template tags: '{0}'")]
    Tags(String),
}

/// Why a template does not fit a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApplyError {
    #[error("'field' can only be used once in each template: {0:?}")]
    FieldTwice(String),
    #[error("either 'field*' or 'measurement*' can be used in each template (but not both together): {0:?}")]
    BothWildcards(String),
}

/// How names become series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    /// As written, for error messages.
    words: Vec<String>,
    tags: Vec<(String, String)>,
    separator: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Measurement,
    MeasurementRest,
    Field,
    FieldRest,
    Skip,
    Tag(String),
}

/// What a template makes of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Canonical, with measurement and tags.
    pub series_key: String,
    /// Empty when the template names none.
    pub field: String,
}

impl Template {
    fn new(parts: &str, tags: Vec<(String, String)>, separator: &str) -> Result<Self, TemplateError> {
        let words: Vec<String> = parts.split(DOT).map(ToOwned::to_owned).collect();
        let parts_read: Vec<Part> = words.iter().map(|word| Part::of_word(word)).collect();
        if !parts_read.iter().any(|part| matches!(part, Part::Measurement | Part::MeasurementRest)) {
            return Err(TemplateError::NoMeasurement(parts.to_owned()));
        }
        Ok(Self { parts: parts_read, words, tags, separator: separator.to_owned() })
    }

    /// The whole name is the measurement.
    fn whole_name() -> Self {
        Self {
            parts: vec![Part::MeasurementRest],
            words: vec!["measurement*".to_owned()],
            tags: Vec::new(),
            separator: DOT.to_string(),
        }
    }

    /// Names the series of a point. `default_tags` are those of the listener; tags of the template and of the name
    /// come before them.
    pub(super) fn apply(&self, name: &str, default_tags: &[(String, String)]) -> Result<Named, ApplyError> {
        if self.parts.contains(&Part::MeasurementRest) && self.parts.contains(&Part::FieldRest) {
            return Err(ApplyError::BothWildcards(self.words.join(&self.separator)));
        }
        let sections: Vec<&str> = name.split(DOT).collect();
        let mut measurement: Vec<&str> = Vec::new();
        let mut field = String::new();
        let mut tags: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (tag, value) in &self.tags {
            tags.entry(tag).or_default().push(value);
        }
        for (at, part) in self.parts.iter().enumerate() {
            let Some(section) = sections.get(at) else { break };
            match part {
                Part::Measurement => measurement.push(section),
                Part::MeasurementRest => {
                    measurement.extend(&sections[at..]);
                    break;
                }
                Part::Field if field.is_empty() => (*section).clone_into(&mut field),
                Part::Field => return Err(ApplyError::FieldTwice(name.to_owned())),
                Part::FieldRest => {
                    field = sections[at..].join(&self.separator);
                    break;
                }
                Part::Skip => {}
                Part::Tag(tag) => tags.entry(tag).or_default().push(section),
            }
        }
        let measurement = match measurement.join(&self.separator) {
            nothing if nothing.is_empty() => name.to_owned(),
            measurement => measurement,
        };
        let mut named: Vec<(&str, String)> =
            tags.into_iter().map(|(tag, values)| (tag, values.join(&self.separator))).collect();
        // Of tags with the same name the first counts.
        named.extend(default_tags.iter().map(|(tag, value)| (tag.as_str(), value.clone())));
        Ok(Named { series_key: series::make_key(&measurement, named), field })
    }
}

impl Part {
    fn of_word(word: &str) -> Self {
        match word {
            "measurement" => Self::Measurement,
            "measurement*" => Self::MeasurementRest,
            "field" => Self::Field,
            "field*" => Self::FieldRest,
            "" => Self::Skip,
            tag => Self::Tag(tag.to_owned()),
        }
    }
}

/// All templates of a listener, found by the filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Templates {
    root: Node,
    /// For names that no filter fits.
    default: Template,
}

/// What comes after the parts of a filter that lead here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node {
    template: Option<Template>,
    children: BTreeMap<String, Node>,
}

impl Templates {
    pub(super) fn new(templates: &[String], separator: &str) -> Result<Self, TemplateError> {
        let mut root = Node::default();
        let mut default = None;
        let mut filters: Vec<&str> = Vec::new();
        for (position, text) in templates.iter().enumerate() {
            let words: Vec<&str> = text.split_whitespace().collect();
            let is_tags = |word: &str| word.contains('=');
            let (filter, parts, tags) = match words.as_slice() {
                [] => return Err(TemplateError::Missing(position)),
                [parts] => ("", *parts, ""),
                [parts, tags] if is_tags(tags) => ("", *parts, *tags),
                [filter, parts] => (*filter, *parts, ""),
                [filter, parts, tags] => (*filter, *parts, *tags),
                _ => return Err(TemplateError::Format(text.clone())),
            };
            if filters.contains(&filter) {
                return Err(TemplateError::DuplicateFilter { filter: filter.to_owned(), position });
            }
            filters.push(filter);
            let template = Template::new(parts, parse_tags(tags.split(','))?, separator)?;
            if filter.is_empty() {
                default = Some(template);
                continue;
            }
            if filter.split(DOT).any(str::is_empty) {
                return Err(TemplateError::BlankFilter(filter.to_owned()));
            }
            root.insert(filter, template);
        }
        Ok(Self { root, default: default.unwrap_or_else(Template::whole_name) })
    }

    /// The template that a name takes.
    pub(super) fn of(&self, name: &str) -> &Template {
        self.root.find(name.split(DOT)).unwrap_or(&self.default)
    }
}

impl Node {
    fn insert(&mut self, filter: &str, template: Template) {
        let mut node = self;
        for section in filter.split(DOT) {
            node = node.children.entry(section.to_owned()).or_default();
        }
        node.template = Some(template);
    }

    /// Goes down as far as filters go, and never back: a part that some filter names is not tried as `*`.
    fn find<'n>(&self, sections: impl Iterator<Item = &'n str>) -> Option<&Template> {
        let mut node = self;
        for section in sections {
            match node.children.get(section).or_else(|| node.children.get("*")) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.template.as_ref()
    }
}

/// Reads `name=value` texts; nothing at all is no tags.
pub(super) fn parse_tags<'t>(
    tags: impl Iterator<Item = &'t str>,
) -> Result<Vec<(String, String)>, TemplateError> {
    let tags = tags.filter(|tag| !tag.is_empty());
    tags.map(|tag| match tag.split('=').collect::<Vec<_>>().as_slice() {
        [name, value] if !name.is_empty() && !value.is_empty() => {
            Ok(((*name).to_owned(), (*value).to_owned()))
        }
        _ => Err(TemplateError::Tags(tag.to_owned())),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(templates: &[&str]) -> String {
        let templates: Vec<String> = templates.iter().map(|&text| text.to_owned()).collect();
        Templates::new(&templates, ".").unwrap_err().to_string()
    }

    /// Texts of InfluxDB 1.6.7.
    #[test]
    fn says_what_is_wrong() {
        assert_eq!(error(&["a"]), "no measurement in template `a`");
        assert_eq!(error(&["measurement* a"]), "no measurement in template `a`");
        assert_eq!(error(&["measurement a b c d"]), "invalid template format: 'measurement a b c d'");
        assert_eq!(error(&["measurement", "host.measurement"]), "duplicate filter '' found at position: 1");
        assert_eq!(error(&["measurement a=b,c"]), "invalid template tags: 'c'");
        assert_eq!(error(&["f measurement a=b x=y"]), "invalid template format: 'f measurement a=b x=y'");
        assert_eq!(error(&[""]), "missing template at position: 0");
        assert_eq!(error(&["a..b measurement"]), "filter contains blank section: a..b");
        assert_eq!(parse_tags(["a=b=c"].into_iter()), Err(TemplateError::Tags("a=b=c".to_owned())));
    }
}
