//! The agent's configuration: Telegraf's TOML.
//!
//! Files and directories are merged into one [`Config`]: plugin instances add up, later `[agent]`
//! keys overwrite earlier ones. Everything that is not understood is an error that names file,
//! line and key, and all such errors of all files are reported together.

mod agent_section;
mod buffer;
pub(crate) mod default;
mod document;
mod duration;
mod env;
mod error;
mod files;
mod fingerprint;
mod load;
mod log_settings;
mod plugin_options;
mod section;
mod selection;
mod size;
mod sources;
mod suggest;
mod traps;
mod tree;

use std::collections::BTreeMap;
use std::fmt;

pub use agent_section::AgentSettings;
pub use buffer::{BufferOptions, BufferSettings};
pub use default::{DefaultConfig, default_toml};
pub use document::Environment;
pub(crate) use duration::display as display_duration;
pub use env::Lookup;
pub use error::{ConfigError, ConfigErrors, Place};
pub(crate) use files::below as files_below;
pub use fingerprint::Fingerprint;
pub use log_settings::{LogLevel, LogSettings};
pub use plugin_options::{
    AggregatorOptions, InputOptions, OutputOptions, ProcessorOptions, Rename, StartupErrors, TimeSource,
};
pub(crate) use section::TextOrWords;
pub use section::{Scalar, Section};
pub use selection::Selection;
pub(crate) use size::parse as parse_size;
pub use sources::Sources;

use crate::aggregator::Aggregator;
use crate::context::Surroundings;
use crate::output::Output;
use crate::processor::Processor;
use crate::registry::Source;

/// A whole configuration, its plugins built and not yet started.
#[derive(Debug, Default)]
pub struct Config {
    /// `[agent]`.
    pub agent: AgentSettings,
    /// `[global_tags]`: for every metric that does not carry the tag itself.
    pub global_tags: BTreeMap<String, String>,
    /// Every `[[inputs.NAME]]`, in the order of the files.
    pub inputs: Vec<ConfiguredInput>,
    /// Every `[[processors.NAME]]`, in the order of the files.
    pub processors: Vec<ConfiguredProcessor>,
    /// Every `[[aggregators.NAME]]`.
    pub aggregators: Vec<ConfiguredAggregator>,
    /// Every `[[outputs.NAME]]`.
    pub outputs: Vec<ConfiguredOutput>,
    /// What works otherwise than its author may expect; to be shown to the user.
    pub warnings: Vec<String>,
    /// Defaults that its author may not expect; for one who asks whether the configuration is right.
    pub hints: Vec<String>,
    /// The files read, for messages.
    pub files: Vec<String>,
    /// What the plugins will share with the agent that runs them.
    pub(crate) surroundings: Surroundings,
}

impl Config {
    /// How much is logged of plugins that say so themselves, by the names that [`PluginId`] shows.
    pub fn log_levels(&self) -> Vec<(String, LogLevel)> {
        let inputs = self.inputs.iter().map(|plugin| (&plugin.id, plugin.options.log_level));
        let processors = self.processors.iter().map(|plugin| (&plugin.id, plugin.options.log_level));
        let aggregators = self.aggregators.iter().map(|plugin| (&plugin.id, plugin.options.log_level));
        let outputs = self.outputs.iter().map(|plugin| (&plugin.id, plugin.options.log_level));
        inputs
            .chain(processors)
            .chain(aggregators)
            .chain(outputs)
            .filter_map(|(id, level)| Some((id.to_string(), level?)))
            .collect()
    }
}

/// One `[[inputs.NAME]]`.
#[derive(Debug)]
pub struct ConfiguredInput {
    /// How logs name it.
    pub id: PluginId,
    /// What its table says.
    pub fingerprint: Fingerprint,
    /// Options every input has.
    pub options: InputOptions,
    /// The input itself.
    pub input: Source,
}

/// One `[[processors.NAME]]`.
#[derive(Debug)]
pub struct ConfiguredProcessor {
    /// How logs name it.
    pub id: PluginId,
    /// What its table says.
    pub fingerprint: Fingerprint,
    /// Options every processor has.
    pub options: ProcessorOptions,
    /// The instance that sees the inputs' metrics.
    pub processor: Box<dyn Processor>,
    /// The instance that sees the aggregators' metrics.
    pub after_aggregators: Box<dyn Processor>,
}

/// One `[[aggregators.NAME]]`.
#[derive(Debug)]
pub struct ConfiguredAggregator {
    /// How logs name it.
    pub id: PluginId,
    /// What its table says.
    pub fingerprint: Fingerprint,
    /// Options every aggregator has.
    pub options: AggregatorOptions,
    /// The aggregator itself.
    pub aggregator: Box<dyn Aggregator>,
}

/// One `[[outputs.NAME]]`.
#[derive(Debug)]
pub struct ConfiguredOutput {
    /// How logs name it.
    pub id: PluginId,
    /// What its table says.
    pub fingerprint: Fingerprint,
    /// Options every output has.
    pub options: OutputOptions,
    /// The output itself.
    pub output: Box<dyn Output>,
}

/// A plugin as logs name it: `inputs.cpu`, or `inputs.cpu::alias`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginId {
    /// `inputs`, `processors`, `aggregators` or `outputs`.
    pub kind: &'static str,
    /// The plugin's name.
    pub name: &'static str,
    /// The instance's own name.
    pub alias: Option<String>,
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)?;
        match &self.alias {
            Some(alias) => write!(f, "::{alias}"),
            None => Ok(()),
        }
    }
}

/// A table without a file around it.
#[cfg(test)]
pub(crate) fn section_for_tests(text: &str) -> Section {
    let entries = tree::parse(text, "test.conf", &|_| None).expect("valid TOML");
    Section::new("test.conf", "test", 1, entries)
}

#[cfg(test)]
mod tests;
