//! `[agent]`: metrics of this host.

use std::path::PathBuf;

use serde::Deserialize;

use crate::cli::RunArgs;

/// Whether and how `skywatch run` watches its own host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AgentChoice {
    Off,
    /// The built-in configuration.
    ThisHost,
    /// A Telegraf configuration file.
    File(PathBuf),
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct AgentSection {
    enabled: Option<bool>,
    config: Option<PathBuf>,
}

impl AgentChoice {
    pub(super) fn merge(args: &RunArgs, file: AgentSection) -> Self {
        let on = !args.no_agent && file.enabled.unwrap_or(true);
        match args.agent_config.clone().or(file.config) {
            _ if !on => Self::Off,
            Some(path) => Self::File(path),
            None => Self::ThisHost,
        }
    }
}
