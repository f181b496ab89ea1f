//! A whole cluster as one place to back up and restore to: its data nodes, each of which holds some of the shards.
//!
//! A backup takes each shard from the first owner that holds all of it, in an order that is the same each time, so that the next
//! backup finds the same files there. A shard that no node which answers holds whole cannot be backed up: a backup that lacks
//! points would not be told from one that has all. Others can, if only these are wanted.
//!
//! Nodes that do not say at once that they are there ([`Backups::probe`]) may be frozen, or just busy. They are left alone as long
//! as others can do what they would have done, and asked, with all patience, if not.
//!
//! A restore sends a database to one node. It owns all of it at first, and the cluster makes the other copies.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use parking_lot::Mutex;
use skywatch_cluster::backup::{
    BackupError, Backups, ByteSink, Checksum, FileRef, Listing, RestorePlan, SessionId, ShardListing,
};
use skywatch_meta::{Database, RetentionPolicy, Shard};

/// A data node.
struct DataNode {
    id: u64,
    backups: Box<dyn Backups>,
}

/// See the module's header.
pub struct Cluster {
    nodes: Vec<DataNode>,
    sessions: Mutex<BTreeMap<SessionId, Spread>>,
    /// Which node the next restore begins with.
    next: AtomicUsize,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

/// A backup session of a cluster: one at each node that answered.
#[derive(Clone, Default)]
struct Spread {
    /// By the node's place.
    sessions: BTreeMap<usize, SessionId>,
    /// By shard, the node that it is taken from.
    sources: BTreeMap<u64, usize>,
}

/// What the nodes said when a backup began, by their places.
#[derive(Default)]
struct Heard {
    listings: BTreeMap<usize, Listing>,
    /// Why the others said nothing.
    silent: BTreeMap<usize, String>,
}

impl Cluster {
    /// Of data nodes and their numbers; of several that hold a shard, the first in this order gives it.
    pub fn new(nodes: impl IntoIterator<Item = (u64, Box<dyn Backups>)>) -> Self {
        let nodes = nodes.into_iter().map(|(id, backups)| DataNode { id, backups }).collect();
        Self { nodes, sessions: Mutex::default(), next: AtomicUsize::new(0) }
    }

    fn begin_everywhere(&self, databases: &[String]) -> Result<Heard, BackupError> {
        let begin = |node: &dyn Backups| node.begin_backup(databases);
        let begin_if_there = |node: &dyn Backups| node.probe().and_then(|()| begin(node));
        let mut heard = Heard::default();
        self.begin_at((0..self.nodes.len()).collect(), &begin_if_there, &mut heard)?;
        let missed = self.missed(&heard);
        self.begin_at(missed, &begin, &mut heard)?;
        if heard.listings.is_empty() {
            let reasons: Vec<String> = heard
                .silent
                .iter()
                .map(|(place, reason)| format!("data node {}: {reason}", self.nodes[*place].id))
                .collect();
            return Err(BackupError::Unreachable(match reasons.is_empty() {
                true => "the cluster has no data node".to_owned(),
                false => format!("no data node answers: {}", reasons.join("; ")),
            }));
        }
        Ok(heard)
    }

    /// Begins at the nodes of these places, at all of them at a time. One that does not answer is noted; any other error of one is
    /// that of all, and ends the sessions there are.
    fn begin_at(
        &self,
        places: BTreeSet<usize>,
        begin: &(dyn Fn(&dyn Backups) -> Result<Listing, BackupError> + Sync),
        heard: &mut Heard,
    ) -> Result<(), BackupError> {
        let answers: Vec<_> = thread::scope(|scope| {
            let ask = |place: usize| (place, scope.spawn(move || begin(&*self.nodes[place].backups)));
            let asked: Vec<_> = places.into_iter().map(ask).collect();
            let answer = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
            };
            asked.into_iter().map(|(place, thread)| (place, answer(thread))).collect()
        });
        let mut refusal = None;
        for (place, answer) in answers {
            match answer {
                Ok(listing) => {
                    heard.silent.remove(&place);
                    heard.listings.insert(place, listing);
                }
                Err(BackupError::Unreachable(reason)) => drop(heard.silent.insert(place, reason)),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        refusal.map_or(Ok(()), |error| {
            self.end(&heard.sessions());
            Err(error)
        })
    }

    /// Those of the silent nodes that may have a shard which none of the others holds whole.
    fn missed(&self, heard: &Heard) -> BTreeSet<usize> {
        let databases = heard.databases();
        let lacking: Vec<&Shard> =
            shards(&databases).filter(|shard| self.source(shard, heard).is_err()).collect();
        let is_missed =
            |place: &usize| heard.listings.is_empty() || lacking.iter().any(|shard| self.owns(*place, shard));
        heard.silent.keys().copied().filter(is_missed).collect()
    }

    fn owns(&self, place: usize, shard: &Shard) -> bool {
        shard.owners.iter().any(|owner| owner.0 == self.nodes[place].id)
    }

    /// As far as they can be told; a node forgets a session by itself.
    fn end(&self, sessions: &BTreeMap<usize, SessionId>) {
        for (place, session) in sessions {
            drop(self.nodes[*place].backups.end_backup(session));
        }
    }

    /// The node of which a shard is taken, and its files, if anything was ever written to it.
    fn source<'h>(
        &self,
        shard: &Shard,
        heard: &'h Heard,
    ) -> Result<(usize, Option<&'h ShardListing>), String> {
        let mut reasons = Vec::new();
        let mut empty = None;
        for (place, node) in self.nodes.iter().enumerate() {
            if !self.owns(place, shard) {
                continue;
            }
            let Some(listing) = heard.listings.get(&place) else {
                let reason = heard.silent.get(&place).map_or("it was not asked", String::as_str);
                reasons.push(format!("data node {}: {reason}", node.id));
                continue;
            };
            // One that has not heard of the shard yet would have nothing of it, and that would look like all of it.
            if listing.lacking.contains(&shard.id) || !knows(listing, shard.id) {
                reasons.push(format!("data node {}: it does not hold all of it now", node.id));
                continue;
            }
            match listing.shards.iter().find(|listed| listed.id == shard.id) {
                Some(listed) => return Ok((place, Some(listed))),
                None => empty = empty.or(Some(place)),
            }
        }
        match empty {
            Some(place) => Ok((place, None)),
            None if reasons.is_empty() => Err("none of its owners is a node of the cluster".to_owned()),
            None => Err(reasons.join("; ")),
        }
    }

    fn spread(&self, session: &str) -> Result<Spread, BackupError> {
        let known = self.sessions.lock().get(session).cloned();
        known.ok_or_else(|| BackupError::NoSession(session.to_owned()))
    }

    /// The node that has a file, and the session there.
    fn holder(&self, file: FileRef<'_>) -> Result<(&dyn Backups, SessionId), BackupError> {
        let spread = self.spread(file.session)?;
        let missing = || BackupError::NoFile { shard: file.shard, name: file.name.to_owned() };
        let place = spread.sources.get(&file.shard).ok_or_else(missing)?;
        let session = spread.sessions.get(place).ok_or_else(missing)?;
        Ok((&*self.nodes[*place].backups, session.clone()))
    }

    /// The node of a restore session.
    fn receiver<'s>(&self, session: &'s str) -> Result<(&dyn Backups, &'s str), BackupError> {
        let known = session.split_once('/').and_then(|(place, session)| {
            let node = self.nodes.get(place.parse::<usize>().ok()?)?;
            Some((&*node.backups, session))
        });
        known.ok_or_else(|| BackupError::NoSession(session.to_owned()))
    }
}

impl Heard {
    fn sessions(&self) -> BTreeMap<usize, SessionId> {
        self.listings.iter().map(|(place, listing)| (*place, listing.session.clone())).collect()
    }

    /// The databases as the node knows them that has heard most of the catalogue.
    fn databases(&self) -> Vec<Database> {
        let newest = |listing: &&Listing| shards(&listing.databases).map(|shard| shard.id).max();
        self.listings.values().max_by_key(newest).map(|listing| listing.databases.clone()).unwrap_or_default()
    }
}

fn shards(databases: &[Database]) -> impl Iterator<Item = &Shard> {
    databases
        .iter()
        .flat_map(|database| &database.retention_policies)
        .flat_map(RetentionPolicy::live_shard_groups)
        .flat_map(|group| &group.shards)
}

fn knows(listing: &Listing, shard: u64) -> bool {
    shards(&listing.databases).any(|known| known.id == shard)
}

impl Backups for Cluster {
    fn begin_backup(&self, wanted: &[String]) -> Result<Listing, BackupError> {
        let heard = self.begin_everywhere(wanted)?;
        let mut spread = Spread { sessions: heard.sessions(), sources: BTreeMap::new() };
        let databases = heard.databases();
        let (mut listed, mut unheld) = (Vec::new(), BTreeMap::new());
        for shard in shards(&databases) {
            match self.source(shard, &heard) {
                Ok((place, files)) => {
                    spread.sources.insert(shard.id, place);
                    listed.extend(files.cloned());
                }
                Err(reason) => drop(unheld.insert(shard.id, reason)),
            }
        }
        let session = spread.sessions.values().map(String::as_str).collect::<Vec<_>>().join("+");
        self.sessions.lock().insert(session.clone(), spread);
        Ok(Listing { session, databases, shards: listed, unheld, ..Listing::default() })
    }

    fn read_file(&self, file: FileRef<'_>, sink: ByteSink<'_>) -> Result<(), BackupError> {
        let (node, session) = self.holder(file)?;
        node.read_file(FileRef { session: &session, ..file }, sink)
    }

    fn checksum(&self, file: FileRef<'_>) -> Result<Checksum, BackupError> {
        let (node, session) = self.holder(file)?;
        node.checksum(FileRef { session: &session, ..file })
    }

    fn end_backup(&self, session: &str) -> Result<(), BackupError> {
        let spread = self.spread(session)?;
        self.sessions.lock().remove(session);
        self.end(&spread.sessions);
        Ok(())
    }

    fn begin_restore(&self, plan: &RestorePlan) -> Result<SessionId, BackupError> {
        let mut last = BackupError::Unreachable("the cluster has no data node".to_owned());
        let rounds =
            [true, false].into_iter().flat_map(|is_probed| self.nodes.iter().map(move |_| is_probed));
        for is_probed in rounds {
            // Several databases go to several nodes.
            let place = self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len();
            let node = &self.nodes[place].backups;
            let probed = if is_probed { node.probe() } else { Ok(()) };
            match probed.and_then(|()| node.begin_restore(plan)) {
                Ok(session) => return Ok(format!("{place}/{session}")),
                Err(error @ BackupError::Unreachable(_)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn put(&self, file: FileRef<'_>, offset: u64, bytes: &[u8]) -> Result<(), BackupError> {
        let (node, session) = self.receiver(file.session)?;
        node.put(FileRef { session, ..file }, offset, bytes)
    }

    fn commit_restore(&self, session: &str) -> Result<(), BackupError> {
        let (node, session) = self.receiver(session)?;
        node.commit_restore(session)
    }

    fn abort_restore(&self, session: &str) -> Result<(), BackupError> {
        let (node, session) = self.receiver(session)?;
        node.abort_restore(session)
    }
}

#[cfg(test)]
mod tests;
