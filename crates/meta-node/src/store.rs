//! What a meta node keeps on disk: its log, its vote, and snapshots of the catalogue, in one redb file.
//!
//! ```text
//! state      "format" -> 1, "identity" -> the member's number, "vote", "purged", "committed" -> JSON
//! log        index -> entry as JSON
//! snapshots  serial number -> crc32c (4 bytes, little-endian), length of the description (4 bytes), description as JSON,
//!            catalogue as JSON; the two latest
//! ```
//!
//! Every change is one transaction, durable when it returns, except for `committed`: it only saves a restart from waiting
//! for a leader before it shows what was applied, and goes to disk with the next change. A store that was fenced takes
//! nothing any more, so that tasks of a member that is gone cannot write into the store of its successor.

mod log;
mod snapshots;

pub(crate) use log::told;
pub(crate) use snapshots::Description;

use std::{
    fmt,
    ops::RangeBounds,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use openraft::Vote;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    disk::Disk,
    raft_types::{Entry, LogId},
};

const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const SNAPSHOTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("snapshots");

const FORMAT: u32 = 1;
/// The catalogue is in memory anyway: of the file only the paths to the latest entries are wanted again.
const CACHE_BYTES: usize = 2 << 20;

/// Why the store cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it, or it is none.
    #[error("cannot open {place}: {source}")]
    Open {
        /// Which.
        place: String,
        /// Why.
        source: redb::DatabaseError,
    },
    /// The disk refused.
    #[error("cannot {action} in the meta node's store: {source}")]
    Disk {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: redb::Error,
    },
    /// What is there is not what was written.
    #[error(
        "the meta node's store is damaged: {0}; remove the node from the cluster, wipe its directory and add it again"
    )]
    Damaged(String),
    /// A later release wrote it.
    #[error("the meta node's store has format {0}, this release reads {FORMAT}: use a newer skywatch")]
    Format(u32),
    /// The member it belonged to is gone.
    #[error("the member that this store belonged to has left")]
    Fenced,
}

fn disk<E: Into<redb::Error>>(action: &'static str) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError::Disk { action, source: source.into() }
}

fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Damaged(format!("{what}: {error}")))
}

fn encode<T: Serialize>(what: &str, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value)
        .map_err(|error| StoreError::Damaged(format!("{what} cannot be encoded: {error}")))
}

/// A member's log, vote and snapshots. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    database: Arc<Database>,
    identity: u64,
    is_fenced: Arc<AtomicBool>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens what is on the disk; an empty one becomes the store of the member `newcomer`.
    pub fn open(place: &dyn Disk, newcomer: u64) -> Result<Self, StoreError> {
        let store = Self::over(place, newcomer)?;
        match store.begun()? {
            Some(identity) => Ok(Self { identity, ..store }),
            None => store.begin().map(|()| store),
        }
    }

    /// Opens the store that is on the disk, if there is one.
    pub fn reopen(place: &dyn Disk) -> Result<Option<Self>, StoreError> {
        let store = Self::over(place, 0)?;
        Ok(store.begun()?.map(|identity| Self { identity, ..store }))
    }

    fn over(place: &dyn Disk, identity: u64) -> Result<Self, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let database =
            place.open(&builder).map_err(|source| StoreError::Open { place: place.name(), source })?;
        Ok(Self { database: Arc::new(database), identity, is_fenced: Arc::default() })
    }

    /// The member's number in Raft.
    pub const fn identity(&self) -> u64 {
        self.identity
    }

    /// Ends this member and makes an empty store for another in its place. This one takes nothing any more.
    pub fn wipe(&self, newcomer: u64) -> Result<Self, StoreError> {
        self.fence();
        let next =
            Self { database: Arc::clone(&self.database), identity: newcomer, is_fenced: Arc::default() };
        next.begin()?;
        Ok(next)
    }

    /// From now on this store refuses to be written.
    pub fn fence(&self) {
        self.is_fenced.store(true, Ordering::SeqCst);
    }

    fn begun(&self) -> Result<Option<u64>, StoreError> {
        let read = self.database.begin_read().map_err(disk("read"))?;
        let table = match read.open_table(STATE) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(disk("read")(error)),
        };
        let get = |key: &str| -> Result<Option<Vec<u8>>, StoreError> {
            Ok(table.get(key).map_err(disk("read"))?.map(|bytes| bytes.value().to_vec()))
        };
        let (Some(format), Some(identity)) = (get("format")?, get("identity")?) else {
            return Err(StoreError::Damaged("it does not say whose it is".into()));
        };
        match decode::<u32>("its format", &format)? {
            FORMAT => Ok(Some(decode("its identity", &identity)?)),
            other => Err(StoreError::Format(other)),
        }
    }

    /// Empties the tables and writes down whose they are.
    fn begin(&self) -> Result<(), StoreError> {
        self.change("begin", Durability::Immediate, |write| {
            write.delete_table(LOG)?;
            write.delete_table(SNAPSHOTS)?;
            write.delete_table(STATE)?;
            write.open_table(LOG)?;
            write.open_table(SNAPSHOTS)?;
            let mut state = write.open_table(STATE)?;
            state.insert("format", FORMAT.to_string().as_bytes())?;
            state.insert("identity", self.identity.to_string().as_bytes())?;
            Ok(())
        })
    }

    /// One transaction. It blocks until the disk has it, so the runtime's other work is let go on beside it.
    fn change(
        &self,
        action: &'static str,
        durability: Durability,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        skywatch_replication::offload(|| {
            let mut write = self.database.begin_write().map_err(disk(action))?;
            // Transactions come one after the other: a fence that was set before this one began is seen here.
            if self.is_fenced.load(Ordering::SeqCst) {
                return Err(StoreError::Fenced);
            }
            write.set_durability(durability).map_err(|source| StoreError::Disk {
                action,
                source: redb::Error::Corrupted(source.to_string()),
            })?;
            change(&write).map_err(disk(action))?;
            write.commit().map_err(disk(action))
        })
    }

    fn state<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, StoreError> {
        let read = self.database.begin_read().map_err(disk("read"))?;
        let table = read.open_table(STATE).map_err(disk("read"))?;
        let found = table.get(key).map_err(disk("read"))?;
        found.map(|bytes| decode(key, bytes.value())).transpose()
    }

    fn set_state<T: Serialize>(
        &self,
        key: &'static str,
        value: &T,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let bytes = encode(key, value)?;
        self.change("write", durability, |write| {
            write.open_table(STATE)?.insert(key, bytes.as_slice())?;
            Ok(())
        })
    }

    fn vote(&self) -> Result<Option<Vote<u64>>, StoreError> {
        self.state("vote")
    }

    fn purged(&self) -> Result<Option<LogId>, StoreError> {
        self.state("purged")
    }

    fn last_entry(&self) -> Result<Option<Entry>, StoreError> {
        let read = self.database.begin_read().map_err(disk("read"))?;
        let log = read.open_table(LOG).map_err(disk("read"))?;
        let last = log.last().map_err(disk("read"))?;
        last.map(|(_, bytes)| decode("the last entry of the log", bytes.value())).transpose()
    }

    pub(crate) fn entries(&self, range: impl RangeBounds<u64>) -> Result<Vec<Entry>, StoreError> {
        let read = self.database.begin_read().map_err(disk("read"))?;
        let log = read.open_table(LOG).map_err(disk("read"))?;
        let mut entries = Vec::new();
        for entry in log.range(range).map_err(disk("read"))? {
            let (index, bytes) = entry.map_err(disk("read"))?;
            entries.push(decode(&format!("entry {} of the log", index.value()), bytes.value())?);
        }
        Ok(entries)
    }
}
