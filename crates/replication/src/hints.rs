//! Hinted handoff: operations that wait, on disk, for an owner that could not take them.
//!
//! One [`Queue`] for each destination, below `hh/<node id>/`. What a queue has taken is durable. Queues are bounded; what
//! finds no room, or grows too old, is not forgotten silently: the destination is then known to lack something
//! ([`Queue::has_gaps`]), and comparing the replicas brings it back.

mod packing;
mod queue;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use skywatch_meta::NodeId;
use skywatch_model::WallClock;
use skywatch_storage::fs::{Fs, FsError};

pub use queue::{HintError, Queue, QueueStats};

/// How hints are kept and delivered.
#[derive(Debug, Clone)]
pub struct HintSettings {
    /// Whether anything is kept at all.
    pub enabled: bool,
    /// Most bytes that wait for one destination.
    pub max_bytes: u64,
    /// Most operations that may be on their way to the disk for one destination at a time.
    pub max_pending: u64,
    /// What has waited longer is given up.
    pub max_age: Duration,
    /// First pause after a failed delivery; it doubles each time.
    pub retry_interval: Duration,
    /// The longest pause.
    pub retry_max_interval: Duration,
    /// Bytes a second to all destinations together; 0 for no limit.
    pub rate_limit: u64,
    /// Bytes of one delivery, about.
    pub batch_bytes: u64,
    /// How often what is too old is looked for.
    pub purge_interval: Duration,
}

impl Default for HintSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            max_bytes: 10 << 30,
            max_pending: 1024,
            max_age: Duration::from_secs(7 * 24 * 3600),
            retry_interval: Duration::from_secs(1),
            retry_max_interval: Duration::from_secs(10),
            rate_limit: 0,
            batch_bytes: 512_000,
            purge_interval: Duration::from_secs(60),
        }
    }
}

/// The queues of a node.
#[derive(Debug)]
pub struct Hints {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    wall: Arc<dyn WallClock>,
    settings: HintSettings,
    queues: Mutex<BTreeMap<NodeId, Arc<Queue>>>,
}

impl Hints {
    /// Opens the queues below `dir`.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        wall: Arc<dyn WallClock>,
        settings: HintSettings,
    ) -> Result<Self, FsError> {
        fs.create_dir_all(dir).map_err(FsError::on("create", dir))?;
        let hints = Self { fs, dir: dir.to_owned(), wall, settings, queues: Mutex::default() };
        let entries = hints.fs.list(dir).map_err(FsError::on("list", dir))?;
        for id in entries.iter().filter(|entry| entry.is_dir).filter_map(|entry| entry.name.parse().ok()) {
            let queue = hints.open_queue(NodeId(id))?;
            hints.queues.lock().insert(NodeId(id), queue);
        }
        Ok(hints)
    }

    /// How hints are kept.
    pub const fn settings(&self) -> &HintSettings {
        &self.settings
    }

    /// Where the queues are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn open_queue(&self, node: NodeId) -> Result<Arc<Queue>, FsError> {
        let dir = self.dir.join(node.0.to_string());
        Queue::open(Arc::clone(&self.fs), &dir, Arc::clone(&self.wall), &self.settings).map(Arc::new)
    }

    /// The queue for a destination, made if there is none.
    pub fn queue(&self, node: NodeId) -> Result<Arc<Queue>, FsError> {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get(&node) {
            return Ok(Arc::clone(queue));
        }
        let queue = self.open_queue(node)?;
        queues.insert(node, Arc::clone(&queue));
        Ok(queue)
    }

    /// The queue for a destination, if there is one.
    pub fn known(&self, node: NodeId) -> Option<Arc<Queue>> {
        self.queues.lock().get(&node).cloned()
    }

    /// Destinations that have a queue, with it.
    pub fn queues(&self) -> Vec<(NodeId, Arc<Queue>)> {
        self.queues.lock().iter().map(|(node, queue)| (*node, Arc::clone(queue))).collect()
    }

    /// The queue for a destination, if something waits in it or is missing from it.
    pub fn waiting_for(&self, node: NodeId) -> Option<Arc<Queue>> {
        let queue = self.queues.lock().get(&node).cloned()?;
        (!queue.is_empty() || queue.has_gaps()).then_some(queue)
    }

    /// Forgets what waits for a node that is no more.
    pub fn remove(&self, node: NodeId) -> io::Result<()> {
        let Some(queue) = self.queues.lock().remove(&node) else { return Ok(()) };
        queue.close();
        self.fs.remove_dir_all(queue.dir())?;
        self.fs.sync_dir(&self.dir)
    }
}
