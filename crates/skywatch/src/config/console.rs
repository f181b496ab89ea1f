//! `[console]`: the web pages.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{bind_address::BindAddress, cli::RunArgs};

/// How the console is served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConsoleSettings {
    /// `None` when the console is off.
    pub(crate) bind: Option<BindAddress>,
    /// HTTPS, with the certificate of the API.
    pub(crate) https: bool,
    /// A directory of dashboards beside those that ship.
    pub(crate) dashboards_dir: Option<PathBuf>,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct ConsoleSection {
    enabled: Option<bool>,
    bind: Option<BindAddress>,
    https_enabled: bool,
    dashboards_dir: Option<PathBuf>,
}

impl ConsoleSection {
    /// A data node has a console only if its file says so.
    pub(super) fn off_unless_enabled(&mut self) {
        self.enabled.get_or_insert(false);
    }
}

impl ConsoleSettings {
    pub(super) fn merge(args: &RunArgs, file: ConsoleSection) -> Self {
        let on = !args.no_console && file.enabled.unwrap_or(true);
        let bind = args.console_bind.clone().or(file.bind);
        Self {
            bind: on.then(|| bind.unwrap_or_else(|| BindAddress::loopback(3000))),
            https: on && file.https_enabled,
            dashboards_dir: file.dashboards_dir,
        }
    }
}
