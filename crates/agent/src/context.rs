//! What a plugin is built with besides its table.

use std::sync::{Arc, OnceLock};

use crate::config::{Fingerprint, PluginId};
use crate::paths::HostPaths;
use crate::state::{PluginState, StateKey, States};
use crate::statistics::Statistics;

/// The surroundings of a plugin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    /// Where the host's own files are.
    pub(crate) paths: HostPaths,
    surroundings: Surroundings,
    /// What the plugin's state is saved under; none where a test builds it.
    key: Option<StateKey>,
}

impl Context {
    /// Of plugins whose agent is not known yet.
    pub(crate) fn new(paths: HostPaths) -> Self {
        Self { paths, ..Self::default() }
    }

    /// The same for one plugin.
    pub(crate) fn of_plugin(&self, id: &PluginId, fingerprint: Fingerprint) -> Self {
        Self { key: Some(StateKey::new(id, fingerprint)), ..self.clone() }
    }

    /// The same for a processor's second instance, which remembers things of its own.
    pub(crate) fn after_aggregators(&self) -> Self {
        Self { key: self.key.as_ref().map(StateKey::after_aggregators), ..self.clone() }
    }

    /// What the plugin remembers over restarts and reloads; see [`PluginState`].
    pub(crate) fn state(&self) -> PluginState {
        PluginState::new(self.surroundings.clone(), self.key.clone())
    }

    /// What the plugin shares with the agent that will run it.
    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }
}

/// What plugins share with the agent that runs them. A configuration is read before there is an agent, and a later one
/// joins an agent that runs already: so this is empty while plugins are built, and theirs to use once they work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings(Arc<OnceLock<Shared>>);

/// What lives as long as the agent, over all its configurations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    /// What plugins remember.
    pub(crate) states: Arc<States>,
    /// What plugins did.
    pub(crate) statistics: Arc<Statistics>,
}

impl Surroundings {
    /// Plugins that were built with it now share this; once.
    pub(crate) fn join(&self, shared: &Shared) {
        self.0.get_or_init(|| shared.clone());
    }

    /// What is shared.
    pub(crate) fn shared(&self) -> &Shared {
        self.0.get_or_init(Shared::default)
    }
}
