//! Graphite's templates: which parts of a dotted name are the measurement, the field and tags.
//!
//! ```text
//!   [filter] template [tag=value,...]
//!   servers.* .host.measurement.field*  dc=north
//! ```
//!
//! A template has a word for each part of the name: `measurement`, `field`, the key of a tag, or nothing to leave the
//! part out; `measurement*` and `field*` take all that is left. Parts that go to the same place are joined. Of the
//! filters that match the beginning of a name the one with the fewest `*` early on decides.

use std::collections::BTreeMap;

/// Templates with their filters.
#[derive(Debug, Clone)]
pub(crate) struct Templates {
    root: Node,
    /// For names that no filter matches.
    default: Template,
}

/// One part of the filters, and what may follow it.
#[derive(Debug, Clone, Default)]
struct Node {
    children: BTreeMap<String, Node>,
    template: Option<Template>,
}

#[derive(Debug, Clone)]
struct Template {
    words: Vec<Word>,
    tags: BTreeMap<String, String>,
    joiner: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Skip,
    Measurement,
    MeasurementRest,
    Field,
    FieldRest,
    Tag(String),
}

/// Measurement, field and tags.
pub(crate) type Resolved = (String, Option<String>, BTreeMap<String, String>);

impl Templates {
    /// Compiles templates; `joiner` is put between parts that go to the same place. Without a template of its own a
    /// name is the measurement as it is.
    pub(crate) fn compile(texts: &[String], joiner: &str) -> Result<Self, String> {
        let mut templates = Self {
            root: Node::default(),
            default: Template {
                words: vec![Word::MeasurementRest],
                tags: BTreeMap::new(),
                joiner: ".".to_owned(),
            },
        };
        for text in texts {
            let mut words: Vec<_> = text.split_whitespace().collect();
            let tags = match words.last() {
                Some(last) if words.len() > 1 && last.contains('=') => tags(words.pop().unwrap_or_default())?,
                _ => BTreeMap::new(),
            };
            let (filter, template) = match words.as_slice() {
                [template] => (None, *template),
                [filter, template] => (Some(*filter), *template),
                _ => return Err(format!("{text:?} is not [filter] template [tag=value,...]")),
            };
            let words = words_of(template)?;
            let template = Template { words, tags, joiner: joiner.to_owned() };
            match filter {
                None => templates.default = template,
                Some(filter) => {
                    let node = filter.split('.').fold(&mut templates.root, |node, part| {
                        node.children.entry(part.to_owned()).or_default()
                    });
                    node.template = Some(template);
                }
            }
        }
        Ok(templates)
    }

    /// Takes a name apart.
    pub(crate) fn apply(&self, name: &str) -> Resolved {
        let parts: Vec<_> = name.split('.').collect();
        let template = self.root.find(&parts).unwrap_or(&self.default);
        let (measurement, field, tags) = template.apply(&parts);
        // A name that gives no measurement is one as a whole.
        (if measurement.is_empty() { name.to_owned() } else { measurement }, field, tags)
    }
}

impl Node {
    /// The template for these parts: an equal part goes before a `*`, and what was chosen stays chosen.
    fn find(&self, parts: &[&str]) -> Option<&Template> {
        let (Some(first), false) = (parts.first(), self.children.is_empty()) else {
            return self.template.as_ref();
        };
        match self.children.get(*first).or_else(|| self.children.get("*")) {
            Some(child) => child.find(&parts[1..]),
            None => self.template.as_ref(),
        }
    }
}

impl Template {
    fn apply(&self, parts: &[&str]) -> Resolved {
        let mut measurement = Vec::new();
        let mut field = Vec::new();
        let mut tags: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (at, (word, part)) in self.words.iter().zip(parts).enumerate() {
            match word {
                Word::Skip => {}
                Word::Measurement => measurement.push(*part),
                Word::Field => field.push(*part),
                Word::Tag(key) => tags.entry(key.clone()).or_default().push(part),
                Word::MeasurementRest => {
                    measurement.extend(&parts[at..]);
                    break;
                }
                Word::FieldRest => {
                    field.extend(&parts[at..]);
                    break;
                }
            }
        }
        let mut resolved = self.tags.clone();
        resolved.extend(tags.into_iter().map(|(key, values)| (key, values.join(&self.joiner))));
        let field = (!field.is_empty()).then(|| field.join(&self.joiner));
        (measurement.join(&self.joiner), field, resolved)
    }
}

fn words_of(template: &str) -> Result<Vec<Word>, String> {
    let words: Vec<_> = template
        .split('.')
        .map(|word| match word {
            "" => Word::Skip,
            "measurement" => Word::Measurement,
            "measurement*" => Word::MeasurementRest,
            "field" => Word::Field,
            "field*" => Word::FieldRest,
            tag => Word::Tag(tag.to_owned()),
        })
        .collect();
    let has_measurement = words.iter().any(|word| matches!(word, Word::Measurement | Word::MeasurementRest));
    if !has_measurement {
        return Err(format!("the template {template:?} has no measurement"));
    }
    if words.contains(&Word::FieldRest) && words.contains(&Word::MeasurementRest) {
        return Err(format!("in {template:?} only one of measurement* and field* can take the rest"));
    }
    Ok(words)
}

fn tags(text: &str) -> Result<BTreeMap<String, String>, String> {
    text.split(',')
        .map(|tag| match tag.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                Ok((key.to_owned(), value.to_owned()))
            }
            _ => Err(format!("{tag:?} is not tag=value")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(templates: &[&str], name: &str) -> String {
        let texts: Vec<_> = templates.iter().map(ToString::to_string).collect();
        let (measurement, field, tags) = Templates::compile(&texts, "_").expect("valid").apply(name);
        format!("{measurement} {field:?} {tags:?}")
    }

    #[test]
    fn parts_of_names() {
        assert_eq!(resolve(&[], "a.b.c"), "a.b.c None {}");
        assert_eq!(
            resolve(&["measurement.measurement.region"], "cpu.load.us-west"),
            "cpu_load None {\"region\": \"us-west\"}"
        );
        assert_eq!(resolve(&["measurement.field*"], "cpu.usage.idle"), "cpu Some(\"usage_idle\") {}");
        assert_eq!(
            resolve(&["host.measurement* region=eu"], "h1.a.b"),
            "a_b None {\"host\": \"h1\", \"region\": \"eu\"}"
        );
        assert_eq!(resolve(&["..measurement"], "x"), "x None {}", "too short for its template");
        assert_eq!(resolve(&["dc.dc.measurement"], "eu.west.m"), "m None {\"dc\": \"eu_west\"}");
    }

    #[test]
    fn the_most_particular_filter_decides() {
        let templates = [
            "*.app env.service.measurement",
            "stats.* .host.measurement",
            "stats.web .measurement*",
            "measurement*",
        ];
        assert_eq!(resolve(&templates, "stats.web.a.b"), "web_a_b None {}");
        assert_eq!(resolve(&templates, "stats.h1.cpu"), "cpu None {\"host\": \"h1\"}");
        assert_eq!(resolve(&templates, "prod.app.mem"), "mem None {\"env\": \"prod\", \"service\": \"app\"}");
        assert_eq!(resolve(&templates, "other.b"), "other_b None {}");
    }

    #[test]
    fn faults_are_named() {
        for text in ["", "a.b", "f measurement x", "measurement x=", "measurement*.field*"] {
            assert!(Templates::compile(&[text.to_owned()], ".").is_err(), "{text}");
        }
    }
}
