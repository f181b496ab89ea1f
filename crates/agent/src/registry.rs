//! How plugins are found by their names. The tables themselves stand beside the plugins, in `inputs.rs`, `outputs.rs`
//! and so on: a new plugin is a file there and a line in that table.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::Input;
use crate::inputs::INPUTS;
use crate::service::Service;

/// How a plugin is built: takes its options out of its table. Does no I/O.
pub(crate) type Build<T> = fn(&mut Section, &Context) -> Result<Box<T>, ConfigError>;

/// A plugin and how it is built.
#[derive(Debug)]
pub struct Entry<T: ?Sized + 'static> {
    /// As in `[[outputs.NAME]]`.
    pub name: &'static str,
    pub(crate) build: Build<T>,
}

/// An input and how it is built.
#[derive(Debug)]
pub struct InputEntry {
    /// As in `[[inputs.NAME]]`.
    pub name: &'static str,
    pub(crate) build: BuildInput,
}

/// The two ways an input works.
#[derive(Debug)]
pub(crate) enum BuildInput {
    /// It is asked at every interval.
    Polled(Build<dyn Input>),
    /// It runs by itself.
    Service(Build<dyn Service>),
}

/// An input, built.
#[derive(Debug)]
pub enum Source {
    /// It is asked at every interval.
    Polled(Box<dyn Input>),
    /// It runs by itself.
    Service(Box<dyn Service>),
}

impl InputEntry {
    pub(crate) fn build(&self, section: &mut Section, context: &Context) -> Result<Source, ConfigError> {
        Ok(match self.build {
            BuildInput::Polled(build) => Source::Polled(build(section, context)?),
            BuildInput::Service(build) => Source::Service(build(section, context)?),
        })
    }
}

/// An input that is asked at every interval.
pub(crate) const fn polled(name: &'static str, build: Build<dyn Input>) -> InputEntry {
    InputEntry { name, build: BuildInput::Polled(build) }
}

/// An input that runs by itself.
pub(crate) const fn service(name: &'static str, build: Build<dyn Service>) -> InputEntry {
    InputEntry { name, build: BuildInput::Service(build) }
}

/// Something in a table of plugins.
pub trait Named {
    /// As the configuration calls it.
    fn name(&self) -> &'static str;
}

impl<T: ?Sized + 'static> Named for Entry<T> {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl Named for InputEntry {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// Whether there is such an input.
pub(crate) fn is_input(name: &str) -> bool {
    INPUTS.iter().any(|entry| entry.name == name)
}

/// The entry of a plugin, or an error with the names of those there are.
pub(crate) fn find<E: Named>(
    table: &'static [E],
    kind: &'static str,
    name: &str,
    section: &Section,
) -> Result<&'static E, ConfigError> {
    table.iter().find(|entry| entry.name() == name).ok_or_else(|| ConfigError::UnknownPlugin {
        at: section.place(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        known: names(table),
    })
}

/// The names in a table, for messages.
pub fn names<E: Named>(table: &[E]) -> String {
    table.iter().map(Named::name).collect::<Vec<_>>().join(", ")
}

/// The format that a table asks for by `data_format`.
pub(crate) fn format<T: ?Sized + 'static>(
    table: &'static [Entry<T>],
    section: &mut Section,
    context: &Context,
    default: &'static str,
) -> Result<Box<T>, ConfigError> {
    let wanted = section.string("data_format")?.filter(|name| !name.is_empty());
    let wanted = wanted.as_deref().unwrap_or(default);
    match table.iter().find(|entry| entry.name == wanted) {
        Some(entry) => (entry.build)(section, context),
        None => Err(section.bad(
            "data_format",
            format!("{wanted:?} is not supported; formats that exist: {}", names(table)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_plugin_is_in_the_index_of_the_documentation_and_in_order() {
        let index = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugins/README.md");
        let index = fs::read_to_string(index).expect("the index");
        let tables = [
            ("inputs", names(INPUTS)),
            ("processors", names(crate::PROCESSORS)),
            ("aggregators", names(crate::AGGREGATORS)),
            ("outputs", names(crate::OUTPUTS)),
            ("parsers", names(crate::PARSERS)),
            ("serializers", names(crate::SERIALIZERS)),
        ];
        for (table, names) in tables {
            let names: Vec<_> = names.split(", ").collect();
            assert!(names.is_sorted(), "{table}: {names:?}");
            for name in names {
                assert!(index.contains(&format!("`{name}`")), "{table}: {name} is not in the index");
            }
        }
    }
}
