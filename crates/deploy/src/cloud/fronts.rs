//! What the fronts let clients do.

/// Limits of every front, each counting for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fronts {
    /// Connections of all clients together.
    pub connections: u32,
    /// Connections that one client address may have open.
    pub connections_per_client: u32,
    /// Requests that one client address may send in ten seconds.
    pub requests_per_client: u32,
}

impl Default for Fronts {
    fn default() -> Self {
        Self { connections: 8_000, connections_per_client: 500, requests_per_client: 5_000 }
    }
}
