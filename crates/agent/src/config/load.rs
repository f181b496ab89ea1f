//! Reading files and directories into a [`Config`].

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Url;

use super::document::{self, Environment};
use super::env::Lookup;
use super::error::{ConfigError, ConfigErrors, Place};
use super::plugin_options::{AggregatorOptions, InputOptions, OutputOptions, ProcessorOptions};
use super::section::Section;
use super::selection::Selection;
use super::sources::{self, Sources};
use super::traps;
use super::tree::{self, Entry, Node, Value};
use super::{Config, ConfiguredAggregator, ConfiguredInput, ConfiguredOutput, ConfiguredProcessor, PluginId};
use crate::aggregators::AGGREGATORS;
use crate::context::Context;
use crate::inputs::INPUTS;
use crate::net::http;
use crate::outputs::OUTPUTS;
use crate::paths::HostPaths;
use crate::processors::PROCESSORS;
use crate::registry;

/// Tables of the original that hold plugins of kinds there are none of here.
const UNSUPPORTED_KINDS: [&str; 1] = ["secretstores"];

impl Config {
    /// Reads files, then every `*.conf` below the directories (in lexical order), with the
    /// process's environment variables.
    pub fn load(files: &[PathBuf], directories: &[PathBuf]) -> Result<Self, ConfigErrors> {
        let env = |name: &str| std::env::var(name).ok();
        let mut loader = Loader::new(&env);
        for file in files {
            loader.file(file);
        }
        for directory in directories {
            loader.directory(directory);
        }
        loader.end()
    }

    /// Reads everything the sources name, with the process's environment variables. Waits for URLs, and so is to be
    /// called outside of asynchronous code.
    pub fn load_sources(sources: &Sources) -> Result<Self, ConfigErrors> {
        let env = |name: &str| std::env::var(name).ok();
        let mut loader = Loader::new(&env);
        loader.environment = sources.environment;
        loader.selection = sources.selection.clone();
        for file in &sources.files {
            match sources::url(file) {
                Some(url) => loader.url(&url),
                None => loader.file(Path::new(file)),
            }
        }
        for directory in &sources.directories {
            loader.directory(directory);
        }
        loader.end()
    }

    /// Reads one text, with the process's environment variables. `file` is how errors call it.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigErrors> {
        Self::parse_with(text, file, &|name| std::env::var(name).ok())
    }

    /// Reads one text with the environment given.
    pub fn parse_with(text: &str, file: &str, env: &Lookup<'_>) -> Result<Self, ConfigErrors> {
        let mut loader = Loader::new(env);
        loader.text(text, file);
        loader.end()
    }
}

struct Loader<'a> {
    env: &'a Lookup<'a>,
    environment: Environment,
    selection: Selection,
    context: Context,
    config: Config,
    agent_seen: bool,
    errors: Vec<ConfigError>,
}

impl<'a> Loader<'a> {
    fn new(env: &'a Lookup<'a>) -> Self {
        Self {
            env,
            environment: Environment::default(),
            selection: Selection::default(),
            context: Context::new(HostPaths::from_env(env)),
            config: Config::default(),
            agent_seen: false,
            errors: Vec::new(),
        }
    }

    fn end(mut self) -> Result<Config, ConfigErrors> {
        self.config.surroundings = self.context.surroundings().clone();
        let unseen = traps::unseen_tags(&self.config);
        self.config.warnings.extend(unseen);
        if self.errors.is_empty() { Ok(self.config) } else { Err(ConfigErrors(self.errors)) }
    }

    fn file(&mut self, path: &Path) {
        let name = path.display().to_string();
        match fs::read(path) {
            Ok(bytes) => self.document(bytes, name),
            Err(source) => self.errors.push(ConfigError::Read { file: name, source }),
        }
    }

    fn url(&mut self, url: &Url) {
        let name = http::shown(url).to_string();
        let attempts = self.config.agent.config_url_retry_attempts;
        match sources::fetch(url, attempts, sources::FETCH_PAUSE, self.env) {
            Ok(bytes) => self.document(bytes, name),
            Err(reason) => self.errors.push(ConfigError::Fetch { url: name, reason }),
        }
    }

    fn document(&mut self, bytes: Vec<u8>, name: String) {
        match document::text_of(bytes) {
            Ok(text) => self.text(&text, &name),
            Err(reason) => self.errors.push(ConfigError::NotText { file: name, reason }),
        }
    }

    /// A directory that cannot be read is no error, as in the original.
    fn directory(&mut self, path: &Path) {
        let (files, unreadable) = super::files_below(path);
        for (path, why) in unreadable {
            self.config.warnings.push(format!("{}: cannot be read and is left out: {why}", path.display()));
        }
        for file in files {
            self.file(&file);
        }
    }

    fn text(&mut self, text: &str, file: &str) {
        self.config.files.push(file.to_owned());
        let parsed = if self.environment == Environment::Strict {
            tree::parse(text, file, self.env)
        } else {
            document::substituted(text, self.environment, self.env)
                .map_err(|message| ConfigError::Syntax { file: file.to_owned(), line: 1, column: 1, message })
                .and_then(|text| tree::parse_substituted(&text, file))
        };
        match parsed {
            Ok(entries) => entries.into_iter().for_each(|entry| self.top_level(file, entry)),
            Err(error) => self.errors.push(error),
        }
    }

    fn top_level(&mut self, file: &str, entry: Entry) {
        let at = Place { file: file.to_owned(), line: entry.line };
        if !self.selection.takes_table(&entry.key) {
            return;
        }
        match entry.key.as_str() {
            "agent" => self.agent(file, entry),
            "global_tags" | "tags" => self.global_tags(file, entry),
            "inputs" | "plugins" => self.plugins(file, "inputs", entry),
            "processors" => self.plugins(file, "processors", entry),
            "aggregators" => self.plugins(file, "aggregators", entry),
            "outputs" => self.plugins(file, "outputs", entry),
            kind if UNSUPPORTED_KINDS.contains(&kind) => self.unsupported(file, entry),
            // The oldest form of the original's files: inputs without their prefix.
            name if registry::is_input(name) => self.plugin(file, "inputs", entry),
            _ => self.errors.push(ConfigError::UnknownTable { at, table: entry.key }),
        }
    }

    fn agent(&mut self, file: &str, entry: Entry) {
        if self.agent_seen {
            let warning = format!(
                "{file}:{}: a further [agent] table; its keys overwrite the earlier ones",
                entry.line
            );
            self.config.warnings.push(warning);
        } else if let Some(first) = self.config.files.first().filter(|first| *first != file) {
            let warning = format!(
                "{file}:{}: [agent] is not in the first file, {first}: here it holds for all of them, in Telegraf the \
                 outputs of files before it keep the default buffers",
                entry.line
            );
            self.config.warnings.push(warning);
        }
        self.agent_seen = true;
        let Some(mut section) = self.section(file, "agent", entry.line, entry.node) else { return };
        match self.config.agent.read(&mut section) {
            Ok(()) => self.finish(section),
            Err(error) => self.errors.push(error),
        }
    }

    fn global_tags(&mut self, file: &str, entry: Entry) {
        // Wrapped once more, so that the reader of tables of strings can take it.
        let mut section = Section::new(
            file,
            "global_tags",
            entry.line,
            vec![Entry { key: "global_tags".to_owned(), ..entry }],
        );
        match section.string_table("global_tags") {
            Ok(tags) => self.config.global_tags.extend(tags.unwrap_or_default()),
            Err(error) => self.errors.push(error),
        }
    }

    fn plugins(&mut self, file: &str, kind: &'static str, entry: Entry) {
        match entry.node.value {
            Value::Table(plugins) => plugins.into_iter().for_each(|entry| self.plugin(file, kind, entry)),
            other => self.errors.push(ConfigError::WrongType {
                at: Place { file: file.to_owned(), line: entry.line },
                section: "file".to_owned(),
                key: entry.key,
                expected: "a table of plugins",
                found: other.type_name(),
            }),
        }
    }

    /// One plugin name: an array of tables, or a single table.
    fn plugin(&mut self, file: &str, kind: &'static str, entry: Entry) {
        if !self.selection.takes_name(kind, &entry.key) {
            return;
        }
        let instances = match entry.node.value {
            Value::Array(nodes) => nodes,
            value => vec![Node { line: entry.line, value }],
        };
        for node in instances {
            let line = node.line;
            let name = format!("{kind}.{}", entry.key);
            let Some(mut section) = self.section(file, &name, line, node) else { continue };
            match section.string_table("labels").map(Option::unwrap_or_default) {
                Ok(labels) if self.selection.takes_labels(&labels) => {}
                Ok(_) => continue,
                Err(error) => {
                    self.errors.push(error);
                    continue;
                }
            }
            self.config.hints.extend(traps::defaults(&name, &section));
            let built = match kind {
                "inputs" => self.input(&entry.key, section),
                "processors" => self.processor(&entry.key, section),
                "aggregators" => self.aggregator(&entry.key, section),
                _ => self.output(&entry.key, section),
            };
            if let Err(error) = built {
                self.errors.push(error);
            }
        }
    }

    fn input(&mut self, name: &str, mut section: Section) -> Result<(), ConfigError> {
        let entry = registry::find(INPUTS, "inputs", name, &section)?;
        let fingerprint = section.fingerprint();
        let options = InputOptions::from_section(&mut section)?;
        let id = PluginId { kind: "inputs", name: entry.name, alias: options.alias.clone() };
        let input = entry.build(&mut section, &self.context.of_plugin(&id, fingerprint))?;
        self.config.inputs.push(ConfiguredInput { id, fingerprint, options, input });
        self.finish(section);
        Ok(())
    }

    fn processor(&mut self, name: &str, mut section: Section) -> Result<(), ConfigError> {
        let entry = registry::find(PROCESSORS, "processors", name, &section)?;
        let fingerprint = section.fingerprint();
        let options = ProcessorOptions::from_section(&mut section)?;
        let id = PluginId { kind: "processors", name: entry.name, alias: options.alias.clone() };
        let context = self.context.of_plugin(&id, fingerprint);
        let after_aggregators = (entry.build)(&mut section.clone(), &context.after_aggregators())?;
        let processor = (entry.build)(&mut section, &context)?;
        self.config.processors.push(ConfiguredProcessor {
            id,
            fingerprint,
            options,
            processor,
            after_aggregators,
        });
        self.finish(section);
        Ok(())
    }

    fn aggregator(&mut self, name: &str, mut section: Section) -> Result<(), ConfigError> {
        let entry = registry::find(AGGREGATORS, "aggregators", name, &section)?;
        let fingerprint = section.fingerprint();
        let options = AggregatorOptions::from_section(&mut section)?;
        let id = PluginId { kind: "aggregators", name: entry.name, alias: options.alias.clone() };
        let aggregator = (entry.build)(&mut section, &self.context.of_plugin(&id, fingerprint))?;
        self.config.aggregators.push(ConfiguredAggregator { id, fingerprint, options, aggregator });
        self.finish(section);
        Ok(())
    }

    fn output(&mut self, name: &str, mut section: Section) -> Result<(), ConfigError> {
        let entry = registry::find(OUTPUTS, "outputs", name, &section)?;
        let fingerprint = section.fingerprint();
        let options = OutputOptions::from_section(&mut section)?;
        let id = PluginId { kind: "outputs", name: entry.name, alias: options.alias.clone() };
        let output = (entry.build)(&mut section, &self.context.of_plugin(&id, fingerprint))?;
        self.config.outputs.push(ConfiguredOutput { id, fingerprint, options, output });
        self.finish(section);
        Ok(())
    }

    fn unsupported(&mut self, file: &str, entry: Entry) {
        let Value::Table(plugins) = entry.node.value else { return };
        for plugin in plugins {
            self.errors.push(ConfigError::UnsupportedKind {
                at: Place { file: file.to_owned(), line: plugin.line },
                kind: entry.key.clone(),
                name: plugin.key,
            });
        }
    }

    fn section(&mut self, file: &str, name: &str, line: usize, node: Node) -> Option<Section> {
        match node.value {
            Value::Table(entries) => Some(Section::new(file, name, line, entries)),
            other => {
                self.errors.push(ConfigError::WrongType {
                    at: Place { file: file.to_owned(), line },
                    section: "file".to_owned(),
                    key: name.to_owned(),
                    expected: "a table",
                    found: other.type_name(),
                });
                None
            }
        }
    }

    fn finish(&mut self, section: Section) {
        match section.finish() {
            Ok(warnings) => self.config.warnings.extend(warnings),
            Err(errors) => self.errors.extend(errors),
        }
    }
}
