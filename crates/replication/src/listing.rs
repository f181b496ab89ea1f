//! What a node tells of the shards on its disk, for `ctl show-shards -v`.

use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use skywatch_storage::{Shard, Store};

/// Asks for the shards on a node's disk.
pub const LIST_SHARDS: &str = "node.list_shards";

/// Answer to [`LIST_SHARDS`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedShards {
    /// One for each shard directory.
    pub shards: Vec<ListedShard>,
}

/// A shard on a node's disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedShard {
    /// Which.
    pub id: u64,
    /// Whether nothing is left to be done for it: all is on disk and merged.
    pub is_cold: bool,
    /// When its files were last written to, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Bytes on disk.
    pub bytes: u64,
    /// What is wrong with it, if anything.
    pub error: String,
}

/// Lists the shards of a store. Blocks.
pub(crate) fn list(store: &Store) -> ListedShards {
    ListedShards { shards: store.shards().iter().map(|shard| listed(shard)).collect() }
}

fn listed(shard: &Shard) -> ListedShard {
    let stats = shard.stats();
    let is_cold = stats.memory_bytes == 0 && stats.flush_queue == 0 && stats.compaction_backlog_bytes == 0;
    let error = match stats.damaged_segments {
        0 => String::new(),
        damaged => format!("{damaged} damaged segments"),
    };
    ListedShard {
        id: shard.id().0,
        is_cold,
        modified_ns: modified_ns(shard),
        bytes: stats.disk_bytes(),
        error,
    }
}

/// Of its youngest file; 0 if the system does not tell.
fn modified_ns(shard: &Shard) -> i64 {
    let entries = std::fs::read_dir(shard.dir()).into_iter().flatten().flatten();
    let times = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok());
    let since = times.filter_map(|time| time.duration_since(UNIX_EPOCH).ok()).max().unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
