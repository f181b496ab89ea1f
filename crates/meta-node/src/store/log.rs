//! The store as Raft's log.

use std::{fmt::Debug, io, ops::RangeBounds};

use openraft::{
    ErrorSubject, ErrorVerb, LogState, OptionalSend, RaftLogReader, StorageIOError, Vote,
    storage::{LogFlushed, RaftLogStorage},
};
use redb::Durability;

use super::{LOG, STATE, Store, StoreError, encode};
use crate::raft_types::{Entry, LogId, StorageError, Types};

/// As Raft wants to hear of it; it stops on any.
pub(crate) fn told(subject: ErrorSubject<u64>, verb: ErrorVerb, error: &StoreError) -> StorageError {
    StorageIOError::new(subject, verb, openraft::AnyError::new(error)).into()
}

fn reading(error: &StoreError) -> StorageError {
    told(ErrorSubject::Logs, ErrorVerb::Read, error)
}

fn writing(error: &StoreError) -> StorageError {
    told(ErrorSubject::Logs, ErrorVerb::Write, error)
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        self.entries(range).map_err(|error| reading(&error))
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let purged = self.purged().map_err(|error| reading(&error))?;
        let last = self.last_entry().map_err(|error| reading(&error))?;
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.map(|entry| entry.log_id).or(purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError> {
        self.set_state("vote", vote, Durability::Immediate)
            .map_err(|error| told(ErrorSubject::Vote, ErrorVerb::Write, &error))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError> {
        self.vote().map_err(|error| told(ErrorSubject::Vote, ErrorVerb::Read, &error))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.set_state("committed", &committed, Durability::None).map_err(|error| writing(&error))
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.state::<Option<LogId>>("committed").map_err(|error| reading(&error))?.flatten())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let appended = self.append_entries(entries);
        callback.log_io_completed(
            appended.as_ref().copied().map_err(|error| io::Error::other(error.to_string())),
        );
        appended.map_err(|error| writing(&error))
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.change("truncate the log", Durability::Immediate, |write| {
            write.open_table(LOG)?.retain_in(log_id.index.., |_, _| false)?;
            Ok(())
        })
        .map_err(|error| writing(&error))
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let purge = || {
            let purged = encode("purged", &log_id)?;
            self.change("purge the log", Durability::Immediate, |write| {
                write.open_table(STATE)?.insert("purged", purged.as_slice())?;
                write.open_table(LOG)?.retain_in(..=log_id.index, |_, _| false)?;
                Ok(())
            })
        };
        purge().map_err(|error| writing(&error))
    }
}

impl Store {
    /// Lets the log begin after an entry that only snapshots tell of.
    pub(crate) fn begin_after(&self, last: LogId, vote: Vote<u64>) -> Result<(), StoreError> {
        let state = [
            ("vote", encode("vote", &vote)?),
            ("purged", encode("purged", &last)?),
            ("committed", encode("committed", &Some(last))?),
        ];
        self.change("begin the log", Durability::Immediate, |write| {
            let mut table = write.open_table(STATE)?;
            for (key, bytes) in &state {
                table.insert(*key, bytes.as_slice())?;
            }
            Ok(())
        })
    }

    fn append_entries(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), StoreError> {
        let entries: Vec<(u64, Vec<u8>)> = entries
            .into_iter()
            .map(|entry| Ok((entry.log_id.index, encode("an entry of the log", &entry)?)))
            .collect::<Result<_, StoreError>>()?;
        self.change("append to the log", Durability::Immediate, |write| {
            let mut log = write.open_table(LOG)?;
            for (index, bytes) in &entries {
                log.insert(index, bytes.as_slice())?;
            }
            Ok(())
        })
    }
}
