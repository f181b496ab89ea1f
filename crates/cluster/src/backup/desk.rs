//! The sessions of a node: how many there may be, and when they end by themselves.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{BackupError, Checksum, SessionId, export::Pinned, import::Gathering};

/// Backups at once. Each holds disk space of files that would have gone by now.
const BACKUPS_MAX: usize = 4;
/// Restores at once.
const RESTORES_MAX: usize = 2;
/// A session that nobody used for so long is over.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) backups: Sessions<Pinned>,
    pub(super) restores: Sessions<Gathering>,
    /// Checksums of immutable files by shard and name: an incremental backup asks for the same ones every time.
    pub(super) checksums: Mutex<HashMap<(u64, String), Checksum>>,
    /// Held while shards are here that the catalogue is yet to name.
    pub(crate) adopting: Mutex<()>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            backups: Sessions::new("b", BACKUPS_MAX),
            restores: Sessions::new("r", RESTORES_MAX),
            checksums: Mutex::default(),
            adopting: Mutex::default(),
        }
    }
}

impl Desk {
    /// Ends sessions that were left alone.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        self.backups.expire(now);
        self.restores.expire(now);
    }

    /// Ends all sessions.
    pub(crate) fn clear(&self) {
        self.backups.open.lock().clear();
        self.restores.open.lock().clear();
    }
}

/// Sessions of one kind.
#[derive(Debug)]
pub(super) struct Sessions<T> {
    kind: &'static str,
    most: usize,
    open: Mutex<BTreeMap<SessionId, Session<T>>>,
}

#[derive(Debug)]
struct Session<T> {
    used: Instant,
    value: Arc<T>,
}

impl<T> Sessions<T> {
    fn new(kind: &'static str, most: usize) -> Self {
        Self { kind, most, open: Mutex::default() }
    }

    /// Begins a session, if there may be another. `number` tells it from those of other lives of this server.
    pub(super) fn begin(&self, number: u64, value: T) -> Result<SessionId, BackupError> {
        self.expire(Instant::now());
        let mut open = self.open.lock();
        if open.len() >= self.most {
            return Err(BackupError::TooManySessions(self.most));
        }
        let mut number = number;
        let id = loop {
            let id = format!("{}{number:x}", self.kind);
            if !open.contains_key(&id) {
                break id;
            }
            number += 1;
        };
        open.insert(id.clone(), Session { used: Instant::now(), value: Arc::new(value) });
        Ok(id)
    }

    pub(super) fn get(&self, id: &str) -> Result<Arc<T>, BackupError> {
        let mut open = self.open.lock();
        let session = open.get_mut(id).ok_or_else(|| BackupError::NoSession(id.to_owned()))?;
        session.used = Instant::now();
        Ok(Arc::clone(&session.value))
    }

    pub(super) fn end(&self, id: &str) -> Result<Arc<T>, BackupError> {
        let ended = self.open.lock().remove(id);
        ended.map(|session| session.value).ok_or_else(|| BackupError::NoSession(id.to_owned()))
    }

    fn expire(&self, now: Instant) {
        self.open.lock().retain(|id, session| {
            // One in the middle of a call is not idle.
            let is_used = Arc::strong_count(&session.value) > 1;
            let keep = is_used || now.saturating_duration_since(session.used) < IDLE_MAX;
            if !keep {
                tracing::warn!(session = id, "a backup or restore was abandoned; it is ended");
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_few_and_end_when_left_alone() {
        let sessions = Sessions::new("b", 2);
        let first = sessions.begin(7, 1).unwrap();
        let second = sessions.begin(7, 2).unwrap();
        assert_ne!(first, second);
        assert!(matches!(sessions.begin(7, 3), Err(BackupError::TooManySessions(2))));
        let held = sessions.get(&first).unwrap();
        sessions.expire(Instant::now() + IDLE_MAX);
        assert!(sessions.get(&first).is_ok(), "one in use does not expire");
        assert!(matches!(sessions.get(&second), Err(BackupError::NoSession(_))));
        drop(held);
        assert_eq!(*sessions.end(&first).unwrap(), 1);
        assert!(sessions.end(&first).is_err());
    }
}
