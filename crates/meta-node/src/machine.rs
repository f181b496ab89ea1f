//! The catalogue as Raft's state machine: in memory, made again from the latest snapshot and the log after it.

use std::{io::Cursor, sync::Arc};

use openraft::{
    EntryPayload, ErrorSubject, ErrorVerb, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageIOError, storage::RaftStateMachine,
};
use parking_lot::Mutex;
use skywatch_meta::{Catalogue, CatalogueError, Command};
use tokio::sync::Notify;

use crate::{
    raft_types::{Entry, LogId, Member, Outcome, StorageError, StoredMembership, Types},
    store::{Store, StoreError, told},
};

/// The catalogue and how far it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The log's entry after which this was so.
    pub(crate) applied: Option<LogId>,
    /// How often the catalogue changed, counted in entries of the log: the last entry that changed more than leases.
    /// Those who follow the catalogue follow this: leases are renewed all the time, and asked for where they are kept.
    pub(crate) index: u64,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) membership: StoredMembership,
}

/// The state machine. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    store: Store,
    seen: Arc<Mutex<Seen>>,
    changed: Arc<Notify>,
}

impl Machine {
    /// As the latest snapshot left it.
    pub(crate) fn open(store: &Store) -> Result<Self, StoreError> {
        let seen = match store.latest_snapshot()? {
            Some((meta, bytes)) => thaw(&meta, &bytes)?,
            None => Seen::default(),
        };
        Ok(Self { store: store.clone(), seen: Arc::new(Mutex::new(seen)), changed: Arc::default() })
    }

    /// The catalogue as of now; it does not change under the reader.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    /// Waits until the catalogue has another index than this.
    pub(crate) async fn beyond(&self, index: u64) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.seen.lock().index > index {
                return;
            }
            changed.await;
        }
    }

    /// An error if this release cannot know what the entry does: then the node must not go on.
    #[expect(clippy::result_large_err, reason = "the error is Raft's")]
    pub(crate) fn apply_entry(seen: &mut Seen, entry: Entry) -> Result<Outcome, StorageError> {
        let result = match entry.payload {
            EntryPayload::Blank => Ok(skywatch_meta::Applied::default()),
            EntryPayload::Normal(command) => {
                // Copied only if somebody is reading it.
                let result = Arc::make_mut(&mut seen.catalogue).apply(&command);
                if let Err(error @ CatalogueError::LaterRelease { .. }) = &result {
                    let problem = openraft::AnyError::new(error);
                    return Err(StorageIOError::apply(entry.log_id, problem).into());
                }
                let is_lease = matches!(command, Command::AcquireLease { .. } | Command::ReleaseLease { .. });
                if !is_lease && result.as_ref().is_ok_and(|applied| applied.changed) {
                    seen.index = entry.log_id.index;
                }
                result
            }
            EntryPayload::Membership(membership) => {
                seen.membership = StoredMembership::new(Some(entry.log_id), membership);
                Ok(skywatch_meta::Applied::default())
            }
        };
        seen.applied = Some(entry.log_id);
        Ok(Outcome { index: seen.index, result })
    }
}

/// A snapshot: the index in decimal digits, a line feed, and the catalogue as everybody writes it.
pub(crate) fn freeze(seen: &Seen) -> Vec<u8> {
    let mut bytes = format!("{}\n", seen.index).into_bytes();
    bytes.extend_from_slice(&seen.catalogue.to_bytes());
    bytes
}

fn thaw(meta: &SnapshotMeta<u64, Member>, bytes: &[u8]) -> Result<Seen, StoreError> {
    let damaged = |reason: &str| StoreError::Damaged(format!("snapshot {}: {reason}", meta.snapshot_id));
    let line = bytes.iter().position(|&byte| byte == b'\n').ok_or_else(|| damaged("it has no first line"))?;
    let index = std::str::from_utf8(&bytes[..line]).ok().and_then(|digits| digits.parse().ok());
    let index = index.ok_or_else(|| damaged("it does not begin with an index"))?;
    let catalogue = Catalogue::from_bytes(&bytes[line + 1..]).map_err(|error| damaged(&error.to_string()))?;
    Ok(Seen {
        applied: meta.last_log_id,
        index,
        catalogue: Arc::new(catalogue),
        membership: meta.last_membership.clone(),
    })
}

fn snapshot_error(verb: ErrorVerb) -> impl FnOnce(StoreError) -> StorageError {
    move |error| told(ErrorSubject::Snapshot(None), verb, &error)
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let seen = self.seen();
        let bytes = skywatch_replication::offload(|| freeze(&seen));
        let meta = SnapshotMeta {
            last_log_id: seen.applied,
            last_membership: seen.membership,
            snapshot_id: seen
                .applied
                .map_or_else(|| "0".into(), |at| format!("{}-{}", at.leader_id, at.index)),
        };
        self.store.save_snapshot(&meta, &bytes).map_err(snapshot_error(ErrorVerb::Write))?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) })
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let seen = self.seen.lock();
        Ok((seen.applied, seen.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Outcome>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut outcomes = Vec::new();
        for entry in entries {
            outcomes.push(Self::apply_entry(&mut self.seen.lock(), entry)?);
        }
        self.changed.notify_waiters();
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, Member>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let bytes = snapshot.into_inner();
        let seen =
            skywatch_replication::offload(|| thaw(meta, &bytes)).map_err(snapshot_error(ErrorVerb::Read))?;
        self.store.save_snapshot(meta, &bytes).map_err(snapshot_error(ErrorVerb::Write))?;
        *self.seen.lock() = seen;
        self.changed.notify_waiters();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let latest = self.store.latest_snapshot().map_err(snapshot_error(ErrorVerb::Read))?;
        Ok(latest.map(|(meta, bytes)| Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) }))
    }
}

#[cfg(test)]
mod tests {
    use openraft::testing::{StoreBuilder, Suite};

    use super::*;
    use crate::disk::Directory;

    struct Fresh;

    impl StoreBuilder<Types, Store, Machine, tempfile::TempDir> for Fresh {
        async fn build(&self) -> Result<(tempfile::TempDir, Store, Machine), StorageError> {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::open(&Directory::new(directory.path()), 1).unwrap();
            let machine = Machine::open(&store).unwrap();
            Ok((directory, store, machine))
        }
    }

    /// What Raft demands of a store, in its own words.
    #[test]
    fn rafts_own_suite_is_content() {
        Suite::test_all(Fresh).unwrap();
    }
}
