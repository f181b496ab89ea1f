//! What a plugin is built with besides its table.

use crate::paths::HostPaths;

/// The surroundings of every plugin of an agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    /// Where the host's own files are.
    pub(crate) paths: HostPaths,
}
