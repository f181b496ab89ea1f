//! Who a node is to others before it has said a word: its release, its cluster, the secret it shares with them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What a node says of itself when it connects or is connected to.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its release, for the other side's log.
    pub release: String,
    /// Its cluster.
    pub cluster: KnownCluster,
    /// What nodes of the cluster prove to each other that they know.
    pub secret: Option<Secret>,
}

impl Identity {
    /// A node of this release that belongs to no cluster yet and has no secret.
    pub fn new(release: impl Into<String>) -> Self {
        Self { release: release.into(), cluster: KnownCluster::default(), secret: None }
    }
}

/// The cluster that a node belongs to, once it does. Copies are of the same node.
///
/// Nodes of two clusters refuse each other: an address that was handed from one to the other does no harm then.
#[derive(Debug, Clone, Default)]
pub struct KnownCluster(Arc<AtomicU64>);

impl KnownCluster {
    /// The node belongs to this cluster from now on; 0 means to none.
    pub fn set(&self, cluster_id: u64) {
        self.0.store(cluster_id, Ordering::Relaxed);
    }

    /// The cluster's id, if the node belongs to one.
    pub fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }
}

/// A secret that nodes share. It never travels: each side proves that it knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The secret of a configuration; none if it is empty.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.as_bytes().into()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
